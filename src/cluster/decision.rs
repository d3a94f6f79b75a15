//! What a `decide` answers: data, so that it can be printed, compared and replayed.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde::Serialize;

use crate::api::{Backup, Reason};

/// The whole answer of one `decide`. `S` is the kind's status, applied whole (K16).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision<S> {
    /// In this order; `act` stops at the first that fails. Each is idempotent.
    pub effects: Vec<Effect>,
    /// The status as it shall stand. Written only if it differs.
    pub status: S,
    /// Events for people; written only when the effects went well.
    pub notices: Vec<Notice>,
    /// When to look again without a change.
    pub next: Next,
}

/// One thing to do in the cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Effect {
    /// Create a Backup, create-only. A 409 is adopted if its policy-uid label is `policy_uid`, else `NameCollision` (K26).
    CreateBackup {
        /// The object.
        backup: Box<Backup>,
        /// Whose it must be.
        policy_uid: String,
    },
    /// Create a Job, create-only, after a live GET shows the owner at this resourceVersion (K16).
    CreateJob {
        /// The Job, with its controller reference.
        job: Box<Job>,
        /// `resourceVersion` of the owner that `decide` saw.
        owner_version: String,
    },
    /// Delete a finished Job of ours: background propagation, uid precondition (K5).
    DeleteJob {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Uid it must have.
        uid: String,
    },
}

/// An Event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Warning, or normal.
    pub warning: bool,
    /// Why.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
}

/// When to look again without a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Next {
    /// Only when something changes.
    OnChange,
    /// At this time.
    At(Timestamp),
}
