//! What `observe` sees of a Job and its pod, reduced to what decisions need.

use jiff::Timestamp;
use serde::Serialize;

use crate::api::Reason;
use crate::task::TaskResult;

/// A Job of ours, with its pod if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenJob {
    /// Name of the Job.
    pub name: String,
    /// Uid of the Job.
    pub uid: String,
    /// Uid in the label `lifeboat.dev/owner-uid`.
    pub owner_uid: String,
    /// When the Job was created.
    pub created_at: Timestamp,
    /// How far it is.
    pub state: JobState,
}

/// Why a pod that waited for this reason until its start deadline is given up.
#[must_use]
pub fn never_started(waiting: Reason) -> Reason {
    match waiting {
        Reason::Starting => Reason::StartDeadlineExceeded,
        known => known,
    }
}

/// How far a Job is. A Job ends for us only when its pod is terminal or gone (K2, issue A1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum JobState {
    /// No container `work` has started. The text says why, as far as the pod's conditions tell.
    Waiting {
        /// [`Reason::Starting`], or what must be mended first: [`Reason::ImagePullFailed`] (K10).
        reason: Reason,
        /// For people.
        why: String,
    },
    /// The container `work` runs.
    Running {
        /// Since when.
        since: Timestamp,
        /// Uid of the pod.
        pod_uid: String,
    },
    /// The pod is terminal, or the Job is finished and no pod is left.
    Ended {
        /// What `work` wrote; `None`: nothing, or not a result of ours.
        result: Option<Box<TaskResult>>,
        /// Uid of the pod, if it was seen.
        pod_uid: Option<String>,
        /// For people, when there is no result: `OOMKilled`, `exit code 137`, `Evicted: …`.
        why: String,
    },
}

/// What is seen of the admission policies that make approvals worth something (K35, K36).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Admission {
    /// They stand as they were shipped, the youngest of them since then.
    InPlace(Timestamp),
    /// One is missing, weaker than shipped, or cannot be read. The text says which, and what to do.
    Missing(String),
}
