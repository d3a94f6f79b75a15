//! One scope of the operator: its watches and its controllers, one per kind.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::controller::{Action, applier};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::caches::{self, Guarded};
use super::context::{Clock, Context, lock};
use super::decision::Notice;
use super::ends::Ends;
use super::fault::{self, Fault};
use super::progress::{Tails, read_tails};
use super::queues::Queues;
use super::scopes::Scopes;
use super::tasks::Tasks;
use super::watches;
use super::{Caches, report};
use crate::api::{MIGRATION_FINALIZER, Reason};
use crate::telemetry::Metrics;
use crate::telemetry::probes::Health;
use crate::workload::Settings;
use crate::{backup, drill, migration, policy, store};

/// How long a scope waits until the others have read what is there.
const OTHERS_SYNC: Duration = Duration::from_secs(30);

/// What a scope is made of.
pub struct Parts {
    /// The API server.
    pub client: Client,
    /// The chart's settings.
    pub settings: Settings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// How the watches of this process are.
    pub health: Health,
    /// All scopes of this process; each takes itself in.
    pub scopes: Arc<Scopes>,
}

/// A scope that runs.
pub struct Running {
    /// What its reconciles hold; tests look into it.
    pub context: Arc<Context>,
    /// Every task by its name; tests end one.
    pub tasks: Vec<(String, AbortHandle)>,
    done: tokio::task::JoinHandle<()>,
    broken: UnboundedReceiver<String>,
}

impl Running {
    /// Returns when a task ended that must not, and says which. Does not return otherwise.
    pub async fn broken(&mut self) -> String {
        match self.broken.recv().await {
            Some(what) => what,
            // They have ended because they were told to.
            None => std::future::pending().await,
        }
    }

    /// Returns when every reconcile that was under way has ended.
    pub async fn ended(self) {
        let _ = self.done.await;
    }

    /// Looks at every object again.
    pub fn resync(&self) {
        self.context.resync();
    }
}

/// Starts a scope. It ends when `stop` is cancelled: what is under way is finished, nothing new begun.
#[must_use]
pub fn start(parts: Parts, stop: &CancellationToken) -> Running {
    let (caches, writers) = Caches::new();
    let (queues, receivers) = Queues::new();
    parts.scopes.join(&caches, &queues);
    let context = Arc::new(Context {
        recorder: Recorder::new(parts.client.clone(), Reporter::from("lifeboat")),
        client: parts.client,
        caches,
        queues,
        settings: parts.settings,
        clock: parts.clock,
        metrics: parts.metrics,
        ends: Arc::new(Ends::default()),
        tails: Tails::default(),
        outdated: Mutex::default(),
        terminating: Mutex::new(HashMap::new()),
        admission: Mutex::default(),
        health: parts.health,
        place: parts
            .namespace
            .as_ref()
            .map_or_else(String::new, |name| format!(" in namespace {name}")),
        scopes: parts.scopes,
        failures: Mutex::default(),
        unreadable: Mutex::default(),
    });
    let (mut tasks, broken) = Tasks::new(stop);
    watches::watch_all(&context, writers, parts.namespace.as_deref(), &mut tasks);
    drop(tasks.start(
        &format!("the reader of logs{}", context.place),
        read_tails(context.clone()),
    ));
    let (c, stop) = (context.clone(), stop.clone());
    let controllers = format!("the controllers{}", context.place);
    let done = tasks.start(&controllers, async move {
        // Decisions on half a picture would start what runs already (P6).
        tokio::select! {
            synced = c.caches.synced() => if synced.is_err() { return },
            () = stop.cancelled() => return,
        }
        if !c.settings.shared_servers.is_empty() {
            // Who takes turns with another namespace knows that one first; one that cannot be read holds up the others only so long.
            let all = async {
                for scope in c.scopes.each() {
                    let _ = scope.caches.synced().await;
                }
            };
            tokio::select! {
                _ = tokio::time::timeout(OTHERS_SYNC, all) => {}
                () = stop.cancelled() => return,
            }
        }
        tracing::info!("caches are synced");
        let stores = control(
            &c,
            c.caches.stores.clone(),
            receivers.stores,
            &stop,
            |s, c| Box::pin(store::reconcile(s, c)),
        );
        let policies = control(
            &c,
            c.caches.policies.clone(),
            receivers.policies,
            &stop,
            |p, c| Box::pin(policy::reconcile(p, c)),
        );
        let backups = control(
            &c,
            c.caches.backups.clone(),
            receivers.backups,
            &stop,
            |b, c| Box::pin(backup::reconcile(b, c)),
        );
        let drills = control(
            &c,
            c.caches.drills.clone(),
            receivers.drills,
            &stop,
            |d, c| Box::pin(drill::reconcile(d, c)),
        );
        let runs = control(&c, c.caches.runs.clone(), receivers.runs, &stop, |r, c| {
            Box::pin(migration::reconcile(r, c))
        });
        futures::join!(stores, policies, backups, drills, runs);
    });
    Running {
        context,
        tasks: tasks.running(),
        done,
        broken,
    }
}

type Reconcile<K> =
    fn(K, Arc<Context>) -> futures::future::BoxFuture<'static, Result<Action, Fault>>;

async fn control<K>(
    context: &Arc<Context>,
    store: Store<Guarded<K>>,
    queue: UnboundedReceiver<ObjectRef<Guarded<K>>>,
    stop: &CancellationToken,
    reconcile: Reconcile<K>,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let kind = report::kind_of::<K>();
    let requests = futures::stream::unfold(queue, |mut queue| async move {
        queue
            .recv()
            .await
            .map(|key| (Ok::<_, Infallible>(key), queue))
    });
    let requests = Box::pin(requests.take_until(stop.clone().cancelled_owned()));
    let look = move |object: Arc<Guarded<K>>, context: Arc<Context>| {
        Box::pin(one(object, context, kind, reconcile))
    };
    let on_fault = move |object: Arc<Guarded<K>>, fault: &Fault, context: Arc<Context>| {
        let uid = object.meta().uid.clone().unwrap_or_default();
        fault::policy(&context, kind, &uid, fault)
    };
    applier(
        look,
        on_fault,
        context.clone(),
        store,
        requests,
        caches::controller_config(),
    )
    .for_each(|_| std::future::ready(()))
    .await;
}

/// One look at one object, measured and logged.
async fn one<K>(
    object: Arc<Guarded<K>>,
    context: Arc<Context>,
    kind: &'static str,
    reconcile: Reconcile<K>,
) -> Result<Action, Fault>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let meta = object.meta().clone();
    // What is being deleted is nobody's business but for those that asked to be looked after first (M24).
    let waits = meta.finalizers.as_deref().unwrap_or_default();
    let waits = waits.iter().any(|f| f == MIGRATION_FINALIZER);
    if meta.deletion_timestamp.is_some() && !waits {
        return Ok(Action::await_change());
    }
    let timer = context.metrics.reconcile_timer();
    let outcome = match &object.0 {
        Ok(readable) => reconcile(readable.clone(), context.clone()).await,
        Err(invalid) => {
            report_undecodable(&context, &*object, &invalid.error).await;
            Ok(Action::await_change())
        }
    };
    let label = outcome.as_ref().map_or_else(Fault::label, |_| "ok");
    timer.stop(kind, label);
    let (namespace, name) = (
        meta.namespace.unwrap_or_default(),
        meta.name.unwrap_or_default(),
    );
    match &outcome {
        Ok(_) => {
            let key = format!("{kind}/{}", meta.uid.unwrap_or_default());
            lock(&context.failures).remove(&key);
        }
        Err(fault) if fault.is_quiet() => {
            tracing::debug!(kind, namespace, name, "looking again later: {fault}");
        }
        Err(fault) => {
            tracing::warn!(kind, namespace, name, "failed to reconcile: {fault}");
            let told = match fault {
                Fault::NameCollision {
                    kind: other,
                    name,
                    made,
                } => Some((
                    Reason::NameCollision,
                    format!(
                        "{other} {name} exists and is not Lifeboat's{made}; rename or delete it"
                    ),
                )),
                Fault::TaskTooLong(_) => {
                    Some((Reason::InvalidSpec, format!("{fault}: shorten the spec")))
                }
                _ => None,
            };
            if let Some((reason, message)) = told {
                let notice = Notice {
                    warning: true,
                    reason,
                    message,
                };
                report::tell(&context, &*object, &notice).await;
            }
        }
    }
    outcome
}

async fn report_undecodable<K>(context: &Context, object: &Guarded<K>, error: &str)
where
    K: Resource<DynamicType = ()>,
{
    let meta = object.meta();
    let (uid, version) = (
        meta.uid.as_deref().unwrap_or_default(),
        meta.resource_version.clone().unwrap_or_default(),
    );
    // Once per version of the object: at rest nothing is written.
    if lock(&context.unreadable).insert(uid, version.clone()) == Some(version) {
        return;
    }
    let notice = Notice {
        warning: true,
        reason: Reason::Undecodable,
        message: format!("this object cannot be read, so nothing is done for it: {error}"),
    };
    report::tell(context, object, &notice).await;
}
