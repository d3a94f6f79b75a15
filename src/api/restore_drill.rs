//! `RestoreDrill`: a backup is restored into a throw-away server and compared, on schedule.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::drill_status::{
    BreakGlassOutcome, DrillOutcome, DrillRecord, DrilledTables, RestoreDrillStatus, Rto,
    RunningDrill, Verdict,
};
use super::shared::{LocalRef, SecretRef};

/// Proof on schedule: restores a backup of a policy into a scratch server in the drill's own pod and compares
/// every table, definition, owner and privilege with what was there at the moment of the dump.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "RestoreDrill",
    plural = "restoredrills",
    shortname = "lbd",
    category = "lifeboat",
    namespaced,
    status = "RestoreDrillStatus",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 253"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(name = "Passed", type_ = "string", json_path = ".status.conditions[?(@.type=='Passed')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Passed')].reason"),
    printcolumn(name = "Score", type_ = "integer", json_path = ".status.last.score"),
    printcolumn(name = "RTO", type_ = "integer", json_path = ".status.last.rto.total"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.last.finishedAt"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.next"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.applicationRole) || (has(self.mode) && self.mode == 'Disaster')").message("applicationRole is for mode Disaster: add `mode: Disaster` or remove it"),
)]
pub struct RestoreDrillSpec {
    /// The `BackupPolicy` whose backups are drilled, in the same namespace. Its store is read.
    pub policy_ref: LocalRef,
    /// When to drill. Without it the drill runs once, as soon as the policy has a backup; and again whenever the
    /// annotation `lifeboat.dev/requestedAt` changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Which backup. Default: the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Select>,
    /// The Secret with the age identity that opens the backups: each of its keys that holds `AGE-SECRET-KEY-1…` is tried.
    /// Only needed where the store encrypts. No backup Job ever mounts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_ref: Option<SecretRef>,
    /// `Verify` (default) or `Disaster`: starts from the bucket alone, lets an application role log in and measures end to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DrillMode>,
    /// What is compared. Less than all of it proves nothing. Default: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
    /// In mode `Disaster`: a role of the backup that gets LOGIN and a password of the drill's own, and runs the checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub application_role: Option<String>,
    /// Questions of your own to the restored database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("two checks have one name"))]
    pub checks: Vec<Check>,
    /// The drill fails below this score, from 0 to 100. Matters only for checks with `required: false`. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub minimum_score: Option<i32>,
    /// When a proven backup is also restored by `docs/break-glass.sh`, without Lifeboat's own loader, and compared: `Monthly`
    /// (default), `Always` or `Never`. It comes after the drill's own verdict and does not change it: the condition
    /// `BreakGlass` says how it went. It restores in one session and takes longer than the drill itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// The scratch server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<ScratchPostgres>,
    /// `Isolated` (default): a NetworkPolicy lets the drill's pods resolve names and reach the store's port, and nothing
    /// else. `Open`: Lifeboat sets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// A run is ended after this time, for example `90m`. Default `4h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub deadline: Option<String>,
    /// How many ended runs the status keeps. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub history: Option<i32>,
    /// Starts nothing while true. What runs goes on. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// When to drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Five fields as in cron, for example `0 3 * * SUN`; also `L`, `#` and names.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[^ ]+( +[^ ]+){4}$')").message("a cron has five fields (minute, hour, day of month, month, day of week): write for example `0 3 * * SUN` for every Sunday at 03:00"))]
    pub cron: String,
    /// IANA name of the zone that `cron` counts in, for example `Europe/Berlin`. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: Option<String>,
}

/// Which backup is drilled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.backup) && (has(self.pick) || has(self.tier) || has(self.prefix)))").message("backup names one backup: remove pick, tier and prefix"),
)]
pub struct Select {
    /// `Latest` (default), `Oldest` or `Random`. `Random` is drawn from the due time: another try of the same run picks the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// Only backups that count for this tier of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub tier: Option<String>,
    /// Name of one Backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub backup: Option<String>,
    /// Looks below this folder of the store instead of the policy's own, for example `shop.orders-copy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 512),
        regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")
    )]
    pub prefix: Option<String>,
}

/// Which of several backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Pick {
    /// The newest.
    #[default]
    Latest,
    /// The oldest.
    Oldest,
    /// Any.
    Random,
}

/// What the drill's pods may reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Network {
    /// Names and the store's port.
    #[default]
    Isolated,
    /// Whatever the namespace allows.
    Open,
}

/// When the script that restores without Lifeboat is drilled too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BreakGlass {
    /// By the first run of a month (UTC), and by each one after it until it passed once in that month.
    #[default]
    Monthly,
    /// By each run.
    Always,
    /// By none.
    Never,
}

/// How much of a disaster is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DrillMode {
    /// Restore and compare.
    #[default]
    Verify,
    /// Also: from the bucket alone, an application role logs in and runs the checks, measured end to end.
    Disaster,
}

impl DrillMode {
    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            DrillMode::Verify => "Verify",
            DrillMode::Disaster => "Disaster",
        }
    }
}

/// What is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.samplePercent) == (has(self.content) && self.content == 'Sample')").message("`content: Sample` needs samplePercent, and nothing else does: write for example `{content: Sample, samplePercent: 10}`"),
)]
pub struct Compare {
    /// Definitions, owners, privileges, roles, sequences, properties of the database. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<bool>,
    /// `Exact` (default) or `Off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<CompareRows>,
    /// `Full` (default), `Sample`: of some tables, each whole, or `Off`: only rows are counted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<CompareContent>,
    /// With `content: Sample`: how many of a hundred tables are read, at least one. Drawn from the due time: each run draws
    /// others, another try of the same run the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub sample_percent: Option<i32>,
    /// Definitions that the server prints otherwise than they were backed up (reason `PrintedOtherwise`), which somebody has
    /// read and found equal. Each counts only as long as both texts stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub accept: Vec<AcceptedDefinition>,
}

/// A definition whose other print is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedDefinition {
    /// The object, as the drill names it: `VIEW public.totals`.
    #[schemars(length(min = 1, max = 512))]
    pub definition: String,
    /// The fingerprint that the drill says of it: 16 hex digits.
    #[schemars(length(min = 16, max = 16), regex(pattern = r"^[0-9a-f]{16}$"))]
    pub fingerprint: String,
}

/// How rows are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CompareRows {
    /// Every table has as many rows as it had.
    #[default]
    Exact,
    /// Not at all.
    Off,
}

/// How content is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CompareContent {
    /// The hash of every row of every table.
    #[default]
    Full,
    /// The hash of every row of some tables.
    Sample,
    /// Not at all.
    Off,
}

/// A question to the restored database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.asOf) && self.asOf == 'Now') || !self.sql.matches('(?i)(^|[^a-z0-9_])(now *[(]|current_timestamp|current_date|current_time|localtime|clock_timestamp *[(]|statement_timestamp *[(]|transaction_timestamp *[(]|timeofday *[(]|\\\\x27 *(now|today|tomorrow|yesterday) *\\\\x27|age *[(][^(),]*[)])')").message("the check asks the clock, which speaks of the drill and not of the dump: write :dump_time instead of now() and its like, or `asOf: Now`"),
)]
pub struct Check {
    /// Its name in reports.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// One query. The first column of its first row is compared with `expect`, as text. `:dump_time` is the moment of the
    /// dump, as `timestamptz`. Runs in a read-only transaction for at most 60 seconds.
    #[schemars(length(min = 1, max = 2048))]
    pub sql: String,
    /// What it should say, as psql prints it: `t`, `42`. Default `t`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub expect: Option<String>,
    /// `Dump` (default): clock functions such as `now()` are refused, because a check that means the moment of the dump would
    /// fail on every old backup; write `:dump_time`. `Now` allows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<AsOf>,
    /// The drill fails with it. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

/// Which moment a check speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AsOf {
    /// The moment of the dump.
    #[default]
    Dump,
    /// The moment of the drill.
    Now,
}

/// The scratch server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScratchPostgres {
    /// Its image, with the extensions and locales of the database. Default: the policy's `template.postgresImage`, else the
    /// chart's image of the server's major.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Settings of the server, for example `maintenance_work_mem: 512MB`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-z_][a-z0-9_.]*$') && size(k) <= 64 && size(self[k]) <= 256)").message("a parameter is a name like work_mem with a value of at most 256 characters"))]
    pub parameters: BTreeMap<String, String>,
    /// Locales of the operating system that the image lacks and that are made from its own sources (`localedef`) before the
    /// server starts, for example `es_CL.UTF-8`. Those that the backup names, as its own or in settings, are made without
    /// being named here; collations that somebody created from a locale need it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 64),
            regex(pattern = r"^[A-Za-z][A-Za-z0-9_.@-]*$")
        )
    )]
    pub locales: Vec<String>,
    /// Where its data lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Requests and limits of its container. Default: the chart's `workers.resources`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// Where the scratch server's data lies. Gone with the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// For example `50Gi`. Default: three times what the database had, and the dump, at least 1Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^[1-9][0-9]{0,9}(Ki|Mi|Gi|Ti|k|M|G|T)?$")
    )]
    pub size: Option<String>,
    /// Storage class of a volume that lives as long as the pod. Without it the node's own disk is used (emptyDir).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
}
