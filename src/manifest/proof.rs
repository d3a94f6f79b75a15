//! `proofs/<run>.json`: what one drill of a backup found. Written once, beside the backup, and readable.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How a note begins of what no dump holds and somebody accepted.
pub const ACCEPTED: &str = "no dump holds it, which is accepted: ";

/// How many of the notes are such.
#[must_use]
pub fn accepted(notes: &[String]) -> usize {
    notes.iter().filter(|n| n.starts_with(ACCEPTED)).count()
}

use super::{FORMAT_VERSION, Name};
use crate::api::restore_drill::Verdict;

/// Folder of the proofs below a backup's own.
pub const PROOFS: &str = "proofs";
/// Largest proof that is read, in bytes.
pub const MAX_PROOF_BYTES: usize = 64 * 1024 * 1024;

/// What a drill found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// [`super::FORMAT_VERSION`].
    pub format: u32,
    /// Name of this run: `<drill>-<due time>`; from the command line `cli-<time>`.
    pub run: String,
    /// Name of the RestoreDrill; empty from the command line.
    pub drill: String,
    /// Namespace of the RestoreDrill; empty from the command line.
    pub namespace: String,
    /// `Verify` or `Disaster`.
    pub mode: String,
    /// The verdict.
    pub result: Verdict,
    /// Why, in CamelCase, one of the reasons of the API.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// True if the whole backup was compared and is equal: the backup is proven (G28).
    pub proves: bool,
    /// From 0 to 100; absent where it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// What the score is made of.
    pub parts: Vec<ScorePart>,
    /// When the drill began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Version of Lifeboat that drilled.
    pub lifeboat_version: String,
    /// The backup that was drilled.
    pub backup: ProvenBackup,
    /// The scratch server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ScratchServer>,
    /// How long each part of it took, in order.
    pub phases: Vec<Phase>,
    /// Time to restore, measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Objective>,
    /// Age of the data when the drill began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Objective>,
    /// Every table that was compared, ordered by schema and name.
    pub tables: Vec<TableProof>,
    /// Every inequality.
    pub differences: Vec<ProofDifference>,
    /// Errors of the restore that were judged (G27).
    pub errors: Vec<RestoreError>,
    /// The user's own checks.
    pub checks: Vec<CheckProof>,
    /// What was not compared, and why; empty: everything was (G28).
    pub not_compared: Vec<String>,
    /// Worth knowing, and no inequality.
    pub notes: Vec<String>,
    /// The restore by `docs/break-glass.sh` that followed; absent: not asked for, or the drill had not passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassProof>,
}

/// How the restore by `docs/break-glass.sh` went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlassProof {
    /// `Passed`: nothing was refused, and what was compared is equal. `Inconclusive`: it could not be tried or told.
    pub result: Verdict,
    /// Why, in a sentence.
    pub message: String,
    /// How long the script took.
    pub seconds: f64,
    /// What it complained of, line by line.
    pub complaints: Vec<String>,
    /// Every inequality of what it restored.
    pub differences: Vec<ProofDifference>,
}

/// One part of the score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScorePart {
    /// `restore`, `schema`, `rows`, `content`, `check <name>`.
    pub what: String,
    /// What it weighs.
    pub weight: u32,
    /// Absent: not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
}

/// The backup that was drilled, as its manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvenBackup {
    /// Name of the Backup object.
    pub name: String,
    /// Where it lies, below the store's prefix.
    pub prefix: String,
    /// Name of the database.
    pub database: String,
    /// Version of the server that was dumped.
    pub server_version: String,
    /// When its snapshot was taken: the recovery point.
    pub data_at: Timestamp,
    /// When its manifest was written.
    pub finished_at: Timestamp,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
    /// Bytes in the bucket, without the manifest.
    pub stored_bytes: i64,
    /// Bytes that pg_dump wrote.
    pub raw_bytes: i64,
    /// Bytes of the database on its server.
    pub database_bytes: i64,
    /// Tables.
    pub tables: i64,
    /// Rows in them.
    pub rows: i64,
    /// Its objects with the SHA-256 that was verified before anything was loaded.
    pub objects: Vec<ProvenObject>,
}

/// One object of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvenObject {
    /// File name below the prefix.
    pub name: String,
    /// Bytes as stored.
    pub bytes: i64,
    /// SHA-256 of the bytes as stored, hex.
    pub sha256: String,
}

/// The server that the backup was restored into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScratchServer {
    /// As `server_version` says.
    pub version: String,
    /// Its image; empty from the command line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
}

/// One part of a drill, on a monotonic clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// `provision`, `fetch`, `schema`, `data`, `indexes`, `analyze`, `verify`, `checks`.
    pub name: String,
    /// How long.
    pub seconds: f64,
}

/// What was measured, against what was promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Objective {
    /// What was measured.
    pub seconds: f64,
    /// What the policy's `objectives` say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective_seconds: Option<u64>,
    /// Whether it was met; absent without an objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

/// A table that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableProof {
    /// Schema.
    pub schema: Name,
    /// Name.
    pub name: Name,
    /// Rows at the moment of the dump.
    pub rows: i64,
    /// Bytes of its COPY text; absent without content hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Content hash, 32 hex digits, under the backup's own key; absent without content hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// It came back as it was.
    pub equal: bool,
}

/// One way in which the restored database is not what was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofDifference {
    /// What kind of thing differs, for example `rows`, `content`, `FUNCTION`.
    pub what: String,
    /// Its name, for example `public.orders`.
    pub object: String,
    /// As it was backed up.
    pub expected: String,
    /// As it came back.
    pub found: String,
}

/// An error while restoring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreError {
    /// Five characters; empty where the server gave none.
    pub sqlstate: String,
    /// The entry of the dump that was being restored, for example `TABLE public orders`.
    pub entry: String,
    /// What the server said.
    pub message: String,
    /// What it means: `Failed` the backup is at fault, `Inconclusive` the server, `Passed` neither.
    pub judged: Verdict,
}

/// One of the user's own checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckProof {
    /// Its name.
    pub name: String,
    /// What was asked.
    pub sql: String,
    /// What the first column of the first row should say.
    pub expect: String,
    /// What it said; absent after an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// Why it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the drill fails with it.
    pub required: bool,
    /// It said what it should.
    pub passed: bool,
    /// How long it took.
    pub seconds: f64,
}

/// Why a proof cannot be read.
#[derive(Debug, Error)]
pub enum ProofError {
    /// Not JSON, or a field is wrong.
    #[error("failed to read the proof: {0}")]
    Parse(#[from] serde_json::Error),
    /// Of a later format.
    #[error(
        "failed to read the proof: it has format {0}, this version reads {FORMAT_VERSION}; use a newer lifeboat"
    )]
    Format(u32),
}

impl Proof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.format != FORMAT_VERSION {
            return Err(ProofError::Format(head.format));
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}
