//! Several servers behind one address, and one that is slow: what is said is true, and said before the first lock.

use std::sync::Arc;
use std::time::Duration;

use lifeboat::api::Reason;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::pooler::Pooler as Between;
use lifeboat::postgres::{Step, preflight};
use lifeboat::task::Retry;
use lifeboat::work::backup::make;
use rstest::rstest;

use crate::fan::Fan;
use crate::pg::Server;
use crate::poolers::{Pooler, Suite};
use crate::runs::{At, FIRST, plan, tcp};
use crate::standby::{Standby, session, until};

const AT_ONCE: Duration = Duration::ZERO;

/// A primary and a standby that has what it has, both over TCP.
async fn pair() -> (Server, Standby) {
    let settings = [
        "listen_addresses=127.0.0.1",
        "wal_level=replica",
        "max_wal_senders=10",
    ];
    let primary = Server::start(15, &settings);
    primary
        .sql("postgres", "CREATE TABLE t AS SELECT 1 AS a")
        .await;
    let standby = Standby::of(&primary);
    let there = session(&standby.target(primary.target("postgres"))).await;
    until(&there, "SELECT to_regclass('t') IS NOT NULL").await;
    (primary, standby)
}

/// The sentence, and whether a table was locked before it was said.
async fn refused(server: &Server, port: u16) -> (String, bool) {
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let plan = plan(tcp(server, "postgres", port), 15, store, FIRST, &scratch);
    let locked = At::new(Step::Locked, || async {});
    let error = make(&plan, &locked).await.unwrap_err();
    assert_eq!(error.reason(), Reason::SeveralServers, "{error}");
    assert_eq!(error.retry(), Retry::Later);
    (error.to_string(), locked.seen())
}

/// A proxy gives each connection to the next server, or to the other one from some connection on.
#[tokio::test(flavor = "multi_thread")]
async fn several_servers_behind_one_address_are_named_before_the_first_lock() {
    let (primary, standby) = pair().await;
    let (first, second) = (primary.port, standby.port);
    // Three and one with options look, then come the coordinator, its monitor, pg_dump.
    for other in [1, 4, 5] {
        let fan = Fan::new(move |at| ([first, second][usize::from(at == other)], AT_ONCE)).await;
        let (said, locked) = refused(&primary, fan.port).await;
        assert!(!locked, "after {other}: {said}");
        for told in [
            format!("several servers answer behind 127.0.0.1:{}: ", fan.port),
            format!("a primary at 127.0.0.1:{first} (started 20"),
            format!("a standby at 127.0.0.1:{second} (started 20"),
        ] {
            assert!(said.contains(&told), "{told}: {said}");
        }
    }
    // pg_dump alone elsewhere.
    let fan = Fan::new(move |at| ([first, second][usize::from(at == 6)], AT_ONCE)).await;
    let (said, _) = refused(&primary, fan.port).await;
    assert!(said.contains("another server than the one"), "{said}");
    // In turn, as a proxy does it.
    let fan = Fan::new(move |at| ([first, second][at % 2], AT_ONCE)).await;
    let (_, locked) = refused(&primary, fan.port).await;
    assert!(!locked);
    // And all to the standby.
    let fan = Fan::new(move |_| (second, AT_ONCE)).await;
    let target = tcp(&primary, "postgres", fan.port);
    assert!(preflight(&target, "x").await.unwrap().in_recovery);
}

/// pgpool-II sends reads to the standby, and what may write to the primary.
#[rstest]
#[case(Suite::Bookworm)]
#[case(Suite::Forky)]
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_sends_reads_elsewhere_is_named_before_the_first_lock(#[case] suite: Suite) {
    let (primary, standby) = pair().await;
    let servers = [primary.port, standby.port];
    for more in [
        "load_balance_mode = on\nbackend_weight0 = 0",
        "load_balance_mode = on\nstatement_level_load_balance = on",
    ] {
        let pool = Pooler::pgpool(suite, &servers, 10, more).await;
        let (said, locked) = refused(&primary, pool.port).await;
        assert!(!locked, "{more}: {said}");
        let told = format!("a standby at 127.0.0.1:{}", standby.port);
        assert!(said.contains(&told), "{more}: {said}");
    }
    let pool = Pooler::pgpool(suite, &servers, 10, "load_balance_mode = off").await;
    let target = tcp(&primary, "postgres", pool.port);
    let found = preflight(&target, "x").await.unwrap();
    assert_eq!(found.pooler, Between::None);
}

/// Time alone tells nothing: a connection that comes late is one, and one that does not come is late.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_is_no_pooler() {
    let server = Server::start(17, &["listen_addresses=127.0.0.1"]);
    let port = server.port;
    let late = |seconds: u64| {
        Fan::new(move |at| (port, Duration::from_secs(if at == 1 { seconds } else { 0 })))
    };
    let (fan, never) = tokio::join!(late(4), late(3_600));
    let (slow, silent) = (
        tcp(&server, "postgres", fan.port),
        tcp(&server, "postgres", never.port),
    );
    let (slow, silent) = tokio::join!(preflight(&slow, "x"), preflight(&silent, "x"));
    assert_eq!(slow.unwrap().pooler, Between::None);
    let error = silent.unwrap_err();
    assert_eq!(error.reason(), Reason::ConnectTimeout, "{error}");
    assert_eq!(error.retry(), Retry::Later);
    let told = "did not answer within 10 s on connection 2 of the 3 that are needed at once";
    assert!(error.to_string().contains(told), "{error}");
}
