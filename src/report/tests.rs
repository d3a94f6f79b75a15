//! The reports as they read, for a drill that passed, one that failed and one that could not tell.

use rstest::rstest;

use super::*;

const PASSED: &str = include_str!("examples/passed.json");
const FAILED: &str = include_str!("examples/failed.json");
const INCONCLUSIVE: &str = include_str!("examples/inconclusive.json");

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
