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
