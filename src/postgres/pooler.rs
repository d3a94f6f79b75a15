//! Is a pooler between us and the server? Found out by behaviour (G12).

use std::time::{Duration, Instant};

use tokio_postgres::{Client, SimpleQueryMessage};

use super::connect::{connect, connect_with};
use super::error::PgError;
use super::target::Target;
use crate::api::Reason;

const ROUNDS: usize = 5;
/// How long a client may at least be kept waiting by another's transaction.
const BLOCKED: Duration = Duration::from_secs(3);
/// And at least so many times what the first took: a pod with little of a processor, or a long way, is no pooler.
const TIMES: u32 = 6;
/// A value nobody sets by accident, in milliseconds.
const MARK: &str = "86399123";

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

/// Asks two connections in turn for their server process: two clients with one process, a process
/// that changes, or a client that must wait, and it is a transaction pooler. Only simple queries
/// are sent, which any pooler passes on.
///
/// # Errors
/// `TransactionPooler`, and those of connecting.
pub async fn detect(target: &Target, application_name: &str) -> Result<Pooler, PgError> {
    let refuse = |what: &str| {
        PgError::never(
            Reason::TransactionPooler,
            format!(
                "a pooler in transaction mode stands at {}:{} ({what}): a backup needs one session; give the server itself, \
                 or a pool in session mode",
                target.host, target.port
            ),
        )
    };
    let began = Instant::now();
    let a = connect(target, application_name).await?;
    let first = pid(&a.client).await?;
    let blocked = BLOCKED.max(began.elapsed() * TIMES);
    let b = tokio::time::timeout(blocked, connect(target, application_name));
    let b = b.await.map_err(|_| refuse("a second client must wait"))??;
    for _ in 0..ROUNDS {
        let round = async {
            b.client
                .batch_execute("BEGIN")
                .await
                .map_err(|e| PgError::query("begin a transaction", &e))?;
            let other = pid(&b.client).await?;
            let again = tokio::time::timeout(blocked, pid(&a.client)).await;
            b.client
                .batch_execute("ROLLBACK")
                .await
                .map_err(|e| PgError::query("end a transaction", &e))?;
            Ok::<_, PgError>((other, again))
        };
        let (other, again) = tokio::time::timeout(3 * blocked, round)
            .await
            .map_err(|_| refuse("a second client must wait"))??;
        let again = again.map_err(|_| refuse("one client waits for another's transaction"))??;
        if other == first || again == other {
            return Err(refuse("two clients share one server process"));
        }
        if again != first {
            return Err(refuse("the server process changes between statements"));
        }
    }
    drop((a, b));
    Ok(if options_arrive(target, application_name).await {
        Pooler::None
    } else {
        Pooler::Session
    })
}

async fn options_arrive(target: &Target, application_name: &str) -> bool {
    let options = format!("-c lock_timeout={MARK}");
    let Ok(connection) = connect_with(target, application_name, Some(&options)).await else {
        return false;
    };
    let sql = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'";
    matches!(value(&connection.client, sql).await, Ok(Some(found)) if found == MARK)
}

async fn pid(client: &Client) -> Result<String, PgError> {
    let pid = value(client, "SELECT pg_catalog.pg_backend_pid()").await?;
    Ok(pid.unwrap_or_default())
}

async fn value(client: &Client, sql: &str) -> Result<Option<String>, PgError> {
    let messages = client
        .simple_query(sql)
        .await
        .map_err(|e| PgError::query("ask for the server process", &e))?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
