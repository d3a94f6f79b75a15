//! The reports as they read: of a drill that passed, one that failed and one that could not tell; of a migration that was
//! applied, and of one that holds.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::api::MigrationRun;
use crate::api::migration_run::ApprovalMode;
use crate::manifest::Evidence;

const PASSED: &str = include_str!("examples/passed.json");
const FAILED: &str = include_str!("examples/failed.json");
const INCONCLUSIVE: &str = include_str!("examples/inconclusive.json");
const MIGRATION: &str = include_str!("examples/migration.json");
const EVIDENCE: &str = include_str!("examples/evidence.json");

fn proof(text: &str) -> Proof {
    Proof::parse(text.as_bytes()).unwrap()
}

fn source(proof: &Proof, standing: Standing) -> Source {
    Source {
        place: "s3://backups/prod".to_owned(),
        key: format!("{}/proofs/{}.json", proof.backup.prefix, proof.run),
        sha256: "5e".repeat(32),
        standing,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[rstest]
#[case::passed("passed", PASSED, Standing::AsDrilled)]
#[case::failed("failed", FAILED, Standing::Gone)]
#[case::inconclusive("inconclusive", INCONCLUSIVE, Standing::AsDrilled)]
fn a_drill_reads_well(#[case] name: &str, #[case] text: &str, #[case] standing: Standing) {
    let proof = proof(text);
    let page = drill(&proof, &source(&proof, standing));
    insta::assert_snapshot!(format!("{name}.md"), page.markdown());
    // The colours change more often than what is said.
    let html = page.html().replace(html::STYLE, "");
    insta::assert_snapshot!(format!("{name}.html"), html);
}

/// A directory of which the newest backup passed and then failed, and an older one passed.
fn drilled() -> Directory {
    let line = |text: &str, folder: &str, data_at: &str, finished_at: &str| {
        let mut proof = proof(text);
        proof.backup.data_at = at(data_at);
        proof.finished_at = at(finished_at);
        let folder = format!("shop.orders/{folder}");
        Line::of(&proof, &folder, Standing::AsDrilled)
    };
    let old = ("20261120T020000Z-0123456789ab", "2026-11-20T02:00:09Z");
    let new = ("20261121T020000Z-0123456789ab", "2026-11-21T02:00:09Z");
    Directory {
        name: "shop.orders".to_owned(),
        place: "s3://backups/prod".to_owned(),
        lines: vec![
            line(PASSED, new.0, new.1, "2026-11-21T08:00:00Z"),
            line(PASSED, old.0, old.1, "2026-11-20T08:00:00Z"),
            line(FAILED, new.0, new.1, "2026-11-22T08:00:00Z"),
            line(INCONCLUSIVE, old.0, old.1, "2026-11-23T08:00:00Z"),
        ],
        points: [
            "2026-11-21T02:00:09Z",
            "2026-11-20T02:00:09Z",
            "2026-11-16T02:00:00Z",
        ]
        .map(at)
        .to_vec(),
        damaged: vec![
            "shop.orders/20261119T020000Z-0123456789ab: dump.pgc.age is missing".to_owned(),
        ],
        unreadable: vec![],
        older: 2,
    }
}

#[test]
fn a_directory_reads_well_and_a_later_failure_takes_a_proof_back() {
    let page = directory(&drilled());
    insta::assert_snapshot!("directory.md", page.markdown());
    let html = page.html().replace(html::STYLE, "");
    insta::assert_snapshot!("directory.html", html);
}

#[rstest]
#[case::gone(Standing::Gone)]
#[case::changed(Standing::Changed)]
#[case::damaged(Standing::Damaged)]
fn what_no_longer_stands_is_not_the_newest_proven_recovery_point(#[case] standing: Standing) {
    let mut gone = drilled();
    for line in &mut gone.lines {
        line.standing = standing;
    }
    let text = directory(&gone).markdown();
    assert!(
        text.contains("| Newest proven recovery point | ✘ none |"),
        "{text}"
    );
}

#[test]
fn an_inconclusive_drill_claims_nothing_about_the_parts_of_the_score() {
    let proof = proof(INCONCLUSIVE);
    // Its document says that rows and content passed: nothing was compared.
    assert!(proof.parts.iter().any(|p| p.passed == Some(true)));
    let text = drill(&proof, &source(&proof, Standing::AsDrilled)).markdown();
    assert!(text.contains("There is no score"), "{text}");
    assert!(!text.contains("✔ yes"), "{text}");
}

#[test]
fn a_score_that_was_cut_says_so() {
    let mut proof = proof(FAILED);
    proof.score = Some(49);
    for part in &mut proof.parts {
        part.passed = Some(part.what != "schema");
    }
    let text = drill(&proof, &source(&proof, Standing::AsDrilled)).markdown();
    let wanted = "Here: 100 × 90 ÷ 105 = 85, cut to 49 because the drill failed.";
    assert!(text.contains(wanted), "{text}");
}

#[test]
fn a_migration_reads_well_with_every_statement_of_its_rehearsal() {
    let run: MigrationRun = serde_json::from_str(MIGRATION).unwrap();
    let seen: Evidence = serde_json::from_str(EVIDENCE).unwrap();
    let page = migration(&run, Some(&seen));
    insta::assert_snapshot!("migration.md", page.markdown());
    let html = page.html().replace(html::STYLE, "");
    insta::assert_snapshot!("migration.html", html);
}

#[test]
fn a_migration_that_holds_says_what_stands_and_what_to_do() {
    let mut run: serde_json::Value = serde_json::from_str(MIGRATION).unwrap();
    let why =
        "1 of 2 segments are applied; SQLSTATE 23505 in 20261122093000_orders_note.sql, line 3";
    let way = "1 of 2 segments are applied, nothing is half done. Restoring shop-20261122t0200z loses every write since 2026-11-22T02:00:09Z.";
    let status = &mut run["status"];
    for condition in status["conditions"].as_array_mut().unwrap() {
        let holds = ["Stalled", "Failed"].contains(&condition["type"].as_str().unwrap());
        condition["status"] = json!(if holds { "True" } else { "False" });
        condition["reason"] = json!("StatementFailed");
        condition["message"] = json!(why);
    }
    status["execution"] = json!({"applied": 1, "tries": 3, "begun": false, "unknown": false, "message": why, "differences": ["INDEX public.orders_created is missing"]});
    status["wayBack"] = json!(way);
    let run: MigrationRun = serde_json::from_value(run).unwrap();
    let text = migration(&run, None).markdown();
    insta::assert_snapshot!("migration-held.md", text);
    assert!(text.contains(way), "{text}");
    assert!(text.contains("Name the store with --from"), "{text}");
}

#[test]
fn a_migration_that_was_only_asked_for_claims_nothing() {
    let mut run: MigrationRun = serde_json::from_str(MIGRATION).unwrap();
    run.status = None;
    let text = migration(&run, None).markdown();
    for part in [
        "Under way",
        "It is not planned.",
        "No backup stands behind it yet.",
        "Nobody has approved.",
        "Nothing is applied.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('✔'), "{text}");
    // What is said of approvals is what the spec asks.
    for (mode, said) in [
        (ApprovalMode::Required, "Nobody has approved."),
        (ApprovalMode::None, "Nobody had to approve."),
    ] {
        run.spec.approval = Some(mode);
        let text = migration(&run, None).markdown();
        assert!(text.contains(said), "{mode:?}: {text}");
    }
}
