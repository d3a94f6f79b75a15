# Removing what a native cluster leaves behind. Sourced by native.bash.
# shellcheck shell=bash

# stop_node <n>: the kubelet first, or it would start again what is being ended.
stop_node() {
    local node=$1 name directory
    name=$(node_name "$node")
    directory=$(node_directory "$node")
    stop "kubelet-$name"
    kill_containers "$(node_cgroup "$node")"
    stop "containerd-$name"
    kill_shims "$directory"
    unmount_below "$directory"
    remove_cgroup "$(node_cgroup "$node")"
    forget_pod_networks "$(node_network_name "$node")"
    remove_log_links "$directory"
    rm -rf "$directory"
}

# By cgroup, so that no process of another node or of the machine can be meant.
kill_containers() {
    local pid
    for pid in $(processes_in "$1"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    within 10 no_processes_in "$1" || say "processes survive in cgroup $1: $(processes_in "$1" | tr '\n' ' ')"
}

processes_in() {
    find /sys/fs/cgroup -path "*/$1*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un || true
}

# Zombies stay in their group until their parent, a shim, has gone.
no_processes_in() {
    local pid
    for pid in $(processes_in "$1"); do
        [[ $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) == [ZX]* || ! -d /proc/$pid ]] || return 1
    done
}

# A shim outlives its containerd by design; it is ours if it was started for our containerd's socket.
kill_shims() {
    local process words address
    for address in "$1"/run/io.containerd.runtime.v2.task/*/*/address; do
        [[ ! -f $address ]] || rm -f "$(sed 's,^unix://,,' "$address")"
    done
    for process in /proc/[0-9]*; do
        mapfile -d '' -t words 2>/dev/null <"$process/cmdline" || continue
        [[ ${words[0]:-} == *containerd-shim-runc-v2 && " ${words[*]} " == *" -address $1/containerd.sock "* ]] || continue
        kill -KILL "${process#/proc/}" 2>/dev/null || true
    done
}

# The deepest first. A path with a blank is written \040 in the table.
unmount_below() {
    local target
    while read -r target; do
        umount --lazy "$(printf '%b' "$target")" 2>/dev/null || true
    done < <(awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r)
}

remove_cgroup() {
    local group
    # rmdir works from the leaves up, and only once the kernel has let go of the last process.
    for group in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
        [[ ! -d $group ]] || within 5 remove_group "$group" || say "cgroup $group cannot be removed"
    done
}

remove_group() {
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [[ ! -d $1 ]]
}

# What the network plugins note of each pod, for all nodes of a machine in one folder; the loopback's note has only
# the pod's id in its name.
forget_pod_networks() {
    local note id
    for note in /var/lib/cni/results/"$1"-*-eth0; do
        [[ -f $note ]] || continue
        id=${note##*/"$1"-}
        rm -f "$note" "/var/lib/cni/results/cni-loopback-${id%-eth0}-lo"
    done
}

# The kubelet links every log into a folder that all nodes of a machine share.
remove_log_links() {
    [[ ! -d /var/log/containers ]] || find /var/log/containers -lname "$1/*" -delete
}

remove_state() {
    unmount_below "$STATE"
    rm -rf --one-file-system "$STATE"
}
