//! What is there of a store: the caches only, never the API server (K16).

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Observed;
use crate::api::BackupStore;
use crate::cluster::{Caches, Context};

/// Gathers what deciding needs.
#[must_use]
pub fn observe(context: &Context, store: BackupStore, now: Timestamp) -> Observed {
    let namespace = store.namespace().unwrap_or_default();
    let uid = store.uid().unwrap_or_default();
    let status = store.status.as_ref();
    let failed = status.is_some_and(|s| s.last_probe.as_ref().is_some_and(|p| !p.succeeded));
    Observed {
        probe_job: context.newest_job(&namespace, "probe", &uid, now),
        written_at: failed
            .then(|| written_at(&context.caches, &store))
            .flatten(),
        namespace_terminating: context.is_terminating(&namespace, now),
        store,
    }
}

/// When the newest complete backup of all policies that write to it ended.
fn written_at(caches: &Caches, store: &BackupStore) -> Option<Timestamp> {
    let all = caches.policies.state();
    let policies = all.iter().filter_map(|policy| policy.0.as_ref().ok());
    policies
        .filter(|p| p.namespace() == store.namespace() && p.spec.store_ref.name == store.name_any())
        .filter_map(|p| Some(p.status.as_ref()?.last_backup.as_ref()?.finished_at))
        .max()
}
