//! In nobody's way: we wait within bounds, others wait for us within bounds (M14, M16, M17), and what we lock is known (M21).

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use lifeboat::api::Reason;
use lifeboat::postgres::migrate::{Mode, Observer, Order, Point};
use rstest::rstest;

use crate::bench::{Database, Files, rehearse, rehearsed};
use crate::pg::Server;

const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, customer int); INSERT INTO orders SELECT n, n % 7 FROM generate_series(1, 100) n";
const ALTER: Files<'_> = &[("1_a.sql", "ALTER TABLE orders ADD COLUMN note text")];

async fn is_changed(database: &Database<'_>) -> bool {
    let sql = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'note')";
    database.ask(sql).await
}

/// Another session, in a transaction that has read the table.
async fn reader(server: &Server) -> lifeboat::postgres::Connection {
    let session = server.session("shop").await;
    session
        .client
        .batch_execute("BEGIN; SELECT count(*) FROM orders")
        .await
        .unwrap();
    session
}

/// M14: whether or not a rehearsal knows the locks, and though a block switches the server's own limit off.
#[rstest]
#[case::of_a_rehearsal(ALTER[0].1, true)]
#[case::unrehearsed(ALTER[0].1, false)]
#[case::without_a_limit(
    "DO $$ BEGIN PERFORM set_config('lock_timeout', '0', true); ALTER TABLE orders ADD COLUMN note text; END $$",
    false
)]
#[tokio::test(flavor = "multi_thread")]
async fn m14_who_holds_a_table_is_not_queued_behind_for_long(
    #[case] text: &str,
    #[case] known: bool,
) {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let mut order: Order = database.order(&[("1_a.sql", text)]).await;
    if known {
        order = rehearsed(&database, order).await;
    }
    let holder = reader(&server).await;
    order.limits.tries = 3;
    let stop = database.apply(&order).await.unwrap_err();
    let timeout = stop.sqlstate.as_deref() == Some("55P03");
    assert!(stop.reason == Reason::WouldBlock || timeout, "{stop:?}");
    assert_eq!(stop.tries, 3);
    if known {
        let names = stop.message.contains("pid ") && stop.message.contains("public.orders");
        assert!(stop.reason == Reason::WouldBlock && names, "{stop:?}");
    }
    assert!(!is_changed(&database).await);
    holder.client.batch_execute("COMMIT").await.unwrap();
    if !text.contains("set_config") {
        database.apply(&order).await.unwrap();
        assert!(is_changed(&database).await);
    }
}

/// M14: others wait for a segment that holds its locks too long; it is the segment that gives way, within its budget.
#[tokio::test(flavor = "multi_thread")]
async fn m14_a_segment_that_makes_others_wait_gives_way() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let text = format!("{}; SELECT pg_sleep(60)", ALTER[0].1);
    let mut order = database.order(&[("1_a.sql", &text)]).await;
    order.limits.max_blocking = Duration::from_millis(300);
    for (budget, tries, words) in [
        (60_000, 2, "as long as maxBlocking"),
        (500, 50, "blockBudget is 0.5 s"),
    ] {
        order.limits.block_budget = Duration::from_millis(budget);
        order.limits.tries = tries;
        let stop = tokio::select! {
            end = database.apply(&order) => end.unwrap_err(),
            () = read_forever(&server) => unreachable!(),
        };
        assert_eq!(stop.reason, Reason::WouldBlock, "{stop}");
        assert!(
            stop.message.contains(words) && stop.message.contains("orders"),
            "{stop}"
        );
        assert!(!is_changed(&database).await);
    }
}

async fn read_forever(server: &Server) {
    let session = server.session("shop").await;
    loop {
        session
            .client
            .batch_execute("SELECT count(*) FROM orders")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// M14: row locks count as well as those of tables: a writer waits for the rows of a long update.
#[tokio::test(flavor = "multi_thread")]
async fn m14_rows_that_a_segment_holds_make_writers_wait_no_longer_than_tables() {
    let server = Server::start(17, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let mut order = database
        .order(&[(
            "1_a.sql",
            "UPDATE orders SET customer = 0; SELECT pg_sleep(60)",
        )])
        .await;
    order.limits.max_blocking = Duration::from_millis(300);
    order.limits.tries = 1;
    let write = async {
        let session = server.session("shop").await;
        loop {
            session
                .client
                .batch_execute("UPDATE orders SET customer = 1 WHERE id = 1")
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let stop = tokio::select! {
        end = database.apply(&order) => end.unwrap_err(),
        () = write => unreachable!(),
    };
    assert_eq!(stop.reason, Reason::WouldBlock, "{stop}");
    let zero: i64 = database
        .ask("SELECT count(*) FROM orders WHERE customer = 0 AND id % 7 <> 0")
        .await;
    assert_eq!(zero, 0, "all of it undone");
}

/// M16: an autovacuum gives way to whoever waits longer than deadlock_timeout, so one wait of that length is one wait in all.
#[tokio::test(flavor = "multi_thread")]
async fn m16_an_autovacuum_is_waited_for_once() {
    let slow = [
        "autovacuum=on",
        "autovacuum_naptime=1s",
        "autovacuum_vacuum_cost_delay=100ms",
        "autovacuum_vacuum_cost_limit=1",
    ];
    let server = Server::start(15, &slow);
    let database = Database::new(&server, "shop", ORDERS).await;
    let mut order = rehearsed(&database, database.order(ALTER).await).await;
    server.sql("shop", "INSERT INTO orders SELECT n, n FROM generate_series(1000, 100000) n; DELETE FROM orders WHERE id > 50").await;
    let at_work =
        "SELECT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE relid = 'orders'::regclass)";
    while !database.ask::<bool>(at_work).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    order.limits.tries = 2;
    database.apply(&order).await.unwrap();
    assert!(is_changed(&database).await);
}

/// M17: CREATE INDEX CONCURRENTLY waits for a session that waits for us: the server sees no deadlock, we do.
#[tokio::test(flavor = "multi_thread")]
async fn m17_who_waits_for_us_is_not_waited_for() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let build: Files<'_> = &[(
        "1_a.sql",
        "CREATE INDEX CONCURRENTLY orders_customer ON orders (customer)",
    )];
    let mut order = rehearsed(&database, database.order(build).await).await;
    order.limits.tries = 1;
    let other = server.session("shop").await;
    let waits = async {
        let held = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')";
        while !database.ask::<bool>(held).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let key = "SELECT pg_advisory_xact_lock((classid::bigint << 32) | objid::bigint) FROM pg_locks WHERE locktype = 'advisory' LIMIT 1";
        let lock = format!("BEGIN; SELECT count(*) FROM orders; {key}; COMMIT");
        other.client.batch_execute(&lock).await.unwrap();
    };
    let late: Files<'_> = &[(
        "1_a.sql",
        "SELECT pg_sleep(1); CREATE INDEX CONCURRENTLY orders_customer ON orders (customer)",
    )];
    let rehearsal = order.rehearsed.remove(&("1".to_owned(), 0)).unwrap();
    order.plan = database.plan(late).await;
    order.rehearsed.insert(("1".to_owned(), 1), rehearsal);
    let heard = Heard::default();
    let (end, ()) = tokio::join!(database.apply_seen(&order, &heard), waits);
    end.unwrap();
    let heard = heard.0.lock().unwrap().join("\n");
    assert!(
        heard.contains("waits for this run, which waits for it"),
        "{heard}"
    );
    let built: bool = database
        .ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_customer'::regclass")
        .await;
    assert!(built);
}

/// Keeps what the worker says, and how far it is.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>, Mutex<Vec<(String, Option<i64>)>>);

#[async_trait]
impl Observer for Heard {
    async fn at(&self, _: Point) {}
    async fn says(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }
    async fn progress(&self, phase: &str, percent: Option<i64>) {
        self.1.lock().unwrap().push((phase.to_owned(), percent));
    }
}

/// K15: how far the build of an index is, and who holds it up.
#[tokio::test(flavor = "multi_thread")]
async fn k15_the_phase_of_a_build_is_told() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let build: Files<'_> = &[(
        "1_a.sql",
        "CREATE INDEX CONCURRENTLY orders_customer ON orders (customer)",
    )];
    let order = rehearsed(&database, database.order(build).await).await;
    let old = server.session("shop").await;
    let reads = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders";
    old.client.batch_execute(reads).await.unwrap();
    let heard = Heard::default();
    let (end, ()) = tokio::join!(database.apply_seen(&order, &heard), async {
        while heard.1.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        old.client.batch_execute("COMMIT").await.unwrap();
    });
    end.unwrap();
    let phases = heard.1.into_inner().unwrap();
    let waits = ("waiting for old snapshots".to_owned(), Some(0));
    assert_eq!(phases.first(), Some(&waits), "{phases:?}");
    let said = heard.0.into_inner().unwrap().join("\n");
    assert!(said.contains("(test), in a transaction for"), "{said}");
}

/// P8: a transaction that was prepared has no session that could be asked, and holds its locks all the same: it is named.
#[tokio::test(flavor = "multi_thread")]
async fn p8_a_prepared_transaction_that_is_in_the_way_is_named() {
    let server = Server::start(15, &["max_prepared_transactions=5"]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let files: Files<'_> = &[("1_a.sql", "ALTER TABLE orders ADD COLUMN note text")];
    let mut order = rehearsed(&database, database.order(files).await).await;
    order.limits.tries = 2;
    let prepared = "BEGIN; UPDATE orders SET customer = customer WHERE false; PREPARE TRANSACTION 'it''s left'";
    server.sql("shop", prepared).await;
    let stop = database.apply(&order).await.unwrap_err();
    let message = &stop.message;
    assert!(
        message.contains("the prepared transaction 'it''s left' of user postgres holds ROW EXCLUSIVE on public.orders"),
        "{message}"
    );
    assert!(
        message.contains("ROLLBACK PREPARED") && !message.contains("UPDATE"),
        "{message}"
    );
    server.sql("shop", "ROLLBACK PREPARED 'it''s left'").await;
}

/// M21, M22: what a segment locks and writes anew, from its own session: complete, where a sampler sees none.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m21_a_rehearsal_sees_every_lock_and_every_rewrite(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &[]);
    let more = "CREATE TABLE parts (id int, name varchar(10)) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10); \
        CREATE TABLE parts_2 (LIKE parts); CREATE MATERIALIZED VIEW sums AS SELECT 1 AS one; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'";
    let database = Database::new(&server, "shop", &format!("{ORDERS}; {more}")).await;
    let table = [
        (
            "ALTER TABLE orders ADD COLUMN note text",
            "public.orders",
            Mode::AccessExclusive,
            false,
        ),
        (
            "ALTER TABLE orders ALTER COLUMN customer TYPE bigint",
            "public.orders",
            Mode::AccessExclusive,
            true,
        ),
        (
            "ALTER TABLE parts_2 ALTER COLUMN name TYPE varchar(20)",
            "public.parts_2",
            Mode::AccessExclusive,
            false,
        ),
        (
            "ALTER TABLE parts ALTER COLUMN name TYPE varchar(20)",
            "public.parts",
            Mode::AccessExclusive,
            false,
        ),
        (
            "ALTER TABLE orders SET (fillfactor = 90)",
            "public.orders",
            Mode::ShareUpdateExclusive,
            false,
        ),
        (
            "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()",
            "public.orders",
            Mode::ShareRowExclusive,
            false,
        ),
        (
            "CREATE POLICY p ON orders USING (true)",
            "public.orders",
            Mode::AccessExclusive,
            false,
        ),
        (
            "ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20)",
            "public.parts",
            Mode::ShareUpdateExclusive,
            false,
        ),
        (
            "ALTER TABLE parts_1 ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES orders NOT VALID",
            "public.orders",
            Mode::ShareRowExclusive,
            false,
        ),
        (
            "CREATE INDEX i ON orders (customer)",
            "public.orders",
            Mode::Share,
            false,
        ),
        (
            "UPDATE orders SET customer = 0",
            "public.orders",
            Mode::RowExclusive,
            false,
        ),
    ];
    let refresh = "REFRESH MATERIALIZED VIEW sums";
    let names: Vec<String> = (1..=table.len() + 1)
        .map(|n| format!("{n:03}_x.sql"))
        .collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(String::as_str)
        .zip(table.iter().map(|t| t.0).chain([refresh]))
        .collect();
    let seen = rehearse(&database, &database.order(&files).await).await;
    for (n, (text, name, mode, rewrite)) in table.iter().enumerate() {
        let measured = &seen.measured[&((n + 1).to_string(), 0)];
        assert_eq!(
            measured.locks.get(*name),
            Some(mode),
            "{text}: {:?}",
            measured.locks
        );
        assert_eq!(measured.rewritten.contains(*name), *rewrite, "{text}");
    }
    assert_eq!(seen.measured[&("11".to_owned(), 0)].rows, [100]);
    assert!(seen.measured[&("2".to_owned(), 0)].wal > 1_000);
    let refreshed = &seen.measured[&("12".to_owned(), 0)];
    assert_eq!(refreshed.views["public.sums"], Mode::AccessExclusive);
    let order = rehearsed_with(&database, &files, &seen).await;
    database.apply(&order).await.unwrap();
}

async fn rehearsed_with(
    database: &Database<'_>,
    files: Files<'_>,
    seen: &lifeboat::postgres::migrate::Applied,
) -> Order {
    let mut order = database.order(files).await;
    order.rehearsed = seen
        .measured
        .iter()
        .map(|(k, m)| (k.clone(), m.into()))
        .collect();
    order
}

/// M14: a session that holds what we want waits for what we hold. It is we who give way, before the server looks for a victim.
#[tokio::test(flavor = "multi_thread")]
async fn m14_in_a_deadlock_with_the_application_the_migration_gives_way() {
    let server = Server::start(17, &["deadlock_timeout=30s"]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let text = "UPDATE orders SET customer = customer + 1000 WHERE id = 1; SELECT pg_sleep(0.3); \
        UPDATE orders SET customer = customer + 1000 WHERE id = 2";
    let mut order = database.order(&[("1_a.sql", text)]).await;
    order.limits.max_blocking = Duration::from_secs(60);
    order.limits.block_budget = Duration::from_secs(60);
    let (application, looks) = (server.session("shop").await, server.session("shop").await);
    let begin = "BEGIN; UPDATE orders SET customer = customer + 1 WHERE id = 2";
    application.client.batch_execute(begin).await.unwrap();
    let crosses = async {
        let free = "SELECT FROM orders WHERE id = 1 FOR UPDATE SKIP LOCKED";
        while !looks.client.query(free, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let rest = "UPDATE orders SET customer = customer + 1 WHERE id = 1; COMMIT";
        application.client.batch_execute(rest).await
    };
    let (applied, crossed) = tokio::join!(database.apply(&order), crosses);
    crossed.unwrap();
    assert!(applied.unwrap().tries > 0);
    let both = "SELECT sum(customer) - sum(id % 7) FROM orders WHERE id IN (1, 2)";
    let both: i64 = database.ask(both).await;
    assert_eq!(both, 2002, "each has changed each row once");
}
