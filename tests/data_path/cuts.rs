//! Lines that break: to the store at a byte or a message, to the server while it is dumped.

use std::sync::Arc;
use std::time::Duration;

use lifeboat::api::Reason;
use lifeboat::manifest::Manifest;
use lifeboat::objects::{Flaky, Operation};
use lifeboat::postgres::{Observer, Silent, Step};
use lifeboat::task::{Retry, StoreTask};
use lifeboat::work::backup::{Plan, make};
use lifeboat::work::failure::Failure;
use rstest::rstest;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::minio::{self, Minio, PASSWORD, USER};
use crate::pg::Server;
use crate::proxy::{Proxy, Rule, Way};
use crate::runs::{
    APPLICATION, At, FIRST, SECOND, direct, fill, identity, manifest, names, plan, store, tcp,
    until,
};

/// A server with 12 MiB that do not compress, a store, and a proxy before each.
struct Stage {
    server: Server,
    minio: Minio,
    to_store: Proxy,
    to_server: Proxy,
    scratch: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let (server, minio) = (
            Server::start(17, &["listen_addresses=127.0.0.1"]),
            minio::start().await,
        );
        fill(&server, "postgres", 12).await;
        Self {
            to_store: Proxy::before(minio.port()).await,
            to_server: Proxy::before(server.port).await,
            scratch: tempfile::tempdir().unwrap(),
            server,
            minio,
        }
    }

    /// Counts the calls of a run; `pod_uid` says which.
    fn plan(&self, pod_uid: &str) -> (Plan, Arc<Flaky>) {
        let through = StoreTask {
            endpoint: Some(format!("http://127.0.0.1:{}", self.to_store.port)),
            ..self.minio.task(USER, PASSWORD)
        };
        let counted = Arc::new(Flaky::new(store(&through), vec![]));
        let target = tcp(&self.server, "postgres", self.to_server.port);
        let plan = plan(target, 17, counted.clone(), pod_uid, &self.scratch);
        (plan, counted)
    }

    async fn left(&self, pod_uid: &str) -> Option<Manifest> {
        manifest(direct(&self.minio).as_ref(), &identity(pod_uid).prefix()).await
    }

    async fn open_uploads(&self, pod_uid: &str) -> usize {
        let key = format!("{}/dump.pgc", identity(pod_uid).prefix());
        self.minio.open_uploads(&key).await
    }

    /// Once the line is mended another pod makes a whole backup beside what the first left.
    async fn another_pod_succeeds(&self) {
        self.to_store.mend();
        self.to_server.mend();
        let (plan, _) = self.plan(SECOND);
        let made = make(&plan, &Silent).await.unwrap();
        assert_eq!(made.counts.rows, 12 * 128);
        assert_eq!(self.left(SECOND).await, Some(made));
        assert_eq!(self.open_uploads(SECOND).await, 0);
    }

    /// Nothing of ours is left on the server.
    async fn no_session_stays(&self) {
        let sql = format!(
            "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = '{APPLICATION}'"
        );
        until(&self.server, "the end of our sessions", &sql).await;
    }
}

/// The head of the call that completes the dump's upload.
fn complete() -> String {
    format!(
        "POST /shop/{}/{}/dump.pgc?uploadId=",
        minio::PREFIX,
        identity(FIRST).prefix()
    )
}

#[rstest]
#[case::during_the_first_part("partNumber=1&", 1_000_000)]
#[case::during_a_later_part("partNumber=2&", 2_000_000)]
#[case::at_the_last_part("partNumber=3&", 0)]
#[case::at_completing(&complete(), 0)]
#[tokio::test(flavor = "multi_thread")]
async fn p1_an_upload_that_is_cut_again_and_again_is_aborted_and_leaves_no_manifest(
    #[case] said: &str,
    #[case] after: u64,
) {
    let stage = Stage::set().await;
    let (plan, calls) = stage.plan(FIRST);
    stage.to_store.set(Rule::cut_at(said).after(after));
    let failure = make(&plan, &Silent).await.unwrap_err();
    assert_eq!(
        (failure.reason(), failure.retry()),
        (Reason::StoreUnreachable, Retry::Later),
        "{failure}"
    );
    let strikes = stage.to_store.strikes();
    assert!(
        (3..60).contains(&strikes),
        "it is tried again, and not for ever: {strikes}"
    );
    assert_eq!(stage.left(FIRST).await, None);
    assert_eq!(
        (calls.calls(Operation::Begin), calls.calls(Operation::Abort)),
        (1, 1)
    );
    assert_eq!(stage.open_uploads(FIRST).await, 0, "the upload stays open");
    stage.no_session_stays().await;
    stage.another_pod_succeeds().await;
}

#[rstest]
#[case::before_anything(0)]
#[case::in_the_first_part(1_000_000)]
#[case::in_a_later_part(8_000_000)]
#[tokio::test(flavor = "multi_thread")]
async fn p1_a_store_that_goes_away_for_good_leaves_no_manifest(#[case] after: u64) {
    let stage = Stage::set().await;
    let (plan, _) = stage.plan(FIRST);
    stage.to_store.set(Rule::cut_at("").after(after));
    let failure = make(&plan, &Silent).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::StoreUnreachable, "{failure}");
    assert_eq!(stage.left(FIRST).await, None);
    stage.no_session_stays().await;
    stage.another_pod_succeeds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_manifest_that_does_not_arrive_is_no_backup_whatever_else_lies_there() {
    let stage = Stage::set().await;
    let (plan, _) = stage.plan(FIRST);
    stage.to_store.set(Rule::cut_at("manifest.json"));
    let failure = make(&plan, &Silent).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::StoreUnreachable, "{failure}");
    assert_eq!(stage.left(FIRST).await, None);
    let there = names(direct(&stage.minio).as_ref(), &identity(FIRST).prefix()).await;
    assert_eq!(there, ["contents.json.zst", "dump.pgc", "globals.sql.zst"]);
    assert_eq!(stage.open_uploads(FIRST).await, 0);
    stage.another_pod_succeeds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p13_a_manifest_whose_answers_are_all_lost_is_whole_and_yet_not_called_good() {
    let stage = Stage::set().await;
    let (plan, _) = stage.plan(FIRST);
    stage.to_store.set(Rule::cut_answer_to("manifest.json"));
    let failure = make(&plan, &Silent).await.unwrap_err();
    assert_eq!(failure.retry(), Retry::Later, "{failure}");
    assert_eq!(failure.reason(), Reason::StoreUnreachable, "{failure}");
    let whole = stage.left(FIRST).await.unwrap();
    assert_eq!(whole.counts.rows, 12 * 128);
    stage.another_pod_succeeds().await;
}

#[rstest]
#[case::of_the_first_part(Rule::cut_at("partNumber=1&").after(1_000_000))]
#[case::of_the_answer_to_a_part(Rule::cut_answer_to("partNumber=2&"))]
#[case::of_the_answer_to_completing(Rule::cut_answer_to(&complete()))]
#[case::of_the_manifest(Rule::cut_at("manifest.json"))]
#[case::of_the_answer_to_the_manifest(Rule::cut_answer_to("manifest.json"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_line_to_the_store_that_breaks_once_is_mended_by_trying_again(#[case] rule: Rule) {
    let stage = Stage::set().await;
    let (plan, _) = stage.plan(FIRST);
    stage.to_store.set(rule.once());
    let made = make(&plan, &Silent).await.unwrap();
    assert_eq!(stage.to_store.strikes(), 1);
    assert_eq!(stage.left(FIRST).await, Some(made));
    assert_eq!(stage.open_uploads(FIRST).await, 0);
}

/// A run that fails in the middle of the dump, after parts of it were stored.
async fn fails_without_a_trace(stage: &Stage, observer: &dyn Observer) -> Failure {
    let (plan, calls) = stage.plan(FIRST);
    let failure = make(&plan, observer).await.unwrap_err();
    assert_eq!(failure.retry(), Retry::Later, "{failure}");
    assert_eq!(stage.left(FIRST).await, None, "{failure}");
    assert_eq!(stage.open_uploads(FIRST).await, 0);
    assert_eq!(
        calls.calls(Operation::Begin),
        calls.calls(Operation::Abort),
        "what was begun is aborted"
    );
    assert_eq!(calls.calls(Operation::Complete), 0);
    stage.no_session_stays().await;
    failure
}

/// What pg_dump alone says, once, on its own line, before it takes our snapshot.
const PG_DUMP: &str = "REPEATABLE READ, READ ONLY";
/// What the coordinator alone says.
const COORDINATOR: &str = "pg_snapshot_xip";

#[rstest]
#[case::before_its_first_row(0)]
#[case::in_the_midst_of_its_rows(16_000_000)]
#[tokio::test(flavor = "multi_thread")]
async fn g3_a_pg_dump_whose_line_is_cut_leaves_nothing(#[case] after: u64) {
    let stage = Stage::set().await;
    let mut rule = Rule::cut_at(PG_DUMP).after(after);
    rule.way = Way::Down;
    stage.to_server.set(rule);
    let failure = fails_without_a_trace(&stage, &Silent).await;
    assert_eq!(failure.reason(), Reason::DumpFailed, "{failure}");
    assert_eq!(stage.to_server.strikes(), 1);
    stage.another_pod_succeeds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_a_pg_dump_that_the_server_ends_leaves_nothing() {
    let stage = Stage::set().await;
    // pg_dump waits for us at this byte until its session was ended.
    let mut rule = Rule::cut_at(PG_DUMP).after(16_000_000).hang();
    rule.way = Way::Down;
    stage.to_server.set(rule);
    let (to_server, server) = (&stage.to_server, &stage.server);
    let ended = async {
        to_server.struck().await;
        // As pg_dump writes it: the coordinator hashes beside it.
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = '{APPLICATION}' AND query LIKE 'COPY %TO stdout;'"
        );
        server.sql("postgres", &sql).await;
        // What was under way is lost with the session: the line ends here.
        assert_eq!(to_server.cut(PG_DUMP), 1);
    };
    let (failure, ()) = tokio::join!(fails_without_a_trace(&stage, &Silent), ended);
    assert_eq!(failure.reason(), Reason::DumpFailed, "{failure}");
    stage.another_pod_succeeds().await;
}

/// A failed run ends, though the coordinator still has rows to send that nobody reads any more.
#[tokio::test(flavor = "multi_thread")]
async fn g2_a_failed_run_does_not_wait_for_a_coordinator_that_is_busy() {
    let stage = Stage::set().await;
    let mut rule = Rule::cut_at(COORDINATOR).after(1_000_000).hang();
    rule.way = Way::Down;
    stage.to_server.set(rule);
    let (plan, _) = stage.plan(FIRST);
    let ended = async {
        stage.to_server.struck().await;
        // Once it is there.
        while stage.to_server.cut(PG_DUMP) == 0 {
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(make(&plan, &Silent), ended) };
    let both = tokio::time::timeout(Duration::from_secs(60), both).await;
    let (run, ()) = both.expect("it waits");
    let failure = run.unwrap_err();
    assert_eq!(failure.reason(), Reason::DumpFailed, "{failure}");
    assert_eq!(stage.left(FIRST).await, None);
    assert_eq!(stage.open_uploads(FIRST).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_a_coordinator_whose_line_is_cut_makes_the_whole_run_count_for_nothing() {
    let stage = Stage::set().await;
    let to_server = &stage.to_server;
    let observer = At::new(Step::DumpStarted, || async {
        assert_eq!(to_server.cut(COORDINATOR), 1);
    });
    let failure = fails_without_a_trace(&stage, &observer).await;
    assert_eq!(failure.reason(), Reason::LostLocks, "{failure}");
    assert!(observer.seen());
    stage.another_pod_succeeds().await;
}

#[rstest]
#[case::while_pg_dump_runs(Step::DumpStarted)]
#[case::when_it_has_ended(Step::DumpEnded)]
#[tokio::test(flavor = "multi_thread")]
async fn g2_a_coordinator_that_is_killed_makes_the_whole_run_count_for_nothing(#[case] step: Step) {
    let stage = Stage::set().await;
    let server = &stage.server;
    let pid = Mutex::new(0);
    let (pid, idle) = (
        &pid,
        format!(
            "SELECT pid FROM pg_stat_activity WHERE application_name = '{APPLICATION}' \
             AND state = 'idle in transaction'"
        ),
    );
    let first = At::new(Step::Relisted, || async {
        // Only the coordinator is in a transaction yet.
        let session = server.session("postgres").await;
        *pid.lock().await = session.client.query_one(&idle, &[]).await.unwrap().get(0);
    });
    let then = At::new(step, || async {
        let pid: i32 = *pid.lock().await;
        let gone = format!("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = {pid}");
        server
            .sql("postgres", &format!("SELECT pg_terminate_backend({pid})"))
            .await;
        until(server, "the coordinator's end", &gone).await;
    });
    let both = Both(&first, &then);
    let (plan, _) = stage.plan(FIRST);
    let failure = make(&plan, &both).await.unwrap_err();
    assert_eq!(
        (failure.reason(), failure.retry()),
        (Reason::LostLocks, Retry::Later),
        "{failure}"
    );
    assert_eq!(stage.left(FIRST).await, None);
    assert_eq!(stage.open_uploads(FIRST).await, 0);
    stage.no_session_stays().await;
    stage.another_pod_succeeds().await;
}

/// Two observers.
struct Both<'a>(&'a dyn Observer, &'a dyn Observer);

#[async_trait::async_trait]
impl Observer for Both<'_> {
    async fn reached(&self, step: Step) {
        self.0.reached(step).await;
        self.1.reached(step).await;
    }
}
