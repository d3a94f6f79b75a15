//! Content hashes (G21, G22): what a backup records is what another program computes, before and after.

use std::process::Command;

use lifeboat::manifest::{Contents, Name, Relation, SchemaEntry};
use lifeboat::postgres::content::LineKey;
use rstest::rstest;

use crate::minio;
use crate::pg::{Server, run};
use crate::runs::{FIRST, SECOND, direct, identity, plan};
use crate::whole::{goes_round, quoted};

/// Everything that a line may hold, and every way in which columns may lie.
pub const KINDS: &str = "\
    CREATE TABLE kinds (a int, gone int, b text, c bytea, d timestamptz, e interval, f float8, g numeric, h int[], i jsonb, j bool, \
        twice int GENERATED ALWAYS AS (a * 2) STORED); \
    ALTER TABLE kinds DROP COLUMN gone; \
    INSERT INTO kinds VALUES (1, E'tab\\tnewline\\nback\\\\slash', '\\x00ff0a5c', '2026-01-02 03:04:05.678901+05', '1 year 2 days', 'NaN', 'NaN', '{1,NULL}', '{\"a\": [1]}', true), \
        (2, '', '', 'infinity', '-1 mon', '-Infinity', 1e40, '{}', 'null', false), (NULL, NULL, NULL, '4713-01-01 BC', NULL, 1e-300, 0.10, NULL, NULL, NULL), \
        (3, '\\N', NULL, NULL, NULL, 0.1::float8 + 0.2, NULL, NULL, NULL, NULL); \
    INSERT INTO kinds (a, b) SELECT n, repeat('0123456789abcde', n) FROM generate_series(60, 400, 7) AS n; \
    CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES; \
    CREATE TABLE root (a int, b text, c date) PARTITION BY LIST (a); \
    CREATE TABLE leaf (c date, gone int, b text, a int); ALTER TABLE leaf DROP COLUMN gone; \
    ALTER TABLE root ATTACH PARTITION leaf FOR VALUES IN (1); CREATE TABLE other PARTITION OF root DEFAULT; \
    INSERT INTO root VALUES (1, 'x', '2026-01-01'), (1, 'y', NULL), (2, 'z', '0044-03-15 BC'); \
    SELECT lo_from_bytea(4711, '\\x00ff00'), lo_from_bytea(4712, ''), lo_from_bytea(4713, convert_to(repeat('abcdefghijklmnop', 140000), 'UTF8'))";

/// As a session of the rules reads.
const OPTIONS: &str = "-c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3 -c bytea_output=hex -c TimeZone=UTC";

/// Rows, bytes and sum, by psql and the program of the documents.
fn by_others(server: &Server, dbname: &str, encoding: &str, copy: &str, key: &LineKey) -> String {
    let psql = server.tool("psql");
    let script = "set -eu; \"$0\" -XAt -d \"$1\" -c \"$2\" | \"$3\" \"$4\"";
    let mut command = Command::new("sh");
    for (name, value) in psql.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .env("PGOPTIONS", OPTIONS)
        .env("PGCLIENTENCODING", encoding)
        .args(["-c", script])
        .arg(psql.get_program())
        .arg(format!("{} dbname={dbname}", socket(server)))
        .arg(copy)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/content-hash.py"))
        .arg(key.to_hex());
    run(&mut command).trim().to_owned()
}

fn socket(server: &Server) -> String {
    format!(
        "host={} port={} user=postgres",
        server.dir.path().display(),
        server.port
    )
}

fn recorded(relation: &Relation) -> String {
    format!(
        "{} {} {}",
        relation.rows.unwrap(),
        relation.bytes.unwrap(),
        relation.hash.as_deref().unwrap()
    )
}

#[rstest]
#[case(15, "UTF8", "")]
#[case(17, "UTF8", "")]
#[case(17, "LATIN1", "TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")]
#[case(17, "SQL_ASCII", "TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C'")]
#[tokio::test(flavor = "multi_thread")]
async fn g21_what_is_recorded_is_what_another_program_computes_before_and_after(
    #[case] major: i32,
    #[case] encoding: &str,
    #[case] options: &str,
) {
    let (server, minio) = (Server::start(major, &[]), minio::start().await);
    server.database("kinds", options).await;
    server.sql("kinds", KINDS).await;
    // A name and a value that are written otherwise in LATIN1 than in UTF-8.
    server
        .sql(
            "kinds",
            "CREATE TABLE \"é\"\"\\\\x\" AS SELECT 'ü'::text AS \"ö\"",
        )
        .await;
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(
        server.target("kinds"),
        major,
        direct(&minio),
        FIRST,
        &scratch,
    );
    let key = plan.line_key.unwrap();
    let (_, contents) = goes_round(&server, "kinds", &mut plan).await;
    assert_eq!(contents.line_key, Some(key.to_hex()));
    let tables: Vec<&Relation> = contents
        .relations
        .iter()
        .filter(|r| r.kind == 'r')
        .collect();
    assert_eq!(tables.len(), 5);
    for relation in tables {
        // The one name that is not ASCII is LATIN1 in contents.json, and psql is told in UTF-8.
        if matches!(relation.name, Name::Bytes { .. }) {
            assert_eq!(encoding, "LATIN1");
            assert_eq!(
                (relation.rows, relation.bytes),
                (Some(1), Some(1)),
                "ü is one byte"
            );
            continue;
        }
        let columns: Vec<String> = relation.columns.iter().flatten().map(quoted).collect();
        let list = match columns.len() {
            0 => String::new(),
            _ => format!("({})", columns.join(", ")),
        };
        let copy = format!(
            "COPY {}.{} {list} TO STDOUT",
            quoted(&relation.schema),
            quoted(&relation.name)
        );
        for dbname in ["kinds", "back"] {
            let computed = by_others(&server, dbname, encoding, &copy, &key);
            assert_eq!(computed, recorded(relation), "{dbname}: {copy}");
        }
    }
    let all = contents.large_objects.unwrap();
    assert_eq!((all.count, all.bytes), (3, 3 + 16 * 140_000));
}

/// The sums of partitions are the sum of their root, whatever the order of their columns (G25).
#[tokio::test(flavor = "multi_thread")]
async fn g25_partitions_add_up_to_their_root() {
    let (server, minio) = (Server::start(17, &[]), minio::start().await);
    server.database("kinds", "").await;
    server.sql("kinds", KINDS).await;
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(server.target("kinds"), 17, direct(&minio), FIRST, &scratch);
    let key = plan.line_key.unwrap();
    let (_, contents) = goes_round(&server, "kinds", &mut plan).await;
    let of = |name: &str| {
        let named = |r: &&Relation| r.name == Name::Text(name.to_owned());
        contents.relations.iter().find(named).unwrap()
    };
    let (leaf, other) = (of("leaf"), of("other"));
    assert_eq!(leaf.columns, other.columns, "both in the order of the root");
    let number = |r: &Relation| u128::from_str_radix(r.hash.as_deref().unwrap(), 16).unwrap();
    let sum = number(leaf).wrapping_add(number(other));
    let rows = leaf.rows.unwrap() + other.rows.unwrap();
    let bytes = leaf.bytes.unwrap() + other.bytes.unwrap();
    let copy = "COPY (SELECT a, b, c FROM root) TO STDOUT";
    let whole = by_others(&server, "back", "UTF8", copy, &key);
    assert_eq!(whole, format!("{rows} {bytes} {sum:032x}"));
    assert_eq!(of("root").hash, None);
}

/// G23, G24: schema and sequences as the dump's own table of contents has them.
#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test(flavor = "multi_thread")]
async fn g23_contents_say_what_the_dump_says_of_schema_and_sequences(#[case] major: i32) {
    let (server, minio) = (Server::start(major, &[]), minio::start().await);
    server.database("shop", "").await;
    let sql = "CREATE ROLE shop_app; CREATE ROLE shop_group; GRANT shop_group TO shop_app; \
        CREATE COLLATION public.phone (provider = icu, locale = 'de-u-co-phonebk'); \
        CREATE TABLE t (id bigserial PRIMARY KEY, name text COLLATE phone, other text COLLATE \"C\"); \
        CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER TABLE t OWNER TO shop_app; \
        COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO PUBLIC; ALTER DATABASE shop SET work_mem = '7MB'; \
        CREATE SEQUENCE \"odd, 'name\" START 5; SELECT nextval('t_id_seq'), nextval('t_id_seq')";
    server.sql("shop", sql).await;
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(
        server.target("shop"),
        major,
        direct(&minio),
        FIRST,
        &scratch,
    );
    let (_, first) = goes_round(&server, "shop", &mut plan).await;
    let entry = |contents: &Contents, desc: &str, tag: &str| {
        let named = |e: &&SchemaEntry| e.desc == desc && e.tag == Name::Text(tag.to_owned());
        contents.entries.iter().find(named).cloned()
    };
    for (desc, tag) in [
        ("TABLE", "t"),
        ("FUNCTION", "one()"),
        ("COMMENT", "TABLE t"),
        ("ACL", "TABLE t"),
        ("CONSTRAINT", "t t_pkey"),
        ("DATABASE PROPERTIES", ""),
    ] {
        assert!(
            entry(&first, desc, tag).is_some(),
            "{desc} {tag}: {:#?}",
            first.entries
        );
    }
    assert!(!first.entries.iter().any(|e| e.desc == "TABLE DATA"));
    let positions: Vec<(String, i64, bool)> = first
        .sequences
        .iter()
        .map(|s| (s.name.display(), s.last_value, s.is_called))
        .collect();
    let odd = ("odd, 'name".to_owned(), 5, false);
    assert_eq!(positions, [odd, ("t_id_seq".to_owned(), 2, true)]);
    let roles: Vec<&str> = first.roles.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(roles, ["postgres", "shop_app", "shop_group"]);
    let member = &first.roles[1].statements;
    assert!(
        member
            .iter()
            .any(|s| s.starts_with("GRANT \"shop_group\" TO \"shop_app\"")),
        "{member:?}"
    );
    let phone = first
        .collations
        .iter()
        .find(|c| c.name == Name::Text("phone".to_owned()));
    assert!(phone.is_some_and(|c| c.provider == 'i' && c.version.is_some()));

    // What changes, and only that, has another fingerprint.
    run(server.tool("dropdb").arg("back"));
    let sql = "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2'";
    server.sql("shop", sql).await;
    plan.identity = identity(SECOND);
    let (_, second) = goes_round(&server, "shop", &mut plan).await;
    let changed: Vec<String> = first
        .entries
        .iter()
        .filter(|e| !second.entries.contains(e))
        .map(|e| e.tag.display())
        .collect();
    assert_eq!(changed, ["one()"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn g22_without_a_key_rows_are_counted_and_not_hashed() {
    let (server, minio) = (Server::start(17, &[]), minio::start().await);
    server.database("kinds", "").await;
    server.sql("kinds", "CREATE TABLE t AS SELECT 1 AS a").await;
    let scratch = tempfile::tempdir().unwrap();
    let mut plan = plan(server.target("kinds"), 17, direct(&minio), FIRST, &scratch);
    plan.line_key = None;
    let (made, contents) = goes_round(&server, "kinds", &mut plan).await;
    assert_eq!(made.counts.rows, 1);
    assert_eq!(
        (contents.line_key, &contents.relations[0].hash),
        (None, &None)
    );
}
