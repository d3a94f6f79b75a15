//! Ten safe migrations under load that keeps coming whether or not it is answered: nobody is hurt, and what it cost is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lifeboat::postgres::Connection;
use tokio::time::{Instant, sleep, sleep_until};

use crate::bench::{Database, Files, rehearsed};
use crate::pg::Server;

const BEFORE: &str = "\
    CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers SELECT generate_series(0, 99); \
    CREATE TABLE orders (id int PRIMARY KEY, customer int, total int, kind text); \
    INSERT INTO orders SELECT n, n % 100, n, 'web' FROM generate_series(1, 50000) n; \
    CREATE INDEX orders_old ON orders (total); \
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NEW; END'";

const FILES: Files<'_> = &[
    ("01_column.sql", "ALTER TABLE orders ADD COLUMN note text"),
    (
        "02_index.sql",
        "CREATE INDEX CONCURRENTLY orders_customer ON orders (customer)",
    ),
    (
        "03_check.sql",
        "ALTER TABLE orders ADD CONSTRAINT orders_total CHECK (total >= 0) NOT VALID",
    ),
    (
        "04_valid.sql",
        "ALTER TABLE orders VALIDATE CONSTRAINT orders_total",
    ),
    (
        "05_default.sql",
        "ALTER TABLE orders ALTER COLUMN kind SET DEFAULT 'app'",
    ),
    (
        "06_key.sql",
        "ALTER TABLE orders ADD CONSTRAINT orders_customer_key FOREIGN KEY (customer) REFERENCES customers NOT VALID",
    ),
    (
        "07_key_valid.sql",
        "ALTER TABLE orders VALIDATE CONSTRAINT orders_customer_key",
    ),
    (
        "08_trigger.sql",
        "CREATE TRIGGER orders_touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()",
    ),
    ("09_drop.sql", "DROP INDEX CONCURRENTLY orders_old"),
    ("10_storage.sql", "ALTER TABLE orders SET (fillfactor = 90)"),
];

const CONNECTIONS: u32 = 4;
/// Between two requests of one connection, answered or not.
const BETWEEN: Duration = Duration::from_millis(10);

/// What one connection met.
#[derive(Default)]
struct Met {
    requests: u32,
    /// From when a request was due to its answer.
    delays: Vec<Duration>,
    /// SQLSTATEs.
    errors: Vec<String>,
}

/// Requests that are due at their time: one that waits delays all behind it.
async fn load(session: Connection, over: Arc<AtomicBool>, seed: u32) -> Met {
    let star = "SELECT * FROM orders WHERE id = $1";
    let mut reads = session.client.prepare(star).await.unwrap();
    let writes = session
        .client
        .prepare("UPDATE orders SET total = total + 1 WHERE id = $1")
        .await
        .unwrap();
    let (mut met, mut due) = (Met::default(), Instant::now());
    while !over.load(Ordering::Relaxed) {
        due += BETWEEN;
        sleep_until(due).await;
        met.requests += 1;
        let id = i32::try_from((met.requests * 7 + seed) % 50_000).unwrap() + 1;
        let done = match met.requests % 5 {
            0 => session.client.execute(&writes, &[&id]).await.map(|_| ()),
            _ => session.client.query(&reads, &[&id]).await.map(|_| ()),
        };
        if let Err(error) = done {
            let state = error
                .code()
                .map_or_else(|| error.to_string(), |c| c.code().to_owned());
            met.errors.push(state);
            // As drivers do when a plan no longer fits.
            reads = session.client.prepare(star).await.unwrap();
        }
        met.delays.push(due.elapsed());
    }
    met
}

/// Reads in a transaction that it forgets for a while, again and again.
async fn forgets(session: Connection, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        session
            .client
            .batch_execute("BEGIN; SELECT count(*) FROM orders")
            .await
            .unwrap();
        sleep(Duration::from_millis(700)).await;
        session.client.batch_execute("COMMIT").await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
}

/// M14, M16, M21: no request fails but once per connection for a prepared `SELECT *` whose table has got a column.
#[tokio::test(flavor = "multi_thread")]
async fn m14_ten_migrations_under_load_hurt_nobody() {
    let server = Server::start(
        17,
        &[
            "autovacuum=on",
            "autovacuum_naptime=1s",
            "autovacuum_vacuum_threshold=1",
            "autovacuum_vacuum_scale_factor=0",
        ],
    );
    let database = Database::new(&server, "shop", BEFORE).await;
    let mut order = rehearsed(&database, database.order(FILES).await).await;
    order.limits.tries = 200;
    let over = Arc::new(AtomicBool::new(false));
    let mut requests = Vec::new();
    for seed in 0..CONNECTIONS {
        requests.push(tokio::spawn(load(
            server.session("shop").await,
            Arc::clone(&over),
            seed,
        )));
    }
    let reader = tokio::spawn(forgets(server.session("shop").await, Arc::clone(&over)));
    let quiet = sleep(Duration::from_millis(500));
    quiet.await;
    let began = Instant::now();
    let applied = database.apply(&order).await.unwrap();
    let took = began.elapsed();
    over.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    let (mut delays, mut errors) = (Vec::new(), Vec::new());
    for met in requests {
        let met = met.await.unwrap();
        assert!(met.errors.iter().all(|e| e == "0A000"), "{:?}", met.errors);
        assert!(met.errors.len() <= 1, "{:?}", met.errors);
        delays.extend(met.delays);
        errors.extend(met.errors);
    }
    delays.sort_unstable();
    let late = delays
        .iter()
        .filter(|d| **d > Duration::from_millis(250))
        .count();
    println!(
        "load: {} requests, {} migrations in {took:?}, {} tries in vain; longest delay {:?}, p99 {:?}, {late} above 250 ms, {} times 0A000",
        delays.len(),
        FILES.len(),
        applied.tries,
        delays.last().unwrap(),
        delays[delays.len() * 99 / 100],
        errors.len()
    );
}
