# shellcheck shell=bash
# name: OpenStack Swift
# kind: `s3api` and `tempauth`, one replica, four processes
# from: PyPI, `swift`
# key: matrix:tester
# says: Everything works as promised, and every body is checked.
# says: It minds the region, and names the right one. An unknown key it calls a wrong secret, so look at both.
version() { echo 2.38.3; }
install() { venv "swift==$VERSION"; }
start() {
    local etc=$DATA/etc kind ports number=0
    export PATH=$PLACE/bin:$PATH
    mapfile -t ports < <(free_ports 3)
    mkdir -p "$etc" "$DATA/node/disk"
    printf '[swift-hash]\nswift_hash_path_suffix = matrix\n[storage-policy:0]\nname = one\ndefault = yes\n' >"$etc/swift.conf"
    for kind in account container object; do
        (
            cd "$etc" || exit
            swift-ring-builder "$kind.builder" create 4 1 0
            swift-ring-builder "$kind.builder" add "r1z1-127.0.0.1:${ports[number]}/disk" 1
            swift-ring-builder "$kind.builder" rebalance
        ) >/dev/null
        cat >"$etc/$kind.conf" <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${ports[number]}
swift_dir = $etc
devices = $DATA/node
mount_check = false
user = $(id -un)
workers = 0
fallocate_reserve = 0
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
END
        number=$((number + 1))
    done
    cat >"$etc/proxy.conf" <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $PORT
swift_dir = $etc
user = $(id -un)
workers = 0
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats s3api tempauth bulk slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_${KEY/:/_} = $SECRET .admin
[filter:s3api]
use = egg:swift#s3api
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
END
    export SWIFT_DIR=$etc
    for kind in account container object; do
        "swift-$kind-server" "$etc/$kind.conf" &
    done
    exec swift-proxy-server "$etc/proxy.conf"
}
