//! The Job that rehearses: the plan as it was made, on the backup that was chosen, in the server beside.

use std::path::PathBuf;
use std::sync::Arc;

use super::documents::{evidence_key, files, keep_evidence, plan};
use super::kept::{Wish, keep};
use super::rehearse::{Login, Rehearsal, Wanted, rehearse};
use super::task::acting_of;
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::manifest::{Evidence, WayBack};
use crate::objects::ObjectStore;
use crate::postgres::migrate::Worker;
use crate::task::{
    MigrationResult, MigrationTask, RehearsalResult, RehearseTask, Retry, SERVER_DIR, TaskResult,
    VOLUME_DIR,
};
use crate::work::drill::Place as ServerPlace;
use crate::work::failure::Failure;
use crate::work::progress::{Progress, Show};
use crate::work::{Place, drill_task};

/// Most tables that are named in the result.
const MOST_LOCKS: usize = 20;

pub(super) async fn run(
    task: &MigrationTask,
    step: &RehearseTask,
    store: Arc<dyn ObjectStore>,
    place: &Place,
) -> Result<TaskResult, Failure> {
    let frozen = plan(store.as_ref(), &step.plan_hash, &task.spec).await?;
    let files = files(store.as_ref(), &frozen).await?;
    let history = task.spec.history.clone().unwrap_or_default();
    let rehearsal = Rehearsal {
        identities: drill_task::identities_of(step.identity.as_ref(), task.store.encryption)?,
        store: store.clone(),
        at: step.prefix.clone(),
        wanted: Wanted::Frozen(frozen.plan),
        files,
        login: Login {
            name: frozen.login,
            roles: frozen.roles,
        },
        surroundings: frozen.surroundings,
        acting: acting_of(&task.spec),
        worker: Worker {
            run_uid: task.run_uid.clone(),
            run: format!("{}/{}", task.namespace, task.run),
            attempt: place.pod_uid.clone(),
            plan_hash: step.plan_hash.clone(),
            approved_by: Vec::new(),
            backup: step.backup.clone(),
        },
        baseline: history.baseline,
        supabase: history.adapter.is_some(),
        checks: task.spec.checks.clone().unwrap_or_default(),
        parameters: step.postgres.parameters.clone(),
        locales: step.postgres.locales.clone(),
        image: step.image.clone(),
        server: ServerPlace::Beside(PathBuf::from(SERVER_DIR)),
        volume: PathBuf::from(VOLUME_DIR),
        scratch: place.scratch.clone(),
        postgres_folders: place.postgres_folders.clone(),
    };
    let evidence = rehearse(&rehearsal, &Progress::new(Show::Json)).await?;
    let key = evidence_key(&task.run_uid, &step.rehearsal);
    keep_evidence(store.as_ref(), &key, &evidence).await?;
    if evidence.result == Verdict::Passed {
        let backup = (step.backup.as_str(), step.prefix.as_str());
        keep(store.as_ref(), task, backup, Wish::Rehearsed).await?;
    }
    Ok(result(&evidence, key))
}

fn result(evidence: &Evidence, key: String) -> TaskResult {
    let reason = Reason::parse(&evidence.reason).unwrap_or(Reason::Unknown);
    let mut result = match evidence.result {
        Verdict::Passed => TaskResult::succeeded(&evidence.message),
        _ => TaskResult::failed(reason, Retry::Never, &evidence.message),
    };
    let segments = || evidence.files.iter().flat_map(|f| &f.segments);
    let mut locks = Vec::new();
    for table in segments().flat_map(|s| &s.rewritten) {
        locks.push(format!("{table} is written anew"));
    }
    for (table, mode) in segments().flat_map(|s| s.locks.iter().chain(&s.views)) {
        if mode == "ACCESS EXCLUSIVE" {
            locks.push(format!("{table} is closed to readers"));
        }
    }
    locks.sort();
    locks.dedup();
    locks.truncate(MOST_LOCKS);
    result.migration = Some(MigrationResult {
        rehearsal: Some(RehearsalResult {
            result: evidence.result,
            evidence_hash: evidence.hash(),
            key,
            way_back: evidence.way_back == WayBack::Rehearsed,
            locks,
        }),
        ..MigrationResult::default()
    });
    result
}
