# shellcheck shell=bash
# name: MiniStack
# kind: memory; knows no keys
# from: PyPI, `ministack`
# says: Everything works, for tests: it takes any key. Bodies are checked, and it minds the region.
version() { echo 1.5.33; }
install() { venv "ministack==$VERSION"; }
start() {
    export GATEWAY_PORT=$PORT BIND_HOST=127.0.0.1
    exec "$PLACE/bin/ministack"
}
