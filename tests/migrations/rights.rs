//! Rights are asked before anything is begun: what a statement is refused for is told with what gives it, and nothing else is.

use std::collections::BTreeMap;

use lifeboat::plan;
use lifeboat::postgres::migrate::{Acting, Lack, lacks, refusal};
use lifeboat::postgres::{Connection, connect};
use lifeboat::sql::rights::wanted;
use rstest::rstest;

use crate::bench::{Database, Files};
use crate::pg::Server;

/// Everything belongs to `keeper`, in a schema that everybody may look into; `mine` and its partition will be the role's own.
const SHOP: &str = "
    CREATE ROLE keeper; CREATE ROLE other;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    CREATE SCHEMA s AUTHORIZATION keeper; GRANT USAGE ON SCHEMA s TO PUBLIC; GRANT CREATE ON SCHEMA s TO other;
    CREATE SCHEMA hidden AUTHORIZATION keeper; CREATE SCHEMA elsewhere AUTHORIZATION other; CREATE SCHEMA empty AUTHORIZATION keeper;
    SET ROLE keeper; SET search_path = s;
    CREATE TABLE t (id int PRIMARY KEY, a int); CREATE INDEX t_a ON t (a); CREATE VIEW v AS SELECT id FROM t;
    CREATE MATERIALIZED VIEW mv AS SELECT id FROM t; CREATE UNIQUE INDEX mv_id ON mv (id);
    CREATE SEQUENCE q; CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN d AS int;
    CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf(); CREATE POLICY pol ON t USING (true);
    CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 (id int);
    CREATE TABLE hidden.h (id int); GRANT SELECT ON hidden.h TO PUBLIC;
    SET ROLE other; CREATE TABLE x (id int PRIMARY KEY, a int);
    RESET ROLE; CREATE TABLE mine (id int NOT NULL, a int); CREATE TABLE of_nobody (id int);";

/// Each is refused, and runs when what is printed was executed.
const REFUSED: &[&str] = &[
    "CREATE TABLE s.n (id int)",
    "CREATE TABLE n (id int)",
    "CREATE TABLE IF NOT EXISTS t (id int)",
    "CREATE TABLE public.n (id int REFERENCES x, o int REFERENCES s.t)",
    "CREATE TABLE n (LIKE x)",
    "CREATE TABLE n () INHERITS (t)",
    "CREATE TABLE n PARTITION OF p FOR VALUES IN (7)",
    "CREATE TABLE public.n AS SELECT * FROM x",
    "SELECT id INTO public.n FROM x",
    "CREATE VIEW s.n AS SELECT 1 AS a",
    "CREATE OR REPLACE VIEW s.v AS SELECT id FROM t",
    "CREATE MATERIALIZED VIEW public.n AS SELECT * FROM x",
    "CREATE SEQUENCE s.n",
    "CREATE TYPE public.n AS ENUM ('a')",
    "CREATE DOMAIN n AS int",
    "CREATE FUNCTION n() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE PROCEDURE s.n() LANGUAGE sql AS 'SELECT 1'",
    "CREATE INDEX n ON t (a)",
    "CREATE INDEX n ON mine (a)",
    "CREATE SCHEMA n",
    "CREATE SCHEMA IF NOT EXISTS s",
    "CREATE TRIGGER n AFTER INSERT ON x FOR EACH ROW EXECUTE FUNCTION tf()",
    "CREATE RULE n AS ON INSERT TO t DO ALSO NOTHING",
    "CREATE POLICY n ON t USING (true)",
    "ALTER POLICY pol ON t USING (false)",
    "CREATE STATISTICS s.n ON id, a FROM t",
    "ALTER TABLE t ADD COLUMN b int",
    "ALTER TABLE x ADD COLUMN b int REFERENCES t",
    "ALTER TABLE mine ADD FOREIGN KEY (a) REFERENCES x (id)",
    "ALTER TABLE mine ADD UNIQUE (a)",
    "ALTER TABLE mine ADD PRIMARY KEY (id)",
    "ALTER TABLE mine ADD EXCLUDE (a WITH =)",
    "ALTER TABLE mine ADD COLUMN b serial",
    "ALTER TABLE mine ADD COLUMN b int GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE mine ADD COLUMN b int UNIQUE",
    "ALTER TABLE mine ALTER id ADD GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE mine RENAME TO yours",
    "ALTER TABLE mine SET SCHEMA elsewhere",
    "ALTER TABLE mine INHERIT x",
    "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
    "ALTER TABLE p DETACH PARTITION p1",
    "ALTER TABLE of_nobody ADD COLUMN b int",
    "ALTER VIEW v RENAME TO n",
    "ALTER INDEX t_a RENAME TO n",
    "ALTER SEQUENCE q RESTART",
    "ALTER TYPE mood RENAME TO n",
    "ALTER DOMAIN d SET NOT NULL",
    "ALTER SCHEMA empty RENAME TO n",
    "ALTER FUNCTION f() STABLE",
    "DROP TABLE x",
    "DROP TABLE IF EXISTS s.of_nobody",
    "DROP VIEW v",
    "DROP MATERIALIZED VIEW mv",
    "DROP INDEX t_a",
    "DROP SEQUENCE q",
    "DROP TYPE mood",
    "DROP DOMAIN d",
    "DROP FUNCTION f()",
    "DROP SCHEMA empty",
    "DROP TRIGGER g ON t",
    "DROP POLICY pol ON t",
    "TRUNCATE x",
    "INSERT INTO x VALUES (9)",
    "INSERT INTO mine SELECT * FROM x",
    "UPDATE x SET a = 1",
    "WITH gone AS (DELETE FROM x) SELECT 1",
    "SELECT count(*) FROM x",
    "SELECT FROM hidden.h",
    "COMMENT ON TABLE t IS 'x'",
    "COMMENT ON COLUMN s.t.a IS 'x'",
    "COMMENT ON VIEW v IS 'x'",
    "COMMENT ON INDEX t_a IS 'x'",
    "COMMENT ON TYPE mood IS 'x'",
    "COMMENT ON SCHEMA empty IS 'x'",
    "LOCK TABLE x",
    "LOCK TABLE x IN SHARE ROW EXCLUSIVE MODE",
    "LOCK TABLE x IN ROW EXCLUSIVE MODE",
    "LOCK TABLE x IN ACCESS SHARE MODE",
    "REFRESH MATERIALIZED VIEW mv",
    "CLUSTER t USING t_pkey",
    "REINDEX TABLE t",
    "REINDEX INDEX t_a",
];

/// Each runs as it is.
const ALLOWED: &[&str] = &[
    "CREATE TEMP TABLE n (id int); CREATE INDEX ON n (id); DROP TABLE n",
    "CREATE TEMP TABLE x (id int); INSERT INTO x VALUES (1); DROP TABLE x",
    "DROP TABLE IF EXISTS nowhere, s.nowhere, nowhere.nowhere",
    "ALTER TABLE IF EXISTS nowhere ADD COLUMN a int",
    "ALTER TABLE mine ADD COLUMN b int, ADD CHECK (a > 0)",
    "INSERT INTO mine SELECT g FROM generate_series(1, 3) AS g; UPDATE mine SET a = id; DELETE FROM mine AS x WHERE x.id = 1; TRUNCATE mine",
    "WITH x AS (SELECT 1 AS id) SELECT * FROM x",
    "COMMENT ON COLUMN mine.a IS 'x'",
    "SELECT count(*) FROM pg_catalog.pg_class; SELECT count(*) FROM information_schema.tables",
    "CREATE FUNCTION pg_temp.n() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "LOCK TABLE mine; REINDEX TABLE mine; ANALYZE mine",
    "DROP TRIGGER IF EXISTS nowhere ON x; DROP POLICY IF EXISTS nowhere ON x; DROP RULE IF EXISTS nowhere ON x",
    "ALTER TABLE mine ADD COLUMN IF NOT EXISTS a bigserial",
];

struct Migrator {
    session: Connection,
    acting: Acting,
}

/// A copy of the database, and a role of its own that nobody has given anything.
async fn migrator<'s>(server: &'s Server, n: usize) -> (Database<'s>, Migrator) {
    let (name, role) = (format!("shop_{n}"), format!("App {n}"));
    server.database(&name, "TEMPLATE shop").await;
    let sql = format!(
        "CREATE ROLE \"{role}\" LOGIN; GRANT pg_monitor TO \"{role}\"; ALTER TABLE s.mine OWNER TO \"{role}\""
    );
    server.sql(&name, &sql).await;
    let mut database = Database::of(server, &name);
    database.target.user = role;
    let session = connect(&database.target, "test").await.unwrap();
    let acting = Acting {
        role: None,
        search_path: "\"s\", \"public\"".to_owned(),
    };
    (database, Migrator { session, acting })
}

impl Migrator {
    async fn lacks(&self, files: Files<'_>) -> Vec<Lack> {
        let files = files.iter();
        let named: BTreeMap<String, Vec<u8>> = files
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect();
        let files = plan::read(&named).unwrap();
        for file in &files {
            assert!(!file.refused(), "{:?}", file.refusal());
        }
        let wanted = wanted(files.iter().map(|file| (file, 0)));
        lacks(&self.session.client, &self.acting, &wanted)
            .await
            .unwrap()
    }

    /// Runs it and takes it back: the SQLSTATE that it fails with.
    async fn fails(&self, sql: &str) -> Option<String> {
        let client = &self.session.client;
        let role = self.acting.role.as_deref().unwrap_or("none");
        let path = &self.acting.search_path;
        let begin = format!("BEGIN; SET LOCAL search_path = {path}; SET LOCAL ROLE {role}");
        client.batch_execute(&begin).await.unwrap();
        let failed = client.batch_execute(sql).await.err();
        client.batch_execute("ROLLBACK").await.unwrap();
        failed.map(|e| e.code().unwrap().code().to_owned())
    }

    /// Refused by both, told where, and mended by what is printed.
    async fn is_mended(&self, database: &Database<'_>, sql: &str) -> Vec<Lack> {
        let file = format!("SELECT 1;\n{sql}");
        let files = [("1_a.sql", file.as_str())];
        let found = self.lacks(&files).await;
        assert!(!found.is_empty(), "nothing is told of {sql}");
        let state = self.fails(sql).await;
        assert_eq!(state.as_deref(), Some("42501"), "{sql}: {found:#?}");
        for lack in &found {
            assert_eq!((lack.file.as_str(), lack.line), ("1_a.sql", 2), "{sql}");
            database.server.sql(&database.name, &lack.mend).await;
        }
        let now = self.lacks(&files).await;
        assert_eq!(now, [], "{sql}, after {found:#?}");
        assert_eq!(self.fails(sql).await, None, "{sql}, after {found:#?}");
        found
    }

    async fn is_allowed(&self, sql: &str) {
        assert_eq!(self.lacks(&[("1_a.sql", sql)]).await, [], "{sql}");
        assert_eq!(self.fails(sql).await, None, "{sql}");
    }
}

async fn shop(major: i32) -> Server {
    let server = Server::start(major, &[]);
    server.database("shop", "TEMPLATE template0").await;
    server.sql("shop", SHOP).await;
    server
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_told_and_what_is_printed_gives_it(
    #[values(13, 15, 17, 19)] major: i32,
) {
    let server = shop(major).await;
    for (n, sql) in REFUSED.iter().enumerate() {
        let (database, migrator) = migrator(&server, n).await;
        migrator.is_mended(&database, sql).await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_not_refused(#[values(13, 15, 17, 19)] major: i32) {
    let server = shop(major).await;
    let (_database, migrator) = migrator(&server, 0).await;
    for sql in ALLOWED {
        migrator.is_allowed(sql).await;
    }
}

/// From another role, by a membership, for a column, because it owns the schema: each is a right.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn rights_come_in_many_ways(#[values(13, 15, 17)] major: i32) {
    let server = shop(major).await;
    let ways = [
        (
            "GRANT keeper TO {role}",
            "ALTER TABLE t ADD COLUMN b int; CREATE INDEX n ON t (b); DROP VIEW v; CREATE TABLE o (id int)",
        ),
        (
            "GRANT UPDATE (a), SELECT (id) ON s.x TO {role}",
            "UPDATE x SET a = 1; SELECT id FROM x",
        ),
        ("GRANT INSERT ON s.p TO {role}", "INSERT INTO p VALUES (1)"),
        (
            "ALTER SCHEMA s OWNER TO {role}",
            "DROP TABLE x; CREATE TABLE n (id int)",
        ),
        (
            "GRANT CREATE ON SCHEMA public TO PUBLIC; REVOKE USAGE ON SCHEMA s FROM PUBLIC",
            "CREATE TABLE n (id int)",
        ),
        (
            "ALTER ROLE {role} SUPERUSER",
            "DROP TABLE x; ALTER TABLE t ADD COLUMN b int; CREATE SCHEMA n",
        ),
        (
            "GRANT CREATE ON DATABASE {database} TO {role}",
            "CREATE SCHEMA n; CREATE TABLE n.t (id int); CREATE INDEX ON n.t (id); COMMENT ON SCHEMA n IS 'x'",
        ),
    ];
    for (n, (grant, sql)) in ways.into_iter().enumerate() {
        let (database, migrator) = migrator(&server, n).await;
        let grant = grant.replace("{role}", &format!("\"App {n}\""));
        let grant = grant.replace("{database}", &database.name);
        server.sql(&database.name, &grant).await;
        migrator.is_allowed(sql).await;
    }
}

/// From 14 on `public` belongs to whoever owns the database; before 15 everybody makes tables in it.
#[rstest]
#[case::everybody(13, "SELECT 1", true)]
#[case::who_owns_the_database(15, "ALTER DATABASE {database} OWNER TO \"App 0\"", true)]
#[case::nobody(15, "SELECT 1", false)]
#[case::who_writes_everything(15, "GRANT pg_write_all_data TO \"App 0\"", false)]
#[tokio::test(flavor = "multi_thread")]
async fn who_may_make_something_in_public_hangs_on_the_version(
    #[case] major: i32,
    #[case] grant: &str,
    #[case] may: bool,
) {
    let server = Server::start(major, &[]);
    server.database("shop", "TEMPLATE template0").await;
    server
        .sql(
            "shop",
            "CREATE SCHEMA s; CREATE TABLE s.mine (id int); CREATE TABLE public.y (id int)",
        )
        .await;
    let (database, mut migrator) = migrator(&server, 0).await;
    "public".clone_into(&mut migrator.acting.search_path);
    let grant = grant.replace("{database}", &database.name);
    server.sql(&database.name, &grant).await;
    if grant.contains("pg_write_all_data") {
        migrator.is_allowed("INSERT INTO y VALUES (1)").await;
    }
    match may {
        true => migrator.is_allowed("CREATE TABLE n (id int)").await,
        false => {
            let found = migrator
                .is_mended(&database, "CREATE TABLE n (id int)")
                .await;
            assert_eq!(found.len(), 1, "{found:#?}");
            assert_eq!(
                found[0].mend,
                "GRANT CREATE ON SCHEMA \"public\" TO \"App 0\""
            );
        }
    }
}

/// A member that does not inherit has nothing before SET ROLE; what a superuser owns is handed over, and nobody becomes a superuser for it.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_only_could_become_the_owner_is_told_to(#[values(13, 15, 17)] major: i32) {
    let server = shop(major).await;
    let (database, mut me) = migrator(&server, 0).await;
    server
        .sql(
            "shop",
            "ALTER ROLE \"App 0\" NOINHERIT; GRANT keeper TO \"App 0\"",
        )
        .await;
    let sql = "ALTER TABLE t ADD COLUMN b int";
    me.acting.role = Some("keeper".to_owned());
    me.is_allowed(sql).await;
    me.acting.role = None;
    let found = me.is_mended(&database, sql).await;
    assert!(
        found[0].what.contains("belongs to \"keeper\""),
        "{found:#?}"
    );
    let instead = found[0].instead.as_deref().unwrap();
    assert_eq!(instead, "`role: keeper` in spec.execution");

    let (_other, me) = migrator(&server, 1).await;
    let found = me
        .lacks(&[("1_a.sql", "DROP TABLE of_nobody; DROP TABLE x")])
        .await;
    assert_eq!(found[0].mend, "ALTER TABLE s.of_nobody OWNER TO \"App 1\"");
    assert_eq!(found[0].instead, None);
    assert_eq!(found[1].mend, "GRANT \"other\" TO \"App 1\"");
    let instead = found[1].instead.as_deref();
    assert_eq!(instead, Some("ALTER TABLE s.x OWNER TO \"App 1\""));
    let refused = refusal("App 1", &found).unwrap().to_string();
    let says = "the role \"App 1\" lacks 2 rights, so nothing was begun: 1_a.sql, line 1: DROP TABLE needs to own \"s\".\"of_nobody\", \
        which belongs to \"postgres\": ALTER TABLE s.of_nobody OWNER TO \"App 1\";";
    assert!(refused.contains(says), "{refused}");
}

/// A table that only stands in a schema whose names may not be used is not there for the role.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_may_not_be_used_hides_its_tables() {
    let server = shop(15).await;
    let (database, mut me) = migrator(&server, 0).await;
    "hidden, public".clone_into(&mut me.acting.search_path);
    let found = me.lacks(&[("1_a.sql", "SELECT FROM h")]).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    server.sql(&database.name, &found[0].mend).await;
    me.is_allowed("SELECT FROM h").await;
    // A schema that is not there may be made by whatever runs before.
    "nowhere, hidden".clone_into(&mut me.acting.search_path);
    assert_eq!(
        me.lacks(&[("1_a.sql", "CREATE TABLE n (id int)")]).await,
        []
    );
}

/// An extension that is trusted asks for CREATE on the database, any other for a superuser; where libraries change that, nobody knows.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_extension_is_trusted_or_not(#[values(13, 17)] major: i32) {
    let server = shop(major).await;
    let (database, me) = migrator(&server, 0).await;
    let available =
        "SELECT count(*) FROM pg_available_extensions WHERE name IN ('hstore', 'pageinspect')";
    assert_eq!(database_of(&server).ask::<i64>(available).await, 2);
    let found = me
        .is_mended(&database, "CREATE EXTENSION hstore SCHEMA public")
        .await;
    assert!(
        found[0].mend.starts_with("GRANT CREATE ON DATABASE"),
        "{found:#?}"
    );
    let found = me
        .is_mended(&database, "CREATE EXTENSION IF NOT EXISTS pageinspect")
        .await;
    assert_eq!(
        found[0].mend,
        "CREATE EXTENSION IF NOT EXISTS \"pageinspect\""
    );
    server.sql("shop", "CREATE ROLE rds_superuser").await;
    assert_eq!(
        me.lacks(&[("1_a.sql", "CREATE EXTENSION pg_buffercache")])
            .await,
        []
    );
    server.sql("shop", "DROP ROLE rds_superuser").await;
    server.sql("shop", "REVOKE pg_monitor FROM \"App 0\"").await;
    assert_eq!(
        me.lacks(&[("1_a.sql", "CREATE EXTENSION pg_buffercache")])
            .await,
        []
    );
}

fn database_of(server: &Server) -> Database<'_> {
    Database::of(server, "shop")
}
