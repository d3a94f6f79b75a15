//! What is there of a Backup: the caches only, never the API server (K16).

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::{Observed, another_goes_first, attempt_to_watch};
use super::line;
use crate::api::{Backup, BackupPolicy, BackupStore, name};
use crate::cluster::{Caches, Context};
use crate::drill::proven::{self, Proof};

/// Gathers what deciding needs.
#[must_use]
pub fn observe(context: &Context, backup: Backup, now: Timestamp) -> Observed {
    let namespace = backup.namespace().unwrap_or_default();
    let uid = backup.uid().unwrap_or_default();
    let caches = &context.caches;
    let policy: Option<BackupPolicy> =
        Caches::get(&caches.policies, &namespace, &backup.spec.policy_ref.name);
    let store: Option<BackupStore> = policy
        .as_ref()
        .and_then(|p| Caches::get(&caches.stores, &namespace, &p.spec.store_ref.name));
    let job = name::backup_job(&backup.name_any(), attempt_to_watch(&backup));
    Observed {
        job: context.job_named(&namespace, &job, "backup", &uid, now),
        pin_jobs: context.jobs_of(&namespace, "pin", &uid, now),
        others_running: others_first(caches, &namespace, &backup),
        migrating: policy.as_ref().and_then(|p| migrating(context, p)),
        proof: proof(caches, &namespace, &backup),
        namespace_terminating: context.is_terminating(&namespace, now),
        policy,
        store,
        backup,
    }
}

fn others_first(caches: &Caches, namespace: &str, backup: &Backup) -> bool {
    let all = caches.backups.state();
    let readable = all.iter().filter_map(|other| other.0.as_ref().ok());
    let here = readable.filter(|b| b.metadata.namespace.as_deref() == Some(namespace));
    another_goes_first(backup, here)
}

fn migrating(context: &Context, policy: &BackupPolicy) -> Option<String> {
    let all = context.runs();
    let readable = all.iter().filter_map(|run| run.0.as_ref().ok());
    line::migrating(policy, &context.settings.shared_servers, readable)
}

fn proof(caches: &Caches, namespace: &str, backup: &Backup) -> Option<Proof> {
    let all = caches.drills.state();
    let readable = all.iter().filter_map(|drill| drill.0.as_ref().ok());
    let here = readable.filter(|d| d.metadata.namespace.as_deref() == Some(namespace));
    proven::of_backup(backup, here)
}
