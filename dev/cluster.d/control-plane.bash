# etcd, API server, controllers, scheduler, Service addresses and names of a native cluster. Sourced by native.bash.
# shellcheck shell=bash

start_control_plane() {
    local certificates=$STATE/certificates
    # Loopback of a namespace that only the control plane enters: no TLS needed. Without fsync, since `down` removes it.
    start etcd nsenter --net="$NETWORK" "$ETCD_BIN/server" --name "$CLUSTER_NAME" --data-dir "$STATE/etcd" \
        --unsafe-no-fsync --log-level warn \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster "$CLUSTER_NAME=http://127.0.0.1:2380"

    # Pods leave a lost node after 20 s instead of 300, so that a test can wait for it. Without InternalIP as the
    # preferred address, `kubectl logs` would look the node's name up in the machine's DNS.
    start apiserver nsenter --net="$NETWORK" "$KUBERNETES_BIN/kube-apiserver" \
        --advertise-address "$CLUSTER_ADDRESS" --bind-address "$CLUSTER_ADDRESS" --secure-port 6443 \
        --etcd-servers http://127.0.0.1:2379 \
        --service-cluster-ip-range "$SERVICE_SUBNET" \
        --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction,PodSecurity --allow-privileged=true \
        --client-ca-file "$certificates/ca.crt" \
        --tls-cert-file "$certificates/apiserver.crt" --tls-private-key-file "$certificates/apiserver.key" \
        --kubelet-certificate-authority "$certificates/ca.crt" \
        --kubelet-client-certificate "$certificates/apiserver-to-kubelet.crt" \
        --kubelet-client-key "$certificates/apiserver-to-kubelet.key" \
        --kubelet-preferred-address-types InternalIP \
        --service-account-issuer https://kubernetes.default.svc.cluster.local \
        --service-account-key-file "$certificates/service-accounts.pub" \
        --service-account-signing-key-file "$certificates/service-accounts.key" \
        --default-not-ready-toleration-seconds 20 --default-unreachable-toleration-seconds 20 \
        --profiling=false
    await "API server" 120 kubectl get --raw /readyz

    start controller-manager nsenter --net="$NETWORK" "$KUBERNETES_BIN/kube-controller-manager" \
        --kubeconfig "$STATE/controller-manager.kubeconfig" --bind-address 127.0.0.1 --leader-elect=false \
        --authentication-kubeconfig "$STATE/controller-manager.kubeconfig" \
        --authorization-kubeconfig "$STATE/controller-manager.kubeconfig" \
        --service-account-private-key-file "$certificates/service-accounts.key" --root-ca-file "$certificates/ca.crt" \
        --use-service-account-credentials=true --allocate-node-cidrs=false \
        --node-monitor-grace-period 10s --node-monitor-period 2s --profiling=false

    start scheduler nsenter --net="$NETWORK" "$KUBERNETES_BIN/kube-scheduler" \
        --kubeconfig "$STATE/scheduler.kubeconfig" --bind-address 127.0.0.1 --leader-elect=false \
        --authentication-kubeconfig "$STATE/scheduler.kubeconfig" \
        --authorization-kubeconfig "$STATE/scheduler.kubeconfig" --profiling=false
}

# One kube-proxy and one CoreDNS serve all nodes of the namespace.
start_services() {
    # Without conntrack-max 0 it writes a sysctl that is read-only in a sandbox, and exits.
    start proxy nsenter --net="$NETWORK" "$KUBERNETES_BIN/kube-proxy" --kubeconfig "$STATE/proxy.kubeconfig" \
        --hostname-override "$(node_name 1)" --proxy-mode iptables --cluster-cidr "$POD_SUBNET" \
        --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0 \
        --healthz-bind-address "127.0.0.1:10256" --metrics-bind-address 127.0.0.1:10249

    # Outside names get a quick, final no: nothing out there can be reached, and a resolver that retries costs seconds.
    cat >"$STATE/Corefile" <<END
.:53 {
    bind $CLUSTER_ADDRESS
    errors
    health 127.0.0.1:8080
    ready $CLUSTER_ADDRESS:8181
    hosts {
        $HOST_ADDRESS host.cluster.internal
        fallthrough
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig $STATE/coredns.kubeconfig
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
}
END
    kubectl apply -f - >/dev/null <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: coredns}
rules:
- {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: coredns}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: coredns}
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec:
  clusterIP: $DNS_SERVICE_ADDRESS
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports:
- {name: dns, port: 53, protocol: UDP}
- {name: dns-tcp, port: 53, protocol: TCP}
endpoints:
- {addresses: [$CLUSTER_ADDRESS], conditions: {ready: true}}
END
    start coredns nsenter --net="$NETWORK" "$COREDNS_BIN/coredns" -conf "$STATE/Corefile"
}
