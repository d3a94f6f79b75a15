//! Why a task ended without success: a reason, whether to try again, and a sentence.

use thiserror::Error;

use crate::api::Reason;
use crate::codec::CodecError;
use crate::objects::StoreError;
use crate::postgres::PgError;
use crate::task::{Retry, TaskResult};

/// Why a task ended without success.
#[derive(Debug, Error)]
pub enum Failure {
    /// PostgreSQL, or the way to it.
    #[error(transparent)]
    Postgres(#[from] PgError),
    /// The store, while objects were written.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The deadline of the task passed (K3).
    #[error("the deadline of {0} s passed while {1}")]
    Deadline(u64, String),
    /// The pod was told to stop.
    #[error("the pod was told to stop while {0}")]
    Terminated(String),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// Its reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Failure::Postgres(error) => error.reason(),
            Failure::Codec(error) => error.reason(),
            Failure::Store(error) => error.reason(),
            Failure::Deadline(..) => Reason::DeadlineExceeded,
            Failure::Terminated(_) => Reason::Terminated,
            Failure::Internal(_) => Reason::InternalError,
        }
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        let permanent = match self {
            Failure::Postgres(error) => return error.retry(),
            Failure::Codec(error) => error.permanent(),
            Failure::Store(error) => error.permanent(),
            Failure::Deadline(..) | Failure::Terminated(_) => false,
            Failure::Internal(_) => true,
        };
        if permanent {
            Retry::Never
        } else {
            Retry::Later
        }
    }

    /// As the operator reads it.
    #[must_use]
    pub fn to_result(&self) -> TaskResult {
        let mut message = self.to_string();
        if let (Reason::WrongMajor | Reason::ToolsMissing, Some(major)) =
            (self.reason(), self.found_major())
        {
            message.push_str(&format!(": use an image of PostgreSQL {major}"));
        }
        let mut result = TaskResult::failed(self.reason(), self.retry(), message);
        // The next attempt takes the image of this major at once (K20).
        result.found_major = self.found_major();
        result
    }

    /// The server's major version, where it is known and matters.
    #[must_use]
    pub fn found_major(&self) -> Option<i32> {
        match self {
            Failure::Postgres(error) => error.found_major(),
            _ => None,
        }
    }
}
