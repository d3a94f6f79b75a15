//! What files are told.

use rstest::rstest;

use super::*;

/// Whenever these tests run.
fn now() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

/// What a file's text is told, one line each.
fn told(text: &str) -> Vec<String> {
    let reports = validate_text(text, now()).unwrap();
    let findings = reports.into_iter().flat_map(|r| r.findings);
    findings
        .map(|f| format!("{}: {}", f.field, f.message))
        .collect()
}

/// Every example must pass once the reader's own key stands in it, and say so before.
#[test]
fn the_examples_are_valid() {
    const PLACEHOLDER: &str = "put-your-age-public-key-here";
    let key = age::x25519::Identity::generate().to_public().to_string();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Folders hold SQL.
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let found = told(&text.replace(PLACEHOLDER, &key));
        assert_eq!(found, Vec::<String>::new(), "{}", path.display());
        if text.contains(PLACEHOLDER) {
            let found = told(&text);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(
                "spec.encryption.recipients[0]: is not an age public key: write the line"
            ));
        }
        seen += validate_text(&text, now()).unwrap().len();
    }
    assert!(seen > 3);
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: lifeboat.dev/v1alpha1\nkind: BackupPolicy\nmetadata: {{name: p}}\nspec: {{database: {{secretRef: {{name: d}}}}, storeRef: {{name: s}}, {spec}}}\n"
    )
}

#[rstest]
#[case::nickname(
    "tiers: [{name: a, cron: '@daily'}]",
    "spec.tiers[0].cron: a cron has five fields"
)]
#[case::six("tiers: [{name: a, cron: '0 0 2 * * *'}]", "this one has 6")]
#[case::twins(
    "tiers: [{name: a, cron: 0 2 * * *}, {name: a, cron: 0 3 * * *}]",
    "spec.tiers[1].name: two tiers have the name `a`"
)]
#[case::zone(
    "timeZone: Mars Olympus",
    "spec.timeZone: `Mars Olympus` is no time zone"
)]
#[case::deadline("deadline: 0s", "spec.deadline: ")]
fn one_fault_is_told_once_in_the_operators_words(#[case] spec: &str, #[case] want: &str) {
    let found = told(&policy(spec));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains(want) && !found[0].contains("does not match"),
        "{found:?}"
    );
}

fn run_of(window: &str, file: &str) -> String {
    format!(
        "apiVersion: lifeboat.dev/v1alpha1\nkind: MigrationRun\nmetadata: {{name: r}}\nspec:\n  policyRef: {{name: p}}\n  drillRef: {{name: d}}\n  \
         credentials: {{secretRef: {{name: s}}}}\n  requestedBy: ada\n  target: {{version: '7'}}\n  window: {window}\n  \
         source: {{inline: [{{name: {file}, sql: SELECT 1}}]}}\n"
    )
}

#[rstest]
#[case::over(
    "{notAfter: '2026-11-21T01:59:59Z'}",
    "7_a.sql",
    "spec.window.notAfter: nothing begins after 2026-11-21T01:59:59Z"
)]
#[case::never_open(
    "{notAfter: '2026-11-21T03:00:00Z', weekly: {days: [Mon], from: '02:00', to: '03:00'}}",
    "7_a.sql",
    "spec.window.notAfter: "
)]
#[case::turned(
    "{notBefore: '2026-11-23T00:00:00Z', notAfter: '2026-11-22T00:00:00Z'}",
    "7_a.sql",
    "spec.window.notBefore: lies after notAfter"
)]
#[case::no_version(
    "{notAfter: '2026-11-22T00:00:00Z'}",
    "a.sql",
    "spec.source.inline: a.sql has no version"
)]
fn a_run_that_could_never_begin_is_a_finding(
    #[case] window: &str,
    #[case] file: &str,
    #[case] want: &str,
) {
    let found = told(&run_of(window, file));
    assert!(found.len() == 1 && found[0].starts_with(want), "{found:?}");
}

#[test]
fn a_run_that_may_begin_is_valid() {
    for window in [
        "{notAfter: '2026-11-22T00:00:00Z'}",
        "{notBefore: '2026-11-21T20:00:00Z', notAfter: '2026-11-22T00:00:00Z'}",
    ] {
        let found = told(&run_of(window, "7_a.sql"));
        assert_eq!(found, [""; 0]);
    }
}

#[test]
fn faults_in_different_fields_are_all_told() {
    let found = told(&policy(
        "timezone: UTC, deadline: soon, tiers: [{name: a, cron: '@daily'}]",
    ));
    assert_eq!(found.len(), 3, "{found:?}");
}

#[rstest]
#[case::twice("a: 1\na: 2\n", "duplicate mapping key `a`")]
#[case::open("a: [1,\n", "line")]
fn what_is_not_yaml_is_told_in_one_line_with_its_place(#[case] text: &str, #[case] want: &str) {
    let error = validate_text(text, now()).unwrap_err().to_string();
    assert!(error.contains(want) && error.contains("line"), "{error}");
    assert!(
        !error.contains('\n') && !error.contains("Policy"),
        "{error}"
    );
}

#[test]
fn an_object_without_any_name_is_told_once() {
    let object = serde_json::json!({
        "apiVersion": "lifeboat.dev/v1alpha1",
        "kind": "Backup",
        "metadata": {},
        "spec": {"policyRef": {"name": "shop"}}
    });
    let fields: Vec<String> = validate_object(&object, now())
        .unwrap()
        .findings
        .into_iter()
        .map(|f| f.field)
        .collect();
    assert_eq!(fields, ["metadata.name"]);
}
