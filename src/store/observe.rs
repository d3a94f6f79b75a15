//! What is there of a store: the caches only, never the API server (K16).

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Observed;
use crate::api::BackupStore;
use crate::cluster::Context;

/// Gathers what deciding needs.
#[must_use]
pub fn observe(context: &Context, store: BackupStore, now: Timestamp) -> Observed {
    let namespace = store.namespace().unwrap_or_default();
    let uid = store.uid().unwrap_or_default();
    Observed {
        probe_job: context.newest_job(&namespace, "probe", &uid, now),
        namespace_terminating: context.is_terminating(&namespace, now),
        store,
    }
}
