//! As many sessions as a backup holds at once: a pool or a limit that is too small is told before the first lock. That something
//! does not answer in time tells nothing of why.

use std::time::Duration;

use super::connect::{CONNECT_TIMEOUT, Connection, attempt};
use super::error::PgError;
use super::target::Target;
use crate::api::Reason;

/// Coordinator, monitor and pg_dump; a migration has as many.
pub(super) const NEEDED: usize = 3;
/// For an answer, before it is asked why there is none.
pub(super) const PATIENCE: Duration = CONNECT_TIMEOUT;
/// For who waited for one of our sessions to end, once it has ended.
const RELEASED: Duration = Duration::from_secs(5);
/// How poolers say that they have no place: PgBouncer, with codes that say something else.
const FULL: [&str; 2] = ["no more connections allowed", "query_wait_timeout"];

/// How often, and after which time, a server that has too many sessions is asked again.
const RECOUNTS: u32 = 10;
const RECOUNT: Duration = Duration::from_millis(100);

/// Connects, however long it takes. A session that was closed just now may still be counted.
pub(super) async fn establish(
    target: &Target,
    name: &str,
    options: Option<&str>,
) -> Result<Connection, PgError> {
    for _ in 0..RECOUNTS {
        match attempt(target, name, options).await {
            Err(error) if error.reason() == Reason::TooManyConnections => {}
            outcome => return outcome,
        }
        tokio::time::sleep(RECOUNT).await;
    }
    attempt(target, name, options).await
}

/// Opens all of them.
///
/// # Errors
/// `TooManyConnections` with numbers; `ConnectTimeout` if one is late; those of connecting.
pub(super) async fn open(target: &Target, name: &str) -> Result<Vec<Connection>, PgError> {
    let mut open = Vec::with_capacity(NEEDED);
    while open.len() < NEEDED {
        let next = establish(target, name, None);
        let next = answered(target, open.len(), next, || open.pop());
        let next = next.await?;
        open.push(next);
    }
    Ok(open)
}

/// Waits for an answer of the session after `held` others. If it is late, `release` ends one of those: who is answered then, and
/// not before, has waited for that.
pub(super) async fn answered<T>(
    target: &Target,
    held: usize,
    answer: impl Future<Output = Result<T, PgError>>,
    release: impl FnOnce() -> Option<Connection>,
) -> Result<T, PgError> {
    tokio::pin!(answer);
    let told = |e: PgError| told(target, held, e);
    if let Ok(outcome) = tokio::time::timeout(PATIENCE, &mut answer).await {
        return outcome.map_err(told);
    }
    if let Some(connection) = release() {
        drop(connection);
        if let Ok(outcome) = tokio::time::timeout(RELEASED, &mut answer).await {
            let waited = format!("connection {} waited until another was closed", held + 1);
            return Err(outcome.map_or_else(told, |_| too_few(target, held, &waited)));
        }
    }
    Err(late(target, held))
}

/// An answer is late, and nobody knows why.
pub(super) fn late(target: &Target, held: usize) -> PgError {
    let which = match held {
        0 => String::new(),
        held => format!(
            " on connection {} of the {NEEDED} that are needed at once",
            held + 1
        ),
    };
    PgError::later(
        Reason::ConnectTimeout,
        format!(
            "{}:{} did not answer within {} s{which}",
            target.host,
            target.port,
            PATIENCE.as_secs()
        ),
    )
}

/// A refusal, with numbers where it is one for their sake.
fn told(target: &Target, held: usize, error: PgError) -> PgError {
    let text = error.to_string();
    let full = FULL.iter().any(|words| text.contains(words));
    match error.reason() {
        Reason::TooManyConnections => too_few(target, held, &text),
        _ if full => too_few(target, held, &text),
        _ => error,
    }
}

fn too_few(target: &Target, got: usize, why: &str) -> PgError {
    PgError::later(
        Reason::TooManyConnections,
        format!(
            "{}:{} gave {got} of the {NEEDED} connections that are needed at once ({why}): allow {NEEDED} beside those of others, in the \
             pooler's pool size, the CONNECTION LIMIT of role and database, or max_connections",
            target.host, target.port
        ),
    )
}
