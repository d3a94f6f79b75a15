# One node of a native cluster: an address on a bridge, a containerd and a kubelet. Sourced by native.bash.
# shellcheck shell=bash

# start_node <n>: everything it touches carries its number, so that several live in one namespace.
start_node() {
    local node=$1 name directory address
    name=$(node_name "$node")
    directory=$(node_directory "$node")
    address=$(node_address "$node")
    mkdir -p "$directory"/{cni,pods,pod-logs,plugins,certificates}

    # The address must not be loopback and must be on an interface; a bridge without ports will do.
    in_network ip link add "$(node_bridge "$node")" type bridge
    in_network ip address add "$address/32" dev "$(node_bridge "$node")"
    in_network ip link set "$(node_bridge "$node")" up

    make_cgroup "$(node_cgroup "$node")"
    write_containerd_config "$node" >"$directory/containerd.toml"
    write_pod_network_config "$node" >"$directory/cni/10-pods.conflist"
    write_kubelet_config "$node" >"$directory/kubelet.yaml"
    : >"$directory/resolv.conf"
    certificate "$name-serving" "/O=system:nodes/CN=system:node:$name" serverAuth "DNS:$name,IP:$address"
    kubeconfig_for "$name" "/O=system:nodes/CN=system:node:$name" "$directory/kubeconfig"

    start "containerd-$name" nsenter --net="$NETWORK" containerd --config "$directory/containerd.toml"
    await "containerd of $name" 60 ctr_of "$node" version
    ctr_of "$node" images import "$(pause_archive)" >/dev/null
    start "kubelet-$name" nsenter --net="$NETWORK" "$KUBERNETES_BIN/kubelet" --config "$directory/kubelet.yaml" \
        --kubeconfig "$directory/kubeconfig" --root-dir "$directory/pods" --cert-dir "$directory/certificates" \
        --hostname-override "$name" --node-ip "$address"
}

node_ready() { [[ $(kubectl get node "$(node_name "$1")" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]; }

# The numbers of the nodes that were started in this slot.
nodes() {
    local directory
    for directory in "$STATE"/node[0-9]*; do
        [[ ! -d $directory ]] || echo "${directory##*/node}"
    done
}

ctr_of() {
    local node=$1
    shift
    ctr --address "$(node_directory "$node")/containerd.sock" --namespace k8s.io "$@"
}

write_containerd_config() {
    local directory
    directory=$(node_directory "$1")
    # restrict_oom_score_adj: a sandbox without CAP_SYS_RESOURCE may not lower a score, and every container would fail.
    # netns_mounts_under_state_dir: so that this node's mounts all lie below its own directory.
    cat <<END
version = 2
root = "$directory/containerd"
state = "$directory/run"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "$directory/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$directory/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$CNI_BIN"
    conf_dir = "$directory/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "$directory/runc"
END
}

# The network's name is also the key of its leases. No masquerading: a pod's address stays visible to what it calls.
write_pod_network_config() {
    cat <<END
{
  "cniVersion": "0.4.0",
  "name": "$(node_network_name "$1")",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "$(node_pod_bridge "$1")",
      "isGateway": true,
      "ipMasq": false,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "dataDir": "$(node_directory "$1")/leases",
        "ranges": [[{"subnet": "$(node_pod_subnet "$1")"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
END
}

write_kubelet_config() {
    local directory address name
    name=$(node_name "$1")
    directory=$(node_directory "$1")
    address=$(node_address "$1")
    # Status every 2 s and a lease of 8 s: with the defaults, the controllers' 10 s of patience make nodes flap.
    # No image is ever collected: there is no registry to pull it from again.
    cat <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
healthzBindAddress: $address
readOnlyPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $STATE/certificates/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $STATE/certificates/$name-serving.crt
tlsPrivateKeyFile: $STATE/certificates/$name-serving.key
containerRuntimeEndpoint: unix://$directory/containerd.sock
podLogsDir: $directory/pod-logs
volumePluginDir: $directory/plugins
resolvConf: $directory/resolv.conf
clusterDNS: [$DNS_SERVICE_ADDRESS]
clusterDomain: cluster.local
cgroupDriver: cgroupfs
cgroupRoot: /$(node_cgroup "$1")
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 8
volumeStatsAggPeriod: 5s
serializeImagePulls: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: 100Mi
  nodefs.available: 500Mi
  nodefs.inodesFree: 1%
END
}

# make_cgroup <name>: the kubelet expects its root to be there, in every hierarchy.
make_cgroup() {
    local hierarchy
    if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
        mkdir -p "/sys/fs/cgroup/$1"
        # A controller that is not handed down does not exist in the pods' groups.
        sed 's/\(^\| \)/ +/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null ||
            say "some cgroup controllers cannot be handed down: limits may not hold"
        return
    fi
    for hierarchy in /sys/fs/cgroup/*/; do
        [[ -L ${hierarchy%/} || ${hierarchy%/} == */unified ]] || mkdir -p "$hierarchy$1"
        # A new cpuset has no processors and no memory, and nothing can be put into it.
        if [[ -f $hierarchy$1/cpuset.cpus && -z $(<"$hierarchy$1/cpuset.cpus") ]]; then
            cat "${hierarchy}cpuset.cpus" >"$hierarchy$1/cpuset.cpus"
            cat "${hierarchy}cpuset.mems" >"$hierarchy$1/cpuset.mems"
        fi
    done
}

PAUSE_IMAGE=localhost/pause:1

# Where Debian's package puts the plugins; elsewhere the usual place.
CNI_BIN=/usr/lib/cni
[[ -x $CNI_BIN/bridge ]] || CNI_BIN=/opt/cni/bin

# The program every pod begins with, as an image archive written by hand: there is no registry to pull it from.
pause_archive() {
    local archive=$CACHE/pause-1.tar work layer config
    if [[ ! -f $archive ]]; then
        work=$(mktemp -d)
        mkdir "$work/root" "$work/image"
        cc -static -Os -o "$work/root/pause" "$DEV/cluster.d/pause.c"
        tar -C "$work/root" --owner 0 --group 0 --numeric-owner -cf "$work/image/layer.tar" pause
        layer=$(sha256sum <"$work/image/layer.tar" | cut -d' ' -f1)
        config='{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/pause"],"User":"65535:65535"},'
        config+='"rootfs":{"type":"layers","diff_ids":["sha256:'$layer'"]}}'
        echo "$config" >"$work/image/config.json"
        echo '[{"Config":"config.json","RepoTags":["'$PAUSE_IMAGE'"],"Layers":["layer.tar"]}]' >"$work/image/manifest.json"
        tar -C "$work/image" -cf "$archive.new" manifest.json config.json layer.tar
        mv "$archive.new" "$archive"
        rm -rf "$work"
    fi
    echo "$archive"
}
