//! What the watches saw, and the watches that keep it so.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, controller};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::context::Context;
use crate::api::{
    Backup, BackupPolicy, BackupStore, LABEL_TASK, MigrationApproval, MigrationRun, RestoreDrill,
};
use crate::telemetry::Metrics;

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

/// Starts the watches of a scope; each ends with the process.
pub fn watch_all(context: &Arc<Context>, writers: Writers, namespace: Option<&str>) {
    let ours = watcher::Config::default().labels(LABEL_TASK);
    let all = watcher::Config::default();
    let client = &context.client;
    let start = |task: futures::future::BoxFuture<'static, ()>| {
        tokio::spawn(task);
    };
    let c = context.clone();
    let changed = move |x: &Guarded<BackupStore>| c.queues.store_changed(&c.caches, x);
    start(guarded(
        context,
        api(client, namespace),
        all.clone(),
        writers.stores,
        changed,
    ));
    let c = context.clone();
    let changed = move |x: &Guarded<BackupPolicy>| {
        c.queues.policy_changed(&c.caches, x);
        // It may have gone.
        if c.caches.policies.get(&ObjectRef::from_obj(x)).is_none() {
            c.forget_gone_policies();
        }
    };
    start(guarded(
        context,
        api(client, namespace),
        all.clone(),
        writers.policies,
        changed,
    ));
    let c = context.clone();
    let changed = move |x: &Guarded<Backup>| c.backup_changed(x);
    start(guarded(
        context,
        api(client, namespace),
        all.clone(),
        writers.backups,
        changed,
    ));
    let c = context.clone();
    let changed = move |x: &Guarded<RestoreDrill>| c.queues.drill_changed(&c.caches, x);
    start(guarded(
        context,
        api(client, namespace),
        all.clone(),
        writers.drills,
        changed,
    ));
    let c = context.clone();
    let changed = move |x: &Guarded<MigrationRun>| c.run_changed(x);
    start(guarded(
        context,
        api(client, namespace),
        all.clone(),
        writers.runs,
        changed,
    ));
    let c = context.clone();
    let changed = move |x: &Guarded<MigrationApproval>| c.queues.approval_changed(x);
    start(guarded(
        context,
        api(client, namespace),
        all,
        writers.approvals,
        changed,
    ));
    let c = context.clone();
    start(Box::pin(watch(
        context.clone(),
        api(client, namespace),
        ours.clone(),
        writers.jobs,
        trim,
        move |event: Seen<'_, Job>| {
            if let Seen::Changed(job) | Seen::Listed(job) | Seen::Deleted(job) = event {
                c.queues.job_changed(job);
            }
        },
    )));
    let c = context.clone();
    start(Box::pin(watch(
        context.clone(),
        api(client, namespace),
        ours,
        writers.pods,
        trim_pod,
        move |event: Seen<'_, Pod>| match event {
            Seen::Listed(pod) => c.ends.saw_pod(pod),
            Seen::Changed(pod) | Seen::Deleted(pod) => {
                c.ends.saw_pod(pod);
                c.queues.pod_changed(&c.caches, pod);
            }
            Seen::Relisted => {}
        },
    )));
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The watch of a kind of ours: counts what does not decode.
fn guarded<K>(
    context: &Arc<Context>,
    api: Api<Guarded<K>>,
    config: watcher::Config,
    writer: Writer<Guarded<K>>,
    changed: impl Fn(&Guarded<K>) + Send + 'static,
) -> futures::future::BoxFuture<'static, ()>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static,
{
    let mut bad = Undecodable::new(K::kind(&()).into_owned(), context.metrics.clone());
    Box::pin(watch(
        context.clone(),
        api,
        config,
        writer,
        trim,
        move |event: Seen<'_, Guarded<K>>| match event {
            Seen::Changed(object) => {
                bad.note(object, false);
                changed(object);
            }
            Seen::Listed(object) => bad.note(object, false),
            Seen::Deleted(object) => {
                bad.note(object, true);
                changed(object);
            }
            Seen::Relisted => {}
        },
    ))
}

/// The uids of one kind's objects that do not decode.
struct Undecodable {
    kind: String,
    metrics: Metrics,
    uids: HashSet<String>,
}

impl Undecodable {
    fn new(kind: String, metrics: Metrics) -> Self {
        Self {
            kind,
            metrics,
            uids: HashSet::new(),
        }
    }

    fn note<K: Resource<DynamicType = ()>>(&mut self, object: &Guarded<K>, gone: bool) {
        let uid = object.meta().uid.clone().unwrap_or_default();
        let changed = match (&object.0, gone) {
            (Err(_), false) => self.uids.insert(uid).then_some(1),
            _ => self.uids.remove(&uid).then_some(-1),
        };
        if let Some(by) = changed {
            self.metrics.undecodable(&self.kind, by);
        }
    }
}

/// What a watch brings, after the cache has it.
enum Seen<'a, K> {
    /// One object changed or came.
    Changed(&'a K),
    /// One object of a list, before the cache has the list.
    Listed(&'a K),
    /// One object went; this is its last state.
    Deleted(&'a K),
    /// A full list is in the cache.
    Relisted,
}

/// Keeps one cache. Errors are logged and counted; the watch goes on with a pause that grows.
async fn watch<K>(
    context: Arc<Context>,
    api: Api<K>,
    config: watcher::Config,
    mut writer: Writer<K>,
    trim: fn(&mut K),
    mut on: impl FnMut(Seen<'_, K>),
) where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + 'static,
{
    let kind = K::kind(&()).into_owned();
    let mut stream = Box::pin(watcher(api, config).modify(trim).default_backoff());
    loop {
        match stream.try_next().await {
            Ok(Some(event)) => {
                writer.apply_watcher_event(&event);
                match &event {
                    Event::Apply(object) => on(Seen::Changed(object)),
                    Event::Delete(object) => on(Seen::Deleted(object)),
                    Event::InitApply(object) => on(Seen::Listed(object)),
                    Event::Init => {}
                    Event::InitDone => {
                        on(Seen::Relisted);
                        context.forget_gone_policies();
                        context.queues.everything(&context.caches);
                    }
                }
            }
            Ok(None) => return,
            Err(error) => {
                context.metrics.watch_error(&kind);
                tracing::warn!(kind, "failed to watch: {error}");
            }
        }
    }
}

/// Nobody here reads who owns which field.
fn trim<K: ResourceExt>(object: &mut K) {
    object.managed_fields_mut().clear();
}

/// Of a pod only its name, owner, labels and status count.
fn trim_pod(pod: &mut Pod) {
    trim(pod);
    pod.annotations_mut().clear();
    pod.spec = None;
}

/// Debounce: several changes within it are one look.
pub(super) fn controller_config() -> controller::Config {
    controller::Config::default()
        .concurrency(8)
        .debounce(std::time::Duration::from_millis(100))
}
