//! pg_dump beside the coordinator, the table of contents of what it writes, and the roles.

use lifeboat::api::Reason;
use lifeboat::manifest::Name;
use lifeboat::postgres::preflight::preflight;
use lifeboat::postgres::{
    DumpOrder, DumpProcess, Print, Programs, Silent, Toc, TocParser, census, witness,
};
use tokio::io::AsyncReadExt;

use crate::locks::{begin, rows};
use crate::pg::{Server, host_bin, run};

const WEIRD: &str = "weird \"name\" a=b";

async fn dump(server: &Server, major: i32, dbname: &str, snapshot: &str) -> (Toc, Vec<u8>) {
    let tool = Programs::find(major, &[host_bin(major)]).await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let target = server.target(dbname);
    let encoding = preflight(&target, "test").await.unwrap().encoding;
    let order = DumpOrder {
        target: &target,
        tool: &tool,
        snapshot,
        application_name: "lifeboat/test",
        pooled: false,
        heard: &[],
        print: &Print::plain(&encoding),
        scratch: scratch.path(),
    };
    let mut dump = DumpProcess::spawn(&order).unwrap();
    assert_eq!(dump.compressed, major >= 16);
    let (mut parser, mut kept, mut piece) = (TocParser::new(), vec![], vec![0; 1000]);
    loop {
        let length = dump.stdout.read(&mut piece).await.unwrap();
        if length == 0 {
            break;
        }
        parser.push(&piece[..length]).unwrap();
        kept.extend_from_slice(&piece[..length]);
    }
    dump.finish().await.unwrap();
    assert_eq!(
        std::fs::read_dir(scratch.path()).unwrap().count(),
        0,
        "no secret is left behind"
    );
    (parser.finish().unwrap(), kept)
}

async fn whole_round(major: i32, format: (u8, u8)) {
    let server = Server::start(major, &[]);
    server.database(WEIRD, "").await;
    server
        .sql(
            WEIRD,
            "CREATE SCHEMA \"$(LIFEBOAT_TASK)\"; CREATE TABLE \"$(LIFEBOAT_TASK)\".\"a$$b\" AS SELECT generate_series(1, 7) AS x; \
             CREATE TABLE \"Größe \"\"\n表\" AS SELECT 1 AS x; CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; \
             CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); INSERT INTO p VALUES (1); \
             CREATE UNLOGGED TABLE u AS SELECT 1 AS x; CREATE TABLE child (y int) INHERITS (bare); INSERT INTO child VALUES (1), (2); \
             CREATE VIEW v AS SELECT 1 AS one; CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one; CREATE SEQUENCE s; \
             CREATE TABLE queue AS SELECT generate_series(1, 5) AS x; ALTER EXTENSION plpgsql ADD TABLE queue; \
             CREATE TABLE idle_queue (x int); ALTER EXTENSION plpgsql ADD TABLE idle_queue; \
             SELECT lo_from_bytea(4711, '\\x00ff'); CREATE TABLE empty (x int PRIMARY KEY)",
        )
        .await;
    let coordinator = begin(&server, WEIRD, &Silent).await;
    assert_eq!(coordinator.major(), major);
    let (toc, bytes) = dump(&server, major, WEIRD, coordinator.snapshot()).await;
    let contents = census::take(&coordinator, &Silent).await.unwrap().contents;
    coordinator.prove().await.unwrap();
    coordinator.finish().await.unwrap();
    assert_eq!(toc.format, format);
    assert_eq!(toc.database, Name::Text(WEIRD.into()));
    assert!(
        toc.server_version.starts_with(&major.to_string())
            && toc.dump_version.starts_with(&major.to_string())
    );
    for (table, count) in [
        ("a$$b", 7),
        ("Größe \"\n表", 1),
        ("bare", 1),
        ("child", 2),
        ("p1", 1),
        ("u", 1),
        ("queue", 5),
        ("empty", 0),
    ] {
        assert_eq!(rows(&contents, table), Some(count), "{table}");
    }
    let left: Vec<(String, i64)> = contents
        .left_out
        .iter()
        .map(|l| (l.name.display(), l.rows))
        .collect();
    assert_eq!(left, vec![("queue".to_owned(), 5)]);
    assert_eq!(contents.census["largeObjects"], 1);
    assert_eq!(contents.settings["server_encoding"], "UTF8");
    witness::compare(&contents, &toc).unwrap();
    for name in ["child", "Größe \"\n表"] {
        let mut cut = toc.clone();
        cut.entries
            .retain(|e| e.desc != "TABLE DATA" || e.tag != Name::Text(name.into()));
        let error = witness::compare(&contents, &cut).unwrap_err();
        assert_eq!(error.reason(), Reason::DumpIncomplete, "{error}");
    }
    restores(&server, &bytes);
}

/// Stock pg_restore reads it into another database.
fn restores(server: &Server, bytes: &[u8]) {
    let file = server.dir.path().join("dump.pgc");
    std::fs::write(&file, bytes).unwrap();
    run(server
        .tool("createdb")
        .arg("-T")
        .arg("template0")
        .arg("back"));
    run(server
        .tool("pg_restore")
        .arg("--exit-on-error")
        .arg("-d")
        .arg("back")
        .arg(&file));
    let sql = "SELECT (SELECT count(*) FROM \"$(LIFEBOAT_TASK)\".\"a$$b\") + (SELECT count(*) FROM ONLY bare) + (SELECT count(*) FROM u)";
    assert_eq!(
        run(server.tool("psql").args(["-XAtd", "back", "-c", sql])).trim(),
        "9"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_census_and_dump_agree_on_15_whatever_the_names() {
    whole_round(15, (1, 14)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_census_and_dump_agree_on_17_whatever_the_names() {
    whole_round(17, (1, 16)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_a_whole_backup() {
    let server = Server::start(17, &[]);
    let coordinator = begin(&server, "postgres", &Silent).await;
    let (toc, _) = dump(&server, 17, "postgres", coordinator.snapshot()).await;
    let contents = census::take(&coordinator, &Silent).await.unwrap().contents;
    witness::compare(&contents, &toc).unwrap();
    assert!(contents.relations.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_names_in_databases_that_are_not_utf8_are_kept_as_bytes() {
    let server = Server::start(15, &[]);
    server
        .database("latin", "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        .await;
    server
        .sql("latin", "CREATE TABLE \"müll\" AS SELECT 1 AS x")
        .await;
    let coordinator = begin(&server, "latin", &Silent).await;
    let (toc, _) = dump(&server, 15, "latin", coordinator.snapshot()).await;
    let contents = census::take(&coordinator, &Silent).await.unwrap().contents;
    assert_eq!(
        contents.relations[0].name,
        Name::Bytes {
            hex: "6dfc6c6c".into()
        }
    );
    assert_eq!(contents.relations[0].rows, Some(1));
    witness::compare(&contents, &toc).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_major_of_pg_dump_is_refused_with_the_major_that_is_needed() {
    let error = Programs::find(14, &[host_bin(15)]).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.found_major()),
        (Reason::WrongMajor, Some(14)),
        "{error}"
    );
}

async fn roles_go_over(from: i32, to: i32) {
    let server = Server::start(from, &[]);
    server
        .sql(
            "postgres",
            "CREATE ROLE owner NOLOGIN; CREATE ROLE \"App \"\"1\"\"\" LOGIN PASSWORD 'x' CONNECTION LIMIT 5 VALID UNTIL '2030-01-01 00:00:00+00'; \
             CREATE ROLE team CREATEDB; GRANT team TO \"App \"\"1\"\"\" WITH ADMIN OPTION; CREATE ROLE stranger PASSWORD 'y'; \
             CREATE ROLE guard; CREATE ROLE boss SUPERUSER; COMMENT ON ROLE owner IS 'it''s'; \
             ALTER ROLE owner SET search_path = \"$user\", \"a,b\"",
        )
        .await;
    server.database("shop", "OWNER boss").await;
    server
        .sql(
            "shop",
            "CREATE TABLE t (a int); ALTER TABLE t OWNER TO owner; GRANT SELECT ON t TO \"App \"\"1\"\"\"; \
             ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t TO guard USING (true)",
        )
        .await;
    let coordinator = begin(&server, "shop", &Silent).await;
    let sql = coordinator.globals().await.unwrap().sql;
    assert!(
        !sql.contains("stranger") && !sql.contains("GRANTED BY") && !sql.contains('\\'),
        "{sql}"
    );
    assert!(sql.contains("SCRAM-SHA-256$"), "{sql}");
    for alone in [
        "ALTER ROLE \"boss\" WITH SUPERUSER;",
        "ALTER ROLE \"team\" WITH CREATEDB;",
        "CREATE ROLE \"guard\";",
    ] {
        assert!(sql.lines().any(|line| line == alone), "{alone}: {sql}");
    }
    let fresh = Server::start(to, &[]);
    let file = fresh.dir.path().join("roles.sql");
    std::fs::write(&file, &sql).unwrap();
    run(fresh
        .tool("psql")
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&file));
    let asked = "SELECT rolname, rolcanlogin, rolconnlimit, rolsuper, rolcreatedb, rolpassword, setconfig FROM pg_authid \
                 LEFT JOIN pg_db_role_setting ON setrole = oid WHERE rolname IN ('owner', 'App \"1\"', 'team', 'guard', 'boss') ORDER BY 1";
    let ask = |server: &Server| run(server.tool("psql").args(["-XAtd", "postgres", "-c", asked]));
    assert_eq!(ask(&fresh), ask(&server));
    let members = "SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members WHERE roleid >= 16384";
    let ask = |server: &Server| {
        run(server
            .tool("psql")
            .args(["-XAtd", "postgres", "-c", members]))
    };
    assert_eq!(ask(&fresh), ask(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn g15_the_roles_of_the_database_go_over_and_no_others() {
    roles_go_over(15, 17).await;
    roles_go_over(17, 17).await;
}
