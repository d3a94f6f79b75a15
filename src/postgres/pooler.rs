//! Is a pooler between us and the server? Found out by behaviour (G12).
//!
//! A pooler in transaction or statement mode takes a client's server process away when the client is idle. It may give the same
//! one back, as long as nobody else wants it; so each of our sessions leaves a mark, is idle while the others are in transactions,
//! and is asked for its mark. How long an answer takes tells nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use tokio_postgres::Client;

use super::at_once::{self, PATIENCE, answered};
use super::connect::{Connection, connect_with};
use super::error::PgError;
use super::names::quote_literal;
use super::servers::{self, Who, row};
use super::session_key;
use super::target::Target;
use crate::api::Reason;

/// A value nobody sets by accident, in milliseconds.
const LOCK_TIMEOUT: &str = "86399123";
/// A setting that means nothing to the server and belongs to the session.
const MARK: &str = "lifeboat.mark";
/// For taking the marks away again, where the sessions are not ours.
const TIDYING: Duration = Duration::from_secs(5);

/// What stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Startup options arrive: nothing, or something that does not show.
    None,
    /// Each client keeps its server process, but startup options do not arrive.
    Session,
}

impl Pooler {
    /// As `status.database.pooler` says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Pooler::None => "None",
            Pooler::Session => "Session",
        }
    }
}

/// What was found.
pub(super) struct Found {
    /// What stands between.
    pub(super) pooler: Pooler,
    /// The server that answers.
    pub(super) server: Who,
    /// One of the sessions, which leads there.
    pub(super) connection: Connection,
}

/// One of our sessions.
struct Session {
    connection: Connection,
    pid: String,
    mark: String,
}

/// What stands between.
///
/// # Errors
/// As [`look`].
pub async fn detect(target: &Target, application_name: &str) -> Result<Pooler, PgError> {
    Ok(look(target, application_name).await?.pooler)
}

/// Opens as many sessions as a backup does, and asks whether each keeps its server process and all lead to one server that shares
/// snapshots. Only simple queries are sent, which any pooler passes on.
///
/// # Errors
/// `TransactionPooler`, `SeveralServers`, `TooManyConnections`, `ConnectTimeout`, and those of connecting.
pub(super) async fn look(target: &Target, application_name: &str) -> Result<Found, PgError> {
    let opened = at_once::open(target, application_name).await?;
    // Before anything is asked: a pooler may log in two clients with one server process.
    let told = opened.iter().map(|c| session_key::process(&c.client));
    let told: Vec<String> = join_all(told)
        .await
        .into_iter()
        .flatten()
        .map(|pid| pid.to_string())
        .collect();
    let (mut sessions, mut server) = (Vec::<Session>::new(), None::<Who>);
    for (at, connection) in opened.into_iter().enumerate() {
        let client = Arc::clone(&connection.client);
        let release = || sessions.pop().map(|session| session.connection);
        let answer = answered(target, at, ask(&client, target), release).await?;
        server
            .get_or_insert_with(|| answer.server.clone())
            .same(&answer.server, target)?;
        let pid = answer.pid;
        let shared = sessions.iter().any(|s| s.pid == pid)
            || told.iter().filter(|told| **told == pid).count() > 1;
        let mark = format!("{application_name}/{at}");
        sessions.push(Session {
            connection,
            pid,
            mark,
        });
        if shared {
            return Err(refuse(target, &client).await);
        }
    }
    if let Err(error) = try_out(target, &sessions).await {
        sweep(&sessions).await;
        return Err(error);
    }
    let clients: Vec<&Client> = sessions.iter().map(|s| &*s.connection.client).collect();
    if let Some((exporter, importers)) = clients.split_first() {
        let shared = servers::share_a_snapshot(target, exporter, importers);
        timely(target, shared).await?;
    }
    set_marks(target, &sessions, |_| "").await?;
    sessions.truncate(1);
    let (Some(session), Some(server)) = (sessions.pop(), server) else {
        let text = "no session was opened";
        return Err(PgError::later(Reason::InternalError, text));
    };
    let arrive = options_arrive(target, application_name).await?;
    Ok(Found {
        pooler: match arrive {
            true => Pooler::None,
            false => Pooler::Session,
        },
        server,
        connection: session.connection,
    })
}

/// Each session in turn is idle while the others are in transactions.
async fn try_out(target: &Target, sessions: &[Session]) -> Result<(), PgError> {
    set_marks(target, sessions, |session| &session.mark).await?;
    for idle in 0..sessions.len() {
        let others = || {
            let all = sessions.iter().enumerate();
            all.filter(move |(at, _)| *at != idle).map(|(_, s)| s)
        };
        let begin = try_join_all(others().map(|s| s.connection.client.batch_execute("BEGIN")));
        let begin = async { Ok(begin.await) };
        if let Err(error) = timely(target, begin).await? {
            return Err(match says_statement(&error) {
                true => named(target, "statement mode", "it knows no transactions"),
                false => PgError::query("begin a transaction", &error),
            });
        }
        let answers = try_join_all(sessions.iter().map(|s| ask(&s.connection.client, target)));
        for (session, answer) in sessions.iter().zip(timely(target, answers).await?) {
            if answer.pid != session.pid {
                let why = "the server process changes between statements";
                return Err(named(target, MODES, why));
            }
            if answer.mark.as_ref() != Some(&session.mark) {
                let why = "what a session sets does not stay with it";
                return Err(named(target, MODES, why));
            }
        }
        let end = try_join_all(others().map(|s| row(&s.connection.client, "ROLLBACK")));
        timely(target, end).await?;
    }
    Ok(())
}

async fn set_marks(
    target: &Target,
    sessions: &[Session],
    mark: impl Fn(&Session) -> &str,
) -> Result<(), PgError> {
    let all = sessions.iter().map(|session| async {
        let sql = set_mark(mark(session));
        row(&session.connection.client, &sql).await
    });
    timely(target, try_join_all(all)).await.map(|_| ())
}

fn set_mark(mark: &str) -> String {
    let mark = quote_literal(mark);
    format!("SELECT pg_catalog.set_config('{MARK}', {mark}, false)")
}

/// Who answers in a session.
struct Answer {
    server: Who,
    pid: String,
    mark: Option<String>,
}

async fn ask(client: &Client, target: &Target) -> Result<Answer, PgError> {
    let more = format!(", pg_catalog.pg_backend_pid(), pg_catalog.current_setting('{MARK}', true)");
    let (server, full) = servers::ask(client, &more, target).await?;
    let mut more = full.into_iter().skip(4);
    Ok(Answer {
        server,
        pid: more.next().flatten().unwrap_or_default(),
        mark: more.next().flatten(),
    })
}

async fn timely<T>(
    target: &Target,
    answer: impl Future<Output = Result<T, PgError>>,
) -> Result<T, PgError> {
    let late = |_| at_once::late(target, 0);
    tokio::time::timeout(PATIENCE, answer).await.map_err(late)?
}

/// What cannot be told apart by what it does.
const MODES: &str = "transaction or statement mode";

fn named(target: &Target, mode: &str, why: &str) -> PgError {
    PgError::never(
        Reason::TransactionPooler,
        format!(
            "a pooler in {mode} stands at {}:{} ({why}): a backup needs sessions of its own; give the server itself, \
             or a pool in session mode",
            target.host, target.port
        ),
    )
}

/// Asks a pooler that shares server processes for its mode, which PgBouncer tells, and refuses it.
async fn refuse(target: &Target, client: &Client) -> PgError {
    let asked = tokio::time::timeout(TIDYING, client.batch_execute("BEGIN")).await;
    let mode = match asked {
        Ok(Err(error)) if says_statement(&error) => "statement mode",
        _ => MODES,
    };
    let _ = tokio::time::timeout(TIDYING, client.batch_execute("ROLLBACK")).await;
    named(target, mode, "two clients share one server process")
}

fn says_statement(error: &tokio_postgres::Error) -> bool {
    let said = error.as_db_error();
    said.is_some_and(|said| said.message().contains("statement pooling"))
}

/// Takes our marks away where sessions are not ours: all are in transactions meanwhile, so each has a server process of its own,
/// and those are most likely the ones that were marked. A mark that stays behind means nothing to anybody.
async fn sweep(sessions: &[Session]) {
    let unmark = set_mark("");
    let all = async {
        for sql in ["ROLLBACK", "BEGIN", &unmark, "COMMIT"] {
            let clients = sessions.iter().map(|s| &s.connection.client);
            join_all(clients.map(|client| client.batch_execute(sql))).await;
        }
    };
    let _ = tokio::time::timeout(TIDYING, all).await;
}

/// Whether settings that are given at login arrive. Poolers refuse them or drop them.
async fn options_arrive(target: &Target, application_name: &str) -> Result<bool, PgError> {
    let options = format!("-c lock_timeout={LOCK_TIMEOUT}");
    let connection = match connect_with(target, application_name, Some(&options)).await {
        Ok(connection) => connection,
        // Refused for what it asks, or for another reason? That shows without.
        Err(error) if error.reason() == Reason::ConnectTimeout => return Err(error),
        Err(_) => {
            connect_with(target, application_name, None).await?;
            return Ok(false);
        }
    };
    let sql = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'";
    let found = timely(target, row(&connection.client, sql)).await?;
    Ok(found.first().cloned().flatten().as_deref() == Some(LOCK_TIMEOUT))
}
