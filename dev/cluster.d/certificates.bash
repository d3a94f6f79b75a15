# Keys and certificates of a native cluster, and the kubeconfig files made of them. Sourced by native.bash.
# shellcheck shell=bash

make_certificates() {
    mkdir -p "$STATE/certificates"
    chmod 700 "$STATE/certificates"
    (
        cd "$STATE/certificates" || exit
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=lifeboat-test-ca \
            -keyout ca.key -out ca.crt 2>/dev/null
        openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out service-accounts.key 2>/dev/null
        openssl pkey -in service-accounts.key -pubout -out service-accounts.pub
    )
    certificate apiserver /CN=kube-apiserver serverAuth \
        "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:$API_SERVICE_ADDRESS,IP:$CLUSTER_ADDRESS"
    certificate apiserver-to-kubelet /O=system:masters/CN=kube-apiserver clientAuth
    kubeconfig_for admin /O=system:masters/CN=admin "$KUBECONFIG_FILE"
    kubeconfig_for controller-manager /CN=system:kube-controller-manager "$STATE/controller-manager.kubeconfig"
    kubeconfig_for scheduler /CN=system:kube-scheduler "$STATE/scheduler.kubeconfig"
    kubeconfig_for proxy /CN=system:kube-proxy "$STATE/proxy.kubeconfig"
    kubeconfig_for coredns /CN=coredns "$STATE/coredns.kubeconfig"
}

# certificate <name> <subject> <serverAuth|clientAuth> [subject alternative names]
certificate() {
    local name=$1 subject=$2 usage=$3 names=${4:-}
    (
        cd "$STATE/certificates" || exit
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" \
            -keyout "$name.key" -out "$name.csr" 2>/dev/null
        openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" -days 3650 \
            -extfile <(echo "extendedKeyUsage=$usage" && [[ -z $names ]] || echo "subjectAltName=$names") \
            -out "$name.crt" 2>/dev/null
        rm "$name.csr"
    )
}

# kubeconfig_for <certificate name> <subject> <file>: self-contained, so that it can be copied elsewhere.
kubeconfig_for() {
    local name=$1 subject=$2 file=$3
    local certificates=$STATE/certificates
    certificate "$name" "$subject" clientAuth
    (
        umask 077
        cat >"$file" <<END
apiVersion: v1
kind: Config
current-context: $CLUSTER_NAME
clusters:
- name: $CLUSTER_NAME
  cluster:
    server: $API_SERVER
    certificate-authority-data: $(base64 -w0 "$certificates/ca.crt")
users:
- name: $name
  user:
    client-certificate-data: $(base64 -w0 "$certificates/$name.crt")
    client-key-data: $(base64 -w0 "$certificates/$name.key")
contexts:
- name: $CLUSTER_NAME
  context: {cluster: $CLUSTER_NAME, user: $name}
END
    )
}
