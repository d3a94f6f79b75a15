//! What a Backup needs next: its attempts, one Job each, and the truth about them. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::validate::{Invalid, ValidBackup};
use crate::api::{Backup, BackupPolicy, BackupStatus, BackupStore};
use crate::cluster::decision::{Decision, Next};
use crate::cluster::seen::SeenJob;
use crate::workload::Settings;

/// What is seen of a Backup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The Backup.
    pub backup: Backup,
    /// The policy it names.
    pub policy: Option<BackupPolicy>,
    /// The store that the policy names.
    pub store: Option<BackupStore>,
    /// The Job of attempt [`attempt_to_watch`], by name and owner uid.
    pub job: Option<SeenJob>,
    /// Another Backup of the policy goes first: [`another_goes_first`].
    pub others_running: bool,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// The attempt whose Job `observe` looks up: the one in status, or the first.
#[must_use]
pub fn attempt_to_watch(backup: &Backup) -> i32 {
    backup
        .status
        .as_ref()
        .and_then(|s| s.attempt)
        .unwrap_or_default()
        .max(1)
}

/// Whether one of `others` (all Backups of the namespace will do) must end before `backup` may begin.
#[must_use]
pub fn another_goes_first<'a>(
    _backup: &Backup,
    _others: impl IntoIterator<Item = &'a Backup>,
) -> bool {
    false
}

/// Decides one Backup.
#[must_use]
pub fn decide(
    _valid: Result<&ValidBackup, &Invalid>,
    seen: &Observed,
    _settings: &Settings,
    _now: Timestamp,
) -> Decision<BackupStatus> {
    Decision {
        effects: Vec::new(),
        status: seen.backup.status.clone().unwrap_or_default(),
        notices: Vec::new(),
        next: Next::OnChange,
    }
}
