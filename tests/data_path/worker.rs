//! What `lifeboat work` answers to bad input, to a deadline and to SIGTERM, and to Secrets as operators write them.

use std::path::{Path, PathBuf};

use lifeboat::api::Reason;
use lifeboat::task::{BackupTask, StoreTask};
use rstest::rstest;

use crate::minio::{PASSWORD, USER};
use crate::pg::free_port;
use crate::pod::{Pod, RIGHT, WRONG, WRONG_KEY, document};
use crate::proxy::{Proxy, Rule};
use crate::runs::{FIRST, direct, fill, identity, manifest, until};
use crate::s3_server::secret;

/// What a person may get wrong about the database.
fn spoil_database(pod: &Pod, what: Reason) -> BackupTask {
    let mut task = pod.task();
    let dir = PathBuf::from(&task.database.dir);
    let write = |key: &str, value: &str| secret(&dir, &[(key, value)]);
    match what {
        Reason::AuthenticationFailed => write("password", WRONG),
        Reason::DatabaseNotFound => write("dbname", "gone"),
        Reason::HostNotFound => write("host", "gone.invalid"),
        Reason::ConnectionRefused => write("port", &free_port().to_string()),
        Reason::KeyMissing => std::fs::remove_file(dir.join("password")).unwrap(),
        Reason::SecretMissing => std::fs::remove_dir_all(&dir).unwrap(),
        Reason::SecretInvalid => write("port", WRONG),
        Reason::ServerHasNoTls => task.database.tls_mode = None,
        other => panic!("no way to {other:?}"),
    }
    task
}

#[rstest]
#[case::a_wrong_password(Reason::AuthenticationFailed, "shop as app")]
#[case::an_unknown_database(Reason::DatabaseNotFound, "gone")]
#[case::a_host_that_does_not_resolve(Reason::HostNotFound, "gone.invalid")]
#[case::a_closed_port(Reason::ConnectionRefused, "127.0.0.1:")]
#[case::a_missing_key(Reason::KeyMissing, "password")]
#[case::a_missing_secret(Reason::SecretMissing, "shop-db")]
#[case::a_port_that_is_none(Reason::SecretInvalid, "port")]
#[case::a_server_without_tls(Reason::ServerHasNoTls, "tls")]
#[tokio::test(flavor = "multi_thread")]
async fn p8_each_fault_of_the_database_has_its_reason_and_tells_no_credential(
    #[case] reason: Reason,
    #[case] names: &str,
) {
    let pod = Pod::set().await;
    let result = pod.refused(spoil_database(&pod, reason)).await;
    assert_eq!(result.reason, reason, "{}", result.message);
    assert!(result.message.contains(names), "{}", result.message);
}

/// What a person may get wrong about the store.
fn spoil_store(pod: &Pod, what: Reason) -> StoreTask {
    let good = pod.minio.task(USER, PASSWORD);
    match what {
        Reason::StoreCredentialsInvalid => pod.minio.task(USER, WRONG_KEY),
        Reason::BucketNotFound => StoreTask {
            bucket: "shop-gone".into(),
            ..good
        },
        Reason::StoreUnreachable => StoreTask {
            endpoint: Some(format!("http://127.0.0.1:{}", free_port())),
            ..good
        },
        Reason::KeyMissing => {
            std::fs::remove_file(Path::new(&good.dir).join("secret-access-key")).unwrap();
            good
        }
        Reason::SecretMissing => StoreTask {
            dir: pod.folder("nowhere").to_str().unwrap().into(),
            ..good
        },
        other => panic!("no way to {other:?}"),
    }
}

#[rstest]
#[case::a_wrong_secret(Reason::StoreCredentialsInvalid, "shop")]
#[case::a_missing_bucket(Reason::BucketNotFound, "shop-gone")]
#[case::an_endpoint_that_is_down(Reason::StoreUnreachable, "refused")]
#[case::a_missing_key(Reason::KeyMissing, "secret-access-key")]
#[case::a_missing_secret(Reason::SecretMissing, "s3-write")]
#[tokio::test(flavor = "multi_thread")]
async fn p8_each_fault_of_the_store_has_its_reason_and_tells_no_credential(
    #[case] reason: Reason,
    #[case] names: &str,
) {
    let pod = Pod::set().await;
    let mut task = pod.task();
    task.store = spoil_store(&pod, reason);
    let result = pod.refused(task).await;
    assert_eq!(result.reason, reason, "{}", result.message);
    assert!(result.message.contains(names), "{}", result.message);
}

#[rstest]
#[case::no_json("canary: not json")]
#[case::another_version(r#"{"version":99,"deadlineSeconds":1,"work":{"kind":"probe"}}"#)]
#[case::nothing("")]
#[tokio::test(flavor = "multi_thread")]
async fn k8_a_task_that_cannot_be_read_is_a_protocol_error(#[case] document: &str) {
    let pod = Pod::set().await;
    let worker = pod.start(document);
    let ended = pod.end(worker).await;
    assert_eq!(
        (ended.code, ended.result.reason),
        (Some(1), Reason::ProtocolError)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn k3_a_worker_whose_server_says_nothing_ends_itself_at_the_deadline() {
    let pod = Pod::set().await;
    let silent = Proxy::before(pod.server.port).await;
    silent.set(Rule::cut_at("").hang());
    let mut task = pod.task();
    task.database.port = Some(silent.port.into());
    let worker = pod.start(&document(task, 1));
    let ended = pod.end(worker).await;
    assert_eq!(
        (ended.code, ended.result.reason),
        (Some(1), Reason::DeadlineExceeded)
    );
    assert!(silent.strikes() > 0, "the proxy was in the way");
    pod.nothing_stored().await;
}

/// Two parts fly and a third waits while pg_dump still writes; of less everything is read, so no session is left, and the rest flies.
#[rstest]
#[case::while_pg_dump_writes(56, 3)]
#[case::while_the_last_parts_are_on_their_way(20, 0)]
#[tokio::test(flavor = "multi_thread")]
async fn k3_a_worker_that_is_told_to_stop_says_so_and_aborts_its_upload(
    #[case] mebibytes: u32,
    #[case] sessions: u32,
) {
    let pod = Pod::set().await;
    fill(&pod.server, "shop", mebibytes).await;
    let slow = Proxy::before(pod.minio.port()).await;
    slow.set(Rule::cut_at("partNumber=").after(1_000_000).hang());
    let mut task = pod.task();
    task.store.endpoint = Some(format!("http://127.0.0.1:{}", slow.port));
    let worker = pod.start(&document(task, 120));
    slow.struck().await;
    let ours = |count: u32| {
        format!(
            "SELECT count(*) = {count} FROM pg_stat_activity WHERE application_name LIKE 'lifeboat/%' AND query NOT LIKE 'DO $watch$%'"
        )
    };
    until(
        &pod.server,
        "coordinator, monitor and pg_dump, or none of them",
        &ours(sessions),
    )
    .await;
    let key = format!("{}/dump.pgc", identity(FIRST).prefix());
    assert_eq!(pod.minio.open_uploads(&key).await, 1, "it is under way");
    let pid = worker.id().unwrap().to_string();
    crate::pg::run(std::process::Command::new("kill").arg("-TERM").arg(pid));
    let ended = pod.end(worker).await;
    assert_eq!(
        (ended.code, ended.result.reason),
        (Some(1), Reason::Terminated)
    );
    let open = pod.minio.open_uploads(&key).await;
    assert_eq!(open, 0, "the upload stays: {}", pod.said());
    pod.nothing_stored().await;
    // G10: neither locks nor pg_dump outlive it.
    until(&pod.server, "the end of our sessions", &ours(0)).await;
}

/// Secrets as operators write them, with our server's address in them.
fn secret_of(operator: &str, port: u16) -> Vec<(&'static str, String)> {
    let quoted = RIGHT.replace('%', "%25").replace(':', "%3A");
    let uri = format!("postgresql://app:{quoted}@127.0.0.1:{port}/shop");
    let jdbc = format!("jdbc:postgresql://127.0.0.1:{port}/shop?password={quoted}&user=app");
    let text = str::to_owned;
    match operator {
        "cloudnative-pg" => vec![
            ("dbname", text("shop")),
            ("fqdn-jdbc-uri", jdbc.clone()),
            ("fqdn-uri", uri.clone()),
            ("host", text("127.0.0.1")),
            ("jdbc-uri", jdbc),
            ("password", text(RIGHT)),
            ("pgpass", format!("127.0.0.1:{port}:shop:app:{RIGHT}\n")),
            ("port", port.to_string()),
            ("uri", uri),
            ("user", text("app")),
            ("username", text("app")),
        ],
        "zalando" => vec![("username", text("app")), ("password", text(RIGHT))],
        "crunchy" | "percona" => vec![
            ("dbname", text("shop")),
            ("host", text("127.0.0.1")),
            ("jdbc-uri", jdbc),
            ("password", text(RIGHT)),
            ("pgbouncer-host", text("gone.invalid")),
            ("pgbouncer-port", text("1")),
            (
                "pgbouncer-uri",
                text("postgresql://app@gone.invalid:1/shop"),
            ),
            ("port", port.to_string()),
            ("uri", uri),
            ("user", text("app")),
            ("verifier", text("SCRAM-SHA-256$4096:x$y:z")),
        ],
        other => panic!("no operator {other}"),
    }
}

#[rstest]
#[case("cloudnative-pg")]
#[case("zalando")]
#[case("crunchy")]
#[case("percona")]
#[tokio::test(flavor = "multi_thread")]
async fn k37_the_secret_of_an_operator_works_as_it_is(#[case] operator: &str) {
    let pod = Pod::set().await;
    let keys = secret_of(operator, pod.server.port);
    let keys: Vec<_> = keys.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let mut task = pod.task_of(&keys);
    if operator == "zalando" {
        // Its Secret has neither: the spec says them.
        task.database.host = Some("127.0.0.1".into());
        task.database.port = Some(pod.server.port.into());
        task.database.name = Some("shop".into());
    }
    let ended = pod.run(task).await;
    assert_eq!(
        (ended.code, ended.result.reason),
        (Some(0), Reason::Succeeded),
        "{}",
        ended.result.message
    );
    let made = manifest(direct(&pod.minio).as_ref(), &identity(FIRST).prefix()).await;
    let figures = ended.result.backup.unwrap();
    assert_eq!((figures.rows, figures.database_name.as_str()), (1, "shop"));
    assert_eq!(made.unwrap().counts.stored_bytes, figures.stored_bytes);
}
