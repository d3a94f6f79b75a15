//! Real poolers in every mode, with pools of one to three (G12): a session that is ours alone passes, what is given to others
//! between transactions or statements is refused, and a pool that is too small says how small it is.

use std::sync::Arc;

use futures::future::join_all;
use lifeboat::api::Reason;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::{Connection, Silent, connect, preflight};
use lifeboat::task::Retry;
use lifeboat::work::backup::make;
use rstest::rstest;

use crate::pg::Server;
use crate::poolers::{Pooler, Suite};
use crate::runs::{FIRST, plan, tcp};

/// What the look at a pooler finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Refused,
    Named(&'static str),
    TooFew(usize),
    Session,
    None,
}

async fn server() -> Server {
    let settings = ["listen_addresses=127.0.0.1", "max_connections=200"];
    let server = Server::start(15, &settings);
    server
        .sql("postgres", "CREATE TABLE t AS SELECT 1 AS a")
        .await;
    server
}

async fn check(server: &Server, pooler: &Pooler, want: Seen) -> Result<(), String> {
    let target = tcp(server, "postgres", pooler.port);
    let error = match (preflight(&target, "lifeboat/modes").await, want) {
        (Ok(found), Seen::Session | Seen::None) => {
            let want = format!("{want:?}");
            return match found.facts.pooler.as_ref() == Some(&want) {
                true => backs_up(server, pooler).await,
                false => Err(format!("{:?}", found.pooler)),
            };
        }
        (Ok(found), _) => return Err(format!("passed as {:?}", found.pooler)),
        (Err(error), _) => error,
    };
    let (reason, retry, words) = match want {
        Seen::TooFew(got) => (
            Reason::TooManyConnections,
            Retry::Later,
            format!("gave {got} of the 3"),
        ),
        Seen::Named(mode) => (Reason::TransactionPooler, Retry::Never, mode.to_owned()),
        _ => (
            Reason::TransactionPooler,
            Retry::Never,
            "session mode".to_owned(),
        ),
    };
    let said = error.to_string();
    match (error.reason(), error.retry()) == (reason, retry) && said.contains(&words) {
        true => Ok(()),
        false => Err(format!("{}: {said}", error.reason())),
    }
}

async fn backs_up(server: &Server, pooler: &Pooler) -> Result<(), String> {
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let target = tcp(server, "postgres", pooler.port);
    let mut plan = plan(target, 15, store, FIRST, &scratch);
    // Many run at once here, and a run knows its sessions by this name.
    plan.application_name = format!("lifeboat/modes/{}", pooler.port);
    let made = make(&plan, &Silent).await;
    made.map(|_| ()).map_err(|e| format!("no backup: {e}"))
}

/// Looks at all of them at once; each with a name.
async fn all(server: &Server, cases: Vec<(String, Pooler, Seen)>) {
    let looks = cases.iter().map(|(name, pooler, want)| async move {
        let error = check(server, pooler, *want).await.err()?;
        Some(format!("{name}, for {want:?}: {error}\n{}", pooler.log()))
    });
    let wrong: Vec<String> = join_all(looks).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn of_size(size: usize, seen: Seen) -> Seen {
    match size {
        1 | 2 => Seen::TooFew(size),
        _ => seen,
    }
}

#[rstest]
#[case(Suite::Bookworm)]
#[case(Suite::Forky)]
#[tokio::test(flavor = "multi_thread")]
async fn g12_pgbouncer_is_told_by_its_mode_and_its_pool(#[case] suite: Suite) {
    let server = server().await;
    let mut cases = vec![];
    for size in 1..=3 {
        let statement = Seen::Named("a pooler in statement mode");
        for (mode, want) in [
            ("session", of_size(size, Seen::Session)),
            ("transaction", Seen::Refused),
            ("statement", statement),
        ] {
            let more = format!("default_pool_size={size}");
            let pooler = Pooler::pgbouncer(suite, server.port, mode, &more).await;
            cases.push((format!("{mode} {size}"), pooler, want));
        }
    }
    for more in [
        "server_round_robin=1\nmin_pool_size=8",
        "server_reset_query_always=1",
        "max_prepared_statements=200",
        "ignore_startup_parameters=options",
    ] {
        if more.contains("prepared") && matches!(suite, Suite::Bookworm) {
            continue;
        }
        let pooler = Pooler::pgbouncer(suite, server.port, "transaction", more).await;
        cases.push((format!("transaction {more}"), pooler, Seen::Refused));
        let pooler = Pooler::pgbouncer(suite, server.port, "session", more).await;
        cases.push((format!("session {more}"), pooler, Seen::Session));
    }
    all(&server, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_odyssey_is_told_though_it_likes_to_give_a_client_its_own_server_back() {
    let server = server().await;
    let mut cases = vec![];
    for size in [1, 2, 3, 10] {
        for (mode, want) in [
            ("session", of_size(size, Seen::None)),
            ("transaction", Seen::Refused),
            ("statement", Seen::Refused),
        ] {
            let pooler = Pooler::odyssey(server.port, mode, size, "").await;
            cases.push((format!("{mode} {size}"), pooler, want));
            if mode != "session" {
                let pooler = Pooler::odyssey(server.port, mode, size, "pool_discard no").await;
                cases.push((format!("{mode} {size} kept"), pooler, want));
            }
        }
    }
    all(&server, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g12_pgpool_keeps_sessions_apart() {
    let server = server().await;
    let mut cases = vec![];
    for places in [1, 2, 3, 10] {
        let pooler = Pooler::pgpool(Suite::Forky, &[server.port], places, "").await;
        cases.push((format!("{places}"), pooler, of_size(places, Seen::None)));
    }
    all(&server, cases).await;
}

/// Where nobody sweeps after a client, the next one finds nothing of ours.
#[tokio::test(flavor = "multi_thread")]
async fn g12_no_mark_stays_in_a_pool() {
    let server = server().await;
    let pooler = Pooler::odyssey(server.port, "transaction", 3, "pool_discard no").await;
    let target = tcp(&server, "postgres", pooler.port);
    let _ = preflight(&target, "lifeboat/modes").await;
    let mut kept: Vec<Connection> = vec![];
    for _ in 0..3 {
        let connection = connect(&target, "test").await.unwrap();
        connection.client.batch_execute("BEGIN").await.unwrap();
        let asked = "SELECT coalesce(current_setting('lifeboat.mark', true), '')";
        let row = connection.client.query_one(asked, &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), "");
        kept.push(connection);
    }
}

/// A limit of the role says the same as a small pool, at a shell, too; and three are enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_two_connections_is_told_before_any_lock() {
    let server = server().await;
    let role = "CREATE ROLE reader LOGIN CONNECTION LIMIT 2; GRANT pg_read_all_data TO reader";
    server.sql("postgres", role).await;
    let mut target = server.target("postgres");
    "reader".clone_into(&mut target.user);
    let place = tempfile::tempdir().unwrap();
    let uri = format!(
        "postgresql:///postgres?host={}&port={}&user=reader&sslmode=disable",
        server.dir.path().display(),
        server.port
    );
    let backup = || {
        let to = format!("file://{}", place.path().display());
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(["backup", "--unencrypted", "--database", &uri, "--to", &to]);
        command
            .arg("--postgres-bin")
            .arg(&server.bin)
            .output()
            .unwrap()
    };
    let error = preflight(&target, "lifeboat/modes").await.unwrap_err();
    let at_a_shell = backup();
    let at_a_shell = String::from_utf8_lossy(&at_a_shell.stderr).into_owned();
    for said in [format!("{}: {error}", error.reason()), at_a_shell.clone()] {
        for told in [
            "TooManyConnections: ",
            "gave 2 of the 3 connections",
            "too many connections for role \"reader\"",
            "CONNECTION LIMIT",
        ] {
            assert!(said.contains(told), "{told}: {said}");
        }
    }
    server
        .sql("postgres", "ALTER ROLE reader CONNECTION LIMIT 3")
        .await;
    let made = backup();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}
