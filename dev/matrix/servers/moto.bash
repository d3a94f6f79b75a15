# shellcheck shell=bash
# name: moto
# kind: memory; knows no keys
# from: PyPI, `moto[server]`
# says: Everything works, for tests: it takes any key and any region, and checks no body. A part that lost a bit on its way is stored, and only a drill finds it.
version() { echo 5.2.5; }
install() { venv "moto[server]==$VERSION"; }
start() { exec "$PLACE/bin/moto_server" -H 127.0.0.1 -p "$PORT"; }
