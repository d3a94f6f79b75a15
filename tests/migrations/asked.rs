//! The user's own questions (M11): every form passes and fails, nothing writes, and no error holds data.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat::api::migration_run::MigrationCheck;
use lifeboat::postgres::Target;
use lifeboat::postgres::migrate::{Acting, Asked, Want, ask};
use rstest::rstest;

use crate::bench::Database;
use crate::pg::Server;

const SHOP: &str = "CREATE SCHEMA app; CREATE TABLE app.orders (id int PRIMARY KEY, customer int, note text); \
    INSERT INTO app.orders SELECT n, n % 1000, 'secret' || n FROM generate_series(1, 20000) n; \
    CREATE INDEX orders_customer ON app.orders (customer); CREATE TABLE ledger (what text); CREATE SEQUENCE numbers; \
    CREATE TABLE app.twins (a int); INSERT INTO app.twins VALUES (1), (1); ANALYZE";

fn check(sql: &str) -> MigrationCheck {
    MigrationCheck {
        name: "check".to_owned(),
        sql: (!sql.is_empty()).then(|| sql.to_owned()),
        ..MigrationCheck::default()
    }
}

fn expects(sql: &str, expect: &str) -> MigrationCheck {
    let expect = Some(expect.to_owned());
    MigrationCheck {
        expect,
        ..check(sql)
    }
}

fn equals(sql: &str, other: &str) -> MigrationCheck {
    let equals = Some(other.to_owned());
    MigrationCheck {
        equals,
        ..check(sql)
    }
}

fn uses(sql: &str, index: &str) -> MigrationCheck {
    let index = Some(index.to_owned());
    MigrationCheck {
        index,
        ..check(sql)
    }
}

fn drifts(sql: &str, percent: i32) -> MigrationCheck {
    let max_drift_percent = Some(percent);
    MigrationCheck {
        max_drift_percent,
        ..check(sql)
    }
}

fn acting(role: Option<&str>) -> Acting {
    Acting {
        role: role.map(str::to_owned),
        search_path: "app, public".to_owned(),
    }
}

const LONG: Duration = Duration::from_secs(20);

async fn asked(target: &Target, check: MigrationCheck, before: &[(&str, &str)]) -> Asked {
    let before: BTreeMap<String, String> = before
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let want = Want::Verdicts(&before);
    let mut all = ask(target, &acting(None), &[check], want, LONG).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn asked_as(target: &Target, role: Option<&str>, check: MigrationCheck) -> Asked {
    let none = BTreeMap::new();
    let want = Want::Verdicts(&none);
    let mut all = ask(target, &acting(role), &[check], want, LONG).await;
    all.remove(0)
}

/// What a check ends in: passed, or its error, or nothing to say.
fn end(asked: &Asked) -> &str {
    match &asked.error {
        Some(error) => error,
        None if asked.passed => "passed",
        None => "failed",
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m11_each_form_of_a_check_passes_and_fails(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &[]);
    let parts = "CREATE TABLE app.parts (id int, n int) PARTITION BY RANGE (id); \
        CREATE TABLE app.parts_1 PARTITION OF app.parts FOR VALUES FROM (0) TO (100000); \
        INSERT INTO app.parts SELECT n, n FROM generate_series(1, 20000) n; CREATE INDEX parts_n ON app.parts (n); ANALYZE app.parts";
    let database = Database::new(&server, "shop", &format!("{SHOP}; {parts}")).await;
    let broken = server.session("shop").await;
    let build = "CREATE UNIQUE INDEX CONCURRENTLY twins_a ON app.twins (a)";
    broken.client.batch_execute(build).await.unwrap_err();
    let few = "SELECT * FROM orders WHERE customer = 7 -- a bitmap scan";
    for (check, want) in [
        (check("SELECT count(*) = 20000 FROM orders"), "passed"),
        (check("SELECT false"), "failed"),
        (check("VALUES (true), (false);"), "passed"),
        (
            check("WITH x AS (SELECT true AS t) SELECT t, 'other' FROM x"),
            "passed",
        ),
        (expects("SELECT 1.50", "1.50"), "passed"),
        (expects("SELECT 1.50", "1.5"), "failed"),
        (
            expects("SELECT ARRAY['glad', NULL]", "{glad,NULL}"),
            "passed",
        ),
        (expects("SELECT NULL", ""), "passed"),
        (
            expects("SELECT 1 WHERE false", ""),
            "its query answered no row",
        ),
        (expects("SELECT", ""), "its query answered no row"),
        (
            equals("SELECT count(*) FROM orders", "TABLE only_here"),
            "the query of equals failed with SQLSTATE 42P01 (undefined_table), at its character 7",
        ),
        (
            equals("SELECT max(id) FROM orders", "SELECT 20000"),
            "passed",
        ),
        (equals("SELECT max(id) FROM orders", "SELECT 1"), "failed"),
        (equals("SELECT NULL", "SELECT ''"), "failed"),
        (equals("SELECT NULL", "SELECT NULL"), "passed"),
        (uses("", "orders_customer"), "passed"),
        (uses("", "app.orders_customer"), "passed"),
        (uses("", "app.parts_n"), "passed"),
        (uses("", "public.orders_customer"), "the index is not there"),
        (
            uses("", "app.orders"),
            "what is there of that name is not an index",
        ),
        (
            uses("", "app.twins_a"),
            "the index is there and is not valid",
        ),
        (uses(few, "orders_customer"), "passed"),
        (
            uses("SELECT * FROM orders WHERE id = 7", "app.orders_pkey"),
            "passed",
        ),
        (
            uses("SELECT * FROM orders WHERE id = 7", "orders_customer"),
            "failed",
        ),
        (uses("SELECT n FROM parts WHERE n = 7", "parts_n"), "passed"),
        (uses("SELECT * FROM orders", "orders_customer"), "failed"),
        (
            uses("SELECT wrong FROM orders", "orders_customer"),
            "its query failed with SQLSTATE 42703 (undefined_column), at its character 8",
        ),
    ] {
        let said = format!("{check:?}");
        let asked = asked(&database.target, check, &[]).await;
        assert_eq!(end(&asked), want, "{said}");
        assert_eq!(asked.value, None, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m11_a_number_may_drift_so_far_and_no_further() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", SHOP).await;
    let count = "SELECT count(*) FROM orders";
    let checks = [check(count), drifts(count, 5)];
    let values = ask(&database.target, &acting(None), &checks, Want::Values, LONG).await;
    assert_eq!(values.len(), 1, "only what has a value");
    assert_eq!(
        (values[0].passed, values[0].value.as_deref()),
        (true, Some("20000"))
    );
    for (sql, percent, before, want) in [
        (count, 0, "20000", "passed"),
        (count, 0, "20001", "failed"),
        (count, 1, "20200", "passed"),
        (count, 1, "20300", "failed"),
        (count, 1000, "0", "failed"),
        ("SELECT -105", 5, "-100", "passed"),
        ("SELECT -106", 5, "-100", "failed"),
        // More digits than a float tells apart.
        (
            "SELECT 90071992547409930001",
            0,
            "90071992547409930001",
            "passed",
        ),
        (
            "SELECT 90071992547409930001",
            0,
            "90071992547409930002",
            "failed",
        ),
        (
            "SELECT note FROM orders",
            5,
            "1",
            "its answer is not a number",
        ),
        ("SELECT 'NaN'::float8", 5, "1", "its answer is not a number"),
        ("SELECT NULL", 5, "1", "its answer is not a number"),
        (
            count,
            5,
            "many",
            "its value before the migration is not a number",
        ),
    ] {
        let asked = asked(&database.target, drifts(sql, percent), &[("check", before)]).await;
        assert_eq!(end(&asked), want, "{sql} {percent} {before}");
    }
    let asked = asked(&database.target, drifts(count, 5), &[("another", "20000")]).await;
    assert_eq!(end(&asked), "no value from before the migration is known");
}

/// What is not one question is refused, by the server itself, and nothing is written.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_question_writes_nothing_and_is_one(#[values(15, 17)] major: i32) {
    let server = Server::start(major, &[]);
    let functions = "CREATE FUNCTION writes() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ledger VALUES ('x'); RETURN true; END $$; \
        CREATE FUNCTION commits() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN COMMIT; INSERT INTO ledger VALUES ('x'); RETURN true; END $$; \
        CREATE FUNCTION opens() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); \
          PERFORM set_config('default_transaction_read_only', 'off', false); INSERT INTO ledger VALUES ('x'); RETURN true; END $$; \
        CREATE PROCEDURE walks(INOUT b bool) LANGUAGE plpgsql AS $$ BEGIN COMMIT; INSERT INTO ledger VALUES ('x'); END $$";
    let database = Database::new(&server, "shop", &format!("{SHOP}; {functions}")).await;
    for (sql, state) in [
        ("SELECT true; SELECT true", "42601"),
        (
            "SELECT true; COMMIT; INSERT INTO ledger VALUES ('x')",
            "42601",
        ),
        ("COMMIT", "42601"),
        ("INSERT INTO ledger VALUES ('x') RETURNING true", "42601"),
        (
            "WITH x AS (INSERT INTO ledger VALUES ('x') RETURNING true) SELECT * FROM x",
            "0A000",
        ),
        ("SELECT true INTO made", "42601"),
        ("EXPLAIN ANALYZE SELECT writes()", "42601"),
        ("CALL walks(true)", "42601"),
        ("SET default_transaction_read_only = off", "42601"),
        ("SELECT writes()", "25006"),
        ("SELECT commits()", "2D000"),
        ("SELECT opens()", "25001"),
        ("SELECT nextval('numbers') > 0", "25006"),
        ("SELECT true FROM orders FOR UPDATE", "25006"),
        ("SELECT $1::bool", "08P01"),
        ("", "42601"),
    ] {
        let words = format!("SQLSTATE {state}");
        let alone = MigrationCheck {
            sql: Some(sql.to_owned()),
            ..check("")
        };
        for check in [alone.clone(), equals("SELECT true", sql)] {
            let asked = asked(&database.target, check, &[]).await;
            let error = asked.error.unwrap_or_default();
            assert!(!asked.passed && error.contains(&words), "{sql}: {error}");
        }
        // Planned only, it may be whatever can be planned: it does not run.
        let index = Some("orders_customer".to_owned());
        let asked = asked(&database.target, MigrationCheck { index, ..alone }, &[]).await;
        assert!(!asked.passed, "{sql}");
    }
    // Two that would be a way out together.
    let asked = asked(&database.target, equals("COMMIT", "SELECT writes()"), &[]).await;
    assert!(!asked.passed);
    let written: i64 = database.ask("SELECT count(*) FROM ledger").await;
    let made: bool = database.ask("SELECT to_regclass('app.made') IS NULL").await;
    let drawn: bool = database.ask("SELECT is_called FROM numbers").await;
    assert!(written == 0 && made && !drawn);
}

/// It answers in time or not at all, whatever it switches off; the server stops too.
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_question_ends_in_time() {
    let server = Server::start(15, &[]);
    let deaf = "CREATE FUNCTION deaf() RETURNS bool LANGUAGE sql AS $$ SELECT set_config('statement_timeout', '0', false) <> '' $$";
    let database = Database::new(&server, "shop", &format!("{SHOP}; {deaf}")).await;
    let short = Duration::from_millis(300);
    let none = BTreeMap::new();
    for check in [
        check("SELECT pg_sleep(60) IS NULL"),
        equals("SELECT deaf()", "SELECT pg_sleep(60) IS NULL"),
    ] {
        let (checks, want) = ([check], Want::Verdicts(&none));
        let all = ask(&database.target, &acting(None), &checks, want, short).await;
        assert_eq!(end(&all[0]), "it did not answer within 0.3 s");
    }
    let alive = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid())";
    assert!(!database.ask::<bool>(alive).await);
}

/// The limits are those of the check, not of the role that asks.
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_question_may_take_as_long_as_it_is_given() {
    let server = Server::start(17, &[]);
    let database = Database::new(&server, "shop", SHOP).await;
    let short = "ALTER ROLE postgres IN DATABASE shop SET transaction_timeout = '300ms'; \
        ALTER ROLE postgres IN DATABASE shop SET statement_timeout = '300ms'";
    server.sql("postgres", short).await;
    let check = check("SELECT pg_sleep(1) IS NOT NULL");
    assert_eq!(
        end(&asked_as(&database.target, None, check).await),
        "passed"
    );
}

/// As the migration's role, with its search_path; and an error says nothing that a row says.
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_question_is_asked_as_the_migration_acts_and_its_errors_hold_no_data() {
    let server = Server::start(15, &[]);
    let roles = "CREATE ROLE owner; CREATE ROLE app LOGIN NOINHERIT; GRANT owner TO app; GRANT USAGE ON SCHEMA app TO owner; \
        GRANT SELECT ON app.orders TO owner";
    let mut database = Database::new(&server, "shop", &format!("{SHOP}; {roles}")).await;
    database.target.user = "app".to_owned();
    let target = &database.target;
    let who = check("SELECT current_user = 'owner' AND session_user = 'app'");
    let reads = check("SELECT count(*) > 0 FROM orders");
    for check in [who, reads.clone()] {
        assert_eq!(end(&asked_as(target, Some("owner"), check).await), "passed");
    }
    // A role that may not see the schema does not find the table.
    let asked = asked_as(target, None, reads).await;
    let want = "its query failed with SQLSTATE 42P01 (undefined_table), at its character 26";
    assert_eq!(end(&asked), want);
    let asked = asked_as(target, Some("postgres"), check("SELECT true")).await;
    let want = "taking on the migration's role and search_path failed with SQLSTATE 42501 (insufficient_privilege)";
    assert_eq!(end(&asked), want);
    for sql in [
        "SELECT note::int > 0 FROM orders",
        "SELECT (1 / (length(note) - length(note)))::text || note = '' FROM orders",
    ] {
        let asked = asked_as(target, Some("owner"), check(sql)).await;
        let said = format!("{asked:?}");
        assert!(
            said.contains("SQLSTATE 22") && !said.contains("secret"),
            "{said}"
        );
    }
    let asked = asked_as(target, Some("owner"), drifts("SELECT note FROM orders", 1)).await;
    assert!(!format!("{asked:?}").contains("secret"));
}
