//! Segments: what of a file is applied together (M18).

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::class::Class;
use super::file::Statement;

/// How a segment is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SegmentKind {
    /// One transaction.
    Transaction,
    /// One statement outside any transaction.
    Lone,
    /// One statement in many transactions, each of which goes over a part of its table.
    Batches,
}

/// A part of a file that is applied as a whole, or not at all if it is a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// From 0.
    pub index: usize,
    /// How it is run.
    pub kind: SegmentKind,
    /// Its statements, as indices into the file's.
    pub statements: Range<usize>,
    /// What stands in the database once it is through, for people: what remains if a later one fails.
    pub then: String,
}

/// Cuts statements into segments. Refused ones are counted as transactional: the file is not run anyway.
/// `each_alone`: the file says that it does not run in one transaction, so each statement has one of its own.
pub(super) fn segments(statements: &[Statement], each_alone: bool) -> Vec<Segment> {
    let mut cuts: Vec<(SegmentKind, Range<usize>)> = Vec::new();
    let mut joins = false;
    for statement in statements {
        let index = statement.index;
        let kind = match statement.class {
            Class::Lone(_) => SegmentKind::Lone,
            _ if statement.batch.is_some() => SegmentKind::Batches,
            _ => SegmentKind::Transaction,
        };
        let shares = matches!(statement.class, Class::Transactional | Class::Refused(_))
            && statement.batch.is_none();
        match cuts.last_mut() {
            Some((_, last)) if joins && shares && !each_alone => last.end = index + 1,
            _ => cuts.push((kind, index..index + 1)),
        }
        joins = shares;
    }
    let all = cuts.len();
    let segments = cuts.into_iter().enumerate();
    segments
        .map(|(index, (kind, range))| Segment {
            index,
            kind,
            then: then(index + 1 == all, index, &range, statements.len()),
            statements: range,
        })
        .collect()
}

fn then(last: bool, index: usize, range: &Range<usize>, all: usize) -> String {
    if last && index == 0 {
        return "the whole file is applied".to_owned();
    }
    if last {
        return format!("all {all} statements are applied");
    }
    let stands = if range.end == 1 {
        "statement 1 stands".to_owned()
    } else {
        format!("statements 1 to {} stand", range.end)
    };
    format!("{stands}, {} to come", all - range.end)
}
