//! Break-glass takes the same road as a drill: what the one restores, the other does (docs/break-glass.sh).

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Instant;

use lifeboat::api::restore_drill::Verdict;
use lifeboat::manifest::{Contents, Manifest, Proof, ProofDifference};
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::compare::Comparison;
use lifeboat::postgres::{LockPatience, Silent};
use lifeboat::work::backup::make;
use lifeboat::work::break_glass::BreakGlassOrder;
use lifeboat::work::drill;
use lifeboat::work::verify::{Accepted, Subject, verify};
use rstest::rstest;
use tempfile::TempDir;

use crate::drills::{Folders, drill_plan, run_file};
use crate::pg::Server;
use crate::runs::{FIRST, plan};
use crate::whole::{Key, break_glass, contents, copy};

/// What a plain `pg_restore` of the whole loses.
const TRAPS: &str = include_str!("traps.sql");

const ASKS_AN_EXTENSION: &str = "CREATE EXTENSION lifeboat_links; INSERT INTO links.parents VALUES (1, 'one'); \
    CREATE SCHEMA a; CREATE FUNCTION a.known(int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM links.parents WHERE id = $1)'; \
    CREATE TABLE a.orders (parent int CHECK (a.known(parent))); INSERT INTO a.orders VALUES (1);";

/// A copied backup, its key, and what it says is in it.
struct Copied {
    folder: TempDir,
    key: Key,
    recorded: Contents,
}

impl Copied {
    async fn of(server: &Server, dbname: &str, major: i32) -> Self {
        let (key, folder) = (Key::new(), tempfile::tempdir().unwrap());
        let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
        let target = server.target(dbname);
        let mut plan = plan(target, major, store.clone(), FIRST, &folder);
        plan.recipients = Some(key.recipients.clone());
        let made: Manifest = make(&plan, &Silent).await.unwrap();
        let to = folder.path().join("backup");
        copy(store.as_ref(), &made, &to).await;
        let recorded = contents(&to, &key.file());
        Self {
            folder,
            key,
            recorded,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    fn restored(&self, server: &Server, dbname: &str) -> Output {
        break_glass(server, dbname, &self.path(), &self.key.file())
    }

    async fn compared(&self, server: &Server, dbname: &str) -> Comparison {
        let subject = Subject {
            target: server.target(dbname),
            scratch: self.folder.path().to_owned(),
            postgres_folders: vec![server.bin.clone()],
            patience: LockPatience::default(),
            application_name: "lifeboat/verify".to_owned(),
        };
        verify(&subject, &self.recorded, &Accepted::default(), &Silent)
            .await
            .unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn answer(server: &Server, dbname: &str, sql: &str) -> String {
    let session = server.session(dbname).await;
    session.client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A CHECK that hangs on the database's time zone, a materialized view under forced row security, an event trigger that
/// forbids what a restore does, triggers that partitions alone have switched, settings that would end the restore.
#[rstest]
#[case(13)]
#[case(15)]
#[case(17)]
#[case(18)]
#[case(19)]
#[tokio::test(flavor = "multi_thread")]
async fn p1_break_glass_restores_what_a_drill_does(#[case] major: i32) {
    let source = Server::start(major, &["timezone=Asia/Kathmandu"]);
    source.database("shop", "").await;
    run_file(&source, "shop", TRAPS);
    let copied = Copied::of(&source, "shop", major).await;
    drop(source);
    // Everything is lost but the copy; the new server has other settings.
    let server = Server::start(major, &["timezone=America/New_York", "datestyle=SQL"]);
    server.database("shop", "TEMPLATE template0").await;
    let output = copied.restored(&server, "shop");
    assert!(output.status.success(), "{}", said(&output));
    // A role that exists stays as it is.
    let own = r#"ALTER ROLE postgres SET "app.least" = 'it''s 7'"#;
    server.sql("postgres", own).await;
    let whole = copied.compared(&server, "shop").await;
    assert!(whole.proves(), "{whole:#?}");
    // Into a database of another name, on a server where the roles are.
    server
        .database("DATABASE shop ", "TEMPLATE template0")
        .await;
    let output = copied.restored(&server, "DATABASE shop ");
    assert!(output.status.success(), "{}", said(&output));
    let setting = "SELECT array_to_string(array_agg(x ORDER BY x), ' ') FROM pg_db_role_setting s \
        JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS x WHERE d.datname = current_database()";
    assert_eq!(
        answer(&server, "DATABASE shop ", setting).await,
        answer(&server, "shop", setting).await
    );
    let comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()";
    assert_eq!(
        answer(&server, "DATABASE shop ", comment).await,
        answer(&server, "shop", comment).await
    );
}

/// What exists stays as it is: attributes, passwords, and a membership that was taken away since.
#[rstest]
#[case(13)]
#[case(15)]
#[case(17)]
#[case(18)]
#[case(19)]
#[tokio::test(flavor = "multi_thread")]
async fn break_glass_leaves_roles_that_exist_alone_and_names_them(#[case] major: i32) {
    let server = Server::start(major, &[]);
    server.database("shop", "").await;
    let roles = "CREATE ROLE grp; CREATE ROLE usr LOGIN PASSWORD 'old' IN ROLE grp; CREATE ROLE gone LOGIN IN ROLE grp; \
        CREATE TABLE t (a int); GRANT SELECT ON t TO grp";
    server.sql("shop", roles).await;
    let copied = Copied::of(&server, "shop", major).await;
    let since = "REVOKE grp FROM usr; ALTER ROLE usr PASSWORD NULL NOLOGIN; DROP ROLE gone";
    server.sql("shop", since).await;
    server.database("back", "TEMPLATE template0").await;
    let output = copied.restored(&server, "back");
    assert!(output.status.success(), "{}", said(&output));
    let told = "role \"usr\" exists, and stays as it is";
    assert!(said(&output).contains(told), "{}", said(&output));
    let state = "SELECT concat_ws(' ', rolcanlogin, rolpassword IS NULL, pg_has_role('usr', 'grp', 'MEMBER'), \
        (SELECT pg_has_role('gone', 'grp', 'MEMBER'))) FROM pg_authid WHERE rolname = 'usr'";
    assert_eq!(answer(&server, "back", state).await, "f t f t");
}

/// A copy that is damaged is not taken for whole, and a refusal by the server is the exit code.
#[tokio::test(flavor = "multi_thread")]
async fn break_glass_says_what_was_refused() {
    let server = Server::start(17, &[]);
    server.database("shop", "").await;
    server
        .sql("shop", "CREATE ROLE o; CREATE TABLE t (a int); ALTER TABLE t OWNER TO o; INSERT INTO t VALUES (1)")
        .await;
    let copied = Copied::of(&server, "shop", 17).await;
    server.database("back", "TEMPLATE template0").await;
    // A table with a row is there before, in a schema that the restore uses.
    server.sql("back", "CREATE VIEW t AS SELECT 1 AS a").await;
    let output = copied.restored(&server, "back");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("already exists"),
        "{}",
        said(&output)
    );
    let dump = copied.path().join("dump.pgc.age");
    let mut bytes = std::fs::read(&dump).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&dump, bytes).unwrap();
    server.database("other", "TEMPLATE template0").await;
    let output = copied.restored(&server, "other");
    assert!(!output.status.success(), "{}", said(&output));
}

/// A backup of the database `shop`, drilled with the script.
async fn drilled(source: &Server, major: i32, until: Option<Instant>) -> Proof {
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let target = source.target("shop");
    let plan = plan(target, major, store.clone(), FIRST, &scratch);
    let made = make(&plan, &Silent).await.unwrap();
    let folders = Folders::new();
    let mut plan = drill_plan(store, &made.prefix, major, &folders);
    plan.break_glass = Some(BreakGlassOrder { until });
    drill::run(&plan, &Silent).await.unwrap().proof
}

/// What the drill says of the script is its own word, beside the verdict.
#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn p1_a_drill_restores_by_the_script_too(#[case] major: i32) {
    let source = Server::start(major, &["timezone=Asia/Kathmandu"]);
    source.database("shop", "").await;
    run_file(&source, "shop", TRAPS);
    let proof = drilled(&source, major, None).await;
    assert!(proof.proves, "{proof:#?}");
    let script = proof.break_glass.unwrap();
    assert_eq!(script.result, Verdict::Passed, "{script:#?}");
    // Without time it cannot be told, and the backup is proven all the same.
    let proof = drilled(&source, major, Some(Instant::now())).await;
    assert!(proof.proves, "{proof:#?}");
    let script = proof.break_glass.unwrap();
    assert_eq!(script.result, Verdict::Inconclusive, "{script:#?}");
    assert!(script.message.contains("deadline"), "{script:#?}");
}

/// What is odd and comes back whole, by the script too.
#[rstest]
#[case::template("ALTER DATABASE shop IS_TEMPLATE true")]
#[case::role_in_another_encoding("CREATE ROLE \"hélène\"; GRANT SELECT ON t TO \"hélène\"")]
#[case::foreign_partition(
    "CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '10.255.255.1'); CREATE USER MAPPING FOR PUBLIC SERVER s; \
     CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES IN (1) SERVER s; \
     CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); INSERT INTO p VALUES (2)"
)]
#[case::large_objects(
    "SELECT lo_from_bytea(88, 'abc'), lo_from_bytea(99, 'zz'), lo_from_bytea(77, ''); GRANT SELECT ON LARGE OBJECT 99 TO PUBLIC; REVOKE SELECT ON LARGE OBJECT 99 FROM PUBLIC; \
     GRANT SELECT ON LARGE OBJECT 77 TO PUBLIC"
)]
#[tokio::test(flavor = "multi_thread")]
async fn p1_what_is_odd_comes_back_by_the_script_too(#[case] sql: &str) {
    let source = Server::start(17, &[]);
    let of = "TEMPLATE template0 LOCALE 'C' ENCODING 'LATIN1'";
    source.database("shop", of).await;
    let sql = format!("SET client_encoding = 'UTF8'; CREATE TABLE t (a int); {sql};");
    run_file(&source, "shop", &sql);
    let proof = drilled(&source, 17, None).await;
    assert!(proof.proves, "{proof:#?}");
    let script = proof.break_glass.unwrap();
    assert_eq!(script.result, Verdict::Passed, "{script:#?}");
}

/// What only our own loader brings back: rows whose CHECK asks a table of an extension. pg_restore loads them in the order of
/// their names.
#[tokio::test(flavor = "multi_thread")]
async fn p10_what_the_drill_restores_and_the_script_does_not_is_told_by_the_drill() {
    let source = Server::start(17, &[]);
    source.database("shop", "").await;
    run_file(&source, "shop", ASKS_AN_EXTENSION);
    let proof = drilled(&source, 17, None).await;
    assert!(proof.proves, "{proof:#?}");
    let script = proof.break_glass.unwrap();
    assert_eq!(script.result, Verdict::Failed, "{script:#?}");
    let said = script.complaints.join("\n");
    assert!(said.contains("violates check constraint"), "{said}");
    let lost = |d: &ProofDifference| d.object == "a.orders";
    assert!(script.differences.iter().any(lost), "{script:#?}");
}

/// A database of another encoding is named before anything is restored.
#[tokio::test(flavor = "multi_thread")]
async fn break_glass_names_another_encoding() {
    let server = Server::start(17, &[]);
    let of = "TEMPLATE template0 LOCALE 'C' ENCODING";
    server.database("shop", &format!("{of} 'LATIN1'")).await;
    server.sql("shop", "CREATE TABLE t (a text)").await;
    let copied = Copied::of(&server, "shop", 17).await;
    for (name, encoding, told) in [("same", "LATIN1", false), ("other", "UTF8", true)] {
        server.database(name, &format!("{of} '{encoding}'")).await;
        let said = said(&copied.restored(&server, name));
        assert_eq!(said.contains("ENCODING = 'LATIN1'"), told, "{said}");
    }
}

/// At 3 a.m. on a bare machine: what is missing is named, before anything is tried, and the key is not blamed for it.
#[test]
fn the_script_names_the_programs_that_are_missing() {
    let (folder, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["manifest.json", "globals.sql.zst.age", "key"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    for (link, to) in [
        ("bash", "/bin/bash"),
        ("realpath", "/usr/bin/realpath"),
        ("psql", "/bin/true"),
        ("pg_restore", "/bin/true"),
        ("sha256sum", "/bin/true"),
    ] {
        std::os::unix::fs::symlink(to, programs.path().join(link)).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/break-glass.sh");
    let mut command = std::process::Command::new(script);
    command.env("PATH", programs.path()).arg(folder.path());
    command
        .arg(folder.path().join("key"))
        .arg("postgresql://nowhere");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "age is not on this machine: install it, and begin again\n\
         zstd is not on this machine: install it, and begin again\n"
    );
}

/// The documents say how long the script is that one reads first at 3 a.m.
#[test]
fn the_script_has_as_many_lines_as_its_page_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let read = |name: &str| std::fs::read_to_string(docs.join(name)).unwrap();
    let lines = read("break-glass.sh").lines().count();
    let says = format!("[break-glass.sh](break-glass.sh) has {lines} lines");
    assert!(read("break-glass.md").contains(&says), "{says}");
    let says = format!("[{lines} lines of shell](docs/break-glass.md)");
    assert!(read("../README.md").contains(&says), "{says}");
}
