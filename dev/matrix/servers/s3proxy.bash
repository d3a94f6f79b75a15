# shellcheck shell=bash
# name: s3proxy
# kind: a folder, `filesystem-nio2`
# from: Maven Central, `org.gaul:s3proxy`
# says: Everything works as promised, and every body is checked.
# says: It takes any region.
version() { echo 4.1.0; }
install() { jar "org.gaul:s3proxy:$VERSION:jar:jar-with-dependencies"; }
start() {
    mkdir -p "$DATA/store"
    cat >"$DATA/s3proxy.conf" <<END
s3proxy.authorization=aws-v2-or-v4
s3proxy.endpoint=http://127.0.0.1:$PORT
s3proxy.identity=$KEY
s3proxy.credential=$SECRET
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=$DATA/store
END
    exec java -Xmx512m -jar "$PLACE/server.jar" --properties "$DATA/s3proxy.conf"
}
