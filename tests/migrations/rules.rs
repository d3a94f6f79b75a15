//! The history and the settings: whatever a file does, what stands in the history is what is applied.

use lifeboat::api::Reason;
use lifeboat::plan::Direction;
use lifeboat::postgres::migrate::{Order, Stop, foreign};

use rstest::rstest;

use crate::bench::{Database, Files, attempt, order};
use crate::pg::Server;
use crate::pgbouncer::PgBouncer;

pub const LEDGER: &str = "CREATE TABLE ledger (what text)";

pub async fn stopped(database: &Database<'_>, order: &Order) -> Stop {
    database.apply(order).await.expect_err("it stops")
}

pub async fn ledger(database: &Database<'_>) -> String {
    let all = "SELECT coalesce(string_agg(what, ' ' ORDER BY what), '') FROM ledger";
    database.ask(all).await
}

pub async fn rows(database: &Database<'_>) -> i64 {
    let sql = "SELECT CASE WHEN to_regclass('lifeboat.migration_history') IS NULL THEN 0 \
        ELSE (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM lifeboat.migration_history', true, true, '')))[1]::text::bigint END";
    database.ask(sql).await
}

/// M1: a row that somebody has inserted and not committed keeps the segment; nothing of the segment happens beside it.
#[tokio::test(flavor = "multi_thread")]
async fn m1_one_row_lets_one_worker_in() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let first: Files<'_> = &[("1_a.sql", "INSERT INTO ledger VALUES ('a')")];
    database.apply(&database.order(first).await).await.unwrap();
    let both: Files<'_> = &[first[0], ("2_b.sql", "INSERT INTO ledger VALUES ('b')")];
    let mut order = order(database.plan(both).await, "0002");
    order.limits.tries = 2;
    // A worker that no belt holds: its name is none of ours, so that nobody ends it.
    let other = server.session("shop").await;
    let copy = "BEGIN; INSERT INTO lifeboat.migration_history SELECT (jsonb_populate_record(h, \
        '{\"id\": 77, \"version\": \"2\", \"run_uid\": \"7b7b7b7b-0000-4000-8000-000000000002\"}')).* FROM lifeboat.migration_history h";
    other.client.batch_execute(copy).await.unwrap();
    order.limits.tries = 1;
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.reason, Reason::Running, "{stop}");
    assert_eq!(ledger(&database).await, "a");
    other
        .client
        .batch_execute("INSERT INTO ledger VALUES ('b'); COMMIT")
        .await
        .unwrap();
    let mut order = attempt(&order, "attempt1");
    // That worker's row names the head that it saw.
    let seen = "UPDATE lifeboat.migration_history SET previous = $1 WHERE id = 77";
    other
        .client
        .execute(seen, &[&order.plan.head])
        .await
        .unwrap();
    order.limits.tries = 3;
    database.apply(&order).await.unwrap();
    assert_eq!(ledger(&database).await, "a b", "taken is taken");
}

/// M1: a session of an earlier try that cannot be ended stops everything before anything is touched.
#[tokio::test(flavor = "multi_thread")]
async fn m1_a_session_that_does_not_end_is_named_and_nothing_is_touched() {
    let server = Server::start(15, &[]);
    let sql = format!(
        "{LEDGER}; CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE shop TO app; ALTER TABLE ledger OWNER TO app"
    );
    let mut database = Database::new(&server, "shop", &sql).await;
    database.target.user = "app".to_owned();
    let mut order = database
        .order(&[("1_a.sql", "INSERT INTO ledger VALUES ('a')")])
        .await;
    order.limits.takeover = std::time::Duration::from_millis(300);
    let name = format!("lifeboat-run/{}/before", order.worker.run_uid);
    let alive = lifeboat::postgres::connect(&server.target("shop"), &name)
        .await
        .unwrap();
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.reason, Reason::PriorSessionAlive);
    assert!(stop.message.contains("pg_terminate_backend("), "{stop}");
    assert_eq!(
        (rows(&database).await, ledger(&database).await.as_str()),
        (0, "")
    );
    drop(alive);
    order.limits.takeover = std::time::Duration::from_secs(20);
    database.apply(&order).await.unwrap();
    assert_eq!(ledger(&database).await, "a");
}

/// M2: the version stands in Supabase's own history as its own tool would have written it, and goes with the way back.
#[tokio::test(flavor = "multi_thread")]
async fn m2_supabase_reads_in_its_own_history_what_was_applied() {
    let server = Server::start(15, &[]);
    let supabase = "CREATE SCHEMA supabase_migrations; CREATE TABLE supabase_migrations.schema_migrations \
        (version text PRIMARY KEY, statements text[], name text, created_by text, idempotency_key text UNIQUE, rollback text[])";
    let database = Database::new(&server, "shop", &format!("{LEDGER}; {supabase}")).await;
    let session = server.session("shop").await;
    let found = foreign(&session.client).await.unwrap();
    assert_eq!(found, ["supabase_migrations.schema_migrations"]);
    let files: Files<'_> = &[
        (
            "20260101000000_first_step.sql",
            "INSERT INTO ledger VALUES ('a');\nVACUUM ledger;",
        ),
        (
            "20260101000000_first_step.sql.down",
            "DELETE FROM ledger WHERE what = 'a'",
        ),
    ];
    let mut up = order(database.plan(files).await, "0001");
    up.supabase = true;
    database.apply(&up).await.unwrap();
    let row = "SELECT version || '|' || name || '|' || array_to_string(statements, ';') || '|' || (created_by IS NULL) \
        FROM supabase_migrations.schema_migrations";
    let row: String = database.ask(row).await;
    assert_eq!(
        row,
        "20260101000000|first_step|INSERT INTO ledger VALUES ('a');VACUUM ledger|true"
    );
    let back = database
        .try_plan(files, Direction::Down, "0")
        .await
        .unwrap();
    let mut back = order(back, "0002");
    back.supabase = true;
    database.apply(&back).await.unwrap();
    let left: i64 = database
        .ask("SELECT count(*) FROM supabase_migrations.schema_migrations")
        .await;
    assert_eq!((left, ledger(&database).await.as_str()), (0, ""));
}

/// M5: what was begun on another server says nothing on a copy of its database.
#[tokio::test(flavor = "multi_thread")]
async fn m5_a_statement_that_was_begun_elsewhere_is_not_recovered_here() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", LEDGER).await;
    let files: Files<'_> = &[("1_a.sql", "VACUUM ledger")];
    let order = database.order(files).await;
    database.apply(&order).await.unwrap();
    let copied = "UPDATE lifeboat.migration_history SET state = 'started', system_identifier = '1'";
    server.sql("shop", copied).await;
    let stop = stopped(&database, &attempt(&order, "attempt1")).await;
    assert_eq!(stop.reason, Reason::ForeignHistory, "{stop}");
}

/// M6: the history is read before and after: a block that throws off the role and edits it undoes itself.
#[tokio::test(flavor = "multi_thread")]
async fn m6_a_file_that_edits_the_history_undoes_itself() {
    let server = Server::start(15, &[]);
    let sql = format!(
        "{LEDGER}; CREATE ROLE owner; ALTER TABLE ledger OWNER TO owner; INSERT INTO ledger VALUES ('z')"
    );
    let database = Database::new(&server, "shop", &sql).await;
    let edits = [
        "DELETE FROM lifeboat.migration_history",
        "UPDATE lifeboat.migration_history SET plan_hash = run",
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        let block = format!(
            "INSERT INTO ledger VALUES ('a'); DO $$ BEGIN EXECUTE 'reset role'; EXECUTE '{edit}'; EXECUTE 'set local role owner'; END $$"
        );
        let mut order = order(
            database.plan(&[("1_a.sql", &block)]).await,
            &format!("000{n}"),
        );
        order.acting.role = Some("owner".to_owned());
        let stop = stopped(&database, &order).await;
        assert_eq!(stop.reason, Reason::HistoryTouched, "{stop}");
        assert_eq!(
            (rows(&database).await, ledger(&database).await.as_str()),
            (0, "z")
        );
        order.plan = database.plan(&[("1_a.sql", edit)]).await;
        let stop = stopped(&database, &order).await;
        assert_eq!(
            (stop.reason, stop.sqlstate.as_deref()),
            (Reason::PermissionDenied, Some("42501"))
        );
    }
}

/// M11, M20: settings are ours, whatever the role's are; a file that changes one undoes itself, and its data goes nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn m20_statements_run_under_our_settings_and_may_not_change_them() {
    let server = Server::start(17, &[]);
    let sql = format!(
        "{LEDGER}; CREATE SCHEMA app; CREATE ROLE shop LOGIN; GRANT CREATE ON DATABASE shop TO shop; GRANT ALL ON SCHEMA app TO shop; \
         ALTER TABLE ledger OWNER TO shop; ALTER ROLE shop SET search_path = elsewhere; ALTER ROLE shop SET statement_timeout = '200ms'; \
         ALTER ROLE shop SET synchronous_commit = off; ALTER ROLE shop SET default_transaction_read_only = on; \
         ALTER ROLE shop SET idle_session_timeout = '200ms'; ALTER ROLE shop SET transaction_timeout = '200ms'; \
         ALTER ROLE shop SET standard_conforming_strings = off"
    );
    let mut database = Database::new(&server, "shop", &sql).await;
    database.target.user = "shop".to_owned();
    let seen = "INSERT INTO public.ledger SELECT current_setting('synchronous_commit') || '\\' || current_setting('search_path'); \
        SELECT pg_sleep(0.5); CREATE TABLE made ()";
    let mut good = database.order(&[("1_a.sql", seen)]).await;
    good.acting.search_path = "app, public".to_owned();
    database.apply(&good).await.unwrap();
    assert_eq!(ledger(&database).await, "on\\app, public");
    let made: bool = database
        .ask("SELECT to_regclass('app.made') IS NOT NULL")
        .await;
    assert!(made, "in the search_path of the order");
    for (setting, change) in [
        (
            "lock_timeout",
            "PERFORM set_config('lock_timeout', '0', true)",
        ),
        ("statement_timeout", "SET LOCAL statement_timeout = 0"),
        ("search_path", "SET search_path = app"),
        ("synchronous_commit", "SET LOCAL synchronous_commit = off"),
        ("role", "SET LOCAL ROLE shop"),
        (
            "transaction_timeout",
            "SET LOCAL transaction_timeout = '1h'",
        ),
    ] {
        let block = format!("INSERT INTO public.ledger VALUES ('x'); DO $$ BEGIN {change}; END $$");
        let files = [("1_a.sql", seen), ("2_b.sql", block.as_str())];
        let order = order(database.plan(&files).await, "0003");
        let stop = stopped(&database, &order).await;
        assert_eq!(stop.reason, Reason::SettingsChanged, "{setting}: {stop}");
        assert!(stop.message.contains(setting), "{stop}");
    }
    let secret = "DO $$ BEGIN RAISE EXCEPTION 'the data %', (SELECT what FROM public.ledger LIMIT 1); END $$";
    let order = order(
        database
            .plan(&[("1_a.sql", seen), ("2_b.sql", secret)])
            .await,
        "0004",
    );
    let stop = stopped(&database, &order).await;
    assert_eq!(
        stop.message,
        "statement 1 of 2_b.sql (line 1) failed with SQLSTATE P0001 (raise_exception)"
    );
    assert!(
        stop.server.unwrap().contains("the data on"),
        "for those who may read it"
    );
    assert_eq!(ledger(&database).await, "on\\app, public");
}

/// M3, M20: what PostgreSQL refuses in a transaction undoes its segment; what is deferred fails in it, not after it.
#[tokio::test(flavor = "multi_thread")]
async fn m3_blocks_that_commit_and_constraints_that_wait_fail_in_their_segment() {
    let server = Server::start(15, &[]);
    let keys = "CREATE TABLE customers (id int PRIMARY KEY); CREATE TABLE orders (customer int REFERENCES customers DEFERRABLE INITIALLY DEFERRED); \
        CREATE PROCEDURE halves() LANGUAGE plpgsql AS 'BEGIN INSERT INTO ledger VALUES (''half''); COMMIT; END'";
    let database = Database::new(&server, "shop", &format!("{LEDGER}; {keys}")).await;
    for (text, state) in [
        (
            "INSERT INTO ledger VALUES ('a'); DO $$ BEGIN EXECUTE 'INSERT INTO ledger VALUES (1)'; EXECUTE 'COM' || 'MIT'; END $$",
            "0A000",
        ),
        ("INSERT INTO ledger VALUES ('a'); CALL halves()", "2D000"),
        (
            "INSERT INTO ledger VALUES ('a'); INSERT INTO orders VALUES (7)",
            "23503",
        ),
        ("INSERT INTO ledger VALUES ('a'); SELECT 1 / 0", "22012"),
        (
            "INSERT INTO ledger VALUES ('a'); ALTER TABLE nowhere ADD COLUMN x int",
            "42P01",
        ),
    ] {
        let order = database.order(&[("1_a.sql", text)]).await;
        let stop = stopped(&database, &order).await;
        assert_eq!(
            (stop.reason, stop.sqlstate.as_deref()),
            (Reason::StatementFailed, Some(state)),
            "{text}: {stop}"
        );
        assert_eq!(
            (rows(&database).await, ledger(&database).await.as_str()),
            (0, ""),
            "{text}"
        );
    }
}

/// A role that may not do something is told what it lacks, and nothing is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_right_is_told_so() {
    let server = Server::start(15, &[]);
    let mut database =
        Database::new(&server, "shop", &format!("{LEDGER}; CREATE ROLE app LOGIN")).await;
    database.target.user = "app".to_owned();
    let order = database
        .order(&[("1_a.sql", "INSERT INTO ledger VALUES ('a')")])
        .await;
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.reason, Reason::PermissionDenied);
    assert!(stop.message.contains("schema lifeboat"), "{stop}");
    server
        .sql("shop", "GRANT CREATE ON DATABASE shop TO app")
        .await;
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.sqlstate.as_deref(), Some("42501"), "{stop}");
    let lacks = "permission denied for table ledger; GRANT it to the role that migrates";
    assert!(stop.message.ends_with(lacks), "{stop}");
    assert_eq!(rows(&database).await, 0);
    // From 15 on nobody makes a table in public who was not allowed to; nor changes another's.
    let refused = async |sql: &str| {
        let order = database.order(&[("1_a.sql", sql)]).await;
        let stop = stopped(&database, &order).await;
        assert_eq!(stop.reason, Reason::PermissionDenied, "{stop}");
        stop.message
    };
    let says = refused("CREATE TABLE notes (a int)").await;
    assert!(
        says.contains(
            "permission denied for schema public; GRANT USAGE, CREATE ON SCHEMA \"public\""
        ),
        "{says}"
    );
    let says = refused("ALTER TABLE ledger ADD COLUMN a int").await;
    assert!(
        says.contains("must be owner of table ledger; migrate as its owner (spec.execution.role)"),
        "{says}"
    );
    // What somebody raises with the same SQLSTATE may hold anything.
    let raised = "DO $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '42501'; END $$";
    let stop = stopped(&database, &database.order(&[("1_a.sql", raised)]).await).await;
    assert_eq!(stop.reason, Reason::StatementFailed, "{stop}");
    assert!(!stop.message.contains("secret"), "{stop}");
}

/// M20: no pooler, in whatever mode: who holds a lock is a session, and a session must be ours alone.
#[rstest]
#[case("transaction", Reason::TransactionPooler)]
#[case("session", Reason::SessionPooler)]
#[tokio::test(flavor = "multi_thread")]
async fn m20_a_pooler_is_refused(#[case] mode: &str, #[case] reason: Reason) {
    let server = Server::start(15, &["listen_addresses=127.0.0.1"]);
    server.sql("postgres", LEDGER).await;
    let mut database = Database::of(&server, "postgres");
    let order = database
        .order(&[("1_a.sql", "INSERT INTO ledger VALUES ('a')")])
        .await;
    let bouncer = PgBouncer::start(&server, mode, "ignore_startup_parameters=options").await;
    database.target.host = "127.0.0.1".to_owned();
    database.target.port = bouncer.port;
    let stop = stopped(&database, &order).await;
    assert_eq!(stop.reason, reason, "{stop}");
    assert_eq!(rows(&database).await, 0);
    database.target.port = server.port;
    database.apply(&order).await.unwrap();
}
