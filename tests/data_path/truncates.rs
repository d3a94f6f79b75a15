//! G1: a TRUNCATE at any moment of a run takes no row from a backup.

use std::sync::Arc;

use lifeboat::api::Reason;
use lifeboat::postgres::Step;
use lifeboat::task::Retry;
use lifeboat::work::backup::make;
use rstest::rstest;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::minio;
use crate::pg::Server;
use crate::runs::{APPLICATION, At, FIRST, direct, identity, manifest, plan, until};

const WAITS: &str =
    "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'";

/// A server with a thousand rows in `t`, more than the pipe of a pg_dump holds that nobody reads yet.
async fn server() -> Server {
    let server = Server::start(17, &[]);
    let sql = "CREATE TABLE t AS SELECT a, (SELECT string_agg(sha512((a * 100 + j)::text::bytea), NULL) \
               FROM generate_series(1, 16) AS j) AS noise FROM generate_series(1, 1000) AS a";
    server.sql("postgres", sql).await;
    server
}

/// Begins to truncate and returns when the statement waits.
async fn truncate(server: &Server) -> JoinHandle<()> {
    let session = server.session("postgres").await;
    let task =
        tokio::spawn(async move { session.client.batch_execute("TRUNCATE t").await.unwrap() });
    until(server, "the TRUNCATE in the queue", WAITS).await;
    task
}

async fn rows(server: &Server) -> i64 {
    let session = server.session("postgres").await;
    let row = session
        .client
        .query_one("SELECT count(*) FROM t", &[])
        .await;
    row.unwrap().get(0)
}

/// pg_dump stands behind the TRUNCATE, and that behind us: we let go, it goes through, and the next try backs up what it left (G9).
#[rstest]
#[case::between_lock_and_snapshot(Step::Locked)]
#[case::right_after_the_snapshot(Step::Exported)]
#[case::between_snapshot_and_pg_dump(Step::Relisted)]
#[tokio::test(flavor = "multi_thread")]
async fn g1_a_truncate_before_pg_dump_has_its_locks_goes_first_and_takes_no_row_from_a_backup(
    #[case] step: Step,
) {
    let (server, minio) = (server().await, minio::start().await);
    let (scratch, running) = (tempfile::tempdir().unwrap(), Mutex::new(None));
    let observer = At::new(step, || async {
        *running.lock().await = Some(truncate(&server).await);
    });
    let store = direct(&minio);
    let plan = plan(
        server.target("postgres"),
        17,
        store.clone(),
        FIRST,
        &scratch,
    );
    let made = make(&plan, &observer).await.unwrap();
    assert_eq!(made.counts.rows, 0);
    assert_eq!(manifest(store.as_ref(), &made.prefix).await, Some(made));
    running.into_inner().unwrap().await.unwrap();
    assert_eq!(rows(&server).await, 0, "the TRUNCATE goes through");
}

/// With one try there is no other: nothing is left behind, and the failure says who waited, but not a word of his statement (P8).
#[tokio::test(flavor = "multi_thread")]
async fn g9_who_waited_for_the_last_try_is_named() {
    let (server, minio) = (server().await, minio::start().await);
    let (scratch, running) = (tempfile::tempdir().unwrap(), Mutex::new(None));
    let observer = At::new(Step::Relisted, || async {
        *running.lock().await = Some(truncate(&server).await);
    });
    let store = direct(&minio);
    let mut plan = plan(
        server.target("postgres"),
        17,
        store.clone(),
        FIRST,
        &scratch,
    );
    plan.patience.tries = 1;
    let failure = make(&plan, &observer).await.unwrap_err();
    let found = (failure.reason(), failure.retry());
    assert_eq!(found, (Reason::BlockingOthers, Retry::Later), "{failure}");
    let says = failure.to_string();
    assert!(says.contains("public.t (1 of 1 times)"), "{says}");
    assert!(
        says.contains("(test, role postgres) waits for AccessExclusiveLock on public.t"),
        "{says}"
    );
    assert!(!says.contains("TRUNCATE"), "{says}");
    let left = manifest(store.as_ref(), &identity(FIRST).prefix()).await;
    assert_eq!(left, None);
    running.into_inner().unwrap().await.unwrap();
}

/// When everything is read nobody waits for us any longer, however long the store takes (G9).
#[tokio::test(flavor = "multi_thread")]
async fn g9_when_everything_is_read_no_lock_is_held() {
    let (server, minio) = (server().await, minio::start().await);
    let scratch = tempfile::tempdir().unwrap();
    let observer = At::new(Step::Committing, || async {
        server
            .sql("postgres", "SET lock_timeout = '10s'; TRUNCATE t")
            .await;
    });
    let store = direct(&minio);
    let plan = plan(server.target("postgres"), 17, store, FIRST, &scratch);
    let made = make(&plan, &observer).await.unwrap();
    assert!(observer.seen());
    assert_eq!(made.counts.rows, 1000);
}

#[rstest]
#[case::while_pg_dump_runs(Step::DumpStarted)]
#[case::after_pg_dump(Step::DumpEnded)]
#[tokio::test(flavor = "multi_thread")]
async fn g1_a_truncate_later_than_pg_dumps_locks_waits_and_every_row_is_backed_up(
    #[case] step: Step,
) {
    let (server, minio) = (server().await, minio::start().await);
    let (scratch, running) = (tempfile::tempdir().unwrap(), Mutex::new(None));
    let both_hold = format!(
        "SELECT count(DISTINCT l.pid) = 2 FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.relation = 't'::regclass AND l.granted AND a.application_name = '{APPLICATION}'"
    );
    let observer = At::new(step, || async {
        if step == Step::DumpStarted {
            until(&server, "pg_dump's lock", &both_hold).await;
        }
        *running.lock().await = Some(truncate(&server).await);
    });
    let store: Arc<_> = direct(&minio);
    let mut plan = plan(
        server.target("postgres"),
        17,
        store.clone(),
        FIRST,
        &scratch,
    );
    // The last try stays, however long that takes on this machine (G9).
    plan.patience.tries = 1;
    let made = make(&plan, &observer).await.unwrap();
    assert_eq!(made.counts.rows, 1000);
    let left = manifest(store.as_ref(), &made.prefix).await;
    assert_eq!(left, Some(made));
    running.into_inner().unwrap().await.unwrap();
    assert_eq!(rows(&server).await, 0, "the TRUNCATE goes through");
}
