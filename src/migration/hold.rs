//! What stands in the way of a run. Pure.

use super::decide::Case;
use super::validate::ValidRun;
use crate::api::backup_store::EncryptionMode;
use crate::api::{BackupPolicy, BackupStore, Reason, RestoreDrill};
use crate::drill::validate::validate as validate_drill;
use crate::policy::validate::validate as validate_policy;
use crate::store::validate::validate as validate_store;

/// Most bytes of the scratch server's settings in the task, beside a spec of 40 KiB (K8).
const MAX_SERVER: usize = 8 * 1024;

/// Everything that a Job is built of, proved.
pub(super) struct Ready<'a> {
    pub(super) run: &'a ValidRun,
    pub(super) policy: &'a BackupPolicy,
    pub(super) store: &'a BackupStore,
    pub(super) drill: &'a RestoreDrill,
}

/// Why nothing can start until a person acts.
pub(super) type Obstacle = (Reason, String);

impl<'a> Case<'a> {
    /// Proves what a run needs.
    pub(super) fn ready(&self) -> Result<Ready<'a>, Obstacle> {
        let run = self
            .valid
            .map_err(|invalid| (Reason::InvalidSpec, invalid.to_string()))?;
        let (policy, store) = self.ready_to_settle()?;
        let spec = &self.seen.run.spec;
        let name = &spec.drill_ref.name;
        let drill = self.seen.drill.as_ref().ok_or_else(|| {
            let message = format!(
                "there is no RestoreDrill `{name}` in this namespace: create it, or name another in spec.drillRef"
            );
            (Reason::DrillNotFound, message)
        })?;
        let wrong =
            |why: String| Err((Reason::InvalidSpec, format!("RestoreDrill `{name}`: {why}")));
        if drill.spec.policy_ref != spec.policy_ref {
            return wrong(format!(
                "spec.policyRef: it is of BackupPolicy `{}`, the run of `{}`: name a drill of the same policy in spec.drillRef",
                drill.spec.policy_ref.name, spec.policy_ref.name
            ));
        }
        let valid = match validate_drill(drill, self.settings) {
            Ok(valid) => valid,
            Err(invalid) => return wrong(invalid.to_string()),
        };
        if store.spec.encryption.mode == EncryptionMode::Age && !valid.has_identity {
            return wrong(
                "spec.identityRef: the store encrypts: name the Secret with the age identity that opens its backups".to_owned(),
            );
        }
        let server = serde_json::to_string(&drill.spec.postgres).unwrap_or_default();
        let bytes = server.len() + 5 * server.matches('$').count();
        if bytes > MAX_SERVER {
            return wrong(format!(
                "spec.postgres has {bytes} bytes as a worker is told it, at most {MAX_SERVER} fit: shorten its parameters"
            ));
        }
        Ok(Ready {
            run,
            policy,
            store,
            drill,
        })
    }

    /// Proves what reading the history needs: that has to go on where much else is gone.
    pub(super) fn ready_to_settle(&self) -> Result<(&'a BackupPolicy, &'a BackupStore), Obstacle> {
        let name = &self.seen.run.spec.policy_ref.name;
        let policy = self.seen.policy.as_ref().ok_or_else(|| {
            let message = format!(
                "there is no BackupPolicy `{name}` in this namespace: create it, or name another in spec.policyRef"
            );
            (Reason::PolicyNotFound, message)
        })?;
        let valid = validate_policy(policy, self.settings).map_err(|invalid| {
            let message = format!("BackupPolicy `{name}`: {invalid}");
            (Reason::PolicyStalled, message)
        })?;
        let store = self.seen.store.as_ref().ok_or_else(|| {
            let message = format!(
                "there is no BackupStore `{}` in this namespace",
                valid.store
            );
            (Reason::StoreNotFound, message)
        })?;
        validate_store(store, self.settings).map_err(|invalid| {
            let message = format!("BackupStore `{}`: {invalid}", valid.store);
            (Reason::StoreStalled, message)
        })?;
        Ok((policy, store))
    }
}
