# A cluster of plain processes on this machine, without Docker. Sourced by dev/cluster.
# shellcheck shell=bash

for piece in certificates network control-plane node cleanup; do
    # shellcheck source=/dev/null
    source "$DEV/cluster.d/$piece.bash"
done

cluster_up() {
    [[ $EUID == 0 ]] || fail "a native cluster needs root (namespaces, cgroups, mounts)"
    "$DEV/tools/packages"
    "$DEV/tools/build" kubernetes etcd coredns
    # Whatever stops half way is taken down again at the next `up`; its logs stay for the reader until then.
    make_certificates
    make_network
    start_control_plane
    start_node 1
    start_services
    await "a node that is Ready" 90 node_ready 1
    await "name service" 60 in_network curl -fs --max-time 2 -o /dev/null "http://$CLUSTER_ADDRESS:8181/ready"
    # A connection begun before kube-proxy has written its rules stays lost; the next one finds its way.
    await "Services from this machine" 60 curl -fsk --max-time 2 -o /dev/null "https://$API_SERVICE_ADDRESS/readyz"
    await "the default service account" 60 kubectl get serviceaccount default
    started_processes >"$STATE/complete"
}

cluster_down() {
    [[ $EUID == 0 ]] || fail "a native cluster needs root, to be taken down too"
    local node
    for node in $(nodes); do
        stop_node "$node"
    done
    # Nothing is left that needs a graceful end: the store goes with the cluster.
    # shellcheck disable=SC2046  # names of ours, without blanks
    stop $(started_processes)
    remove_network
    remove_state
    say "slot $SLOT is down"
}

cluster_healthy() {
    [[ -s $KUBECONFIG_FILE && -f $STATE/complete ]] || return 1
    local name
    for name in $(<"$STATE/complete"); do
        running "$name" || return 1
    done
    curl -fs -o /dev/null --max-time 5 --cacert "$STATE/certificates/ca.crt" "$API_SERVER/readyz"
}

cluster_import() {
    local archive=$1 node started=$SECONDS
    for node in $(nodes); do
        ctr_of "$node" images import "$archive" >/dev/null || fail "importing $archive into $(node_name "$node") failed"
    done
    say "imported $(basename "$archive") in $((SECONDS - started)) s"
}

cluster_logs() {
    local name=${1:-}
    if [[ -n $name ]]; then
        [[ -f $LOGS/$name.log ]] || fail "no log of $name; there are: $(cd "$LOGS" && echo ./*.log)"
        cat "$LOGS/$name.log"
    else
        tail -n 40 "$LOGS"/*.log
    fi
}

cluster_host() { echo "$HOST_ADDRESS"; }
