//! What a Job's container runs: one task, one result.
//!
//! Owns the order of a backup: preflight, locks, snapshot, dump, counts, contents, proof of the
//! locks, manifest last (P1, G1-G3). Must never talk to the API server.

pub mod archive;
mod attempt;
pub mod backup;
pub mod beside;
pub mod break_glass;
pub mod clock;
pub mod contradictions;
mod counts;
pub mod drill;
mod drill_task;
mod expected;
pub mod failure;
pub mod human;
mod kept_away;
mod left_out;
pub mod migration;
pub mod pick;
pub mod pins;
pub mod progress;
pub mod proof;
pub mod random;
mod reference;
mod remedies;
pub mod restore;
mod restored;
mod sample;
mod scratched;
mod shapes;
pub mod verdict;
pub mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::api::backup_store::EncryptionMode;
use crate::codec::{Limits, Recipients};
use crate::manifest::{FORMAT_VERSION, Manifest, Pin, PinHolder};
use crate::objects::{ObjectStore, S3, probe};
use crate::postgres::content::LineKey;
use crate::postgres::who::backup_sessions;
use crate::postgres::{LockPatience, Target, preflight, shell_word};
use crate::task::{
    BackupResult, BackupTask, CheckTask, PinTask, ProbeTask, StepTask, StoreTask, Task, TaskResult,
    Work,
};
use backup::{Identity, Plan};
use failure::Failure;
use progress::{Progress, Show};

/// Where a task is done.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder for service and password files.
    pub scratch: PathBuf,
    /// Where pg_dump is looked for first.
    pub postgres_folders: Vec<PathBuf>,
    /// Uid of the pod; its first 12 hex digits end the prefix (K1).
    pub pod_uid: String,
}

/// Does the task and never fails: a failure is a result. Ends itself at the task's deadline (K3)
/// and on SIGTERM, both with a result.
pub async fn run(task: Task, place: &Place) -> TaskResult {
    // Boxed: all kinds of work are one large future, and who waits for it keeps that on its stack.
    Box::pin(done(task, place)).await
}

async fn done(task: Task, place: &Place) -> TaskResult {
    let deadline = task.deadline_seconds;
    let outcome = match task.work {
        Work::Backup(task) => {
            let mut open = None;
            let outcome = within(deadline, "backing up", backup(&task, place, &mut open)).await;
            if let Some(writer) = open.take() {
                crate::codec::ObjectWriter::abort(writer).await;
            }
            outcome
        }
        Work::Check(task) => within(deadline, "looking at the database", check(&task, place)).await,
        Work::Probe(task) => within(deadline, "looking at the store", look(&task)).await,
        Work::Pin(task) => within(deadline, "telling the store", tell(&task)).await,
        Work::Drill(task) => {
            let time = Duration::from_secs(deadline);
            within(deadline, "drilling", drill_task::run(&task, place, time)).await
        }
        Work::Migration(task) => match task.step {
            // It hears SIGTERM itself: what it has begun it sees to its end (M24).
            StepTask::Apply(_) | StepTask::Settle(_) => migration::task::run(&task, place).await,
            _ => within(deadline, "migrating", migration::task::run(&task, place)).await,
        },
    };
    outcome.unwrap_or_else(|failure| failure.to_result())
}

/// Bounds a task by its deadline, and by SIGTERM, which the kubelet sends 60 s before SIGKILL.
async fn within<T>(
    seconds: u64,
    what: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        outcome = work => outcome,
        () = tokio::time::sleep(Duration::from_secs(seconds)) => Err(Failure::Deadline(seconds, what.to_owned())),
        () = stopped() => Err(Failure::Terminated(what.to_owned())),
    }
}

/// Resolves when this process was told to stop.
pub async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

async fn backup(
    task: &BackupTask,
    place: &Place,
    open: &mut backup::Open,
) -> Result<TaskResult, Failure> {
    let plan = plan(task, place)?;
    let progress = Progress::new(Show::Json);
    let manifest = backup::run(&plan, &progress, open).await?;
    Ok(completed(&task.store, &manifest))
}

fn plan(task: &BackupTask, place: &Place) -> Result<Plan, Failure> {
    let line_key = match task.content_hash {
        true => Some(line_key().map_err(|e| Failure::Internal(e.to_string()))?),
        false => None,
    };
    Ok(Plan {
        line_key,
        target: Target::from_task(&task.database)?,
        recipients: recipients(&task.store)?,
        store: open_store(&task.store)?,
        identity: Identity {
            backup: task.backup.clone(),
            namespace: task.namespace.clone(),
            policy: task.policy.clone(),
            policy_uid: task.policy_uid.clone(),
            directory: task.directory.clone(),
            pod_uid: place.pod_uid.clone(),
            tiers: task.tiers.clone(),
            reason: task.reason,
            due: task.due,
        },
        limits: Limits::default(),
        scratch: place.scratch.clone(),
        postgres_folders: place.postgres_folders.clone(),
        patience: LockPatience {
            max_blocking: task.max_blocking_seconds.map(Duration::from_secs),
            ..LockPatience::default()
        },
        application_name: backup_sessions(&place.pod_uid, &task.namespace, &task.backup),
    })
}

/// A new key for the content hashes of one backup (G21).
///
/// # Errors
/// Those of the system's random numbers.
pub fn line_key() -> std::io::Result<LineKey> {
    random::bytes().map(LineKey::new)
}

fn recipients(store: &StoreTask) -> Result<Option<Recipients>, Failure> {
    match store.encryption {
        EncryptionMode::None => Ok(None),
        EncryptionMode::Age => Ok(Some(Recipients::parse(&store.recipients)?)),
    }
}

fn open_store(store: &StoreTask) -> Result<Arc<dyn ObjectStore>, Failure> {
    Ok(Arc::new(S3::from_task(store)?))
}

/// For a Job of three minutes, which is made anew when it fails: why must be told before its deadline.
fn open_store_briefly(store: &StoreTask) -> Result<S3, Failure> {
    Ok(S3::from_task(store)?.patient(Duration::from_secs(60)))
}

fn completed(store: &StoreTask, manifest: &Manifest) -> TaskResult {
    let counts = &manifest.counts;
    let left_out = match counts.left_out {
        0 => String::new(),
        n => format!(
            "; {n} left out, see `lifeboat inspect --from {} {} --identity <the private key's file>`",
            shell_word(&store.location()),
            shell_word(&manifest.prefix)
        ),
    };
    let mut result = TaskResult::succeeded(format!(
        "{} tables, {} rows{left_out}",
        counts.tables, counts.rows
    ));
    result.found_major = Some(manifest.server.major);
    result.backup = Some(BackupResult {
        pod_uid: manifest.pod_uid.clone(),
        raw_bytes: counts.raw_bytes,
        stored_bytes: counts.stored_bytes,
        tables: counts.tables,
        rows: counts.rows,
        data_at: Some(manifest.data_at),
        lsn: Some(manifest.base.position.lsn.clone()),
        server_version: manifest.server.version.clone(),
        database_name: manifest.server.database.clone(),
    });
    result
}

async fn check(task: &CheckTask, place: &Place) -> Result<TaskResult, Failure> {
    let target = Target::from_task(&task.database)?;
    let hex: String = place
        .pod_uid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    let found = preflight(&target, &format!("lifeboat/{}/{hex}", task.policy_uid)).await?;
    let mut said = format!(
        "PostgreSQL {} answers and everything may be read",
        found.version
    );
    for warning in &found.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(first) = found.warnings.first() {
        let more = match found.warnings.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        said = format!("{said}; but {first}{more}");
    }
    let mut result = TaskResult::succeeded(said);
    result.found_major = Some(found.facts.major);
    result.database = Some(found.facts);
    Ok(result)
}

async fn look(task: &ProbeTask) -> Result<TaskResult, Failure> {
    recipients(&task.store)?;
    let store = open_store_briefly(&task.store)?;
    let (found, outcome) = probe(&store).await;
    let mut result = match outcome {
        Ok(()) => TaskResult::succeeded(match clock::apart(store.clock(), clock::now()) {
            None => "the store takes what backups write".to_owned(),
            Some(apart) => {
                tracing::warn!("{apart}");
                format!("the store takes what backups write, but {apart}")
            }
        }),
        Err(error) => Failure::from(error).to_result(),
    };
    result.probe = Some(found);
    Ok(result)
}

/// The wish of a Backup: kept from now on, or until now.
async fn tell(task: &PinTask) -> Result<TaskResult, Failure> {
    let store = open_store_briefly(&task.store)?;
    let now = clock::now();
    let (why, until) = match task.pinned {
        true => ("spec.pin of the Backup is true", None),
        false => ("spec.pin of the Backup is not true any more", Some(now)),
    };
    let wish = Pin {
        format: FORMAT_VERSION,
        backup: task.backup.clone(),
        prefix: task.prefix.clone(),
        holder: PinHolder {
            kind: "Backup".to_owned(),
            namespace: task.namespace.clone(),
            name: task.backup.clone(),
            uid: task.uid.clone(),
        },
        order: task.order,
        why: why.to_owned(),
        since: now,
        until,
    };
    pins::pin(&store, &wish).await?;
    Ok(TaskResult::succeeded(format!("{} is written", wish.key())))
}
