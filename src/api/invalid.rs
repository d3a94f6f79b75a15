//! Why a spec is refused, for a person.

use serde::Serialize;

/// A spec that cannot work: which field, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invalid {
    /// Path of the field, for example `spec.tiers[1].cron`.
    pub field: String,
    /// What is wrong and how to mend it, in one sentence.
    pub message: String,
}

impl Invalid {
    /// One refusal.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl std::error::Error for Invalid {}
