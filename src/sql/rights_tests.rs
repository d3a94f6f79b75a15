//! What statements need, by their forms, and what those before them change.

use rstest::rstest;

use super::*;

fn short(need: &Need) -> String {
    match need {
        Need::Database => "create on database".to_owned(),
        Need::Create(schema) => format!("create in {}", schema.as_deref().unwrap_or("?")),
        Need::Beside(name) => format!("create beside {name}"),
        Need::Own { kind, name, .. } if *kind == ObjectKind::Relation => format!("own {name}"),
        Need::Own { kind, name, .. } => format!("own {kind:?} {name}"),
        Need::May(name, any) => format!("{} {name}", any.first().unwrap()),
        Need::Extension(name) => format!("extension {name}"),
    }
}

fn all(files: &[&str]) -> String {
    let files: Vec<File> = files
        .iter()
        .enumerate()
        .map(|(n, text)| File::read(&format!("{n}_a.sql"), text.as_bytes()))
        .collect();
    for file in &files {
        assert!(!file.refused(), "{:?}", file.refusal());
    }
    let wanted = wanted(files.iter().map(|f| (f, 0)));
    let each: Vec<String> = wanted.iter().map(|w| short(&w.need)).collect();
    each.join(", ")
}

#[rstest]
#[case("CREATE TABLE a.t (id int)", "create in a")]
#[case(
    "CREATE TABLE t (id int REFERENCES u, FOREIGN KEY (id) REFERENCES s.v (id), p int REFERENCES t)",
    "create in ?, REFERENCES u, REFERENCES s.v"
)]
#[case("CREATE TABLE t (LIKE u)", "create in ?, SELECT u")]
#[case(
    "CREATE TABLE t PARTITION OF p FOR VALUES IN (1)",
    "create in ?, own p"
)]
#[case("CREATE TABLE t () INHERITS (p, s.q)", "create in ?, own p, own s.q")]
#[case("CREATE TABLE IF NOT EXISTS t (id int REFERENCES u)", "create in ?")]
#[case("CREATE TEMP TABLE t (id int REFERENCES u)", "")]
#[case("CREATE TABLE t AS SELECT * FROM u", "create in ?, SELECT u")]
#[case("CREATE TABLE t AS SELECT * FROM u WITH NO DATA", "create in ?")]
#[case("SELECT a INTO s.t FROM u", "create in s, SELECT u")]
#[case("CREATE VIEW v AS SELECT * FROM t", "create in ?")]
#[case("CREATE OR REPLACE VIEW v AS SELECT 1 AS a", "create in ?")]
#[case("CREATE OR REPLACE VIEW s.v AS SELECT 1 AS a", "create in s, own s.v")]
#[case("DROP TRIGGER IF EXISTS g ON t", "")]
#[case("DROP FUNCTION IF EXISTS s.f(int)", "")]
#[case("ALTER TABLE t ADD COLUMN IF NOT EXISTS a bigserial", "own t")]
#[case("CREATE INDEX i ON ONLY s.t (a)", "own s.t, create beside s.t")]
#[case("CREATE SEQUENCE s.q", "create in s")]
#[case("CREATE TYPE mood AS ENUM ('a')", "create in ?")]
#[case("CREATE DOMAIN s.d AS int", "create in s")]
#[case(
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "create in ?"
)]
#[case("CREATE SCHEMA s", "create on database")]
#[case("CREATE SCHEMA AUTHORIZATION ada", "")]
#[case("CREATE EXTENSION IF NOT EXISTS citext", "extension citext")]
#[case(
    "CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "TRIGGER t"
)]
#[case("CREATE POLICY p ON t USING (true)", "own t")]
#[case("CREATE STATISTICS s ON a, b FROM t", "own t")]
#[case("ALTER TABLE t ADD COLUMN a int, DROP COLUMN b", "own t")]
#[case(
    "ALTER TABLE t ADD COLUMN a int REFERENCES u, ADD CONSTRAINT k FOREIGN KEY (b) REFERENCES s.v",
    "own t, REFERENCES u, REFERENCES s.v"
)]
#[case("ALTER TABLE t ADD UNIQUE (a)", "own t, create beside t")]
#[case("ALTER TABLE t ADD COLUMN a bigserial", "own t, create beside t")]
#[case("ALTER TABLE t RENAME TO u", "own t, create beside t")]
#[case("ALTER TABLE t RENAME COLUMN a TO b", "own t")]
#[case("ALTER TABLE t SET SCHEMA s", "own t, create in s")]
#[case("ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (1)", "own p, own q")]
#[case("ALTER VIEW v RENAME TO w", "own v, create beside v")]
#[case("ALTER INDEX i RENAME TO j", "own i, create beside i")]
#[case("ALTER TYPE s.mood ADD VALUE 'b'", "own Type s.mood")]
#[case("ALTER FUNCTION f(int) STABLE", "own Routine f")]
#[case("DROP TABLE IF EXISTS t, s.u", "own s.u")]
#[case("DROP INDEX CONCURRENTLY i", "own i")]
#[case("DROP FUNCTION s.f(int, text)", "own Routine s.f")]
#[case("TRUNCATE t, s.u", "TRUNCATE t, TRUNCATE s.u")]
#[case("INSERT INTO t SELECT * FROM u a", "INSERT t, SELECT u")]
#[case(
    "WITH w AS (DELETE FROM t RETURNING *) INSERT INTO s.u SELECT * FROM w",
    "INSERT s.u, DELETE t"
)]
#[case(
    "UPDATE ONLY t SET a = v.a FROM v WHERE v.id = t.id AND EXISTS (SELECT FROM x)",
    "UPDATE t, SELECT v, SELECT x"
)]
#[case("SELECT count(*) FROM generate_series(1, 2) AS g", "")]
#[case("COMMENT ON TABLE t IS 'x'", "own t")]
#[case("COMMENT ON COLUMN s.t.a IS 'x'", "own s.t")]
#[case("COMMENT ON COLUMN t.a IS 'x'", "own t")]
#[case("COMMENT ON EXTENSION citext IS 'x'", "")]
#[case("LOCK TABLE t IN SHARE MODE", "UPDATE t")]
#[case("REFRESH MATERIALIZED VIEW v", "own v")]
#[case("DO $$ BEGIN END $$", "")]
#[case::key("-- lifeboat: batch 9 by id\nUPDATE t SET a = 1", "UPDATE t, SELECT t")]
#[case::key(
    "-- lifeboat: batch 9 by id\nDELETE FROM s.t",
    "DELETE s.t, SELECT s.t"
)]
fn what_a_statement_needs_is_read_from_its_form(#[case] sql: &str, #[case] needs: &str) {
    assert_eq!(all(&[sql]), needs);
}

#[rstest]
#[case::made(&["CREATE TABLE t (id int)", "CREATE INDEX i ON t (id); INSERT INTO public.t VALUES (1); DROP INDEX i"], "create in ?")]
#[case::in_a_new_schema(&["CREATE SCHEMA s; CREATE TABLE s.t (id int REFERENCES s.u); COMMENT ON SCHEMA s IS 'x'"], "create on database")]
#[case::renamed(&["ALTER TABLE t RENAME TO u; DROP TABLE u; DROP TABLE t"], "own t, create beside t")]
#[case::moved(&["ALTER TABLE t SET SCHEMA s", "DROP TABLE s.t"], "own t, create in s")]
#[case::dropped(&["DROP TABLE t; CREATE TABLE t (id int); TRUNCATE t"], "own t, create in ?")]
#[case::granted(&["GRANT INSERT ON t TO ada; INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)"], "INSERT u")]
#[case::granted_a_schema(&["GRANT CREATE ON SCHEMA s TO ada; CREATE TABLE s.t (id int)"], "")]
#[case::granted_a_role(&["GRANT owner TO ada; DROP TABLE t"], "")]
#[case::with_all_that_hangs_on_it(&["DROP TABLE t CASCADE; DROP VIEW IF EXISTS v; CREATE TABLE u ()"], "own t, create in ?")]
#[case::a_block(&["DO $$ BEGIN END $$; DROP TABLE t"], "")]
#[case::a_function(&["SELECT give_me_everything(); DROP TABLE t"], "")]
#[case::a_function_of_the_server(&["SELECT pg_catalog.now(), lower('A'); DROP TABLE t"], "own t")]
#[case::a_setting(&["SET client_min_messages = warning; DROP TABLE t"], "own t")]
#[case::another_search_path(&["SET LOCAL search_path = s; DROP TABLE t"], "")]
#[case::what_goes_with_a_table(&["DROP TABLE t; CREATE TABLE t (id serial PRIMARY KEY); DROP INDEX t_pkey; DROP TABLE u"], "own t, create in ?, own u")]
#[case::once(&["TRUNCATE t; TRUNCATE t", "TRUNCATE t"], "TRUNCATE t")]
fn what_earlier_statements_change_is_not_asked_for(#[case] files: &[&str], #[case] needs: &str) {
    assert_eq!(all(files), needs);
}

#[test]
fn what_is_applied_needs_nothing_any_more() {
    let file = File::read("1_a.sql", b"CREATE TABLE t (id int);\nTRUNCATE u");
    let wanted = wanted([(&file, 1)]);
    let of: Vec<_> = wanted.iter().map(|w| (w.line, w.verb.as_str())).collect();
    assert_eq!(of, [(2, "TRUNCATE")]);
}
