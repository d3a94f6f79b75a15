//! What a run made for itself, and that it is to be looked after when it goes. Pure.

use kube::ResourceExt;

use super::decide::{Case, is_unsettled};
use crate::api::condition::{COMPLETE, is_true};
use crate::api::{MIGRATION_FINALIZER, MigrationRunStatus};
use crate::cluster::decision::{Decision, Effect};

impl Case<'_> {
    /// Nothing is left to do but to tidy up what was made for it.
    pub(super) fn over(&self, old: MigrationRunStatus) -> Decision<MigrationRunStatus> {
        // One that failed is looked into by a person, and goes with the run.
        let mut effects = match is_true(&old.conditions, COMPLETE) {
            true => self.without_drills(),
            false => Vec::new(),
        };
        // What it left half done is looked after once more when it goes.
        if !is_unsettled(&old) {
            effects.extend(self.without_finalizer());
        }
        Decision {
            effects,
            ..Decision::quiet(old)
        }
    }

    /// Deletes the drills that it made.
    fn without_drills(&self) -> Vec<Effect> {
        let namespace = self.namespace();
        let ours = self.seen.gate_drills.iter().filter(|d| self.is_ours(*d));
        ours.map(|drill| Effect::DeleteDrill {
            namespace: namespace.clone(),
            name: drill.name_any(),
            uid: drill.uid().unwrap_or_default(),
        })
        .collect()
    }

    /// Whether this very run controls it.
    pub(super) fn is_ours<K: ResourceExt>(&self, object: &K) -> bool {
        let uid = self.seen.run.uid();
        let mut owners = object.owner_references().iter();
        owners.any(|o| o.controller == Some(true) && Some(&o.uid) == uid.as_ref())
    }

    pub(super) fn has_finalizer(&self) -> bool {
        let all = self.seen.run.finalizers();
        all.iter().any(|f| f == MIGRATION_FINALIZER)
    }

    pub(super) fn without_finalizer(&self) -> Option<Effect> {
        let mut finalizers = self.seen.run.finalizers().to_vec();
        finalizers.retain(|f| f != MIGRATION_FINALIZER);
        self.has_finalizer().then(|| self.finalizers(finalizers))
    }

    pub(super) fn with_finalizer(&self) -> Effect {
        let mut finalizers = self.seen.run.finalizers().to_vec();
        finalizers.push(MIGRATION_FINALIZER.to_owned());
        self.finalizers(finalizers)
    }

    fn finalizers(&self, finalizers: Vec<String>) -> Effect {
        Effect::SetFinalizers {
            namespace: self.namespace(),
            name: self.seen.run.name_any(),
            version: self.seen.run.resource_version().unwrap_or_default(),
            finalizers,
        }
    }
}
