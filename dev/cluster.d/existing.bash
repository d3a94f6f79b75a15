# A cluster somebody else runs; KUBECONFIG names it. Sourced by dev/cluster.
# shellcheck shell=bash

KUBECONFIG_FILE=${KUBECONFIG:-$HOME/.kube/config}

cluster_up() {
    kubectl get --raw /readyz >/dev/null || fail "the cluster of $KUBECONFIG_FILE does not answer"
}

# Only the note of its kind goes; the cluster stays as it is.
cluster_down() { rm -rf "$STATE"; }

cluster_healthy() { [[ -e $STATE/kind ]] && kubectl get --raw /readyz >/dev/null 2>&1; }

cluster_import() {
    fail "an existing cluster pulls its images: push $1 to a registry it can reach and name the image in LIFEBOAT_IMAGE and POSTGRES_IMAGE"
}

cluster_logs() { fail "the logs of an existing cluster are where its operator keeps them"; }

# Empty: whether pods can reach this machine, and how, only its operator knows.
cluster_host() { echo "${CLUSTER_HOST:-}"; }
