//! What a manifest counts. Pure.

use std::collections::HashSet;

use crate::manifest::{Contents, Counts, Name, ObjectInfo, ObjectRole, Relation};

/// What a manifest counts.
pub(super) fn counts(contents: &Contents, objects: &[ObjectInfo]) -> Counts {
    // What is not in the dump is not counted as backed up.
    let left_out: HashSet<(&Name, &Name)> = contents
        .left_out
        .iter()
        .map(|l| (&l.schema, &l.name))
        .collect();
    let kept: Vec<&Relation> = contents
        .relations
        .iter()
        .filter(|r| !left_out.contains(&(&r.schema, &r.name)))
        .collect();
    let of = |kind: char| kept.iter().filter(move |r| r.kind == kind);
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Counts {
        left_out: number(contents.left_out.len()),
        tables: number(of('r').count()),
        rows: of('r').filter_map(|r| r.rows).sum(),
        sequences: number(of('S').count()),
        large_objects: contents
            .census
            .get("largeObjects")
            .copied()
            .unwrap_or_default(),
        raw_bytes: objects
            .iter()
            .filter(|o| o.role == ObjectRole::Dump)
            .map(|o| o.raw_bytes)
            .sum(),
        stored_bytes: objects.iter().map(|o| o.bytes).sum(),
    }
}
