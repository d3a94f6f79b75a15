//! Why a reconcile did not finish, and who must act (STYLE 6).

use std::time::Duration;

use kube::runtime::controller::Action;
use thiserror::Error;

use super::context::{Context, lock};
use crate::api::name::hash_hex;

/// First pause after a failure.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(300);

/// Why a reconcile did not finish.
#[derive(Debug, Error)]
pub enum Fault {
    /// The cache was behind: what changed comes by watch, look again soon. Not an error.
    #[error("the cache was behind: {0}")]
    Stale(String),
    /// The namespace is going away: wait quietly (K23).
    #[error("namespace {0} is terminating")]
    Terminating(String),
    /// The CRD is older than this operator (K16). A person must upgrade it.
    #[error("the CRD of {kind} is older than this operator: {message}")]
    CrdOutdated {
        /// The kind.
        kind: &'static str,
        /// What the API server said.
        message: String,
    },
    /// An object of that name exists and is not ours (K26). A person must act.
    #[error("{kind} {name} exists and is not Lifeboat's{made}")]
    NameCollision {
        /// The kind.
        kind: &'static str,
        /// The name.
        name: String,
        /// With what and when it was made, as far as it says: `, made with kubectl-create at 2026-12-01T16:00:00Z`.
        made: String,
    },
    /// What a worker is to do does not fit into its pod: nothing is created without it.
    #[error("the task of Job {0} is too long: more than 64 KiB")]
    TaskTooLong(String),
    /// The object is there already.
    #[error("failed to {verb} {kind}: it exists already")]
    Exists {
        /// What was tried.
        verb: &'static str,
        /// On what.
        kind: &'static str,
    },
    /// The object is not there.
    #[error("failed to {verb} {kind}: it is gone")]
    Gone {
        /// What was tried.
        verb: &'static str,
        /// On what.
        kind: &'static str,
    },
    /// The API server did not answer in time.
    #[error("failed to {verb} {kind}: no answer within 15 s")]
    Timeout {
        /// What was tried.
        verb: &'static str,
        /// On what.
        kind: &'static str,
    },
    /// The API server refused or failed.
    #[error("failed to {verb} {kind}: {}", said(source))]
    Api {
        /// What was tried.
        verb: &'static str,
        /// On what.
        kind: &'static str,
        /// What it said.
        source: Box<kube::Error>,
    },
}

/// The API server's own sentence; kube prints the whole answer behind it.
#[must_use]
pub fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

impl Fault {
    /// Sorts a client's error.
    #[must_use]
    pub fn of(verb: &'static str, kind: &'static str, error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else {
            return Fault::Api {
                verb,
                kind,
                source: Box::new(error),
            };
        };
        let message = status.message.as_str();
        match (status.code, status.reason.as_str()) {
            (409, "AlreadyExists") => Fault::Exists { verb, kind },
            (409, _) => Fault::Stale(message.to_owned()),
            (404, _) => Fault::Gone { verb, kind },
            (403, _) if message.contains("because it is being terminated") => {
                Fault::Terminating(String::new())
            }
            // Strict validation answers 400 to a PUT; a typed apply that meets an unknown field, 500.
            (400 | 500, _) if speaks_of_unknown_field(message) => Fault::CrdOutdated {
                kind,
                message: message.chars().take(300).collect(),
            },
            _ => Fault::Api {
                verb,
                kind,
                source: Box::new(error),
            },
        }
    }

    /// As the metrics name it.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Fault::Stale(_) => "stale",
            Fault::Terminating(_) => "terminating",
            Fault::CrdOutdated { .. } => "crd_outdated",
            Fault::NameCollision { .. } => "name_collision",
            Fault::TaskTooLong(_) => "task_too_long",
            Fault::Exists { .. } => "exists",
            Fault::Gone { .. } => "gone",
            Fault::Timeout { .. } => "timeout",
            Fault::Api { .. } => "error",
        }
    }

    /// Whether time or another's change settles it, so that it is no error of ours.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        matches!(
            self,
            Fault::Stale(_) | Fault::Terminating(_) | Fault::Gone { .. } | Fault::Exists { .. }
        )
    }
}

fn speaks_of_unknown_field(message: &str) -> bool {
    ["unknown field", "field not declared in schema"]
        .iter()
        .any(|phrase| message.contains(phrase))
}

/// When to look at an object again after a fault.
#[must_use]
pub fn policy(context: &Context, kind: &'static str, uid: &str, fault: &Fault) -> Action {
    let key = format!("{kind}/{uid}");
    match fault {
        Fault::Stale(_) | Fault::Exists { .. } => Action::requeue(FIRST),
        Fault::Gone { .. } => Action::await_change(),
        Fault::Terminating(_) => Action::requeue(Duration::from_secs(30)),
        Fault::CrdOutdated { .. } | Fault::NameCollision { .. } | Fault::TaskTooLong(_) => {
            Action::requeue(LONGEST)
        }
        Fault::Timeout { .. } | Fault::Api { .. } => {
            let failures = {
                let mut all = lock(&context.failures);
                let next = all.get(&key).map_or(1, |count| count.saturating_add(1));
                all.insert(&key, next);
                next
            };
            Action::requeue(pause(&key, failures))
        }
    }
}

/// 1, 2, 4 … 300 s, each lengthened by up to a quarter that differs by object and try.
#[must_use]
pub fn pause(key: &str, failures: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(9));
    let base = doubled.min(LONGEST);
    let digits = hash_hex(&[key, &failures.to_string()], 4);
    let jitter = u32::from_str_radix(&digits, 16).unwrap_or_default();
    base + base.mul_f64(f64::from(jitter) / 65_536.0 / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_five_minutes_and_differ_by_object() {
        for failures in 1..40 {
            let pause = pause("Backup/a", failures);
            let base = Duration::from_secs(1 << (failures - 1).min(9)).min(LONGEST);
            assert!(pause >= base && pause <= base.mul_f64(1.25), "{failures}");
        }
        assert_ne!(pause("Backup/a", 5), pause("Backup/b", 5));
    }
}
