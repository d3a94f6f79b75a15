//! What a Job's container runs: one task, one result.
//!
//! Owns the order of a backup: preflight, locks, snapshot, dump, counts, contents, proof of the
//! locks, manifest last (P1, G1-G3). Must never talk to the API server.

use std::path::PathBuf;

use crate::task::{Task, TaskResult, Work};

/// Where a task is done.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder for service and password files.
    pub scratch: PathBuf,
    /// Folder with pg_dump, if it shall not be looked for.
    pub postgres_bin: Option<PathBuf>,
    /// Uid of the pod; its first 12 hex digits end the prefix (K1).
    pub pod_uid: String,
}

/// Does the task and never fails: a failure is a result.
pub async fn run(task: Task, place: &Place) -> TaskResult {
    let _ = place;
    match task.work {
        Work::Backup(_) | Work::Check(_) | Work::Probe(_) => TaskResult::failed(
            crate::api::Reason::InternalError,
            crate::task::Retry::Never,
            "not built yet",
        ),
    }
}
