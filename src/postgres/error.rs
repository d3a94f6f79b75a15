//! What goes wrong with PostgreSQL: one sentence, one reason, and whether trying again can help.

use thiserror::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::api::Reason;
use crate::task::Retry;

/// Longest message in characters.
const MAX_MESSAGE: usize = 1_200;

/// A failure of this room. Its text has passed [`sanitise`]: it may be shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct PgError {
    reason: Reason,
    retry: Retry,
    message: String,
    found_major: Option<i32>,
}

impl PgError {
    /// A failure that only a person can mend.
    #[must_use]
    pub fn never(reason: Reason, message: impl AsRef<str>) -> Self {
        Self::new(reason, Retry::Never, message)
    }

    /// A failure that may pass.
    #[must_use]
    pub fn later(reason: Reason, message: impl AsRef<str>) -> Self {
        Self::new(reason, Retry::Later, message)
    }

    fn new(reason: Reason, retry: Retry, message: impl AsRef<str>) -> Self {
        Self {
            reason,
            retry,
            message: sanitise(message.as_ref()),
            found_major: None,
        }
    }

    /// With the server's major version, so that the operator can take the right image (K20).
    #[must_use]
    pub fn with_major(mut self, major: i32) -> Self {
        self.found_major = Some(major);
        self
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The server's major version, where it is known and matters.
    #[must_use]
    pub fn found_major(&self) -> Option<i32> {
        self.found_major
    }

    /// What the server answered. `text` says what was wanted, without the server's words.
    #[must_use]
    pub fn of_server(text: &str, said: &DbError) -> Self {
        let (reason, retry, what) = meaning(said);
        let detail = said.detail().map(|d| format!(" ({d})")).unwrap_or_default();
        let said = format!("{}{detail}", said.message());
        let message = match what {
            None => format!("{text}: {said}"),
            Some(what) => format!("{text}: {what}; the server said: {said}"),
        };
        Self::new(reason, retry, message)
    }

    /// A statement failed. `doing` completes "failed to …".
    #[must_use]
    pub fn query(doing: &str, error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::of_server(&format!("failed to {doing}"), said),
            None => Self::later(
                Reason::ConnectionLost,
                format!("failed to {doing}: the connection to the server was lost ({error})"),
            ),
        }
    }
}

/// Reason and retry of what a server said, and what to do where that is not its own words; the same while connecting and
/// later. Each stands in docs/failure-modes.md, and is tested there.
fn meaning(said: &DbError) -> (Reason, Retry, Option<&'static str>) {
    if is_recovery_conflict(said) {
        let what = "the standby's replay had to remove what was still read: set hot_standby_feedback = on there, or a longer \
            max_standby_streaming_delay, or back up the primary";
        return (Reason::RecoveryConflict, Retry::Later, Some(what));
    }
    if said.code().code().starts_with("08") && said.message().contains("statement pooling") {
        let what = "a pooler in statement mode stands between, and a backup needs one session: give the server itself, or a \
            pool in session mode";
        return (Reason::TransactionPooler, Retry::Never, Some(what));
    }
    let (reason, retry) = of_state(said.code());
    if said.message().contains("valid client certificate") {
        let what = "the server asks for a client certificate: add the keys tls.crt and tls.key to the Secret";
        return (reason, retry, Some(what));
    }
    (reason, retry, None)
}

/// Replay on a standby ends queries and sessions that are in its way. The message is in the server's language, the name of the
/// function that sends it is not; sessions of a database that is dropped have a code of their own.
fn is_recovery_conflict(said: &DbError) -> bool {
    let routine = said.routine().unwrap_or_default();
    let interrupted = routine == "ProcessInterrupts" && said.code().code() == "40001";
    interrupted
        || routine.starts_with("ProcessRecoveryConflict")
        || said.message().contains("conflict with recovery")
}

/// Reason and retry of an SQLSTATE.
fn of_state(code: &SqlState) -> (Reason, Retry) {
    match code.code() {
        "28P01" | "28000" => (Reason::AuthenticationFailed, Retry::Never),
        "3D000" => (Reason::DatabaseNotFound, Retry::Never),
        "42501" => (Reason::PermissionDenied, Retry::Never),
        "53300" => (Reason::TooManyConnections, Retry::Later),
        "57P03" => (Reason::ServerNotReady, Retry::Later),
        "57P01" | "57P02" | "57P05" | "25P03" | "25P04" => (Reason::ConnectionLost, Retry::Later),
        "55P03" | "40P01" => (Reason::LockTimeout, Retry::Later),
        "40001" => (Reason::LostLocks, Retry::Later),
        code if code.starts_with("08") => (Reason::ConnectionLost, Retry::Later),
        _ => (Reason::QueryFailed, Retry::Later),
    }
}

/// Makes text fit to be shown: control characters become spaces, what looks like a credential is
/// blanked, and it is bounded.
#[must_use]
pub fn sanitise(text: &str) -> String {
    let flat: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let blanked = blank_uris(&blank_passwords(&flat));
    let squeezed = blanked.split_whitespace().collect::<Vec<_>>().join(" ");
    if squeezed.chars().count() <= MAX_MESSAGE {
        return squeezed;
    }
    let mut cut: String = squeezed.chars().take(MAX_MESSAGE - 1).collect();
    cut.push('…');
    cut
}

/// `password=…` and `password = '…'` up to the end of the value.
fn blank_passwords(text: &str) -> String {
    const KEY: &str = "password";
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower.get(at..).and_then(|rest| rest.find(KEY)) {
        let end = at + found + KEY.len();
        out.push_str(text.get(at..end).unwrap_or_default());
        let rest = text.get(end..).unwrap_or_default();
        let gap = rest.len() - rest.trim_start().len();
        let value = rest.get(gap..).unwrap_or_default();
        at = end;
        if let Some(value) = value.strip_prefix('=') {
            let lead = value.len() - value.trim_start().len();
            let value = value.trim_start();
            let length = match value.strip_prefix('\'') {
                Some(quoted) => quoted_length(quoted) + 1,
                None => value
                    .find(|c: char| c.is_whitespace() || c == '&')
                    .unwrap_or(value.len()),
            };
            out.push_str("=***");
            at = end + gap + 1 + lead + length;
        }
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Bytes up to and with the closing quote; a backslash or a doubled quote goes on.
fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `postgres://user:secret@host`: everything between `://` and the last `@` before the path.
fn blank_uris(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (head, tail) = rest.split_at(found + 3);
        out.push_str(head);
        let end = tail
            .find(|c: char| c.is_whitespace() || c == '"' || c == '\'')
            .unwrap_or(tail.len());
        let (uri, after) = tail.split_at(end);
        match uri.rfind('@') {
            // A name alone is no secret.
            Some(at) if uri.get(..at).is_some_and(|u| u.contains(':')) => {
                out.push_str("***");
                out.push_str(uri.get(at..).unwrap_or_default());
            }
            _ => out.push_str(uri),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_to_show_holds_no_credential_and_no_control_character() {
        for (given, want) in [
            (
                "x postgres://app:s3cret@db:5432/shop y",
                "x postgres://***@db:5432/shop y",
            ),
            (
                "postgresql://app:p@ss/w@db/shop",
                "postgresql://***@db/shop",
            ),
            ("a Password='it\\'s' host=db", "a Password=*** host=db"),
            ("password = hunter2&x=1", "password=***&x=1"),
            (
                "password authentication failed for user \"app\"",
                "password authentication failed for user \"app\"",
            ),
            ("a\u{1b}[31m\nb\tc", "a [31m b c"),
            (
                "write postgresql://USER@HOST/x",
                "write postgresql://USER@HOST/x",
            ),
            ("see https://example.com/x", "see https://example.com/x"),
        ] {
            assert_eq!(sanitise(given), want, "{given}");
        }
        assert!(sanitise(&"ü".repeat(5_000)).chars().count() <= MAX_MESSAGE);
    }
}
