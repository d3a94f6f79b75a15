//! Every store against one suite, and S3 against servers that refuse, forget and lose.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "objects/lies.rs"]
mod lies;
#[path = "support/s3_server.rs"]
mod s3_server;
#[path = "support/suite.rs"]
mod suite;
#[path = "objects/trouble.rs"]
mod trouble;

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::codec::{Codec, Limits, ObjectWriter, Recipients};
use lifeboat::manifest::ObjectRole;
use lifeboat::objects::{Dir, Memory, ObjectStore, PutMode, S3, StoreError, probe, put_new};
use lifeboat::task::{CaTask, StoreTask};
use rstest::rstest;
use s3_server::{KEY_ID, Manners, SECRET, Server, secret, start, task};

/// Bytes of a part: small, because tests are not optimised.
const PART: usize = 64 * 1024;

async fn server_and_store(manners: Manners) -> (Server, Arc<S3>) {
    let server = start(manners).await;
    let store = Arc::new(S3::from_task(&server.task("prod/a")).unwrap());
    (server, store)
}

/// The error of a first write.
async fn refused(task: &StoreTask) -> StoreError {
    let error = match S3::from_task(task) {
        Err(error) => error,
        Ok(store) => {
            let body = Bytes::from_static(b"x");
            store
                .put("key", body, PutMode::Overwrite)
                .await
                .unwrap_err()
        }
    };
    let text = format!("{error} {error:?}");
    assert!(!text.contains(SECRET) && !text.contains(KEY_ID), "{text}");
    assert!(text.contains("s3://shop"), "{text}");
    error
}

#[tokio::test]
async fn memory_does_what_a_store_must() {
    suite::run(Arc::new(Memory::new()), PART).await;
}

#[tokio::test]
async fn a_folder_does_what_a_store_must_and_keeps_nothing_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    suite::run(Arc::new(Dir::new(folder.path().join("new"))), PART).await;
    let aside = folder.path().join("new/.lifeboat/unfinished");
    assert_eq!(std::fs::read_dir(aside).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_refuses_keys_that_would_leave_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Dir::new(folder.path().join("in"));
    for key in ["../out", "a/../../out", "/etc/x", "", "a//b"] {
        let put = store.put(key, Bytes::new(), PutMode::Overwrite).await;
        assert_eq!(put.unwrap_err().reason(), Reason::InvalidSpec, "{key}");
    }
    assert!(!folder.path().join("out").exists());
}

#[tokio::test]
async fn an_s3_store_does_what_a_store_must() {
    let (_server, store) = server_and_store(Manners::default()).await;
    suite::run(store, 5 * 1024 * 1024).await;
}

#[tokio::test]
async fn an_s3_store_that_ignores_conditions_is_found_out_and_works() {
    let manners = Manners {
        ignores_conditions: true,
        ..Manners::default()
    };
    let (_server, store) = server_and_store(manners).await;
    suite::small_objects(store.as_ref(), false).await;
}

#[tokio::test]
async fn an_s3_store_that_refuses_conditions_still_takes_new_objects() {
    let manners = Manners {
        refuses_conditions: true,
        ..Manners::default()
    };
    let (_server, store) = server_and_store(manners).await;
    let body = Bytes::from_static(b"x");
    let error = store
        .put("a", body.clone(), PutMode::CreateOnly)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::NotSupportedByStore);
    put_new(store.as_ref(), "a", body).await.unwrap();
    let (found, outcome) = probe(store.as_ref()).await;
    outcome.unwrap();
    assert_eq!(
        (found.conditional_writes, found.writable),
        (Some(false), Some(true))
    );
}

#[tokio::test]
async fn a_put_tells_the_stores_own_clock() {
    let (_server, store) = server_and_store(Manners::default()).await;
    let put = store
        .put("a", Bytes::new(), PutMode::CreateOnly)
        .await
        .unwrap();
    assert!(put.server_date.is_some());
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_finds_its_own_object() {
    let manners = Manners {
        loses_answers: 1,
        ..Manners::default()
    };
    let (_server, store) = server_and_store(manners).await;
    let body = Bytes::from_static(b"manifest");
    store
        .put("m", body.clone(), PutMode::CreateOnly)
        .await
        .unwrap();
    let again = store.put("m", body, PutMode::CreateOnly).await;
    assert_eq!(
        again.unwrap_err().reason(),
        Reason::AlreadyExists,
        "not ours: no answer was lost"
    );
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let server = start(Manners::default()).await;
    let task = StoreTask {
        bucket: "shop-gone".to_owned(),
        ..server.task("")
    };
    let error = refused(&task).await;
    assert_eq!(error.reason(), Reason::BucketNotFound, "{error}");
    assert!(error.permanent());
    assert!(error.to_string().contains("shop-gone"), "{error}");
}

#[rstest]
#[case("AKIANOTKNOWN00000001", SECRET)]
#[case(KEY_ID, "another-secret-that-is-wrong")]
#[tokio::test]
async fn wrong_credentials_are_told_apart_from_denied_ones(#[case] id: &str, #[case] key: &str) {
    let server = start(Manners::default()).await;
    let mut task = server.task("");
    let folder = tempfile::tempdir().unwrap();
    secret(
        folder.path(),
        &[("access-key-id", id), ("secret-access-key", key)],
    );
    folder.path().to_str().unwrap().clone_into(&mut task.dir);
    let error = refused(&task).await;
    assert_eq!(error.reason(), Reason::StoreCredentialsInvalid, "{error}");
    assert!(!error.to_string().contains(key), "{error}");
}

#[tokio::test]
async fn a_denied_write_is_told_and_a_denied_list_only_noted() {
    let denied = start(Manners {
        denies_writes: true,
        ..Manners::default()
    })
    .await;
    let error = refused(&denied.task("")).await;
    assert_eq!(error.reason(), Reason::StoreAccessDenied, "{error}");
    let (_server, store) = server_and_store(Manners {
        denies_lists: true,
        ..Manners::default()
    })
    .await;
    let (found, outcome) = probe(store.as_ref()).await;
    outcome.unwrap();
    assert_eq!((found.list, found.writable), (Some(false), Some(true)));
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_host_are_unreachable() {
    let server = start(Manners::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut task = server.task("");
    task.endpoint = Some(format!("http://127.0.0.1:{port}"));
    let error = refused(&task).await;
    assert_eq!(error.reason(), Reason::StoreUnreachable, "{error}");
    assert!(error.to_string().contains("connection refused"), "{error}");
    assert!(!error.permanent());
    task.endpoint = Some("http://store.invalid:9000".to_owned());
    let error = refused(&task).await;
    assert_eq!(error.reason(), Reason::StoreUnreachable, "{error}");
    assert!(error.to_string().contains("does not resolve"), "{error}");
}

#[tokio::test]
async fn a_missing_secret_a_missing_key_and_an_unusable_value_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("mounted");
    let task = task("http://127.0.0.1:9", "", dir.to_str().unwrap());
    let expect = |reason, word| {
        let error = S3::from_task(&task).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.reason(), reason, "{text}");
        assert!(text.contains("s3-write") && text.contains(word), "{text}");
    };
    expect(Reason::SecretMissing, "does not exist");
    secret(&dir, &[]);
    expect(Reason::SecretMissing, "empty");
    secret(&dir, &[("access-key-id", KEY_ID)]);
    expect(Reason::KeyMissing, "secret-access-key");
    secret(&dir, &[("secret-access-key", " ")]);
    expect(Reason::SecretInvalid, "secret-access-key");
    secret(&dir, &[("secret-access-key", "two words")]);
    expect(Reason::SecretInvalid, "secret-access-key");
    secret(&dir, &[("secret-access-key", SECRET)]);
    S3::from_task(&task).unwrap();
}

/// A TLS server that shakes hands and says no more; returns its port and the authority's PEM.
fn tls_server(name: &str, expired: bool) -> (u16, String) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_cert = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], private.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut socket = connection.unwrap();
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            // The client hangs up, which is what is tested.
            while tls.is_handshaking() && tls.complete_io(&mut socket).is_ok() {}
        }
    });
    (port, authority_cert.pem())
}

#[rstest]
#[case("localhost", false, false, Reason::UntrustedIssuer)]
#[case("elsewhere.example", false, true, Reason::HostnameMismatch)]
#[case("localhost", true, true, Reason::CertificateExpired)]
#[tokio::test]
async fn each_fault_of_a_certificate_has_its_reason(
    #[case] name: &str,
    #[case] expired: bool,
    #[case] trusted: bool,
    #[case] reason: Reason,
) {
    let (port, pem) = tls_server(name, expired);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    secret(
        folder.path(),
        &[
            ("access-key-id", KEY_ID),
            ("secret-access-key", SECRET),
            ("ca.crt", &pem),
        ],
    );
    let mut task = task(&format!("https://localhost:{port}"), "", dir);
    task.ca = trusted.then(|| CaTask {
        source: "Secret/store-ca".to_owned(),
        dir: dir.to_owned(),
        key: "ca.crt".to_owned(),
    });
    let error = refused(&task).await;
    assert_eq!(error.reason(), reason, "{error}");
}

#[rstest]
#[case("", Reason::SecretInvalid)]
#[case(
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    Reason::SecretInvalid
)]
#[case("no certificate", Reason::SecretInvalid)]
fn an_authority_that_cannot_be_used_is_named(#[case] pem: &str, #[case] reason: Reason) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    secret(
        folder.path(),
        &[("access-key-id", KEY_ID), ("secret-access-key", SECRET)],
    );
    std::fs::write(folder.path().join("ca.crt"), pem).unwrap();
    let mut task = task("https://localhost:1", "", dir);
    let ca = |key: &str| CaTask {
        source: "ConfigMap/store-ca".to_owned(),
        dir: dir.to_owned(),
        key: key.to_owned(),
    };
    task.ca = Some(ca("ca.crt"));
    let error = S3::from_task(&task).unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    assert!(
        error.to_string().contains("ConfigMap/store-ca, key ca.crt"),
        "{error}"
    );
    task.ca = Some(ca("other.crt"));
    assert_eq!(
        S3::from_task(&task).unwrap_err().reason(),
        Reason::KeyMissing
    );
}

/// Runs a stock tool from standard input to standard output.
fn pipe(package: &str, tool: &str, arguments: &[&str], input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}: install the Debian package {package}"));
    let mut stdin = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success(), "{tool} failed");
    output.stdout
}

#[tokio::test]
async fn stock_age_and_zstd_read_the_pieces_when_they_are_concatenated() {
    use age::secrecy::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let key = folder.path().join("key.txt");
    std::fs::write(&key, identity.to_string().expose_secret()).unwrap();
    let codec = Codec {
        zstd: Some(1),
        recipients: Some(Recipients::parse(&[identity.to_public().to_string()]).unwrap()),
    };
    let limits = Limits {
        part_bytes: 100_000,
        parts_per_object: 3,
        parts_in_flight: 2,
    };
    let store = Arc::new(Memory::new());
    let bytes = suite::noise(1_000_000);
    let role = ObjectRole::Dump;
    let mut writer =
        ObjectWriter::new(store.clone(), "p", "dump.pgc", role, &codec, limits).unwrap();
    writer.write(&bytes).await.unwrap();
    let infos = writer.finish().await.unwrap();
    assert!(infos.len() > 2);
    let mut stored = Vec::new();
    for info in &infos {
        let piece = store
            .get(&format!("p/{}", info.name), u64::MAX)
            .await
            .unwrap();
        stored.extend_from_slice(&piece);
    }
    let sealed = pipe("age", "age", &["-d", "-i", key.to_str().unwrap()], stored);
    let plain = pipe("zstd", "zstd", &["-d", "-c"], sealed);
    assert!(plain == bytes, "stock tools give other bytes back");
}
