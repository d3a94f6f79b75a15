# shellcheck shell=bash
# name: s3s-fs
# kind: a folder
# from: crates.io, `s3s-fs`
# says: Everything works, and every body is checked, in a part too (it calls that an internal error, so it is sent again like any other). The tests have it in their own process.
# says: It takes any region, and a bucket that does not exist is made by the first write, as with SeaweedFS. It does not tell of open uploads.
version() { echo 0.14.1; }
# The same crate is a server inside our own tests.
install() { cargo install --locked --debug --root "$PLACE" --features binary --version "$VERSION" s3s-fs; }
start() {
    mkdir -p "$DATA/$BUCKET"
    exec "$PLACE/bin/s3s-fs" --host 127.0.0.1 --port "$PORT" --access-key "$KEY" --secret-key "$SECRET" "$DATA"
}
