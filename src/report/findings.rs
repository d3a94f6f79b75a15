//! What a drill found, a section each: differences, errors, checks, what was left out, tables, digests.

use super::Source;
use super::page::{Block, Cell, Section, Table, Tone};
use super::words::{self, span};
use crate::api::restore_drill::Verdict;
use crate::manifest::{Proof, ProofDifference};
use crate::work::human::{count, number};

/// A proof names so many differences and errors at most (`work/proof.rs`).
const MOST_NAMED: usize = 1_000;

pub(super) fn differences(proof: &Proof) -> Section {
    let none = match proof.tables.is_empty() {
        true => "None was found, but no table was compared.",
        false => "None.",
    };
    Section::new("Differences", inequalities(&proof.differences, none))
}

fn inequalities(differences: &[ProofDifference], none: &str) -> Vec<Block> {
    let rows = differences.iter().map(|d| {
        vec![
            Cell::Text(d.what.clone()),
            Cell::Code(d.object.clone()),
            Cell::Lines(d.expected.clone()),
            Cell::Lines(d.found.clone()),
        ]
    });
    let columns = &["What", "Object", "As it was backed up", "As it came back"];
    listed(columns, rows.collect(), none)
}

/// The restore without Lifeboat, where it was tried.
pub(super) fn break_glass(proof: &Proof) -> Option<Section> {
    let script = proof.break_glass.as_ref()?;
    let verdict = Cell::Mark(
        words::tone(script.result, script.result == Verdict::Passed),
        script.result.as_str().to_owned(),
    );
    let mut blocks = vec![
        Block::Text(
            "After this drill had passed, the backup was restored once more, by docs/break-glass.sh alone, and compared again. \
             The verdict above does not hang on it."
                .to_owned(),
        ),
        Block::Facts(vec![
            ("Result", verdict),
            ("Why", Cell::Text(script.message.clone())),
            ("Time of the script", Cell::Text(span(script.seconds))),
        ]),
    ];
    if !script.complaints.is_empty() {
        blocks.push(Block::List(script.complaints.clone()));
    }
    if !script.differences.is_empty() {
        blocks.extend(inequalities(&script.differences, ""));
    }
    Some(Section::new("Restored without Lifeboat", blocks))
}

pub(super) fn errors(proof: &Proof) -> Section {
    let rows: Vec<Vec<Cell>> = proof
        .errors
        .iter()
        .map(|e| {
            let state = match e.sqlstate.as_str() {
                "" => "–",
                state => state,
            };
            vec![
                Cell::Code(state.to_owned()),
                Cell::Code(e.entry.clone()),
                Cell::Text(e.message.clone()),
                words::judged(e.judged),
            ]
        })
        .collect();
    let columns = &["SQLSTATE", "Entry of the dump", "Message", "Judged"];
    let mut blocks = listed(columns, rows, "None.");
    if proof.result == Verdict::Inconclusive && !proof.errors.is_empty() {
        let text = "Each error is judged by itself. What the scratch server lacks explains what goes wrong after it, so the drill as a whole could not tell.";
        blocks.insert(0, Block::Text(text.to_owned()));
    }
    Section::new("Errors while restoring", blocks)
}

fn listed(columns: &'static [&'static str], rows: Vec<Vec<Cell>>, none: &str) -> Vec<Block> {
    if rows.is_empty() {
        return vec![Block::Text(none.to_owned())];
    }
    let full = rows.len() >= MOST_NAMED;
    let mut blocks = vec![Block::Table(Table { columns, rows })];
    if full {
        let text = "A proof names the first 1,000; there may be more.";
        blocks.push(Block::Text(text.to_owned()));
    }
    blocks
}

pub(super) fn checks(proof: &Proof) -> Section {
    if proof.checks.is_empty() {
        let text = "None was asked.".to_owned();
        return Section::new("The user's checks", vec![Block::Text(text)]);
    }
    let rows = proof.checks.iter().map(|check| {
        let answer = match (&check.error, &check.got) {
            (Some(error), _) => Cell::Text(format!("could not be asked: {error}")),
            (None, Some(got)) => Cell::Code(got.clone()),
            (None, None) => Cell::Text("nothing".to_owned()),
        };
        let passed = match (check.passed, check.required) {
            (true, _) => Cell::Mark(Tone::Good, "passed".to_owned()),
            (false, true) => Cell::Mark(Tone::Bad, "failed".to_owned()),
            (false, false) => Cell::Mark(Tone::Unsure, "failed, not required".to_owned()),
        };
        vec![
            Cell::Text(check.name.clone()),
            Cell::Lines(check.sql.clone()),
            Cell::Code(check.expect.clone()),
            answer,
            passed,
            Cell::Number(span(check.seconds)),
        ]
    });
    let table = Table {
        columns: &["Check", "Asked", "Expected", "Answered", "Result", "Time"],
        rows: rows.collect(),
    };
    Section::new("The user's checks", vec![Block::Table(table)])
}

pub(super) fn sentences(title: &'static str, all: &[String], none: &str, proof: &Proof) -> Section {
    let compared = !proof.tables.is_empty() || proof.proves;
    Section::new(
        title,
        vec![match (all.is_empty(), compared || title == "Notes") {
            (false, _) => Block::List(all.to_vec()),
            (true, true) => Block::Text(none.to_owned()),
            (true, false) => Block::Text("No table was compared.".to_owned()),
        }],
    )
}

pub(super) fn tables(proof: &Proof) -> Section {
    let title = "Tables";
    if proof.tables.is_empty() {
        let text = "No table was compared.".to_owned();
        return Section::new(title, vec![Block::Text(text)]);
    }
    let rows = proof.tables.iter().map(|table| {
        vec![
            Cell::Code(format!(
                "{}.{}",
                table.schema.display(),
                table.name.display()
            )),
            Cell::Number(number(table.rows)),
            Cell::Number(table.bytes.map_or("–".to_owned(), number)),
            Cell::Code(table.hash.clone().unwrap_or_else(|| "–".to_owned())),
            Cell::yes_or_no(table.equal),
        ]
    });
    let mut text = "Rows, bytes and hash are those of the moment of the dump. Bytes are those of the rows as COPY writes them. A hash is keyed with a \
                    key of the backup's own, so it can be compared within this backup only."
        .to_owned();
    if !proof.not_compared.is_empty() {
        text.push_str(" Equal means: as far as it was compared; see above what was not.");
    }
    let columns = &["Table", "Rows", "Bytes", "Hash of the content", "Equal"];
    let table = Table {
        columns,
        rows: rows.collect(),
    };
    Section::new(title, vec![Block::Text(text), Block::Table(table)])
}

pub(super) fn digests(proof: &Proof, source: &Source) -> Section {
    let row = |name: String, bytes: Option<i64>, sha256: &str| {
        vec![
            Cell::Code(name),
            Cell::Number(bytes.map_or("–".to_owned(), number)),
            Cell::Code(sha256.to_owned()),
        ]
    };
    let backup = &proof.backup;
    let mut rows = vec![row(
        "manifest.json".to_owned(),
        None,
        &backup.manifest_sha256,
    )];
    let objects = backup.objects.iter();
    rows.extend(objects.map(|o| row(o.name.clone(), Some(o.bytes), &o.sha256)));
    let text = format!(
        "The manifest and {} that it names, as they are stored. sha256sum says whether a file is the one that was drilled; the proof itself has {}.",
        count(backup.objects.len(), "object"),
        source.sha256
    );
    let table = Table {
        columns: &["Object", "Bytes", "SHA-256"],
        rows,
    };
    Section::new("Digests", vec![Block::Text(text), Block::Table(table)])
}
