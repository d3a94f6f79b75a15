//! What a `MigrationRun` answers: how far it is, what it rests on, and what stands.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup::{GivenUp, Progress};
use super::restore_drill::Verdict;

/// How a run goes, or went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationRunStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`, `Complete`, `Failed`, and the gates in their order: `Planned`, `BackupProven`,
    /// `Rehearsed`, `Approved`, `Applied`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
    /// What will be done, frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<MigrationPlan>,
    /// Another run whose worker has been at the database since the plan was made: it is made anew when it is this run's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub overtaken_by: Option<String>,
    /// The backup that stands behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<MigrationGateStatus>,
    /// The Backup that a worker found too old, or no longer whole, last: another one is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub refused_backup: Option<String>,
    /// What the rehearsal on that backup showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<MigrationRehearsal>,
    /// Who has approved what is rehearsed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub approvals: Vec<ApprovalRecord>,
    /// What stands on the database, as its history says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<MigrationExecutionStatus>,
    /// The Job that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningMigration>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// How many Jobs, backups and drills there were: their names are counted through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<MigrationAttempts>,
    /// Not before this time does the next Job start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Major version that a worker found, where another ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_major: Option<i32>,
    /// What to do next, for a run that holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub way_back: Option<String>,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationPlan {
    /// SHA-256 over run, server, database, spec, every byte of the files and the history's head: approvals are bound to it.
    #[schemars(length(min = 64, max = 64))]
    pub hash: String,
    /// When it was made.
    pub at: Timestamp,
    /// The server's `system_identifier`.
    #[schemars(length(max = 32))]
    pub system_identifier: String,
    /// Name of the database.
    #[schemars(length(max = 256))]
    pub database: String,
    /// Head of the history that it was made for; empty where there was none.
    #[schemars(length(max = 64))]
    pub history_head: String,
    /// When that history was written last: the backup has to be younger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_at: Option<Timestamp>,
    /// Major version of the server.
    #[schemars(range(min = 1))]
    pub major: i32,
    /// How many segments there are.
    #[schemars(range(min = 0))]
    pub segments: i64,
    /// How many statements there are.
    #[schemars(range(min = 0))]
    pub statements: i64,
    /// Its files, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub files: Vec<PlannedMigration>,
    /// One line per statement; the first 200. All of them stand in the bucket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 200)))]
    pub lines: Vec<String>,
    /// Findings of the lint that do not block, and of the look at the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 512)))]
    pub findings: Vec<String>,
}

/// A file of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedMigration {
    /// Its version in one spelling.
    #[schemars(length(max = 64))]
    pub version: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// SHA-256 of its bytes: it stands in the bucket under `migrations/<sha256>`.
    #[schemars(length(min = 64, max = 64))]
    pub sha256: String,
    /// Into how many segments it is cut.
    #[schemars(range(min = 0))]
    pub segments: i64,
}

/// How many there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationAttempts {
    /// Jobs that planned.
    #[schemars(range(min = 0))]
    pub plan: i32,
    /// Rounds of finding a proven backup.
    #[schemars(range(min = 0))]
    pub gate: i32,
    /// Jobs that rehearsed.
    #[schemars(range(min = 0))]
    pub rehearse: i32,
    /// Jobs that applied.
    #[schemars(range(min = 0))]
    pub apply: i32,
    /// Jobs that read the history.
    #[schemars(range(min = 0))]
    pub settle: i32,
    /// Of the step that is on: Jobs in a row that came to nothing.
    #[schemars(range(min = 0))]
    pub failed: i32,
}

/// The backup that stands behind a run: complete, proven, rehearsed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationGateStatus {
    /// Name of the Backup.
    #[schemars(length(max = 253))]
    pub backup: String,
    /// Its folder in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// Its recovery point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_at: Option<Timestamp>,
    /// The RestoreDrill that was made to prove it, where nothing had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub drill: Option<String>,
    /// It is proven.
    pub proven: bool,
}

/// What a rehearsal showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationRehearsal {
    /// SHA-256 over what it decided: approvals are bound to it.
    #[schemars(length(min = 64, max = 64))]
    pub evidence_hash: String,
    /// The verdict.
    pub result: Verdict,
    /// Why, in CamelCase.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// The backup that it ran on.
    #[schemars(length(max = 253))]
    pub backup: String,
    /// When its end was seen.
    pub finished_at: Timestamp,
    /// Where the whole of it stands, below the store's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub key: Option<String>,
    /// The way back was rehearsed too, and led to where it began.
    pub way_back: bool,
    /// Tables that readers are locked out of, and those that are written anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 200)))]
    pub locks: Vec<String>,
}

/// Who has approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRecord {
    /// Name of the MigrationApproval.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Who approves.
    #[schemars(length(max = 253))]
    pub approver: String,
    /// Until when it counts.
    pub expires: Timestamp,
    /// Why it does not count; absent: it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub void: Option<String>,
}

/// What stands on the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationExecutionStatus {
    /// When the first worker was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Segments of the plan that are applied.
    #[schemars(range(min = 0))]
    pub applied: i64,
    /// Tries that ended because somebody was in the way.
    #[schemars(range(min = 0))]
    pub tries: i64,
    /// A statement was begun, and nobody has seen its end.
    pub begun: bool,
    /// Of one more segment only some batches are applied; a run goes on with it where it stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partly: bool,
    /// A worker is gone that said nothing: its history must be read before anything else happens.
    pub unknown: bool,
    /// Why it stopped, in CamelCase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// In a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// What stands is what was rehearsed, and every check passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// What the first differences are, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 256)))]
    pub differences: Vec<String>,
}

/// Which Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MigrationStep {
    /// Reads the files and the database, changes nothing.
    Plan,
    /// Runs it on the restored backup.
    Rehearse,
    /// Runs it.
    Apply,
    /// Asks the history what became of a worker that said nothing.
    Settle,
}

impl MigrationStep {
    /// In names of Jobs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MigrationStep::Plan => "plan",
            MigrationStep::Rehearse => "rehearse",
            MigrationStep::Apply => "apply",
            MigrationStep::Settle => "settle",
        }
    }
}

/// The Job that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunningMigration {
    /// What it does.
    pub step: MigrationStep,
    /// Number of the Job among those of its step, from 1.
    #[schemars(range(min = 1))]
    pub attempt: i32,
    /// When it was decided.
    pub started_at: Timestamp,
    /// Uid of its Job, once it was seen. A Job that was seen and is gone is not made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub job_uid: Option<String>,
    /// It is ended after so many seconds.
    #[schemars(range(min = 1))]
    pub deadline_seconds: i64,
    /// Generations of policy, drill and store that it was made from: while its pod has not started, another one gives it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub made_from: Option<String>,
    /// Why it was given up while its Job is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<GivenUp>,
    /// How far its worker is, read from its log about once a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}
