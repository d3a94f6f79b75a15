# shellcheck shell=bash
# What the scripts of this folder share: the program under test, and where they work. Sourced in the top folder of the checkout.
TOP=$(pwd)
if [[ -z ${LIFEBOAT:-} ]]; then
    cargo build --locked --bin lifeboat
    LIFEBOAT=${CARGO_TARGET_DIR:-$TOP/target}/debug/lifeboat
fi
[[ -x $LIFEBOAT ]] || { echo "sweep: LIFEBOAT=$LIFEBOAT is no program" >&2 && exit 2; }
SWEEP_WORK=${SWEEP_WORK:-$TOP/target/sweep}
mkdir -p "$SWEEP_WORK"
export LIFEBOAT SWEEP_WORK
