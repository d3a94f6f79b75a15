//! What the operator asks of a drill's worker, and what that answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreTask;
use crate::api::restore_drill::{Check, Compare, DrillMode, DrilledTables, Rto, Select, Verdict};

/// Folder of the Secret with the age identity.
pub const IDENTITY_DIR: &str = "/run/lifeboat/identity";
/// Folder that worker and scratch server share: orders, answers, socket.
pub const SERVER_DIR: &str = "/run/lifeboat/server";
/// The volume of the scratch server; the dump is fetched into it too.
pub const VOLUME_DIR: &str = "/run/lifeboat/volume";

/// Restore a backup into the scratch server beside, compare, and write the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillTask {
    /// Namespace of the drill.
    pub namespace: String,
    /// Name of the drill.
    pub drill: String,
    /// Name of this run; names the proof.
    pub run: String,
    /// When it was decided: only backups finished by then are picked from; RTO counts from here.
    pub decided_at: Timestamp,
    /// Seed of a random pick.
    pub due: Timestamp,
    /// How much of a disaster is played.
    pub mode: DrillMode,
    /// Folder of the policy in the store.
    pub directory: String,
    /// Which backup.
    pub select: Select,
    /// What is compared.
    pub compare: Compare,
    /// Role that logs in and runs the checks.
    pub application_role: Option<String>,
    /// The user's own checks.
    pub checks: Vec<Check>,
    /// The drill fails below this score.
    pub minimum_score: i32,
    /// Settings of the scratch server.
    pub parameters: BTreeMap<String, String>,
    /// Locales that it needs besides those that the backup names.
    #[serde(default)]
    pub locales: Vec<String>,
    /// What the policy accepts that no dump holds, by name.
    #[serde(default)]
    pub accepted: std::collections::BTreeSet<String>,
    /// After a backup is proven, it is restored by the break-glass script too.
    #[serde(default)]
    pub break_glass: bool,
    /// Image of the scratch server, for the report.
    pub image: String,
    /// What the policy promises for the time to restore, in seconds.
    pub rto_objective_seconds: Option<u64>,
    /// What the policy promises for the age of the data, in seconds.
    pub rpo_objective_seconds: Option<u64>,
    /// The store.
    pub store: StoreTask,
    /// The identity.
    pub identity: Option<IdentityTask>,
}

/// The age identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityTask {
    /// Name of the Secret, for messages.
    pub secret_name: String,
    /// Where it is mounted.
    pub dir: String,
}

/// What a drill's worker answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillResult {
    /// The verdict.
    pub result: Verdict,
    /// The whole backup was compared and is equal.
    pub proves: bool,
    /// From 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i32>,
    /// Name of the backup, as its manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Folder of the backup, below the store's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Recovery point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_at: Option<Timestamp>,
    /// Time to restore by part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Rto>,
    /// Tables that were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<DrilledTables>,
    /// Whether the source could be reached from the drill's pod (G30); absent: not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolated: Option<bool>,
    /// How the restore by the break-glass script went; absent: not asked for, or nothing was proven before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassResult>,
    /// Whether the proof stands in the bucket.
    #[serde(default)]
    pub reported: bool,
    /// The first inequalities; cut first where there is no room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<String>,
}

/// How the restore by the break-glass script went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassResult {
    /// `Passed`: nothing was refused, and everything is equal.
    pub result: Verdict,
    /// Why, in a sentence.
    pub message: String,
    /// How long the script took, in seconds.
    pub seconds: i64,
}
