//! `MigrationRun`: a schema change that a proven backup stands behind.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::migration_status::*;
pub use super::migration_window::*;
use super::shared::{LocalRef, SecretRef};

/// Every field but `suspend` is as it was.
const FIXED: &str = "\
self.policyRef == oldSelf.policyRef && \
self.drillRef == oldSelf.drillRef && \
self.credentials == oldSelf.credentials && \
self.requestedBy == oldSelf.requestedBy && \
self.source == oldSelf.source && \
self.target == oldSelf.target && \
self.window == oldSelf.window && \
has(self.direction) == has(oldSelf.direction) && (!has(self.direction) || self.direction == oldSelf.direction) && \
has(self.history) == has(oldSelf.history) && (!has(self.history) || self.history == oldSelf.history) && \
has(self.lint) == has(oldSelf.lint) && (!has(self.lint) || self.lint == oldSelf.lint) && \
has(self.gate) == has(oldSelf.gate) && (!has(self.gate) || self.gate == oldSelf.gate) && \
has(self.checks) == has(oldSelf.checks) && (!has(self.checks) || self.checks == oldSelf.checks) && \
has(self.approval) == has(oldSelf.approval) && (!has(self.approval) || self.approval == oldSelf.approval) && \
has(self.execution) == has(oldSelf.execution) && (!has(self.execution) || self.execution == oldSelf.execution) && \
has(self.replicas) == has(oldSelf.replicas) && (!has(self.replicas) || self.replicas == oldSelf.replicas)";

/// A schema change: planned, gated by a proven backup, rehearsed on it, approved, applied once, and compared with what
/// was rehearsed.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "MigrationRun",
    plural = "migrationruns",
    shortname = "lbm",
    category = "lifeboat",
    namespaced,
    status = "MigrationRunStatus",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 200").message("the name has more than 200 characters: its Jobs, backup and drill are named after it"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.target.version"),
    printcolumn(name = "Complete", type_ = "string", json_path = ".status.conditions[?(@.type=='Complete')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Backup", type_ = "string", json_path = ".status.gate.backup"),
    printcolumn(name = "Applied", type_ = "integer", json_path = ".status.execution.applied"),
    printcolumn(name = "Of", type_ = "integer", json_path = ".status.plan.segments"),
    printcolumn(name = "Direction", type_ = "string", json_path = ".spec.direction", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(FIXED).message("the spec of a MigrationRun cannot change but for suspend; create another MigrationRun"),
)]
pub struct MigrationRunSpec {
    /// The `BackupPolicy` of the database, in the same namespace: it says where the database is, and where its backups are.
    pub policy_ref: LocalRef,
    /// The `RestoreDrill` whose identity, image, storage and network serve the drill of the backup and the rehearsal.
    pub drill_ref: LocalRef,
    /// Who migrates.
    pub credentials: MigrationCredentials,
    /// Who asks for it: your name as `kubectl auth whoami` prints it. Admission holds it against the request; whoever asked may
    /// not approve.
    #[schemars(length(min = 1, max = 253))]
    pub requested_by: String,
    /// The files.
    pub source: MigrationSource,
    /// Up to which version.
    pub target: MigrationTarget,
    /// `Up` (default), or `Down`: files `.sql.down`, newest first, until `target` is the version that stands last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<MigrationDirection>,
    /// When it may be applied.
    pub window: MigrationWindow,
    /// What is known of the database's past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<MigrationHistory>,
    /// What of the lint's findings was looked at and is meant so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lint: Option<MigrationLint>,
    /// How fresh the backup is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<MigrationGate>,
    /// Questions of your own, asked in the rehearsal and again when it is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<MigrationChecks>,
    /// `Required` (default), or `None`: nobody has to approve. It must be written out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalMode>,
    /// As whom, and how long anybody may wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<MigrationExecution>,
    /// `Unchecked`: standbys may have readers in the way that nobody can ask for. Needed where the database has standbys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// Starts nothing while true. What runs goes on. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

impl MigrationRun {
    /// The server's identifier and the name of the database, once it is planned.
    #[must_use]
    pub fn database(&self) -> Option<(&str, &str)> {
        let plan = self.status.as_ref()?.plan.as_ref()?;
        Some((&plan.system_identifier, &plan.database))
    }

    /// Whether a worker of it changes the database, or may have.
    #[must_use]
    pub fn is_at_database(&self) -> bool {
        let running = self.status.as_ref().and_then(|s| s.running.as_ref());
        running.is_some_and(|r| matches!(r.step, MigrationStep::Apply | MigrationStep::Settle))
    }
}

/// Who migrates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationCredentials {
    /// Secret with the keys `username` (or `user`) and `password` of the migrating role. Host and database are the policy's. No
    /// backup Job ever mounts it.
    pub secret_ref: SecretRef,
}

/// The files: names with versions, as Supabase, sqlx and Flyway write them. Together at most 900 KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapRef) != (has(self.inline) && self.inline.size() > 0)").message("name exactly one of configMapRef and inline"))]
pub struct MigrationSource {
    /// A ConfigMap: each key is a file, `20261122093000_orders_index.sql`, with its way back in `….sql.down`. It is read once,
    /// when the run is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<LocalRef>,
    /// The files themselves, together at most 24 KiB; for more use a ConfigMap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("two files have one name"))]
    pub inline: Vec<InlineFile>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InlineFile {
    /// Its name, with its version: `20261122093000_orders_index.sql`.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub name: String,
    /// Its text.
    #[schemars(length(max = 24576))]
    pub sql: String,
}

/// Up to which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationTarget {
    /// The version that is to stand last: `20261122093000`. Going down, `0` is the state before the first.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[0-9]+(\.[0-9]+)*$"))]
    pub version: String,
}

/// Forward or back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MigrationDirection {
    /// Files `.sql`, in the order of their versions.
    #[default]
    Up,
    /// Files `.sql.down`, in reverse.
    Down,
}

/// What is known of the database's past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationHistory {
    /// For a database with objects and without a history of Lifeboat's: everything up to this version counts as applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[0-9]+(\.[0-9]+)*$"))]
    pub baseline: Option<String>,
    /// `Supabase`: its own table of applied versions is written too. Without it a database with another tool's history is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<HistoryAdapter>,
}

/// Whose history is written too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HistoryAdapter {
    /// `supabase_migrations.schema_migrations`.
    Supabase,
}

/// What of the lint's findings was looked at and is meant so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationLint {
    /// Findings that do not block.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub acknowledge: Vec<LintAcknowledgement>,
}

/// A finding that was looked at. Needs `object` or `file`, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.object) || has(self.file)").message("name the object or the file that is meant"))]
pub struct LintAcknowledgement {
    /// The rule, `LB202`.
    #[schemars(length(min = 5, max = 5), regex(pattern = r"^LB[0-9]{3}$"))]
    pub rule: String,
    /// The object as the finding names it, `public.orders.legacy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub object: Option<String>,
    /// The file in which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub file: Option<String>,
    /// Why, for whoever reads it later.
    #[schemars(length(min = 1, max = 512))]
    pub reason: String,
}

/// How fresh the backup is, and how long it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationGate {
    /// The data of the backup is at most so old when the first statement runs. A backup is made when there is none. Default `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub max_age: Option<String>,
    /// The data of the backup is younger than this: for what was changed by hand since, and has to be rehearsed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_after: Option<Timestamp>,
    /// The backup stays pinned so long after all of it is applied and verified; before that without end. Default `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub keep_pinned: Option<String>,
}

/// Questions before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationChecks {
    /// Before the first statement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name) && !has(a.maxDriftPercent))").message("two checks have one name, or a check before the migration has maxDriftPercent: that compares with before"))]
    pub pre: Vec<MigrationCheck>,
    /// After the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("two checks have one name"))]
    pub post: Vec<MigrationCheck>,
}

/// A question to the database. With `sql` alone its answer must be `expect`; with `equals` two queries must answer alike;
/// with `maxDriftPercent` a number may have moved so far since before the migration; with `index` alone the index is there and
/// valid; with `sql` and `index` the planner uses it (EXPLAIN, the query does not run).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.sql) || has(self.index)").message("write sql or index"),
    validation = Rule::new("(has(self.expect) ? 1 : 0) + (has(self.equals) ? 1 : 0) + (has(self.maxDriftPercent) ? 1 : 0) + (has(self.index) ? 1 : 0) <= 1").message("of expect, equals, maxDriftPercent and index write one"),
)]
pub struct MigrationCheck {
    /// Its name in reports.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// One query. The first column of its first row counts, as text. Runs in a read-only transaction for at most 30 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub sql: Option<String>,
    /// What it says, as psql prints it. Default `t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub expect: Option<String>,
    /// Another query that must answer the same: expected against actual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub equals: Option<String>,
    /// The answer is a number, and at most so many percent away from what it was before the migration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub max_drift_percent: Option<i32>,
    /// An index, `public.orders_created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 140))]
    pub index: Option<String>,
}

/// Whether somebody must approve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApprovalMode {
    /// A `MigrationApproval` of somebody else than who asked.
    #[default]
    Required,
    /// Nobody has to.
    None,
}

/// As whom, and how long anybody may wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationExecution {
    /// `SET ROLE`: the role that owns what is made. Default: the role that logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub role: Option<String>,
    /// Schemas in which names without one are looked for. Default `[public]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    pub search_path: Vec<String>,
    /// We wait for locks so long in one try of a segment, in sum. Default `500ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^[1-9][0-9]{0,6}(ms|s|m|h)$")
    )]
    pub lock_timeout: Option<String>,
    /// No other session waits for us longer. Default `1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^[1-9][0-9]{0,6}(ms|s|m|h)$")
    )]
    pub max_blocking: Option<String>,
    /// All others together wait so long for a table in the whole run. Default `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^[1-9][0-9]{0,6}(ms|s|m|h)$")
    )]
    pub block_budget: Option<String>,
    /// A statement in a transaction takes at most so long. Default `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^[1-9][0-9]{0,6}(ms|s|m|h)$")
    )]
    pub statement_timeout: Option<String>,
    /// A statement outside transactions (CREATE INDEX CONCURRENTLY) takes at most so long. Default `6h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^[1-9][0-9]{0,6}(ms|s|m|h)$")
    )]
    pub alone_timeout: Option<String>,
    /// So often a segment is tried. Default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub tries: Option<i32>,
}

/// What is known of standbys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Replicas {
    /// Their readers are not asked for.
    Unchecked,
}
