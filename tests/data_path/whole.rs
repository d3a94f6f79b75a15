//! Whole backups, restored with stock programs as docs/break-glass.md says.

use std::path::Path;
use std::process::{Command, Output};

use lifeboat::codec::{Limits, Recipients};
use lifeboat::manifest::{Contents, Manifest, Name};
use lifeboat::objects::{ObjectStore, join};
use lifeboat::postgres::Silent;
use lifeboat::work::backup::{Plan, make};
use rstest::rstest;

use crate::minio;
use crate::pg::{Server, run};
use crate::runs::{FIRST, PART, SMALL_PARTS, direct, fill, manifest, names, plan, store};
use crate::s3_server::{self, Manners};

const WEIRD: &str = "weird \"name\"";
const ODD: &str = "CREATE SCHEMA \"$(LIFEBOAT_TASK)\"; \
    CREATE TABLE \"$(LIFEBOAT_TASK)\".\"a$$b\" AS SELECT generate_series(1, 7) AS \"x$(X)\"; \
    CREATE TABLE \"Größe \"\"\n表\" AS SELECT 'ü'::text AS \"é\"; \
    CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES; \
    CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); INSERT INTO p VALUES (1); \
    CREATE TABLE empty (id bigserial PRIMARY KEY); \
    CREATE SEQUENCE \"s'1\" START 40; SELECT nextval('\"s''1\"'), nextval('\"s''1\"'); CREATE SEQUENCE untouched; \
    SELECT lo_from_bytea(4711, '\\x00ff00')";

/// A key pair of the `age` program, in a folder.
pub struct Key {
    dir: tempfile::TempDir,
    pub recipients: Recipients,
}

impl Key {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lifeboat.key");
        run(Command::new("age-keygen").arg("-o").arg(&file));
        let public = run(Command::new("age-keygen").arg("-y").arg(&file));
        Self {
            recipients: Recipients::parse(&[public.trim().to_owned()]).unwrap(),
            dir,
        }
    }

    pub fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("lifeboat.key")
    }
}

/// Copies a backup's folder out of the store.
pub async fn copy(store: &dyn ObjectStore, manifest: &Manifest, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in names(store, &manifest.prefix).await {
        let key = join(&manifest.prefix, &name);
        let bytes = store.get(&key, 64 * 1024 * 1024).await.unwrap();
        std::fs::write(to.join(&name), bytes).unwrap();
    }
}

/// Restores a copied folder into an empty database with no program of ours.
pub fn break_glass(server: &Server, dbname: &str, folder: &Path, key: &Path) -> Output {
    let path = std::env::join_paths(
        std::iter::once(server.bin.clone())
            .chain(["/usr/local/bin", "/usr/bin", "/bin"].map(Into::into)),
    );
    // Since 18 psql takes no plain space in it.
    let uri = format!(
        "postgresql:///{}?host={}&port={}&user=postgres",
        dbname.replace(' ', "%20"),
        server.dir.path().display(),
        server.port
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/break-glass.sh");
    let mut command = Command::new(script);
    command.env("PATH", path.unwrap()).arg(folder).arg(key);
    command.arg(uri).output().unwrap()
}

/// The same, into a new database `back`; nothing may be refused.
fn restore(server: &Server, folder: &Path, key: &Path) {
    run(server
        .tool("createdb")
        .args(["-T", "template0"])
        .arg("back"));
    let output = break_glass(server, "back", folder, key);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

pub fn contents(folder: &Path, key: &Path) -> Contents {
    let decrypt = "age -d -i \"$1\" \"$2\" | zstd -dc";
    let json = run(Command::new("sh")
        .args(["-c", decrypt, "sh"])
        .arg(key)
        .arg(folder.join("contents.json.zst.age")));
    serde_json::from_str(&json).unwrap()
}

/// A name in a statement. The only encoding besides UTF-8 here is LATIN1, whose bytes are code points.
pub fn quoted(name: &Name) -> String {
    let text: String = match name {
        Name::Text(text) => text.clone(),
        Name::Bytes { hex } => {
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len())
                .step_by(2)
                .map(|at| char::from(byte(at)))
                .collect()
        }
    };
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Every table of the manifest's contents has as many rows in `back`, and there are no others.
async fn compare(server: &Server, contents: &Contents) {
    let session = server.session("back").await;
    for relation in contents.relations.iter().filter(|r| r.kind == 'r') {
        let (schema, name) = (quoted(&relation.schema), quoted(&relation.name));
        let sql = format!("SELECT count(*) FROM ONLY {schema}.{name}");
        let row = session.client.query_one(&sql, &[]).await.unwrap();
        assert_eq!(Some(row.get::<_, i64>(0)), relation.rows, "{schema}.{name}");
    }
    let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
               WHERE relkind IN ('r', 'p', 'S', 'v', 'm', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'";
    let row = session.client.query_one(sql, &[]).await.unwrap();
    let there = usize::try_from(row.get::<_, i64>(0)).unwrap();
    assert_eq!(there, contents.relations.len());
}

/// What counting does not show.
fn witness(server: &Server, dbname: &str) -> String {
    let ask = |sql: &str| {
        let mut psql = server.tool("psql");
        // `back` may have another encoding.
        run(psql
            .env("PGCLIENTENCODING", "UTF8")
            .args(["-XAtd", dbname, "-c", sql]))
    };
    ["SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2",
     "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1",
     "SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid \
      WHERE attrelid >= 16384 AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'S') \
      ORDER BY attrelid::regclass::text COLLATE \"C\", attnum"]
    .map(ask)
    .join("\n")
}

/// Backs up, restores into `back` with stock programs, and compares what counting can.
pub async fn goes_round(server: &Server, dbname: &str, plan: &mut Plan) -> (Manifest, Contents) {
    let key = Key::new();
    plan.recipients = Some(key.recipients.clone());
    let made = make(plan, &Silent).await.unwrap();
    let stored = manifest(plan.store.as_ref(), &made.prefix).await.unwrap();
    assert_eq!(stored, made);
    assert_eq!(made.server.database, dbname);
    let folder = key.dir.path().join("backup");
    copy(plan.store.as_ref(), &made, &folder).await;
    let copied = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(copied, made.objects.len() + 1, "nothing else lies there");
    restore(server, &folder, &key.file());
    let contents = contents(&folder, &key.file());
    compare(server, &contents).await;
    assert_eq!(witness(server, "back"), witness(server, dbname));
    let rows: i64 = contents.relations.iter().filter_map(|r| r.rows).sum();
    assert_eq!(made.counts.rows, rows);
    (made, contents)
}

#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn p1_a_database_with_odd_names_comes_back_by_stock_programs_alone(#[case] major: i32) {
    let (server, minio) = (Server::start(major, &[]), minio::start().await);
    server.database(WEIRD, "").await;
    server.sql(WEIRD, ODD).await;
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(server.target(WEIRD), major, direct(&minio), FIRST, &scratch);
    let (made, contents) = goes_round(&server, WEIRD, &mut plan).await;
    assert_eq!(made.server.major, major);
    // a$$b, the unicode one, bare, p1 and empty.
    assert_eq!((made.counts.tables, made.counts.rows), (5, 11));
    assert_eq!((made.counts.sequences, made.counts.large_objects), (3, 1));
    assert!(
        witness(&server, "back").contains("public|s'1|41"),
        "G3: sequences"
    );
    let odd = Name::Text("$(LIFEBOAT_TASK)".into());
    assert!(contents.relations.iter().any(|r| r.schema == odd));
    let left = std::fs::read_dir(scratch.path()).unwrap().count();
    assert_eq!(left, 0, "K9: no file with a credential is left");
}

#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn p1_an_empty_database_is_a_whole_backup(#[case] major: i32) {
    let (server, minio) = (Server::start(major, &[]), minio::start().await);
    server.database("void", "").await;
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(
        server.target("void"),
        major,
        direct(&minio),
        FIRST,
        &scratch,
    );
    let (made, contents) = goes_round(&server, "void", &mut plan).await;
    assert_eq!((made.counts.tables, made.counts.rows), (0, 0));
    assert!(contents.relations.is_empty());
}

/// What a role may bring along that would change the meaning of what is read.
const HOSTILE: &str = "ALTER ROLE reader SET search_path = evil, pg_catalog; ALTER ROLE reader SET DateStyle = 'SQL, DMY'; \
    ALTER ROLE reader SET IntervalStyle = 'iso_8601'; ALTER ROLE reader SET extra_float_digits = -15; \
    ALTER ROLE reader SET bytea_output = 'escape'; ALTER ROLE reader SET TimeZone = 'Asia/Kathmandu'; \
    ALTER ROLE reader SET client_encoding = 'LATIN1'; ALTER ROLE reader SET row_security = off; \
    ALTER ROLE reader SET default_transaction_read_only = on; ALTER ROLE reader SET standard_conforming_strings = off; \
    ALTER ROLE reader SET default_transaction_isolation = 'serializable'";

/// G14: whatever role or database have as their defaults, what is read means the same.
#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn g14_hostile_defaults_of_a_role_change_nothing(#[case] major: i32) {
    let (server, minio) = (Server::start(major, &[]), minio::start().await);
    server.database("shop", "").await;
    let sql = "CREATE TABLE t AS SELECT interval '1 year 2 days' AS i, timestamptz '2026-01-02 03:04:05.678901+00' AS at, \
               0.1::float8 + 0.2 AS f, '\\x00ff'::bytea AS b, 'é\\\n'::text AS x; \
               CREATE SCHEMA evil; CREATE VIEW evil.pg_class AS SELECT * FROM pg_catalog.pg_class WHERE false; \
               CREATE FUNCTION evil.current_database() RETURNS name LANGUAGE sql AS 'SELECT ''other''::name'; \
               CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader";
    server.sql("shop", sql).await;
    server.sql("shop", HOSTILE).await;
    let scratch = tempfile::tempdir().unwrap();
    let mut target = server.target("shop");
    target.user = "reader".to_owned();
    let mut plan = plan(target, major, direct(&minio), FIRST, &scratch);
    let (made, _) = goes_round(&server, "shop", &mut plan).await;
    assert_eq!((made.counts.tables, made.counts.rows), (1, 1));
    let row = |dbname| run(server.tool("psql").args(["-XAtd", dbname, "-c", "TABLE t"]));
    assert_eq!(row("back"), row("shop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_longer_than_an_object_may_be_goes_on_in_the_next_and_concatenates() {
    let (server, minio) = (Server::start(17, &[]), minio::start().await);
    server.database("shop", "").await;
    fill(&server, "shop", 12).await;
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(server.target("shop"), 17, direct(&minio), FIRST, &scratch);
    plan.limits = Limits {
        parts_per_object: 1,
        ..SMALL_PARTS
    };
    let (made, _) = goes_round(&server, "shop", &mut plan).await;
    let dump: Vec<&str> = made
        .objects
        .iter()
        .map(|o| o.name.as_str())
        .filter(|n| n.starts_with("dump"))
        .collect();
    assert_eq!(
        dump,
        ["dump.pgc.age", "dump.pgc.age.0002", "dump.pgc.age.0003"]
    );
    assert_eq!(made.objects[0].bytes, i64::try_from(PART).unwrap());
    for name in dump {
        let key = join(&made.prefix, name);
        assert_eq!(minio.open_uploads(&key).await, 0, "{name}");
    }
}

#[rstest]
#[case::that_ignores_them(Manners { ignores_conditions: true, ..Manners::default() })]
#[case::that_refuses_them(Manners { refuses_conditions: true, ..Manners::default() })]
#[tokio::test(flavor = "multi_thread")]
async fn k1_a_store_without_conditional_writes_keeps_two_attempts_apart(#[case] manners: Manners) {
    let server = Server::start(17, &[]);
    let s3 = s3_server::start(manners).await;
    server.database("shop", "").await;
    server.sql("shop", "CREATE TABLE t AS SELECT 1 AS a").await;
    let store = store(&s3.task("prod"));
    let scratch = tempfile::tempdir().unwrap();
    let mut prefixes = vec![];
    for pod in [FIRST, crate::runs::SECOND] {
        let plan = plan(server.target("shop"), 17, store.clone(), pod, &scratch);
        let made = make(&plan, &Silent).await.unwrap();
        prefixes.push(made.prefix);
    }
    assert_ne!(prefixes[0], prefixes[1]);
    for prefix in prefixes {
        let whole = manifest(store.as_ref(), &prefix).await.unwrap();
        assert_eq!(whole.counts.rows, 1);
    }
}
