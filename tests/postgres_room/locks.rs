//! The coordinator: lock first, snapshot second, and never in anybody's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lifeboat::api::Reason;
use lifeboat::manifest::{Contents, Name};
use lifeboat::postgres::{Contention, Coordinator, LockPatience, Observer, Silent, Step, census};
use lifeboat::task::Retry;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::pg::Server;

pub async fn begin(server: &Server, dbname: &str, observer: &dyn Observer) -> Coordinator {
    Coordinator::begin(
        &server.target(dbname),
        "lifeboat/test",
        &mut Contention::new(LockPatience::default()),
        observer,
    )
    .await
    .unwrap()
}

pub fn rows(contents: &Contents, table: &str) -> Option<i64> {
    let name = Name::Text(table.into());
    contents
        .relations
        .iter()
        .find(|r| r.name == name)
        .and_then(|r| r.rows)
}

/// Waits until some session waits for a lock.
pub async fn someone_waits(server: &Server, dbname: &str) {
    let session = server.session(dbname).await;
    for _ in 0..200 {
        let row = session
            .client
            .query_one("SELECT count(*) FROM pg_locks WHERE NOT granted", &[])
            .await
            .unwrap();
        if row.get::<_, i64>(0) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody waits");
}

/// Runs statements of the customer at a step; the run waits for what it must.
struct At<'a> {
    step: Step,
    server: &'a Server,
    sql: &'static str,
    times: u32,
    /// The statement waits for us: go on as soon as it stands in the queue.
    queues: bool,
    seen: AtomicU32,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl<'a> At<'a> {
    fn new(step: Step, server: &'a Server, sql: &'static str) -> Self {
        Self {
            step,
            server,
            sql,
            times: 1,
            queues: false,
            seen: AtomicU32::new(0),
            running: Mutex::default(),
        }
    }
}

#[async_trait]
impl Observer for At<'_> {
    async fn reached(&self, step: Step) {
        if step != self.step || self.seen.fetch_add(1, Ordering::SeqCst) >= self.times {
            return;
        }
        let nth = self.seen.load(Ordering::SeqCst);
        let sql = self.sql.replace("{n}", &nth.to_string());
        let session = self.server.session("postgres").await;
        if self.queues {
            let task =
                tokio::spawn(async move { session.client.batch_execute(&sql).await.unwrap() });
            self.running.lock().await.push(task);
            someone_waits(self.server, "postgres").await;
        } else {
            session.client.batch_execute(&sql).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_truncate_between_lock_and_snapshot_waits_and_no_row_is_lost() {
    let server = Server::start(15, &[]);
    server
        .sql(
            "postgres",
            "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a",
        )
        .await;
    let mut observer = At::new(Step::Locked, &server, "TRUNCATE t");
    observer.queues = true;
    let coordinator = begin(&server, "postgres", &observer).await;
    let contents = census::take(&coordinator, &observer)
        .await
        .unwrap()
        .contents;
    assert_eq!(rows(&contents, "t"), Some(1000));
    coordinator.prove().await.unwrap();
    coordinator.finish().await.unwrap();
    for task in observer.running.into_inner() {
        task.await.unwrap();
    }
    let coordinator = begin(&server, "postgres", &Silent).await;
    assert_eq!(
        rows(
            &census::take(&coordinator, &Silent).await.unwrap().contents,
            "t"
        ),
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_a_table_born_between_lock_and_snapshot_makes_the_run_begin_anew() {
    let server = Server::start(17, &[]);
    let sql =
        "CREATE TABLE born{n} AS SELECT 1 AS a; CREATE TABLE p{n} (a int) PARTITION BY LIST (a)";
    let observer = At::new(Step::Locked, &server, sql);
    let coordinator = begin(&server, "postgres", &observer).await;
    assert_eq!(observer.seen.load(Ordering::SeqCst), 2, "locked twice");
    assert_eq!(
        rows(
            &census::take(&coordinator, &Silent).await.unwrap().contents,
            "born1"
        ),
        Some(1)
    );
    drop(coordinator);

    let mut busy = At::new(Step::Locked, &server, "CREATE TABLE again{n} (a int)");
    busy.times = 99;
    let target = server.target("postgres");
    let error = Coordinator::begin(
        &target,
        "x",
        &mut Contention::new(LockPatience::default()),
        &busy,
    )
    .await
    .unwrap_err();
    assert_eq!(
        (error.reason(), error.retry()),
        (Reason::SchemaTooBusy, Retry::Later)
    );
    assert!(error.to_string().contains("again12"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_tables_dropped_or_swapped_while_they_are_locked_end_in_a_whole_list() {
    let server = Server::start(15, &[]);
    server.sql("postgres", "CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b AS SELECT generate_series(1, 2) AS x; CREATE TABLE gone (x int)").await;
    // The migration holds its locks while the list is read, and ends while we wait for them.
    let migration = server.session("postgres").await;
    let sql = "BEGIN; ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b; DROP TABLE gone";
    migration.client.batch_execute(sql).await.unwrap();
    let target = server.target("postgres");
    let run = tokio::spawn(async move {
        Coordinator::begin(
            &target,
            "x",
            &mut Contention::new(LockPatience::default()),
            &Silent,
        )
        .await
    });
    someone_waits(&server, "postgres").await;
    migration.client.batch_execute("COMMIT").await.unwrap();
    let coordinator = run.await.unwrap().unwrap();
    let contents = census::take(&coordinator, &Silent).await.unwrap().contents;
    assert_eq!(
        (
            rows(&contents, "a"),
            rows(&contents, "b"),
            rows(&contents, "gone")
        ),
        (Some(2), Some(1), None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_coordinator_that_was_killed_proves_nothing() {
    let server = Server::start(15, &[]);
    server
        .sql(
            "postgres",
            "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a",
        )
        .await;
    let coordinator = begin(&server, "postgres", &Silent).await;
    coordinator.prove().await.unwrap();
    server
        .sql(
            "postgres",
            &format!("SELECT pg_terminate_backend({})", coordinator.backend_pid()),
        )
        .await;
    // The locks are gone: this does not wait.
    server
        .sql("postgres", "SET lock_timeout = '5s'; TRUNCATE t")
        .await;
    let error = coordinator.prove().await.unwrap_err();
    assert_eq!(
        (error.reason(), error.retry()),
        (Reason::LostLocks, Retry::Later),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn g10_the_coordinators_session_does_not_outlive_its_pod() {
    let server = Server::start(15, &[]);
    let coordinator = Arc::new(begin(&server, "postgres", &Silent).await);
    let session = server.session("postgres").await;
    let row = session
        .client
        .query_one(
            "SELECT state, application_name FROM pg_stat_activity WHERE pid = $1",
            &[&coordinator.backend_pid()],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "idle in transaction");
    assert_eq!(row.get::<_, String>(1), "lifeboat/test");
    let pid = coordinator.backend_pid();
    drop(coordinator);
    for _ in 0..100 {
        let row = session
            .client
            .query_opt("SELECT 1 FROM pg_stat_activity WHERE pid = $1", &[&pid])
            .await
            .unwrap();
        if row.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the session is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn g32_the_base_of_a_stream_is_recorded_under_the_snapshot() {
    let server = Server::start(17, &[]);
    server.sql("postgres", "CREATE TABLE t (a int)").await;
    let open = server.session("postgres").await;
    open.client
        .batch_execute("BEGIN; INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let row = open
        .client
        .query_one("SELECT pg_current_xact_id()::text", &[])
        .await
        .unwrap();
    let running: String = row.get(0);
    // A later transaction makes the open one lie between xmin and xmax.
    server.sql("postgres", "INSERT INTO t VALUES (2)").await;
    let coordinator = begin(&server, "postgres", &Silent).await;
    let base = coordinator.base();
    let snapshot = base.snapshot.as_ref().unwrap();
    assert_eq!(snapshot.xip, vec![running.clone()]);
    assert_eq!(snapshot.xmin, running);
    assert!(base.position.next_xid.as_ref().unwrap() <= &snapshot.xmax);
    assert!(base.position.lsn.contains('/') && !base.in_recovery && !base.not_a_base);
    assert!(base.system_identifier.is_some() && base.timeline == Some(1));
    assert_eq!(
        rows(
            &census::take(&coordinator, &Silent).await.unwrap().contents,
            "t"
        ),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_a_warning_while_data_is_read_is_an_error() {
    let mut server = Server::start(15, &[]);
    server
        .sql(
            "postgres",
            "CREATE TABLE t AS SELECT generate_series(1, 5000) AS a, repeat('x', 500) AS b",
        )
        .await;
    server
        .sql(
            "postgres",
            "ALTER ROLE postgres SET zero_damaged_pages = on",
        )
        .await;
    let session = server.session("postgres").await;
    let row = session
        .client
        .query_one("SELECT pg_relation_filepath('t')", &[])
        .await
        .unwrap();
    let path: String = row.get(0);
    drop(session);
    server.restart(|data| {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(data.join(path))
            .unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 24], 3 * 8192).unwrap();
    });
    let coordinator = begin(&server, "postgres", &Silent).await;
    let error = census::take(&coordinator, &Silent).await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueryFailed);
    assert!(error.to_string().contains("invalid page"), "{error}");
}
