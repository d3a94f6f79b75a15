//! Conditions after kstatus (K30): built here and nowhere else.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Reason;

/// `True` when the object does what its spec asks.
pub const READY: &str = "Ready";
/// `True` while something is under way.
pub const RECONCILING: &str = "Reconciling";
/// `True` when only a person can help.
pub const STALLED: &str = "Stalled";
/// `True` on a run that succeeded.
pub const COMPLETE: &str = "Complete";
/// `True` on a run that was given up.
pub const FAILED: &str = "Failed";
/// On a policy: no alert is on.
pub const HEALTHY: &str = "Healthy";
/// On a store: the credentials are accepted.
pub const CREDENTIALS_VALID: &str = "CredentialsValid";
/// On a store: what backups need to write is allowed.
pub const WRITABLE: &str = "Writable";
/// On a store: a second `PUT` with `If-None-Match: *` is refused.
pub const CONDITIONAL_WRITES: &str = "ConditionalWrites";
/// On a drill: the last run passed.
pub const PASSED: &str = "Passed";
/// On a drill: the source database could not be reached from its pod (G30).
pub const ISOLATED: &str = "Isolated";
/// On a drill: the last run that passed is much slower, or scores less, than those before it.
pub const REGRESSION: &str = "Regression";
/// On a drill: the script that restores without Lifeboat restored a whole backup.
pub const BREAK_GLASS: &str = "BreakGlass";
/// On a Backup: a drill restored it whole and found it equal.
pub const PROVEN: &str = "Proven";

/// On a MigrationRun: what will be done is fixed.
pub const PLANNED: &str = "Planned";
/// On a MigrationRun: a fresh backup is proven.
pub const BACKUP_PROVEN: &str = "BackupProven";
/// On a MigrationRun: it ran through on that backup.
pub const REHEARSED: &str = "Rehearsed";
/// On a MigrationRun: somebody else has looked at it.
pub const APPROVED: &str = "Approved";
/// On a MigrationRun: it stands on the database as it was rehearsed.
pub const APPLIED: &str = "Applied";

/// Longest message a condition carries, in characters.
pub const MAX_MESSAGE: usize = 1_024;

/// A message as long as a condition's may be, on one line.
#[must_use]
pub fn cut(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(MAX_MESSAGE).collect()
}

/// A condition's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`: it could not be seen (P13).
    Unknown,
}

impl Truth {
    /// As the API prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Truth::True } else { Truth::False }
    }
}

/// The conditions of one object as they will stand after this reconcile.
///
/// Keeps the transition time of a condition whose status did not change, so that a settled
/// object gives equal conditions and is not written (STYLE 7).
#[derive(Debug, Clone)]
pub struct Conditions {
    old: Vec<Condition>,
    new: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    /// Starts from what stands in the status now.
    #[must_use]
    pub fn new(old: &[Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self {
            old: old.to_vec(),
            new: Vec::new(),
            generation,
            now,
        }
    }

    /// States one condition. A type stated twice keeps the later statement.
    pub fn set(&mut self, type_: &str, truth: Truth, reason: Reason, message: impl Into<String>) {
        let message: String = message.into();
        let message: String = message.chars().take(MAX_MESSAGE).collect();
        let since = self
            .old
            .iter()
            .find(|c| c.type_ == type_ && c.status == truth.as_str())
            .map_or(Time(self.now), |c| c.last_transition_time.clone());
        self.new.retain(|c| c.type_ != type_);
        self.new.push(Condition {
            type_: type_.to_owned(),
            status: truth.as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: self.generation,
            last_transition_time: since,
        });
    }

    /// Keeps a condition exactly as it stands, because nothing new is known about it.
    pub fn keep(&mut self, type_: &str) {
        if let Some(old) = self.old.iter().find(|c| c.type_ == type_) {
            let old = old.clone();
            self.new.retain(|c| c.type_ != type_);
            self.new.push(old);
        }
    }

    /// The finished list, in the order stated.
    #[must_use]
    pub fn finish(self) -> Vec<Condition> {
        self.new
    }
}

/// The condition of that type, if it is there.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition of that type is `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|c| c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settled_condition_keeps_its_transition_time() {
        let t0: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        let t1: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        let mut first = Conditions::new(&[], Some(1), t0);
        first.set(READY, Truth::True, Reason::Succeeded, "fine");
        let first = first.finish();
        let mut again = Conditions::new(&first, Some(1), t1);
        again.set(READY, Truth::True, Reason::Succeeded, "fine");
        assert_eq!(first, again.finish());
        let mut turned = Conditions::new(&first, Some(1), t1);
        turned.set(
            READY,
            Truth::False,
            Reason::SecretMissing,
            "x".repeat(5_000),
        );
        let turned = turned.finish();
        assert_eq!(turned[0].last_transition_time.0, t1);
        assert_eq!(turned[0].message.len(), MAX_MESSAGE);
    }
}
