//! What a `RestoreDrill` answers: the run that is on, and how runs ended.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a drill says of a backup (P10).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Verdict {
    /// Everything it was told to compare was compared and is equal.
    Passed,
    /// Something differs, or the backup could not be restored.
    Failed,
    /// It could not be told: the image, the room or the way to the store was at fault.
    Inconclusive,
}

impl Verdict {
    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Passed => "Passed",
            Verdict::Failed => "Failed",
            Verdict::Inconclusive => "Inconclusive",
        }
    }
}

/// How the drills go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreDrillStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`, `Passed`, `Isolated`, `Regression`, `BreakGlass`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
    /// Newest due time that was decided: started or skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Timestamp>,
    /// The run that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningDrill>,
    /// The run that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<DrillOutcome>,
    /// Runs that ended, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub history: Vec<DrillRecord>,
    /// The restore by `docs/break-glass.sh` that was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassOutcome>,
    /// When it runs next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Value of `lifeboat.dev/requestedAt` that was answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_requested_at: Option<String>,
}

/// A run that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunningDrill {
    /// Its name: `<drill>-<due time>`; its proof is `proofs/<run>.json` beside the backup.
    #[schemars(length(max = 253))]
    pub run: String,
    /// When it was due: it picks among the backups that were finished when it was decided.
    pub due: Timestamp,
    /// When it was decided.
    pub started_at: Timestamp,
    /// When its present attempt was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<Timestamp>,
    /// Number of its Job; another follows only when the image was of another major.
    #[schemars(range(min = 1))]
    pub attempt: i32,
    /// Major version of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<i32>,
    /// Uid of its Job, once it was seen. A Job that was seen and is gone is not made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub job_uid: Option<String>,
    /// The run is ended after so many seconds.
    #[schemars(range(min = 1))]
    pub deadline_seconds: i64,
    /// Generations of drill, policy and store that it was made from: while its pod has not started, another one gives it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub made_from: Option<String>,
    /// Why it was given up while its Job is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<super::backup::GivenUp>,
    /// How far its worker is, read from its log about once a minute. Absent in its first minute, and where it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<super::backup::Progress>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillOutcome {
    /// Its name.
    #[schemars(length(max = 253))]
    pub run: String,
    /// When it was due.
    pub due: Timestamp,
    /// When its end was seen.
    pub finished_at: Timestamp,
    /// The verdict.
    pub result: Verdict,
    /// Why, in CamelCase.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// The whole backup was compared and is equal: it is proven.
    pub proves: bool,
    /// From 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub score: Option<i32>,
    /// Name of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub backup: Option<String>,
    /// Folder of the backup in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// Recovery point of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_at: Option<Timestamp>,
    /// Time to restore, by part, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Rto>,
    /// Tables that were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<DrilledTables>,
    /// The first inequalities, at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 256)))]
    pub mismatches: Vec<String>,
    /// Where the full report stands, below the store's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub report_key: Option<String>,
}

/// How a restore by `docs/break-glass.sh` went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassOutcome {
    /// The run that tried it.
    #[schemars(length(max = 253))]
    pub run: String,
    /// When the end of that run was seen.
    pub finished_at: Timestamp,
    /// `Passed`: nothing was refused, and everything is equal. `Inconclusive`: it could not be tried.
    pub result: Verdict,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// How long the script took.
    #[schemars(range(min = 0))]
    pub seconds: i64,
}

/// Time to restore, in seconds, by part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rto {
    /// From the decision to a server that answers: pod scheduled, images pulled, initdb.
    #[schemars(range(min = 0))]
    pub provision: i64,
    /// Fetching, decrypting and checking every digest.
    #[schemars(range(min = 0))]
    pub fetch: i64,
    /// Loading: definitions, data, indexes, statistics.
    #[schemars(range(min = 0))]
    pub restore: i64,
    /// Comparing and checks.
    #[schemars(range(min = 0))]
    pub verify: i64,
    /// What a person would wait for: provision, fetch and restore; in mode Disaster all of it.
    #[schemars(range(min = 0))]
    pub total: i64,
}

/// Tables that were compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrilledTables {
    /// How many.
    #[schemars(range(min = 0))]
    pub compared: i64,
    /// How many came back as they were.
    #[schemars(range(min = 0))]
    pub equal: i64,
}

/// A run that ended, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillRecord {
    /// Its name.
    #[schemars(length(max = 253))]
    pub run: String,
    /// When its end was seen.
    pub finished_at: Timestamp,
    /// The verdict.
    pub result: Verdict,
    /// Why, in CamelCase.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// The whole backup was compared and is equal.
    pub proves: bool,
    /// From 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub score: Option<i32>,
    /// Time to restore in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub rto: Option<i64>,
    /// Name of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub backup: Option<String>,
    /// Recovery point of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_at: Option<Timestamp>,
}

impl DrillRecord {
    /// Whether it proves its backup: it says so, and its verdict and reason say nothing else.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.proves
            && self.result == Verdict::Passed
            && self.reason == super::Reason::Succeeded.as_str()
    }
}
