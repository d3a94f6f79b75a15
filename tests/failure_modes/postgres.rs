//! PostgreSQL: each failure of the list is provoked on a real server, and what is made of it is held against the page.

use std::net::TcpListener;

use lifeboat::api::Reason;
use lifeboat::api::backup_policy::TlsMode;
use lifeboat::postgres::{Contention, Coordinator, LockPatience, PgError, Silent, Target, connect};

use crate::pg::Server;
use crate::standby::{Standby, session, until};
use crate::{line, page_has};

/// How a failure comes about.
enum Cause {
    /// The server says this, with this SQLSTATE.
    Said(&'static str, &'static str),
    /// It refuses a connection to what this makes of a good target.
    Connecting(fn(Target) -> Target),
}

struct Row {
    when: &'static str,
    cause: Cause,
    sqlstate: &'static str,
    reason: Reason,
    says: &'static str,
}

fn said(
    when: &'static str,
    sqlstate: &'static str,
    message: &'static str,
    reason: Reason,
    says: &'static str,
) -> Row {
    Row {
        when,
        cause: Cause::Said(sqlstate, message),
        sqlstate,
        reason,
        says,
    }
}

fn connecting(
    when: &'static str,
    sqlstate: &'static str,
    to: fn(Target) -> Target,
    reason: Reason,
    says: &'static str,
) -> Row {
    Row {
        when,
        cause: Cause::Connecting(to),
        sqlstate,
        reason,
        says,
    }
}

fn rows() -> Vec<Row> {
    vec![
        connecting(
            "nothing listens",
            "",
            |target| Target {
                port: TcpListener::bind("127.0.0.1:0")
                    .unwrap()
                    .local_addr()
                    .unwrap()
                    .port(),
                ..target
            },
            Reason::ConnectionRefused,
            "HOST:PORT refuses connections (Connection refused (os error 111))",
        ),
        connecting(
            "the server has no TLS",
            "",
            |target| Target {
                tls: TlsMode::Require,
                ..target
            },
            Reason::ServerHasNoTls,
            "HOST:PORT offers no TLS: switch it on there (ssl = on), or set tls.mode Disable (sslmode=disable) if the network is \
             trusted",
        ),
        connecting(
            "no such role",
            "28000",
            |target| Target {
                user: "nobody".into(),
                ..target
            },
            Reason::AuthenticationFailed,
            "the server refused the connection to HOST:PORT/postgres as nobody: role \"nobody\" does not exist",
        ),
        connecting(
            "no such database",
            "3D000",
            |target| Target {
                dbname: "nowhere".into(),
                ..target
            },
            Reason::DatabaseNotFound,
            "the server refused the connection to HOST:PORT/nowhere as postgres: database \"nowhere\" does not exist",
        ),
        connecting(
            "the role's connections are used up",
            "53300",
            |target| Target {
                user: "few".into(),
                ..target
            },
            Reason::TooManyConnections,
            "the server refused the connection to HOST:PORT/postgres as few: too many connections for role \"few\"",
        ),
        said(
            "the role may not read a table",
            "42501",
            "permission denied for table orders",
            Reason::PermissionDenied,
            "failed to read rows: permission denied for table orders",
        ),
        said(
            "a lock was not had in time",
            "55P03",
            "canceling statement due to lock timeout",
            Reason::LockTimeout,
            "failed to read rows: canceling statement due to lock timeout",
        ),
        said(
            "a deadlock",
            "40P01",
            "deadlock detected",
            Reason::LockTimeout,
            "failed to read rows: deadlock detected",
        ),
        said(
            "a standby had to replay what was in the way",
            "40001",
            "canceling statement due to conflict with recovery",
            Reason::RecoveryConflict,
            "failed to read rows: the standby's replay had to remove what was still read: set hot_standby_feedback = on there, or \
             a longer max_standby_streaming_delay, or back up the primary; the server said: canceling statement due to conflict \
             with recovery",
        ),
        said(
            "a pooler in statement mode",
            "08P01",
            "transaction blocks not allowed in statement pooling mode",
            Reason::TransactionPooler,
            "failed to read rows: a pooler in statement mode stands between, and a backup needs one session: give the server \
             itself, or a pool in session mode; the server said: transaction blocks not allowed in statement pooling mode",
        ),
        said(
            "somebody ended the session",
            "57P01",
            "terminating connection due to administrator command",
            Reason::ConnectionLost,
            "failed to read rows: terminating connection due to administrator command",
        ),
        said(
            "the session was idle for too long",
            "25P03",
            "terminating connection due to idle-in-transaction timeout",
            Reason::ConnectionLost,
            "failed to read rows: terminating connection due to idle-in-transaction timeout",
        ),
        said(
            "the server's disk is full",
            "53100",
            "could not write to file \"base/pgsql_tmp/pgsql_tmp1.0\": No space left on device",
            Reason::QueryFailed,
            "failed to read rows: could not write to file \"base/pgsql_tmp/pgsql_tmp1.0\": No space left on device",
        ),
        said(
            "the data is damaged",
            "XX001",
            "invalid page in block 3 of relation base/1/2",
            Reason::QueryFailed,
            "failed to read rows: invalid page in block 3 of relation base/1/2",
        ),
    ]
}

/// The error that becomes of it, of a server that listens on TCP too.
async fn provoked(server: &Server, row: &Row) -> PgError {
    match row.cause {
        Cause::Said(code, message) => {
            let session = server.session("postgres").await;
            let quoted = message.replace('\'', "''");
            let sql = format!(
                "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = '{quoted}'; END $$"
            );
            let error = session.client.batch_execute(&sql).await.unwrap_err();
            PgError::query("read rows", &error)
        }
        Cause::Connecting(to) => {
            let target = Target {
                host: "127.0.0.1".into(),
                ..server.target("postgres")
            };
            connect(&to(target), "test").await.unwrap_err()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_postgresql_says_what_the_page_says() {
    let server = Server::start(17, &["listen_addresses=127.0.0.1"]);
    let few = "CREATE ROLE few LOGIN CONNECTION LIMIT 0";
    server.sql("postgres", few).await;
    let mut lines = vec![line(["when", "SQLSTATE", "reason", "message"])];
    for row in rows() {
        let error = provoked(&server, &row).await;
        let text = error.to_string();
        let port = text.split("127.0.0.1:").nth(1).map(|rest| {
            let digits = rest.chars().take_while(char::is_ascii_digit);
            digits.collect::<String>()
        });
        let text = match port {
            Some(port) => text.replace(&format!("127.0.0.1:{port}"), "HOST:PORT"),
            None => text,
        };
        assert_eq!(text, row.says, "{}", row.when);
        assert_eq!(error.reason(), row.reason, "{text}");
        let reason = format!("`{}`", row.reason);
        lines.push(line([row.when, row.sqlstate, &reason, row.says]));
    }
    page_has("failures of PostgreSQL", &lines);
}

/// A real standby, whose replay ends a statement and a session that does nothing: neither was lost for no reason.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_standbys_replay_ends_is_a_recovery_conflict() {
    let primary = Server::start(17, &["wal_level=replica", "max_wal_senders=10"]);
    let sql = "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE TABLE u (a int); INSERT INTO u VALUES (1)";
    primary.sql("postgres", sql).await;
    let replica = Standby::of(&primary);
    let target = replica.target(primary.target("postgres"));
    let there = session(&target).await;
    until(&there, "SELECT to_regclass('u') IS NOT NULL").await;
    there
        .client
        .batch_execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        .await
        .unwrap();
    let reload = there.client.batch_execute("SELECT pg_reload_conf()");
    reload.await.unwrap();
    until(
        &there,
        "SELECT current_setting('max_standby_streaming_delay') = '0'",
    )
    .await;
    let idle = session(&target).await;
    let begin = "BEGIN; SELECT * FROM t";
    idle.client.batch_execute(begin).await.unwrap();
    let mut contention = Contention::new(LockPatience::default());
    let coordinator = Coordinator::begin(&target, "x", &mut contention, &Silent);
    let coordinator = coordinator.await.unwrap();
    let busy = session(&target).await;
    busy.client.batch_execute("BEGIN").await.unwrap();
    let reads = busy
        .client
        .batch_execute("SELECT pg_sleep(600), a FROM u ORDER BY a");
    let truncate = async {
        until(
            &there,
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'",
        )
        .await;
        primary.sql("postgres", "TRUNCATE t, u").await;
    };
    let (read, ()) = tokio::join!(reads, truncate);
    let error = PgError::query("read rows", &read.unwrap_err());
    assert_eq!(error.reason(), Reason::RecoveryConflict, "{error}");
    let why = error.to_string();
    assert!(why.contains("hot_standby_feedback"), "{why}");
    // A backup's own transaction is no lost one.
    let error = coordinator.prove().await.unwrap_err();
    assert_eq!(error.reason(), Reason::RecoveryConflict, "{error}");
    while !idle.is_closed() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let ended = idle.ended().expect("the server said why");
    assert_eq!(ended.reason(), Reason::RecoveryConflict, "{ended}");
    assert!(
        ended
            .to_string()
            .starts_with("the server ended the session")
    );
}
