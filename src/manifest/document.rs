//! `manifest.json`: the proof that a backup exists (P1).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::api::backup::BackupReason;

/// Version of the format.
pub const FORMAT_VERSION: u32 = 1;
/// File name of the manifest, written last.
pub const MANIFEST: &str = "manifest.json";
/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// Most entries in `snapshot.xip` (G32).
pub const MAX_XIP: usize = 4_096;

/// What a backup is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format: u32,
    /// Name of the Backup object (K26).
    pub backup: String,
    /// Namespace of the policy; empty from the command line.
    pub namespace: String,
    /// Name of the policy; empty from the command line.
    pub policy: String,
    /// Uid of the policy; empty from the command line.
    pub policy_uid: String,
    /// Folder of the policy in the store.
    pub directory: String,
    /// `<directory>/<due>-<12 hex>`, without the store's prefix.
    pub prefix: String,
    /// Uid of the pod that wrote it.
    pub pod_uid: String,
    /// Tiers it counts for.
    pub tiers: Vec<String>,
    /// Why it was made.
    pub reason: BackupReason,
    /// Due time, or creation time of a manual one.
    pub due: Timestamp,
    /// When the attempt began.
    pub started_at: Timestamp,
    /// When the snapshot was taken: the recovery point.
    pub data_at: Timestamp,
    /// When the manifest was written.
    pub finished_at: Timestamp,
    /// Version of Lifeboat.
    pub lifeboat_version: String,
    /// How it was dumped: `PgDump`.
    pub engine: String,
    /// The server.
    pub server: Server,
    /// Base data for a continuous stream (G32).
    pub base: Base,
    /// Counts.
    pub counts: Counts,
    /// How objects are encrypted.
    pub encryption: EncryptionInfo,
    /// Every object but the manifest itself, in the order written.
    pub objects: Vec<ObjectInfo>,
}

/// The server that was dumped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// As `server_version` says, for example `17.2`.
    pub version: String,
    /// Major version.
    pub major: i32,
    /// Name of the database.
    pub database: String,
    /// Encoding of the database.
    pub encoding: String,
    /// Size of the database in bytes.
    pub database_bytes: i64,
    /// Version of pg_dump that wrote the dump.
    pub pg_dump_version: String,
}

/// Base data under the dump's snapshot, so that the backup can later be the base of a stream (G32).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Base {
    /// The snapshot; absent when it has more than [`MAX_XIP`] running transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotIds>,
    /// True when the snapshot was too large to record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_a_base: bool,
    /// The server was a standby.
    pub in_recovery: bool,
    /// From `pg_control_system()`, if it may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// From `pg_control_checkpoint()`, if it may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<i64>,
    /// Sampled before the locks.
    pub position: Position,
}

/// Transaction ids of a snapshot, 64 bits, as strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotIds {
    /// All below are visible or gone.
    pub xmin: String,
    /// All from here on are invisible.
    pub xmax: String,
    /// Running ones between.
    pub xip: Vec<String>,
}

/// A position in the server's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// For example `0/16B3748`.
    pub lsn: String,
    /// Next transaction id, 64 bits, as a string; absent on a standby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_xid: Option<String>,
}

/// Counts of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Tables with data of their own.
    pub tables: i64,
    /// Rows in them, counted under the snapshot.
    pub rows: i64,
    /// Sequences.
    pub sequences: i64,
    /// Relations and other things that are not in the dump, or not whole; `contents.json` names them.
    #[serde(default)]
    pub left_out: i64,
    /// Large objects.
    pub large_objects: i64,
    /// Bytes that pg_dump wrote.
    pub raw_bytes: i64,
    /// Bytes in the bucket, without the manifest.
    pub stored_bytes: i64,
}

/// How objects are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptionInfo {
    /// `age` or `none`.
    pub method: String,
    /// Public keys.
    pub recipients: Vec<String>,
}

/// What role an object has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectRole {
    /// The dump, or the n-th piece of it.
    Dump,
    /// Roles.
    Globals,
    /// [`super::Contents`].
    Contents,
}

/// One object beside the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectInfo {
    /// File name under the prefix.
    pub name: String,
    /// Its role.
    pub role: ObjectRole,
    /// Bytes as stored.
    pub bytes: i64,
    /// SHA-256 of the bytes as stored, hex.
    pub sha256: String,
    /// Bytes before compression by us and encryption.
    pub raw_bytes: i64,
    /// SHA-256 of those, hex. For a dump in pieces: of the whole, on the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_sha256: Option<String>,
}

/// Why a manifest cannot be read.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Larger than [`MAX_MANIFEST_BYTES`].
    #[error("failed to read the manifest: it has {0} bytes, more than {MAX_MANIFEST_BYTES}")]
    TooLarge(usize),
    /// Not JSON, or a field is wrong.
    #[error("failed to read the manifest: {0}")]
    Parse(#[from] serde_json::Error),
    /// Of a later format.
    #[error(
        "failed to read the manifest: it has format {0}, this version reads up to {FORMAT_VERSION}; use a newer lifeboat"
    )]
    Format(u32),
}

impl Manifest {
    /// As it stands in the bucket.
    ///
    /// # Errors
    /// Never in practice; serde's own.
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.format != FORMAT_VERSION {
            return Err(ManifestError::Format(head.format));
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}
