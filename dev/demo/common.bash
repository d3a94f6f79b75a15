# What `up` and `down` share: names, places, small helpers. Sourced by both.
# shellcheck shell=bash disable=SC2034  # the scripts that source this read them

DEMO=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$DEMO/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/lifeboat
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/lifeboat/demo-${CLUSTER_SLOT:-0}

SYSTEM=lifeboat-system
SPACE=demo
BUCKET=backups
POLICY=flights
# Every table of the data, as `table rows`: what the load must have brought, whatever else happens later.
FLIGHTS_ROWS=336776

LIFEBOAT_IMAGE=${LIFEBOAT_IMAGE:-localhost/lifeboat:dev}
POSTGRES_IMAGE=${POSTGRES_IMAGE:-localhost/lifeboat-postgres:\{major\}}
MINIO_IMAGE=${MINIO_IMAGE:-localhost/lifeboat-minio:dev}

say() { printf 'demo: %s\n' "$*"; }
title() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# timed "what" command…: says what it does and how long it took. The output goes to a log, shown when it fails.
timed() {
    local what=$1 started=$SECONDS log
    shift
    log=$STATE/logs/$(tr -cs '[:alnum:]\n' - <<<"$what").log
    mkdir -p "$STATE/logs"
    printf 'demo: %s …\n' "$what"
    if ! "$@" >"$log" 2>&1; then
        printf 'demo: %s FAILED after %s s; the end of %s:\n' "$what" "$((SECONDS - started))" "$log" >&2
        tail -n 40 "$log" >&2
        return 1
    fi
    printf 'demo: %s: %s s\n' "$what" "$((SECONDS - started))"
}

# Everything one would ask next, when something did not come in time.
explain() {
    {
        title "what there is in $SPACE"
        kubectl get lifeboat,pods,jobs -n "$SPACE" -o wide
        title "the policy, the store and the backups"
        kubectl get backuppolicies.lifeboat.dev,backupstores.lifeboat.dev,backups.lifeboat.dev -n "$SPACE" -o yaml | grep -v managedFields | tail -n 150
        title "events in $SPACE, newest last"
        kubectl get events -n "$SPACE" --sort-by=.lastTimestamp | tail -n 30
        title "logs of the operator"
        kubectl get pods -n "$SYSTEM" -o wide
        kubectl logs -n "$SYSTEM" --selector app.kubernetes.io/name=lifeboat --tail=40 --all-containers
        title "events in $SYSTEM, newest last"
        kubectl get events -n "$SYSTEM" --sort-by=.lastTimestamp | tail -n 10
        local pod
        for pod in $(kubectl get pods -n "$SPACE" --sort-by=.metadata.creationTimestamp -o name | tail -n 4); do
            title "logs of $pod"
            kubectl logs -n "$SPACE" "$pod" --all-containers --tail=20
        done
    } >&2 2>&1 || true
}

# within <seconds> "what" command…: repeats the command until it succeeds, or explains and fails.
within() {
    local limit=$1 what=$2 started=$SECONDS
    shift 2
    until "$@"; do
        if ((SECONDS - started >= limit)); then
            explain
            fail "$what: not within $limit s"
        fi
        sleep 1
    done
}

# forward <namespace> <target> <port>: a port-forward; its address is in FORWARDED, its pid in FORWARD until end_forward.
FORWARD=''
forward() {
    local log
    end_forward
    log=$(mktemp "$STATE/forward.XXXXXX")
    kubectl port-forward -n "$1" "$2" ":$3" >"$log" 2>&1 7>&- &
    FORWARD=$!
    within 20 "port-forward to $2" grep -q '^Forwarding from 127' "$log"
    FORWARDED=$(sed -n 's/^Forwarding from \(127[^ ]*\).*/\1/p;q' "$log")
    rm -f "$log"
}

end_forward() {
    [[ -n $FORWARD ]] || return 0
    kill "$FORWARD" 2>/dev/null || true
    wait "$FORWARD" 2>/dev/null || true
    FORWARD=''
}

# One request, one port-forward: kubectl ends a forward whose connection the other side resets.
in_bucket() {
    local rc=0
    forward "$SPACE" service/minio 9000
    AWS_ACCESS_KEY_ID=$(secret "$SPACE" s3-writer access-key-id) AWS_SECRET_ACCESS_KEY=$(secret "$SPACE" s3-writer secret-access-key) \
        S3_ENDPOINT=http://$FORWARDED "$DEMO/s3" "$@" || rc=$?
    end_forward
    return "$rc"
}

# The cluster's kubectl, helm and kubeconfig.
enter_cluster() {
    local environment
    environment=$("$TOP/dev/cluster" env)
    eval "$environment"
}

# secret <namespace> <name> <key>
secret() { kubectl get secret -n "$1" "$2" -o "jsonpath={.data['${3//./\\.}']}" | base64 -d; }
