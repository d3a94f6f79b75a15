//! The whole data path on every major that is supported: a database with every kind of object and with what each major
//! brought, backed up and drilled by that major's own programs, and restored by stock programs alone. And restored into a
//! newer major, which is what an upgrade is.

use std::path::Path;
use std::sync::Arc;

use lifeboat::api::Reason;
use lifeboat::api::restore_drill::Verdict;
use lifeboat::manifest::Manifest;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::load::Roles;
use lifeboat::postgres::{LockPatience, Silent, Target};
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use lifeboat::work::failure::Failure;
use lifeboat::work::restore::{self, Restored};
use lifeboat::work::verify::{Accepted, Subject};
use rstest::rstest;

use crate::drills::{EVERYTHING, Folders, drill_plan, run_file, shown};
use crate::pg::{Server, executable, host_bin, run};
use crate::runs::{FIRST, plan};

/// What each major brought, and the major.
const NEWS: [(i32, &str); 6] = [
    (14, include_str!("majors/14.sql")),
    (15, include_str!("majors/15.sql")),
    (16, include_str!("majors/16.sql")),
    (17, include_str!("majors/17.sql")),
    (18, include_str!("majors/18.sql")),
    (19, include_str!("majors/19.sql")),
];
/// What 13 does not have, of what every other has.
const SINCE_14: [&str; 3] = [
    "GRANT pg_read_all_data TO every_group;",
    "CREATE FUNCTION atomic(x int) RETURNS int BEGIN ATOMIC SELECT e.plus(x, 2); END;",
    "ALTER FUNCTION atomic(int) OWNER TO every_owner;",
];

/// Every kind of object of this major.
fn everything(major: i32) -> String {
    let mut sql = EVERYTHING.to_owned();
    if major < 14 {
        for newer in SINCE_14 {
            assert!(sql.contains(newer), "{newer}");
            sql = sql.replace(newer, "");
        }
    }
    for (_, news) in NEWS.iter().filter(|(since, _)| *since <= major) {
        sql.push_str(news);
    }
    sql
}

async fn filled(major: i32) -> Server {
    let server = Server::start(major, &["wal_level=logical"]);
    let more = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'";
    server.database("every", more).await;
    run_file(&server, "every", &everything(major));
    server
}

async fn backed_up(target: Target, store: &Arc<dyn ObjectStore>, programs: &Path) -> Manifest {
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(target, 17, store.clone(), FIRST, &scratch);
    plan.postgres_folders = vec![programs.to_owned()];
    make(&plan, &Silent).await.unwrap()
}

/// Its privileges were changed, which no dump holds.
const LANGUAGE: &str = "language sql";

async fn is_proven(store: &Arc<dyn ObjectStore>, backup: &Manifest, major: i32) {
    let folders = Folders::new();
    let mut plan = drill_plan(store.clone(), &backup.prefix, major, &folders);
    plan.accepted = [LANGUAGE.to_owned()].into();
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
    assert!(
        proof.proves && proof.score == Some(100),
        "{}",
        shown(&proof)
    );
}

/// Every table by the number of its rows and what is in them, every sequence, and every large object. In which order a table
/// has its columns, and in which partition a hash puts a row, depends on the restore.
fn data(server: &Server, dbname: &str) -> String {
    let tables = "SELECT format('SELECT %L, count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE \"C\")) FROM (SELECT to_jsonb(t) FROM %s %I.%I AS t) AS t', \
        c.oid::regclass, CASE relkind WHEN 'r' THEN 'ONLY' END, nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
        WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname !~ '^(pg_|information_schema)' ORDER BY nspname COLLATE \"C\", relname COLLATE \"C\" \\gexec\n\
        SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2;\n\
        SELECT oid, lo_get(oid) FROM pg_largeobject_metadata ORDER BY 1;\n";
    let file = server.dir.path().join("data.sql");
    std::fs::write(&file, tables).unwrap();
    let mut psql = server.tool("psql");
    run(psql
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", dbname, "-f"])
        .arg(file))
}

fn alike(was: &str, is: &str) {
    let only = |one: &str, other: &str| -> Vec<String> {
        let lines = one
            .lines()
            .filter(|line| !other.lines().any(|l| l == *line));
        lines.map(str::to_owned).collect()
    };
    let none: (Vec<String>, Vec<String>) = Default::default();
    assert_eq!((only(was, is), only(is, was)), none);
}

/// Makes the database anew from a plain dump of it with stock programs, where the old one goes by another name.
async fn by_stock_programs(server: &Server) {
    let dump = server.dir.path().join("plain");
    run(server
        .tool("pg_dump")
        .args(["-Fc", "-d", "every", "-f"])
        .arg(&dump));
    server
        .sql("postgres", "ALTER DATABASE every RENAME TO source")
        .await;
    let mut restore = server.tool("pg_restore");
    // The database is read-only by its settings.
    restore.env("PGOPTIONS", "-c default_transaction_read_only=off");
    let restored = restore
        .args(["-C", "-d", "postgres"])
        .arg(&dump)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&restored.stderr).into_owned();
    let refused: Vec<&str> = said.lines().filter(|l| l.contains("error: ")).collect();
    // pg_restore reads with row security off: a view of a role without rights to the rows stays empty, by whatever program.
    assert_eq!(refused.len(), 2, "{said}");
    assert!(refused[0].contains("row-level security"), "{said}");
    assert!(refused[1].contains("has not been populated"), "{said}");
}

async fn goes_round(major: i32) {
    let server = filled(major).await;
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let made = backed_up(server.target("every"), &store, &host_bin(major)).await;
    assert_eq!(made.server.major, major);
    is_proven(&store, &made, major).await;
    let was = data(&server, "every");
    by_stock_programs(&server).await;
    alike(&was, &data(&server, "every"));
}

/// P10: what each major has is proven, and stock programs restore it alike.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn p10_every_kind_of_object_of_a_major_is_proven(#[values(13, 15, 17, 18, 19)] major: i32) {
    goes_round(major).await;
}

/// Those that no suite of Debian has: `make test-majors` runs this one, `make test` does not.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn on_request_every_kind_of_object_of_a_major_is_proven(#[values(14, 16)] major: i32) {
    goes_round(major).await;
}

/// A build of pg_dump without zstd compresses nothing, and the backup is compressed all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_pg_dump_without_zstd_makes_backups_as_any_other() {
    let major = 17;
    let server = Server::start(major, &[]);
    server.database("shop", "TEMPLATE template0").await;
    server
        .sql(
            "shop",
            "CREATE TABLE t AS SELECT n, repeat('x', 100) FROM generate_series(1, 1000) AS n",
        )
        .await;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("pg_dump");
    let real = host_bin(major).join("pg_dump");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *--compress=zstd*) echo 'pg_dump: error: invalid compression specification: \
         this build does not support compression with ZSTD' >&2; exit 1;; esac\nexec '{}' \"$@\"\n",
        real.display()
    );
    executable(&script, &text);
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let made = backed_up(server.target("shop"), &store, folder.path()).await;
    assert_eq!(made.objects[0].name, "dump.pgc.zst", "{made:?}");
    is_proven(&store, &made, major).await;
}

/// G6: from 19 on pg_read_all_data reaches large objects, before it does not.
#[rstest]
#[case(18, false)]
#[case(19, true)]
#[tokio::test(flavor = "multi_thread")]
async fn g6_pg_read_all_data_reaches_large_objects_from_19_on(
    #[case] major: i32,
    #[case] may: bool,
) {
    let server = Server::start(major, &[]);
    server.database("shop", "TEMPLATE template0").await;
    let sql = "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; CREATE TABLE t AS SELECT 1 AS a; \
        SELECT lo_from_bytea(4711, '\\x00ff00')";
    server.sql("shop", sql).await;
    let mut target = server.target("shop");
    target.user = "reader".to_owned();
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    if may {
        let made = backed_up(target, &store, &host_bin(major)).await;
        assert_eq!(made.counts.large_objects, 1);
        is_proven(&store, &made, major).await;
    } else {
        let error = lifeboat::postgres::preflight(&target, "test")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("LARGE OBJECT 4711"), "{error}");
    }
}

/// Restores a backup into a database of another server.
async fn restored(
    store: &Arc<dyn ObjectStore>,
    backup: &Manifest,
    into: &Server,
) -> Result<Restored, Failure> {
    let (scratch, volume) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let more = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'";
    into.database("every", more).await;
    let plan = restore::Plan {
        store: store.clone(),
        identities: None,
        at: backup.prefix.clone(),
        subject: Subject {
            target: into.target("every"),
            scratch: scratch.path().to_owned(),
            postgres_folders: vec![into.bin.clone()],
            patience: LockPatience::default(),
            application_name: "test".to_owned(),
        },
        volume: volume.path().to_owned(),
        roles: Roles::Create,
        jobs: 2,
        accepted: Accepted::default(),
    };
    restore::run(&plan, &Silent).await
}

/// Programs of an older major cannot read the dump: nothing is begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_into_an_older_major_is_refused() {
    let (new, store) = (Server::start(17, &[]), Arc::new(Memory::new()));
    let store: Arc<dyn ObjectStore> = store;
    new.database("shop", "TEMPLATE template0").await;
    new.sql("shop", "CREATE TABLE t AS SELECT 1 AS a").await;
    let made = backed_up(new.target("shop"), &store, &host_bin(17)).await;
    let error = restored(&store, &made, &Server::start(15, &[]))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::WrongMajor);
    assert!(
        error.to_string().contains("restore into 17 or newer"),
        "{error}"
    );
}

/// Another major prints definitions in its own way: they are not compared, and everything else is.
#[rstest]
#[case(13, 15)]
#[case(15, 17)]
#[case(17, 18)]
#[case(18, 19)]
#[tokio::test(flavor = "multi_thread")]
async fn g23_a_restore_into_a_newer_major_compares_data_and_not_definitions(
    #[case] from: i32,
    #[case] into: i32,
) {
    let (old, store) = (filled(from).await, Arc::new(Memory::new()));
    let store: Arc<dyn ObjectStore> = store;
    let made = backed_up(old.target("every"), &store, &host_bin(from)).await;
    let new = Server::start(into, &["wal_level=logical"]);
    let restored = restored(&store, &made, &new).await.unwrap();
    let comparison = &restored.comparison;
    assert_eq!(restored.errors, [], "nothing was refused");
    assert_eq!(comparison.differences, []);
    assert_eq!(comparison.tables, comparison.equal);
    let words = format!("the backup is of PostgreSQL {from}");
    let told = &comparison.not_compared;
    assert!(told.iter().any(|t| t.contains(&words)), "{comparison:?}");
    assert!(told.iter().any(|t| t.contains(LANGUAGE)), "{comparison:?}");
    assert_eq!(told.len(), 2, "{comparison:?}");
    assert!(!comparison.proves());
    alike(&data(&old, "every"), &data(&new, "every"));
}
