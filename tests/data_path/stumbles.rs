//! What stock tools cannot restore is told beforehand, and by the drill with its cure.

use std::sync::Arc;

use lifeboat::api::restore_drill::Verdict;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::{Silent, preflight};
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use rstest::rstest;

use crate::drills::{Folders, drill_plan, shown};
use crate::pg::Server;
use crate::runs::{APPLICATION, FIRST, plan};

/// Functions that lean on the search_path, and such as do not: built-in names, qualified ones, a search_path of their own, a body that
/// is parsed when the function is made, a name in a text, and one that nothing needs.
const FUNCTIONS: &str = "CREATE SCHEMA x; SET search_path = x; CREATE TYPE mood AS ENUM ('a'); CREATE TABLE list (a int); \
    CREATE FUNCTION g(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1'; \
    CREATE FUNCTION calls(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT g($1)'; \
    CREATE FUNCTION reads(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN NOT EXISTS (SELECT FROM list WHERE a = $1); END'; \
    CREATE FUNCTION casts(text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'DECLARE m mood := $1; BEGIN RETURN m IS NOT NULL; END'; \
    CREATE FUNCTION built_in(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower(trim($1))::text'; \
    CREATE FUNCTION qualified(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT x.g($1) -- g(1)'; \
    CREATE FUNCTION own_path(int) RETURNS int IMMUTABLE LANGUAGE sql SET search_path = x AS 'SELECT g($1)'; \
    CREATE FUNCTION atomic(int) RETURNS int IMMUTABLE BEGIN ATOMIC SELECT g($1); END; \
    CREATE FUNCTION says(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'g(1) FROM list' || $1 $$; \
    CREATE FUNCTION unneeded(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT g($1)'; \
    CREATE TABLE t (a int CHECK (reads(a)), b text CHECK (casts(b)), c int GENERATED ALWAYS AS (calls(a)) STORED, \
        d text CHECK (built_in(d) <> ''), e int CHECK (qualified(e) > 0), f int CHECK (own_path(f) > 0), g int CHECK (atomic(g) > 0), h int CHECK (says(h) <> '')); \
    CREATE INDEX ON t (built_in(d)); \
    INSERT INTO t (a, b, d, e, f, g, h) VALUES (1, 'a', 'b', 1, 1, 1, 1)";

#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_leans_on_search_path_is_told_before_and_after(#[case] major: i32) {
    let server = Server::start(major, &[]);
    server.database("shop", "").await;
    server.sql("shop", FUNCTIONS).await;
    let found = preflight(&server.target("shop"), APPLICATION)
        .await
        .unwrap();
    let wanted = [
        "generated column x.t.c: its function x.calls(integer) names the function \"g\" without a schema, and a restore looks in pg_catalog alone; \
         qualify its names, or: ALTER FUNCTION x.calls(integer) SET search_path = \"x\", pg_temp",
        "check t_b_check of x.t: its function x.casts(text) names the type \"mood\"",
        "check t_a_check of x.t: its function x.reads(integer) names the relation \"list\"",
    ];
    assert_eq!(found.warnings.len(), wanted.len(), "{:#?}", found.warnings);
    for (warning, wanted) in found.warnings.iter().zip(wanted) {
        let wanted = format!("a restore with stock tools will fail at the {wanted}");
        assert!(warning.starts_with(&wanted), "{warning}");
    }
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let backup = plan(server.target("shop"), major, store.clone(), FIRST, &scratch);
    let made = make(&backup, &Silent).await.unwrap();
    let folders = Folders::new();
    let plan = drill_plan(store.clone(), &made.prefix, major, &folders);
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(proof.result, Verdict::Failed, "{}", shown(&proof));
    let cure = "qualify the names in its body, or ALTER FUNCTION … SET search_path";
    assert!(proof.message.contains(cure), "{}", shown(&proof));
    // The cure cures.
    let cured = "ALTER FUNCTION x.calls(int) SET search_path = x, pg_temp; ALTER FUNCTION x.casts(text) SET search_path = x, pg_temp; \
        ALTER FUNCTION x.reads(int) SET search_path = x, pg_temp";
    server.sql("shop", cured).await;
    let found = preflight(&server.target("shop"), APPLICATION)
        .await
        .unwrap();
    assert_eq!(found.warnings, [""; 0]);
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let backup = lifeboat::work::backup::Plan {
        store: store.clone(),
        ..backup
    };
    let made = make(&backup, &Silent).await.unwrap();
    let folders = Folders::new();
    let plan = drill_plan(store, &made.prefix, major, &folders);
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
}
