//! Statements that run in batches: every row once, whoever comes and goes, and nobody waits for all of them (M1, M8, M14, M18).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lifeboat::api::Reason;
use lifeboat::plan::Direction;
use lifeboat::postgres::migrate::{Observer, Order, Point};
use rstest::rstest;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bench::{Database, Files, attempt, order, rehearse, rehearsed};
use crate::pg::Server;
use crate::rules::stopped;

/// A hundred rows with gaps between their keys.
const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL, code text, spare int); \
    INSERT INTO orders SELECT n * 3, 0, 'c' || n, n FROM generate_series(1, 100) n";
const ADD: Files<'_> = &[(
    "1_a.sql",
    "-- lifeboat: batch 30 by id\nUPDATE orders SET total = total + 1",
)];
const SUM: &str = "SELECT concat_ws(' ', sum(total), min(total), max(total)) FROM orders";

async fn history(database: &Database<'_>) -> String {
    let sql = "SELECT string_agg(concat_ws('/', segment, kind, state, position, row_count), ' ' ORDER BY id) FROM lifeboat.migration_history";
    database.ask(sql).await
}

/// Holds the worker up after so many batches.
struct After {
    left: AtomicU64,
    reached: Notify,
}

impl After {
    fn batches(left: u64) -> Self {
        Self {
            left: AtomicU64::new(left),
            reached: Notify::new(),
        }
    }
}

#[async_trait]
impl Observer for After {
    async fn at(&self, point: Point) {
        if point == Point::Committed && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
    async fn says(&self, _: &str) {}
}

/// A worker that dies after so many batches.
async fn dies_after(database: &Database<'_>, order: &Order, batches: u64) {
    let after = After::batches(batches);
    tokio::select! {
        () = after.reached.notified() => {}
        ended = database.apply_seen(order, &after) => panic!("{ended:?}"),
    }
}

/// M18: whatever the key, and whatever else the statement says.
#[rstest]
#[case::update(ADD[0].1, "100 1 1", "0/batches/done/300/100")]
#[case::exactly_as_many(
    "-- lifeboat: batch 50 by id\nUPDATE orders SET total = total + 1",
    "100 1 1",
    "0/batches/done/300/100"
)]
#[case::condition(
    "-- lifeboat: batch 30 by id\nUPDATE public.orders AS o SET total = total + s.n FROM (SELECT 5 AS n) s WHERE o.spare > 50 OR o.spare = 1",
    "255 0 5",
    "0/batches/done/300/51"
)]
#[case::delete(
    "-- lifeboat: batch 7 by id\nDELETE FROM ONLY orders WHERE spare <= 60",
    "0 0 0",
    "0/batches/done/300/60"
)]
#[case::not_unique(
    "CREATE INDEX ON orders (total); -- all of them are 0\n-- lifeboat: batch 10 by total\nDELETE FROM orders",
    "",
    "0/transaction/done/0 1/batches/done/0/100"
)]
#[case::text(
    "UPDATE orders SET code = code || E'\\\\\\''; CREATE UNIQUE INDEX ON orders (code); ALTER TABLE orders ALTER code SET NOT NULL;\n\
     -- lifeboat: batch 9 by \"code\"\nUPDATE orders SET total = 1 RETURNING id",
    "100 1 1",
    "0/transaction/done/0 1/batches/done/c9\\'/100"
)]
#[tokio::test(flavor = "multi_thread")]
async fn m18_batches_go_over_every_row_once(
    #[case] text: &str,
    #[case] sum: &str,
    #[case] told: &str,
) {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let files: Files<'_> = &[("1_a.sql", text)];
    let order = database.order(files).await;
    let seen = rehearse(&database, &order).await;
    let (_, measured) = seen.measured.last_key_value().unwrap();
    let applied = database.apply(&order).await.unwrap();
    assert_eq!(database.ask::<String>(SUM).await, sum);
    assert_eq!(history(&database).await, told);
    let row = applied.history.rows.last().unwrap();
    assert_eq!(measured.rows, [u64::try_from(row.row_count).unwrap()]);
    assert!(
        measured.batches > 1 || text.contains("by total"),
        "{measured:?}"
    );
    // An empty table has none.
    let empty = Database::new(&server, "empty", &format!("{ORDERS}; TRUNCATE orders")).await;
    empty.apply(&order).await.unwrap();
}

/// M1, M18: who dies leaves its place, another worker of the run goes on there, and so does another run.
#[tokio::test(flavor = "multi_thread")]
async fn m18_another_worker_and_another_run_go_on_where_one_stopped() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let order = database.order(ADD).await;
    dies_after(&database, &order, 1).await;
    assert_eq!(database.ask::<String>(SUM).await, "30 0 1");
    dies_after(&database, &attempt(&order, "attempt1"), 1).await;
    assert_eq!(history(&database).await, "0/batches/partial/180/60");
    // No way back from a half, and no other text for the rest; another size is none.
    let down: Files<'_> = &[ADD[0], ("1_a.sql.down", "UPDATE orders SET total = 0")];
    let back = database.try_plan(down, Direction::Down, "0").await;
    assert_eq!(back.unwrap_err().reason, Reason::PartlyApplied);
    for text in [
        "-- lifeboat: batch 30 by id\nUPDATE orders SET total = total + 2",
        "-- lifeboat: batch 30 by spare\nUPDATE orders SET total = total + 1",
        "UPDATE orders SET total = total + 1",
    ] {
        let other: Files<'_> = &[("1_a.sql", text)];
        let refused = database.try_plan(other, Direction::Up, "1").await;
        assert_eq!(
            refused.unwrap_err().reason,
            Reason::ChecksumChanged,
            "{text}"
        );
    }
    let smaller: Files<'_> = &[
        (
            "1_a.sql",
            "-- lifeboat: batch 25 by id\nUPDATE orders SET total = total + 1",
        ),
        ("2_b.sql", "SELECT 1"),
    ];
    let another = crate::bench::order(database.plan(smaller).await, "0002");
    database.apply(&another).await.unwrap();
    assert_eq!(database.ask::<String>(SUM).await, "100 1 1");
    assert_eq!(
        history(&database).await,
        "0/batches/failed/180/60 0/batches/done/300/40 0/transaction/done/0"
    );
}

/// M17: told to stop it stops after a batch, and what is applied stands.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_batch_is_whole_when_somebody_stops_the_run() {
    struct Stops(CancellationToken);
    #[async_trait]
    impl Observer for Stops {
        async fn at(&self, point: Point) {
            if point == Point::Committed {
                self.0.cancel();
            }
        }
        async fn says(&self, _: &str) {}
    }
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let order = database.order(ADD).await;
    let stop = CancellationToken::new();
    let stops = Stops(stop.clone());
    let ended = lifeboat::postgres::migrate::apply(&database.target, &order, &stops, &stop).await;
    assert_eq!(ended.unwrap_err().reason, Reason::Terminated);
    assert_eq!(history(&database).await, "0/batches/partial/90/30");
    assert_eq!(database.ask::<String>(SUM).await, "30 0 1");
}

/// M14: a row that somebody holds stops the batch that it is in, and those before it stand.
#[tokio::test(flavor = "multi_thread")]
async fn m14_a_row_that_somebody_holds_stops_its_batch_alone() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let mut order = rehearsed(&database, database.order(ADD).await).await;
    (order.limits.tries, order.limits.lock_timeout) = (2, Duration::from_millis(100));
    let holder = server.session("shop").await;
    let hold = "BEGIN; UPDATE orders SET spare = 0 WHERE id = 150";
    holder.client.batch_execute(hold).await.unwrap();
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.tries, 2, "{stop:?}");
    assert_eq!(history(&database).await, "0/batches/partial/90/30");
    holder.client.batch_execute("COMMIT").await.unwrap();
    database.apply(&attempt(&order, "attempt1")).await.unwrap();
    assert_eq!(database.ask::<String>(SUM).await, "100 1 1");
}

/// M8: far more rows than in the rehearsal: the batch that goes beyond undoes itself.
#[tokio::test(flavor = "multi_thread")]
async fn m8_batches_that_write_far_more_than_rehearsed_stop() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", ORDERS).await;
    let order = rehearsed(&database, database.order(ADD).await).await;
    let more = "INSERT INTO orders SELECT n, 0, NULL, n FROM generate_series(1001, 30000) n";
    server.sql("shop", more).await;
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.reason, Reason::NotAsRehearsed, "{stop}");
    let written: i64 = database.ask("SELECT sum(total) FROM orders").await;
    let told: i64 = database
        .ask("SELECT row_count FROM lifeboat.migration_history")
        .await;
    assert_eq!(written, told, "what is applied is what the history says");
}

/// A key that a trigger moves is seen by the rehearsal, which ends.
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_key_that_a_trigger_moves_is_seen_in_the_rehearsal() {
    let server = Server::start(15, &[]);
    let touched = "ALTER TABLE orders ADD at timestamptz NOT NULL DEFAULT '2020-01-01'; CREATE INDEX ON orders (at); \
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at = clock_timestamp(); RETURN NEW; END'; \
        CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()";
    let database = Database::new(&server, "shop", &format!("{ORDERS}; {touched}")).await;
    let files: Files<'_> = &[(
        "1_a.sql",
        "-- lifeboat: batch 30 by at\nUPDATE orders SET total = total + 1",
    )];
    let mut order = database.order(files).await;
    order.rehearsal = true;
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.reason, Reason::InvalidSpec, "{stop}");
    assert!(stop.message.contains("by a trigger"), "{stop}");
    assert_eq!(database.ask::<String>(SUM).await, "0 0 0");
}

/// What cannot be gone along is said before the first row, with the file and the line.
#[rstest]
#[case::null("spare", "it may be null")]
#[case::generated("twice", "or is generated")]
#[case::none("nothing", "there is no such column")]
#[case::no_index("total", "no whole btree index begins with it")]
#[case::type_("at", "batches go along integers")]
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_column_that_batches_cannot_go_along_is_refused(
    #[case] key: &str,
    #[case] why: &str,
) {
    let server = Server::start(15, &[]);
    let more = "ALTER TABLE orders ADD twice int GENERATED ALWAYS AS (spare * 2) STORED NOT NULL; CREATE INDEX ON orders (twice); ALTER TABLE orders ADD at float8 NOT NULL DEFAULT 0; CREATE INDEX ON orders (at); CREATE INDEX ON orders (total) WHERE id > 0";
    let database = Database::new(&server, "shop", &format!("{ORDERS}; {more}")).await;
    let text = format!("SELECT 1;\n-- lifeboat: batch 30 by {key}\nUPDATE orders SET code = ''");
    let files: Files<'_> = &[("1_a.sql", &text)];
    let order = order(database.plan(files).await, "0001");
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.reason, Reason::InvalidSpec, "{stop}");
    assert!(stop.message.contains(why), "{stop}");
    assert!(stop.message.contains("1_a.sql, line 3"), "{stop}");
    assert_eq!(history(&database).await, "0/transaction/done/0");
}
