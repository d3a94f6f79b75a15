//! Which tables a sample reads: whole ones, drawn from the due time, so that another try of a run draws the same (G28).

use std::collections::BTreeSet;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::api::restore_drill::{Compare, CompareContent};
use crate::manifest::{Contents, Name, Relation};

/// Takes the hashes of the tables that were not drawn out of what is expected. Answers what is not compared therefore;
/// nothing where the content of all tables is asked for, or of none, or where there are no hashes.
pub fn draw(expected: &mut Contents, compare: &Compare, due: Timestamp) -> Option<String> {
    expected.line_key.as_ref()?;
    let percent = match compare.content.unwrap_or_default() {
        CompareContent::Full => return None,
        CompareContent::Sample => compare.sample_percent.unwrap_or(1),
        CompareContent::Off => 0,
    };
    let all: BTreeSet<(Name, Name)> = hashed(expected).map(whole).collect();
    let percent = usize::try_from(percent.clamp(0, 100)).unwrap_or_default();
    let number = all.len().saturating_mul(percent).div_ceil(100);
    let drawn = first(all, number, due);
    let mut left = 0_usize;
    for relation in &mut expected.relations {
        if relation.hash.is_some() && !drawn.contains(&whole(relation)) {
            relation.hash = None;
            relation.lines = None;
            left += 1;
        }
    }
    let all = left + hashed(expected).count();
    (number > 0).then(|| {
        format!("the content of {left} of {all} tables, which compare.content: Sample did not draw")
    })
}

fn hashed(contents: &Contents) -> impl Iterator<Item = &Relation> {
    contents.relations.iter().filter(|r| r.hash.is_some())
}

/// Rows may come back in another partition of what they are loaded through: all of it is drawn, or none.
fn whole(relation: &Relation) -> (Name, Name) {
    let own = || (relation.schema.clone(), relation.name.clone());
    relation.loaded_through.clone().unwrap_or_else(own)
}

/// The first in an order that hangs on the due time.
fn first(all: BTreeSet<(Name, Name)>, number: usize, due: Timestamp) -> BTreeSet<(Name, Name)> {
    let mut order: Vec<_> = all
        .into_iter()
        .map(|name| {
            let text = format!("{due} {}.{}", name.0.display(), name.1.display());
            (Sha256::digest(text).to_vec(), name)
        })
        .collect();
    order.sort();
    order
        .into_iter()
        .take(number)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(tables: usize) -> Contents {
        let relation = |n: usize| Relation {
            schema: Name::from_bytes(b"public"),
            name: Name::from_bytes(format!("t{n}").as_bytes()),
            kind: 'r',
            rows: Some(1),
            columns: None,
            bytes: Some(1),
            hash: Some("00".to_owned()),
            loaded_through: (n < 3)
                .then(|| (Name::from_bytes(b"public"), Name::from_bytes(b"root"))),
            extension: None,
            lines: None,
            generated: None,
            types_of: Vec::new(),
        };
        Contents {
            line_key: Some("00".to_owned()),
            relations: (0..tables).map(relation).collect(),
            ..Contents::default()
        }
    }

    fn drawn(tables: usize, percent: i32, due: &str) -> Vec<usize> {
        let mut expected = contents(tables);
        let compare = Compare {
            content: Some(CompareContent::Sample),
            sample_percent: Some(percent),
            ..Compare::default()
        };
        draw(&mut expected, &compare, due.parse().unwrap()).unwrap();
        let relations = expected.relations.iter().enumerate();
        relations
            .filter(|(_, r)| r.hash.is_some())
            .map(|(n, _)| n)
            .collect()
    }

    const DUE: &str = "2026-11-21T03:00:00Z";

    #[test]
    fn g28_a_sample_is_of_whole_tables_and_the_same_for_the_same_due_time() {
        assert_eq!(drawn(203, 10, DUE), drawn(203, 10, DUE));
        let others = (0..9).map(|day| drawn(203, 10, &format!("2026-11-1{day}T03:00:00Z")));
        assert!(others.collect::<BTreeSet<_>>().len() > 5);
        // 201 roots and tables: a tenth of them, rounded up, and the root counts once.
        let roots = |drawn: Vec<usize>| {
            drawn
                .iter()
                .map(|n| (*n).max(2))
                .collect::<BTreeSet<_>>()
                .len()
        };
        assert_eq!(roots(drawn(203, 10, DUE)), 21);
    }

    #[test]
    fn g28_partitions_that_are_loaded_through_one_root_are_drawn_together() {
        for percent in [1, 20, 50, 99] {
            let parts = drawn(9, percent, DUE).iter().filter(|n| **n < 3).count();
            assert!([0, 3].contains(&parts), "{percent}: {parts}");
        }
        assert!(!drawn(9, 1, DUE).is_empty());
    }

    #[test]
    fn without_hashes_nothing_is_drawn() {
        let mut expected = contents(3);
        expected.line_key = None;
        let compare = Compare {
            content: Some(CompareContent::Sample),
            sample_percent: Some(50),
            ..Compare::default()
        };
        assert_eq!(draw(&mut expected, &compare, DUE.parse().unwrap()), None);
    }
}
