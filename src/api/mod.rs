//! The custom resources of group `lifeboat.dev`, version `v1alpha1`: types only.
//!
//! Owns what a user may write and what the operator answers. Must never talk to anything:
//! no client, no clock, no environment. Schema rules are K30-K32 of the design; `tests/crds.rs`
//! holds each of them against the generated YAML.

pub mod accept;
pub mod backup;
pub mod backup_policy;
pub mod backup_store;
pub mod condition;
pub mod drill_status;
pub mod duration;
pub mod health;
pub mod invalid;
pub mod migration_approval;
pub mod migration_run;
pub mod migration_status;
pub mod migration_window;
pub mod name;
pub mod reason;
pub mod restore_drill;
pub mod rules;
pub mod shared;
pub mod visible;

pub use backup::{Backup, BackupSpec, BackupStatus};
pub use backup_policy::{BackupPolicy, BackupPolicySpec, BackupPolicyStatus};
pub use backup_store::{BackupStore, BackupStoreSpec, BackupStoreStatus};
pub use invalid::Invalid;
pub use migration_approval::{MigrationApproval, MigrationApprovalSpec};
pub use migration_run::{MigrationRun, MigrationRunSpec, MigrationRunStatus};
pub use reason::Reason;
pub use restore_drill::{RestoreDrill, RestoreDrillSpec, RestoreDrillStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The API group of every kind.
pub const GROUP: &str = "lifeboat.dev";
/// The one version there is.
pub const VERSION: &str = "v1alpha1";
/// Field manager of all writes (STYLE 8).
pub const FIELD_MANAGER: &str = "lifeboat";
/// When this annotation of a store, policy or drill changes, probe, check or drill run now (K21).
pub const REQUESTED_AT: &str = "lifeboat.dev/requestedAt";
/// Label on every child: `probe`, `check`, `backup`, `drill` or `migration`. Watches select on it (K23).
pub const LABEL_TASK: &str = "lifeboat.dev/task";
/// Label with the uid of the object whose status takes the result (K26: uids, never names).
pub const LABEL_OWNER_UID: &str = "lifeboat.dev/owner-uid";
/// Annotation of a Job: SHA-256 of the task that its worker is given, hex.
pub const TASK_SHA256: &str = "lifeboat.dev/task-sha256";
/// Label on the pods of a migration that says which step they do: what only a rehearsal may reach is told by it.
pub const LABEL_STEP: &str = "lifeboat.dev/step";
/// On a MigrationRun from before its first worker until nobody has to look after what that left (M24).
pub const MIGRATION_FINALIZER: &str = "lifeboat.dev/migration";
/// Label on Backups with the uid of the policy that made them (K24).
pub const LABEL_POLICY_UID: &str = "lifeboat.dev/policy-uid";

/// The CRDs as they stand in `crds/`, by file name.
///
/// The status default `observedGeneration: -1` (K30) cannot be said by the derive and is patched in here.
#[must_use]
pub fn crds() -> Vec<(&'static str, CustomResourceDefinition)> {
    vec![
        ("backupstores.yaml", finish(BackupStore::crd())),
        ("backuppolicies.yaml", finish(BackupPolicy::crd())),
        ("backups.yaml", finish(Backup::crd())),
        ("restoredrills.yaml", finish(RestoreDrill::crd())),
        ("migrationruns.yaml", finish(MigrationRun::crd())),
        ("migrationapprovals.yaml", finish(MigrationApproval::crd())),
    ]
}

fn finish(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut crd = crd;
    for version in &mut crd.spec.versions {
        let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        if let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) {
            let default = serde_json::json!({"observedGeneration": -1});
            status.default = Some(
                k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSON(default),
            );
        }
    }
    crd
}
