//! What a store needs next: probes, and the truth about the last one. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::validate::{Invalid, ValidStore};
use crate::api::{BackupStore, BackupStoreStatus};
use crate::cluster::decision::{Decision, Next};
use crate::cluster::seen::SeenJob;
use crate::workload::Settings;

/// What is seen of a store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// The store.
    pub store: BackupStore,
    /// Its newest probe Job, by owner uid and task label.
    pub probe_job: Option<SeenJob>,
    /// Its namespace is being deleted.
    pub namespace_terminating: bool,
}

/// Decides one store.
#[must_use]
pub fn decide(
    _valid: Result<&ValidStore, &Invalid>,
    seen: &Observed,
    _settings: &Settings,
    _now: Timestamp,
) -> Decision<BackupStoreStatus> {
    Decision {
        effects: Vec::new(),
        status: seen.store.status.clone().unwrap_or_default(),
        notices: Vec::new(),
        next: Next::OnChange,
    }
}
