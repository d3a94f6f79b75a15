# shellcheck shell=bash
# name: gofakes3
# kind: memory; knows no keys
# from: Go module proxy
# says: Everything works, for tests: it takes any key and any region, and checks no body. A part that lost a bit on its way is stored, and only a drill finds it.
# says: It honours `If-None-Match` of a put and ignores that of an upload in parts, on which Lifeboat does not rely.
version() { echo 1.2.0; }
install() { GOBIN=$PLACE CGO_ENABLED=0 go install "github.com/johannesboyne/gofakes3/cmd/gofakes3@v$VERSION"; }
start() { exec "$PLACE/gofakes3" -backend mem -host "127.0.0.1:$PORT" -initialbucket "$BUCKET"; }
