//! The formula of the score, and which finding decides.

use rstest::rstest;

use super::*;
use crate::manifest::RestoreError;

fn difference(what: &str) -> Difference {
    Difference {
        what: what.to_owned(),
        object: "public.orders".to_owned(),
        expected: "500 rows".to_owned(),
        found: "499 rows".to_owned(),
    }
}

fn error(judged: Verdict, reason: Reason) -> Judged {
    Judged {
        error: RestoreError {
            sqlstate: String::new(),
            entry: "TABLE public.orders".to_owned(),
            message: "no".to_owned(),
            judged,
        },
        reason,
        dump_id: None,
        of_server: true,
    }
}

fn asked(required: bool, passed: bool) -> CheckProof {
    CheckProof {
        name: "recent".to_owned(),
        sql: "select true".to_owned(),
        expect: "t".to_owned(),
        got: Some(if passed { "t" } else { "f" }.to_owned()),
        error: None,
        required,
        passed,
        seconds: 0.1,
    }
}

fn judged(
    compare: &Compare,
    errors: &[Judged],
    differences: &[&str],
    checks: &[CheckProof],
    minimum_score: i32,
) -> Judgement {
    let comparison = Comparison {
        differences: differences.iter().map(|what| difference(what)).collect(),
        tables: 3,
        equal: 3,
        rows: 500,
        ..Comparison::default()
    };
    judge(&Findings {
        compare,
        errors,
        comparison: &asked_for(comparison, compare),
        contradicts: false,
        checks,
        minimum_score,
    })
}

#[rstest]
#[case::equal(&[], &[], &[], 0, Verdict::Passed, Reason::Succeeded, Some(100))]
#[case::a_row(&[], &["rows"], &[], 0, Verdict::Failed, Reason::Differs, Some(49))]
#[case::an_owner(&[], &["owner"], &[], 0, Verdict::Failed, Reason::Differs, Some(49))]
#[case::all_of_it(&[error(Verdict::Failed, Reason::RestoreFailed)], &["rows", "content", "TABLE"], &[], 0, Verdict::Failed, Reason::RestoreFailed, Some(0))]
#[case::no_room(&[error(Verdict::Inconclusive, Reason::NoRoom)], &["rows"], &[], 0, Verdict::Inconclusive, Reason::NoRoom, None)]
#[case::a_foreign_server(&[error(Verdict::Passed, Reason::Partial)], &[], &[], 0, Verdict::Passed, Reason::Succeeded, Some(100))]
#[case::a_required_check(&[], &[], &[asked(true, false)], 0, Verdict::Failed, Reason::CheckFailed, Some(49))]
#[case::an_optional_check(&[], &[], &[asked(false, false)], 0, Verdict::Passed, Reason::Succeeded, Some(95))]
#[case::below_the_minimum(&[], &[], &[asked(false, false)], 96, Verdict::Failed, Reason::ScoreTooLow, Some(95))]
fn the_worst_finding_decides(
    #[case] errors: &[Judged],
    #[case] differences: &[&str],
    #[case] checks: &[CheckProof],
    #[case] minimum: i32,
    #[case] result: Verdict,
    #[case] reason: Reason,
    #[case] score: Option<u8>,
) {
    let said = judged(&Compare::default(), errors, differences, checks, minimum);
    assert_eq!(
        (said.result, said.reason, said.score),
        (result, reason, score),
        "{said:?}"
    );
    assert_eq!(said.proves, result == Verdict::Passed, "{said:?}");
}

#[rstest]
#[case(Compare { schema: Some(false), ..Compare::default() }, "owner")]
#[case(Compare { rows: Some(CompareRows::Off), ..Compare::default() }, "rows")]
#[case(Compare { content: Some(CompareContent::Off), ..Compare::default() }, "content")]
fn g28_less_than_everything_proves_nothing(#[case] compare: Compare, #[case] unseen: &str) {
    let said = judged(&compare, &[], &[unseen], &[], 0);
    assert_eq!(
        (said.result, said.reason),
        (Verdict::Passed, Reason::Partial)
    );
    assert!(!said.proves && said.score == Some(100), "{said:?}");
}
