//! Files of other tools through plan and run, and what the lint learns of a database.

use lifeboat::plan::Direction;
use lifeboat::postgres::migrate::context;
use lifeboat::sql::File;
use lifeboat::sql::lint::lint;
use rstest::rstest;

use crate::bench::{Database, Files, order};
use crate::pg::Server;

const LEDGER: &str = "SELECT coalesce(string_agg(note, ' ' ORDER BY note), '') FROM ledger";

#[rstest]
#[case::goose("-- +goose Up\n{up}\n-- +goose Down\n{down}")]
#[case::dbmate("-- migrate:up\n{up}\n-- migrate:down\n{down}")]
#[case::sql_migrate("-- +migrate Up\n{up}\n-- +migrate Down\n{down}")]
#[case::tern("{up}\n---- create above / drop below ----\n{down}")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_two_ways_goes_up_and_comes_back(#[case] text: &str) {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", "CREATE TABLE ledger (note text)").await;
    let up = "INSERT INTO ledger VALUES ('a');\nINSERT INTO ledger VALUES ('b');";
    let text = text
        .replace("{up}", up)
        .replace("{down}", "DELETE FROM ledger;");
    let files: Files<'_> = &[("1_a.sql", &text)];
    database
        .apply(&order(database.plan(files).await, "0001"))
        .await
        .unwrap();
    assert_eq!(database.ask::<String>(LEDGER).await, "a b");
    assert!(
        database.plan(files).await.files.is_empty(),
        "nothing is pending"
    );
    let back = database
        .try_plan(files, Direction::Down, "0")
        .await
        .unwrap();
    database.apply(&order(back, "0002")).await.unwrap();
    assert_eq!(database.ask::<String>(LEDGER).await, "");
    database
        .apply(&order(database.plan(files).await, "0003"))
        .await
        .unwrap();
    assert_eq!(database.ask::<String>(LEDGER).await, "a b");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_transaction_what_is_done_stays_done() {
    let server = Server::start(15, &[]);
    let database = Database::new(&server, "shop", "CREATE TABLE ledger (note text)").await;
    let sql = "INSERT INTO ledger VALUES ('a');\nINSERT INTO nowhere VALUES ('b');";
    let apart = format!("-- +goose NO TRANSACTION\n-- +goose Up\n{sql}");
    let files: Files<'_> = &[("1_a.sql", &apart)];
    assert!(
        database
            .apply(&order(database.plan(files).await, "0001"))
            .await
            .is_err()
    );
    assert_eq!(database.ask::<String>(LEDGER).await, "a");
}

/// What the text does not tell the catalogue does.
#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_tells_the_lint_what_costs_nothing() {
    let server = Server::start(18, &[]);
    let made = "CREATE FUNCTION steady() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'; \
        CREATE FUNCTION moving() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
        CREATE DOMAIN free AS int; CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
        CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int, w varchar(10), n numeric(6,2), CHECK (a IS NOT NULL), \
          CONSTRAINT later CHECK (b IS NOT NULL), CONSTRAINT odd CHECK (c IS NOT NULL OR id > 0)); \
        ALTER TABLE t ADD CONSTRAINT nc NOT NULL c NOT VALID; \
        INSERT INTO t SELECT i, i, i, i FROM generate_series(1, 20000) i; ANALYZE t; \
        CREATE TABLE p (k int) PARTITION BY LIST (k); CREATE TABLE q (k int) PARTITION BY LIST (k); \
        CREATE TABLE q_rest PARTITION OF q DEFAULT; INSERT INTO q SELECT generate_series(1, 20000); ANALYZE q_rest";
    let database = Database::new(&server, "shop", made).await;
    let known = context(&database.looks().await.client).await.unwrap();
    let told = |sql: &str| {
        let report = lint(&[File::read("1_a.sql", sql.as_bytes())], &known, &[]);
        let told = report
            .findings
            .iter()
            .map(|f| format!("{} {}", f.rule, f.level));
        told.collect::<Vec<_>>().join(", ")
    };
    for (sql, want) in [
        ("ALTER TABLE t ADD COLUMN x int DEFAULT steady()", ""),
        (
            "ALTER TABLE t ADD COLUMN x int DEFAULT moving()",
            "LB111 block",
        ),
        ("ALTER TABLE t ADD COLUMN x free", ""),
        ("ALTER TABLE t ADD COLUMN x positive", "LB111 block"),
        ("ALTER TABLE t ALTER COLUMN id SET NOT NULL", ""),
        ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", ""),
        ("ALTER TABLE t ALTER COLUMN b SET NOT NULL", ""),
        ("ALTER TABLE t ALTER COLUMN c SET NOT NULL", "LB109 block"),
        (
            "ALTER TABLE t VALIDATE CONSTRAINT nc; ALTER TABLE t ALTER COLUMN c SET NOT NULL",
            "",
        ),
        ("ALTER TABLE t ALTER COLUMN w TYPE varchar(20)", ""),
        (
            "ALTER TABLE t ALTER COLUMN w TYPE varchar(5)",
            "LB112 block",
        ),
        ("ALTER TABLE t ALTER COLUMN n TYPE numeric(8,2)", ""),
        ("ALTER TABLE t ALTER COLUMN a TYPE int", ""),
        ("ALTER TABLE t ALTER COLUMN a TYPE bigint", "LB112 block"),
        ("CREATE TABLE app.x PARTITION OF p FOR VALUES IN (1)", ""),
        (
            "CREATE TABLE app.x PARTITION OF q FOR VALUES IN (0)",
            "LB114 block",
        ),
    ] {
        assert_eq!(told(sql), want, "{sql}");
    }
}
