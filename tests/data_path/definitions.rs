//! Definitions that a server prints otherwise once it has read them back: equal where rules of the parser say so, told apart
//! by a reference restore where none does (G23).

use std::sync::Arc;

use lifeboat::api::restore_drill::{AcceptedDefinition, Verdict};
use lifeboat::manifest::Proof;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::Silent;
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use rstest::rstest;

use crate::drills::{Folders, drill_plan, run_file, shown};
use crate::pg::Server;
use crate::runs::{FIRST, plan};
use crate::sealed::Backup;
use crate::spoiled::assert_says;

/// Each kind of expression in each place where one may stand.
const DEFINITIONS: &str = include_str!("definitions.sql");
/// Of the last whose dumps are not compressed inside.
pub const PLAIN: i32 = 15;

async fn backup(
    server: &Server,
    dbname: &str,
    user: &str,
    major: i32,
) -> (Arc<dyn ObjectStore>, String) {
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let mut target = server.target(dbname);
    target.user = user.to_owned();
    let plan = plan(target, major, store.clone(), FIRST, &scratch);
    let manifest = make(&plan, &Silent).await.unwrap();
    (store, manifest.prefix)
}

async fn drilled(
    store: Arc<dyn ObjectStore>,
    prefix: &str,
    major: i32,
    accept: Vec<AcceptedDefinition>,
) -> Proof {
    let folders = Folders::new();
    let mut plan = drill_plan(store, prefix, major, &folders);
    plan.compare.accept = accept;
    drill(&plan, &Silent).await.unwrap().proof
}

fn passed(proof: &Proof) {
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(proof));
    assert!(proof.proves, "{}", shown(proof));
}

#[rstest]
#[case(15)]
#[case(17)]
#[tokio::test]
async fn p10_a_definition_that_is_printed_in_another_way_is_the_same(#[case] major: i32) {
    let server = Server::start(major, &["wal_level=logical"]);
    server.database("shop", "").await;
    run_file(&server, "shop", DEFINITIONS);
    let (store, prefix) = backup(&server, "shop", "postgres", major).await;
    passed(&drilled(store, &prefix, major, Vec::new()).await);
}

#[tokio::test]
async fn p10_rules_hold_in_a_database_in_another_encoding() {
    let server = Server::start(PLAIN, &[]);
    server
        .database("shop", "TEMPLATE template0 ENCODING 'LATIN1'")
        .await;
    let sql = "CREATE TABLE t (v varchar(9) CHECK (v IN ('été', 'b')), i int CHECK (i BETWEEN 1 AND 2 AND v > 'é')); INSERT INTO t VALUES ('été', 1); \
        CREATE VIEW v AS SELECT * FROM (SELECT v FROM t UNION ALL SELECT 'ö') AS q; \
        CREATE TABLE \"straße\" (id serial); INSERT INTO \"straße\" DEFAULT VALUES";
    server.sql("shop", sql).await;
    let (store, prefix) = backup(&server, "shop", "postgres", PLAIN).await;
    passed(&drilled(store, &prefix, PLAIN, Vec::new()).await);
}

/// What a dump says of the database itself is sent as the database reads it, whatever its name, and the target's.
#[rstest]
#[case::latin("LATIN1", "bücher")]
#[case::two_bytes("EUC_JP", "本")]
#[case::bytes("SQL_ASCII", "shop")]
#[tokio::test]
async fn g16_what_is_said_of_the_database_itself_comes_back_in_any_encoding(
    #[case] encoding: &str,
    #[case] name: &str,
) {
    let server = Server::start(PLAIN, &[]);
    let shop = format!("TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
    server.database("shop", &shop).await;
    let sql = format!(
        "CREATE ROLE \"{name}\"; CREATE ROLE app; ALTER DATABASE shop OWNER TO \"{name}\"; COMMENT ON DATABASE shop IS '{name}; it''s'; \
         ALTER DATABASE shop SET app.title TO '{name}'; ALTER ROLE app IN DATABASE shop SET app.title TO 'x{name}'; \
         GRANT CONNECT ON DATABASE shop TO \"{name}\" WITH GRANT OPTION; CREATE TABLE t (a int);"
    );
    server.sql("shop", &sql).await;
    let (store, prefix) = backup(&server, "shop", "postgres", PLAIN).await;
    passed(&drilled(store, &prefix, PLAIN, Vec::new()).await);
}

/// What a role sets for its sessions must change neither what is dumped nor how it reads.
#[rstest]
#[case("client_encoding = 'LATIN1'")]
#[case("standard_conforming_strings = off")]
#[case("quote_all_identifiers = on")]
#[case("TimeZone = 'Asia/Tokyo'")]
#[tokio::test]
async fn g14_settings_of_the_role_do_not_reach_the_dump(#[case] setting: &str) {
    let server = Server::start(PLAIN, &[]);
    server.database("shop", "").await;
    let sql = format!(
        "CREATE TABLE t (a text DEFAULT 'back\\slash', z timestamptz DEFAULT '2020-01-01 00:00:00+00', CHECK (a <> 'x\\y''')); \
         INSERT INTO t VALUES ('Привет'); COMMENT ON TABLE t IS 'Ω\\'; CREATE ROLE reader SUPERUSER LOGIN; ALTER ROLE reader SET {setting}"
    );
    server.sql("shop", &sql).await;
    let (store, prefix) = backup(&server, "shop", "reader", PLAIN).await;
    passed(&drilled(store, &prefix, PLAIN, Vec::new()).await);
}

/// A backup in which a view is written as no server prints it, in the dump and in contents.json alike.
pub async fn written_otherwise() -> (Arc<dyn ObjectStore>, String) {
    let server = Server::start(PLAIN, &[]);
    server.database("shop", "").await;
    server.sql("shop", "CREATE TABLE t (a int); CREATE VIEW v AS SELECT a + 1 AS b FROM t; CREATE VIEW w AS SELECT b FROM v").await;
    let (store, prefix) = backup(&server, "shop", "postgres", PLAIN).await;
    let mut backup = Backup::read(store.as_ref(), &prefix).await;
    let view = backup
        .dump
        .entries
        .iter_mut()
        .find(|e| e.desc == "VIEW" && e.tag.as_deref() == Some("v"))
        .unwrap();
    view.definition = Some(
        "CREATE VIEW public.v AS\n SELECT a OPERATOR(pg_catalog.+) 1 AS b\n   FROM public.t;\n"
            .to_owned(),
    );
    backup.told();
    let sealed = backup.seal();
    (sealed.store().await, sealed.manifest.prefix)
}

#[tokio::test]
async fn g23_what_no_rule_knows_is_inconclusive_until_somebody_accepts_it() {
    let (store, prefix) = written_otherwise().await;
    let proof = drilled(store.clone(), &prefix, PLAIN, Vec::new()).await;
    let words = [
        "VIEW public.v",
        "OPERATOR",
        "a + 1",
        "fingerprint ",
        "spec.compare.accept",
    ];
    assert_says(&proof, Verdict::Inconclusive, "PrintedOtherwise", &words);
    let fingerprint = proof.message.split("fingerprint ").nth(1).unwrap()[..16].to_owned();
    let accept = |definition: &str, fingerprint: &str| {
        vec![AcceptedDefinition {
            definition: definition.to_owned(),
            fingerprint: fingerprint.to_owned(),
        }]
    };
    let others = [
        accept("VIEW public.w", &fingerprint),
        accept("VIEW public.v", "0123456789abcdef"),
    ];
    for other in others {
        let proof = drilled(store.clone(), &prefix, PLAIN, other).await;
        assert_says(&proof, Verdict::Inconclusive, "PrintedOtherwise", &[]);
    }
    let proof = drilled(store, &prefix, PLAIN, accept("VIEW public.v", &fingerprint)).await;
    passed(&proof);
    assert!(
        proof
            .notes
            .iter()
            .any(|note| note.contains("accepted") && note.contains(&fingerprint)),
        "{}",
        shown(&proof)
    );
}

/// A constraint's function changes another table while rows are loaded: what came back is not what was recorded, and the
/// definitions by themselves say so.
#[tokio::test]
async fn g23_what_only_the_restored_database_says_differs() {
    let server = Server::start(PLAIN, &[]);
    server.database("shop", "").await;
    let sql = "CREATE TABLE other (a int DEFAULT 1); \
        CREATE FUNCTION alters(int) RETURNS bool LANGUAGE plpgsql AS $$BEGIN \
          IF NOT pg_catalog.pg_is_in_recovery() AND $1 = 2 THEN EXECUTE 'ALTER TABLE public.other ALTER a SET DEFAULT 7'; END IF; RETURN true; END$$; \
        CREATE TABLE t (a int, CONSTRAINT c CHECK (alters(a))); INSERT INTO t VALUES (2); ALTER TABLE other ALTER a SET DEFAULT 1";
    server.sql("shop", sql).await;
    let (store, prefix) = backup(&server, "shop", "postgres", PLAIN).await;
    let proof = drilled(store, &prefix, PLAIN, Vec::new()).await;
    assert_says(
        &proof,
        Verdict::Failed,
        "Differs",
        &["public.other", "DEFAULT 1", "DEFAULT 7"],
    );
}
