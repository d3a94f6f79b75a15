//! Who is to be looked at again when something changed.
//!
//! One channel per kind. They hold no more than the watches bring: each is drained at once into
//! the scheduler of its controller, which keeps one request per object.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::caches::{Caches, Guarded};
use super::look;
use crate::api::condition::{COMPLETE, FAILED, is_true};
use crate::api::{
    Backup, BackupPolicy, BackupStore, LABEL_OWNER_UID, MigrationApproval, MigrationRun,
    RestoreDrill,
};
use crate::backup::line::awaits_migration;
use crate::migration::line::of_one_database;
use crate::workload::SharedServers;

/// Receiving ends, one per controller.
pub struct Receivers {
    /// Of stores.
    pub stores: UnboundedReceiver<ObjectRef<Guarded<BackupStore>>>,
    /// Of policies.
    pub policies: UnboundedReceiver<ObjectRef<Guarded<BackupPolicy>>>,
    /// Of backups.
    pub backups: UnboundedReceiver<ObjectRef<Guarded<Backup>>>,
    /// Of drills.
    pub drills: UnboundedReceiver<ObjectRef<Guarded<RestoreDrill>>>,
    /// Of migration runs.
    pub runs: UnboundedReceiver<ObjectRef<Guarded<MigrationRun>>>,
}

/// Sending ends.
#[derive(Debug, Clone)]
pub struct Queues {
    stores: UnboundedSender<ObjectRef<Guarded<BackupStore>>>,
    policies: UnboundedSender<ObjectRef<Guarded<BackupPolicy>>>,
    backups: UnboundedSender<ObjectRef<Guarded<Backup>>>,
    drills: UnboundedSender<ObjectRef<Guarded<RestoreDrill>>>,
    runs: UnboundedSender<ObjectRef<Guarded<MigrationRun>>>,
}

/// Whether a Backup has reached its end.
#[must_use]
pub fn is_over(backup: &Backup) -> bool {
    backup.status.as_ref().is_some_and(|status| {
        is_true(&status.conditions, COMPLETE) || is_true(&status.conditions, FAILED)
    })
}

fn is_through(run: &MigrationRun) -> bool {
    let status = run.status.as_ref();
    status.is_some_and(|s| s.finished_at.is_some())
}

impl Queues {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Receivers) {
        let (stores, stores_out) = unbounded_channel();
        let (policies, policies_out) = unbounded_channel();
        let (backups, backups_out) = unbounded_channel();
        let (drills, drills_out) = unbounded_channel();
        let (runs, runs_out) = unbounded_channel();
        let receivers = Receivers {
            stores: stores_out,
            policies: policies_out,
            backups: backups_out,
            drills: drills_out,
            runs: runs_out,
        };
        let queues = Self {
            stores,
            policies,
            backups,
            drills,
            runs,
        };
        (queues, receivers)
    }

    /// Every object there is: after a new list, nobody knows what was missed.
    pub fn everything(&self, caches: &Caches) {
        for store in caches.stores.state() {
            self.store(&store);
        }
        for policy in caches.policies.state() {
            self.policy(&policy);
        }
        for backup in caches.backups.state() {
            self.backup(&backup);
        }
        for drill in caches.drills.state() {
            self.drill(&drill);
        }
        for run in caches.runs.state() {
            self.run(&run);
        }
    }

    fn store(&self, store: &Guarded<BackupStore>) {
        let _ = self.stores.send(ObjectRef::from_obj(store));
    }

    fn policy(&self, policy: &Guarded<BackupPolicy>) {
        let _ = self.policies.send(ObjectRef::from_obj(policy));
    }

    fn backup(&self, backup: &Guarded<Backup>) {
        let _ = self.backups.send(ObjectRef::from_obj(backup));
    }

    fn drill(&self, drill: &Guarded<RestoreDrill>) {
        let _ = self.drills.send(ObjectRef::from_obj(drill));
    }

    fn run(&self, run: &Guarded<MigrationRun>) {
        let _ = self.runs.send(ObjectRef::from_obj(run));
    }

    /// A run changed: itself.
    pub fn run_itself(&self, run: &Guarded<MigrationRun>) {
        self.run(run);
    }

    /// A run changed, of this scope or another: who changes or dumps the same database and may wait for it.
    pub fn run_changed(
        &self,
        caches: &Caches,
        shared: &SharedServers,
        run: &Guarded<MigrationRun>,
    ) {
        let Ok(readable) = &run.0 else { return };
        for other in caches.runs.state() {
            if other
                .0
                .as_ref()
                .is_ok_and(|r| !is_through(r) && of_one_database(readable, r, shared))
            {
                self.run(&other);
            }
        }
        let here = run.namespace();
        for backup in caches.backups.state() {
            let near = shared.together(here.as_deref(), backup.namespace().as_deref());
            if near && backup.0.as_ref().is_ok_and(awaits_migration) {
                self.backup(&backup);
            }
        }
    }

    /// An approval changed: the run that it is for.
    pub fn approval_changed(&self, approval: &Guarded<MigrationApproval>) {
        let Ok(readable) = &approval.0 else { return };
        let namespace = approval.namespace().unwrap_or_default();
        let run = &readable.spec.run_ref.name;
        let _ = self.runs.send(ObjectRef::new(run).within(&namespace));
    }

    /// The runs of a policy that are not over.
    fn runs_of(&self, caches: &Caches, namespace: Option<String>, policy: &str) {
        let of_it = |r: &MigrationRun| r.spec.policy_ref.name == policy;
        self.runs_where(caches, namespace, of_it);
    }

    fn runs_where(
        &self,
        caches: &Caches,
        namespace: Option<String>,
        wanted: impl Fn(&MigrationRun) -> bool,
    ) {
        for run in caches.runs.state() {
            let waits = |r: &MigrationRun| wanted(r) && !is_through(r);
            if run.namespace() == namespace && run.0.as_ref().is_ok_and(waits) {
                self.run(&run);
            }
        }
    }

    /// The runs that were planned for the database of a policy, whichever policy they name themselves.
    pub fn runs_on(&self, caches: &Caches, shared: &SharedServers, policy: &BackupPolicy) {
        let Some(database) = policy.database() else {
            return;
        };
        let here = policy.namespace();
        for run in caches.runs.state() {
            let near = shared.together(here.as_deref(), run.namespace().as_deref());
            let waits = |r: &MigrationRun| near && r.database() == Some(database) && !is_through(r);
            if run.0.as_ref().is_ok_and(waits) {
                self.run(&run);
            }
        }
    }

    /// A store changed: itself, the policies that write to it, their unfinished backups and their drills.
    pub fn store_changed(&self, caches: &Caches, store: &Guarded<BackupStore>) {
        self.store(store);
        let (namespace, name) = (store.namespace(), store.name_any());
        for policy in caches.policies.state() {
            let names_it = |p: &BackupPolicy| p.spec.store_ref.name == name;
            if policy.namespace() == namespace && policy.0.as_ref().is_ok_and(names_it) {
                self.policy_changed(caches, &policy);
            }
        }
    }

    /// A policy changed: itself, its store, through which a backup may have gone, its unfinished backups, its drills, and the backup
    /// it wants tried again (K21).
    pub fn policy_changed(&self, caches: &Caches, policy: &Guarded<BackupPolicy>) {
        self.policy(policy);
        if let Ok(readable) = &policy.0 {
            let namespace = policy.namespace().unwrap_or_default();
            let store = ObjectRef::new(&readable.spec.store_ref.name).within(&namespace);
            let _ = self.stores.send(store);
        }
        let status = policy.0.as_ref().ok().and_then(|p| p.status.as_ref());
        if let Some(again) = status.and_then(|s| s.retried.as_deref()) {
            let namespace = policy.namespace().unwrap_or_default();
            let _ = self.backups.send(ObjectRef::new(again).within(&namespace));
        }
        self.backups_of(caches, policy.namespace(), &policy.name_any(), None);
        self.drills_of(caches, policy.namespace(), &policy.name_any(), |_| true);
        self.runs_of(caches, policy.namespace(), &policy.name_any());
    }

    /// A Backup changed: itself, its policy, its siblings, one of which may wait for it, and drills that wait for a
    /// first backup.
    pub fn backup_changed(&self, caches: &Caches, backup: &Guarded<Backup>) {
        self.backup(backup);
        let Ok(readable) = &backup.0 else { return };
        let policy = &readable.spec.policy_ref.name;
        let namespace = backup.namespace();
        let policy_ref = ObjectRef::new(policy).within(namespace.as_deref().unwrap_or_default());
        let _ = self.policies.send(policy_ref);
        self.backups_of(caches, namespace.clone(), policy, Some(&backup.name_any()));
        let waits = |d: &RestoreDrill| d.status.as_ref().is_none_or(|s| s.last.is_none());
        self.drills_of(caches, namespace.clone(), policy, waits);
        self.runs_of(caches, namespace, policy);
    }

    /// A drill changed: itself, its policy, the backup it drilled last, and its siblings, one of which may wait for it.
    pub fn drill_changed(&self, caches: &Caches, drill: &Guarded<RestoreDrill>) {
        self.drill(drill);
        let Ok(readable) = &drill.0 else { return };
        let policy = &readable.spec.policy_ref.name;
        let namespace = drill.namespace().unwrap_or_default();
        let _ = self
            .policies
            .send(ObjectRef::new(policy).within(&namespace));
        let last = readable.status.as_ref().and_then(|s| s.last.as_ref());
        if let Some(backup) = last.and_then(|last| last.backup.as_deref()) {
            let _ = self.backups.send(ObjectRef::new(backup).within(&namespace));
        }
        let name = drill.name_any();
        self.drills_of(caches, drill.namespace(), policy, |d| d.name_any() != name);
        // One may name a drill of another policy, and wait until that is mended.
        let theirs =
            |r: &MigrationRun| r.spec.policy_ref.name == *policy || r.spec.drill_ref.name == name;
        self.runs_where(caches, drill.namespace(), theirs);
    }

    fn drills_of(
        &self,
        caches: &Caches,
        namespace: Option<String>,
        policy: &str,
        wanted: impl Fn(&RestoreDrill) -> bool,
    ) {
        for drill in caches.drills.state() {
            let names_it = |d: &RestoreDrill| d.spec.policy_ref.name == policy && wanted(d);
            if drill.namespace() == namespace && drill.0.as_ref().is_ok_and(names_it) {
                self.drill(&drill);
            }
        }
    }

    fn backups_of(
        &self,
        caches: &Caches,
        namespace: Option<String>,
        policy: &str,
        except: Option<&str>,
    ) {
        for backup in caches.backups.state() {
            let waits = |b: &Backup| b.spec.policy_ref.name == policy && !is_over(b);
            if backup.namespace() == namespace
                && backup.0.as_ref().is_ok_and(waits)
                && Some(backup.name_any().as_str()) != except
            {
                self.backup(&backup);
            }
        }
    }

    /// A Job changed: the object that controls it. One that ended without a pod in sight is looked
    /// at once more when the pods' watch has had time to catch up.
    pub fn job_changed(&self, job: &Job) {
        self.owner_of(job);
        if look::finished(job).is_some() {
            let (queues, job) = (self.clone(), job.clone());
            tokio::spawn(async move {
                tokio::time::sleep(look::POD_WATCH_LAG + std::time::Duration::from_secs(1)).await;
                queues.owner_of(&job);
            });
        }
    }

    fn owner_of(&self, job: &Job) {
        let namespace = job.namespace().unwrap_or_default();
        let owners = job.metadata.owner_references.as_deref().unwrap_or_default();
        for owner in owners.iter().filter(|o| o.controller == Some(true)) {
            let name = &owner.name;
            match owner.kind.as_str() {
                "BackupStore" => {
                    let _ = self.stores.send(ObjectRef::new(name).within(&namespace));
                }
                "BackupPolicy" => {
                    let _ = self.policies.send(ObjectRef::new(name).within(&namespace));
                }
                "Backup" => {
                    let _ = self.backups.send(ObjectRef::new(name).within(&namespace));
                }
                "RestoreDrill" => {
                    let _ = self.drills.send(ObjectRef::new(name).within(&namespace));
                }
                "MigrationRun" => {
                    let _ = self.runs.send(ObjectRef::new(name).within(&namespace));
                }
                _ => {}
            }
        }
    }

    /// A pod changed: the object that controls its Job.
    pub fn pod_changed(&self, caches: &Caches, pod: &Pod) {
        let Some(uid) = look::job_uid_of(pod) else {
            return;
        };
        let job: Option<Arc<Job>> = caches
            .jobs
            .find(|job| job.meta().uid.as_deref() == Some(uid));
        if let Some(job) = job {
            self.owner_of(&job);
            return;
        }
        // The Job is gone before its pod: a run that is being deleted waits for that one (M24).
        let owner = pod.labels().get(LABEL_OWNER_UID);
        let run = caches
            .runs
            .find(|run| owner.is_some() && run.meta().uid.as_ref() == owner);
        if let Some(run) = run {
            self.run(&run);
        }
    }
}
