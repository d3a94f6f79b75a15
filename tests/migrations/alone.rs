//! Statements outside transactions: whatever PostgreSQL leaves of them, the catalogue and the note say what to do (M3, M4).

use std::time::Duration;

use async_trait::async_trait;
use lifeboat::api::Reason;
use lifeboat::postgres::migrate::{Observer, Order, Point};
use rstest::rstest;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bench::{Database, Files, attempt, order, rehearsed};
use crate::pg::Server;

const ORDERS: &str = "CREATE TABLE orders (id int, customer int); INSERT INTO orders SELECT n, n % 7 FROM generate_series(1, 100) n";
const BUILD: Files<'_> = &[(
    "1_a.sql",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (customer)",
)];
const UNIQUE: Files<'_> = &[(
    "1_a.sql",
    "CREATE UNIQUE INDEX CONCURRENTLY orders_unique ON orders (customer)",
)];

async fn indexes(database: &Database<'_>) -> String {
    let sql = "SELECT coalesce(string_agg(c.relname || CASE WHEN x.indisvalid THEN '' ELSE ' invalid' END, ', ' ORDER BY c.relname), '') \
        FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = 'orders'::regclass";
    database.ask(sql).await
}

async fn states(database: &Database<'_>) -> String {
    let sql =
        "SELECT coalesce(string_agg(state, ' ' ORDER BY id), '') FROM lifeboat.migration_history";
    database.ask(sql).await
}

/// Waits until the server shows something.
async fn until(database: &Database<'_>, what: &str) {
    let sql = format!("SELECT EXISTS ({what})");
    for _ in 0..2_000 {
        if database.ask::<bool>(&sql).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Our session for statements waits for another session's transaction.
const WAITS: &str = "SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
    WHERE NOT l.granted AND a.application_name LIKE 'lifeboat-run/%'";

/// Tells when a point is reached.
struct Reached(Point, Notify);

#[async_trait]
impl Observer for Reached {
    async fn at(&self, point: Point) {
        if point == self.0 {
            self.1.notify_one();
        }
    }
    async fn says(&self, _: &str) {}
}

/// M3: an index of that name that is another one is never taken for it; one that is equal is.
#[rstest]
#[case::another_column("CREATE INDEX orders_customer ON orders (id)", Some("is another"))]
#[case::the_same("CREATE INDEX orders_customer ON orders (customer)", None)]
#[tokio::test(flavor = "multi_thread")]
async fn m3_an_index_is_told_by_its_definition_not_by_its_name(
    #[case] made: &str,
    #[case] held: Option<&str>,
) {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let order = rehearsed(&database, database.order(BUILD).await).await;
    server.sql("shop", made).await;
    match (database.apply(&order).await, held) {
        (Ok(_), None) => assert_eq!(states(&database).await, "done"),
        (Err(stop), Some(words)) => {
            assert_eq!(stop.reason, Reason::IndexDiffers);
            assert!(stop.message.contains(words), "{stop}");
            assert_eq!(states(&database).await, "");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(indexes(&database).await, "orders_customer");
}

/// M3: one that is not valid and not ours is nobody's to drop; a rehearsal on a backup that has it already says so.
#[tokio::test(flavor = "multi_thread")]
async fn m3_an_index_that_this_run_did_not_make_is_left_alone() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let order = rehearsed(&database, database.order(BUILD).await).await;
    let made = "CREATE INDEX orders_customer ON orders (customer); \
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_customer'::regclass";
    server.sql("shop", made).await;
    let stop = database.apply(&order).await.unwrap_err();
    assert_eq!(stop.reason, Reason::IndexDiffers, "{stop}");
    assert_eq!(indexes(&database).await, "orders_customer invalid");
    server
        .sql(
            "shop",
            "UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'orders_customer'::regclass",
        )
        .await;
    let mut rehearsal = order.clone();
    rehearsal.rehearsal = true;
    let stop = database.apply(&rehearsal).await.unwrap_err();
    assert!(
        stop.message
            .contains("the backup has an index of that name"),
        "{stop}"
    );
}

/// M4: a unique index whose rows are not unique leaves nothing that would refuse rows.
#[tokio::test(flavor = "multi_thread")]
async fn m4_a_unique_index_that_cannot_be_is_gone_at_once() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let stop = database
        .apply(&database.order(UNIQUE).await)
        .await
        .unwrap_err();
    assert_eq!(
        (stop.reason, stop.sqlstate.as_deref()),
        (Reason::StatementFailed, Some("23505"))
    );
    assert_eq!(
        stop.message,
        "statement 1 of 1_a.sql (line 1) failed with SQLSTATE 23505 (unique_violation)",
        "and no row of the table"
    );
    assert_eq!(
        (indexes(&database).await, states(&database).await),
        (String::new(), "failed".to_owned())
    );
    server
        .sql("shop", "INSERT INTO orders VALUES (101, 1)")
        .await;
}

/// M4: what cannot be removed is named as what it is, and the next worker removes it.
#[tokio::test(flavor = "multi_thread")]
async fn m4_an_index_that_cannot_be_removed_is_named_and_removed_later() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let mut order = database.order(UNIQUE).await;
    order.limits.removal = Duration::from_millis(500);
    // Holds the build up until the other one stands in the queue behind it, for the lock that removing needs.
    let old = server.session("shop").await;
    old.client
        .batch_execute("BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE")
        .await
        .unwrap();
    let (stop, other) = tokio::join!(database.apply(&order), async {
        until(&database, WAITS).await;
        let other = server.session("shop").await;
        let vacuum = other
            .client
            .batch_execute("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE");
        let release = async {
            until(
                &database,
                "SELECT FROM pg_locks WHERE mode = 'ShareUpdateExclusiveLock' AND NOT granted",
            )
            .await;
            old.client.batch_execute("COMMIT").await.unwrap();
        };
        tokio::join!(async { vacuum.await.unwrap() }, release);
        other
    });
    let stop = stop.unwrap_err();
    assert_eq!(stop.reason, Reason::InvalidIndexLeft, "{stop}");
    assert!(
        stop.message
            .contains("DROP INDEX CONCURRENTLY public.orders_unique"),
        "{stop}"
    );
    assert_eq!(
        (indexes(&database).await, states(&database).await),
        ("orders_unique invalid".to_owned(), "started".to_owned())
    );
    drop(other);
    order.limits.removal = Duration::from_secs(20);
    let stop = database
        .apply(&attempt(&order, "attempt1"))
        .await
        .unwrap_err();
    assert_eq!(stop.sqlstate.as_deref(), Some("23505"), "{stop}");
    assert_eq!(
        (indexes(&database).await, states(&database).await),
        (String::new(), "failed failed".to_owned())
    );
}

/// M1, M3: the client is killed and its session goes on building; the next worker ends it first, and only then looks.
#[rstest]
#[case::building(
    "CREATE INDEX CONCURRENTLY orders_customer ON orders (customer)",
    "orders_customer"
)]
#[case::dropping("DROP INDEX CONCURRENTLY orders_old", "")]
#[tokio::test(flavor = "multi_thread")]
async fn m1_a_session_that_outlives_its_worker_is_ended_before_anything_else(
    #[case] text: &str,
    #[case] left: &str,
) {
    let server = Server::start(15, &[]);
    let more = if left.is_empty() {
        "; CREATE INDEX orders_old ON orders (id)"
    } else {
        ""
    };
    let database = Database::new(&server, "shop", &format!("{ORDERS}{more}")).await;
    let files: Files<'_> = &[("1_a.sql", text)];
    let order = rehearsed(&database, database.order(files).await).await;
    let old = server.session("shop").await;
    let reads = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders";
    old.client.batch_execute(reads).await.unwrap();
    let killed = async {
        until(&database, WAITS).await;
    };
    tokio::select! {
        end = database.apply(&order) => panic!("{end:?}"),
        () = killed => {}
    }
    until(&database, WAITS).await;
    assert_eq!(
        states(&database).await,
        "started",
        "the session goes on without its client"
    );
    let next = attempt(&order, "attempt1");
    let (applied, ()) = tokio::join!(database.apply(&next), async {
        until(
            &database,
            "SELECT FROM pg_stat_activity WHERE application_name LIKE 'lifeboat-run/%/attempt1'",
        )
        .await;
        until(
            &database,
            "SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
            WHERE NOT l.granted AND a.application_name LIKE 'lifeboat-run/%/attempt1'",
        )
        .await;
        old.client.batch_execute("COMMIT").await.unwrap();
    });
    applied.unwrap();
    assert_eq!(indexes(&database).await, left);
    assert!(states(&database).await.ends_with("done"));
}

/// The time of a statement is over, or the pod is told to stop: what it began is taken back, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn m24_a_build_that_may_not_go_on_leaves_nothing() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let mut order = rehearsed(&database, database.order(BUILD).await).await;
    let old = server.session("shop").await;
    old.client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders")
        .await
        .unwrap();
    let release = async {
        // Removing waits for the same session.
        until(
            &database,
            "SELECT FROM pg_class WHERE relname LIKE 'lifeboat_dead_%'",
        )
        .await;
        old.client.batch_execute("COMMIT").await.unwrap();
    };
    order.limits.alone_timeout = Duration::from_secs(2);
    let (stop, ()) = tokio::join!(database.apply(&order), release);
    let stop = stop.unwrap_err();
    assert_eq!(stop.sqlstate.as_deref(), Some("57014"), "{stop}");
    assert_eq!(
        (indexes(&database).await, states(&database).await),
        (String::new(), "failed".to_owned())
    );

    order.limits.alone_timeout = Duration::from_secs(600);
    old.client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders")
        .await
        .unwrap();
    let (stop, told) = (
        CancellationToken::new(),
        Reached(Point::Statement, Notify::new()),
    );
    let next: Order = attempt(&order, "attempt1");
    let run = lifeboat::postgres::migrate::apply(&database.target, &next, &told, &stop);
    let (end, ()) = tokio::join!(run, async {
        told.1.notified().await;
        until(&database, WAITS).await;
        stop.cancel();
        until(
            &database,
            "SELECT FROM pg_class WHERE relname LIKE 'lifeboat_dead_%'",
        )
        .await;
        old.client.batch_execute("COMMIT").await.unwrap();
    });
    assert_eq!(end.unwrap_err().reason, Reason::Terminated);
    assert_eq!(
        (indexes(&database).await, states(&database).await),
        (String::new(), "failed failed".to_owned())
    );
}

/// M24: who is told to stop does not wait for ever to clean up; what is left is named, and the next worker removes it.
#[tokio::test(flavor = "multi_thread")]
async fn m24_a_removal_ends_soon_after_somebody_says_stop() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let mut order = rehearsed(&database, database.order(BUILD).await).await;
    order.limits.removal = Duration::from_secs(600);
    order.limits.farewell = Duration::from_millis(500);
    let old = server.session("shop").await;
    let reads = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders";
    old.client.batch_execute(reads).await.unwrap();
    let stop = CancellationToken::new();
    let told = Reached(Point::Statement, Notify::new());
    let run = lifeboat::postgres::migrate::apply(&database.target, &order, &told, &stop);
    let (end, ()) = tokio::join!(run, async {
        told.1.notified().await;
        until(&database, WAITS).await;
        stop.cancel();
    });
    let end = end.unwrap_err();
    assert_eq!(end.reason, Reason::InvalidIndexLeft, "{end}");
    let named = end.message.contains(".lifeboat_dead_");
    assert!(named && end.message.contains("(told to stop)"), "{end}");
    assert_eq!(states(&database).await, "started");
    until(&database, "SELECT WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'lifeboat-run/%')").await;
    old.client.batch_execute("COMMIT").await.unwrap();
    database.apply(&attempt(&order, "attempt1")).await.unwrap();
    assert_eq!(
        (indexes(&database).await, states(&database).await),
        ("orders_customer".to_owned(), "failed done".to_owned())
    );
}

/// The role and search_path of the order hold outside transactions too.
#[tokio::test(flavor = "multi_thread")]
async fn m20_an_index_is_made_as_the_owner_of_its_table() {
    let server = Server::start(15, &[]);
    let sql = "CREATE ROLE owner; CREATE ROLE app LOGIN; GRANT owner TO app; GRANT CREATE ON DATABASE shop TO app; CREATE SCHEMA sales AUTHORIZATION owner; \
        CREATE TABLE sales.orders (id int); ALTER TABLE sales.orders OWNER TO owner; ALTER ROLE app NOINHERIT";
    let mut database = Database::new(&server, "shop", sql).await;
    database.target.user = "app".to_owned();
    let files: Files<'_> = &[(
        "1_a.sql",
        "CREATE INDEX CONCURRENTLY orders_id ON orders (id); DROP INDEX CONCURRENTLY orders_id",
    )];
    let mut order = order(database.plan(files).await, "0001");
    order.acting.role = Some("owner".to_owned());
    order.acting.search_path = "sales".to_owned();
    // A session of the superuser's makes the copy.
    let order = {
        let mut scratch = order.clone();
        scratch.rehearsal = true;
        server.database("copy", "TEMPLATE shop").await;
        let mut copy = Database::of(&server, "copy");
        server
            .sql("copy", "GRANT CREATE ON DATABASE copy TO app")
            .await;
        copy.target.user = "app".to_owned();
        let seen = copy.apply(&scratch).await.unwrap();
        let mut order = order;
        order.rehearsed = seen
            .measured
            .iter()
            .map(|(k, m)| (k.clone(), m.into()))
            .collect();
        order
    };
    database.apply(&order).await.unwrap();
    let left: i64 = database
        .ask("SELECT count(*) FROM pg_index WHERE indrelid = 'sales.orders'::regclass")
        .await;
    assert_eq!(left, 0);
}
