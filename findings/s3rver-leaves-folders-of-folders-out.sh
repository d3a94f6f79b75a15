#!/usr/bin/env bash
# s3rver 3.7.1 (npm): a listing with a delimiter leaves out every prefix under which there are only longer prefixes.
#
# With the keys `a/b/c` and `d/e` ListObjectsV2 with delimiter `/` must answer the common prefixes `a/` and `d/`. It answers `d/` alone,
# and without an error: who walks down folder by folder takes `a/` for empty. Without a delimiter both keys are listed.
# Asked with boto3 1.43.127.
#
# Seen on 2026-11-30:
#   prefixes: d/
#   keys: a/b/c d/e
set -euo pipefail
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
npm install --silent --no-audit --no-fund --prefix "$work" s3rver@3.7.1
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install boto3==1.43.127
mkdir "$work/data"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
node "$work/node_modules/s3rver/bin/s3rver.js" -d "$work/data" -a 127.0.0.1 -p "$port" --configure-bucket shop >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
    ! curl --silent --output /dev/null "http://127.0.0.1:$port/" || break
    sleep 0.1
done
seen=$("$work/venv/bin/python" - "$port" <<'PY'
import sys

import boto3
from botocore.config import Config

plain = Config(request_checksum_calculation="when_required")
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1", aws_access_key_id="S3RVER", aws_secret_access_key="S3RVER", config=plain)
for key in ("a/b/c", "d/e"):
    s3.put_object(Bucket="shop", Key=key, Body=b"x")
prefixes = s3.list_objects_v2(Bucket="shop", Delimiter="/").get("CommonPrefixes", [])
print("prefixes:", *(p["Prefix"] for p in prefixes))
print("keys:", *(o["Key"] for o in s3.list_objects_v2(Bucket="shop")["Contents"]))
PY
)
echo "$seen"
if [ "$seen" != $'prefixes: d/\nkeys: a/b/c d/e' ]; then
    echo "this has changed" >&2
    exit 1
fi
