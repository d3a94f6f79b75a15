# shellcheck shell=bash
# name: versitygw
# kind: a folder, `posix`
# from: Go module proxy, built by dev/tools/build
# says: Everything works as promised, and every body is checked.
# says: It minds the region: leave `s3.region` away, or set what it was started with (`us-east-1` unless told otherwise). A wrong one is refused, and the right one named.
place() { dev/tools/build --path versitygw; }
version() { grep -oP 'versity/versitygw v\K[0-9.]+' dev/tools/versitygw/go.mod | head -n 1; }
install() { dev/tools/build versitygw; }
start() {
    mkdir -p "$DATA/$BUCKET"
    exec "$PLACE/versitygw" --access "$KEY" --secret "$SECRET" --port "127.0.0.1:$PORT" posix "$DATA"
}
