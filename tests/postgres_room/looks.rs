//! Preflight: what stands against a backup is said before anything is locked.

use lifeboat::api::Reason;
use lifeboat::postgres::pooler::Pooler;
use lifeboat::postgres::{Target, preflight};

use crate::pg::Server;

async fn refused(target: &Target, reason: Reason) -> String {
    let error = preflight(target, "lifeboat/test").await.unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    error.to_string()
}

/// The GRANT and ALTER statements of a message.
fn remedies(message: &str) -> Vec<String> {
    let first = message.split(" (all tables").next().unwrap();
    let at = first
        .find("GRANT ")
        .or_else(|| first.find("ALTER "))
        .unwrap();
    first[at..]
        .split_inclusive(';')
        .map(|s| s.trim().to_owned())
        .filter(|s| s.ends_with(';'))
        .collect()
}

#[tokio::test]
async fn g6_what_cannot_be_read_is_refused_with_the_grant_that_mends_it() {
    let server = Server::start(15, &[]);
    server.database("shop", "").await;
    server
        .sql("postgres", "CREATE ROLE \"Back Up\" LOGIN")
        .await;
    server
        .sql(
            "shop",
            "CREATE SCHEMA \"we\"\"ird\"; CREATE TABLE \"we\"\"ird\".\"a$$b \"\"ü\" (a int); \
             CREATE TABLE plain (a int); CREATE SEQUENCE counter; SELECT lo_create(4711); \
             CREATE TABLE parts (a int) PARTITION BY RANGE (a)",
        )
        .await;
    let mut target = server.target("shop");
    target.user = "Back Up".into();
    let mut seen = String::new();
    for _ in 0..6 {
        match preflight(&target, "x").await {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.reason(), Reason::PermissionDenied, "{error}");
                seen.push_str(&error.to_string());
                for remedy in remedies(&error.to_string()) {
                    server.sql("shop", &remedy).await;
                }
            }
        }
    }
    for part in [
        "GRANT USAGE ON SCHEMA \"we\"\"ird\" TO \"Back Up\";",
        "GRANT SELECT ON TABLE \"we\"\"ird\".\"a$$b \"\"ü\" TO \"Back Up\";",
        "GRANT SELECT ON TABLE public.parts TO",
        "GRANT SELECT ON SEQUENCE public.counter TO",
        "GRANT SELECT ON LARGE OBJECT 4711 TO",
        "3 table(s)",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let found = preflight(&target, "x").await.unwrap();
    assert_eq!(
        (found.major(), found.encoding.as_str(), found.pooler),
        (15, "UTF8", Pooler::None)
    );
    assert_eq!(found.facts.provider.as_deref(), Some("None"));
    assert!(found.bytes > 0 && found.version.starts_with("15.") && !found.in_recovery);
}

#[tokio::test]
async fn g6_row_security_that_would_hide_rows_is_refused() {
    let server = Server::start(17, &[]);
    server
        .sql(
            "postgres",
            "CREATE ROLE reader LOGIN; CREATE TABLE secret (a int); ALTER TABLE secret ENABLE ROW LEVEL SECURITY; \
             GRANT SELECT ON secret TO reader",
        )
        .await;
    let mut target = server.target("postgres");
    preflight(&target, "x").await.unwrap();
    target.user = "reader".into();
    let message = refused(&target, Reason::RowSecurity).await;
    assert!(message.contains("public.secret"), "{message}");
    server.sql("postgres", "ALTER ROLE reader BYPASSRLS").await;
    preflight(&target, "x").await.unwrap();
}

#[tokio::test]
async fn g3_settings_that_read_damage_as_emptiness_are_refused_with_the_way_back() {
    let server = Server::start(15, &[]);
    server.database("shop", "").await;
    server
        .sql(
            "postgres",
            "ALTER DATABASE shop SET zero_damaged_pages = on",
        )
        .await;
    let message = refused(&server.target("shop"), Reason::UnsafeSetting).await;
    assert!(
        message.contains("zero_damaged_pages is on") && message.contains("ALTER DATABASE"),
        "{message}"
    );
    server
        .sql(
            "postgres",
            "ALTER DATABASE shop RESET ALL; ALTER ROLE postgres SET ignore_checksum_failure = on",
        )
        .await;
    let message = refused(&server.target("shop"), Reason::UnsafeSetting).await;
    assert!(
        message.contains("ALTER ROLE \"postgres\" RESET ignore_checksum_failure;"),
        "{message}"
    );
    server
        .sql("postgres", "ALTER ROLE postgres RESET ALL")
        .await;
    preflight(&server.target("shop"), "x").await.unwrap();
}

#[tokio::test]
async fn a_search_path_with_traps_in_it_changes_no_answer() {
    let server = Server::start(17, &[]);
    server
        .sql(
            "postgres",
            "CREATE SCHEMA trap; CREATE FUNCTION trap.count(int) RETURNS int LANGUAGE sql AS 'SELECT 7'; \
             CREATE VIEW trap.pg_class AS SELECT 1 AS oid; \
             ALTER DATABASE postgres SET search_path = trap, pg_catalog, public",
        )
        .await;
    preflight(&server.target("postgres"), "x").await.unwrap();
}

/// G11: a lock table with little room is told of while it has some, and refused before a lock where it has not.
#[tokio::test]
async fn g11_a_database_with_more_tables_than_the_server_has_room_for_locks_is_refused() {
    let settings = [
        "max_locks_per_transaction=10",
        "max_connections=10",
        "max_prepared_transactions=0",
    ];
    let server = Server::start(17, &settings);
    let target = server.target("postgres");
    let mut n = 0;
    let mut more = async |count: usize| {
        for _ in 0..count {
            n += 1;
            server
                .sql("postgres", &format!("CREATE TABLE t{n} ()"))
                .await;
        }
    };
    more(50).await;
    assert_eq!(preflight(&target, "x").await.unwrap().warnings, [""; 0]);
    more(1).await;
    let found = preflight(&target, "x").await.unwrap();
    assert!(
        found.warnings[0].contains("51 tables"),
        "{:?}",
        found.warnings
    );
    more(50).await;
    let says = refused(&target, Reason::LockTableTooSmall).await;
    assert!(
        says.contains("room for 100") && says.contains("max_locks_per_transaction to 21 or more"),
        "{says}"
    );
}
