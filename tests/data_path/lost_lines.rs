//! A line that is lost without a word: through a pooler the server cannot ask whether pg_dump is still there (G10).

use std::sync::Arc;
use std::time::Duration;

use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::Silent;
use lifeboat::work::backup::make;
use rstest::rstest;

use crate::pg::Server;
use crate::poolers::{Pooler, Suite};
use crate::proxy::{Proxy, Rule};
use crate::runs::{APPLICATION, FIRST, fill, plan, tcp, until};

/// Locks of the run on tables.
fn held(answer: &str) -> String {
    format!(
        "SELECT {answer} EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE a.application_name = '{APPLICATION}' AND l.relation >= 16384)"
    )
}

async fn pooler(kind: &str, server: u16) -> Pooler {
    match kind {
        "odyssey" => Pooler::odyssey(server, "session", 10, "").await,
        "old" => Pooler::pgbouncer(Suite::Bookworm, server, "session", "").await,
        _ => {
            let more = "ignore_startup_parameters=options";
            Pooler::pgbouncer(Suite::Forky, server, "session", more).await
        }
    }
}

/// The pooler is not told that pg_dump is gone and goes on holding its session: the server ends it once the coordinator is gone.
#[rstest]
#[case::old("old")]
#[case::new("new")]
#[case::odyssey("odyssey")]
#[tokio::test(flavor = "multi_thread")]
async fn g10_a_lost_pg_dump_behind_a_pooler_holds_no_lock(#[case] kind: &str) {
    let server = Server::start(15, &["listen_addresses=127.0.0.1"]);
    fill(&server, "postgres", 24).await;
    let pool = pooler(kind, server.port).await;
    let line = Proxy::before(pool.port).await;
    line.set(Rule::cut_answer_to("TO stdout").after(1024 * 1024).lost());
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let target = tcp(&server, "postgres", line.port);
    let plan = plan(target, 15, store, FIRST, &scratch);
    {
        let run = make(&plan, &Silent);
        tokio::pin!(run);
        let watched = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DO $watch$%' AND state = 'active')";
        let stopped = async {
            line.struck().await;
            until(&server, "the server watches", watched).await;
        };
        tokio::select! {
            made = &mut run => panic!("{made:?}"),
            () = stopped => {}
        }
        until(&server, "locks are held", &held("")).await;
        // Poolers cancel what a client left behind, and some of them more than once, at whatever moment.
        let session = server.session("postgres").await;
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'DO $watch$%' AND state = 'active'";
        for _ in 0..500 {
            session.client.query_one(cancel, &[]).await.unwrap();
        }
    }
    // The run is given up, as by its deadline.
    until(&server, "all locks are gone", &held("NOT")).await;
}

/// A backup that is whole leaves nobody to watch.
#[tokio::test(flavor = "multi_thread")]
async fn g10_who_watches_goes_with_the_run() {
    let server = Server::start(17, &["listen_addresses=127.0.0.1"]);
    fill(&server, "postgres", 8).await;
    let pool = pooler("new", server.port).await;
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let target = tcp(&server, "postgres", pool.port);
    let plan = plan(target, 17, store, FIRST, &scratch);
    make(&plan, &Silent).await.unwrap();
    let none = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DO $watch$%' AND state = 'active')";
    until(&server, "nobody watches", none).await;
}

/// At a shell a run that hangs ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_has_a_deadline() {
    let server = Server::start(17, &["listen_addresses=127.0.0.1"]);
    fill(&server, "postgres", 4).await;
    let line = Proxy::before(server.port).await;
    line.set(Rule::cut_answer_to("TO stdout").after(1024 * 1024).lost());
    let place = tempfile::tempdir().unwrap();
    let uri = format!(
        "postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable",
        line.port
    );
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    let to = format!("file://{}", place.path().display());
    command.args(["backup", "--unencrypted", "--no-content-hash"]);
    command.args(["--deadline", "8s", "--database", &uri, "--to", &to]);
    command.arg("--postgres-bin").arg(&server.bin);
    let ended = tokio::time::timeout(Duration::from_secs(120), command.output());
    let ended = ended.await.expect("it has a deadline").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let told = "DeadlineExceeded: it took longer than 8 s; nothing was committed; --deadline allows it more";
    assert!(said.contains(told), "{said}");
}
