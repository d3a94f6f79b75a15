//! What a policy needs next: Backups that are due, checks, and the truth about both. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::validate::{Invalid, ValidPolicy};
use crate::api::{Backup, BackupPolicy, BackupPolicyStatus, BackupStore};
use crate::cluster::decision::{Decision, Next};
use crate::cluster::seen::SeenJob;
use crate::workload::Settings;

/// What is seen of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The policy.
    pub policy: BackupPolicy,
    /// The store it names.
    pub store: Option<BackupStore>,
    /// All Backups in its namespace whose `spec.policyRef` names it.
    pub backups: Vec<Backup>,
    /// Its newest check Job, by owner uid and task label.
    pub check_job: Option<SeenJob>,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// Decides one policy.
#[must_use]
pub fn decide(
    _valid: Result<&ValidPolicy, &Invalid>,
    seen: &Observed,
    _settings: &Settings,
    _now: Timestamp,
) -> Decision<BackupPolicyStatus> {
    Decision {
        effects: Vec::new(),
        status: seen.policy.status.clone().unwrap_or_default(),
        notices: Vec::new(),
        next: Next::OnChange,
    }
}
