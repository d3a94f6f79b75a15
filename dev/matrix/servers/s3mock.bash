# shellcheck shell=bash
# name: S3Mock
# kind: a folder; knows no keys
# from: Maven Central, `com.adobe.testing:s3mock`
# says: Everything works, for tests: it takes any key and any region.
# says: It checks the CRC32 of a whole object and not that of a part. A part that lost a bit on its way is stored, and only a drill finds it.
version() { echo 5.2.0; }
install() { jar "com.adobe.testing:s3mock:$VERSION:jar:exec"; }
start() {
    export COM_ADOBE_TESTING_S3MOCK_STORE_ROOT=$DATA
    exec java -Xmx512m -jar "$PLACE/server.jar" "--server.port=0" "--server.address=127.0.0.1" \
        "--com.adobe.testing.s3mock.controller.contextPath=" "--com.adobe.testing.s3mock.httpPort=$PORT"
}
