//! `Backup`: one restore point, made by a policy or by a person.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::LocalRef;

/// Every field but `pin` is as it was.
const FIXED: &str = "\
self.policyRef == oldSelf.policyRef && \
has(self.reason) == has(oldSelf.reason) && (!has(self.reason) || self.reason == oldSelf.reason) && \
has(self.tiers) == has(oldSelf.tiers) && (!has(self.tiers) || self.tiers == oldSelf.tiers) && \
has(self.scheduledTime) == has(oldSelf.scheduledTime) && (!has(self.scheduledTime) || self.scheduledTime == oldSelf.scheduledTime)";

/// One restore point. Write one yourself to back up now: only `policyRef` is needed.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "Backup",
    plural = "backups",
    shortname = "lbb",
    category = "lifeboat",
    namespaced,
    status = "BackupStatus",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 253"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(name = "Complete", type_ = "string", json_path = ".status.conditions[?(@.type=='Complete')].status"),
    printcolumn(name = "Proven", type_ = "string", json_path = ".status.conditions[?(@.type=='Proven')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Tables", type_ = "integer", json_path = ".status.tables"),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rows"),
    printcolumn(name = "Stored", type_ = "integer", json_path = ".status.bytes.stored"),
    printcolumn(name = "Finished", type_ = "date", json_path = ".status.finishedAt"),
    printcolumn(name = "Pinned", type_ = "boolean", json_path = ".status.pin.pinned", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(FIXED).message("a Backup's spec cannot change but for pin; create another Backup"),
)]
pub struct BackupSpec {
    /// The `BackupPolicy` that says what and where to, in the same namespace.
    pub policy_ref: LocalRef,
    /// Tiers this backup counts for. Set by the operator only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12), inner(length(min = 1, max = 40)))]
    pub tiers: Vec<String>,
    /// Due time. Set by the operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_time: Option<Timestamp>,
    /// Why it was made. Default `Manual`.
    #[serde(default)]
    pub reason: BackupReason,
    /// Keep it: said to the store too, where whoever removes old backups looks. May change at any time. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<bool>,
}

/// Why a backup was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackupReason {
    /// A person or pipeline asked for it.
    #[default]
    Manual,
    /// A tier was due.
    Scheduled,
    /// A MigrationRun needs a fresh one. Set by the operator only.
    PreMigration,
}

/// How a backup goes, or went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`, `Complete`, `Failed`; `Proven` once a drill restored it whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
    /// When the first attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the backup was complete, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Number of the attempt that runs or ran last; its Job is `<backup>-a<attempt>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub attempt: Option<i32>,
    /// Attempts that did not count, because the image was of another major (K20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub uncounted: Option<i32>,
    /// Not before this time does the next attempt start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Attempts before the policy's last `lifeboat.dev/requestedAt`; they no longer count (K21).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub earlier_attempts: Option<i32>,
    /// Value of the policy's `lifeboat.dev/requestedAt` for which it was taken up again (K21).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub requested_at: Option<String>,
    /// When it was taken up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_at: Option<Timestamp>,
    /// Uid of the attempt's Job, once it was seen. A Job that was seen and is gone is not made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub job_uid: Option<String>,
    /// What the attempt was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<AttemptPlan>,
    /// Why the attempt was given up while its Job is being removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<GivenUp>,
    /// Major version that the last attempt found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_major: Option<i32>,
    /// Folder in the store that holds this backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// Sizes in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<BackupBytes>,
    /// How many tables it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tables: Option<i64>,
    /// How many rows it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub rows: Option<i64>,
    /// The recovery point: everything that was committed by then is in it. Of a backup from a standby it is what the standby had
    /// replayed, which may be older than `startedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_at: Option<Timestamp>,
    /// Write-ahead log position, sampled before the locks, for example `0/16B3748`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub lsn: Option<String>,
    /// The server's version, for example `17.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub server_version: Option<String>,
    /// Name of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub database_name: Option<String>,
    /// How far a running attempt is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<AttemptProgress>,
    /// What the store was told of `spec.pin`; absent: nothing was ever asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinStatus>,
}

/// What the store was told of `spec.pin`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinStatus {
    /// The store says that the backup is to be kept.
    pub pinned: bool,
    /// Generation of the spec that it was told; 0: none yet.
    #[schemars(range(min = 0))]
    pub generation: i64,
    /// Generation that could not be told yet; 0: none.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub trying: i64,
    /// How many tries of that one have failed.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failed_tries: i32,
    /// Not before this time is it tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// What an attempt was told: fixed when it was decided, so that a policy that changes or goes meanwhile changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptPlan {
    /// Folder of the policy in the store.
    #[schemars(length(max = 512))]
    pub directory: String,
    /// The attempt is ended after so many seconds.
    #[schemars(range(min = 1))]
    pub deadline_seconds: i64,
    /// Generations of policy and store that the attempt was made from: while its pod has not started, another one gives it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub made_from: Option<String>,
}

/// Why an attempt was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GivenUp {
    /// `StartDeadlineExceeded` or `ResultLost`.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// One sentence for people.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// Sizes of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupBytes {
    /// What pg_dump wrote.
    #[schemars(range(min = 0))]
    pub raw: i64,
    /// What stands in the bucket.
    #[schemars(range(min = 0))]
    pub stored: i64,
}

/// How far a running attempt is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptProgress {
    /// Named step, for example `DumpStarted`.
    #[schemars(length(max = 32))]
    pub step: String,
    /// Percent of the rows that are read. Absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i32>,
    /// The session that waits longest for a lock of the backup: its pid, `application_name`, role, lock and table, and for how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub blocking: Option<String>,
}

/// How far a running drill or migration is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Named step, for example `LoadingData`.
    #[schemars(length(max = 32))]
    pub step: String,
    /// Percent of the rows that are loaded. Absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i32>,
}

impl From<AttemptProgress> for Progress {
    fn from(progress: AttemptProgress) -> Self {
        Self {
            step: progress.step,
            percent: progress.percent,
        }
    }
}
