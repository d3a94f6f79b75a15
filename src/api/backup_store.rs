//! `BackupStore`: where backups live.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{CaRef, PodTemplate, SecretRef};

/// Where backups live: a bucket of an S3-compatible store, the credentials to write there, and the keys to encrypt for.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lifeboat.dev",
    version = "v1alpha1",
    kind = "BackupStore",
    plural = "backupstores",
    shortname = "lbs",
    category = "lifeboat",
    namespaced,
    status = "BackupStoreStatus",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 253"),
    printcolumn(name = "Bucket", type_ = "string", json_path = ".spec.s3.bucket"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Probed", type_ = "date", json_path = ".status.lastProbe.time"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.s3.bucket == oldSelf.s3.bucket && has(self.s3.prefix) == has(oldSelf.s3.prefix) && (!has(self.s3.prefix) || self.s3.prefix == oldSelf.s3.prefix) && has(self.s3.endpoint) == has(oldSelf.s3.endpoint) && (!has(self.s3.endpoint) || self.s3.endpoint == oldSelf.s3.endpoint)").message("bucket, prefix and endpoint cannot change: older backups would be lost from sight; make a new BackupStore"),
)]
pub struct BackupStoreSpec {
    /// The bucket.
    pub s3: S3,
    /// Who may do what in the bucket.
    pub credentials: Credentials,
    /// For whom backups are encrypted.
    pub encryption: Encryption,
    /// What the pods of the store's own Jobs look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
}

/// A bucket of an S3-compatible store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3 {
    /// Name of the bucket. It must exist.
    #[schemars(
        length(min = 3, max = 63),
        regex(pattern = r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$")
    )]
    pub bucket: String,
    /// Folder inside the bucket, for example `prod`. Default: the bucket's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")
    )]
    pub prefix: Option<String>,
    /// Region of the bucket, for example `eu-west-1`. Stores other than AWS mostly accept any. Default `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub region: Option<String>,
    /// URL of an S3-compatible store, for example `https://minio.example:9000`. Default: AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 512), regex(pattern = r"^https?://[^/@?#]+/?$"))]
    pub endpoint: Option<String>,
    /// How the bucket is addressed. `Auto`: `Path` with an endpoint, `VirtualHost` without.
    #[serde(default)]
    pub addressing: Addressing,
    /// Authority that signed the store's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaRef>,
}

/// How a bucket is addressed in URLs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Addressing {
    /// `Path` with an endpoint of one's own, `VirtualHost` on AWS.
    #[default]
    Auto,
    /// `https://endpoint/bucket/key`
    Path,
    /// `https://bucket.endpoint/key`
    VirtualHost,
}

/// Who may do what in the bucket (K34).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Used by backups: must be allowed to put objects and to create, complete and abort multipart uploads.
    pub writer: RoleCredentials,
}

/// The credentials of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleCredentials {
    /// Secret with the keys `access-key-id`, `secret-access-key` and optionally `session-token`.
    pub secret_ref: SecretRef,
}

/// For whom backups are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.mode) && self.mode == 'None' ? !has(self.recipients) || self.recipients.size() == 0 : has(self.recipients) && self.recipients.size() > 0").message("recipients: name at least one age public key (age1…), or write mode: None and no recipients to store backups unencrypted"))]
pub struct Encryption {
    /// `Age` encrypts; `None` stores plain bytes and must be written out. Default `Age`.
    #[serde(default)]
    pub mode: EncryptionMode,
    /// age public keys (`age1…`). Whoever holds one of the private keys can restore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 100)))]
    #[x_kube(validation = Rule::new("self.all(r, r.matches('^age1[02-9ac-hj-np-z]{58}$'))").message("an age public key is `age1` and 58 more characters: write the line that `age-keygen -y key.txt` prints, whole"))]
    pub recipients: Vec<String>,
}

/// Whether backups are encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EncryptionMode {
    /// With age, for the recipients.
    #[default]
    Age,
    /// Not at all.
    None,
}

/// What the operator knows of a store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStoreStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Reconciling`, `Stalled`, `CredentialsValid`, `Writable`, `ConditionalWrites`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
    /// The last probe that gave an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_probe: Option<UpkeepRun>,
    /// The probe that runs or will run next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_probe: Option<UpkeepPlan>,
}

/// A finished probe or check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpkeepRun {
    /// When its result was seen.
    pub time: Timestamp,
    /// Generation of the spec that it tried.
    pub generation: i64,
    /// Value of `lifeboat.dev/requestedAt` that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub requested_at: Option<String>,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// `Succeeded`, or why not.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub reason: String,
    /// One sentence for people.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// A probe or check that runs, or waits for its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpkeepPlan {
    /// Not before this time.
    pub at: Timestamp,
    /// How many tries of this generation and request have failed before.
    #[schemars(range(min = 0))]
    pub failed_tries: i32,
}
