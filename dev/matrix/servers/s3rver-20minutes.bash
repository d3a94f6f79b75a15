# shellcheck shell=bash
# name: s3rver of 20minutes
# kind: a folder
# from: npm, `@20minutes/s3rver`
# key: S3RVER
# secret: S3RVER
# says: **No backup can be made,** for the same reason as with s3rver, whose successor it is.
# says: It ignores `If-None-Match`, and takes no signature of a listing whose path ends in a slash.
version() { echo 5.0.0; }
install() { npm_install "@20minutes/s3rver@$VERSION"; }
# It has no program of its own.
start() {
    cd "$PLACE" || return
    exec node -e 'const S3rver = require("@20minutes/s3rver"), [directory, port, bucket] = process.argv.slice(1);
        new S3rver({directory, port, address: "127.0.0.1", configureBuckets: [{name: bucket}]}).run()' "$DATA" "$PORT" "$BUCKET"
}
