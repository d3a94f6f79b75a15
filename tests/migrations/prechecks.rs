//! What stands in the way is seen before anything is touched: one finding of each kind, and none where nothing is (M11, M15, M17, M19).

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lifeboat::postgres::migrate::{Bounds, Finding, Level, What, precheck};
use lifeboat::postgres::{Connection, connect};
use rstest::rstest;

use crate::bench::Database;
use crate::pg::Server;

pub const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, customer int); INSERT INTO orders SELECT n, 0 FROM generate_series(1, 10) n";

/// A try every so often, for as long as it takes.
pub const LOOK: Duration = Duration::from_millis(20);

/// Nobody is old, nobody idles for long: what a test is not about.
pub const PATIENT: Bounds = Bounds {
    oldest_snapshot: Duration::MAX,
    idle_in_transaction: Duration::MAX,
    lag_bytes: u64::MAX,
    replicas_acknowledged: false,
};

pub async fn found(database: &Database<'_>, bounds: &Bounds) -> Vec<Finding> {
    let session = connect(&database.target, "lifeboat/check").await.unwrap();
    let found = precheck(&session.client, bounds).await.unwrap();
    let row = session.client.query_one("SHOW search_path", &[]).await;
    let path: String = row.unwrap().get(0);
    assert!(!path.is_empty(), "its settings were its own");
    found
}

/// The only finding.
#[track_caller]
pub fn only(found: &[Finding], what: What, level: Level, words: &[&str]) {
    assert_eq!(found.len(), 1, "{found:#?}");
    is(&found[0], what, level, words);
}

#[track_caller]
pub fn is(finding: &Finding, what: What, level: Level, words: &[&str]) {
    assert_eq!((finding.what, finding.level), (what, level), "{finding:#?}");
    for word in words {
        assert!(finding.message.contains(word), "{word}: {finding:#?}");
    }
}

/// A session in a transaction that has read the table.
async fn reader(server: &Server, database: &str, name: &str) -> Connection {
    let session = connect(&server.target(database), name).await.unwrap();
    let sql = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class";
    session.client.batch_execute(sql).await.unwrap();
    session
}

pub async fn until(database: &Database<'_>, sql: &str) {
    while !database.ask::<bool>(sql).await {
        tokio::time::sleep(LOOK).await;
    }
}

/// Ends with the test.
pub struct Stopped(pub Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.0.try_wait() {
            return;
        }
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").arg("-INT").arg(pid).status();
        let _ = self.0.wait();
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_stands_in_the_way_on_a_quiet_server(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &["max_slot_wal_keep_size=64MB"]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let _resting = server.session("shop").await;
    assert_eq!(found(&database, &Bounds::default()).await, []);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_idles_in_a_transaction_of_this_database_blocks(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let _idle = reader(&server, "shop", "till").await;
    let _elsewhere = reader(&server, "postgres", "other").await;
    let bounds = Bounds {
        idle_in_transaction: Duration::ZERO,
        ..PATIENT
    };
    let pid: i32 = database
        .ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'till'")
        .await;
    let end = format!("pg_terminate_backend({pid})");
    only(
        &found(&database, &bounds).await,
        What::IdleInTransaction,
        Level::Blocks,
        &["(till)", &end],
    );
    assert_eq!(found(&database, &Bounds::default()).await, []);
}

/// CREATE INDEX CONCURRENTLY waits for the transactions of its own database only; a run of ours is no dump, and as old as any.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_transaction_blocks_its_own_database_only() {
    let server = Server::start(17, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let _old = reader(&server, "shop", "lifeboat-run/uid/pod").await;
    let _elsewhere = reader(&server, "postgres", "report").await;
    let bounds = Bounds {
        oldest_snapshot: Duration::ZERO,
        ..PATIENT
    };
    let found = found(&database, &bounds).await;
    assert_eq!(found.len(), 2, "{found:#?}");
    is(
        &found[0],
        What::OldSnapshot,
        Level::Blocks,
        &["(lifeboat-run/uid/pod)"],
    );
    is(
        &found[1],
        What::OldSnapshot,
        Level::Note,
        &["(report)", "database postgres", "its own database only"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_sessions_are_told_of_the_longest_first_and_the_rest_counted() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let mut sessions = Vec::new();
    for n in 0..12 {
        sessions.push(reader(&server, "shop", &format!("till {n}")).await);
    }
    let bounds = Bounds {
        idle_in_transaction: Duration::ZERO,
        ..PATIENT
    };
    let found = found(&database, &bounds).await;
    assert_eq!(found.len(), 10, "{found:#?}");
    is(
        &found[0],
        What::IdleInTransaction,
        Level::Blocks,
        &["(till 0)"],
    );
    is(
        &found[9],
        What::IdleInTransaction,
        Level::Blocks,
        &["(till 9)", "; and 2 more"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_of_this_database_blocks() {
    let server = Server::start(15, &["max_prepared_transactions=2"]);
    let database = Database::new(&server, "shop", ORDERS).await;
    server
        .sql(
            "shop",
            "BEGIN; DELETE FROM orders; PREPARE TRANSACTION 'it''s left'",
        )
        .await;
    server
        .sql("postgres", "BEGIN; PREPARE TRANSACTION 'elsewhere'")
        .await;
    let words = ["ROLLBACK PREPARED 'it''s left'", "postgres"];
    only(
        &found(&database, &PATIENT).await,
        What::PreparedTransaction,
        Level::Blocks,
        &words,
    );
}

/// M17: a real pg_dump, held up at a table, and a backup of ours; a session of ours that is in no transaction is nobody's backup.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_dump_at_work_blocks(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let holder = reader(&server, "shop", "till").await;
    holder
        .client
        .batch_execute("LOCK TABLE orders")
        .await
        .unwrap();
    let mut dump = server.tool("pg_dump");
    let dump = dump
        .args(["-Fc", "shop"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut dump = Stopped(dump.spawn().unwrap());
    let waits =
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'orders'::regclass)";
    until(&database, waits).await;
    let _ours = reader(&server, "shop", "lifeboat/7b7b7b7b0000/shop/shop-1/").await;
    let _second = reader(&server, "shop", "lifeboat/7b7b7b7b0000/shop/shop-1/").await;
    let _resting = connect(&server.target("shop"), "lifeboat/uid/2")
        .await
        .unwrap();
    let bounds = Bounds {
        oldest_snapshot: Duration::ZERO,
        ..PATIENT
    };
    let seen = found(&database, &bounds).await;
    let dumps: Vec<&Finding> = seen.iter().filter(|f| f.what == What::Dump).collect();
    assert_eq!(dumps.len(), 2, "{seen:#?}");
    is(
        dumps[0],
        What::Dump,
        Level::Blocks,
        &["Backup shop/shop-1 (pid ", ", "],
    );
    is(dumps[1], What::Dump, Level::Blocks, &["pg_dump (pid "]);
    let old: Vec<&Finding> = seen
        .iter()
        .filter(|f| f.what == What::OldSnapshot)
        .collect();
    assert_eq!(old.len(), 1, "only who is no dump: {seen:#?}");
    holder.client.batch_execute("ROLLBACK").await.unwrap();
    assert!(dump.0.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_takes_no_changes_blocks() {
    let server = Server::start(15, &[]);
    let mut database = Database::new(&server, "shop", ORDERS).await;
    let sql = "CREATE ROLE app LOGIN; GRANT pg_monitor TO app; ALTER ROLE app IN DATABASE shop SET default_transaction_read_only = on";
    server.sql("postgres", sql).await;
    assert_eq!(found(&database, &PATIENT).await, []);
    database.target.user = "app".into();
    let words = ["default_transaction_read_only is on for \"app\""];
    only(
        &found(&database, &PATIENT).await,
        What::ReadOnly,
        Level::Blocks,
        &words,
    );
    // What a session says of itself is not what the role has.
    let session = connect(&database.target, "test").await.unwrap();
    session
        .client
        .batch_execute("SET default_transaction_read_only = off")
        .await
        .unwrap();
    let found = precheck(&session.client, &PATIENT).await.unwrap();
    only(&found, What::ReadOnly, Level::Blocks, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_valid_is_named_with_what_removes_it() {
    let server = Server::start(17, &[]);
    let more = "CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10); \
        CREATE INDEX parts_id ON ONLY parts (id); CREATE SCHEMA \"Shop\"; CREATE TABLE \"Shop\".t (id int)";
    let database = Database::new(&server, "shop", &format!("{ORDERS}; {more}")).await;
    let session = server.session("shop").await;
    let client = &session.client;
    client
        .batch_execute("INSERT INTO \"Shop\".t VALUES (1), (1)")
        .await
        .unwrap();
    for (name, table, column) in [
        ("\"Twice\"", "\"Shop\".t", "id"),
        ("same", "orders", "customer"),
    ] {
        let sql = format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({column})");
        client.batch_execute(&sql).await.unwrap_err();
    }
    // Somebody holds the table as a builder does.
    client
        .batch_execute("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
        .await
        .unwrap();
    let found = found(&database, &PATIENT).await;
    assert_eq!(found.len(), 3, "{found:#?}");
    is(
        &found[0],
        What::InvalidIndex,
        Level::Note,
        &["unique", "DROP INDEX CONCURRENTLY \"Shop\".\"Twice\""],
    );
    is(
        &found[1],
        What::InvalidIndex,
        Level::Note,
        &["public.same", "may be building it"],
    );
    is(
        &found[2],
        What::InvalidIndex,
        Level::Note,
        &["ALTER INDEX public.parts_id ATTACH PARTITION"],
    );
    assert!(!found[1].message.contains("DROP") && !found[2].message.contains("DROP"));
}

/// M11: who may see nothing is told so, and by what it is mended; what is there for all to see is seen.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_role_without_privileges_is_told_what_it_cannot_see(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &[]);
    let mut database = Database::new(&server, "shop", ORDERS).await;
    server.sql("postgres", "CREATE ROLE \"App\" LOGIN").await;
    // Who made the table may not have left yet, and nobody may see what they do.
    let elsewhere = Database::of(&server, "postgres");
    let gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'shop')";
    until(&elsewhere, gone).await;
    database.target.user = "App".into();
    // M16: whoever comes to hold a table, nothing of it could be told.
    let words = ["wraparound", "GRANT pg_monitor TO \"App\""];
    let seen = found(&database, &PATIENT).await;
    only(&seen, What::Hidden, Level::Unknown, &words);
    let _idle = reader(&server, "shop", "till").await;
    let _more = server.session("shop").await;
    let _elsewhere = reader(&server, "postgres", "other").await;
    let zero = Bounds {
        oldest_snapshot: Duration::ZERO,
        idle_in_transaction: Duration::ZERO,
        ..PATIENT
    };
    let words = ["2 session(s)", "GRANT pg_monitor TO \"App\""];
    let seen = found(&database, &zero).await;
    assert_eq!(seen.len(), 2, "{seen:#?}");
    is(&seen[0], What::IdleInTransaction, Level::Unknown, &words);
    assert_eq!(seen[1].what, What::Hidden);
    server.sql("postgres", "GRANT pg_monitor TO \"App\"").await;
    let seen = found(&database, &zero).await;
    assert!(seen.iter().all(|f| f.level != Level::Unknown), "{seen:#?}");
    assert_eq!(seen.len(), 2, "{seen:#?}");
}
