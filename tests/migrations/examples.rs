//! The migrations of `examples/migrations`: linted, planned, rehearsed on a copy, applied, and taken back as far as they say how.

use std::path::{Path, PathBuf};

use lifeboat::plan::Direction;
use lifeboat::sql::lint::{Context, lint};
use lifeboat::sql::{File, order};
use rstest::rstest;

use crate::bench::{Database, order as order_of, rehearsed};
use crate::pg::Server;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/migrations")
}

/// Names and texts of all of them, sorted.
fn files() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder()).unwrap().flatten();
    let names = entries.map(|e| e.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| order::is_migration(n)).collect();
    order::sort(&mut names, Clone::clone);
    let read = |name: String| {
        let text = std::fs::read_to_string(folder().join(&name)).unwrap();
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// M25: the examples run as they are written, up and down, and nothing in them is what the lint would stop.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m25_the_examples_are_applied_as_they_are_written(#[values(15, 17)] major: i32) {
    let files = files();
    let read = files
        .iter()
        .map(|(name, text)| File::read(name, text.as_bytes()));
    let up: Vec<File> = read.filter(|f| !f.down).collect();
    assert!(up.len() >= 9);
    let report = lint(&up, &Context::default(), &[]);
    assert!(!report.blocks(), "{report:#?}");
    let server = Server::start(major, &[]);
    let before = std::fs::read_to_string(folder().join("before/database.sql")).unwrap();
    let mut database = Database::new(&server, "shop", &before).await;
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    let indexes = "SELECT count(*) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE indisvalid AND relname IN \
        ('events_organizer_start', 'orders_customer_created', 'orders_event', 'tickets_waiting', 'attendees_event_email', 'venues_capacity')";

    // The first one, there and back: its indexes are all that it makes.
    let first = files[0].0.split('_').next().unwrap();
    let there = database
        .try_plan(&files, Direction::Up, first)
        .await
        .unwrap();
    let there = rehearsed(&database, order_of(there, "0001")).await;
    database.apply(&there).await.unwrap();
    assert_eq!(database.ask::<i64>(indexes).await, 6);
    let back = database
        .try_plan(&files, Direction::Down, "0")
        .await
        .unwrap();
    database.apply(&order_of(back, "0002")).await.unwrap();
    assert_eq!(database.ask::<i64>(indexes).await, 0);

    database.leave().await;
    server.sql("postgres", "DROP DATABASE shop_rehearsal").await;
    let order = rehearsed(&database, order_of(database.plan(&files).await, "0003")).await;
    assert!(order.rehearsed.values().any(|r| r.index.is_some()));
    database.apply(&order).await.unwrap();
    assert_eq!(database.ask::<i64>(indexes).await, 6);
    let tasks = "SELECT (SELECT sum(jsonb_array_length(tasks)) FROM projects) - (SELECT count(*) FROM tasks)";
    assert_eq!(database.ask::<i64>(tasks).await, 0);
    server
        .sql("shop", "CREATE TEMP TABLE audit_log (LIKE public.audit_log); UPDATE orders SET payment_status = 'refunded' WHERE id = (SELECT min(id::text)::uuid FROM orders)")
        .await;
    let audited = "SELECT count(*) FROM public.audit_log WHERE table_name = 'orders' AND record_key IS NOT NULL";
    assert_eq!(
        database.ask::<i64>(audited).await,
        1,
        "no temporary table takes it (LB403)"
    );
    let sums = "SELECT count(*) FROM event_analytics AS a WHERE revenue_cents <> (SELECT sum(total_cents) FROM orders AS o WHERE o.event_id = a.event_id)";
    assert_eq!(
        database.ask::<i64>(sums).await,
        0,
        "no row is counted twice"
    );
}
