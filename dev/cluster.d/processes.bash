# Starting, watching and ending processes by pid. Sourced by dev/cluster.
# shellcheck shell=bash

# start <name> <command…>: in a session of its own, so that neither a closed terminal nor Ctrl-C reaches it.
start() {
    local name=$1 pid
    shift
    mkdir -p "$STATE/pids" "$LOGS"
    # 9 is the lock of dev/cluster: a daemon that inherited it would hold it for ever.
    setsid "$@" </dev/null >"$LOGS/$name.log" 2>&1 9>&- &
    pid=$!
    echo "$pid $(start_time "$pid")" >"$STATE/pids/$name"
}

# A process' start in clock ticks since boot. Together with the pid it names one process for good, where a pid alone
# may by now belong to a stranger.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # The second field is the program's name and may hold blanks; what follows its last bracket is regular.
    # shellcheck disable=SC2086  # to be split into its fields
    set -- ${stat##*) }
    echo "${20}"
}

running() {
    local pid started
    read -r pid started 2>/dev/null <"$STATE/pids/$1" || return 1
    [[ -n $started && $(start_time "$pid") == "$started" ]]
}

# stop <name…>: TERM to all, KILL to those still there after 5 s (the API server waits for its watches much longer).
stop() {
    local name pid _
    for name in "$@"; do
        ! running "$name" || { read -r pid _ <"$STATE/pids/$name" && kill -TERM "$pid"; }
    done
    for name in "$@"; do
        if ! within 5 gone "$name" && read -r pid _ <"$STATE/pids/$name"; then
            kill -KILL "$pid" 2>/dev/null || true
            within 5 gone "$name" || fail "process $pid ($name) survives SIGKILL"
        fi
        rm -f "$STATE/pids/$name"
    done
}

# A dead process whose parent never reaps it is gone too: on some machines nothing reaps orphans.
gone() {
    local pid _
    running "$1" || return 0
    read -r pid _ <"$STATE/pids/$1"
    [[ $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) == [ZX]* ]]
}

# within <seconds> <command…>: true as soon as the command is, false once the time is over.
within() {
    local limit=$1 started=$SECONDS
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS - started <= limit)) || return 1
        sleep 0.1
    done
}

# await <what> <seconds> <command…>: as `within`, but gives up at once, with the log, when one of our processes dies.
await() {
    local what=$1 limit=$2 started=$SECONDS name
    shift 2
    until "$@" >/dev/null 2>&1; do
        for name in $(started_processes); do
            ! gone "$name" || give_up "$name died while waiting for $what" "$name"
        done
        ((SECONDS - started <= limit)) || give_up "no $what within $limit s"
        sleep 0.1
    done
}

started_processes() { (cd "$STATE/pids" 2>/dev/null && ls) || true; }

give_up() {
    local message=$1 names=${2:-$(started_processes)} name
    for name in $names; do
        echo "--- last lines of $LOGS/$name.log" >&2
        tail -n 15 "$LOGS/$name.log" >&2 || true
    done
    fail "$message"
}
