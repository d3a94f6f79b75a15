//! Locks that others want or hold: who gives way, and who is named (G8, G9).

use std::time::{Duration, Instant};

use lifeboat::api::Reason;
use lifeboat::manifest::Contents;
use lifeboat::postgres::blocking::Waiter;
use lifeboat::postgres::content::LineKey;
use lifeboat::postgres::{
    Contention, Coordinator, DumpOrder, DumpProcess, LockPatience, Print, Programs, Silent, census,
};
use lifeboat::task::Retry;

use crate::locks::{begin, rows, someone_waits};
use crate::pg::{Server, host_bin};

#[tokio::test(flavor = "multi_thread")]
async fn g8_in_a_deadlock_we_give_way_and_the_migration_goes_on() {
    let server = Server::start(15, &[]);
    server
        .sql(
            "postgres",
            "CREATE TABLE t1 (a int); CREATE TABLE t2 (a int)",
        )
        .await;
    let migration = server.session("postgres").await;
    migration
        .client
        .batch_execute("BEGIN; LOCK TABLE t2")
        .await
        .unwrap();
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
    let began = Instant::now();
    // We hold t1 and wait for t2, the migration holds t2 and waits for t1.
    migration
        .client
        .batch_execute("LOCK TABLE t1; ALTER TABLE t1 ADD b int; COMMIT")
        .await
        .unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(950),
        "before deadlock_timeout: {:?}",
        began.elapsed()
    );
    let coordinator = run.await.unwrap().unwrap();
    coordinator.prove().await.unwrap();
    assert!(!server.log().contains("deadlock detected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_who_keeps_a_table_from_us_is_named() {
    let server = Server::start(15, &["deadlock_timeout=600ms"]);
    server.sql("postgres", "CREATE TABLE t (a int)").await;
    let blocker = server.session("postgres").await;
    blocker
        .client
        .batch_execute("BEGIN; LOCK TABLE t")
        .await
        .unwrap();
    let patience = LockPatience {
        tries: 2,
        first_pause: Duration::from_millis(10),
        ..LockPatience::default()
    };
    let error = Coordinator::begin(
        &server.target("postgres"),
        "x",
        &mut Contention::new(patience),
        &Silent,
    )
    .await
    .unwrap_err();
    assert_eq!(
        (error.reason(), error.retry()),
        (Reason::LockTimeout, Retry::Later)
    );
    let says = error.to_string();
    let who = "(test, role postgres) holds or waits for AccessExclusiveLock on public.t, in a transaction for ";
    assert!(says.contains(who), "{says}");
    assert!(
        !says.contains("LOCK TABLE t"),
        "no statement of others: {says}"
    );
}

/// G3, G8: a table that is refused to the session apart too is locked in the end, and nothing that was said meanwhile is taken for damage.
#[tokio::test(flavor = "multi_thread")]
async fn g8_what_is_refused_twice_and_given_then_is_no_damage() {
    let server = Server::start(15, &["deadlock_timeout=600ms"]);
    server
        .sql("postgres", "CREATE TABLE t AS SELECT 1 AS a")
        .await;
    let blocker = server.session("postgres").await;
    let lock = "BEGIN; LOCK TABLE t";
    blocker.client.batch_execute(lock).await.unwrap();
    let target = server.target("postgres");
    let run = tokio::spawn(async move {
        let patience = LockPatience {
            first_pause: Duration::from_millis(10),
            ..LockPatience::default()
        };
        let mut contention = Contention::new(patience);
        Coordinator::begin(&target, "x", &mut contention, &Silent).await
    });
    // Three sessions have waited, one after the other: the one that locks, the one that looks for a better moment, and the one apart.
    let waiting =
        "SELECT coalesce(max(pid), 0) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted";
    let mut seen: Vec<i32> = Vec::new();
    let looking = server.session("postgres").await;
    let began = Instant::now();
    loop {
        let row = looking.client.query_one(waiting, &[]).await.unwrap();
        let pid: i32 = row.get(0);
        if pid == 0 && seen.len() > 2 {
            break;
        }
        if pid != 0 && !seen.contains(&pid) {
            seen.push(pid);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{seen:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    blocker.client.batch_execute("ROLLBACK").await.unwrap();
    let coordinator = run.await.unwrap().unwrap();
    coordinator.release_busy().await.unwrap();
    coordinator.prove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_prepared_transaction_that_keeps_a_table_from_us_is_named() {
    let server = Server::start(
        17,
        &["deadlock_timeout=600ms", "max_prepared_transactions=2"],
    );
    server.sql("postgres", "CREATE TABLE t (a int)").await;
    let sql = "BEGIN; LOCK TABLE t; PREPARE TRANSACTION 'left behind'";
    let session = server.session("postgres").await;
    session.client.batch_execute(sql).await.unwrap();
    let patience = LockPatience {
        tries: 1,
        ..LockPatience::default()
    };
    let mut contention = Contention::new(patience);
    let target = server.target("postgres");
    let begun = Coordinator::begin(&target, "x", &mut contention, &Silent);
    let says = begun.await.unwrap_err().to_string();
    assert!(
        says.contains("prepared transaction \"left behind\" of role postgres"),
        "{says}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_an_alter_queued_behind_our_locks_is_let_through_after_pg_dumps_lock_wait() {
    let server = Server::start(15, &[]);
    server
        .sql("postgres", "CREATE TABLE t AS SELECT 1 AS a")
        .await;
    let coordinator = begin(&server, "postgres", &Silent).await;
    let session = server.session("postgres").await;
    let alter = tokio::spawn(async move {
        session
            .client
            .batch_execute("ALTER TABLE t ADD b int")
            .await
    });
    someone_waits(&server, "postgres").await;
    let tool = Programs::find(15, &[host_bin(15)]).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let target = server.target("postgres");
    let order = DumpOrder {
        target: &target,
        tool: &tool,
        snapshot: coordinator.snapshot(),
        application_name: "lifeboat/test",
        pooled: false,
        heard: &[],
        print: &Print::plain("UTF8"),
        scratch: scratch.path(),
    };
    let began = Instant::now();
    let mut dump = DumpProcess::spawn(&order).unwrap();
    tokio::io::copy(&mut dump.stdout, &mut tokio::io::sink())
        .await
        .unwrap();
    let error = dump.finish().await.unwrap_err();
    assert_eq!(
        (error.reason(), error.retry()),
        (Reason::LockTimeout, Retry::Later),
        "{error}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    // Whoever holds the lock passes the queue: the coordinator still reads, and proves.
    assert_eq!(
        rows(
            &census::take(&coordinator, &Silent).await.unwrap().contents,
            "t"
        ),
        Some(1)
    );
    coordinator.prove().await.unwrap();
    drop(coordinator);
    tokio::time::timeout(Duration::from_secs(5), alter)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

/// What an earlier try met.
fn met_the_ledger() -> Contention {
    let mut contention = Contention::new(LockPatience::default());
    assert!(contention.let_go(&Waiter {
        pid: 1,
        application: String::new(),
        user: String::new(),
        table: "public.ledger".to_owned(),
        mode: "AccessExclusiveLock".to_owned(),
        only_us: true,
        before_dump: false,
    }));
    contention
}

/// A table that others locked in an earlier try is held apart: it goes as soon as pg_dump would have it, while the snapshot, the
/// other locks and what was read stay.
#[tokio::test(flavor = "multi_thread")]
async fn g9_a_busy_table_is_let_go_before_the_others() {
    let server = Server::start(17, &[]);
    let sql =
        "CREATE TABLE ledger AS SELECT generate_series(1, 7) AS a; CREATE TABLE t AS SELECT 1 AS a";
    server.sql("postgres", sql).await;
    let target = server.target("postgres");
    let key = LineKey::new([7; 32]);
    let begun = async |contention: &mut Contention| {
        Coordinator::begin(&target, "x", contention, &Silent)
            .await
            .unwrap()
    };
    let quiet = begun(&mut Contention::new(LockPatience::default())).await;
    let census = census::take(&quiet, &Silent).await.unwrap();
    let plain = census.hash(&quiet, key, None, &Silent).await.unwrap();
    quiet.finish().await.unwrap();

    let coordinator = begun(&mut met_the_ledger()).await;
    let session = server.session("postgres").await;
    let truncate = tokio::spawn(async move {
        session
            .client
            .batch_execute("TRUNCATE ledger")
            .await
            .unwrap();
        session
    });
    someone_waits(&server, "postgres").await;
    let released = async {
        assert!(!truncate.is_finished(), "before it may");
        coordinator.release_busy().await
    };
    let beside = census::take_beside(&coordinator, Some(key), released, async {}, &Silent);
    let contents = beside.await.unwrap().hash(&coordinator, key, None, &Silent);
    let contents = contents.await.unwrap();
    let session = truncate.await.unwrap();
    assert_eq!(rows(&contents, "ledger"), Some(7));
    let hashes = |c: &Contents| {
        c.relations
            .iter()
            .map(|r| r.hash.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(hashes(&contents), hashes(&plain));
    coordinator.prove().await.unwrap();
    let other = "SET lock_timeout = '100ms'; TRUNCATE t";
    let refused = session.client.batch_execute(other).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "55P03", "{refused}");
    coordinator.finish().await.unwrap();
}

/// Locks of busy tables that were lost are found.
#[tokio::test(flavor = "multi_thread")]
async fn g2_a_busy_tables_lock_that_did_not_last_is_found() {
    let server = Server::start(17, &[]);
    server.sql("postgres", "CREATE TABLE ledger (a int)").await;
    let target = server.target("postgres");
    let mut contention = met_the_ledger();
    let begun = Coordinator::begin(&target, "x", &mut contention, &Silent);
    let coordinator = begun.await.unwrap();
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'x' AND pid <> {}",
        coordinator.backend_pid()
    );
    server.sql("postgres", &sql).await;
    let error = coordinator.release_busy().await.unwrap_err();
    assert_eq!(
        (error.reason(), error.retry()),
        (Reason::LostLocks, Retry::Later)
    );
}
