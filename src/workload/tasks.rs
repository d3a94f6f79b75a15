//! The task documents, from validated objects. No secret is in them: only names and folders.

use kube::ResourceExt;

use super::{BackupPlan, DrillPlan, PinPlan, UPKEEP_DEADLINE};
use crate::api::backup_policy::{Accept, ContentHash, Database};
use crate::api::duration::parse_positive;
use crate::api::shared::CaRef;
use crate::api::{Backup, BackupPolicy, BackupStore, BackupStoreSpec, RestoreDrill};
use crate::task::{
    BackupTask, CaTask, CheckTask, DATABASE_CA_DIR, DATABASE_DIR, DatabaseTask, DrillTask,
    IDENTITY_DIR, IdentityTask, PinTask, ProbeTask, STORE_CA_DIR, STORE_DIR, StoreTask,
    TASK_VERSION, Task, Work,
};

/// How long others may wait for the locks of a backup, in seconds, where the policy does not say (G9).
const MAX_BLOCKING: u64 = 60;

pub(super) fn backup(
    policy: &BackupPolicy,
    store: &BackupStore,
    backup: &Backup,
    plan: &BackupPlan,
) -> Task {
    Task {
        version: TASK_VERSION,
        deadline_seconds: plan.deadline.as_secs(),
        work: Work::Backup(Box::new(BackupTask {
            namespace: backup.namespace().unwrap_or_default(),
            backup: backup.name_any(),
            policy: policy.name_any(),
            policy_uid: policy.uid().unwrap_or_default(),
            attempt: plan.attempt,
            tiers: plan.tiers.clone(),
            reason: backup.spec.reason,
            due: plan.due,
            directory: plan.directory.clone(),
            content_hash: policy.spec.content_hash.unwrap_or_default() == ContentHash::Full,
            max_blocking_seconds: (plan.attempt < plan.attempts).then(|| {
                let asked = policy.spec.max_blocking.as_deref();
                asked.map_or(MAX_BLOCKING, |text| {
                    promised(Some(text)).unwrap_or(MAX_BLOCKING)
                })
            }),
            database: database(&policy.spec.database),
            store: store_task(&store.spec),
        })),
    }
}

/// Of the database only where it is said to be: its Secret is no business of a drill (P9).
pub(super) fn drill(
    policy: &BackupPolicy,
    store: &BackupStore,
    drill: &RestoreDrill,
    plan: &DrillPlan,
    image: &str,
) -> Task {
    let spec = drill.spec.clone();
    let postgres = spec.postgres.unwrap_or_default();
    let objectives = policy.spec.objectives.as_ref();
    let accepted = policy.spec.accept.iter().flat_map(Accept::names);
    Task {
        version: TASK_VERSION,
        deadline_seconds: plan.deadline.as_secs(),
        work: Work::Drill(Box::new(DrillTask {
            namespace: drill.namespace().unwrap_or_default(),
            drill: drill.name_any(),
            run: plan.run.clone(),
            decided_at: plan.decided_at,
            due: plan.due,
            mode: spec.mode.unwrap_or_default(),
            directory: plan.directory.clone(),
            select: spec.select.unwrap_or_default(),
            compare: spec.compare.unwrap_or_default(),
            application_role: spec.application_role,
            checks: spec.checks,
            minimum_score: spec.minimum_score.unwrap_or_default(),
            locales: postgres.locales,
            parameters: postgres.parameters,
            accepted: accepted.cloned().collect(),
            break_glass: plan.break_glass,
            image: image.to_owned(),
            rto_objective_seconds: objectives.and_then(|o| promised(o.rto.as_deref())),
            rpo_objective_seconds: objectives.and_then(|o| promised(o.rpo.as_deref())),
            store: store_task(&store.spec),
            identity: spec.identity_ref.map(|secret| IdentityTask {
                secret_name: secret.name,
                dir: IDENTITY_DIR.to_owned(),
            }),
        })),
    }
}

/// An objective in seconds, as `validate` let it through.
fn promised(text: Option<&str>) -> Option<u64> {
    parse_positive(text?).ok().map(|time| time.as_secs())
}

pub(super) fn check(policy: &BackupPolicy) -> Task {
    Task {
        version: TASK_VERSION,
        deadline_seconds: UPKEEP_DEADLINE.as_secs(),
        work: Work::Check(Box::new(CheckTask {
            policy_uid: policy.uid().unwrap_or_default(),
            database: database(&policy.spec.database),
        })),
    }
}

pub(super) fn probe(store: &BackupStore) -> Task {
    Task {
        version: TASK_VERSION,
        deadline_seconds: UPKEEP_DEADLINE.as_secs(),
        work: Work::Probe(Box::new(ProbeTask {
            store: store_task(&store.spec),
        })),
    }
}

pub(super) fn pin(store: &BackupStore, backup: &Backup, plan: &PinPlan) -> Task {
    Task {
        version: TASK_VERSION,
        deadline_seconds: UPKEEP_DEADLINE.as_secs(),
        work: Work::Pin(Box::new(PinTask {
            namespace: backup.namespace().unwrap_or_default(),
            backup: backup.name_any(),
            uid: backup.uid().unwrap_or_default(),
            prefix: plan.prefix.clone(),
            order: plan.order,
            pinned: plan.pinned,
            store: store_task(&store.spec),
        })),
    }
}

pub(super) fn database(database: &Database) -> DatabaseTask {
    let tls = database.tls.as_ref();
    DatabaseTask {
        secret_name: database.secret_ref.name.clone(),
        dir: DATABASE_DIR.to_owned(),
        keys: database.keys.clone().unwrap_or_default(),
        host: database.host.clone(),
        port: database.port,
        name: database.name.clone(),
        user: database.user.clone(),
        tls_mode: tls.map(|t| t.mode),
        ca: tls
            .and_then(|t| t.ca.as_ref())
            .and_then(|ca| trust(ca, DATABASE_CA_DIR)),
    }
}

pub(super) fn store_task(spec: &BackupStoreSpec) -> StoreTask {
    StoreTask {
        bucket: spec.s3.bucket.clone(),
        prefix: spec.s3.prefix.clone().unwrap_or_default(),
        region: spec.s3.region.clone(),
        endpoint: spec.s3.endpoint.clone(),
        addressing: spec.s3.addressing,
        ca: spec.s3.ca.as_ref().and_then(|ca| trust(ca, STORE_CA_DIR)),
        secret_name: spec.credentials.writer.secret_ref.name.clone(),
        dir: STORE_DIR.to_owned(),
        encryption: spec.encryption.mode,
        recipients: spec.encryption.recipients.clone(),
    }
}

fn trust(ca: &CaRef, dir: &str) -> Option<CaTask> {
    let key = ca.key_ref()?;
    let kind = match ca.secret_key_ref {
        Some(_) => "Secret",
        None => "ConfigMap",
    };
    Some(CaTask {
        source: format!("{kind}/{}", key.name),
        dir: dir.to_owned(),
        key: key.key.clone(),
    })
}
