//! Is the spec of a Backup one that can work? Pure.

use jiff::Timestamp;
use kube::ResourceExt;

pub use crate::api::Invalid;
use crate::api::backup::BackupReason;
use crate::api::rules::named;
use crate::api::{Backup, LABEL_POLICY_UID, name};

/// A Backup whose spec can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidBackup {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its due time: of a manual Backup the time it was created.
    pub due: Timestamp,
    /// Tiers it counts for.
    pub tiers: Vec<String>,
    /// Uid of the policy that made it; `None` if a person did.
    pub policy_uid: Option<String>,
}

/// Proves what deciding and building need of the Backup itself.
///
/// # Errors
/// [`Invalid`] with the field and the fix.
pub fn validate(backup: &Backup) -> Result<ValidBackup, Invalid> {
    let spec = &backup.spec;
    named("spec.policyRef.name", &spec.policy_ref.name, "BackupPolicy")?;
    let due = match spec.reason {
        BackupReason::Manual | BackupReason::PreMigration => {
            by_hand(backup)?;
            created(backup)
        }
        BackupReason::Scheduled => by_policy(backup)?,
    };
    let policy_uid = match spec.reason {
        BackupReason::Manual | BackupReason::PreMigration => None,
        BackupReason::Scheduled => backup.labels().get(LABEL_POLICY_UID).cloned(),
    };
    Ok(ValidBackup {
        namespace: backup.namespace().unwrap_or_default(),
        name: backup.name_any(),
        uid: backup.uid().unwrap_or_default(),
        due,
        tiers: spec.tiers.clone(),
        policy_uid,
    })
}

/// When it was created; the epoch for a file that no cluster has seen.
#[must_use]
pub fn created(backup: &Backup) -> Timestamp {
    let time = backup.metadata.creation_timestamp.as_ref();
    time.map_or(Timestamp::UNIX_EPOCH, |t| t.0)
}

fn by_hand(backup: &Backup) -> Result<(), Invalid> {
    let ours = |field: &str| {
        let message = "only the operator sets it: remove it, or create a tier in the policy";
        Err(Invalid::new(field, message))
    };
    if backup.spec.scheduled_time.is_some() {
        return ours("spec.scheduledTime");
    }
    if !backup.spec.tiers.is_empty() {
        return ours("spec.tiers");
    }
    Ok(())
}

/// One due time has one name and so one Backup (K26, P6).
fn by_policy(backup: &Backup) -> Result<Timestamp, Invalid> {
    let Some(due) = backup.spec.scheduled_time else {
        return Err(Invalid::new(
            "spec.reason",
            "only the operator creates scheduled Backups: write `reason: Manual` or leave it out",
        ));
    };
    let labelled = backup.labels().contains_key(LABEL_POLICY_UID);
    if !labelled || backup.name_any() != name::backup(&backup.spec.policy_ref.name, due) {
        return Err(Invalid::new(
            "spec.scheduledTime",
            "only the operator creates scheduled Backups: create one with `policyRef` alone",
        ));
    }
    Ok(due)
}
