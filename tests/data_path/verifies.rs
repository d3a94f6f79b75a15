//! A restored database held against its backup (P10): equal where it is equal, and each change by its name.

use std::process::Command;

use lifeboat::manifest::Contents;
use lifeboat::postgres::compare::Comparison;
use lifeboat::postgres::{LockPatience, Silent};
use lifeboat::work::backup::make;
use lifeboat::work::verify::{Accepted, Subject, verify};
use rstest::rstest;

use crate::changes::CHANGES;
use crate::hashes::KINDS;
use crate::minio;
use crate::pg::{Server, run};
use crate::runs::{FIRST, direct, plan};
use crate::whole::{Key, contents, copy};

/// What a schema may hold besides rows.
pub const SCHEMA: &str = "\
    CREATE ROLE shop_dba SUPERUSER; SET ROLE shop_dba; CREATE EXTENSION pg_trgm; RESET ROLE; CREATE ROLE shop_reader; CREATE ROLE shop_app; CREATE ROLE shop_group; GRANT shop_group TO shop_app; CREATE SCHEMA shop; \
    CREATE TABLE shop.times (at timestamptz DEFAULT '2000-01-01', b bytea DEFAULT '\\x00ff'); \
    CREATE TABLE shop.days (at timestamptz) PARTITION BY RANGE (at); CREATE TABLE shop.day PARTITION OF shop.days FOR VALUES FROM ('2024-01-01') TO ('2024-01-02'); \
    CREATE TABLE shop.\"DATABASE shop\" (a int); CREATE TABLE shop.twice (a int); INSERT INTO shop.twice VALUES (1), (1); \
    CREATE FUNCTION shop.atomic() RETURNS record BEGIN ATOMIC SELECT 'x', 1; END; \
    CREATE TABLE shop.kinds (v varchar(9), n int); CREATE STATISTICS shop.stats ON (v IN ('a', 'b')), n FROM shop.kinds; \
    CREATE POLICY two ON shop.kinds TO shop_reader, shop_app USING (true); \
    ALTER ROLE shop_reader IN DATABASE shop SET work_mem = '5MB'; ALTER ROLE shop_app IN DATABASE shop SET work_mem = '6MB'; ALTER SCHEMA shop OWNER TO shop_app; \
    CREATE DOMAIN shop.cents AS int CHECK (VALUE >= 0); CREATE TYPE shop.state AS ENUM ('new', 'paid'); \
    CREATE TABLE shop.customers (id int PRIMARY KEY, name text NOT NULL, mail varchar(99) UNIQUE); \
    CREATE TABLE shop.orders (id bigserial PRIMARY KEY, customer int REFERENCES shop.customers, total shop.cents DEFAULT 0, \
        state shop.state DEFAULT 'new', kind varchar(9) CHECK (kind IN ('web', 'phone'))); \
    ALTER TABLE shop.orders ADD CONSTRAINT cheap CHECK (total < 1000000) NOT VALID; \
    CREATE INDEX orders_customer ON shop.orders (customer) WHERE state = 'new'; \
    CREATE VIEW shop.open AS SELECT * FROM shop.orders WHERE state = 'new' AND kind IN ('web', 'phone'); \
    CREATE MATERIALIZED VIEW shop.sums AS SELECT customer, sum(total) FROM shop.orders GROUP BY 1; \
    CREATE MATERIALIZED VIEW shop.stale AS SELECT 1 AS a WITH NO DATA; \
    CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'; \
    CREATE FUNCTION shop.touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
    CREATE TRIGGER touched BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touched(); \
    ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON shop.customers USING (name = current_user); \
    GRANT SELECT ON shop.orders TO shop_reader; GRANT SELECT (id) ON shop.customers TO shop_reader; \
    ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO shop_reader, shop_app; \
    COMMENT ON TABLE shop.orders IS 'what was sold'; CREATE PUBLICATION everything FOR TABLE shop.orders; \
    ALTER TABLE shop.orders OWNER TO shop_app; ALTER DATABASE shop SET work_mem = '7MB'; GRANT CONNECT ON DATABASE shop TO shop_reader; \
    INSERT INTO shop.customers SELECT n, 'c' || n, n || '@example' FROM generate_series(1, 50) AS n; \
    INSERT INTO shop.orders (customer, total, kind) SELECT 1 + n % 50, n, 'web' FROM generate_series(1, 500) AS n; \
    REFRESH MATERIALIZED VIEW shop.sums; CREATE TABLE shop.archive (LIKE shop.orders); \
    CREATE TABLE shop.parts (a int, b text) PARTITION BY HASH (a); CREATE TABLE shop.p0 PARTITION OF shop.parts FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
    CREATE TABLE shop.p1 PARTITION OF shop.parts FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO shop.parts SELECT n, n FROM generate_series(1, 40) AS n; \
    CREATE TABLE shop.parent (a int, b int); CREATE TABLE shop.child (b int, a int, c int); ALTER TABLE shop.child INHERIT shop.parent; \
    INSERT INTO shop.child VALUES (1, 2, 3); ANALYZE";

/// What of it lies outside of the database and does not come along with a copy.
const OUTSIDE: &str = "\
    ALTER DATABASE shop SET work_mem = '7MB'; GRANT CONNECT ON DATABASE shop TO shop_reader; \
    ALTER ROLE shop_reader IN DATABASE shop SET work_mem = '5MB'; ALTER ROLE shop_app IN DATABASE shop SET work_mem = '6MB'; \
    ALTER ROLE shop_reader NOBYPASSRLS; GRANT shop_group TO shop_app";

/// A backup, and the database that stock programs made of it on another server.
struct Restored {
    server: Server,
    recorded: Contents,
    scratch: tempfile::TempDir,
}

impl Restored {
    async fn new(major: i32) -> Self {
        let (source, minio) = (Server::start(major, &[]), minio::start().await);
        source.database("shop", "").await;
        source.sql("shop", KINDS).await;
        source.sql("shop", SCHEMA).await;
        // It fails, and leaves an index that is not used and not dumped.
        let session = source.session("shop").await;
        let sql = "CREATE UNIQUE INDEX CONCURRENTLY broken ON shop.twice (a)";
        assert!(session.client.batch_execute(sql).await.is_err());
        let scratch = tempfile::tempdir().unwrap();
        let key = Key::new();
        let mut plan = plan(
            source.target("shop"),
            major,
            direct(&minio),
            FIRST,
            &scratch,
        );
        plan.recipients = Some(key.recipients.clone());
        let made = make(&plan, &Silent).await.unwrap();
        let folder = scratch.path().join("backup");
        copy(plan.store.as_ref(), &made, &folder).await;
        // Another server has other settings.
        let server = Server::start(major, &["timezone=America/New_York", "bytea_output=escape"]);
        let script = "set -eu; cd \"$1\"; key=$2; \
            age -d -i \"$key\" globals.sql.zst.age | zstd -dc | grep -v 'ROLE \"*postgres' | \"$3/psql\" -Xq -v ON_ERROR_STOP=1 -d postgres; \
            if [ -e dump.pgc.age ]; then age -d -i \"$key\" dump.pgc.age; else age -d -i \"$key\" dump.pgc.zst.age | zstd -dc; fi | \
            \"$3/pg_restore\" --exit-on-error --create -d postgres";
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "sh"])
            .arg(&folder)
            .arg(key.file())
            .arg(&server.bin)
            .env("PGHOST", server.dir.path())
            .env("PGPORT", server.port.to_string())
            .env("PGUSER", "postgres");
        run(&mut command);
        let recorded = contents(&folder, &key.file());
        Self {
            server,
            recorded,
            scratch,
        }
    }

    async fn verify(&self) -> Comparison {
        let subject = Subject {
            target: self.server.target("shop"),
            scratch: self.scratch.path().to_owned(),
            postgres_folders: vec![self.server.bin.clone()],
            patience: LockPatience::default(),
            application_name: "lifeboat/verify".to_owned(),
        };
        verify(&subject, &self.recorded, &Accepted::default(), &Silent)
            .await
            .unwrap()
    }
}

fn told(comparison: &Comparison) -> Vec<String> {
    let differences = comparison.differences.iter();
    differences
        .map(|d| format!("{} {}", d.what, d.object))
        .collect()
}

/// P10, G23: equal is equal, and each change is named. The change is undone by a new database from a template.
#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_restored_database_is_equal_and_each_change_is_named(#[case] major: i32) {
    let restored = Restored::new(major).await;
    let whole = restored.verify().await;
    assert_eq!(told(&whole), [""; 0], "{whole:#?}");
    assert!(whole.proves(), "{whole:#?}");
    assert_eq!(whole.tables, whole.equal);
    assert!(whole.tables > 10 && whole.rows > 600, "{whole:#?}");
    for (what, change, wanted) in CHANGES {
        // Database settings and privileges lie outside of the copy, so the original is kept and the copy changed and renamed back.
        restored
            .server
            .sql("postgres", "DROP DATABASE IF EXISTS kept")
            .await;
        restored
            .server
            .sql("postgres", "CREATE DATABASE kept TEMPLATE shop")
            .await;
        restored.server.sql("shop", change).await;
        let changed = restored.verify().await;
        let told = told(&changed);
        assert!(!changed.proves(), "{what}: passed");
        for wanted in *wanted {
            assert!(
                told.iter().any(|t| t == wanted),
                "{what}: {wanted} not in {told:#?}"
            );
        }
        restored.server.sql("postgres", "DROP DATABASE shop").await;
        restored
            .server
            .sql("postgres", "ALTER DATABASE kept RENAME TO shop")
            .await;
        restored.server.sql("postgres", OUTSIDE).await;
    }
    let again = restored.verify().await;
    assert_eq!(told(&again), [""; 0], "{again:#?}");
    // One is not valid in the source either; that one is not in the dump.
    let session = restored.server.session("shop").await;
    let sql = "CREATE UNIQUE INDEX CONCURRENTLY late ON shop.twice (a)";
    assert!(session.client.batch_execute(sql).await.is_err());
    let late = restored.verify().await;
    assert_eq!(told(&late), ["invalid indexes shop.late"], "{late:#?}");
}

/// The commands as a person types them, on one server: back up, restore, verify, change, verify.
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_person_verifies_a_restored_database_at_a_shell() {
    let server = Server::start(17, &[]);
    server.database("shop", "").await;
    server.sql("shop", SCHEMA).await;
    let key = Key::new();
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    let uri = |dbname: &str| {
        format!(
            "postgresql:///{dbname}?host={}&port={}&user=postgres&sslmode=disable",
            server.dir.path().display(),
            server.port
        )
    };
    let lifeboat = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(args)
            .arg("--postgres-bin")
            .arg(&server.bin)
            .output()
            .unwrap()
    };
    let public = key.recipients.to_strings().remove(0);
    let made = lifeboat(&[
        "backup",
        "--database",
        &uri("shop"),
        "--to",
        &location,
        "--recipient",
        &public,
        "--json",
    ]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let manifest: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let prefix = manifest["prefix"].as_str().unwrap();
    let file = key.file();
    let args = |database: &str| {
        let words = [
            "verify",
            "--from",
            &location,
            prefix,
            "--identity",
            file.to_str().unwrap(),
            "--database",
            database,
        ];
        words.map(str::to_owned).to_vec()
    };
    let verify = |database: &str, more: &[&str]| {
        let args = args(database);
        let all: Vec<&str> = args
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        lifeboat(&all)
    };
    // The database itself did not change since.
    let same = verify(&uri("shop"), &[]);
    let text = String::from_utf8_lossy(&same.stdout).into_owned();
    assert!(
        same.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&same.stderr)
    );
    assert!(text.contains("equal: rows, content, schema"), "{text}");

    server
        .sql(
            "shop",
            "UPDATE shop.orders SET total = total + 1 WHERE id = 7",
        )
        .await;
    let changed = verify(&uri("shop"), &[]);
    let text = String::from_utf8_lossy(&changed.stdout).into_owned();
    assert_eq!(changed.status.code(), Some(1), "{text}");
    assert!(text.contains("content  shop.orders"), "{text}");
    assert!(
        String::from_utf8_lossy(&changed.stderr).contains("not what was backed up: 1 difference"),
        "{text}"
    );
    let changed = verify(&uri("shop"), &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&changed.stdout).unwrap();
    assert_eq!(json["proves"], false);
    assert_eq!(json["differences"][0]["object"], "shop.orders");

    let words = [
        "verify",
        "--from",
        &location,
        prefix,
        "--database",
        &uri("shop"),
    ];
    let unopened = lifeboat(&words);
    assert!(String::from_utf8_lossy(&unopened.stderr).contains("give --identity FILE"));
}
