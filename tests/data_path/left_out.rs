//! What a database has and no dump holds: recorded and told at the backup or found by the drill, and never proven in silence (G3,
//! G4, G14). The extension `lifeboat_config` has a table with rows of its own, as postgis has one, and one that nobody dumps.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat::api::restore_drill::Verdict;
use lifeboat::codec::read_pieces;
use lifeboat::manifest::{Contents, LeftOut, ObjectRole, Proof};
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::Silent;
use lifeboat::postgres::preflight::preflight;
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use rstest::rstest;

use crate::drills::{Folders, drill_plan, run_file, shown};
use crate::pg::Server;
use crate::runs::{FIRST, manifest, plan};

pub struct Made {
    pub store: Arc<dyn ObjectStore>,
    pub prefix: String,
    major: i32,
    /// What the check said of what no dump holds.
    pub told: Vec<String>,
}

/// A backup of a database in which these statements were run.
pub async fn backup(major: i32, settings: &[&str], sql: &str) -> Made {
    let source = Server::start(major, settings);
    source
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    run_file(&source, "shop", sql);
    backup_of(&source, major).await
}

pub async fn backup_of(source: &Server, major: i32) -> Made {
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let target = source.target("shop");
    let facts = preflight(&target, "test").await.unwrap().facts;
    let plan = plan(target, major, store.clone(), FIRST, &scratch);
    let manifest = make(&plan, &Silent).await.unwrap();
    Made {
        store,
        prefix: manifest.prefix,
        major,
        told: facts.not_dumped,
    }
}

/// What the backup says of itself.
pub async fn contents(made: &Made) -> Contents {
    let manifest = manifest(made.store.as_ref(), &made.prefix).await.unwrap();
    let objects = manifest.objects.into_iter();
    let objects: Vec<_> = objects.filter(|o| o.role == ObjectRole::Contents).collect();
    let most = 16 * 1024 * 1024;
    let bytes = read_pieces(made.store.as_ref(), &made.prefix, &objects, None, most).await;
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

pub async fn drilled(made: &Made, accepted: &[&str]) -> Proof {
    let folders = Folders::new();
    let mut plan = drill_plan(made.store.clone(), &made.prefix, made.major, &folders);
    plan.accepted = accepted.iter().map(|name| (*name).to_owned()).collect();
    drill(&plan, &Silent).await.unwrap().proof
}

pub fn proven(proof: &Proof) {
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(proof));
    assert!(proof.proves, "{}", shown(proof));
}

/// Equal as far as there is something to compare, and not proven, for these reasons and no other.
pub fn not_proven(proof: &Proof, names: &[&str]) {
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(proof));
    assert_eq!(proof.reason, "Partial", "{}", shown(proof));
    assert!(!proof.proves, "{}", shown(proof));
    let told = &proof.not_compared;
    for name in names {
        let says = told.iter().any(|text| text.contains(name));
        assert!(says, "{name}: {}", shown(proof));
    }
    assert_eq!(told.len(), names.len(), "{}", shown(proof));
}

/// G4: a table of an extension that nobody dumps and that is empty loses nothing.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g4_an_empty_table_that_an_extension_keeps_for_itself_is_proven(
    #[values(15, 17)] major: i32,
) {
    let sql = "CREATE EXTENSION lifeboat_config; INSERT INTO config.places VALUES (1000, 'mine');";
    let made = backup(major, &[], sql).await;
    let proof = drilled(&made, &[]).await;
    proven(&proof);
    assert_eq!(proof.score, Some(100), "{}", shown(&proof));
    let contents = contents(&made).await;
    let mut relations = contents.relations.iter();
    let jobs = relations.find(|r| r.name.display() == "jobs").unwrap();
    assert_eq!(jobs.hash.as_deref(), Some("0".repeat(32).as_str()));
    assert_eq!(jobs.columns.as_ref().map(Vec::len), Some(2));
    assert!(contents.left_out.is_empty() && made.told.is_empty());
}

/// G4: rows of a table that an extension keeps for itself are in no dump: one that has others than CREATE EXTENSION makes is never
/// proven in silence.
#[tokio::test(flavor = "multi_thread")]
async fn g4_rows_that_an_extension_keeps_for_itself_are_never_proven_in_silence() {
    let sql = "CREATE EXTENSION lifeboat_config; INSERT INTO config.jobs VALUES (1);";
    let made = backup(17, &[], sql).await;
    let left = contents(&made).await.left_out;
    assert_eq!(left.first().map(|l| l.rows), Some(1));
    not_proven(&drilled(&made, &[]).await, &["config.jobs"]);
    proven(&drilled(&made, &["config.jobs"]).await);
}

const PLACES: &str = "config.places";

/// G4: rows that an extension made itself are in no dump, so what somebody did to them is lost, and named.
#[rstest]
#[case::changed("UPDATE config.places SET what = 'mine' WHERE id = 3", false)]
#[case::removed("DELETE FROM config.places WHERE id = 3", false)]
#[case::added("INSERT INTO config.places VALUES (7, 'mine')", false)]
#[case::removed_and_added(
    "DELETE FROM config.places WHERE id = 3; INSERT INTO config.places VALUES (7, 'mine')",
    false
)]
#[case::as_they_were("UPDATE config.places SET what = what", true)]
#[tokio::test(flavor = "multi_thread")]
async fn g4_a_row_of_the_extensions_own_that_was_changed_is_never_proven_in_silence(
    #[case] sql: &str,
    #[case] proves: bool,
) {
    let sql = format!(
        "CREATE EXTENSION lifeboat_config; INSERT INTO config.places VALUES (2000, 'mine'); {sql};"
    );
    let made = backup(17, &[], &sql).await;
    let proof = drilled(&made, &[]).await;
    if proves {
        return proven(&proof);
    }
    not_proven(&proof, &[PLACES]);
    let accepted = drilled(&made, &[PLACES]).await;
    proven(&accepted);
    let noted = |note: &String| note.contains(PLACES) && note.contains("accepted");
    assert!(accepted.notes.iter().any(noted), "{}", shown(&accepted));
}

/// G4: what somebody made of an extension's objects, or put on its tables, is lost and named; one that is taken for good is proven.
#[rstest]
#[case::index("CREATE INDEX mine ON config.places (what)", &["index config.mine"])]
#[case::trigger("CREATE TRIGGER mine BEFORE INSERT ON config.jobs FOR EACH ROW EXECUTE FUNCTION config.touch()", &["trigger mine on config.jobs"])]
#[case::switched_off("ALTER TABLE config.jobs DISABLE TRIGGER touched", &["trigger touched on config.jobs"])]
#[case::check("ALTER TABLE config.places ADD CONSTRAINT mine CHECK (id <> 77)", &["table constraint mine on config.places"])]
#[case::statistics("CREATE STATISTICS config.mine ON id, what FROM config.places", &["statistics object config.mine"])]
#[case::options("ALTER TABLE config.jobs SET (fillfactor = 70)", &["table config.jobs"])]
#[case::column("ALTER TABLE config.jobs ADD COLUMN mine int", &["table config.jobs"])]
#[case::comment("COMMENT ON FUNCTION config.twice(int) IS 'mine'", &["function config.twice(integer)"])]
#[case::column_comment("COMMENT ON COLUMN config.jobs.id IS 'mine'", &["table config.jobs"])]
#[case::body("CREATE OR REPLACE FUNCTION config.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n + n'", &["function config.twice(integer)"])]
#[case::setting("ALTER FUNCTION config.twice(int) SET work_mem = '1MB'", &["function config.twice(integer)"])]
#[case::owner("CREATE ROLE mine; ALTER FUNCTION config.twice(int) OWNER TO mine", &["function config.twice(integer)"])]
#[case::view("CREATE OR REPLACE VIEW config.named_places AS SELECT id, what FROM config.places", &["view config.named_places"])]
#[case::label("ALTER TYPE config.state ADD VALUE 'mine'", &["type config.state"])]
#[case::member("CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER EXTENSION lifeboat_config ADD FUNCTION mine()", &["function public.mine()"])]
#[case::taken_out("ALTER EXTENSION lifeboat_config DROP FUNCTION config.twice(int); COMMENT ON FUNCTION config.twice(int) IS 'mine'; GRANT EXECUTE ON FUNCTION config.twice(int) TO pg_monitor", &["function config.twice(integer)"])]
#[case::cast_taken_out("CREATE EXTENSION citext; ALTER EXTENSION citext DROP CAST (citext AS text)", &["cast (public.citext AS pg_catalog.text)"])]
#[case::operator_taken_out("CREATE EXTENSION citext; ALTER EXTENSION citext DROP OPERATOR = (citext, citext)", &["operator public.=(public.citext,public.citext)"])]
#[case::class_taken_out("CREATE EXTENSION pg_trgm; ALTER EXTENSION pg_trgm DROP OPERATOR CLASS gin_trgm_ops USING gin", &["operator class public.gin_trgm_ops USING gin"])]
#[case::dictionary_taken_out("CREATE EXTENSION unaccent; ALTER EXTENSION unaccent DROP TEXT SEARCH DICTIONARY unaccent", &["text search dictionary public.unaccent"])]
#[case::wrapper_taken_out("CREATE EXTENSION postgres_fdw; ALTER EXTENSION postgres_fdw DROP FOREIGN DATA WRAPPER postgres_fdw", &["foreign-data wrapper postgres_fdw"])]
#[case::depends("CREATE EXTENSION citext; ALTER FUNCTION config.twice(int) DEPENDS ON EXTENSION citext", &["function config.twice(integer)"])]
#[case::sequence("SELECT nextval('config.steps')", &["sequence config.steps"])]
#[case::privileges_that_pass_for_the_scripts("REVOKE EXECUTE ON FUNCTION config.twice(int) FROM PUBLIC; ALTER EXTENSION lifeboat_config DROP FUNCTION config.twice(int); ALTER EXTENSION lifeboat_config ADD FUNCTION config.twice(int)", &["privileges of function config.twice(integer)"])]
#[case::privileges_of_a_script_on_what_is_not_its_own("SET allow_system_table_mods = on; CREATE SCHEMA mine; GRANT USAGE ON SCHEMA mine TO PUBLIC; INSERT INTO pg_init_privs SELECT oid, tableoid, 0, 'e', nspacl FROM pg_namespace WHERE nspname = 'mine'", &["privileges of schema mine"])]
#[case::table("CREATE TABLE mine (a int PRIMARY KEY); ALTER EXTENSION lifeboat_config ADD TABLE mine", &["table public.mine"])]
#[tokio::test(flavor = "multi_thread")]
async fn g4_what_is_put_on_an_extension_is_never_proven_in_silence(
    #[case] sql: &str,
    #[case] names: &[&str],
) {
    let sql = format!("CREATE EXTENSION lifeboat_config; {sql};");
    let made = backup(17, &[], &sql).await;
    not_proven(&drilled(&made, &[]).await, names);
    proven(&drilled(&made, names).await);
}

/// G4: policies too; on another major the same.
#[tokio::test(flavor = "multi_thread")]
async fn g4_a_policy_on_an_extensions_table_is_never_proven_in_silence() {
    let sql = "CREATE EXTENSION lifeboat_config; ALTER TABLE config.jobs ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON config.jobs USING (id > 0);";
    let made = backup(15, &[], sql).await;
    let names = ["policy mine on config.jobs", "table config.jobs"];
    not_proven(&drilled(&made, &[]).await, &names);
    // A table's name alone accepts that its rows are lost, not that the table is another.
    let proof = drilled(&made, &["mine on config.jobs", "config.jobs"]).await;
    not_proven(&proof, &names[1..]);
    proven(&drilled(&made, &names).await);
}

/// P10: privileges that somebody gives or revokes on an extension's objects are in a dump.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_privileges_that_a_dump_holds_are_proven(#[values(15, 17)] major: i32) {
    let sql = "CREATE ROLE app SUPERUSER; CREATE ROLE reader; SET ROLE app; CREATE EXTENSION lifeboat_config; CREATE EXTENSION pg_stat_statements; \
        REVOKE EXECUTE ON FUNCTION config.twice(int) FROM PUBLIC; GRANT SELECT (what) ON config.jobs TO reader WITH GRANT OPTION; \
        GRANT USAGE ON SEQUENCE config.steps TO reader; REVOKE SELECT ON pg_stat_statements FROM PUBLIC;";
    let made = backup(major, &[], sql).await;
    proven(&drilled(&made, &[]).await);
}

/// P10: of extensions that nobody touched nothing is said.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_many_extensions_that_nobody_touched_are_proven(#[values(15, 17)] major: i32) {
    let names = "lifeboat_config hstore pg_trgm btree_gist btree_gin ltree citext cube earthdistance pgcrypto postgres_fdw dblink \
        intarray pg_stat_statements unaccent dict_int isn seg tablefunc lo xml2 bloom";
    let create = |name: &str| format!("CREATE EXTENSION {name}; ");
    let sql: String = names.split_whitespace().map(create).collect();
    let owner = "CREATE ROLE app SUPERUSER; SET ROLE app; CREATE EXTENSION fuzzystrmatch;";
    let made = backup(major, &[], &(sql + owner)).await;
    proven(&drilled(&made, &[]).await);
}

/// G3: what no dump holds stands in leftOut with its reason, is told by the check, and is not held against the restore.
#[rstest]
#[case::of_the_system(
    "SET allow_system_table_mods = on; CREATE TABLE pg_catalog.mine (a int); \
     CREATE FUNCTION pg_catalog.mine(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; \
     CREATE DOMAIN information_schema.mine_domain AS int; CREATE VIEW information_schema.mine_view AS SELECT 1 AS a;",
    &["table pg_catalog.mine", "function pg_catalog.mine(integer)", "type information_schema.mine_domain", "view information_schema.mine_view"],
    "the system's own schemas"
)]
#[case::of_a_family_of_the_system(
    "CREATE FUNCTION same(int, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2'; \
     CREATE OPERATOR === (LEFTARG = int, RIGHTARG = text, FUNCTION = same); \
     ALTER OPERATOR FAMILY integer_ops USING hash ADD OPERATOR 1 === (int, text);",
    &["operator of access method operator 1 (integer, pg_catalog.text) of pg_catalog.integer_ops USING hash"],
    "added to a family of the system"
)]
#[case::switched_off(
    "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int CONSTRAINT known REFERENCES p); ALTER TABLE c DISABLE TRIGGER ALL;",
    &["table constraint known on public.c"],
    "switched off"
)]
#[case::changed_of_the_system(
    "ALTER TEXT SEARCH CONFIGURATION english ALTER MAPPING FOR word WITH simple; \
     ALTER TEXT SEARCH CONFIGURATION german DROP MAPPING FOR email; \
     ALTER TEXT SEARCH DICTIONARY french_stem (StopWords); \
     CREATE ROLE reader; GRANT USAGE ON LANGUAGE sql TO reader; \
     ALTER FUNCTION pg_catalog.pg_sleep(double precision) COST 7; \
     COMMENT ON TYPE pg_catalog.int8 IS 'mine'; COMMENT ON SCHEMA public IS 'mine'; \
     GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO reader; REVOKE EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) FROM reader; \
     GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO reader; ANALYZE; VACUUM FREEZE;",
    &["text search configuration pg_catalog.english", "text search configuration pg_catalog.german",
      "text search dictionary pg_catalog.french_stem", "language sql", "function pg_catalog.pg_sleep(double precision)", "type bigint"],
    "the system's own"
)]
#[case::comment_of_a_views_rule(
    "CREATE VIEW v AS SELECT 1 AS a; COMMENT ON RULE \"_RETURN\" ON v IS 'mine';",
    &["rule \"_RETURN\" on public.v"],
    "its comment"
)]
#[case::validated(
    "CREATE TABLE p (a int); INSERT INTO p VALUES (-1); CREATE TABLE c () INHERITS (p); \
     ALTER TABLE p ADD CONSTRAINT positive CHECK (a > 0) NOT VALID; ALTER TABLE c VALIDATE CONSTRAINT positive;",
    &["table constraint positive on public.c"],
    "is validated"
)]
#[case::set_for_everybody("ALTER ROLE ALL SET work_mem = '5MB'; ALTER ROLE ALL SET app.region = '7';", &["setting work_mem", "setting app.region"], "for everybody")]
#[case::public_dropped("DROP SCHEMA public CASCADE; CREATE SCHEMA app; CREATE TABLE app.t (a int);", &["schema public"], "was dropped")]
#[case::plpgsql_dropped("DROP EXTENSION plpgsql;", &["extension plpgsql"], "was dropped")]
#[case::public_renamed("ALTER SCHEMA public RENAME TO app; CREATE SCHEMA public;", &["schema app"], "under another name")]
#[tokio::test(flavor = "multi_thread")]
async fn g3_what_no_dump_holds_is_left_out_with_its_reason(
    #[case] sql: &str,
    #[case] names: &[&str],
    #[case] why: &str,
    #[values(15, 17)] major: i32,
) {
    let made = backup(major, &[], &format!("CREATE TABLE t (a int); {sql}")).await;
    left_out(&made, names, why).await;
}

pub async fn left_out(made: &Made, names: &[&str], why: &str) {
    let wanted: BTreeSet<&str> = names.iter().copied().collect();
    let told: BTreeSet<&str> = made.told.iter().map(String::as_str).collect();
    assert_eq!(told, wanted);
    let contents = contents(made).await;
    let left = &contents.left_out;
    let is: BTreeSet<String> = left.iter().map(|l| l.name.display()).collect();
    assert_eq!(is, wanted.iter().map(|n| (*n).to_owned()).collect());
    assert!(left.iter().all(|l| l.why.contains(why)), "{left:?}");
    let loses = |left: &&LeftOut| left.is_lost();
    let lost: Vec<String> = left.iter().filter(loses).map(LeftOut::display).collect();
    let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
    let mut proof = drilled(made, &[]).await;
    if !lost.is_empty() {
        not_proven(&proof, &lost);
        proof = drilled(made, &lost).await;
    }
    proven(&proof);
    for name in names {
        let noted = proof.notes.iter().any(|note| note.contains(name));
        assert!(noted, "{name}: {}", shown(&proof));
    }
}

/// G3: an index that could not be finished.
#[tokio::test(flavor = "multi_thread")]
async fn g3_an_index_that_is_not_valid_is_left_out_with_its_reason() {
    let source = Server::start(17, &[]);
    source
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    source
        .sql(
            "shop",
            "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)",
        )
        .await;
    let session = source.session("shop").await;
    let concurrently = "CREATE UNIQUE INDEX CONCURRENTLY broken ON t (a)";
    let refused = session.client.batch_execute(concurrently).await;
    assert!(refused.is_err());
    let made = backup_of(&source, 17).await;
    left_out(&made, &["index public.broken"], "CREATE INDEX CONCURRENTLY").await;
}

/// G3: what lies elsewhere, and a database that does.
#[tokio::test(flavor = "multi_thread")]
async fn g3_tablespaces_are_left_out_with_their_reason() {
    let source = Server::start(17, &["allow_in_place_tablespaces=on"]);
    source
        .sql("postgres", "CREATE TABLESPACE fast LOCATION ''")
        .await;
    source
        .sql("postgres", "CREATE TABLESPACE whole LOCATION ''")
        .await;
    source
        .database("shop", "TEMPLATE template0 LOCALE 'C' TABLESPACE whole")
        .await;
    source
        .sql(
            "shop",
            "CREATE TABLE t (a int) TABLESPACE fast; CREATE INDEX ON t (a) TABLESPACE fast",
        )
        .await;
    let made = backup_of(&source, 17).await;
    left_out(&made, &["tablespace fast", "tablespace whole"], "default").await;
}

/// G3: a table among the system's own is left out with its rows, and the backup is not held to have it.
#[tokio::test(flavor = "multi_thread")]
async fn g3_a_table_in_information_schema_is_not_held_against_the_backup_that_left_it_out() {
    let sql = "CREATE TABLE t (a int); CREATE TABLE information_schema.mine (a int); INSERT INTO information_schema.mine VALUES (1);";
    let made = backup(17, &[], sql).await;
    assert_eq!(made.told, ["table information_schema.mine"]);
    not_proven(&drilled(&made, &[]).await, &["information_schema.mine"]);
    proven(&drilled(&made, &["table information_schema.mine"]).await);
    let contents = contents(&made).await;
    let left = contents.left_out.iter();
    let left: Vec<(String, i64)> = left.map(|l| (l.name.display(), l.rows)).collect();
    assert_eq!(left, [("mine".to_owned(), 1)]);
}

/// G3: what the server remarks while we read is no damage, whoever has it remark.
#[rstest]
#[case::notice("notice")]
#[case::warning("warning")]
#[case::log("log")]
#[tokio::test(flavor = "multi_thread")]
async fn g3_a_remark_of_the_server_is_not_damage(
    #[case] level: &str,
    #[values(15, 17)] major: i32,
) {
    let source = Server::start(major, &[]);
    source
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    let sql = format!(
        "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 100); \
         ALTER ROLE postgres SET session_preload_libraries = 'auto_explain'; \
         ALTER ROLE postgres SET auto_explain.log_min_duration = 0; ALTER ROLE postgres SET auto_explain.log_level = '{level}'; \
         ALTER ROLE postgres SET client_min_messages = '{level}';"
    );
    source.sql("shop", &sql).await;
    let made = backup_of(&source, major).await;
    drop(source);
    proven(&drilled(&made, &[]).await);
}

/// G3: a login's small talk is none either, whatever is said; nor that somebody had no room for what is no row.
#[rstest]
#[case::small_talk("01000")]
#[case::of_what_an_extension_writes_down("53200")]
#[tokio::test(flavor = "multi_thread")]
async fn g3_what_a_server_warns_of_at_login_is_not_damage(#[case] code: &str) {
    let sql = format!(
        "CREATE TABLE t (a int); CREATE FUNCTION hello() RETURNS event_trigger LANGUAGE plpgsql AS \
        $$ BEGIN RAISE WARNING 'the password of this role expires soon' USING DETAIL = 'in a day', ERRCODE = '{code}'; RAISE NOTICE 'hello'; END $$; \
        CREATE EVENT TRIGGER hello ON login EXECUTE FUNCTION hello(); ALTER EVENT TRIGGER hello ENABLE ALWAYS;"
    );
    let made = backup(17, &[], &sql).await;
    proven(&drilled(&made, &[]).await);
}

/// G14: what an application has set for the role that restores, anywhere or in this database, and a check hangs on.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g14_settings_of_an_application_for_the_restoring_role_are_the_sources(
    #[values(13, 17)] major: i32,
) {
    let sql = r#"ALTER DATABASE shop SET "app.least" = '70'; ALTER ROLE postgres SET "app.least" = '7'; ALTER ROLE postgres SET "app.most" = '1'; ALTER ROLE postgres IN DATABASE shop SET "app.most" = '9';
        SET app.least = '7'; SET app.most = '9';
        CREATE TABLE n (a int, CHECK (a BETWEEN current_setting('app.least')::int AND current_setting('app.most')::int)); INSERT INTO n VALUES (8);"#;
    let made = backup(major, &[], sql).await;
    proven(&drilled(&made, &[]).await);
}

/// G14: a setting of an extension that a check hangs on is the source's in the scratch server too; one that starts work is not.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g14_settings_of_extensions_that_change_meaning_are_the_sources(
    #[values(15, 17)] major: i32,
) {
    let settings = [
        "pg_trgm.similarity_threshold=0.05",
        "cron.database_name=shop",
        "app.api_token=geheim",
    ];
    let sql = "CREATE EXTENSION pg_trgm; CREATE TABLE near (a text, b text, CHECK (a OPERATOR(public.%) b)); \
        INSERT INTO near VALUES ('lifeboat', 'lighthouse');";
    let made = backup(major, &settings, sql).await;
    let contents = contents(&made).await;
    let recorded = &contents.settings;
    let threshold = recorded.get("pg_trgm.similarity_threshold");
    assert_eq!(threshold.map(String::as_str), Some("0.05"));
    let others = recorded.keys().filter(|name| name.contains('.')).count();
    assert_eq!(others, 1, "{recorded:?}");
    proven(&drilled(&made, &[]).await);
}
