//! What a `decide` answers: data, so that it can be printed, compared and replayed.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use crate::api::condition::{READY, STALLED, find};
use crate::api::{Backup, Reason, RestoreDrill};
use crate::cluster::seen::SeenJob;

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
    /// Create a RestoreDrill that its owner needs once, create-only. A 409 is adopted if the owner controls it, else
    /// `NameCollision` (K26).
    CreateDrill {
        /// The drill, with its controller reference.
        drill: Box<RestoreDrill>,
    },
    /// Delete a RestoreDrill of ours that has served (K28).
    DeleteDrill {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Uid it must have.
        uid: String,
    },
    /// Replace the finalizers of a MigrationRun (M24).
    SetFinalizers {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// `resourceVersion` that `decide` saw: nobody else's finalizer is lost.
        version: String,
        /// All that shall stand.
        finalizers: Vec<String>,
    },
    /// Create a Job, create-only, after a live GET shows the owner at this resourceVersion (K16).
    CreateJob {
        /// The Job, with its controller reference.
        job: Box<Job>,
        /// `resourceVersion` of the owner that `decide` saw.
        owner_version: String,
    },
    /// Apply a NetworkPolicy of ours, so that it stands before the pods it is for (K38).
    ApplyNetwork {
        /// The NetworkPolicy, with its controller reference.
        policy: Box<NetworkPolicy>,
    },
    /// Delete the NetworkPolicy that an earlier spec of the owner asked for, if it is there.
    DeleteNetwork {
        /// Namespace.
        namespace: String,
        /// Name, made of its owner's uid.
        name: String,
    },
    /// Delete a Job of ours that is finished, given up or replaced: background propagation, uid precondition (K5).
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

impl<S> Decision<S> {
    /// Nothing to do, and the status stays.
    #[must_use]
    pub fn quiet(status: S) -> Self {
        Self {
            effects: Vec::new(),
            status,
            notices: Vec::new(),
            next: Next::OnChange,
        }
    }
}

impl Effect {
    /// Deletes exactly this Job.
    #[must_use]
    pub fn delete(namespace: &str, job: &SeenJob) -> Self {
        Effect::DeleteJob {
            namespace: namespace.to_owned(),
            name: job.name.clone(),
            uid: job.uid.clone(),
        }
    }
}

impl Next {
    /// The earlier of the two.
    #[must_use]
    pub fn or_at(self, time: Timestamp) -> Self {
        match self {
            Next::OnChange => Next::At(time),
            Next::At(other) => Next::At(other.min(time)),
        }
    }
}

impl Notice {
    /// Something that is as it should be.
    #[must_use]
    pub fn normal(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason,
            message: message.into(),
        }
    }

    /// Something a person should look at.
    #[must_use]
    pub fn warning(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            reason,
            message: message.into(),
        }
    }

    /// What is worth an Event in the turn from `old` to `new` conditions of a store or policy:
    /// a new reason why it is stalled or not ready, and that it is ready again.
    #[must_use]
    pub fn on_turn(old: &[Condition], new: &[Condition]) -> Option<Self> {
        let now = [STALLED, READY]
            .into_iter()
            .find_map(|type_| find(new, type_).filter(|c| type_ == READY || c.status == "True"))?;
        let before = find(old, &now.type_);
        let same = before.is_some_and(|b| b.status == now.status && b.reason == now.reason);
        let reason = Reason::parse(&now.reason)?;
        match (same, now.type_.as_str(), now.status.as_str()) {
            (true, _, _) | (_, _, "Unknown") => None,
            (_, READY, "True") if before.is_some_and(|b| b.status == "True") => None,
            (_, READY, "True") => Some(Self::normal(reason, now.message.clone())),
            _ => Some(Self::warning(reason, now.message.clone())),
        }
    }
}
