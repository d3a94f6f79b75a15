//! What is there of a policy: the caches only, never the API server (K16).

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Observed;
use crate::api::{Backup, BackupPolicy, RestoreDrill, name};
use crate::cluster::{Caches, Context};

/// Gathers what deciding needs.
#[must_use]
pub fn observe(context: &Context, policy: BackupPolicy, now: Timestamp) -> Observed {
    let namespace = policy.namespace().unwrap_or_default();
    let uid = policy.uid().unwrap_or_default();
    let caches = &context.caches;
    Observed {
        store: Caches::get(&caches.stores, &namespace, &policy.spec.store_ref.name),
        backups: backups_of(caches, &namespace, &policy.name_any()),
        drills: drills_of(caches, &namespace, &policy.name_any()),
        shares_with: shares_with(caches, &policy),
        check_job: context.newest_job(&namespace, "check", &uid, now),
        namespace_terminating: context.is_terminating(&namespace, now),
        policy,
    }
}

/// The directory of a policy, whatever else is wrong with it.
fn directory(policy: &BackupPolicy) -> String {
    let own = policy.spec.directory.clone();
    let namespace = policy.namespace().unwrap_or_default();
    own.unwrap_or_else(|| name::default_directory(&namespace, &policy.name_any()))
}

/// The oldest policy of the namespace that has the same directory of the same store, if it is older than this one.
fn shares_with(caches: &Caches, policy: &BackupPolicy) -> Option<String> {
    let all = caches.policies.state();
    let age = |p: &BackupPolicy| {
        let created = p.metadata.creation_timestamp.as_ref().map(|t| t.0);
        (created, p.name_any())
    };
    let others = all.iter().filter_map(|other| other.0.as_ref().ok());
    let same = others.filter(|other| {
        other.namespace() == policy.namespace()
            && other.uid() != policy.uid()
            && other.metadata.deletion_timestamp.is_none()
            && other.spec.store_ref.name == policy.spec.store_ref.name
            && directory(other) == directory(policy)
            && age(other) < age(policy)
    });
    same.min_by_key(|other| age(other))
        .map(ResourceExt::name_any)
}

/// Every readable Backup that names the policy, in the order of their names.
#[must_use]
pub fn backups_of(caches: &Caches, namespace: &str, policy: &str) -> Vec<Backup> {
    let all = caches.backups.state();
    let readable = all.iter().filter_map(|backup| backup.0.as_ref().ok());
    let mut ours: Vec<Backup> = readable
        .filter(|b| b.metadata.namespace.as_deref() == Some(namespace))
        .filter(|b| b.spec.policy_ref.name == policy)
        .cloned()
        .collect();
    ours.sort_by_key(ResourceExt::name_any);
    ours
}

/// Every readable drill of the policy, in the order of their names.
fn drills_of(caches: &Caches, namespace: &str, policy: &str) -> Vec<RestoreDrill> {
    let all = caches.drills.state();
    let readable = all.iter().filter_map(|drill| drill.0.as_ref().ok());
    let mut ours: Vec<RestoreDrill> = readable
        .filter(|d| d.metadata.namespace.as_deref() == Some(namespace))
        .filter(|d| d.spec.policy_ref.name == policy)
        .cloned()
        .collect();
    ours.sort_by_key(ResourceExt::name_any);
    ours
}
