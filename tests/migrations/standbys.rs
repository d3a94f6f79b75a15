//! Who follows the WAL is listed, and what is kept for them is watched, before anything is touched (M15, M19).

use std::time::Duration;

use lifeboat::api::Reason;
use lifeboat::postgres::migrate::{Bounds, Finding, Level, What, precheck};
use rstest::rstest;

use crate::bench::Database;
use crate::pg::Server;
use crate::prechecks::{LOOK, ORDERS, PATIENT, found, is, only, until};
use crate::standby::{Standby, pause, session};

/// M19: a slot that nobody reads is a note until it is about to lose what it needs, and afterwards.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m19_a_slot_that_is_about_to_be_lost_blocks(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &["max_slot_wal_keep_size=48MB"]);
    let database = Database::new(&server, "shop", ORDERS).await;
    server
        .sql(
            "shop",
            "SELECT pg_create_physical_replication_slot('away', true)",
        )
        .await;
    let words = ["away", "SELECT pg_drop_replication_slot('away')"];
    only(
        &found(&database, &PATIENT).await,
        What::Slot,
        Level::Note,
        &words,
    );
    let mut levels = Vec::new();
    loop {
        let found = found(&database, &PATIENT).await;
        let safe: Option<bool> = database
            .ask("SELECT safe_wal_size >= 48 * 1024 * 1024 / 10 AND wal_status NOT IN ('unreserved', 'lost') FROM pg_replication_slots")
            .await;
        let level = if safe == Some(true) {
            Level::Note
        } else {
            Level::Blocks
        };
        only(&found, What::Slot, level, &words);
        levels.push(level);
        if found[0].message.contains("has lost WAL") {
            break;
        }
        // A file of WAL at a time; none is taken away before the checkpoint.
        let write = "SELECT pg_logical_emit_message(false, '', repeat('x', 4000000)); SELECT pg_switch_wal()";
        server.sql("shop", write).await;
        if level == Level::Blocks {
            server.sql("shop", "CHECKPOINT").await;
        }
    }
    let blocks = levels.iter().filter(|l| **l == Level::Blocks).count();
    assert!(blocks >= 2 && levels.len() > blocks, "{levels:?}");
}

/// M15: after a segment that locked readers out the next one waits until the standbys have replayed it; a standby takes none.
#[tokio::test(flavor = "multi_thread")]
async fn m15_the_next_segment_waits_until_a_standby_has_replayed_the_last() {
    let server = Server::start(15, &["wal_level=replica", "max_wal_senders=10"]);
    let mut database = Database::new(&server, "shop", ORDERS).await;
    let replica = Standby::of(&server);
    let streams = "SELECT coalesce(bool_and(state = 'streaming'), false) FROM pg_stat_replication";
    until(&database, streams).await;
    let far = replica.target(server.target("shop"));
    let there = session(&far).await;
    pause(&there).await;

    let files = [
        ("1_a.sql", "ALTER TABLE orders ADD COLUMN note text"),
        ("2_b.sql", "UPDATE orders SET note = 'x'"),
    ];
    let mut order = database.order(&files).await;
    order.limits.replay = Duration::from_millis(500);
    let stop = database.apply(&order).await.unwrap_err();
    assert_eq!(stop.reason, Reason::WouldBlock);
    assert!(
        stop.message
            .contains("the standby replica has not replayed"),
        "{stop}"
    );
    let noted = "SELECT count(note) FROM orders";
    assert_eq!(database.ask::<i64>(noted).await, 0, "the second one waits");

    order.limits.replay = Duration::from_secs(60);
    there
        .client
        .batch_execute("SELECT pg_wal_replay_resume()")
        .await
        .unwrap();
    database.apply(&order).await.unwrap();
    assert!(database.ask::<i64>(noted).await > 0);
    database.target = far;
    let stop = database.apply(&order).await.unwrap_err();
    assert_eq!(stop.reason, Reason::ServerReadOnly, "{stop}");
}

/// M19: between segments whoever is behind may catch up, within a bound; what is about to be lost is not pushed over the edge.
#[tokio::test(flavor = "multi_thread")]
async fn m19_the_next_segment_waits_for_who_is_behind() {
    let server = Server::start(
        15,
        &[
            "wal_level=replica",
            "max_wal_senders=10",
            "max_slot_wal_keep_size=48MB",
        ],
    );
    let database = Database::new(&server, "shop", ORDERS).await;
    let replica = Standby::of(&server);
    let streams = "SELECT coalesce(bool_and(state = 'streaming'), false) FROM pg_stat_replication";
    until(&database, streams).await;
    let far = replica.target(server.target("shop"));
    let there = session(&far).await;
    pause(&there).await;
    let files = [("1_a.sql", "SELECT 1"), ("2_b.sql", "SELECT 2")];
    let mut order = database.order(&files).await;
    order.limits.replay = Duration::from_millis(500);
    order.limits.lag_bytes = 1_000_000;
    let written =
        "SELECT pg_logical_emit_message(false, '', repeat('x', 4000000)); SELECT pg_switch_wal()";
    server.sql("shop", written).await;
    let stop = database.apply(&order).await.unwrap_err();
    assert_eq!(stop.reason, Reason::WouldBlock);
    let words = "bytes of WAL behind, more than 1000000, and has been for 0 s";
    assert!(
        stop.message.contains("replica (pid ") && stop.message.contains(words),
        "{stop}"
    );

    order.limits.replay = Duration::from_secs(60);
    let (done, ()) = tokio::join!(database.apply(&order), async {
        tokio::time::sleep(LOOK).await;
        let resume = there.client.batch_execute("SELECT pg_wal_replay_resume()");
        resume.await.unwrap();
    });
    done.unwrap();

    let slot = "SELECT pg_create_physical_replication_slot('away', true)";
    server.sql("shop", slot).await;
    let edge = "SELECT safe_wal_size < 48 * 1024 * 1024 / 10 FROM pg_replication_slots";
    while !database.ask::<bool>(edge).await {
        server.sql("shop", written).await;
    }
    let more = [files[0], files[1], ("3_c.sql", "SELECT 3")];
    let mut order = crate::bench::order(database.plan(&more).await, "0003");
    order.limits.replay = Duration::from_millis(500);
    let stop = database.apply(&order).await.unwrap_err();
    assert_eq!(stop.reason, Reason::WouldBlock);
    let words = "the replication slot away is about to lose the WAL";
    assert!(stop.message.contains(words), "{stop}");
    server
        .sql("shop", "SELECT pg_drop_replication_slot('away')")
        .await;
    database.apply(&order).await.unwrap();
}

/// M15: its readers cannot be seen, so somebody must answer for them; far behind, it blocks; itself it takes no changes.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m15_a_standby_is_listed_and_blocks_when_it_is_far_behind(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &["wal_level=replica", "max_wal_senders=10"]);
    let mut database = Database::new(&server, "shop", ORDERS).await;
    let replica = Standby::of(&server);
    until(
        &database,
        "SELECT count(*) = 1 AND coalesce(bool_and(state = 'streaming' AND replay_lsn = pg_current_wal_lsn() AND backend_xmin IS NOT NULL), false) FROM pg_stat_replication",
    )
    .await;
    let standby =
        |found: Vec<Finding>| found.into_iter().find(|f| f.what == What::Standby).unwrap();
    let acknowledged = Bounds {
        replicas_acknowledged: true,
        ..PATIENT
    };
    let seen = found(&database, &PATIENT).await;
    assert_eq!(seen.len(), 2, "{seen:#?}");
    is(
        &seen[0],
        What::OldSnapshot,
        Level::Note,
        &["replica", "hot_standby_feedback"],
    );
    is(
        &seen[1],
        What::Standby,
        Level::Unknown,
        &[
            "standby replica",
            "streaming",
            "bytes behind",
            "replicas: Unchecked",
        ],
    );
    is(
        &standby(found(&database, &acknowledged).await),
        What::Standby,
        Level::Note,
        &["acknowledged"],
    );

    let there = session(&replica.target(server.target("shop"))).await;
    let seen = precheck(&there.client, &Bounds::default()).await.unwrap();
    only(
        &seen,
        What::ReadOnly,
        Level::Blocks,
        &["standby", "primary"],
    );

    pause(&there).await;
    server.sql("shop", "UPDATE orders SET customer = 1").await;
    let behind = Bounds {
        lag_bytes: 1,
        ..acknowledged
    };
    let seen = found(&database, &behind).await;
    let lag = seen.iter().find(|f| f.what == What::Lag).unwrap();
    is(
        lag,
        What::Lag,
        Level::Blocks,
        &["standby replica", "bytes of WAL behind"],
    );

    server.sql("postgres", "CREATE ROLE app LOGIN").await;
    database.target.user = "app".into();
    let hidden = standby(found(&database, &acknowledged).await);
    is(
        &hidden,
        What::Standby,
        Level::Unknown,
        &["standby replica", "GRANT pg_monitor TO \"app\""],
    );
}
