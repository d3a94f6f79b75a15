# The network namespace of a native cluster and its link to this machine. Sourced by native.bash.
# shellcheck shell=bash

make_network() {
    touch "$NETWORK"
    # Not `ip netns add`: that mounts /run/netns over itself, and pods made before can then not be removed.
    unshare --net="$NETWORK" true
    ip link add "$HOST_LINK" type veth peer name uplink
    # nsenter's own process is the handle by which a link moves into a namespace that has no name.
    nsenter --net="$NETWORK" sleep 60 &
    local holder=$!
    await "the cluster's network namespace" 10 other_network "$holder"
    ip link set uplink netns "$holder"
    kill "$holder"
    wait "$holder" 2>/dev/null || true

    ip address add "$HOST_ADDRESS/24" dev "$HOST_LINK"
    ip link set "$HOST_LINK" up
    in_network ip link set lo up
    in_network ip address add "$CLUSTER_ADDRESS/24" dev uplink
    in_network ip link set uplink up
    in_network ip route add default via "$HOST_ADDRESS"
    in_network sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
    # Tests on this machine reach pods and Services directly.
    ip route replace "$POD_SUBNET" via "$CLUSTER_ADDRESS"
    ip route replace "$SERVICE_SUBNET" via "$CLUSTER_ADDRESS"
}

in_network() { nsenter --net="$NETWORK" "$@"; }

other_network() { [[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }

# Routes, bridges and iptables rules go with the namespace.
remove_network() {
    ip link delete "$HOST_LINK" 2>/dev/null || true
    umount "$NETWORK" 2>/dev/null || true
}
