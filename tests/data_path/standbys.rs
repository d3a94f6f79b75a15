//! A backup from a standby is as old as what that has replayed (G5, P13).

use std::sync::Arc;

use jiff::Timestamp;
use lifeboat::manifest::Manifest;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::{Connection, Silent, Target};
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use rstest::rstest;

use crate::drills::{Folders, drill_plan, shown};
use crate::pg::Server;
use crate::runs::{FIRST, plan};
use crate::standby::{Standby, pause, session, until};

/// A primary with a standby that streams from it, and a session with each.
struct Pair {
    primary: Server,
    _replica: Standby,
    target: Target,
    there: Connection,
    major: i32,
}

impl Pair {
    async fn of(major: i32) -> Self {
        // It says something twice a second, also where nothing happens.
        let settings = [
            "wal_level=replica",
            "max_wal_senders=10",
            "wal_sender_timeout=1s",
        ];
        let primary = Server::start(major, &settings);
        primary
            .database("shop", "TEMPLATE template0 LOCALE 'C'")
            .await;
        let sql = "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader";
        primary.sql("shop", sql).await;
        let replica = Standby::of(&primary);
        let target = replica.target(primary.target("shop"));
        let there = session(&target).await;
        Self {
            primary,
            _replica: replica,
            target,
            there,
            major,
        }
    }

    async fn backup(&self, user: &str) -> (Arc<dyn ObjectStore>, Manifest) {
        let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
        let scratch = tempfile::tempdir().unwrap();
        let mut target = self.target.clone();
        user.clone_into(&mut target.user);
        let plan = plan(target, self.major, store.clone(), FIRST, &scratch);
        let made = make(&plan, &Silent).await.unwrap();
        (store, made)
    }

    /// The primary's clock.
    async fn now(&self) -> Timestamp {
        let session = self.primary.session("shop").await;
        let row = session
            .client
            .query_one("SELECT clock_timestamp()", &[])
            .await;
        row.unwrap().get(0)
    }
}

/// Of a standby that has stopped to replay, a backup is of the moment at which it stopped, whatever the standby receives; the
/// backup is proven all the same. Once it replays again, so is the next one younger.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g5_a_standby_that_does_not_replay_gives_no_fresh_backup(#[values(15, 17)] major: i32) {
    let pair = Pair::of(major).await;
    until(
        &pair.there,
        "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')",
    )
    .await;
    pause(&pair.there).await;
    let paused = pair.now().await;
    pair.primary.sql("shop", "INSERT INTO t VALUES (2)").await;
    until(
        &pair.there,
        "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()",
    )
    .await;
    let (store, made) = pair.backup("postgres").await;
    assert!(made.base.in_recovery);
    assert!(made.data_at <= paused, "{} after {paused}", made.data_at);
    assert_eq!(made.counts.rows, 1);
    let folders = Folders::new();
    let plan = drill_plan(store, &made.prefix, major, &folders);
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert!(proof.proves, "{}", shown(&proof));
    assert_eq!(proof.backup.data_at, made.data_at);

    let resume = pair
        .there
        .client
        .batch_execute("SELECT pg_wal_replay_resume()");
    resume.await.unwrap();
    until(&pair.there, "SELECT count(*) = 2 FROM t").await;
    let (_, next) = pair.backup("postgres").await;
    assert_eq!(next.counts.rows, 2);
    assert!(next.data_at > paused, "{} before {paused}", next.data_at);
}

/// A primary at which nothing happens is no old one: the standby has what it had when it last said something. A role that may
/// not see that knows the last commit only, and claims no more.
#[tokio::test(flavor = "multi_thread")]
async fn g5_a_standby_of_an_idle_primary_is_as_fresh_as_the_primary_said() {
    let pair = Pair::of(17).await;
    pair.primary.sql("shop", "INSERT INTO t VALUES (2)").await;
    until(&pair.there, "SELECT count(*) = 2 FROM t").await;
    let idle = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE latest_end_lsn <= pg_last_wal_replay_lsn() \
        AND last_msg_send_time > pg_last_xact_replay_timestamp())";
    until(&pair.there, idle).await;
    let row = pair.there.client.query_one(
        "SELECT pg_last_xact_replay_timestamp(), last_msg_send_time FROM pg_stat_wal_receiver",
        &[],
    );
    let row = row.await.unwrap();
    let (commit, said): (Timestamp, Timestamp) = (row.get(0), row.get(1));
    let (_, made) = pair.backup("postgres").await;
    assert!(
        made.data_at >= said && said > commit,
        "{} {said} {commit}",
        made.data_at
    );
    let (_, made) = pair.backup("reader").await;
    assert!(made.data_at < said, "{} {said}", made.data_at);
}
