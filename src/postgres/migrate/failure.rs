//! How a segment can end badly: tried again, held, or not known.

use tokio_postgres::error::{DbError, ErrorPosition, Severity, SqlState};

use crate::api::Reason;
use crate::plan::Next;
use crate::postgres::error::{PgError, sanitise};
use crate::postgres::names::quote_ident;
use crate::postgres::sqlstate::named;
use crate::task::Retry;

/// The run holds: a person must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Stop {
    /// In one word.
    pub reason: Reason,
    /// For everybody: of SQL that is not ours no more than SQLSTATE, statement and position (M11).
    pub message: String,
    /// What the server said about a statement of the user's, which may hold data. Not for status.
    pub server: Option<String>,
    /// The SQLSTATE, where a statement failed.
    pub sqlstate: Option<String>,
    /// Tries before it that ended because somebody was in the way, and this one if it did.
    pub tries: u32,
}

impl Stop {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            server: None,
            sqlstate: None,
            tries: 0,
        }
    }
}

impl Stop {
    /// It waited for a lock, and did not get it.
    pub(super) fn waited(&self) -> bool {
        let timeout = SqlState::LOCK_NOT_AVAILABLE;
        self.reason == Reason::WouldBlock || self.sqlstate.as_deref() == Some(timeout.code())
    }
}

impl From<PgError> for Stop {
    fn from(error: PgError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

/// What became of something that was tried.
#[derive(Debug)]
pub(super) enum Failure {
    /// It undid itself: nothing is left of it, and another try may do better.
    Again(Stop),
    /// It undid itself, and another try would end the same way.
    Hold(Stop),
    /// Nobody knows; the history does. The sessions are of no use any more.
    Unknown(Stop),
}

impl Failure {
    pub(super) fn hold(reason: Reason, message: impl Into<String>) -> Self {
        Self::Hold(Stop::new(reason, message))
    }

    pub(super) fn again(reason: Reason, message: impl Into<String>) -> Self {
        Self::Again(Stop::new(reason, message))
    }

    /// One of our own queries failed. `doing` completes "failed to …".
    pub(super) fn ours(doing: &str, error: &tokio_postgres::Error) -> Self {
        let sqlstate = error.code().map(|c| c.code().to_owned());
        let stop = Stop {
            sqlstate,
            ..Stop::from(PgError::query(doing, error))
        };
        match error.code() {
            _ if is_lost(error) => Self::Unknown(stop),
            Some(code) if may_pass(code) || *code == SqlState::QUERY_CANCELED => Self::Again(stop),
            _ => Self::Hold(stop),
        }
    }

    /// A statement of the plan failed.
    pub(super) fn theirs(next: &Next<'_>, at: usize, error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error().filter(|_| !is_lost(error)) else {
            return Self::Unknown(Stop::from(PgError::query("run a statement", error)));
        };
        let statement = next.segment.statements.get(at);
        let line = statement.map_or(0, |s| s.line);
        let number = statement.map_or(0, |s| s.index + 1);
        let position = match db.position() {
            Some(ErrorPosition::Original(at)) => format!(", at its character {at}"),
            _ => String::new(),
        };
        let lacks = right(db);
        let more = lacks.as_deref().unwrap_or_default();
        let stop = Stop {
            reason: match lacks {
                Some(_) => Reason::PermissionDenied,
                None => Reason::StatementFailed,
            },
            message: format!(
                "statement {number} of {} (line {line}) failed with SQLSTATE {}{position}{more}",
                next.file.name,
                named(db.code().code())
            ),
            server: Some(db.message().to_owned()),
            sqlstate: Some(db.code().code().to_owned()),
            tries: 0,
        };
        if may_pass(db.code()) {
            Self::Again(stop)
        } else {
            Self::Hold(stop)
        }
    }
}

/// Which right the role lacks, and what gives it. Only in the server's own words, which name an object and hold nothing else: a
/// function of somebody's may raise the same SQLSTATE with a text of its own (M11).
fn right(db: &DbError) -> Option<String> {
    let own =
        db.routine() == Some("aclcheck_error") && *db.code() == SqlState::INSUFFICIENT_PRIVILEGE;
    let message = own.then(|| sanitise(db.message()))?;
    let cure = if let Some(schema) = message.strip_prefix("permission denied for schema ") {
        format!(
            "GRANT USAGE, CREATE ON SCHEMA {} TO the role that migrates",
            quote_ident(schema)
        )
    } else if message.starts_with("must be owner of ") {
        "migrate as its owner (spec.execution.role), or GRANT that role to the one that migrates"
            .to_owned()
    } else {
        "GRANT it to the role that migrates".to_owned()
    };
    Some(format!(": {message}; {cure}"))
}

impl From<PgError> for Failure {
    /// What may pass is asked again on new sessions.
    fn from(error: PgError) -> Self {
        match error.retry() {
            Retry::Never => Self::Hold(error.into()),
            _ => Self::Unknown(error.into()),
        }
    }
}

/// Another try of the whole segment may end otherwise: a lock that was not had, a deadlock, a conflict.
fn may_pass(code: &SqlState) -> bool {
    [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
    ]
    .contains(code)
}

/// The session is gone: what it was doing last may have happened. The server ends one with FATAL, whatever the SQLSTATE;
/// an ERROR with such a SQLSTATE is somebody's RAISE, or another server's.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none_or(|db| {
        matches!(
            db.parsed_severity(),
            Some(Severity::Fatal | Severity::Panic)
        )
    })
}
