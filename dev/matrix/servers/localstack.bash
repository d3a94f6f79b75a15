# shellcheck shell=bash
# name: LocalStack
# kind: memory
# from: PyPI, `localstack[runtime]`
# says: The package is the client of a container, without a server in it. `localstack start --host` ends with
version() { echo 2026.8.2; }
install() { venv "localstack[runtime]==$VERSION"; }
start() { exec "$PLACE/bin/localstack" start --host; }
