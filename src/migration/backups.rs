//! What a run's gate asks of a Backup. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::Backup;
use crate::api::condition::{COMPLETE, PROVEN, is_true};
use crate::api::migration_run::MigrationGateStatus;

pub(super) fn gate_of(backup: &Backup) -> MigrationGateStatus {
    MigrationGateStatus {
        backup: backup.name_any(),
        prefix: backup.status.as_ref().and_then(|s| s.prefix.clone()),
        data_at: data_at(backup),
        drill: None,
        proven: false,
    }
}

pub(super) fn proven(gate: &MigrationGateStatus, backup: &Backup) -> MigrationGateStatus {
    MigrationGateStatus {
        drill: gate.drill.clone(),
        proven: true,
        ..gate_of(backup)
    }
}

/// Complete, and it is known where it lies.
pub(super) fn is_whole(backup: &Backup) -> bool {
    let status = backup.status.as_ref();
    status.is_some_and(|s| is_true(&s.conditions, COMPLETE) && s.prefix.is_some())
}

pub(super) fn is_proven(backup: &Backup) -> bool {
    let status = backup.status.as_ref();
    is_whole(backup) && status.is_some_and(|s| is_true(&s.conditions, PROVEN))
}

/// Its recovery point; of one that no worker told, when its first attempt began. The worker asks the manifest itself.
pub(super) fn data_at(backup: &Backup) -> Option<Timestamp> {
    let status = backup.status.as_ref()?;
    status.data_at.or(status.started_at)
}
