//! G8, G9: an application that truncates, swaps and refills its tables all the time is backed up, and hardly notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::Silent;
use lifeboat::work::backup::make;
use tokio::task::JoinHandle;

use crate::pg::Server;
use crate::runs::{FIRST, plan};

/// Tables beside the ledger's.
const TABLES: &str = "DO $$ BEGIN FOR n IN 1..{tables} LOOP \
    EXECUTE format('CREATE TABLE t%s AS SELECT a, repeat(''x'', 100) AS b FROM generate_series(1, 100) AS a', n); END LOOP; END $$; \
    CREATE TABLE ledger (id int PRIMARY KEY, amount int); INSERT INTO ledger SELECT n, n FROM generate_series(1, 1000) AS n; \
    CREATE TABLE totals (id int, amount int);";
/// What it does, one transaction each.
const DEEDS: [&str; 3] = [
    "BEGIN; TRUNCATE ledger; INSERT INTO ledger SELECT n, n FROM generate_series(1, 1000) AS n; COMMIT",
    "BEGIN; TRUNCATE totals; INSERT INTO totals SELECT id, amount FROM ledger WHERE id < 100; COMMIT",
    "BEGIN; CREATE TABLE coming (LIKE ledger INCLUDING ALL); INSERT INTO coming SELECT n, -n FROM generate_series(1, 1000) AS n; \
     ALTER TABLE ledger RENAME TO gone; ALTER TABLE coming RENAME TO ledger; DROP TABLE gone; COMMIT",
];

/// A figure from outside.
#[expect(clippy::disallowed_methods, reason = "a test's own knobs")]
fn figure(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// Works until it is told to stop, and says how long its longest transaction took.
fn work(
    server: &Server,
    deeds: &'static [&'static str],
    pause: Duration,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<Duration> {
    let (target, stop) = (server.target("postgres"), Arc::clone(stop));
    tokio::spawn(async move {
        let session = lifeboat::postgres::connect(&target, "ledger")
            .await
            .unwrap();
        let (mut longest, mut n) = (Duration::ZERO, 0_usize);
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let deed = deeds[n % deeds.len()];
            session.client.batch_execute(deed).await.unwrap();
            longest = longest.max(began.elapsed());
            n += 1;
            tokio::time::sleep(pause).await;
        }
        longest
    })
}

/// LIFEBOAT_LEDGER asks for another number of backups, LIFEBOAT_LEDGER_TABLES of tables; figures are printed.
#[tokio::test(flavor = "multi_thread")]
async fn g9_a_ledger_that_truncates_and_swaps_all_the_time_is_backed_up() {
    let server = Server::start(17, &[]);
    let tables = figure("LIFEBOAT_LEDGER_TABLES", 40).to_string();
    let tables = TABLES.replace("{tables}", &tables);
    server.sql("postgres", &tables).await;
    let scratch = tempfile::tempdir().unwrap();
    let backup = || async {
        let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
        let plan = plan(server.target("postgres"), 17, store, FIRST, &scratch);
        make(&plan, &Silent).await
    };
    // As often as this machine makes backups today, however slow it is.
    let began = Instant::now();
    backup().await.unwrap();
    let pause = began.elapsed();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = work(&server, &DEEDS, pause, &stop);
    let reader = work(&server, &["SELECT count(*) FROM ledger"], pause / 10, &stop);
    let backups: usize = figure("LIFEBOAT_LEDGER", 4);
    let (mut whole, mut took) = (0, Vec::new());
    for _ in 0..backups {
        let began = Instant::now();
        match backup().await {
            Ok(made) => {
                assert!(made.counts.rows >= 5_000, "{:?}", made.counts);
                whole += 1;
            }
            Err(failure) => eprintln!("{failure}"),
        }
        took.push(began.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    took.sort();
    eprintln!(
        "a deed every {pause:?}: {whole} of {backups} backups, median {:?}, slowest {:?}; longest write {:?}, longest read {:?}",
        took[backups / 2],
        took[backups - 1],
        writer.await.unwrap(),
        reader.await.unwrap()
    );
    assert_eq!(whole, backups);
}
