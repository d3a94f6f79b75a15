//! The Jobs of a MigrationRun, one for each step.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt;

use super::job::{Parts, finish, owner_of};
use super::pod::{self, Run};
use super::{Settings, drill, tasks, volumes};
use crate::api::migration_run::{MigrationRunSpec, MigrationStep};
use crate::api::{BackupPolicy, BackupStore, LABEL_STEP, MigrationRun, RestoreDrill, name};
use crate::task::{
    ApplyTask, IDENTITY_DIR, IdentityTask, LOGIN_DIR, MigrationTask, RehearseTask, SOURCE_DIR,
    SettleTask, StepTask, TASK_VERSION, Task, Work,
};

/// A worker at the database needs so long to cancel its statement and remove what it left (M24).
const GRACE_SECONDS: i64 = 120;

/// What `decide` settled about one Job.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationJobPlan {
    /// Which step.
    pub step: StepPlan,
    /// Number of the Job among those of its step, from 1.
    pub attempt: i32,
    /// The worker ends itself after this.
    pub deadline: Duration,
    /// Major of the server, as far as it is known. Without it the chart's default runs (K20).
    pub major: Option<i32>,
}

/// Which step, and what it has to know.
#[derive(Debug, Clone, PartialEq)]
pub enum StepPlan {
    /// Reads files and database.
    Plan,
    /// Runs the plan on a restored backup.
    Rehearse(RehearsePlan),
    /// Runs the plan.
    Apply(Box<ApplyTask>),
    /// Asks the history.
    Settle(SettleTask),
}

/// What a rehearsal has to know besides the drill's own words.
#[derive(Debug, Clone, PartialEq)]
pub struct RehearsePlan {
    /// Whose identity, image, storage and network serve it.
    pub drill: Box<RestoreDrill>,
    /// `status.plan.hash`.
    pub plan_hash: String,
    /// Name of the Backup.
    pub backup: String,
    /// Its folder, below the store's prefix.
    pub prefix: String,
    /// Bytes that pg_dump wrote of it, as far as they are known.
    pub raw_bytes: i64,
}

impl StepPlan {
    fn step(&self) -> MigrationStep {
        match self {
            StepPlan::Plan => MigrationStep::Plan,
            StepPlan::Rehearse(_) => MigrationStep::Rehearse,
            StepPlan::Apply(_) => MigrationStep::Apply,
            StepPlan::Settle(_) => MigrationStep::Settle,
        }
    }
}

/// The Job of one step, controlled by the run. A rehearsal holds no credential of the database, neither the policy's nor the
/// migrating role's (P9); all others hold both, because the one says where and the other who.
#[must_use]
pub fn migration_job(
    settings: &Settings,
    (policy, store): (&BackupPolicy, &BackupStore),
    run: &MigrationRun,
    plan: &MigrationJobPlan,
) -> Job {
    let step = plan.step.step();
    let template = policy.spec.template.clone().unwrap_or_default();
    let image = match &plan.step {
        StepPlan::Rehearse(r) => drill::image(settings, policy, &r.drill, plan.major),
        _ => template.postgres_image.clone().unwrap_or_else(|| {
            settings.postgres_image_for(plan.major.unwrap_or(settings.default_major))
        }),
    };
    let job = name::migration_job(&run.name_any(), step.as_str(), plan.attempt);
    let task = task((policy, store), run, plan, &image, &job);
    let spec = match &plan.step {
        StepPlan::Rehearse(rehearse) => {
            let parts = (policy, store, rehearse.drill.as_ref());
            drill::beside_a_server(settings, parts, &image, rehearse.raw_bytes, &task)
        }
        _ => {
            let mut mounts = volumes::database(&policy.spec.database);
            mounts.push(volumes::login(&run.spec.credentials.secret_ref.name));
            mounts.extend(volumes::store(&store.spec));
            // Once planned, the files come from the store: what the ConfigMap says later is not what was approved (M24).
            let source = run.spec.source.config_map_ref.as_ref();
            let source = source.filter(|_| step == MigrationStep::Plan);
            mounts.extend(source.map(|source| volumes::source(&source.name)));
            pod::spec(
                settings,
                &template,
                Run::InPostgresImage(image),
                &task,
                mounts,
            )
        }
    };
    let writes = matches!(step, MigrationStep::Apply | MigrationStep::Settle);
    let spec = PodSpec {
        termination_grace_period_seconds: match writes {
            true => Some(GRACE_SECONDS),
            false => spec.termination_grace_period_seconds,
        },
        ..spec
    };
    let mut job = finish(Parts {
        name: job,
        task: "migration",
        owner: owner_of(run),
        namespace: run.namespace().unwrap_or_default(),
        policy_uid: policy.uid(),
        template,
        work: task,
        spec,
    });
    let pods = job.spec.as_mut().and_then(|s| s.template.metadata.as_mut());
    if let Some(labels) = pods.and_then(|m| m.labels.as_mut()) {
        labels.insert(LABEL_STEP.to_owned(), step.as_str().to_owned());
    }
    job
}

fn task(
    (policy, store): (&BackupPolicy, &BackupStore),
    run: &MigrationRun,
    plan: &MigrationJobPlan,
    image: &str,
    job: &str,
) -> Task {
    let step = match plan.step.clone() {
        StepPlan::Plan => StepTask::Plan,
        StepPlan::Rehearse(rehearse) => StepTask::Rehearse(Box::new(RehearseTask {
            plan_hash: rehearse.plan_hash,
            rehearsal: job.to_owned(),
            backup: rehearse.backup,
            prefix: rehearse.prefix,
            postgres: rehearse.drill.spec.postgres.clone().unwrap_or_default(),
            image: image.to_owned(),
            identity: rehearse
                .drill
                .spec
                .identity_ref
                .clone()
                .map(|secret| IdentityTask {
                    secret_name: secret.name,
                    dir: IDENTITY_DIR.to_owned(),
                }),
        })),
        StepPlan::Apply(apply) => StepTask::Apply(apply),
        StepPlan::Settle(settle) => StepTask::Settle(Box::new(settle)),
    };
    Task {
        version: TASK_VERSION,
        deadline_seconds: plan.deadline.as_secs(),
        work: Work::Migration(Box::new(MigrationTask {
            namespace: run.namespace().unwrap_or_default(),
            run: run.name_any(),
            run_uid: run.uid().unwrap_or_default(),
            spec: MigrationRunSpec {
                suspend: None,
                ..run.spec.clone()
            },
            database: tasks::database(&policy.spec.database),
            login_secret: run.spec.credentials.secret_ref.name.clone(),
            login_dir: LOGIN_DIR.to_owned(),
            source_dir: SOURCE_DIR.to_owned(),
            store: tasks::store_task(&store.spec),
            step,
        })),
    }
}
