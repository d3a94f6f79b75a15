//! P9 at a shell: what is restored reaches no other server, least of all the one that was backed up.

use std::process::{Command, Output};

use lifeboat::api::restore_drill::Verdict;
use lifeboat::objects::Memory;
use lifeboat::postgres::Silent;
use lifeboat::work::backup::make;
use lifeboat::work::drill::{Place, run as drill};
use rstest::rstest;

use crate::drills::{Folders, drill_plan, shown};
use crate::pg::Server;
use crate::runs::{FIRST, plan};

const TABLES: &str =
    "CREATE EXTENSION dblink; CREATE TABLE written (a int); CREATE TABLE t AS SELECT 1 AS a";

/// A materialized view that writes into a server whenever it is filled.
fn writes(dsn: &str) -> String {
    format!(
        "CREATE FUNCTION write() RETURNS text LANGUAGE sql AS $$ SELECT public.dblink_exec('{dsn}', 'INSERT INTO public.written VALUES (1)') $$; \
         CREATE MATERIALIZED VIEW filled AS SELECT write() AS w"
    )
}

async fn written(server: &Server) -> i64 {
    let session = server.session("shop").await;
    let row = session
        .client
        .query_one("SELECT count(*) FROM written", &[]);
    row.await.unwrap().get(0)
}

/// A server with that view, which writes into itself over TCP or over its socket.
async fn source(major: i32, socket: bool) -> Server {
    let server = Server::start(major, &["listen_addresses=127.0.0.1"]);
    server.database("shop", "").await;
    let host = match socket {
        true => server.dir.path().display().to_string(),
        false => "127.0.0.1".to_owned(),
    };
    let dsn = format!("host={host} port={} dbname=shop user=postgres", server.port);
    server.sql("shop", TABLES).await;
    server.sql("shop", &writes(&dsn)).await;
    assert_eq!(written(&server).await, 1);
    server
}

#[rstest]
#[case::tcp(15, false)]
#[case::socket(17, true)]
#[tokio::test(flavor = "multi_thread")]
async fn p9_a_restored_view_reaches_no_server(#[case] major: i32, #[case] socket: bool) {
    let server = source(major, socket).await;
    let store = std::sync::Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let backup = plan(server.target("shop"), major, store.clone(), FIRST, &scratch);
    let made = make(&backup, &Silent).await.unwrap();
    let folders = Folders::new();
    let mut plan = drill_plan(store, &made.prefix, major, &folders);
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(written(&server).await, 1, "P9: {}", shown(&proof));
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(&proof));
    assert!(!shown(&proof).contains("NotIsolated"), "{}", shown(&proof));
    // Whoever asks for it gets this machine's network, and is told.
    let folders = Folders::new();
    plan.server = Place::HereOpen(folders.socket());
    plan.volume = folders.volume();
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert_eq!(written(&server).await, 2, "{}", shown(&proof));
    let told = "NotIsolated: the scratch server had this machine's network (--network=host)";
    assert!(proof.notes.iter().any(|n| n == told), "{}", shown(&proof));
}

/// Backs the database up to a folder, where no namespace of the network is to be had.
fn backed_up(server: &Server, place: &tempfile::TempDir) -> String {
    let location = format!("file://{}", place.path().display());
    let uri = format!(
        "postgresql:///shop?host={}&port={}&user=postgres&sslmode=disable",
        server.dir.path().display(),
        server.port
    );
    let words = [
        "backup",
        "--database",
        &uri,
        "--to",
        &location,
        "--unencrypted",
    ];
    let made = without_namespaces(server, &words);
    assert!(made.status.success(), "{}", said(&made));
    location
}

/// Runs a command of ours where no namespace of the network is to be had, as in many containers.
fn without_namespaces(server: &Server, words: &[&str]) -> Output {
    let script = "echo 0 > /proc/sys/user/max_net_namespaces; exec \"$@\"";
    Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(env!("CARGO_BIN_EXE_lifeboat"))
        .args(words)
        .arg("--postgres-bin")
        .arg(&server.bin)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn p9_where_the_server_cannot_be_cut_off_nothing_that_reaches_out_is_restored() {
    let server = source(17, false).await;
    let far = "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; \
        CREATE FOREIGN TABLE far_away (a int DEFAULT 1) SERVER far; COMMENT ON COLUMN far_away.a IS 'b'; GRANT SELECT ON far_away TO PUBLIC";
    server.sql("shop", far).await;
    let place = tempfile::tempdir().unwrap();
    let location = backed_up(&server, &place);
    let words = ["drill", "--from", &location, "local.shop"];
    let drilled = without_namespaces(&server, &words);
    assert_eq!(written(&server).await, 1, "P9: {}", said(&drilled));
    assert_eq!(drilled.status.code(), Some(1), "{}", said(&drilled));
    for told in [
        "note: NotIsolated: the scratch server could not be cut off",
        "not compared: 1 materialized view: not restored",
        "not compared: 1 foreign server: not restored",
        "equal, but nothing is proven",
    ] {
        assert!(said(&drilled).contains(told), "{told}: {}", said(&drilled));
    }
    let words = ["drill", "--from", &location, "local.shop", "--network=host"];
    let drilled = without_namespaces(&server, &words);
    assert!(drilled.status.success(), "{}", said(&drilled));
    assert_eq!(written(&server).await, 2, "{}", said(&drilled));
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What stands on a foreign table that was left out can be restored nowhere else: nobody can tell, and it is the backup's fault
/// least of all.
#[rstest]
#[case::view("CREATE VIEW seen AS SELECT a FROM far_away", "VIEW public.seen")]
#[case::materialized(
    "CREATE MATERIALIZED VIEW kept AS SELECT a FROM far_away WITH NO DATA",
    "MATERIALIZED VIEW public.kept"
)]
#[case::both(
    "CREATE VIEW seen AS SELECT a FROM far_away; CREATE MATERIALIZED VIEW kept AS SELECT a FROM seen WITH NO DATA; \
     CREATE FUNCTION first() RETURNS SETOF far_away LANGUAGE sql AS 'SELECT * FROM public.far_away'; CREATE TABLE own (like_it far_away)",
    ""
)]
#[tokio::test(flavor = "multi_thread")]
async fn p9_what_hangs_on_a_foreign_table_that_was_left_out_is_inconclusive(
    #[case] sql: &str,
    #[case] entry: &str,
    #[values(15, 17)] major: i32,
) {
    let server = Server::start(major, &[]);
    server.database("shop", "").await;
    let far = "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1'); \
        CREATE FOREIGN TABLE far_away (a int) SERVER far; CREATE TABLE t AS SELECT 1 AS a";
    server.sql("shop", far).await;
    server.sql("shop", sql).await;
    let place = tempfile::tempdir().unwrap();
    let location = backed_up(&server, &place);
    let words = ["drill", "--from", &location, "local.shop"];
    let drilled = without_namespaces(&server, &words);
    let all = said(&drilled);
    assert_eq!(drilled.status.code(), Some(1), "{all}");
    for told in ["Inconclusive", "NotIsolated", entry, "--network=host"] {
        assert!(all.contains(told), "{told}: {all}");
    }
    assert!(!all.contains("Failed"), "{all}");
    let words = ["drill", "--from", &location, "local.shop", "--network=host"];
    let drilled = without_namespaces(&server, &words);
    assert!(drilled.status.success(), "{}", said(&drilled));
}
