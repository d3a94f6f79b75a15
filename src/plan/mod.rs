//! What a migration run will do: which files, in which order, cut into which segments, and the hash that approvals are
//! bound to. Pure.
//!
//! Owns the order of versions against a history, and what of a file is still to come. Must never guess: a version that is
//! out of order, applied with another text or not finished is refused with a sentence, never skipped.
//!
//! ```text
//! named bytes ─► source::read ─► sql::File … ┐
//! rows of the history (postgres) ────────────┴─► make ─► Plan ─► next(history) ─► the worker's next segment
//! ```

pub mod history;
mod make;
pub mod source;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use history::{Direction, History, Row, State};
pub use make::{Order, make};
pub use source::read;

use crate::api::Reason;
use crate::sql::{Batch, Lone, Name, SegmentKind};

/// Why there is no plan: one sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// In one word.
    pub reason: Reason,
    /// What is wrong, and the way out.
    pub message: String,
}

impl Refusal {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// The object of a statement that runs outside transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alone {
    /// Which of the closed list it is (M3).
    pub what: Lone,
    /// The index that it makes or drops, as the statement names it.
    pub index: Option<Name>,
    /// The table that it is of, where the statement names one.
    pub table: Option<Name>,
}

/// A statement as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStatement {
    /// From 0, in the file.
    pub index: usize,
    /// Where it begins in the file, from 1.
    pub line: usize,
    /// What it is: `CREATE INDEX`.
    pub verb: String,
    /// What is sent.
    pub text: String,
    /// SHA-256 of `text`, hex.
    pub sha256: String,
    /// Of a statement outside transactions.
    pub alone: Option<Alone>,
    /// Of a statement that runs in batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// What is applied together (M18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedSegment {
    /// From 0, in the file.
    pub index: usize,
    /// In one transaction, or alone.
    pub kind: SegmentKind,
    /// What stands once it is through, for people.
    pub then: String,
    /// SHA-256 over the hashes of its statements, hex.
    pub sha256: String,
    /// Its statements; one if it is alone.
    pub statements: Vec<PlannedStatement>,
}

/// A file whose segments are not all applied yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedFile {
    /// Its version in one spelling: `20260101120000`, `1.2`.
    pub version: String,
    /// As its author named it.
    pub name: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: usize,
    /// All of them, those that are applied already too.
    pub segments: Vec<PlannedSegment>,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Forward or back.
    pub direction: Direction,
    /// In this order.
    pub files: Vec<PlannedFile>,
    /// Head of the history that it was made for: another run's apply voids it (M23).
    pub head: String,
}

/// The segment that comes next.
#[derive(Debug, Clone, Copy)]
pub struct Next<'p> {
    /// Its file.
    pub file: &'p PlannedFile,
    /// Itself.
    pub segment: &'p PlannedSegment,
}

impl Next<'_> {
    /// The first of its file.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.segment.index == 0
    }

    /// The last of its file: with it the version is done.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.segment.index + 1 == self.file.segments.len()
    }
}

impl Plan {
    /// What the history lacks first.
    #[must_use]
    pub fn next(&self, history: &History) -> Option<Next<'_>> {
        let pairs = self.files.iter();
        let mut pairs = pairs.flat_map(|file| file.segments.iter().map(move |s| (file, s)));
        pairs
            .find(|(file, segment)| !history.is_done(&file.version, self.direction, segment.index))
            .map(|(file, segment)| Next { file, segment })
    }

    /// What an approval is bound to (M12): the run, the server, the database, the whole specification, and every byte and
    /// segment of what is applied. `spec` is the specification, written as JSON by its type: one order of fields.
    #[must_use]
    pub fn hash(&self, run: &Bound<'_>, spec: &serde_json::Value) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            run: &'a Bound<'a>,
            spec: &'a serde_json::Value,
            plan: &'a Plan,
        }
        let plan = self;
        // Nothing of it can fail to be written: strings, numbers, lists.
        let whole = serde_json::to_vec(&Whole { run, spec, plan }).unwrap_or_default();
        sha256(&whole)
    }
}

/// What a plan is for, besides its files.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound<'a> {
    /// Of the MigrationRun.
    pub run_uid: &'a str,
    /// Of the server.
    pub system_identifier: &'a str,
    /// Name of the database.
    pub database: &'a str,
}

fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
