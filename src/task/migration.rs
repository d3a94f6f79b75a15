//! What the operator asks of the workers of a MigrationRun, and what those answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DatabaseTask, IdentityTask, StoreTask};
use crate::api::migration_run::{MigrationPlan, MigrationRunSpec};
use crate::api::restore_drill::{ScratchPostgres, Verdict};

/// Folder of the Secret with the migrating role.
pub const LOGIN_DIR: &str = "/run/lifeboat/login";
/// Folder of the ConfigMap with the files.
pub const SOURCE_DIR: &str = "/run/lifeboat/source";
/// Folder in the store, below its prefix, for files, plans and rehearsals.
pub const MIGRATIONS: &str = "migrations";
/// Begins each line of a worker's log that carries a part of its document (K14).
pub const DOCUMENT_LINE: &str = "lifeboat-document";
/// Longest such line, in bytes.
pub const MAX_DOCUMENT_LINE: usize = 8 * 1024;
/// Longest document that goes by the log, in bytes.
pub const MAX_DOCUMENT: usize = 1024 * 1024;

/// One step of a MigrationRun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationTask {
    /// Namespace of the run.
    pub namespace: String,
    /// Name of the run.
    pub run: String,
    /// Its uid.
    pub run_uid: String,
    /// Its whole spec, without `suspend`, which is no part of a plan.
    pub spec: MigrationRunSpec,
    /// The database as the policy names it: host, database, TLS, and who may read.
    pub database: DatabaseTask,
    /// Secret of the migrating role, for messages.
    pub login_secret: String,
    /// Folder with its keys.
    pub login_dir: String,
    /// Folder of the ConfigMap with the files.
    pub source_dir: String,
    /// The store.
    pub store: StoreTask,
    /// Which step.
    pub step: StepTask,
}

/// Which step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum StepTask {
    /// Reads files and database, keeps the files in the store, changes nothing in the database.
    Plan,
    /// Runs the plan on a restored backup.
    Rehearse(Box<RehearseTask>),
    /// Runs the plan.
    Apply(Box<ApplyTask>),
    /// Asks the history what stands, and removes what an earlier worker left behind (M4).
    Settle(Box<SettleTask>),
}

/// Run a plan on a restored backup, in the scratch server beside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RehearseTask {
    /// `status.plan.hash`: the plan stands in the store.
    pub plan_hash: String,
    /// Name of this rehearsal; names its evidence.
    pub rehearsal: String,
    /// Name of the Backup.
    pub backup: String,
    /// Its folder, below the store's prefix.
    pub prefix: String,
    /// The scratch server.
    pub postgres: ScratchPostgres,
    /// Its image, for the report.
    pub image: String,
    /// What opens the backup.
    pub identity: Option<IdentityTask>,
}

/// Run a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyTask {
    /// `status.plan.hash`.
    pub plan_hash: String,
    /// `status.rehearsal.evidenceHash`: what was approved.
    pub evidence_hash: String,
    /// Where the evidence stands, below the store's prefix.
    pub evidence_key: String,
    /// Name of the Backup.
    pub backup: String,
    /// Its folder, below the store's prefix.
    pub prefix: String,
    /// The data of the backup is at most so old when the first statement runs, in seconds.
    pub max_age_seconds: u64,
    /// Who approved.
    pub approved_by: Vec<String>,
    /// Nothing begins after this time: `notAfter`, or the end of the hours of this week.
    pub closes_at: Timestamp,
    /// Between two segments it makes room for a backup from this time on (M17).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yields_at: Option<Timestamp>,
}

/// Ask the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleTask {
    /// `status.plan.hash`.
    pub plan_hash: String,
    /// Where the evidence stands, below the store's prefix.
    pub evidence_key: Option<String>,
    /// `status.rehearsal.evidenceHash`.
    pub evidence_hash: Option<String>,
}

/// What a step answers besides its reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationResult {
    /// Of a plan: the document in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentInLog>,
    /// Of a rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<RehearsalResult>,
    /// Of applying and of settling: what stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedResult>,
    /// Of applying: this worker began nothing, and could not even read the history.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nothing_begun: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(it: &bool) -> bool {
    !it
}

impl MigrationResult {
    /// What is shown, and cut first where there is no room.
    pub(super) fn shown(&mut self) -> Option<&mut Vec<String>> {
        let locks = self.rehearsal.as_mut().map(|r| &mut r.locks);
        locks.or(self.applied.as_mut().map(|a| &mut a.differences))
    }
}

/// A [`MigrationPlan`] as JSON in the worker's log: lines `lifeboat-document <number>/<count> <part>`, numbered from 1 (K14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentInLog {
    /// How many lines.
    pub lines: usize,
    /// SHA-256 of the parts together, hex.
    pub sha256: String,
}

/// What a rehearsal showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RehearsalResult {
    /// The verdict.
    pub result: Verdict,
    /// SHA-256 over what it decided.
    pub evidence_hash: String,
    /// Where the whole of it stands, below the store's prefix.
    pub key: String,
    /// The way back was rehearsed too, and led to where it began.
    pub way_back: bool,
    /// Tables that readers are locked out of, and those that are written anew; cut first where there is no room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
}

/// What stands on the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedResult {
    /// Segments of the plan that are applied.
    pub applied: i64,
    /// Segments of the plan.
    pub of: i64,
    /// Tries that ended because somebody was in the way.
    pub tries: i64,
    /// A statement was begun, and nobody has seen its end.
    #[serde(default)]
    pub begun: bool,
    /// Of one more only some batches are.
    #[serde(default)]
    pub partly: bool,
    /// What stands is what was rehearsed, and every check passed; absent: not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// The first differences; cut first where there is no room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}

/// Writes a plan as the lines of a log, and what the result says of them.
#[must_use]
pub fn to_log(plan: &MigrationPlan) -> (Vec<String>, DocumentInLog) {
    let text = serde_json::to_string(plan).unwrap_or_default();
    let part = MAX_DOCUMENT_LINE - 64;
    let (mut parts, mut rest) = (Vec::new(), text.as_str());
    while !rest.is_empty() {
        let mut at = part.min(rest.len());
        while !rest.is_char_boundary(at) {
            at -= 1;
        }
        let (head, tail) = rest.split_at(at);
        parts.push(head);
        rest = tail;
    }
    let count = parts.len();
    let lines = parts
        .iter()
        .enumerate()
        .map(|(at, part)| format!("{DOCUMENT_LINE} {}/{count} {part}", at + 1));
    let document = DocumentInLog {
        lines: count,
        sha256: sha256(text.as_bytes()),
    };
    (lines.collect(), document)
}

/// Reads what [`to_log`] wrote out of a whole log. `None` if a line is missing or the sum is another.
#[must_use]
pub fn from_log(log: &str, document: &DocumentInLog) -> Option<MigrationPlan> {
    let mut parts = std::collections::BTreeMap::new();
    for line in log.lines() {
        let Some((numbers, part)) = line
            .strip_prefix(DOCUMENT_LINE)
            .and_then(|rest| rest.strip_prefix(' ')?.split_once(' '))
        else {
            continue;
        };
        let (number, _) = numbers.split_once('/')?;
        parts.insert(number.parse::<usize>().ok()?, part);
    }
    let text: String = (1..=document.lines)
        .map(|at| parts.get(&at).copied())
        .collect::<Option<_>>()?;
    let whole = text.len() <= MAX_DOCUMENT && sha256(text.as_bytes()) == document.sha256;
    whole.then(|| serde_json::from_str(&text).ok()).flatten()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}
