//! The watches, and what each wakes.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::caches::{Guarded, Writers};
use super::context::Context;
use super::tasks::Tasks;
use crate::api::{
    Backup, BackupPolicy, BackupStore, LABEL_TASK, MigrationApproval, MigrationRun, RestoreDrill,
};
use crate::telemetry::Metrics;

/// A watch says at least so often that it is alive.
const BEAT: Duration = Duration::from_secs(30);

/// Starts the watches of a scope; each ends with the process.
pub fn watch_all(
    context: &Arc<Context>,
    writers: Writers,
    namespace: Option<&str>,
    tasks: &mut Tasks,
) {
    let ours = watcher::Config::default().labels(LABEL_TASK);
    let all = watcher::Config::default();
    let client = &context.client;
    let mut start = |kind: &str, task: futures::future::BoxFuture<'static, ()>| {
        drop(tasks.start(&context.watch_of(kind), task));
    };
    let c = context.clone();
    let changed = move |x: &Guarded<BackupStore>| c.queues.store_changed(&c.caches, x);
    start(
        "BackupStore",
        guarded(
            context,
            api(client, namespace),
            all.clone(),
            writers.stores,
            changed,
        ),
    );
    let c = context.clone();
    let changed = move |x: &Guarded<BackupPolicy>| {
        c.queues.policy_changed(&c.caches, x);
        // It may have gone.
        if c.caches.policies.get(&ObjectRef::from_obj(x)).is_none() {
            c.forget_gone_policies();
        }
    };
    start(
        "BackupPolicy",
        guarded(
            context,
            api(client, namespace),
            all.clone(),
            writers.policies,
            changed,
        ),
    );
    let c = context.clone();
    let changed = move |x: &Guarded<Backup>| c.backup_changed(x);
    start(
        "Backup",
        guarded(
            context,
            api(client, namespace),
            all.clone(),
            writers.backups,
            changed,
        ),
    );
    let c = context.clone();
    let changed = move |x: &Guarded<RestoreDrill>| c.queues.drill_changed(&c.caches, x);
    start(
        "RestoreDrill",
        guarded(
            context,
            api(client, namespace),
            all.clone(),
            writers.drills,
            changed,
        ),
    );
    let c = context.clone();
    let changed = move |x: &Guarded<MigrationRun>| c.run_changed(x);
    start(
        "MigrationRun",
        guarded(
            context,
            api(client, namespace),
            all.clone(),
            writers.runs,
            changed,
        ),
    );
    let c = context.clone();
    let changed = move |x: &Guarded<MigrationApproval>| c.queues.approval_changed(x);
    start(
        "MigrationApproval",
        guarded(
            context,
            api(client, namespace),
            all,
            writers.approvals,
            changed,
        ),
    );
    let c = context.clone();
    start(
        "Job",
        Box::pin(watch(
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
        )),
    );
    let c = context.clone();
    start(
        "Pod",
        Box::pin(watch(
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
        )),
    );
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
    let name = context.watch_of(&kind);
    let mut stream = Box::pin(watcher(api, config).modify(trim).default_backoff());
    loop {
        context.health.moved(&name);
        let Ok(next) = tokio::time::timeout(BEAT, stream.try_next()).await else {
            continue;
        };
        match next {
            Ok(Some(event)) => {
                context.health.came(&name);
                writer.apply_watcher_event(&event);
                match &event {
                    Event::Apply(object) => on(Seen::Changed(object)),
                    Event::Delete(object) => on(Seen::Deleted(object)),
                    Event::InitApply(object) => on(Seen::Listed(object)),
                    Event::Init => {}
                    Event::InitDone => {
                        on(Seen::Relisted);
                        context.forget_gone_policies();
                        context.resync();
                    }
                }
            }
            Ok(None) => return,
            Err(error) => {
                context.health.failed(&name);
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
