//! Files and people that do what nobody expects: what stands in the history stays what is applied.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use lifeboat::api::Reason;
use lifeboat::plan::Direction;
use lifeboat::postgres::migrate::{Observer, Order, Point};
use rstest::rstest;

use crate::bench::{Database, Files, order, rehearsed};
use crate::pg::Server;
use crate::rules::{LEDGER, ledger, rows, stopped};

/// Somebody with a client, once, after the first commit.
struct Meddler<'d>(&'d Database<'d>, &'d str, AtomicBool);

#[async_trait]
impl Observer for Meddler<'_> {
    async fn at(&self, point: Point) {
        if point == Point::Committed && !self.2.swap(true, Ordering::SeqCst) {
            self.0.server.sql(&self.0.name, self.1).await;
        }
    }
    async fn says(&self, _: &str) {}
}

/// M6: between two segments too, and whichever row it is: nothing is applied a second time.
#[rstest]
#[case::deleted("DELETE FROM lifeboat.migration_history WHERE version = '2'")]
#[case::all_deleted("DELETE FROM lifeboat.migration_history")]
#[case::turned("UPDATE lifeboat.migration_history SET state = 'undone' WHERE version = '2'")]
#[case::of_another_run("UPDATE lifeboat.migration_history SET plan_hash = 'x' WHERE version = '1'")]
#[case::without_its_fence("DROP INDEX lifeboat.migration_history_fence")]
#[tokio::test(flavor = "multi_thread")]
async fn m6_a_history_that_is_edited_between_segments_holds_the_run(#[case] edit: &str) {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let first: Files<'_> = &[("1_a.sql", "INSERT INTO ledger VALUES ('a')")];
    database.apply(&database.order(first).await).await.unwrap();
    let both = [
        first[0],
        (
            "2_b.sql",
            "INSERT INTO ledger VALUES ('b'); VACUUM ledger; INSERT INTO ledger VALUES ('c')",
        ),
    ];
    let order = order(database.plan(&both).await, "0002");
    let meddler = Meddler(&database, edit, AtomicBool::new(false));
    let stop = database.apply_seen(&order, &meddler).await.unwrap_err();
    assert_eq!(stop.reason, Reason::HistoryTouched, "{stop}");
    assert!(!ledger(&database).await.contains("b b"), "never twice");
}

/// M6, M20: what a block does to the history's table, or to the name by which the next worker finds us.
#[rstest]
#[case::a_trigger(
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
    CREATE TRIGGER t BEFORE UPDATE ON lifeboat.migration_history FOR EACH ROW EXECUTE FUNCTION f()",
    Reason::HistoryTouched
)]
#[case::a_rule(
    "CREATE RULE r AS ON UPDATE TO lifeboat.migration_history DO INSTEAD NOTHING",
    Reason::HistoryTouched
)]
#[case::no_fence("DROP INDEX lifeboat.migration_history_fence", Reason::HistoryTouched)]
#[case::another_name("SET application_name = 'nobody'", Reason::SettingsChanged)]
#[tokio::test(flavor = "multi_thread")]
async fn m6_a_block_that_changes_what_the_history_is_undoes_itself(
    #[case] what: &str,
    #[case] reason: Reason,
) {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let block =
        format!("INSERT INTO ledger VALUES ('a'); DO $x$ BEGIN EXECUTE $y$ {what} $y$; END $x$");
    let stop = stopped(&database, &database.order(&[("1_a.sql", &block)]).await).await;
    assert_eq!(stop.reason, reason, "{stop}");
    assert_eq!(
        (rows(&database).await, ledger(&database).await.as_str()),
        (0, "")
    );
}

/// M11: an error that calls itself a lost connection is an error, and says nothing of the data.
#[rstest]
#[case::a_raise(
    "RAISE EXCEPTION 'the secret %', 4711 USING ERRCODE = '57P01'",
    "57P01"
)]
#[case::of_another_server(
    "RAISE EXCEPTION 'the secret %', 4711 USING ERRCODE = '08006', DETAIL = 'secret'",
    "08006"
)]
#[tokio::test(flavor = "multi_thread")]
async fn m11_an_error_is_told_by_its_severity_and_without_its_words(
    #[case] raise: &str,
    #[case] state: &str,
) {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let block = format!("DO $$ BEGIN {raise}; END $$");
    let stop = stopped(&database, &database.order(&[("1_a.sql", &block)]).await).await;
    assert_eq!(
        (stop.reason, stop.sqlstate.as_deref()),
        (Reason::StatementFailed, Some(state))
    );
    assert!(!stop.message.contains("secret"), "{stop}");
    let setting = "DO $$ BEGIN PERFORM set_config('search_path', 'secret4711', true); END $$";
    let stop = stopped(&database, &database.order(&[("1_a.sql", setting)]).await).await;
    assert_eq!(
        stop.message,
        "1_a.sql changed search_path, which Lifeboat sets"
    );
}

/// Rows of a type of the user's own, more than any buffer holds, are counted and thrown away.
#[tokio::test(flavor = "multi_thread")]
async fn m20_a_query_of_many_rows_of_an_own_type_comes_to_its_end() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", "CREATE TYPE mood AS ENUM ('glad')").await;
    let mut order = database
        .order(&[(
            "1_a.sql",
            "SELECT 'glad'::mood, repeat('x', 100) FROM generate_series(1, 300000)",
        )])
        .await;
    order.rehearsal = true;
    let applied = database.apply(&order).await.unwrap();
    assert_eq!(applied.measured[&("1".to_owned(), 0)].rows, [300_000]);
}

/// M14: locks are taken ahead on what is still there, by a login whose role alone may see the schema.
#[tokio::test(flavor = "multi_thread")]
async fn m14_a_partition_that_went_since_the_rehearsal_is_not_missed() {
    let server = Server::start(15, &[]);
    let sql = "CREATE ROLE owner; CREATE ROLE app LOGIN NOINHERIT; GRANT owner TO app; GRANT CREATE ON DATABASE shop TO app; \
        CREATE SCHEMA sales AUTHORIZATION owner; SET ROLE owner; CREATE TABLE sales.parts (id int) PARTITION BY RANGE (id); \
        CREATE TABLE sales.parts_1 PARTITION OF sales.parts FOR VALUES FROM (1) TO (10); \
        CREATE TABLE sales.parts_2 PARTITION OF sales.parts FOR VALUES FROM (10) TO (20)";
    let mut database = Database::new(&server, "shop", sql).await;
    let plan = database
        .plan(&[("1_a.sql", "ALTER TABLE sales.parts ADD COLUMN note text")])
        .await;
    database.leave().await;
    let mut order: Order = rehearsed(&database, order(plan, "0001")).await;
    let locks = &order.rehearsed[&("1".to_owned(), 0)].locks;
    assert_eq!(locks.len(), 3, "{locks:?}");
    server.sql("shop", "DROP TABLE sales.parts_2").await;
    database.target.user = "app".to_owned();
    order.acting.role = Some("owner".to_owned());
    database.apply(&order).await.unwrap();
    let there: bool = database
        .ask("SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'sales.parts_1'::regclass AND attname = 'note')")
        .await;
    assert!(there);
}

/// M2: a baseline is written though an earlier run has made the table and got no further.
#[tokio::test(flavor = "multi_thread")]
async fn m2_a_baseline_stands_though_the_table_was_there() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let stop = stopped(
        &database,
        &database.order(&[("9_a.sql", "SELECT 1 / 0")]).await,
    )
    .await;
    assert_eq!(stop.reason, Reason::StatementFailed);
    let files: Files<'_> = &[
        ("5_old.sql", "INSERT INTO ledger VALUES ('old')"),
        ("9_a.sql", "INSERT INTO ledger VALUES ('new')"),
    ];
    let mut order = order(database.plan(files).await, "0002");
    order.baseline = Some("5".to_owned());
    order.plan.files.retain(|f| f.version == "9");
    database.apply(&order).await.unwrap();
    assert_eq!(ledger(&database).await, "new");
    assert!(
        database.plan(files).await.files.is_empty(),
        "5 counts as applied"
    );
}

/// M3, M18: what could never be told is refused before anything runs.
#[tokio::test(flavor = "multi_thread")]
async fn m18_a_rest_that_is_empty_and_an_index_without_a_name_are_refused() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let nameless = [("1_a.sql", "CREATE INDEX CONCURRENTLY ON ledger (what)")];
    let refused = database
        .try_plan(&nameless, Direction::Up, "1")
        .await
        .unwrap_err();
    assert!(
        refused
            .message
            .contains("1_a.sql, line 1: give the index a name"),
        "{refused}"
    );
    let broken = "INSERT INTO ledger VALUES ('a'); VACUUM ledger; SELECT 1 / 0";
    stopped(&database, &database.order(&[("1_a.sql", broken)]).await).await;
    let cut = [("1_a.sql", "INSERT INTO ledger VALUES ('a'); VACUUM ledger;")];
    let refused = database
        .try_plan(&cut, Direction::Up, "1")
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::PartlyApplied, "{refused}");
}

/// M20: what a segment leaves in its session is gone before the next one, of the same file or of another: a worker that takes
/// over in between would not find it either. What the role itself is set to stays.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m20_a_segment_leaves_nothing_in_its_session(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &[]);
    let role = format!("{LEDGER}; ALTER ROLE postgres SET DateStyle = 'German, DMY'");
    let database = Database::new(&server, "shop", &role).await;
    let seen = "INSERT INTO ledger SELECT concat_ws('|', current_setting('DateStyle'), current_setting('session_replication_role'), \
        current_setting('my.own', true), to_regclass('pg_temp.kept') IS NULL, (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), \
        (SELECT count(*) FROM pg_cursors WHERE name <> ''), (SELECT count(*) FROM pg_listening_channels()), \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()))";
    let leaves = "SET DateStyle = 'SQL, MDY'; SET session_replication_role = replica; SET my.own = 'mine'; CREATE TEMP TABLE kept (a int); \
        PREPARE p AS SELECT 1; DECLARE c CURSOR WITH HOLD FOR SELECT 1; LISTEN l; SELECT pg_advisory_lock(42)";
    let first = format!("{leaves}; {seen}; VACUUM ledger; {seen}");
    let second = format!("SELECT 1; {seen}; {leaves}");
    let files = [
        ("1_a.sql", first.as_str()),
        ("2_b.sql", &second),
        ("3_c.sql", seen),
    ];
    database.apply(&database.order(&files).await).await.unwrap();
    let (own, none) = (
        "SQL, MDY|replica|mine|f|1|1|0|1",
        "German, DMY|origin||t|0|0|0|0",
    );
    let want = [none, none, none, own].join(" ");
    assert_eq!(ledger(&database).await, want);
}
