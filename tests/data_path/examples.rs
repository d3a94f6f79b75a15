//! The migrations of `examples/migrations`, as `sql` cuts them, on real servers: what the room calls a statement is one for
//! the server too, and what it calls a transaction goes into one.

use std::path::{Path, PathBuf};

use lifeboat::sql::lint::{Context, lint};
use lifeboat::sql::{File, SegmentKind, order};
use rstest::rstest;

use crate::drills::run_file;
use crate::pg::Server;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/migrations")
}

fn files(ending: &str) -> Vec<File> {
    let entries = std::fs::read_dir(folder()).unwrap().flatten();
    let names = entries.map(|e| e.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| n.ends_with(ending)).collect();
    order::sort(&mut names, Clone::clone);
    let read = |name: &String| File::read(name, &std::fs::read(folder().join(name)).unwrap());
    names.iter().map(read).collect()
}

/// Each statement by the extended protocol, which refuses a second one (M20), each segment as it is cut (M3, M18).
async fn apply(server: &Server, file: &File) {
    let session = server.session("shop").await;
    let run = async |sql: &str| {
        let done = session.client.query(sql, &[]).await;
        done.unwrap_or_else(|e| panic!("{}: {sql}: {:?}", file.name, e.as_db_error()));
    };
    for segment in &file.segments {
        let transaction = segment.kind == SegmentKind::Transaction;
        if transaction {
            run("BEGIN").await;
        }
        for statement in &file.statements[segment.statements.clone()] {
            run(&statement.text).await;
        }
        if transaction {
            run("COMMIT").await;
        }
    }
}

/// M25: the examples run as they are written, up and down, and nothing in them is what the lint would stop.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m25_the_examples_run_as_they_are_cut(#[values(15, 17)] major: i32) {
    let (up, down) = (files(".sql"), files(".sql.down"));
    assert!(up.len() >= 9 && !down.is_empty());
    let report = lint(&up, &Context::default(), &[]);
    assert!(!report.blocks(), "{report:#?}");
    let server = Server::start(major, &[]);
    server.database("shop", "TEMPLATE template0").await;
    let before = std::fs::read_to_string(folder().join("before/database.sql")).unwrap();
    run_file(&server, "shop", &before);
    for file in &up {
        assert!(!file.refused(), "{}", file.name);
        apply(&server, file).await;
    }
    let count = async |sql: &str| -> i64 {
        let session = server.session("shop").await;
        session.client.query_one(sql, &[]).await.unwrap().get(0)
    };
    let indexes = "SELECT count(*) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE indisvalid AND relname IN \
        ('events_organizer_start', 'orders_customer_created', 'orders_event', 'tickets_waiting', 'attendees_event_email', 'venues_capacity')";
    assert_eq!(count(indexes).await, 6);
    let tasks = "SELECT (SELECT sum(jsonb_array_length(tasks)) FROM projects) - (SELECT count(*) FROM tasks)";
    assert_eq!(count(tasks).await, 0);
    server
        .sql("shop", "CREATE TEMP TABLE audit_log (LIKE public.audit_log); UPDATE orders SET payment_status = 'refunded' WHERE id = (SELECT min(id::text)::uuid FROM orders)")
        .await;
    let audited = "SELECT count(*) FROM public.audit_log WHERE table_name = 'orders' AND record_key IS NOT NULL";
    assert_eq!(
        count(audited).await,
        1,
        "no temporary table takes it (LB403)"
    );
    let sums = "SELECT count(*) FROM event_analytics AS a WHERE revenue_cents <> (SELECT sum(total_cents) FROM orders AS o WHERE o.event_id = a.event_id)";
    assert_eq!(count(sums).await, 0, "no row is counted twice");
    for file in &down {
        apply(&server, file).await;
    }
    assert_eq!(count(indexes).await, 0);
}
