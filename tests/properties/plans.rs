//! Plans: in order, nothing twice, and a hash that changes with everything that was approved.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat::plan::{self, Bound, Direction, History, Order, Plan, Row, State};
use proptest::collection::btree_set;
use proptest::prelude::*;

use crate::cases;

fn files(versions: &BTreeSet<u32>) -> BTreeMap<String, Vec<u8>> {
    let both = |v: &u32| {
        let up = (
            format!("{v}_x.sql"),
            format!("CREATE TABLE t{v} (a int); VACUUM t{v};"),
        );
        let down = (format!("{v}_x.sql.down"), format!("DROP TABLE t{v};"));
        [up, down]
    };
    let named = versions.iter().flat_map(both);
    named
        .map(|(name, text)| (name, text.into_bytes()))
        .collect()
}

fn made(
    named: &BTreeMap<String, Vec<u8>>,
    history: &History,
    direction: Direction,
    target: u32,
) -> Plan {
    let order = Order {
        direction,
        target: target.to_string(),
        baseline: None,
    };
    plan::make(&plan::read(named).unwrap(), history, &order).unwrap()
}

/// Applies what comes next, as a worker would, and says which it was.
fn step(plan: &Plan, history: &mut History) -> Option<(u32, usize)> {
    let next = plan.next(history)?;
    let row = Row {
        id: i64::try_from(history.rows.len()).unwrap() + 1,
        version: next.file.version.clone(),
        direction: plan.direction,
        segment: next.segment.index,
        segments: next.file.segments.len(),
        name: next.file.name.clone(),
        file_sha256: next.file.sha256.clone(),
        segment_sha256: next.segment.sha256.clone(),
        state: State::Done,
        attempt: "a".to_owned(),
        run_uid: "r".to_owned(),
        system_identifier: "1".to_owned(),
        database_oid: 1,
        object_oid: None,
        previous: history.head.clone(),
        finished_at: None,
        position: None,
        row_count: 0,
    };
    let done = (row.version.parse().unwrap(), row.segment);
    if plan.direction == Direction::Down && next.is_last() {
        for up in history.rows.iter_mut().filter(|r| r.version == row.version) {
            up.state = State::Undone;
        }
    }
    history.head = format!("{}+{}", history.head, row.id);
    history.rows.push(row);
    Some(done)
}

fn run(plan: &Plan, history: &mut History) -> Vec<(u32, usize)> {
    let mut all = Vec::new();
    while let Some(done) = step(plan, history) {
        all.push(done);
        assert!(all.len() < 100, "it comes to an end");
    }
    all
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn m23_versions_go_up_in_order_stop_anywhere_and_come_back_in_reverse(
        versions in btree_set(1u32..40, 1..7), stop in 0usize..6, died in 0usize..4, kept in 0usize..6,
    ) {
        let named = files(&versions);
        let all: Vec<u32> = versions.iter().copied().collect();
        let (stop, last) = (all[stop.min(all.len() - 1)], *all.last().unwrap());
        let mut history = History::default();
        let up = made(&named, &history, Direction::Up, stop);
        // A worker that dies somewhere, and the next one with a plan of its own.
        for _ in 0..died {
            let _ = step(&up, &mut history);
        }
        let _ = run(&made(&named, &history, Direction::Up, stop), &mut history);
        let _ = run(&made(&named, &history, Direction::Up, last), &mut history);
        let want: Vec<(u32, usize)> = all.iter().flat_map(|v| [(*v, 0), (*v, 1)]).collect();
        let seen: Vec<(u32, usize)> = history.rows.iter().map(|r| (r.version.parse().unwrap(), r.segment)).collect();
        prop_assert_eq!(seen, want);
        prop_assert!(made(&named, &history, Direction::Up, last).files.is_empty(), "nothing is left");

        let kept = if kept == 0 { 0 } else { all[(kept - 1).min(all.len() - 1)] };
        let back = run(&made(&named, &history, Direction::Down, kept), &mut history);
        let want: Vec<(u32, usize)> = all.iter().rev().filter(|v| **v > kept).map(|v| (*v, 0)).collect();
        prop_assert_eq!(back, want);
        let again = run(&made(&named, &history, Direction::Up, last), &mut history);
        prop_assert_eq!(again.len(), 2 * all.iter().filter(|v| **v > kept).count());
    }

    /// M6: whatever came after it, the head of that moment is found again; a history that was set back knows it no more.
    #[test]
    fn m6_a_head_is_remembered_by_the_row_that_came_next(versions in btree_set(1u32..40, 1..5), kept in any::<prop::sample::Index>()) {
        let named = files(&versions);
        let last = *versions.last().unwrap();
        let (mut history, mut heads) = (History::default(), Vec::new());
        for (direction, target) in [(Direction::Up, last), (Direction::Down, 0), (Direction::Up, last)] {
            let plan = made(&named, &history, direction, target);
            while step(&plan, &mut history).is_some() {
                heads.push(history.head.clone());
            }
        }
        for (row, head) in history.rows.iter().zip(&heads) {
            prop_assert_eq!(history.head_after(row), head);
            prop_assert!(history.had(head));
        }
        let kept = kept.index(heads.len());
        let mut back = History { rows: history.rows.clone(), head: heads[kept].clone() };
        back.rows.truncate(kept + 1);
        for (at, head) in heads.iter().enumerate() {
            prop_assert_eq!(back.had(head), at <= kept);
        }
    }

    #[test]
    fn m12_the_hash_changes_with_every_byte_the_run_the_server_and_the_specification(
        versions in btree_set(1u32..40, 1..5), at in any::<prop::sample::Index>(),
    ) {
        let mut named = files(&versions);
        let last = *versions.last().unwrap();
        let bound = Bound { run_uid: "u", system_identifier: "1", database: "shop" };
        let spec = serde_json::Value::from("spec");
        let hash = |named: &BTreeMap<String, Vec<u8>>, history: &History, bound: &Bound<'_>, spec: &serde_json::Value| {
            made(named, history, Direction::Up, last).hash(bound, spec)
        };
        let first = hash(&named, &History::default(), &bound, &spec);
        prop_assert_eq!(&first, &hash(&named, &History::default(), &bound, &spec));
        let head = History { head: "x".to_owned(), ..History::default() };
        let mut others = vec![
            hash(&named, &head, &bound, &spec),
            hash(&named, &History::default(), &Bound { run_uid: "v", ..bound }, &spec),
            hash(&named, &History::default(), &Bound { system_identifier: "2", ..bound }, &spec),
            hash(&named, &History::default(), &Bound { database: "shoq", ..bound }, &spec),
            hash(&named, &History::default(), &bound, &serde_json::Value::from("spec2")),
        ];
        let ups: Vec<String> = named.keys().filter(|n| n.ends_with(".sql")).cloned().collect();
        let changed = named.get_mut(at.get(&ups)).unwrap();
        // A comment runs nothing, and was not there when somebody read the file.
        changed.extend_from_slice(b"-- x");
        others.push(hash(&named, &History::default(), &bound, &spec));
        others.push(first);
        let count = others.len();
        prop_assert_eq!(others.into_iter().collect::<BTreeSet<_>>().len(), count);
    }
}
