//! One proof becomes a page: first what it says, then why, then everything it was made of.

use super::findings::{break_glass, checks, differences, digests, errors, sentences, tables};
use super::page::{Banner, Bar, Block, Cell, Figure, Page, Section, Table, Tone};
use super::words::{self, span, time};
use super::{Source, Standing};
use crate::api::restore_drill::Verdict;
use crate::manifest::{Objective, Proof, accepted};
use crate::work::human::{number, size, thousands};

pub(super) fn page(proof: &Proof, source: &Source) -> Page {
    let mut sections = vec![what(proof, source), score(proof), times(proof)];
    sections.extend([differences(proof), errors(proof), checks(proof)]);
    sections.extend(break_glass(proof));
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
        Verdict::Passed if proof.proves && accepted(&proof.notes) > 0 => {
            "This backup is proven: all of it came back as it was, but for what no dump holds and somebody accepted (see the notes)."
        }
        Verdict::Passed if proof.proves => "This backup is proven: all of it came back as it was.",
        Verdict::Passed => "Equal as far as it was compared. Nothing is proven.",
        Verdict::Failed => {
            "This backup is not proven. See below what is wrong before relying on it."
        }
        Verdict::Inconclusive => {
            "The drill could not tell. This speaks neither for the backup nor against it."
        }
    };
    let spoiled = match source.standing {
        Standing::AsDrilled | Standing::Gone => None,
        Standing::Damaged => {
            Some("But the backup was damaged after the drill: objects of it are missing or cut.")
        }
        Standing::Changed => Some(
            "But the manifest in the store is not the one that was drilled: nothing is proven of what stands there now.",
        ),
    };
    Banner {
        tone: match spoiled {
            Some(_) => Tone::Bad,
            None => words::tone(proof.result, proof.proves),
        },
        verdict: proof.result.as_str(),
        meaning: spoiled.unwrap_or(meaning),
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
                _ => format!("{} of {}", thousands(equal), thousands(tables)),
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
    let spoiled = proof.errors.iter().any(|e| e.judged != Verdict::Passed);
    let most = longest.map_or(String::new(), |phase| {
        let time = span(phase.seconds);
        format!(
            " The longest part of it was {}, with {time}: the bottleneck.",
            phase.name
        )
    });
    let rto = match &proof.rto {
        Some(rto) if spoiled => format!(
            "It took {} until the restore ended ({}).{most} Not everything was restored, so this says little of how long a whole one takes.",
            span(rto.seconds),
            words::against(rto)
        ),
        Some(rto) => format!(
            "It took {} until the database could be used ({}).{most}",
            span(rto.seconds),
            words::against(rto)
        ),
        None => "How long a restore takes was not measured: it did not come so far.".to_owned(),
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
