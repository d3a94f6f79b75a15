# A cluster made by kind in a Docker engine. Sourced by dev/cluster.
# shellcheck shell=bash

cluster_up() {
    command -v kind >/dev/null || fail "no kind on PATH (https://kind.sigs.k8s.io)"
    docker info >/dev/null 2>&1 || fail "no Docker engine answers"
    kind create cluster --name "$CLUSTER_NAME" --kubeconfig "$KUBECONFIG_FILE" --wait 180s --config - <<END
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  podSubnet: $POD_SUBNET
  serviceSubnet: $SERVICE_SUBNET
nodes:
- role: control-plane
END
}

cluster_down() {
    kind delete cluster --name "$CLUSTER_NAME" --kubeconfig "$KUBECONFIG_FILE"
    rm -rf "$STATE"
}

cluster_healthy() { [[ -s $KUBECONFIG_FILE ]] && kubectl get --raw /readyz >/dev/null 2>&1; }

cluster_import() {
    say "importing $(basename "$1")"
    kind load image-archive --name "$CLUSTER_NAME" "$1"
}

cluster_logs() { kind export logs --name "$CLUSTER_NAME" "${1:-$STATE/logs}"; }

# The gateway of kind's network is the machine.
cluster_host() {
    docker network inspect kind --format '{{range .IPAM.Config}}{{println .Gateway}}{{end}}' | grep -m1 -F . || true
}
