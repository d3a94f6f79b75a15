//! What the operator asks of a worker.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::api::backup_policy::{DatabaseKeys, TlsMode};
use crate::api::backup_store::{Addressing, EncryptionMode};

/// Version of both documents.
pub const TASK_VERSION: u32 = 1;
/// Environment variable that holds the task.
pub const TASK_ENV: &str = "LIFEBOAT_TASK";
/// Environment variable with the pod's uid, from the downward API (K1).
pub const POD_UID_ENV: &str = "POD_UID";
/// Longest task in bytes (K8).
pub const MAX_TASK_BYTES: usize = 64 * 1024;
/// Where the pod mounts the database's Secret, whole and optional (K6).
pub const DATABASE_DIR: &str = "/run/lifeboat/database";
/// Where the pod mounts the Secret or ConfigMap with the database's authority.
pub const DATABASE_CA_DIR: &str = "/run/lifeboat/database-ca";
/// Where the pod mounts the writer's Secret.
pub const STORE_DIR: &str = "/run/lifeboat/store";
/// Where the pod mounts the Secret or ConfigMap with the store's authority.
pub const STORE_CA_DIR: &str = "/run/lifeboat/store-ca";
/// Memory emptyDir of 1 MiB where the worker writes service and password files (K9).
pub const SCRATCH_DIR: &str = "/run/lifeboat/scratch";
/// Where the worker writes its result.
pub const TERMINATION_LOG: &str = "/dev/termination-log";

/// One task for one worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Task {
    /// [`TASK_VERSION`].
    pub version: u32,
    /// The worker ends itself after this many seconds (K3).
    pub deadline_seconds: u64,
    /// What to do.
    pub work: Work,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Work {
    /// Make one backup.
    Backup(Box<BackupTask>),
    /// Look at a database.
    Check(Box<CheckTask>),
    /// Look at a store.
    Probe(Box<ProbeTask>),
    /// Tell a store whether a backup is to be kept.
    Pin(Box<PinTask>),
    /// Drill a backup.
    Drill(Box<super::DrillTask>),
    /// A step of a migration.
    Migration(Box<super::MigrationTask>),
}

/// Make one backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupTask {
    /// Namespace of the policy.
    pub namespace: String,
    /// Name of the Backup, recorded in the manifest (K26).
    pub backup: String,
    /// Name of the policy.
    pub policy: String,
    /// Uid of the policy.
    pub policy_uid: String,
    /// Number of the attempt, from 1.
    pub attempt: i32,
    /// Tiers it counts for.
    pub tiers: Vec<String>,
    /// `Manual`, `Scheduled` or `PreMigration`.
    pub reason: crate::api::backup::BackupReason,
    /// Due time, or the creation time of a manual Backup.
    pub due: Timestamp,
    /// Folder of the policy in the store, without the store's prefix.
    pub directory: String,
    /// Whether every row is read once more and hashed (G22).
    pub content_hash: bool,
    /// How long others may wait for its locks, in seconds; without it: to the end, since it is the last attempt (G9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_blocking_seconds: Option<u64>,
    /// The database.
    pub database: DatabaseTask,
    /// The store.
    pub store: StoreTask,
}

/// Look at a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckTask {
    /// Uid of the policy, part of `application_name` (G10).
    pub policy_uid: String,
    /// The database.
    pub database: DatabaseTask,
}

/// Look at a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeTask {
    /// The store.
    pub store: StoreTask,
}

/// Tell a store whether a backup is to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinTask {
    /// Namespace of the Backup.
    pub namespace: String,
    /// Its name.
    pub backup: String,
    /// Its uid.
    pub uid: String,
    /// Its folder, below the store's prefix.
    pub prefix: String,
    /// Generation of its spec: of two wishes the later one counts.
    pub order: i64,
    /// Whether it is to be kept.
    pub pinned: bool,
    /// The store.
    pub store: StoreTask,
}

/// How to reach a database. The Secret is a folder with one file per key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseTask {
    /// Name of the Secret, for messages.
    pub secret_name: String,
    /// Folder with its keys.
    pub dir: String,
    /// Other names of the keys.
    #[serde(default)]
    pub keys: DatabaseKeys,
    /// Host, if the spec names it.
    pub host: Option<String>,
    /// Port, if the spec names it.
    pub port: Option<i32>,
    /// Database, if the spec names it.
    pub name: Option<String>,
    /// Role, if the spec names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// TLS mode, if the spec has `tls`.
    pub tls_mode: Option<TlsMode>,
    /// Private authority, if the spec names one.
    pub ca: Option<CaTask>,
}

/// A file with certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaTask {
    /// `Secret` or `ConfigMap`, and its name, for messages: `Secret/shop-ca`.
    pub source: String,
    /// Folder with its keys.
    pub dir: String,
    /// The key.
    pub key: String,
}

/// How to reach a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreTask {
    /// Bucket.
    pub bucket: String,
    /// Folder in the bucket, without slashes at its ends; empty for the root.
    pub prefix: String,
    /// Region.
    pub region: Option<String>,
    /// Endpoint of an S3-compatible store.
    pub endpoint: Option<String>,
    /// How the bucket is addressed.
    pub addressing: Addressing,
    /// Private authority, if the spec names one.
    pub ca: Option<CaTask>,
    /// Name of the writer's Secret, for messages.
    pub secret_name: String,
    /// Folder with its keys.
    pub dir: String,
    /// Whether to encrypt.
    pub encryption: EncryptionMode,
    /// age public keys.
    pub recipients: Vec<String>,
}

impl StoreTask {
    /// As a person names it at a shell, with `--from`.
    #[must_use]
    pub fn location(&self) -> String {
        let mut text = format!("s3://{}", self.bucket);
        if !self.prefix.is_empty() {
            text = format!("{text}/{}", self.prefix);
        }
        let addressing = match self.addressing {
            Addressing::Auto => None,
            Addressing::Path => Some("path"),
            Addressing::VirtualHost => Some("virtualhost"),
        };
        let given = [
            ("endpoint", self.endpoint.as_deref()),
            ("region", self.region.as_deref()),
            ("addressing", addressing),
        ];
        let given = given
            .iter()
            .filter_map(|(name, value)| Some((name, (*value)?)));
        for (n, (name, value)) in given.enumerate() {
            let sign = if n == 0 { '?' } else { '&' };
            text = format!("{text}{sign}{name}={value}");
        }
        text
    }
}

/// Why a task cannot be read or written.
#[derive(Debug, Error)]
pub enum TaskError {
    /// Not JSON, or a field is wrong.
    #[error("failed to read the task: {0}")]
    Parse(#[from] serde_json::Error),
    /// Of another version.
    #[error("failed to read the task: it has version {0}, this worker reads {TASK_VERSION}")]
    Version(u32),
    /// Longer than [`MAX_TASK_BYTES`].
    #[error("the task would have {0} bytes; at most {MAX_TASK_BYTES} fit")]
    TooLong(usize),
}

impl Task {
    /// As it stands in the environment: JSON in which every `$` is `\u0024`, because the kubelet
    /// rewrites `$$` and `$(NAME)` in values (K8).
    ///
    /// # Errors
    /// [`TaskError::TooLong`] beyond 64 KiB.
    pub fn to_env(&self) -> Result<String, TaskError> {
        let json = serde_json::to_string(self)?.replace('$', "\\u0024");
        if json.len() > MAX_TASK_BYTES {
            return Err(TaskError::TooLong(json.len()));
        }
        Ok(json)
    }

    /// Reads what [`Task::to_env`] wrote.
    ///
    /// # Errors
    /// [`TaskError`] for another version, unknown fields, or more than 64 KiB.
    pub fn from_env(text: &str) -> Result<Self, TaskError> {
        if text.len() > MAX_TASK_BYTES {
            return Err(TaskError::TooLong(text.len()));
        }
        let task: Task = serde_json::from_str(text)?;
        if task.version != TASK_VERSION {
            return Err(TaskError::Version(task.version));
        }
        Ok(task)
    }
}
