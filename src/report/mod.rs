//! Proofs as a document that an auditor can read. Pure.
//!
//! Owns the words and the two forms, Markdown and HTML. A [`Page`] says everything once; each form escapes every
//! text in it, because whoever can write the bucket, or name a table, can write a proof. Must never load anything
//! from elsewhere, hold a script, or say more than the proof does.

mod directory;
mod drill;
mod findings;
mod html;
mod markdown;
mod migration;
mod page;
mod words;

use jiff::Timestamp;

use crate::api::restore_drill::Verdict;
use crate::manifest::{Objective, Proof};
pub use page::Page;

/// A migration, with the whole of what its rehearsal saw where that is at hand.
#[must_use]
pub fn migration(
    run: &crate::api::MigrationRun,
    evidence: Option<&crate::manifest::Evidence>,
) -> Page {
    migration::page(run, evidence)
}

/// Where a proof was found, and what stands there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The store, for people: `s3://backups/prod`.
    pub place: String,
    /// Key of the proof in it.
    pub key: String,
    /// SHA-256 of the proof as it is stored, hex.
    pub sha256: String,
    /// The backup that it speaks of.
    pub standing: Standing,
}

/// The backup of a proof, today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its manifest is the one that was drilled, and every object is there, as long as it was.
    AsDrilled,
    /// Its manifest is the one that was drilled, but an object is missing or cut.
    Damaged,
    /// Its manifest is another: the proof does not speak of it.
    Changed,
    /// There is no manifest: it was deleted.
    Gone,
}

/// One line of a directory: what its table needs of a proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Name of the run.
    pub run: String,
    /// Folder in which it lies.
    pub at: String,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Recovery point of the backup.
    pub data_at: Timestamp,
    /// The verdict.
    pub result: Verdict,
    /// Why, in CamelCase.
    pub reason: String,
    /// The whole backup was compared and is equal.
    pub proves: bool,
    /// From 0 to 100.
    pub score: Option<u8>,
    /// Time to restore.
    pub rto: Option<Objective>,
    /// Age of the data.
    pub rpo: Option<Objective>,
    /// Tables that came back as they were, of so many.
    pub tables: (usize, usize),
    /// What became of the backup.
    pub standing: Standing,
}

impl Line {
    /// Of a proof that was found in the folder `at`.
    #[must_use]
    pub fn of(proof: &Proof, at: &str, standing: Standing) -> Self {
        let equal = proof.tables.iter().filter(|t| t.equal).count();
        Self {
            run: proof.run.clone(),
            at: at.to_owned(),
            finished_at: proof.finished_at,
            data_at: proof.backup.data_at,
            result: proof.result,
            reason: proof.reason.clone(),
            proves: proof.proves,
            score: proof.score,
            rto: proof.rto.clone(),
            rpo: proof.rpo.clone(),
            tables: (equal, proof.tables.len()),
            standing,
        }
    }
}

/// The proofs of a whole directory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Directory {
    /// Its name.
    pub name: String,
    /// The store, for people.
    pub place: String,
    /// One for each proof, in any order.
    pub lines: Vec<Line>,
    /// Recovery points of the backups in it that are whole, in any order.
    pub points: Vec<Timestamp>,
    /// Backups that are not whole: a sentence each.
    pub damaged: Vec<String>,
    /// Proofs and manifests that cannot be read: a sentence each.
    pub unreadable: Vec<String>,
    /// Older attempts that were not looked at.
    pub older: usize,
}

/// The report of one drill.
#[must_use]
pub fn drill(proof: &Proof, source: &Source) -> Page {
    drill::page(proof, source)
}

/// The report of a directory.
#[must_use]
pub fn directory(directory: &Directory) -> Page {
    directory::page(directory)
}

impl Page {
    /// As Markdown with tables (GitHub's kind), ending in a newline.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    /// As one HTML file that needs no other, ending in a newline.
    #[must_use]
    pub fn html(&self) -> String {
        html::write(self)
    }
}

#[cfg(test)]
mod tests;
