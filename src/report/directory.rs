//! The proofs of a directory become a page: the newest recovery point that is proven, the longest gap, a line each.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::page::{Block, Cell, Figure, Page, Section, Table, Tone};
use super::words::{self, span, time};
use super::{Directory, Line, Standing};
use crate::api::restore_drill::Verdict;
use crate::manifest::Objective;
use crate::work::human::{count, thousands};

const COLUMNS: [&str; 11] = [
    "Ended (UTC)",
    "Backup",
    "Recovery point (UTC)",
    "Verdict",
    "Reason",
    "Score",
    "RTO",
    "RPO",
    "Tables equal",
    "Backup today",
    "Run",
];

pub(super) fn page(directory: &Directory) -> Page {
    let mut lines: Vec<&Line> = directory.lines.iter().collect();
    lines.sort_by(|a, b| {
        let newest = b.finished_at.cmp(&a.finished_at);
        newest.then_with(|| (&a.at, &a.run).cmp(&(&b.at, &b.run)))
    });
    let mut sections = vec![Section::new("Drills", drills(&lines))];
    for (title, sentences) in [
        ("Damaged", &directory.damaged),
        ("Unreadable", &directory.unreadable),
    ] {
        if !sentences.is_empty() {
            sections.push(Section::new(title, vec![Block::List(sentences.clone())]));
        }
    }
    sections.push(Section::new("How to read this", reading()));
    let mut colophon = vec![format!(
        "Made from {} in {}.",
        directory.name, directory.place
    )];
    if directory.older > 0 {
        colophon.push(format!(
            "{} not looked at (--limit).",
            count(directory.older, "older attempt")
        ));
    }
    Page {
        kind: "Restore drills",
        title: directory.name.clone(),
        banner: None,
        figures: figures(directory, &lines),
        sections,
        colophon,
    }
}

fn figures(directory: &Directory, lines: &[&Line]) -> Vec<Figure> {
    let proven = newest_proven(lines);
    let gap = longest_gap(&directory.points);
    let newest = directory.points.iter().max();
    vec![
        Figure {
            name: "Newest proven recovery point",
            value: proven.map_or("none".to_owned(), |l| time(l.data_at)),
            note: match proven {
                Some(line) => format!("{}, drilled {}", line.at, time(line.finished_at)),
                None => "no backup that is there is proven".to_owned(),
            },
            tone: match proven {
                Some(_) => Tone::Good,
                None => Tone::Bad,
            },
        },
        Figure {
            name: "Newest recovery point",
            value: newest.map_or("none".to_owned(), |at| time(*at)),
            note: format!("{} whole", count(directory.points.len(), "backup")),
            tone: Tone::Plain,
        },
        Figure {
            name: "Longest gap between two backups",
            value: gap.map_or("–".to_owned(), |(from, to)| span(between(from, to))),
            note: match gap {
                Some((from, to)) if directory.older > 0 => {
                    format!("{} to {}, as far as was looked", time(from), time(to))
                }
                Some((from, to)) => format!("{} to {}", time(from), time(to)),
                None => "there are not two".to_owned(),
            },
            tone: Tone::Plain,
        },
        Figure {
            name: "Drills",
            value: thousands(lines.len()),
            note: {
                let of = |verdict| lines.iter().filter(|l| l.result == verdict).count();
                format!(
                    "{} passed, {} failed, {} inconclusive",
                    thousands(of(Verdict::Passed)),
                    thousands(of(Verdict::Failed)),
                    thousands(of(Verdict::Inconclusive))
                )
            },
            tone: Tone::Plain,
        },
    ]
}

/// The newest recovery point of a backup that is there as it was drilled, and that no later drill has failed.
/// Lines come newest first. An inconclusive drill takes nothing back, and neither does one that compared less.
fn newest_proven<'a>(lines: &[&'a Line]) -> Option<&'a Line> {
    let mut said: BTreeMap<&str, &Line> = BTreeMap::new();
    for line in lines {
        if line.standing == Standing::AsDrilled && (line.proves || line.result == Verdict::Failed) {
            said.entry(&line.at).or_insert(line);
        }
    }
    let proven = said.into_values().filter(|line| line.proves);
    proven.max_by_key(|line| line.data_at)
}

/// Between two backups that follow each other; the earliest of equal ones.
fn longest_gap(points: &[Timestamp]) -> Option<(Timestamp, Timestamp)> {
    let mut points = points.to_vec();
    points.sort_unstable();
    let pairs = points.iter().zip(points.iter().skip(1));
    pairs
        .map(|(from, to)| (*from, *to))
        .rev()
        .max_by_key(|(from, to)| to.duration_since(*from))
}

fn between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn drills(lines: &[&Line]) -> Vec<Block> {
    if lines.is_empty() {
        let text =
            "There is no proof in this directory: nothing says that these backups can be restored.";
        return vec![Block::Text(text.to_owned())];
    }
    let rows = lines.iter().map(|line| row(line)).collect();
    vec![Block::Table(Table {
        columns: &COLUMNS,
        rows,
    })]
}

/// The directory stands in the title already.
fn row(line: &Line) -> Vec<Cell> {
    let folder = line.at.rsplit('/').next().unwrap_or(&line.at);
    let measured = |objective: Option<&Objective>| match objective {
        None => Cell::Short("–".to_owned()),
        Some(it) => match words::met(Some(it)) {
            Tone::Plain => Cell::Short(span(it.seconds)),
            tone => Cell::Mark(tone, span(it.seconds)),
        },
    };
    let verdict = match (line.result, line.proves) {
        (Verdict::Passed, true) => "Passed, proven".to_owned(),
        (Verdict::Passed, false) => "Passed, not proven".to_owned(),
        (other, _) => other.as_str().to_owned(),
    };
    let today = match line.standing {
        Standing::AsDrilled => Cell::Mark(Tone::Good, "as drilled".to_owned()),
        Standing::Damaged => Cell::Mark(Tone::Bad, "damaged".to_owned()),
        Standing::Changed => Cell::Mark(Tone::Bad, "changed".to_owned()),
        Standing::Gone => Cell::Mark(Tone::Unsure, "gone".to_owned()),
    };
    let tables = match line.tables {
        (_, 0) => "–".to_owned(),
        (equal, all) => format!("{} of {}", thousands(equal), thousands(all)),
    };
    vec![
        words::minute(line.finished_at),
        Cell::Code(folder.to_owned()),
        words::minute(line.data_at),
        Cell::Mark(words::tone(line.result, line.proves), verdict),
        Cell::Text(line.reason.clone()),
        Cell::Number(line.score.map_or("–".to_owned(), |s| s.to_string())),
        measured(line.rto.as_ref()),
        measured(line.rpo.as_ref()),
        Cell::Number(tables),
        today,
        Cell::Code(line.run.clone()),
    ]
}

fn reading() -> Vec<Block> {
    let text = [
        "A line is one proof, the newest first. Proven: the whole backup was restored, compared and equal.",
        "The newest proven recovery point is the newest moment to which one can certainly return: its backup stands in the store as it was drilled (manifest, and names and sizes of the objects), and no later \
         drill of it failed.",
        "A gap is the time between the recovery points of two backups that follow each other, damaged ones not counted: so much could have been lost at most.",
        "RTO is the time that the restore took, RPO the age of the data when the drill began; with a sign where the policy has an objective.",
    ];
    vec![Block::List(
        text.iter().map(|&text| text.to_owned()).collect(),
    )]
}
