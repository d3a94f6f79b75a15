# shellcheck shell=bash
# name: MinIO
# kind: a folder
# from: Go module proxy, built by dev/tools/build
# says: Everything works as promised, and every body is checked.
# says: It takes any region.
place() { dev/tools/build --path minio; }
version() { grep -oP 'minio/minio v[^-]*-\K\S+' dev/tools/minio/go.mod | head -n 1; }
install() { dev/tools/build minio; }
start() {
    mkdir -p "$DATA/$BUCKET"
    export MINIO_ROOT_USER=$KEY MINIO_ROOT_PASSWORD=$SECRET MINIO_BROWSER=off MINIO_UPDATE=off
    exec "$PLACE/minio" server --quiet --certs-dir "$DATA/.certs" --address "127.0.0.1:$PORT" "$DATA"
}
