//! Client certificates, and what a URI demands: for our own connections and for pg_dump alike.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lifeboat::api::Reason;
use lifeboat::api::backup_policy::{DatabaseKeys, TlsMode};
use lifeboat::postgres::{ChannelBinding, Target, connect};
use lifeboat::task::{CaTask, DatabaseTask};
use rcgen::{CertificateParams, DnType, KeyPair};
use secrecy::SecretString;

use crate::network::{Authority, dumps, reason, reload, write_key};
use crate::pg::Server;

/// Certificate and key of a role.
fn issued(authority: &Authority, role: &str) -> (String, String) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, role);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A server that lets nobody in over TCP without what `hba` says, and the authority of its certificates.
async fn server(hba: &str) -> (Server, Authority) {
    let server = Server::start(17, &["listen_addresses=127.0.0.1"]);
    let authority = Authority::new();
    authority.install(&server, &["localhost"], false).await;
    let data = server.dir.path().join("data");
    std::fs::write(data.join("root.crt"), authority.pem()).unwrap();
    let hba = format!("local all all trust\n{hba}\n");
    std::fs::write(data.join("pg_hba.conf"), hba).unwrap();
    for set in ["ssl_ca_file = 'root.crt'", "ssl = on"] {
        server
            .sql("postgres", &format!("ALTER SYSTEM SET {set}"))
            .await;
    }
    let roles = "CREATE ROLE app LOGIN PASSWORD 'right' IN ROLE pg_read_all_data";
    server.sql("postgres", roles).await;
    reload(&server).await;
    (server, authority)
}

/// A Secret as the kubelet mounts it.
fn secret(values: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (key, value) in values {
        std::fs::write(dir.path().join(key), value).unwrap();
    }
    dir
}

fn task(server: &Server, secret: &Path, ca: &Path) -> DatabaseTask {
    DatabaseTask {
        secret_name: "shop-backup".into(),
        dir: secret.to_str().unwrap().into(),
        keys: DatabaseKeys::default(),
        host: Some("localhost".into()),
        port: Some(i32::from(server.port)),
        name: Some("postgres".into()),
        user: Some("app".into()),
        tls_mode: Some(TlsMode::VerifyFull),
        ca: Some(CaTask {
            source: "Secret/shop-ca".into(),
            dir: ca.to_str().unwrap().into(),
            key: "ca.crt".into(),
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_with_certificate_and_key_logs_in_without_a_password_and_so_does_pg_dump() {
    let (server, authority) = server("hostssl all all 127.0.0.1/32 cert").await;
    let ca = secret(&[("ca.crt", &String::from_utf8(authority.pem()).unwrap())]);
    let (certificate, key) = issued(&authority, "app");
    // As CloudNativePG issues them: nothing else is in the Secret.
    let mounted = secret(&[("tls.crt", &certificate), ("tls.key", &key)]);
    let target = Target::from_task(&task(&server, mounted.path(), ca.path())).unwrap();
    assert!(!format!("{target:?}").contains("PRIVATE"), "{target:?}");
    drop(connect(&target, "x").await.unwrap());
    dumps(&server, &target).await;

    let without = Target {
        demands: lifeboat::postgres::Demands::default(),
        ..target.clone()
    };
    let error = connect(&without, "x").await.unwrap_err();
    assert_eq!(error.reason(), Reason::AuthenticationFailed, "{error}");
    assert!(
        error.to_string().contains("keys tls.crt and tls.key"),
        "{error}"
    );

    let stranger = issued(&Authority::new(), "app");
    let mounted = secret(&[("tls.crt", &stranger.0), ("tls.key", &stranger.1)]);
    let target = Target::from_task(&task(&server, mounted.path(), ca.path())).unwrap();
    let error = connect(&target, "x").await.unwrap_err();
    assert_eq!(error.reason(), Reason::AuthenticationFailed, "{error}");
    assert!(
        error
            .to_string()
            .contains("refuses the client certificate of Secret shop-backup"),
        "{error}"
    );
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_by_its_secret_and_key() {
    let authority = Authority::new();
    let (certificate, key) = issued(&authority, "app");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    type Case<'a> = (&'a [(&'a str, &'a str)], Reason, &'a str);
    let cases: [Case<'_>; 5] = [
        (
            &[("tls.crt", &certificate)],
            Reason::KeyMissing,
            "lacks tls.key",
        ),
        (&[("tls.key", &key)], Reason::KeyMissing, "lacks tls.crt"),
        (
            &[("tls.crt", "no"), ("tls.key", &key)],
            Reason::SecretInvalid,
            "holds no certificate",
        ),
        (
            &[("tls.crt", &certificate), ("tls.key", "no")],
            Reason::SecretInvalid,
            "has no key",
        ),
        (
            &[("tls.crt", &certificate), ("tls.key", encrypted)],
            Reason::SecretInvalid,
            "passphrase",
        ),
    ];
    for (values, reason, words) in cases {
        let mounted = secret(values);
        let task = DatabaseTask {
            secret_name: "shop-backup".into(),
            dir: mounted.path().to_str().unwrap().into(),
            keys: DatabaseKeys::default(),
            host: Some("db".into()),
            port: None,
            name: Some("shop".into()),
            user: Some("app".into()),
            tls_mode: None,
            ca: None,
        };
        let error = Target::from_task(&task).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        let text = error.to_string();
        assert!(
            text.contains("Secret shop-backup") && text.contains(words),
            "{text}"
        );
    }
}

/// A person's files, in a folder that may be their home.
struct Files(tempfile::TempDir);

impl Files {
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_key(&path, text);
    }

    fn target(&self, uri: &str) -> Result<Target, lifeboat::postgres::PgError> {
        let home = self.0.path().to_str().unwrap().to_owned();
        Target::from_uri(uri, &|name| (name == "HOME").then(|| home.clone()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_uri_demands_is_followed_as_libpq_follows_it() {
    let (server, authority) = server("hostssl all all 127.0.0.1/32 cert").await;
    let (certificate, key) = issued(&authority, "app");
    let files = Files(tempfile::tempdir().unwrap());
    files.write("app.crt", &certificate);
    files.write("app.key", &key);
    files.write("ca.crt", &String::from_utf8(authority.pem()).unwrap());
    files.write(
        "other.crt",
        &String::from_utf8(Authority::new().pem()).unwrap(),
    );
    let base = format!("postgresql://app@localhost:{}/postgres", server.port);
    let client = format!(
        "sslcert={}&sslkey={}",
        files.path("app.crt"),
        files.path("app.key")
    );
    let uri = |mode: &str, root: &str| {
        let root = files.path(root);
        format!("{base}?sslmode={mode}&sslrootcert={root}&{client}")
    };
    // `require` with an authority is more than `require`.
    for mode in ["require", "verify-ca", "verify-full"] {
        let target = files.target(&uri(mode, "ca.crt")).unwrap();
        drop(connect(&target, "x").await.unwrap());
        let target = files.target(&uri(mode, "other.crt")).unwrap();
        assert_eq!(reason(&target).await, Reason::UntrustedIssuer, "{mode}");
    }
    let target = files.target(&uri("require", "ca.crt")).unwrap();
    assert_eq!(target.tls, TlsMode::VerifyCa);
    dumps(&server, &target).await;
    // Without one it asks nothing of the server, and shows our certificate all the same.
    let target = files
        .target(&format!("{base}?sslmode=require&{client}"))
        .unwrap();
    assert_eq!(target.tls, TlsMode::Require);
    drop(connect(&target, "x").await.unwrap());
    // Where libpq looks by itself.
    for (name, of) in [
        ("root.crt", "ca.crt"),
        ("postgresql.crt", "app.crt"),
        ("postgresql.key", "app.key"),
    ] {
        let text = std::fs::read_to_string(files.path(of)).unwrap();
        files.write(&format!(".postgresql/{name}"), &text);
    }
    let target = files.target(&base).unwrap();
    assert_eq!(target.tls, TlsMode::VerifyFull);
    drop(connect(&target, "x").await.unwrap());

    std::fs::set_permissions(
        files.path("app.key"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let error = files.target(&uri("require", "ca.crt")).unwrap_err();
    assert!(error.to_string().contains("chmod 0600"), "{error}");
    let error = files
        .target(&format!("{base}?sslmode=require&sslrootcert=system"))
        .unwrap_err();
    assert!(error.to_string().contains("verify-full"), "{error}");
    let gone = files.path("gone");
    let error = files
        .target(&format!("{base}?sslrootcert={gone}"))
        .unwrap_err();
    assert!(
        error.to_string().contains("failed to read sslrootcert"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_must_be_bound_to_its_line_is_or_fails() {
    let hba =
        "hostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all all 127.0.0.1/32 scram-sha-256";
    let (server, authority) = server(hba).await;
    let mut target = Target {
        host: "localhost".into(),
        user: "app".into(),
        password: Some(SecretString::from("right")),
        tls: TlsMode::VerifyFull,
        ca_pem: Some(authority.pem()),
        ..server.target("postgres")
    };
    for binding in [
        ChannelBinding::Disable,
        ChannelBinding::Prefer,
        ChannelBinding::Require,
    ] {
        target.demands.channel_binding = binding;
        drop(connect(&target, "x").await.unwrap());
        dumps(&server, &target).await;
    }
    target.tls = TlsMode::Disable;
    let error = connect(&target, "x").await.unwrap_err();
    assert!(error.to_string().contains("channel binding"), "{error}");
    target.demands.channel_binding = ChannelBinding::Prefer;
    drop(connect(&target, "x").await.unwrap());
}
