//! Settings of the backup's role that change what pg_dump prints, through a real pooler, which lets no startup options through (G12,
//! G14): what is dumped is whole all the same, and proven.

use std::sync::Arc;

use lifeboat::api::Reason;
use lifeboat::api::restore_drill::Verdict;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::{Silent, Target};
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use rstest::rstest;

use crate::drills::{Folders, drill_plan, run_file, shown};
use crate::pg::Server;
use crate::pgbouncer::PgBouncer;
use crate::runs::{FIRST, plan, tcp};

/// What reads otherwise under each of them.
const SHOP: &str = r#"
    CREATE TABLE t (a text DEFAULT 'back\slash', z timestamptz DEFAULT '2020-01-01 00:00:00+00', "order" int, CHECK (a <> 'x\y'''));
    INSERT INTO t VALUES ('Привет'), ('\'); COMMENT ON TABLE t IS 'Ω\'; CREATE VIEW v AS SELECT a, "order" FROM t WHERE a <> 'b\c';
    CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT a FROM t'; CREATE ROLE reader SUPERUSER LOGIN;
"#;

/// A server with that role, a pooler before it, and where the pooler is reached.
async fn pooled(major: i32, mode: &str, settings: &[&str]) -> (Server, PgBouncer, Target) {
    let server = Server::start(major, &["listen_addresses=127.0.0.1"]);
    server
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    run_file(&server, "shop", SHOP);
    for setting in settings {
        let sql = format!("ALTER ROLE reader SET {setting}");
        server.sql("shop", &sql).await;
    }
    let more = format!(
        "ignore_startup_parameters=extra_float_digits,options\n[databases]\nshop = host=127.0.0.1 port={} user=reader",
        server.port
    );
    let bouncer = PgBouncer::start(&server, mode, &more).await;
    let mut target = tcp(&server, "shop", bouncer.port);
    target.user = "reader".to_owned();
    (server, bouncer, target)
}

#[rstest]
#[case::encoding(&["client_encoding = 'LATIN1'"])]
#[case::strings(&["standard_conforming_strings = off"])]
#[case::quotes(&["quote_all_identifiers = on"])]
#[case::all(&["client_encoding = 'LATIN1'", "standard_conforming_strings = off", "quote_all_identifiers = on", "search_path = ''"])]
#[tokio::test(flavor = "multi_thread")]
async fn g14_through_a_pooler_settings_of_the_role_change_no_proof(
    #[case] settings: &[&str],
    #[values(15, 17)] major: i32,
) {
    let (_server, _bouncer, target) = pooled(major, "session", settings).await;
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let plan = plan(target, major, store.clone(), FIRST, &scratch);
    let made = make(&plan, &Silent).await.unwrap();
    let folders = Folders::new();
    let plan = drill_plan(store, &made.prefix, major, &folders);
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
    assert!(proof.proves, "{}", shown(&proof));
}

/// Between transactions it gives the session away: no backup is made of that, whatever the role has set.
#[tokio::test(flavor = "multi_thread")]
async fn g12_between_transactions_there_is_no_backup() {
    let settings = ["quote_all_identifiers = on"];
    let (_server, _bouncer, target) = pooled(17, "transaction", &settings).await;
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let plan = plan(target, 17, store, FIRST, &scratch);
    let refused = make(&plan, &Silent).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::TransactionPooler, "{refused}");
}
