//! `BackupPolicy`: what to back up, and when.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::accept::Accept;
use super::backup_store::{UpkeepPlan, UpkeepRun};
use super::health::{Alert, AlertThresholds, LastProven, Objectives};
use super::shared::{CaRef, LocalRef, PodTemplate, SecretRef};

/// What to back up, when, and where to.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "BackupPolicy",
    plural = "backuppolicies",
    shortname = "lbp",
    category = "lifeboat",
    namespaced,
    status = "BackupPolicyStatus",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 253"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Healthy", type_ = "string", json_path = ".status.conditions[?(@.type=='Healthy')].reason"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastBackup.finishedAt"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.next[0].at"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.directory) == has(oldSelf.directory) && (!has(self.directory) || self.directory == oldSelf.directory)").message("directory cannot change: older backups would be lost from sight; make a new BackupPolicy"),
)]
pub struct BackupPolicySpec {
    /// The database to back up.
    pub database: Database,
    /// The `BackupStore` to write to, in the same namespace.
    pub store_ref: LocalRef,
    /// Folder in the store. Default `<namespace>.<name>`, beyond 200 characters cut and with a hash. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    )]
    pub directory: Option<String>,
    /// IANA time zone of the tiers' cron, for example `Europe/Berlin`. Default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: Option<String>,
    /// When to back up. Without tiers there are only manual backups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.name == a.name))").message("two tiers have one name"))]
    pub tiers: Vec<Tier>,
    /// Runs start up to this much later than their cron says, always the same for one policy. Default: a tenth of the schedule's gap, at most `30m`. `0s` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 10), regex(pattern = r"^[0-9]{1,9}[smhdwy]$"))]
    pub spread: Option<String>,
    /// An attempt that takes longer is ended. Default `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub deadline: Option<String>,
    /// How long a session of the database may wait for a lock of the backup, for example a `TRUNCATE`: an attempt that would keep it waiting longer lets go and begins anew, in its first tries long before. The last attempt stays. Default `60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 10),
        regex(pattern = r"^0*[1-9][0-9]{0,8}[smhdwy]$")
    )]
    pub max_blocking: Option<String>,
    /// How often one due time is tried. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub attempts: Option<i32>,
    /// `Full` reads every row once more beside the dump and records a hash for each table, so that a restore can be compared with it; `Off` only counts the rows. Default `Full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<ContentHash>,
    /// What is known to be missing from the backups, and not worth an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Accept>,
    /// How much may be lost and how long a restore may take. What is given is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<Objectives>,
    /// When something is worth an alert. The defaults suit a daily backup and a weekly drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<AlertThresholds>,
    /// Starts no new runs while true; a run that is on goes on. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What the pods of this policy's Jobs look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
}

/// Whether the content of tables is hashed (G22).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ContentHash {
    /// Every row.
    #[default]
    Full,
    /// None.
    Off,
}

/// How a database is reached. What the Secret lacks may stand beside it (K37).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Secret with `uri`, or with `host`, `port`, `user` (or `username`), `password`, `dbname`; and with `tls.crt` and `tls.key` where the server asks for a client certificate, which may stand in for the password.
    pub secret_ref: SecretRef,
    /// Other names of those keys in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<DatabaseKeys>,
    /// Host. Wins over the Secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9.:_-]+$"))]
    pub host: Option<String>,
    /// Port. Wins over the Secret's. Default 5432.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Name of the database. Wins over the Secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// Role. Wins over the Secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub user: Option<String>,
    /// TLS. Default: `VerifyFull` with the public roots, unless the URI has an `sslmode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Names of keys in the database's Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseKeys {
    /// Key of a whole `postgresql://` URI. Default `uri`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub uri: Option<String>,
    /// Key of the host. Default `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// Key of the port. Default `port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub port: Option<String>,
    /// Key of the user. Default `user`, then `username`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub user: Option<String>,
    /// Key of the password. Default `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub password: Option<String>,
    /// Key of the database's name. Default `dbname`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub dbname: Option<String>,
}

/// How the connection is protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// How much is asked of the server's certificate. Default `VerifyFull`.
    #[serde(default)]
    pub mode: TlsMode,
    /// Authority that signed it. Default: the bundled public roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaRef>,
}

/// How much is asked of the server's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS with whatever certificate.
    Require,
    /// A certificate that the authority signed.
    VerifyCa,
    /// And the name in it is the host's.
    #[default]
    VerifyFull,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    /// Name, unique in the policy, for example `daily`.
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Five cron fields, with names, `L` and `#`: `0 1 * * SUN#1`. In a DST gap it runs at the gap's end, in an overlap once.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[^ ]+( +[^ ]+){4}$')").message("a cron has five fields (minute, hour, day of month, month, day of week): write for example `0 2 * * *` for every day at 02:00"))]
    pub cron: String,
}

impl BackupPolicy {
    /// The server's identifier and the name of the database, once a check has learnt them.
    #[must_use]
    pub fn database(&self) -> Option<(&str, &str)> {
        let facts = self.status.as_ref()?.database.as_ref()?;
        Some((facts.system_identifier.as_deref()?, facts.name.as_deref()?))
    }
}

/// What the operator knows of a policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupPolicyStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`, `Healthy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
    /// Newest due time that was decided: started, skipped or adopted. Only grows (K17).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Timestamp>,
    /// Due times that were skipped because a run was on and another waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
    /// What the last check or backup learnt of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseFacts>,
    /// The run that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// The next due time of each tier, soonest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    pub next: Vec<NextDue>,
    /// The newest complete backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup: Option<LastBackup>,
    /// The newest complete backup holds at least what was committed until then. Only grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point: Option<Timestamp>,
    /// The newest backup that a drill has proven. Only gets newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_proven: Option<LastProven>,
    /// What is wrong now, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub alerts: Vec<Alert>,
    /// Failed runs since the newest complete one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Failures>,
    /// The last check that gave an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check: Option<UpkeepRun>,
    /// The check that runs or will run next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<UpkeepPlan>,
    /// Value of `lifeboat.dev/requestedAt` whose retry of the last failed run was started (K21).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_requested_at: Option<String>,
    /// The failed Backup that `lastRequestedAt` asked to be tried again (K21).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub retried: Option<String>,
}

/// Due times that were skipped (K29).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// How many in the last seven days.
    #[serde(rename = "count7d")]
    #[schemars(range(min = 0))]
    pub count_7d: i32,
    /// The newest, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub times: Vec<Timestamp>,
    /// The newest one.
    pub last: LastSkipped,
}

/// The newest skipped due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastSkipped {
    /// Its time.
    pub time: Timestamp,
    /// Why it was skipped.
    #[schemars(length(max = 256))]
    pub why: String,
}

/// What a check or backup learnt of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseFacts {
    /// Major version, for example 17.
    pub major: i32,
    /// The server's `system_identifier`, where it may be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub system_identifier: Option<String>,
    /// Name of the database, as the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub name: Option<String>,
    /// Size of the database in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub bytes: Option<i64>,
    /// Who runs the server: `Supabase`, `Rds`, `CloudSql`, `Neon`, `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub provider: Option<String>,
    /// Installed extensions with their versions, at most 100, as `name version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 160)))]
    pub extensions: Vec<String>,
    /// Tables of extensions that hold rows and are in no dump, at most 100, as `schema.table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 300)))]
    pub extension_data: Vec<String>,
    /// What else is in no dump, at most 100: objects in the system's schemas, constraints whose triggers are switched off, indexes that are not valid, tablespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 300)))]
    pub not_dumped: Vec<String>,
    /// When the password of the backup's role expires (`VALID UNTIL`), where it logs in with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_expires: Option<Timestamp>,
    /// `None` or `Session`; transaction poolers are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub pooler: Option<String>,
}

/// The run that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// Name of its Backup.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Since when.
    pub started_at: Timestamp,
}

/// The next due time of a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextDue {
    /// The tiers that are due then, joined by `+`.
    #[schemars(length(max = 512))]
    pub tier: String,
    /// When, spread included.
    pub at: Timestamp,
}

/// The newest complete backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastBackup {
    /// Name of its Backup.
    #[schemars(length(max = 253))]
    pub name: String,
    /// When it was finished.
    pub finished_at: Timestamp,
    /// Its folder in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// Bytes stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub bytes: Option<i64>,
}

/// Failed runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// Failed runs since the newest complete one.
    #[schemars(range(min = 0))]
    pub consecutive: i32,
}
