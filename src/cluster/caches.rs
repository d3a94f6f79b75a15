//! What the watches saw.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::controller;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};

use crate::api::{
    Backup, BackupPolicy, BackupStore, MigrationApproval, MigrationRun, RestoreDrill,
};

/// An object that may not decode: one bad object must not stop the watch of the others.
pub type Guarded<K> = DeserializeGuard<K>;

/// Readers of what the watches saw. `observe` reads nothing else (K16).
#[derive(Clone)]
pub struct Caches {
    /// Stores.
    pub stores: Store<Guarded<BackupStore>>,
    /// Policies.
    pub policies: Store<Guarded<BackupPolicy>>,
    /// Backups.
    pub backups: Store<Guarded<Backup>>,
    /// Drills.
    pub drills: Store<Guarded<RestoreDrill>>,
    /// Migration runs.
    pub runs: Store<Guarded<MigrationRun>>,
    /// Approvals of migration runs.
    pub approvals: Store<Guarded<MigrationApproval>>,
    /// Jobs of ours.
    pub jobs: Store<Job>,
    /// Pods of ours, trimmed.
    pub pods: Store<Pod>,
    /// One waits for the first lists at a time: a store of kube wakes only the task that asked
    /// last, so of two that wait together one would sleep for ever.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The writing ends, each taken by one watch.
pub struct Writers {
    /// Stores.
    pub stores: Writer<Guarded<BackupStore>>,
    /// Policies.
    pub policies: Writer<Guarded<BackupPolicy>>,
    /// Backups.
    pub backups: Writer<Guarded<Backup>>,
    /// Drills.
    pub drills: Writer<Guarded<RestoreDrill>>,
    /// Migration runs.
    pub runs: Writer<Guarded<MigrationRun>>,
    /// Approvals of migration runs.
    pub approvals: Writer<Guarded<MigrationApproval>>,
    /// Jobs.
    pub jobs: Writer<Job>,
    /// Pods.
    pub pods: Writer<Pod>,
}

impl Caches {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Writers) {
        let (stores, stores_in) = reflector::store();
        let (policies, policies_in) = reflector::store();
        let (backups, backups_in) = reflector::store();
        let (drills, drills_in) = reflector::store();
        let (runs, runs_in) = reflector::store();
        let (approvals, approvals_in) = reflector::store();
        let (jobs, jobs_in) = reflector::store();
        let (pods, pods_in) = reflector::store();
        let caches = Self {
            stores,
            policies,
            backups,
            drills,
            runs,
            approvals,
            jobs,
            pods,
            turn: Arc::default(),
        };
        let writers = Writers {
            stores: stores_in,
            policies: policies_in,
            backups: backups_in,
            drills: drills_in,
            runs: runs_in,
            approvals: approvals_in,
            jobs: jobs_in,
            pods: pods_in,
        };
        (caches, writers)
    }

    /// Returns when every cache holds its first full list.
    ///
    /// # Errors
    /// When a watch ended before.
    pub async fn synced(&self) -> Result<(), reflector::store::WriterDropped> {
        let _turn = self.turn.lock().await;
        self.stores.wait_until_ready().await?;
        self.policies.wait_until_ready().await?;
        self.backups.wait_until_ready().await?;
        self.drills.wait_until_ready().await?;
        self.runs.wait_until_ready().await?;
        self.approvals.wait_until_ready().await?;
        self.jobs.wait_until_ready().await?;
        self.pods.wait_until_ready().await
    }

    /// The object of that name, if it is there and decodes.
    #[must_use]
    pub fn get<K>(store: &Store<Guarded<K>>, namespace: &str, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let key: ObjectRef<Guarded<K>> = ObjectRef::new(name).within(namespace);
        store.get(&key)?.0.as_ref().ok().cloned()
    }
}

/// Debounce: several changes within it are one look.
pub(super) fn controller_config() -> controller::Config {
    controller::Config::default()
        .concurrency(8)
        .debounce(Duration::from_millis(100))
}
