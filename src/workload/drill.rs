//! The Job of one drill: `work` beside a scratch server that holds no credential at all.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt;

use super::job::{Parts, finish, owner_of};
use super::pod::{self, Run, Sidecar};
use super::volumes::{self, Mounted};
use super::{Settings, tasks};
use crate::api::{BackupPolicy, BackupStore, RestoreDrill, name};
use crate::task::{SERVER_DIR, Task, VOLUME_DIR};

/// Name of the scratch server's container.
pub const SERVER_CONTAINER: &str = "postgres";
/// Room for orders, answers and the server's log.
const SERVER_LIMIT: &str = "256Mi";
/// PostgreSQL's shared memory for parallel work; what a container gets by itself breaks parallel index builds (K13).
const SHM_LIMIT: &str = "256Mi";
/// What extensions put beside the data.
const TMP_LIMIT: &str = "256Mi";
/// Least size of the server's volume.
const LEAST_BYTES: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// What `decide` settled about one attempt of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillPlan {
    /// Name of the run.
    pub run: String,
    /// Number of the attempt, from 1.
    pub attempt: i32,
    /// When the run was due.
    pub due: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Folder of the policy in the store.
    pub directory: String,
    /// The worker ends itself after this.
    pub deadline: Duration,
    /// Major of the backup, as far as it is known. Without it the chart's default runs (K20).
    pub major: Option<i32>,
    /// Bytes that pg_dump wrote of the backup, as far as they are known.
    pub raw_bytes: i64,
    /// It restores by the break-glass script too.
    pub break_glass: bool,
}

/// The Job of one attempt, controlled by the drill. The database's Secret is in none of its containers (P9), and the
/// scratch server sees neither the store's nor the identity.
#[must_use]
pub fn drill_job(
    settings: &Settings,
    policy: &BackupPolicy,
    store: &BackupStore,
    drill: &RestoreDrill,
    plan: &DrillPlan,
) -> Job {
    let template = policy.spec.template.clone().unwrap_or_default();
    let image = image(settings, policy, drill, plan.major);
    let task = tasks::drill(policy, store, drill, plan, &image);
    let parts = (policy, store, drill);
    let spec = beside_a_server(settings, parts, &image, plan.raw_bytes, &task);
    finish(Parts {
        name: name::drill_job(&plan.run, plan.attempt),
        task: "drill",
        owner: owner_of(drill),
        namespace: drill.namespace().unwrap_or_default(),
        policy_uid: policy.uid(),
        template,
        work: task,
        spec,
    })
}

/// The scratch server's image: the drill's, the policy's, else the chart's of that major.
pub(super) fn image(
    settings: &Settings,
    policy: &BackupPolicy,
    drill: &RestoreDrill,
    major: Option<i32>,
) -> String {
    let own = drill.spec.postgres.as_ref().and_then(|p| p.image.clone());
    let template = policy.spec.template.as_ref();
    own.or_else(|| template.and_then(|t| t.postgres_image.clone()))
        .unwrap_or_else(|| settings.postgres_image_for(major.unwrap_or(settings.default_major)))
}

/// `work`, which sees the store's Secret and the identity, beside a server that sees neither.
pub(super) fn beside_a_server(
    settings: &Settings,
    (policy, store, drill): (&BackupPolicy, &BackupStore, &RestoreDrill),
    image: &str,
    raw_bytes: i64,
    task: &Task,
) -> PodSpec {
    let template = policy.spec.template.clone().unwrap_or_default();
    let postgres = drill.spec.postgres.as_ref();
    let shared = [
        volumes::empty("server", false, SERVER_LIMIT, SERVER_DIR),
        volume(policy, drill, raw_bytes),
    ];
    let mut mounts = volumes::store(&store.spec);
    let identity = drill.spec.identity_ref.as_ref();
    mounts.extend(identity.map(|secret| volumes::identity(&secret.name)));
    mounts.extend(shared.clone());
    let run = Run::InPostgresImage(image.to_owned());
    let mut spec = pod::spec(settings, &template, run, task, mounts);
    let mut beside = shared.to_vec();
    beside.push(volumes::empty("shm", true, SHM_LIMIT, "/dev/shm"));
    beside.push(volumes::empty("tmp", false, TMP_LIMIT, "/tmp"));
    let server = Sidecar {
        name: SERVER_CONTAINER,
        image,
        command: "scratch-server",
        resources: postgres.and_then(|p| p.resources.as_ref()),
    };
    pod::beside(settings, &mut spec, server, beside);
    spec
}

/// Where the server's data and the fetched dump lie: the node's own disk, or a volume of the class that is named.
fn volume(policy: &BackupPolicy, drill: &RestoreDrill, raw_bytes: i64) -> Mounted {
    let storage = drill
        .spec
        .postgres
        .as_ref()
        .and_then(|p| p.storage.as_ref());
    let size = storage.and_then(|s| s.size.clone());
    let size = size.unwrap_or_else(|| default_size(policy, raw_bytes));
    match storage.and_then(|s| s.class_name.as_ref()) {
        Some(class) => volumes::ephemeral("volume", class, &size, VOLUME_DIR),
        None => volumes::empty("volume", false, &size, VOLUME_DIR),
    }
}

/// Three times what the database has, for indexes and what building them takes, and the dump.
fn default_size(policy: &BackupPolicy, raw_bytes: i64) -> String {
    let facts = policy.status.as_ref().and_then(|s| s.database.as_ref());
    let database = facts.and_then(|d| d.bytes).unwrap_or_default();
    let whole = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
    let bytes = whole(database)
        .saturating_mul(3)
        .saturating_add(whole(raw_bytes))
        .max(LEAST_BYTES);
    format!("{}Mi", bytes.div_ceil(MIB))
}
