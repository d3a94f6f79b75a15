//! Proofs that say two things.

use rstest::rstest;

use super::*;
use crate::manifest::samples::{AT, RUN, SHA256, failed, manifest, now, passed, time};
use crate::manifest::{Objective, Phase, ProofDifference, ScratchServer};

type Change = fn(&mut Proof);

#[rstest]
#[case::failed_for_no_reason("result: Failed", |p: &mut Proof| p.result = Verdict::Failed)]
#[case::inconclusive("result: Inconclusive", |p: &mut Proof| p.result = Verdict::Inconclusive)]
#[case::a_table("public.customers is not equal", |p: &mut Proof| p.tables[0].equal = false)]
#[case::a_date("in the future", |p: &mut Proof| p.finished_at = time("2099-01-01T00:00:00Z"))]
#[case::both_dates("in the future", |p: &mut Proof| {
    p.started_at = time("2099-01-01T00:00:00Z");
    p.finished_at = time("2099-01-01T01:00:00Z");
})]
#[case::backwards("after finishedAt", |p: &mut Proof| p.finished_at = time("2026-11-22T03:00:00Z"))]
#[case::not_compared("not compared: rows", |p: &mut Proof| p.not_compared.push("rows".to_owned()))]
#[case::less_than_all("backup.tables", |p: &mut Proof| { p.tables.pop(); })]
#[case::fewer_rows("backup.rows", |p: &mut Proof| p.tables[0].rows = 7)]
#[case::a_difference("rows public.x differs", |p: &mut Proof| p.differences.push(ProofDifference {
    what: "rows".to_owned(), object: "public.x".to_owned(), expected: "1".to_owned(), found: "2".to_owned(),
}))]
#[case::an_error("could not be restored", |p: &mut Proof| p.errors[0].judged = Verdict::Failed)]
#[case::a_check("the check fresh", |p: &mut Proof| p.checks[0].passed = false)]
#[case::an_answer("it says f and should say t", |p: &mut Proof| p.checks[0].got = Some("f".to_owned()))]
#[case::a_score("score: 99, but 100", |p: &mut Proof| p.score = Some(99))]
#[case::no_score("score: none", |p: &mut Proof| p.score = None)]
#[case::a_part("rows: failed, but passed", |p: &mut Proof| p.parts[2].passed = Some(false))]
#[case::a_weight("weight of rows", |p: &mut Proof| p.parts[2].weight = 1)]
#[case::a_part_that_was_not_asked_for("no content", |p: &mut Proof| p.parts[3].passed = None)]
#[case::a_part_that_is_missing("no content", |p: &mut Proof| { p.parts.remove(3); })]
#[case::partly("proves", |p: &mut Proof| p.reason = "Partial".to_owned())]
#[case::another_server("major of server.version", |p: &mut Proof| {
    p.server = Some(ScratchServer { version: "16.1".to_owned(), image: String::new() });
})]
#[case::no_server("there was no server", |p: &mut Proof| p.server = None)]
#[case::another_run("run", |p: &mut Proof| p.run = "weekly-20261123t0300z".to_owned())]
#[case::another_drill("the run is called", |p: &mut Proof| p.drill = "monthly".to_owned())]
#[case::met("rto.met: missed, but met", |p: &mut Proof| p.rto.as_mut().unwrap().met = Some(false))]
#[case::no_time("no time", |p: &mut Proof| p.rto = Some(Objective { seconds: -1.0, objective_seconds: None, met: None }))]
#[case::a_phase("its parts took", |p: &mut Proof| p.phases.push(Phase { name: "data".to_owned(), seconds: 9e9 }))]
#[case::another_database("backup.database", |p: &mut Proof| p.backup.database = "other".to_owned())]
#[case::another_folder("folder", |p: &mut Proof| p.backup.prefix = "shop.orders/20261120T020000Z-0a1b2c3d4e5f".to_owned())]
#[case::an_object("backup.objects", |p: &mut Proof| p.backup.objects[0].sha256 = "00".repeat(32))]
#[case::the_script("complaints or differences are named", |p: &mut Proof| p.break_glass.as_mut().unwrap().result = Verdict::Passed)]
#[case::a_script_that_took_longer_than_its_drill("breakGlass.seconds", |p: &mut Proof| p.break_glass.as_mut().unwrap().seconds = 9e9)]
#[case::a_script_after_a_drill_that_failed("tries no script", |p: &mut Proof| {
    let script = p.break_glass.clone();
    *p = failed();
    p.break_glass = script;
})]
fn p10_a_proof_that_contradicts_itself_counts_for_nothing_and_says_where(
    #[case] words: &str,
    #[case] change: Change,
) {
    let manifest = manifest();
    let beside = Beside {
        at: AT,
        run: RUN,
        manifest: Some((&manifest, SHA256)),
        now: now(),
    };
    let mut proof = passed();
    assert!(proof.counts(&beside));
    change(&mut proof);
    let lies = proof.contradictions(&beside);
    let text = |l: &ProofDifference| format!("{}: {}, but {}", l.object, l.expected, l.found);
    let said: Vec<String> = lies.iter().map(text).collect();
    assert!(said.iter().any(|s| s.contains(words)), "{said:?}");
    assert!(!proof.counts(&beside));
}

#[test]
fn a_proof_of_another_manifest_contradicts_nothing_and_counts_for_nothing() {
    let mut manifest = manifest();
    manifest.counts.rows += 1;
    let beside = |sha256| Beside {
        at: AT,
        run: RUN,
        manifest: Some((&manifest, sha256)),
        now: now(),
    };
    let other = "00".repeat(32);
    assert_eq!(passed().contradictions(&beside(&other)), []);
    assert!(!passed().counts(&beside(&other)));
    assert!(!passed().contradictions(&beside(SHA256)).is_empty());
}

/// A drill that failed because its backup lies repeats the lie: that is what it found.
#[test]
fn a_failed_proof_of_a_manifest_that_lies_contradicts_nothing() {
    let beside = Beside {
        at: AT,
        run: RUN,
        manifest: None,
        now: now(),
    };
    let mut proof = failed();
    proof.backup.data_at = time("2099-01-01T00:00:00Z");
    proof.rpo.as_mut().unwrap().seconds = 0.0;
    proof.rpo.as_mut().unwrap().met = Some(true);
    assert_eq!(proof.contradictions(&beside), []);
    assert!(!proof.counts(&beside));
}

/// What this version does not know yet is no contradiction, as long as it proves nothing.
#[test]
fn a_reason_of_a_later_version_may_stand_beside_anything_but_a_success() {
    let beside = Beside {
        at: "copies/elsewhere",
        run: RUN,
        manifest: None,
        now: now(),
    };
    let mut proof = failed();
    proof.reason = "SomethingElse".to_owned();
    assert_eq!(proof.contradictions(&beside), []);
    let mut proof = passed();
    proof.reason = "SomethingNew".to_owned();
    assert!(!proof.contradictions(&beside).is_empty());
}
