# Everything that tells one slot's cluster from another's. Sourced by dev/cluster.
# shellcheck shell=bash disable=SC2034  # the other pieces read these

SLOT=${CLUSTER_SLOT:-0}
[[ $SLOT =~ ^[0-9]$ ]] || { echo "cluster: CLUSTER_SLOT is a digit, not $SLOT" >&2 && exit 1; }

STATE=${XDG_STATE_HOME:-$HOME/.local/state}/lifeboat/cluster-$SLOT
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/lifeboat
LOGS=$STATE/logs
KUBECONFIG_FILE=$STATE/kubeconfig
CLUSTER_NAME=lifeboat-$SLOT

KUBERNETES_BIN=$("$DEV/tools/build" --path kubernetes)
HELM_BIN=$("$DEV/tools/build" --path helm)
ETCD_BIN=$("$DEV/tools/build" --path etcd)
COREDNS_BIN=$("$DEV/tools/build" --path coredns)

# A native cluster lives in a network namespace of its own, joined to the machine by one veth pair. kube-proxy owns
# chains with fixed names, so two clusters in one namespace would delete each other's Services; and the namespace
# takes bridges, routes and iptables rules with it when it goes. Ports can therefore be the usual ones everywhere.
NETWORK=$STATE/network
HOST_LINK=lifeboat$SLOT
HOST_ADDRESS=10.251.$SLOT.1    # the machine, seen from pods
CLUSTER_ADDRESS=10.251.$SLOT.2 # the control plane
POD_SUBNET=10.$((110 + SLOT)).0.0/16
SERVICE_SUBNET=10.$((96 + SLOT)).0.0/16
API_SERVICE_ADDRESS=10.$((96 + SLOT)).0.1
DNS_SERVICE_ADDRESS=10.$((96 + SLOT)).0.10
API_SERVER=https://$CLUSTER_ADDRESS:6443

# What belongs to one node. Two kubelets with one cgroup root kill each other's containers.
node_name() { echo "node$1"; }
node_directory() { echo "$STATE/node$1"; }
node_address() { echo "10.251.$SLOT.$((10 + $1))"; }
node_bridge() { echo "node$1"; }
node_pod_bridge() { echo "pods$1"; }
node_pod_subnet() { echo "10.$((110 + SLOT)).$1.0/24"; }
node_cgroup() { echo "$CLUSTER_NAME-node$1"; }
node_network_name() { echo "$CLUSTER_NAME-node$1"; }

say() { echo "cluster: $*"; }
fail() {
    echo "cluster: $*" >&2
    exit 1
}
