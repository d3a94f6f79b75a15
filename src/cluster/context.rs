//! What every reconcile holds: client, caches, clock, settings.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};

use super::bounded::Bounded;
use super::caches::Guarded;
use super::ends::Ends;
use super::fault::Fault;
use super::progress::Tails;
use super::queues::Queues;
use super::scopes::Scopes;
use super::seen::{Admission, SeenJob};
use super::{Caches, look};
use crate::api::{Backup, LABEL_OWNER_UID, LABEL_TASK, MigrationRun};
use crate::telemetry::Metrics;
use crate::telemetry::probes::Health;
use crate::workload::Settings;
use crate::workload::ours::is_ours;

/// No call to the API server takes longer; watches have their own limits.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a namespace counts as terminating after a create was refused for that.
const TERMINATING_FOR: Duration = Duration::from_secs(300);

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock. The only place that reads it (STYLE 4).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the clock room itself")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// What every reconcile of one scope (all namespaces, or one) holds.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the watches saw.
    pub caches: Caches,
    /// Who is to be looked at again.
    pub queues: Queues,
    /// The chart's settings.
    pub settings: Settings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// Writes Events.
    pub recorder: Recorder,
    /// How pods ended.
    pub ends: Arc<Ends>,
    /// How far running backups are.
    pub tails: Tails,
    /// Kinds whose CRD is older than this operator: their status is not written (K16).
    pub outdated: Mutex<Vec<&'static str>>,
    /// Namespaces that refused a create because they terminate.
    pub terminating: Mutex<HashMap<String, Timestamp>>,
    /// What was seen last of the admission policies, and when (K36).
    pub admission: Mutex<Option<(Timestamp, Admission)>>,
    /// How the watches are.
    pub health: Health,
    /// ` in namespace shop`, where this scope is not all of the cluster.
    pub place: String,
    /// This scope and the others of this process.
    pub scopes: Arc<Scopes>,
    /// Failures in a row, by kind and uid.
    pub failures: Mutex<Bounded<u32>>,
    /// Versions of objects that cannot be read, by uid: told once each.
    pub unreadable: Mutex<Bounded<String>>,
}

impl Context {
    /// The newest Job of a task that an object owns, as far as the caches know.
    #[must_use]
    pub fn newest_job(
        &self,
        namespace: &str,
        task: &str,
        owner_uid: &str,
        now: Timestamp,
    ) -> Option<SeenJob> {
        let jobs = self.owned(namespace, task, owner_uid);
        let newest = jobs
            .into_iter()
            .max_by_key(|job| (job.creation_timestamp().map(|time| time.0), job.name_any()))?;
        Some(self.look_at(&newest, now))
    }

    /// Every Job of a task that an object owns, in the order of their names.
    #[must_use]
    pub fn jobs_of(
        &self,
        namespace: &str,
        task: &str,
        owner_uid: &str,
        now: Timestamp,
    ) -> Vec<SeenJob> {
        let mut jobs = self.owned(namespace, task, owner_uid);
        jobs.sort_by_key(|job| job.name_any());
        jobs.iter().map(|job| self.look_at(job, now)).collect()
    }

    fn owned(&self, namespace: &str, task: &str, owner_uid: &str) -> Vec<Arc<Job>> {
        self.caches.jobs.state_filter(|job| {
            let label = |key: &str| job.labels().get(key).map(String::as_str);
            job.metadata.namespace.as_deref() == Some(namespace)
                && label(LABEL_TASK) == Some(task)
                && is_ours(job, task, owner_uid)
        })
    }

    /// The Job of that name, if that object owns it.
    #[must_use]
    pub fn job_named(
        &self,
        namespace: &str,
        name: &str,
        task: &str,
        owner_uid: &str,
        now: Timestamp,
    ) -> Option<SeenJob> {
        let key: ObjectRef<Job> = ObjectRef::new(name).within(namespace);
        let job = self.caches.jobs.get(&key)?;
        is_ours(&job, task, owner_uid).then(|| self.look_at(&job, now))
    }

    /// What a watch is called.
    #[must_use]
    pub fn watch_of(&self, kind: &str) -> String {
        format!("the watch of {kind}{}", self.place)
    }

    /// Every run that the operator sees: of its own scope, and of those that share a server with somebody.
    #[must_use]
    pub fn runs(&self) -> Vec<Arc<Guarded<MigrationRun>>> {
        let scopes = self.scopes.each();
        scopes.iter().flat_map(|s| s.caches.runs.state()).collect()
    }

    /// After a list nobody knows what was missed: every object, of other scopes too where they wait for this one.
    pub fn resync(&self) {
        self.queues.everything(&self.caches);
        if !self.settings.shared_servers.is_empty() {
            for scope in self.scopes.each() {
                scope.queues.everything(&scope.caches);
            }
        }
    }

    /// Somebody's migration changed: who may wait for it, in whichever scope.
    pub fn run_changed(&self, run: &Guarded<MigrationRun>) {
        self.queues.run_itself(run);
        for scope in self.scopes.each() {
            let shared = &self.settings.shared_servers;
            scope.queues.run_changed(&scope.caches, shared, run);
        }
    }

    /// A Backup changed: who looks at it, and the migrations of its database, in whichever scope.
    pub fn backup_changed(&self, backup: &Guarded<Backup>) {
        self.queues.backup_changed(&self.caches, backup);
        let Ok(readable) = &backup.0 else { return };
        let namespace = backup.namespace().unwrap_or_default();
        let policy = &readable.spec.policy_ref.name;
        let Some(policy) = Caches::get(&self.caches.policies, &namespace, policy) else {
            return;
        };
        for scope in self.scopes.each() {
            let shared = &self.settings.shared_servers;
            scope.queues.runs_on(&scope.caches, shared, &policy);
        }
    }

    /// How many pods of an object's Jobs are not through, Jobs that are gone included.
    #[must_use]
    pub fn pods_at_work(&self, namespace: &str, task: &str, owner_uid: &str) -> usize {
        let pods = self.caches.pods.state_filter(|pod| {
            let label = |key: &str| pod.labels().get(key).map(String::as_str);
            pod.metadata.namespace.as_deref() == Some(namespace)
                && label(LABEL_TASK) == Some(task)
                && label(LABEL_OWNER_UID) == Some(owner_uid)
                && !matches!(look::pod_state(pod), look::PodState::Ended(_))
        });
        pods.len()
    }

    fn look_at(&self, job: &Job, now: Timestamp) -> SeenJob {
        let uid = job.metadata.uid.as_deref();
        let label = |labels: &BTreeMap<String, String>, key: &str| labels.get(key).cloned();
        let of_it = |pod: &Pod| {
            uid.is_some()
                && look::job_uid_of(pod) == uid
                && pod.metadata.namespace == job.metadata.namespace
                && [LABEL_TASK, LABEL_OWNER_UID]
                    .iter()
                    .all(|key| label(pod.labels(), key) == label(job.labels(), key))
        };
        let pods = self.caches.pods.state_filter(of_it);
        let pods: Vec<&Pod> = pods.iter().map(AsRef::as_ref).collect();
        look::seen_job(job, &pods, &self.ends, now)
    }

    /// Metrics speak of no policy that the cache has not. One that exists and does not decode stays as it was last seen.
    pub fn forget_gone_policies(&self) {
        self.metrics.policies.keep(|namespace, name| {
            let key = ObjectRef::new(name).within(namespace);
            self.caches.policies.get(&key).is_some()
        });
    }

    /// Whether the namespace refused a create lately because it is terminating (K23).
    #[must_use]
    pub fn is_terminating(&self, namespace: &str, now: Timestamp) -> bool {
        let seen = lock(&self.terminating);
        seen.get(namespace)
            .is_some_and(|since| now.duration_since(*since).unsigned_abs() < TERMINATING_FOR)
    }

    /// Remembers that a namespace is terminating.
    pub fn note_terminating(&self, namespace: &str) {
        let now = self.clock.now();
        let mut seen = lock(&self.terminating);
        seen.retain(|_, since| now.duration_since(*since).unsigned_abs() < TERMINATING_FOR);
        seen.insert(namespace.to_owned(), now);
    }

    /// Sends one request: bounded in time, counted, its error sorted into who must act.
    ///
    /// # Errors
    /// [`Fault`], never a raw client error.
    pub async fn call<T>(
        &self,
        verb: &'static str,
        kind: &'static str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Fault> {
        let outcome = match tokio::time::timeout(CALL_TIMEOUT, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Fault::of(verb, kind, error)),
            Err(_) => Err(Fault::Timeout { verb, kind }),
        };
        let label = outcome.as_ref().map_or_else(Fault::label, |_| "ok");
        self.metrics.request(verb, kind, label);
        outcome
    }
}

/// Takes a lock; a panic elsewhere does not poison what is plain data.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
