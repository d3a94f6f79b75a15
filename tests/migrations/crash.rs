//! Workers that die anywhere: no statement is lost, and none is applied twice (M1, M3, M4, M5).

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lifeboat::postgres::Target;
use lifeboat::postgres::migrate::{Observer, Order, Point, Stop, Whole, apply};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bench::{Database, attempt, order, rehearsed};
use crate::pg::Server;
use crate::proxy::{Proxy, Rule};

/// Walks of one run of the tests.
const WALKS: u64 = 500;
/// Side by side, in databases of their own.
const ABREAST: u64 = 4;

const BEFORE: &str = "\
    CREATE TABLE ledger (what text); \
    CREATE TABLE orders (id int PRIMARY KEY, customer int, total int); \
    INSERT INTO orders SELECT n, n % 7, 0 FROM generate_series(1, 50) n; \
    CREATE INDEX orders_old ON orders (total)";

/// Every kind of segment, and a trace of each transaction that only counts once.
const FILES: [(&str, &str); 4] = [
    (
        "001_a.sql",
        "INSERT INTO ledger VALUES ('a1'); ALTER TABLE orders ADD COLUMN note text; INSERT INTO ledger VALUES ('a2');",
    ),
    (
        "002_b.sql",
        "INSERT INTO ledger VALUES ('b1'); CREATE INDEX CONCURRENTLY orders_customer ON orders (customer); \
         INSERT INTO ledger VALUES ('b2'); CREATE UNIQUE INDEX CONCURRENTLY orders_id ON orders (id, customer);",
    ),
    (
        "003_c.sql",
        "DROP INDEX CONCURRENTLY orders_old; VACUUM orders; UPDATE orders SET total = total + 1; INSERT INTO ledger VALUES ('c1');",
    ),
    (
        "004_d.sql",
        "-- lifeboat: batch 20 by id\nUPDATE orders SET total = total + 100; INSERT INTO ledger VALUES ('d1');",
    ),
];

/// Numbers that are the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// What happens at one of the worker's points.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// It dies there and then.
    Dies,
    /// It dies so many microseconds later: in the midst of whatever comes next.
    DiesSoon(u64),
    /// The server ends its session for statements, that with the lock, or all of them.
    Session(&'static str),
}

/// What the workers of one life say of each file that is through, by its place: whoever says it, it is the same (M6).
#[derive(Default)]
struct Heads(Mutex<BTreeMap<usize, Whole>>);

#[async_trait]
impl Observer for Heads {
    async fn at(&self, _: Point) {}
    async fn says(&self, _: &str) {}
    async fn whole(&self, whole: &Whole) -> Result<(), Stop> {
        let mut heads = self.0.lock().unwrap();
        let first = heads.entry(whole.place).or_insert_with(|| whole.clone());
        assert_eq!(first, whole);
        Ok(())
    }
}

/// Strikes once, at the point of that number.
struct Striker<'d> {
    database: &'d Database<'d>,
    heads: &'d Heads,
    left: AtomicU64,
    blow: Blow,
    dead: Notify,
}

impl Striker<'_> {
    async fn strike(&self) {
        match self.blow {
            Blow::Dies => {
                self.dead.notify_one();
                std::future::pending::<()>().await;
            }
            // Whoever runs the worker waits for it.
            Blow::DiesSoon(_) => self.dead.notify_one(),
            Blow::Session(which) => {
                let sql = format!(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE datname = current_database() AND application_name LIKE 'lifeboat-run/%' AND {which}"
                );
                let _: i64 = self.database.ask(&sql).await;
            }
        }
    }
}

#[async_trait]
impl Observer for Striker<'_> {
    async fn at(&self, _: Point) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.strike().await;
        }
    }
    async fn says(&self, _: &str) {}
    async fn whole(&self, whole: &Whole) -> Result<(), Stop> {
        self.heads.whole(whole).await
    }
}

/// A worker that is struck; it may come to its end all the same.
async fn struck((database, heads): (&Database<'_>, &Heads), order: &Order, point: u64, blow: Blow) {
    let striker = Striker {
        database,
        heads,
        left: AtomicU64::new(point),
        blow,
        dead: Notify::new(),
    };
    let death = async {
        striker.dead.notified().await;
        if let Blow::DiesSoon(micros) = blow {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    };
    let stop = CancellationToken::new();
    tokio::select! {
        // Dropped where it stands: its connections close, its sessions go on.
        () = death => {}
        _ = apply(&database.target, order, &striker, &stop) => {}
    }
}

/// As it was before the first file. Quicker than a new database.
async fn reset(database: &Database<'_>) {
    let dead = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name LIKE 'lifeboat-run/%'";
    while database.ask::<i64>(dead).await > 0 {}
    let empty =
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS lifeboat CASCADE;";
    let made = database
        .looks()
        .await
        .client
        .batch_execute(&format!("{empty} {BEFORE}"))
        .await;
    made.unwrap();
}

/// One life of a migration.
async fn walk(database: &Database<'_>, proxy: &Proxy, order: &Order, seed: u64) {
    let mut chance = Chance(seed);
    let heads = &Heads::default();
    let at = (database, heads);
    reset(database).await;
    for n in 0..=chance.below(3) {
        let order = attempt(order, &format!("{seed}-{n}"));
        let point = chance.below(60);
        match chance.below(8) {
            0 | 1 => struck(at, &order, point, Blow::Dies).await,
            2 | 3 => {
                let micros = chance.below(6_000);
                struck(at, &order, point, Blow::DiesSoon(micros)).await;
            }
            4 => struck(at, &order, point, Blow::Session("true")).await,
            5 => {
                let lock = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')";
                struck(at, &order, point, Blow::Session(lock)).await;
            }
            6 => {
                let other = attempt(&order, &format!("{seed}+{n}"));
                let later = async {
                    tokio::time::sleep(Duration::from_micros(chance.below(30_000))).await;
                    struck(at, &other, point, Blow::Dies).await;
                };
                // Whichever is slower finds the work done, or somebody at it.
                let (_, ()) = tokio::join!(database.apply_seen(&order, heads), later);
            }
            _ => {
                let far = Target {
                    host: "127.0.0.1".to_owned(),
                    port: proxy.port,
                    ..database.target.clone()
                };
                let skipped = chance.below(6);
                proxy.set(Rule::cut_answer_to("COMMIT").after(skipped * 40).once());
                let stop = CancellationToken::new();
                let _ = apply(&far, &order, heads, &stop).await;
                proxy.mend();
            }
        }
    }
    let last = attempt(order, &format!("{seed}-last"));
    let applied = database
        .apply_seen(&last, heads)
        .await
        .unwrap_or_else(|e| panic!("seed {seed}: {e:?}"));
    assert!(last.plan.next(&applied.history).is_none(), "seed {seed}");
    assert_eq!(heads.0.lock().unwrap().len(), FILES.len(), "seed {seed}");
    assert_whole(database, seed).await;
}

async fn assert_whole(database: &Database<'_>, seed: u64) {
    let ledger: String = database
        .ask("SELECT string_agg(what, ' ' ORDER BY what) FROM ledger")
        .await;
    assert_eq!(ledger, "a1 a2 b1 b2 c1 d1", "seed {seed}");
    let total: i64 = database.ask("SELECT sum(total) FROM orders").await;
    assert_eq!(total, 50 * 101, "seed {seed}");
    let indexes: String = database
        .ask("SELECT string_agg(c.relname || ' ' || x.indisvalid, ', ' ORDER BY c.relname) FROM pg_index x \
              JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indrelid = 'orders'::regclass")
        .await;
    assert_eq!(
        indexes, "orders_customer true, orders_id true, orders_pkey true",
        "seed {seed}"
    );
    let segments: String = database
        .ask("SELECT string_agg(version || '/' || segment, ' ' ORDER BY version, segment) FROM lifeboat.migration_history WHERE state = 'done'")
        .await;
    assert_eq!(
        segments, "1/0 2/0 2/1 2/2 2/3 3/0 3/1 3/2 4/0 4/1",
        "seed {seed}"
    );
    let open: i64 = database
        .ask(
            "SELECT count(*) FROM lifeboat.migration_history WHERE state IN ('started', 'partial')",
        )
        .await;
    assert_eq!(open, 0, "seed {seed}");
}

/// M1, M3, M5: killed before, during and after each statement, cut off, acknowledgement lost, lock lost, two at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn m1_whatever_dies_each_statement_is_applied_once() {
    let server = Server::start(15, &["listen_addresses=127.0.0.1", "max_connections=200"]);
    let before = Database::new(&server, "before", BEFORE).await;
    let order = order(before.plan(&FILES).await, "0001");
    let order = rehearsed(&before, order).await;
    let (server, order) = (&server, &order);
    let lanes = (0..ABREAST).map(|lane| async move {
        let proxy = Proxy::before(server.port).await;
        let name = format!("lane{lane}");
        server.database(&name, "TEMPLATE before").await;
        let database = Database::of(server, &name);
        let mut seed = lane;
        while seed < WALKS {
            walk(&database, &proxy, order, seed).await;
            seed += ABREAST;
        }
    });
    futures::future::join_all(lanes).await;
}
