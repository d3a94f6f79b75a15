//! `migrations/<run uid>/<rehearsal>.json`: what a rehearsal of a migration saw. Written once; readable.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Name, Phase, ProofDifference};
use crate::api::restore_drill::Verdict;

/// Largest evidence that is read, in bytes.
pub const MAX_EVIDENCE_BYTES: usize = 64 * 1024 * 1024;

/// What a rehearsal saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// [`super::FORMAT_VERSION`].
    pub format: u32,
    /// Name of the MigrationRun; empty from the command line.
    pub run: String,
    /// Its namespace; empty from the command line.
    pub namespace: String,
    /// Hash of the plan that was rehearsed; empty from the command line.
    pub plan_hash: String,
    /// `Passed`: it may be applied.
    pub result: Verdict,
    /// Why, in CamelCase, one of the reasons of the API.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// `up` or `down`.
    pub direction: String,
    /// The role that logged in.
    pub login: String,
    /// The role that the statements ran as, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Where it ran.
    pub backup: RehearsedBackup,
    /// Version of the scratch server.
    pub server_version: String,
    /// Its image; empty from the command line.
    pub image: String,
    /// Version of Lifeboat that rehearsed.
    pub lifeboat_version: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What ran, in its order.
    pub files: Vec<RehearsedFile>,
    /// Fingerprints of all definitions, but for Lifeboat's own schema.
    pub schema: SchemaPrints,
    /// Definitions of what the migration touches, before and after: what stands on the database is held against them (M8).
    pub touched: Vec<TouchedEntry>,
    /// The user's checks.
    pub checks: Vec<RehearsedCheck>,
    /// The way back, where there is one.
    pub way_back: WayBack,
    /// What the way back did not restore.
    pub differences: Vec<ProofDifference>,
    /// Tables on which a prepared `SELECT *` fails once (0A000) after the migration.
    pub stale_plans: Vec<String>,
    /// Worth knowing.
    pub notes: Vec<String>,
    /// How long each part of it took, in order.
    pub phases: Vec<Phase>,
}

/// The backup that a rehearsal ran on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RehearsedBackup {
    /// Name of the Backup object.
    pub name: String,
    /// Where it lies, below the store's prefix.
    pub prefix: String,
    /// Name of the database.
    pub database: String,
    /// The recovery point.
    pub data_at: Timestamp,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
}

/// A file that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RehearsedFile {
    /// Its version in one spelling.
    pub version: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Its segments.
    pub segments: Vec<RehearsedSegment>,
}

/// A segment that ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RehearsedSegment {
    /// From 0, in the file.
    pub index: usize,
    /// In one transaction or several, or alone.
    pub transaction: bool,
    /// Transactions that it was, of one that runs in batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batches: Option<u64>,
    /// What stands once it is through.
    pub then: String,
    /// Its statements.
    pub statements: Vec<RehearsedStatement>,
    /// The strongest lock on each table that was there before, by quoted name, as LOCK TABLE names it.
    pub locks: BTreeMap<String, String>,
    /// Materialized views likewise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub views: BTreeMap<String, String>,
    /// Tables whose every row was written again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rewritten: BTreeSet<String>,
    /// Definition of the index that a statement outside transactions made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_definition: Option<String>,
    /// Indexes that it made, by quoted name, with their bytes; a lower bound.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub indexes: BTreeMap<String, u64>,
    /// Bytes of WAL; a lower bound.
    pub wal: u64,
    /// Seconds; a lower bound.
    pub seconds: f64,
    /// SQLSTATEs of what the server warned of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A statement that ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RehearsedStatement {
    /// Where it begins in the file, from 1.
    pub line: usize,
    /// What it is: `CREATE INDEX`.
    pub verb: String,
    /// SHA-256 of what was sent.
    pub sha256: String,
    /// Rows that it returned or changed; absent outside transactions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Tables and materialized views that were there before, with the lock that this statement took or strengthened.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<String, String>,
    /// Those whose every row it wrote again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rewritten: BTreeSet<String>,
    /// Bytes of WAL; a lower bound.
    pub wal: u64,
    /// Bytes of temporary files; a lower bound. Absent where the session was not told of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporary: Option<u64>,
    /// Seconds; a lower bound.
    pub seconds: f64,
}

/// Fingerprints of all definitions: SHA-256, hex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaPrints {
    /// Before the first statement.
    pub before: String,
    /// After the last; empty if it did not come so far.
    pub after: String,
    /// After the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
}

/// A definition that the migration touches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TouchedEntry {
    /// Kind, as the dump's table of contents names it.
    pub desc: String,
    /// Schema, empty where it has none.
    pub namespace: Name,
    /// Name.
    pub tag: Name,
    /// Owner and fingerprint before; empty: it was not there.
    pub before: Vec<(Name, String)>,
    /// Owner and fingerprint after; empty: it is not there any more.
    pub after: Vec<(Name, String)>,
}

/// A check, with its verdict and never its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RehearsedCheck {
    /// `pre` or `post`.
    pub when: String,
    /// Its name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// Why it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WayBack {
    /// Rehearsed: it led to where it began, and the migration ran a second time after it.
    Rehearsed,
    /// Not every file has one.
    None,
    /// It does not lead to where it began.
    Broken,
    /// The rehearsal did not come so far, or is itself the way back.
    NotTried,
}

impl Evidence {
    /// SHA-256 over what the rehearsal decided, not over what it measured: a renewed backup and rehearsal that decide the same
    /// keep an approval (M7).
    #[must_use]
    pub fn hash(&self) -> String {
        type Statement<'a> = (
            &'a str,
            Option<u32>,
            &'a BTreeMap<String, String>,
            &'a BTreeSet<String>,
        );
        #[derive(Serialize)]
        struct Segment<'a> {
            index: usize,
            transaction: bool,
            /// Statements, with the class of their row counts: a digit more or less is another class.
            statements: Vec<Statement<'a>>,
            locks: &'a BTreeMap<String, String>,
            views: &'a BTreeMap<String, String>,
            rewritten: &'a BTreeSet<String>,
            index_definition: Option<&'a str>,
        }
        let files: Vec<(&str, &str, Vec<Segment<'_>>)> = self
            .files
            .iter()
            .map(|file| {
                let segments = file.segments.iter().map(|s| Segment {
                    index: s.index,
                    transaction: s.transaction,
                    statements: s
                        .statements
                        .iter()
                        .map(|s| {
                            let rows = s.rows.map(class);
                            (s.sha256.as_str(), rows, &s.locks, &s.rewritten)
                        })
                        .collect(),
                    locks: &s.locks,
                    views: &s.views,
                    rewritten: &s.rewritten,
                    index_definition: s.index_definition.as_deref(),
                });
                (
                    file.version.as_str(),
                    file.sha256.as_str(),
                    segments.collect(),
                )
            })
            .collect();
        let checks: Vec<(&str, &str, bool)> = self
            .checks
            .iter()
            .map(|c| (c.when.as_str(), c.name.as_str(), c.passed))
            .collect();
        let decided = (
            &self.plan_hash,
            self.result,
            &self.direction,
            (&self.login, &self.role),
            files,
            &self.schema,
            &self.touched,
            checks,
            self.way_back,
        );
        // Nothing of it can fail to be written: strings, numbers, lists.
        let bytes = serde_json::to_vec(&decided).unwrap_or_default();
        let digest = Sha256::digest(&bytes);
        digest.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// Whether a count of rows is of the order of what was rehearsed (M8): of the same class or of the next one, so that what a table
/// gains or loses between backup and apply holds nothing up. Where nothing was rehearsed, a few may have come since; where something
/// was, nothing is another thing.
#[must_use]
pub fn same_order(rehearsed: u64, now: u64) -> bool {
    let near = class(rehearsed).abs_diff(class(now)) <= 1;
    near && (now > 0 || rehearsed == 0)
}

/// 0, 1 to 9, 10 to 99, …
#[must_use]
pub fn class(rows: u64) -> u32 {
    rows.checked_ilog10().map_or(0, |digits| digits + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m8_growth_is_of_the_same_order_and_nothing_is_not_something() {
        for (rehearsed, now, same) in [
            (0, 0, true),
            (0, 9, true),
            (0, 10, false),
            (1, 0, false),
            (90, 0, false),
            (1, 99, true),
            (1, 100, false),
            (50, 51, true),
            (999, 10_000, false),
            (999, 9_999, true),
            (10_000, 999, false),
            (10_000, 1_000, true),
            (u64::MAX, u64::MAX, true),
        ] {
            assert_eq!(same_order(rehearsed, now), same, "{rehearsed} {now}");
        }
    }
}
