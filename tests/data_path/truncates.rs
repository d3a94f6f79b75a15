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
use crate::runs::{APPLICATION, At, FIRST, SECOND, direct, identity, manifest, plan, until};

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

/// pg_dump stands behind the TRUNCATE, and that behind us: we give way, and nobody waits longer (G9).
#[rstest]
#[case::between_lock_and_snapshot(Step::Locked)]
#[case::right_after_the_snapshot(Step::Exported)]
#[case::between_snapshot_and_pg_dump(Step::Relisted)]
#[tokio::test(flavor = "multi_thread")]
async fn g1_a_truncate_before_pg_dump_has_its_locks_ends_the_run_and_never_a_row(
    #[case] step: Step,
) {
    let (server, minio) = (server().await, minio::start().await);
    let (scratch, running) = (tempfile::tempdir().unwrap(), Mutex::new(None));
    let observer = At::new(step, || async {
        *running.lock().await = Some(truncate(&server).await);
    });
    let store = direct(&minio);
    let first = plan(
        server.target("postgres"),
        17,
        store.clone(),
        FIRST,
        &scratch,
    );
    let failure = make(&first, &observer).await.unwrap_err();
    assert_eq!(
        (failure.reason(), failure.retry()),
        (Reason::LockTimeout, Retry::Later),
        "{failure}"
    );
    let left = manifest(store.as_ref(), &identity(FIRST).prefix()).await;
    assert_eq!(left, None);
    running.into_inner().unwrap().await.unwrap();
    assert_eq!(rows(&server).await, 0, "the TRUNCATE goes through");
    let second = plan(server.target("postgres"), 17, store, SECOND, &scratch);
    let made = make(&second, &lifeboat::postgres::Silent).await.unwrap();
    assert_eq!(made.counts.rows, 0);
}

#[rstest]
#[case::while_pg_dump_runs(Step::DumpStarted)]
#[case::after_pg_dump(Step::DumpEnded)]
#[case::before_the_manifest(Step::Committing)]
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
    let plan = plan(
        server.target("postgres"),
        17,
        store.clone(),
        FIRST,
        &scratch,
    );
    let made = make(&plan, &observer).await.unwrap();
    assert_eq!(made.counts.rows, 1000);
    let left = manifest(store.as_ref(), &made.prefix).await;
    assert_eq!(left, Some(made));
    running.into_inner().unwrap().await.unwrap();
    assert_eq!(rows(&server).await, 0, "the TRUNCATE goes through");
}
