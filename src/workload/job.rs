//! The Jobs of backups, checks and probes, and what every Job of ours has.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use super::pod::{self, Run};
use super::{Settings, ours, tasks, volumes};
use crate::api::shared::PodTemplate;
use crate::api::{
    Backup, BackupPolicy, BackupStore, LABEL_OWNER_UID, LABEL_POLICY_UID, LABEL_TASK, REQUESTED_AT,
    TASK_SHA256, name,
};
use crate::task::Task;

/// A pod that has not begun to work this long after its Job's creation is given up (K3).
pub const START_DEADLINE: Duration = Duration::from_secs(900);
/// A check or probe that takes longer ends itself.
pub const UPKEEP_DEADLINE: Duration = Duration::from_secs(180);
/// What the pod gets beyond the worker's deadline: the worker ends itself first (K3).
const POD_SLACK: Duration = Duration::from_secs(120);
/// What the Job gets beyond start and deadline. Only the net, because it deletes the pod (K3).
const JOB_SLACK: Duration = Duration::from_secs(300);
/// Backstop for Jobs whose result nobody took (K16).
const KEEP_FINISHED_SECONDS: i32 = 86_400;

/// What `decide` settled about one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPlan {
    /// Number of the attempt, from 1.
    pub attempt: i32,
    /// Number of the last attempt.
    pub attempts: i32,
    /// Due time, or the creation time of a manual Backup.
    pub due: Timestamp,
    /// Folder of the policy in the store.
    pub directory: String,
    /// The worker ends itself after this.
    pub deadline: Duration,
    /// Major of the server, as far as it is known. Without it the chart's default runs (K20).
    pub major: Option<i32>,
    /// Tiers the backup counts for.
    pub tiers: Vec<String>,
}

/// The Job of one attempt of a Backup, controlled by the Backup.
#[must_use]
pub fn backup_job(
    settings: &Settings,
    policy: &BackupPolicy,
    store: &BackupStore,
    backup: &Backup,
    plan: &BackupPlan,
) -> Job {
    let template = policy.spec.template.clone().unwrap_or_default();
    let image = template.postgres_image.clone().unwrap_or_else(|| {
        settings.postgres_image_for(plan.major.unwrap_or(settings.default_major))
    });
    let task = tasks::backup(policy, store, backup, plan);
    let mut mounts = volumes::database(&policy.spec.database);
    mounts.extend(volumes::store(&store.spec));
    let spec = pod::spec(
        settings,
        &template,
        Run::InPostgresImage(image),
        &task,
        mounts,
    );
    finish(Parts {
        name: name::backup_job(&backup.name_any(), plan.attempt),
        task: "backup",
        owner: owner_of(backup),
        namespace: backup.namespace().unwrap_or_default(),
        policy_uid: policy.uid(),
        template,
        work: task,
        spec,
    })
}

/// The Job of one check, controlled by the policy. `round` tells its tries apart. It needs no PostgreSQL, but runs in the policy's own
/// image for it where there is one: that it cannot be pulled is known before a backup is due.
#[must_use]
pub fn check_job(settings: &Settings, policy: &BackupPolicy, round: &str) -> Job {
    let template = policy.spec.template.clone().unwrap_or_default();
    let task = tasks::check(policy);
    let mounts = volumes::database(&policy.spec.database);
    let image = template.postgres_image.clone();
    let run = image.map_or(Run::InOwnImage, Run::InPostgresImage);
    let spec = pod::spec(settings, &template, run, &task, mounts);
    finish(Parts {
        name: upkeep_name(policy, "check", round),
        task: "check",
        owner: owner_of(policy),
        namespace: policy.namespace().unwrap_or_default(),
        policy_uid: policy.uid(),
        template,
        work: task,
        spec,
    })
}

/// What `decide` settled about telling the store of a pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinPlan {
    /// Name of the Job.
    pub name: String,
    /// Folder of the backup, below the store's prefix.
    pub prefix: String,
    /// Generation of the Backup's spec.
    pub order: i64,
    /// Whether it is to be kept.
    pub pinned: bool,
}

/// The Job that tells the store whether a backup is to be kept, controlled by the Backup.
#[must_use]
pub fn pin_job(
    settings: &Settings,
    policy: &BackupPolicy,
    store: &BackupStore,
    backup: &Backup,
    plan: &PinPlan,
) -> Job {
    let template = policy.spec.template.clone().unwrap_or_default();
    let task = tasks::pin(store, backup, plan);
    let mounts = volumes::store(&store.spec);
    let spec = pod::spec(settings, &template, Run::InOwnImage, &task, mounts);
    finish(Parts {
        name: plan.name.clone(),
        task: "pin",
        owner: owner_of(backup),
        namespace: backup.namespace().unwrap_or_default(),
        policy_uid: policy.uid(),
        template,
        work: task,
        spec,
    })
}

/// The Job of one probe, controlled by the store. `round` tells its tries apart.
#[must_use]
pub fn probe_job(settings: &Settings, store: &BackupStore, round: &str) -> Job {
    let template = store.spec.template.clone().unwrap_or_default();
    let task = tasks::probe(store);
    let mounts = volumes::store(&store.spec);
    let spec = pod::spec(settings, &template, Run::InOwnImage, &task, mounts);
    finish(Parts {
        name: upkeep_name(store, "probe", round),
        task: "probe",
        owner: owner_of(store),
        namespace: store.namespace().unwrap_or_default(),
        policy_uid: None,
        template,
        work: task,
        spec,
    })
}

fn upkeep_name<K: ResourceExt>(object: &K, task: &str, round: &str) -> String {
    let uid = object.uid().unwrap_or_default();
    let generation = object.meta().generation.unwrap_or_default();
    let requested = object.annotations().get(REQUESTED_AT);
    let requested = requested.map_or("", String::as_str);
    name::upkeep_job(&object.name_any(), task, &uid, generation, requested, round)
}

/// Controller reference without `blockOwnerDeletion`, which would need a right on finalizers.
#[must_use]
pub fn owner_of<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        uid: owner.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// What the Jobs differ in.
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) task: &'static str,
    pub(super) owner: OwnerReference,
    pub(super) namespace: String,
    pub(super) policy_uid: Option<String>,
    pub(super) template: PodTemplate,
    pub(super) work: Task,
    pub(super) spec: PodSpec,
}

pub(super) fn finish(parts: Parts) -> Job {
    let mut labels: BTreeMap<String, String> = [
        (LABEL_TASK, parts.task.to_owned()),
        (LABEL_OWNER_UID, parts.owner.uid.clone()),
        ("app.kubernetes.io/name", "lifeboat".to_owned()),
        ("app.kubernetes.io/managed-by", "lifeboat".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if let Some(uid) = parts.policy_uid {
        labels.insert(LABEL_POLICY_UID.to_owned(), uid);
    }
    // The template's labels first: ours win (K32 refuses the overlap, this makes it certain).
    let mut pod_labels = parts.template.labels;
    pod_labels.extend(labels.clone());
    let annotations = parts.template.annotations;
    let hash = ours::task_document(&parts.spec).map(ours::task_hash);
    let hash = hash.map(|hash| (TASK_SHA256.to_owned(), hash));
    let deadline = Duration::from_secs(parts.work.deadline_seconds);
    let pod = PodSpec {
        active_deadline_seconds: Some(seconds(deadline + POD_SLACK)),
        ..parts.spec
    };
    Job {
        metadata: ObjectMeta {
            name: Some(parts.name),
            namespace: Some(parts.namespace),
            labels: Some(labels),
            annotations: Some(hash.into_iter().collect()),
            owner_references: Some(vec![parts.owner]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            active_deadline_seconds: Some(seconds(START_DEADLINE + deadline + JOB_SLACK)),
            backoff_limit: Some(0),
            completions: Some(1),
            parallelism: Some(1),
            pod_replacement_policy: Some("Failed".to_owned()),
            ttl_seconds_after_finished: Some(KEEP_FINISHED_SECONDS),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(pod_labels),
                    annotations: (!annotations.is_empty()).then_some(annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// Seconds of a duration, as the API counts them.
fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
