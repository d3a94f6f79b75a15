//! What is there of a drill: the caches only, never the API server (K16).

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::{Observed, another_goes_first, is_complete, to_drill};
use crate::api::{Backup, BackupPolicy, BackupStore, RestoreDrill};
use crate::cluster::{Caches, Context};

/// Gathers what deciding needs.
#[must_use]
pub fn observe(context: &Context, drill: RestoreDrill, now: Timestamp) -> Observed {
    let namespace = drill.namespace().unwrap_or_default();
    let uid = drill.uid().unwrap_or_default();
    let caches = &context.caches;
    let policy: Option<BackupPolicy> =
        Caches::get(&caches.policies, &namespace, &drill.spec.policy_ref.name);
    let store: Option<BackupStore> = policy
        .as_ref()
        .and_then(|p| Caches::get(&caches.stores, &namespace, &p.spec.store_ref.name));
    let backups = backups_of(caches, &namespace, &drill.spec.policy_ref.name);
    let known = policy.as_ref().and_then(|p| p.status.as_ref());
    let known = known.is_some_and(|s| s.last_backup.is_some());
    Observed {
        backup: to_drill(&drill, &backups).cloned(),
        has_backup: known || backups.iter().any(is_complete),
        jobs: context.jobs_of(&namespace, "drill", &uid, now),
        first: first(caches, &namespace, &drill),
        namespace_terminating: context.is_terminating(&namespace, now),
        policy,
        store,
        drill,
    }
}

/// Every readable Backup that names the policy.
fn backups_of(caches: &Caches, namespace: &str, policy: &str) -> Vec<Backup> {
    let all = caches.backups.state();
    let readable = all.iter().filter_map(|backup| backup.0.as_ref().ok());
    let here = readable.filter(|b| b.metadata.namespace.as_deref() == Some(namespace));
    let ours = here.filter(|b| b.spec.policy_ref.name == policy);
    ours.cloned().collect()
}

fn first(caches: &Caches, namespace: &str, drill: &RestoreDrill) -> Option<String> {
    let all = caches.drills.state();
    let readable = all.iter().filter_map(|other| other.0.as_ref().ok());
    let here = readable.filter(|d| d.metadata.namespace.as_deref() == Some(namespace));
    another_goes_first(drill, here)
}
