# shellcheck shell=bash
# name: s3rver
# kind: a folder
# from: npm, `s3rver`
# key: S3RVER
# secret: S3RVER
# says: **No backup can be made.** It cannot give up an upload in parts. The probe finds it, so the BackupStore is not ready and `lifeboat backup` ends before anything is locked.
# says: It ignores `If-None-Match`, and its listing leaves out a folder that holds nothing but folders, so `lifeboat list` finds nothing.
version() { echo 3.7.1; }
install() { npm_install "s3rver@$VERSION"; }
start() { exec node "$PLACE/node_modules/s3rver/bin/s3rver.js" -d "$DATA" -a 127.0.0.1 -p "$PORT" --configure-bucket "$BUCKET"; }
