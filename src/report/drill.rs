//! One proof becomes a page: first what it says, then why, then everything it was made of.

use super::page::{Banner, Bar, Block, Cell, Figure, Page, Section, Table, Tone};
use super::words::{self, span, time};
use super::{Source, Standing};
use crate::api::restore_drill::Verdict;
use crate::manifest::{Objective, Proof};
use crate::work::human::{count, number, size};

/// A proof names so many differences and errors at most (`work/proof.rs`).
const MOST_NAMED: usize = 1_000;

pub(super) fn page(proof: &Proof, source: &Source) -> Page {
    let mut sections = vec![what(proof, source), score(proof), times(proof)];
    sections.extend([differences(proof), errors(proof), checks(proof)]);
    sections.extend([
        sentences(
            "Not compared",
            &proof.not_compared,
            "Nothing was left out of the comparison.",
            proof,
        ),
        sentences("Notes", &proof.notes, "None.", proof),
    ]);
    sections.extend([tables(proof), digests(proof, source)]);
    Page {
        kind: "Restore drill",
        title: format!("{}, {}", proof.backup.database, proof.backup.name),
        banner: Some(banner(proof, source)),
        figures: figures(proof),
        sections,
        colophon: vec![
            format!(
                "Made from {} in {}, SHA-256 {}. The proof was written by lifeboat {}.",
                source.key, source.place, source.sha256, proof.lifeboat_version
            ),
            "This document says what the proof says, and the proof what the drill saw. Proofs are not signed: what \
             is shown here is worth as much as the rights on the store are kept."
                .to_owned(),
        ],
    }
}

fn banner(proof: &Proof, source: &Source) -> Banner {
    let meaning = match proof.result {
        Verdict::Passed if proof.proves => "This backup is proven: all of it came back as it was.",
        Verdict::Passed => "Equal as far as it was compared. Nothing is proven.",
        Verdict::Failed => {
            "This backup is not proven. See below what is wrong before relying on it."
        }
        Verdict::Inconclusive => {
            "The drill could not tell. This speaks neither for the backup nor against it."
        }
    };
    let changed = source.standing == Standing::Changed;
    Banner {
        tone: match changed {
            true => Tone::Bad,
            false => words::tone(proof.result, proof.proves),
        },
        verdict: proof.result.as_str(),
        meaning: match changed {
            true => {
                "But the manifest in the store is not the one that was drilled: nothing is proven of what stands there now."
            }
            false => meaning,
        },
        reason: proof.reason.clone(),
        sentence: proof.message.clone(),
    }
}

fn figures(proof: &Proof) -> Vec<Figure> {
    let equal = proof.tables.iter().filter(|t| t.equal).count();
    let of = |objective: Option<&Objective>| match objective {
        Some(it) => (span(it.seconds), words::against(it)),
        None => ("–".to_owned(), "not measured".to_owned()),
    };
    let (rto, rto_note) = of(proof.rto.as_ref());
    let (rpo, rpo_note) = of(proof.rpo.as_ref());
    let tables = proof.tables.len();
    vec![
        Figure {
            name: "Score",
            value: proof.score.map_or("–".to_owned(), |s| s.to_string()),
            note: match proof.score {
                Some(_) => "of 100".to_owned(),
                None => "could not be told".to_owned(),
            },
            tone: match proof.score {
                Some(_) => words::tone(proof.result, proof.proves),
                None => Tone::Unsure,
            },
        },
        Figure {
            name: "Time to restore (RTO)",
            value: rto,
            note: rto_note,
            tone: words::met(proof.rto.as_ref()),
        },
        Figure {
            name: "Age of the data (RPO)",
            value: rpo,
            note: rpo_note,
            tone: words::met(proof.rpo.as_ref()),
        },
        Figure {
            name: "Tables equal",
            value: match tables {
                0 => "–".to_owned(),
                _ => format!("{} of {}", count_of(equal), count_of(tables)),
            },
            note: match tables {
                0 => "no table was compared".to_owned(),
                _ => {
                    let rows = proof.tables.iter().map(|t| t.rows);
                    format!("{} rows in them", number(rows.fold(0, i64::saturating_add)))
                }
            },
            tone: match tables {
                0 => Tone::Unsure,
                _ if equal < tables => Tone::Bad,
                _ if proof.not_compared.is_empty() => Tone::Good,
                _ => Tone::Unsure,
            },
        },
    ]
}

fn count_of(n: usize) -> String {
    crate::work::human::thousands(n)
}

fn what(proof: &Proof, source: &Source) -> Section {
    let backup = &proof.backup;
    let text = |text: String| Cell::Text(text);
    let code = |text: &str| Cell::Code(text.to_owned());
    let server = match &proof.server {
        None => text("none: the drill did not come so far".to_owned()),
        Some(s) if s.image.is_empty() => text(format!("PostgreSQL {}", s.version)),
        Some(s) => text(format!("PostgreSQL {}, image {}", s.version, s.image)),
    };
    let drill = match proof.drill.as_str() {
        "" => text("from the command line".to_owned()),
        name => Cell::Code(format!("{}/{name}", proof.namespace)),
    };
    let facts = vec![
        ("Database", code(&backup.database)),
        (
            "Its server",
            text(format!("PostgreSQL {}", backup.server_version)),
        ),
        (
            "Recovery point",
            text(format!(
                "{}: the moment whose data is in the backup",
                time(backup.data_at)
            )),
        ),
        ("Backup", code(&backup.name)),
        ("Folder in the store", code(&backup.prefix)),
        ("Backup finished", text(time(backup.finished_at))),
        (
            "What is in it",
            text(format!(
                "{} tables, {} rows",
                number(backup.tables),
                number(backup.rows)
            )),
        ),
        (
            "Size",
            text(format!(
                "{} on its server, {} dumped, {} stored",
                size(backup.database_bytes),
                size(backup.raw_bytes),
                size(backup.stored_bytes)
            )),
        ),
        ("The backup today", words::standing(source.standing)),
        ("Restored into", server),
        ("Drill", drill),
        ("Run", code(&proof.run)),
        (
            "Mode",
            text(match proof.mode.as_str() {
                "Verify" => "Verify: restored and compared".to_owned(),
                "Disaster" => {
                    "Disaster: from the store alone, measured until the checks had answered"
                        .to_owned()
                }
                other => other.to_owned(),
            }),
        ),
        ("Began", text(time(proof.started_at))),
        ("Ended", text(time(proof.finished_at))),
        (
            "Drilled by",
            text(format!("lifeboat {}", proof.lifeboat_version)),
        ),
    ];
    Section::new("What was drilled", vec![Block::Facts(facts)])
}

fn score(proof: &Proof) -> Section {
    let mut blocks = Vec::new();
    match proof.score {
        None => blocks.push(Block::Text(
            "There is no score: the drill could not tell.".to_owned(),
        )),
        Some(_) if proof.parts.is_empty() => blocks.push(Block::Text(
            "The score is 0: the backup is damaged, and the drill ended before anything was compared.".to_owned(),
        )),
        Some(_) => {
            let rows = proof.parts.iter().map(|part| {
                let passed = match part.passed {
                    Some(yes) => Cell::yes_or_no(yes),
                    None => Cell::Mark(Tone::Unsure, "not asked for".to_owned()),
                };
                let weight = Cell::Number(part.weight.to_string());
                vec![Cell::Text(words::part(&part.what)), weight, passed]
            });
            blocks.push(Block::Table(Table {
                columns: &["Part", "Weight", "Passed"],
                rows: rows.collect(),
            }));
            blocks.extend(words::arithmetic(proof).map(Block::Text));
        }
    }
    blocks.push(Block::Text(words::FORMULA.to_owned()));
    Section::new("Score", blocks)
}

fn times(proof: &Proof) -> Section {
    let mut blocks = Vec::new();
    let counted = proof
        .phases
        .iter()
        .filter(|p| words::counts(proof, &p.name));
    let longest = counted.max_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let rto = match (&proof.rto, longest) {
        (Some(rto), Some(longest)) => format!(
            "It took {} until the database could be used ({}). The longest part of it was {}, with {}: the bottleneck.",
            span(rto.seconds),
            words::against(rto),
            longest.name,
            span(longest.seconds)
        ),
        (Some(rto), None) => format!(
            "It took {} until the database could be used.",
            span(rto.seconds)
        ),
        (None, _) => {
            "How long a restore takes was not measured: it did not come so far.".to_owned()
        }
    };
    blocks.push(Block::Text(rto));
    if let Some(rpo) = &proof.rpo {
        blocks.push(Block::Text(format!(
            "When the drill began, the data in the backup was {} old ({}).",
            span(rpo.seconds),
            words::against(rpo)
        )));
    }
    let bars = proof.phases.iter().map(|phase| Bar {
        name: phase.name.clone(),
        what: words::phase(&phase.name),
        seconds: phase.seconds.max(0.0),
        time: span(phase.seconds),
        counts: words::counts(proof, &phase.name),
        longest: proof.rto.is_some() && longest.is_some_and(|l| std::ptr::eq(l, phase)),
    });
    let bars: Vec<Bar> = bars.collect();
    if !bars.is_empty() {
        blocks.push(Block::Bars(bars));
    }
    Section::new("Times", blocks)
}

fn differences(proof: &Proof) -> Section {
    let rows: Vec<Vec<Cell>> = proof
        .differences
        .iter()
        .map(|d| {
            vec![
                Cell::Text(d.what.clone()),
                Cell::Code(d.object.clone()),
                Cell::Lines(d.expected.clone()),
                Cell::Lines(d.found.clone()),
            ]
        })
        .collect();
    let none = match proof.tables.is_empty() {
        true => "None was found, but no table was compared.",
        false => "None.",
    };
    let columns = &["What", "Object", "As it was backed up", "As it came back"];
    Section::new("Differences", listed(columns, rows, none))
}

fn errors(proof: &Proof) -> Section {
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
    Section::new("Errors while restoring", listed(columns, rows, "None."))
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

fn checks(proof: &Proof) -> Section {
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

fn sentences(title: &'static str, all: &[String], none: &str, proof: &Proof) -> Section {
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

fn tables(proof: &Proof) -> Section {
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

fn digests(proof: &Proof, source: &Source) -> Section {
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
