//! What comes next, of files and a history.

use std::sync::Mutex;

use async_trait::async_trait;
use lifeboat::api::Reason;
use lifeboat::plan::Direction;
use lifeboat::postgres::migrate::{Observer, Point, Stop, Whole, broken, read_history};

use crate::bench::{Database, Files, order};
use crate::pg::Server;
use crate::rules::{LEDGER, ledger, rows, stopped};

/// M13, M18: what is applied of a file stands and is said; the rest may be mended; the way back is a run of its own.
#[tokio::test(flavor = "multi_thread")]
async fn m13_a_file_that_stops_halfway_is_finished_taken_back_and_applied_again() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let broken = "INSERT INTO ledger VALUES ('a'); VACUUM ledger; INSERT INTO nowhere VALUES ('b')";
    let stop = stopped(&database, &database.order(&[("1_a.sql", broken)]).await).await;
    assert_eq!(stop.sqlstate.as_deref(), Some("42P01"));
    assert_eq!(
        (rows(&database).await, ledger(&database).await.as_str()),
        (2, "a")
    );

    let down = ("1_a.sql.down", "DELETE FROM ledger");
    let refused = database
        .try_plan(&[("1_a.sql", broken), down], Direction::Down, "0")
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::PartlyApplied, "{refused}");
    let other =
        "INSERT INTO ledger VALUES ('other'); VACUUM ledger; INSERT INTO ledger VALUES ('b')";
    let refused = database
        .try_plan(&[("1_a.sql", other)], Direction::Up, "1")
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::ChecksumChanged, "{refused}");

    let mended = "INSERT INTO ledger VALUES ('a'); VACUUM ledger; INSERT INTO ledger VALUES ('b')";
    let files: Files<'_> = &[("1_a.sql", mended), down];
    let up = order(database.plan(files).await, "0002");
    database.apply(&up).await.unwrap();
    assert_eq!(ledger(&database).await, "a b");
    let changed = database
        .try_plan(&[("1_a.sql", broken)], Direction::Up, "1")
        .await
        .unwrap_err();
    assert_eq!(changed.reason, Reason::ChecksumChanged);
    let nothing = database.plan(files).await;
    assert!(nothing.files.is_empty(), "nothing is pending");

    let back = database
        .try_plan(files, Direction::Down, "0")
        .await
        .unwrap();
    database.apply(&order(back, "0003")).await.unwrap();
    assert_eq!(ledger(&database).await, "");
    let again = order(database.plan(files).await, "0004");
    database.apply(&again).await.unwrap();
    let back = database
        .try_plan(files, Direction::Down, "0")
        .await
        .unwrap();
    database.apply(&order(back, "0005")).await.unwrap();
    assert_eq!(ledger(&database).await, "");
    let states = "SELECT string_agg(direction || ' ' || segment || ' ' || state, ', ' ORDER BY id) FROM lifeboat.migration_history";
    let states: String = database.ask(states).await;
    assert_eq!(
        states,
        "up 0 undone, up 1 undone, up 2 undone, down 0 undone, up 0 undone, up 1 undone, up 2 undone, down 0 done"
    );
}

/// M23: another run's apply voids a plan; files out of order and unknown targets are refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn m23_a_plan_is_for_the_history_that_it_saw() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let (one, two) = (
        ("10_a.sql", "INSERT INTO ledger VALUES ('a')"),
        ("20_b.sql", "INSERT INTO ledger VALUES ('b')"),
    );
    let early = order(database.plan(&[two]).await, "0001");
    let late = order(database.plan(&[one]).await, "0002");
    database.apply(&early).await.unwrap();
    let stop = stopped(&database, &late).await;
    assert_eq!(stop.reason, Reason::PlanVoid, "{stop}");
    for (files, direction, target, reason, word) in [
        (
            &[one, two][..],
            Direction::Up,
            "20",
            Reason::OutOfOrder,
            "10_a.sql",
        ),
        (
            &[two][..],
            Direction::Up,
            "30",
            Reason::InvalidSpec,
            "30 is in none",
        ),
        (
            &[two][..],
            Direction::Down,
            "0",
            Reason::InvalidSpec,
            "20_<name>.sql.down",
        ),
        (
            &[two][..],
            Direction::Up,
            "latest",
            Reason::InvalidSpec,
            "no version",
        ),
        (
            &[two, ("30_c.sql", "SELEC 1")][..],
            Direction::Up,
            "30",
            Reason::InvalidSpec,
            "30_c.sql",
        ),
    ] {
        let refused = database
            .try_plan(files, direction, target)
            .await
            .unwrap_err();
        assert_eq!(refused.reason, reason, "{refused}");
        assert!(refused.message.contains(word), "{refused}");
    }
    let session = server.session("shop").await;
    let history = read_history(&session.client).await.unwrap();
    assert_eq!(history.versions(), [("20", 1, 1)]);
}

/// Hears of files that are through, and stops the run at one of them.
struct Hears(Mutex<Vec<Whole>>, Option<usize>);

#[async_trait]
impl Observer for Hears {
    async fn at(&self, _: Point) {}
    async fn says(&self, _: &str) {}
    async fn whole(&self, whole: &Whole) -> Result<(), Stop> {
        self.0.lock().unwrap().push(whole.clone());
        match self.1 == Some(whole.place) {
            true => Err(Stop {
                reason: Reason::HistoryTouched,
                message: "another".to_owned(),
                server: None,
                sqlstate: None,
                tries: 0,
            }),
            false => Ok(()),
        }
    }
}

/// M6: each file that is through is told once, with the head that the history had then; who may not go on begins nothing of the next.
#[tokio::test(flavor = "multi_thread")]
async fn m6_who_hears_of_a_file_may_hold_the_next() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let files: Files<'_> = &[
        ("1_a.sql", "INSERT INTO ledger VALUES ('a'); VACUUM ledger"),
        (
            "2_b.sql",
            "INSERT INTO ledger VALUES ('b'); VACUUM ledger; INSERT INTO ledger VALUES ('c')",
        ),
    ];
    let order = database.order(files).await;
    let holds = Hears(Mutex::default(), Some(1));
    let stop = database.apply_seen(&order, &holds).await.unwrap_err();
    assert_eq!(stop.reason, Reason::HistoryTouched, "{stop}");
    assert_eq!(ledger(&database).await, "a");
    let session = server.session("shop").await;
    let after_one = read_history(&session.client).await.unwrap().head;
    let hears = Hears(Mutex::default(), None);
    database.apply_seen(&order, &hears).await.unwrap();
    assert_eq!(ledger(&database).await, "a b c");
    let after_two = read_history(&session.client).await.unwrap().head;
    let (first, heard) = (holds.0.into_inner().unwrap(), hears.0.into_inner().unwrap());
    let heads: Vec<(usize, &str)> = heard.iter().map(|w| (w.place, w.head.as_str())).collect();
    assert_eq!(heads, [(1, after_one.as_str()), (2, &after_two)]);
    assert_eq!(first, heard[..1], "the same, whoever says it");
    assert!(heard.iter().all(|w| w.at.is_some()));
}

/// M5: the first row before which one is missing is found; a way back, which changes rows of its own, breaks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn m5_a_row_that_somebody_deleted_is_found_by_the_chain() {
    let server = Server::start(17, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let insert = "INSERT INTO ledger VALUES ('a'); VACUUM ledger; INSERT INTO ledger VALUES ('b')";
    let files: Files<'_> = &[
        ("10_a.sql", insert),
        ("20_b.sql", insert),
        ("30_c.sql", insert),
        ("40_d.sql", insert),
        ("40_d.sql.down", "DELETE FROM ledger"),
    ];
    let session = server.session("shop").await;
    assert_eq!(broken(&session.client).await.unwrap(), None, "no history");
    database
        .apply(&order(database.plan(files).await, "0001"))
        .await
        .unwrap();
    assert_eq!(broken(&session.client).await.unwrap(), None);
    let back = database
        .try_plan(files, Direction::Down, "30")
        .await
        .unwrap();
    database.apply(&order(back, "0002")).await.unwrap();
    assert_eq!(
        broken(&session.client).await.unwrap(),
        None,
        "after a way back"
    );
    let delete = "DELETE FROM lifeboat.migration_history WHERE version = '20' AND segment = 1";
    server.sql("shop", delete).await;
    let found = broken(&session.client).await.unwrap().unwrap();
    assert_eq!(found.version, "20", "{found:?}");
    server
        .sql(
            "shop",
            "DELETE FROM lifeboat.migration_history WHERE version = '20'",
        )
        .await;
    let found = broken(&session.client).await.unwrap().unwrap();
    assert_eq!(found.version, "30", "{found:?}");
}
