//! The census of a backup against that of a database.

use rstest::rstest;

use super::*;
use crate::manifest::LeftOut;

fn left_out(name: &str) -> LeftOut {
    LeftOut {
        fingerprint: None,
        schema: Name::default(),
        name: Name::Text(name.to_owned()),
        why: String::new(),
        rows: 0,
    }
}

/// With a foreign key whose triggers are switched off, which no dump says.
fn contents(census: &[(&str, i64)]) -> Contents {
    Contents {
        census: census.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect(),
        left_out: vec![left_out("table constraint known on shop.unwatched")],
        members: Some(Vec::new()),
        ..Contents::default()
    }
}

/// All, and those that no dump has, at the dump and now.
#[rstest]
#[case::as_it_comes_back(3, Some(2), 1, 0, "")]
#[case::in_the_source_itself(3, Some(2), 3, 2, "")]
#[case::nothing_was_off(0, Some(0), 0, 0, "")]
#[case::one_more(3, Some(2), 2, 0, "differs")]
#[case::one_more_of_a_constraint(3, Some(2), 4, 3, "differs")]
#[case::one_of_another_constraint(1, Some(0), 1, 1, "differs")]
#[case::more_recorded_than_come_back(4, Some(2), 1, 0, "lost")]
#[case::fewer_of_constraints_recorded(3, Some(1), 1, 0, "lost")]
#[case::an_earlier_backup(4, None, 0, 0, "")]
#[case::an_earlier_backup_in_the_source_itself(4, None, 4, 4, "")]
#[case::an_earlier_backup_with_more_than_its_constraints_have(5, None, 0, 0, "lost")]
#[case::an_earlier_backup_and_one_more(0, None, 1, 1, "differs")]
fn p10_triggers_that_are_off_come_back_so_or_are_of_what_is_left_out(
    #[case] was: i64,
    #[case] left_was: Option<i64>,
    #[case] is: i64,
    #[case] left_is: i64,
    #[case] told: &str,
) {
    let mut expected = contents(&[("disabledTriggers", was)]);
    if let Some(left) = left_was {
        expected.census.insert("leftOutTriggers".to_owned(), left);
    }
    let found = contents(&[("disabledTriggers", is), ("leftOutTriggers", left_is)]);
    let result = compare(&expected, &found);
    let said = match (result.differences.len(), result.lost.len()) {
        (0, 0) => "",
        (1, 0) => "differs",
        (0, 1) => "lost",
        _ => "more",
    };
    assert_eq!(said, told, "{result:?}");
}

/// The indexes of a partitioned table may be marked valid by a restore; those that the dump left out are told by name.
#[rstest]
#[case::as_it_comes_back((6, 1), "index shop.broken", (5, 0), "")]
#[case::one_at_the_top_comes_back_so((6, 2), "index shop.broken", (5, 1), "")]
#[case::one_at_the_top_is_mended((6, 2), "index shop.broken", (5, 0), "lost")]
#[case::one_is_missing((6, 1), "index shop.broken", (4, 0), "differs")]
#[case::one_that_is_named_as_something_else((6, 1), "jndex shop.broken", (5, 0), "differs")]
#[case::one_less_valid((6, 2), "index shop.broken", (4, 0), "differs")]
fn p10_every_index_comes_back_or_is_named(
    #[case] was: (i64, i64),
    #[case] name: &str,
    #[case] is: (i64, i64),
    #[case] told: &str,
) {
    let mut expected = contents(&[("indexes", was.0), ("invalidIndexes", was.1)]);
    expected.left_out.push(left_out(name));
    let found = contents(&[("indexes", is.0), ("invalidIndexes", is.1)]);
    let result = compare(&expected, &found);
    let said = match (result.differences.is_empty(), result.lost.is_empty()) {
        (false, _) => "differs",
        (true, false) => "lost",
        (true, true) => "",
    };
    assert_eq!(said, told, "{result:?}");
}
