//! What stands in the way of a run. Pure.

use super::decide::Case;
use super::validate::ValidDrill;
use crate::api::backup_store::EncryptionMode;
use crate::api::{BackupPolicy, BackupStore, Reason};
use crate::policy::validate::{ValidPolicy, validate as validate_policy};
use crate::store::validate::validate as validate_store;

/// Everything that a Job is built of, proved.
pub(super) struct Ready<'a> {
    pub(super) drill: &'a ValidDrill,
    pub(super) policy: &'a BackupPolicy,
    pub(super) valid_policy: ValidPolicy,
    pub(super) store: &'a BackupStore,
}

/// Why nothing can start until a person acts.
pub(super) type Obstacle = (Reason, String);

impl<'a> Case<'a> {
    /// Proves what a run needs.
    pub(super) fn ready(&self) -> Result<Ready<'a>, Obstacle> {
        let drill = self
            .valid
            .map_err(|invalid| (Reason::InvalidSpec, invalid.to_string()))?;
        let name = &self.seen.drill.spec.policy_ref.name;
        let policy = self.seen.policy.as_ref().ok_or_else(|| {
            let message = format!(
                "there is no BackupPolicy `{name}` in this namespace: create it, or name another in spec.policyRef"
            );
            (Reason::PolicyNotFound, message)
        })?;
        let valid_policy = validate_policy(policy, self.settings).map_err(|invalid| {
            let message = format!("BackupPolicy `{name}`: {invalid}");
            (Reason::PolicyStalled, message)
        })?;
        let name = &valid_policy.store;
        let store = self.seen.store.as_ref().ok_or_else(|| {
            let message = format!("there is no BackupStore `{name}` in this namespace");
            (Reason::StoreNotFound, message)
        })?;
        validate_store(store, self.settings).map_err(|invalid| {
            let message = format!("BackupStore `{name}`: {invalid}");
            (Reason::StoreStalled, message)
        })?;
        if store.spec.encryption.mode == EncryptionMode::Age && !drill.has_identity {
            let message = format!(
                "spec.identityRef: BackupStore `{name}` encrypts: name the Secret with the age identity that opens its backups"
            );
            return Err((Reason::InvalidSpec, message));
        }
        Ok(Ready {
            drill,
            policy,
            valid_policy,
            store,
        })
    }
}
