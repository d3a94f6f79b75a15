//! Writes down what a rehearsal saw.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{Evidence, RehearsedFile, RehearsedSegment, RehearsedStatement};
use crate::plan::Plan;
use crate::postgres::migrate::{Measured, Mode, Rehearsed, Step};
use crate::sql::SegmentKind;

/// By version and segment.
pub(super) type Seen = BTreeMap<(String, usize), Measured>;

/// The files of a plan with what was measured of them; those that did not come to run have nothing.
pub(super) fn files(plan: &Plan, seen: &Seen) -> Vec<RehearsedFile> {
    let files = plan.files.iter().map(|file| {
        let segments = file.segments.iter().filter_map(|segment| {
            let measured = seen.get(&(file.version.clone(), segment.index))?;
            let statements = segment.statements.iter().enumerate();
            Some(RehearsedSegment {
                index: segment.index,
                transaction: segment.kind != SegmentKind::Lone,
                batches: (segment.kind == SegmentKind::Batches).then_some(measured.batches),
                then: segment.then.clone(),
                statements: statements
                    .map(|(at, statement)| RehearsedStatement {
                        line: statement.line,
                        verb: statement.verb.clone(),
                        sha256: statement.sha256.clone(),
                        rows: rows(segment.kind, measured, at),
                        ..seen_of(measured.statements.get(at))
                    })
                    .collect(),
                locks: words(&measured.locks),
                views: words(&measured.views),
                rewritten: measured.rewritten.clone(),
                index_definition: measured.index.clone(),
                indexes: measured.indexes.clone(),
                wal: measured.wal,
                seconds: measured.time.as_secs_f64(),
                warnings: measured
                    .warnings
                    .iter()
                    .filter_map(|w| Some(w.split_once(':')?.0.to_owned()))
                    .collect(),
            })
        });
        RehearsedFile {
            version: file.version.clone(),
            name: file.name.clone(),
            sha256: file.sha256.clone(),
            segments: segments.collect(),
        }
    });
    files.collect()
}

/// Outside transactions there is nothing to count.
fn rows(kind: SegmentKind, measured: &Measured, at: usize) -> Option<u64> {
    let rows = measured.rows.get(at).copied();
    rows.filter(|_| kind != SegmentKind::Lone)
}

fn seen_of(step: Option<&Step>) -> RehearsedStatement {
    let Some(step) = step else {
        return RehearsedStatement::default();
    };
    RehearsedStatement {
        locks: words(&step.locks),
        rewritten: step.rewritten.clone(),
        wal: step.wal,
        temporary: step.temporary,
        seconds: step.time.as_secs_f64(),
        ..RehearsedStatement::default()
    }
}

fn words(locks: &BTreeMap<String, Mode>) -> BTreeMap<String, String> {
    let words = locks.iter();
    words.map(|(t, m)| (t.clone(), m.to_string())).collect()
}

/// Tables and materialized views that somebody else could not use meanwhile as he likes: more than readers' locks.
pub(super) fn held(seen: &Seen) -> BTreeSet<String> {
    let locks = seen.values().flat_map(|m| m.locks.iter().chain(&m.views));
    let held = locks.filter(|(_, mode)| **mode > Mode::AccessShare);
    held.map(|(table, _)| table.clone()).collect()
}

/// As applying needs it.
pub(super) fn rehearsed_of(evidence: &Evidence) -> BTreeMap<(String, usize), Rehearsed> {
    let files = evidence.files.iter();
    let segments = files.flat_map(|f| f.segments.iter().map(|s| (f.version.clone(), s)));
    segments
        .map(|(version, segment)| {
            let measured = Measured {
                locks: modes(&segment.locks),
                views: modes(&segment.views),
                index: segment.index_definition.clone(),
                ..Measured::default()
            };
            let rehearsed = Rehearsed {
                rows: segment.statements.iter().map(|s| s.rows).collect(),
                ..Rehearsed::from(&measured)
            };
            ((version, segment.index), rehearsed)
        })
        .collect()
}

fn modes(words: &BTreeMap<String, String>) -> BTreeMap<String, Mode> {
    let words = words.iter();
    words
        .filter_map(|(table, word)| Some((table.clone(), Mode::named(word)?)))
        .collect()
}
