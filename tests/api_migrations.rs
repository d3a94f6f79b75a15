//! MigrationRuns and their approvals on a real API server: what it refuses, and to whom.
//!
//! Needs: servers
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "support/apiserver.rs"]
mod apiserver;
#[path = "support/migrators.rs"]
mod migrators;

use apiserver::shared;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use lifeboat::cluster::admission::{SHIPPED, as_shipped};
use migrators::{ROBOT, approval_yaml, create, namespace, refused, run_yaml};
use rstest::rstest;

/// The rules of the CRD fit into the API server's budget, or there would be no CRD.
#[test]
fn the_crds_are_served_and_a_run_says_its_status_before_the_first_look() {
    let namespace = namespace("runs-served");
    let whole = "history: {baseline: '1', adapter: Supabase}
  lint: {acknowledge: [{rule: LB202, object: public.orders, reason: looked at}]}
  gate: {maxAge: 6h}
  checks: {pre: [{name: a, sql: select true}], post: [{name: b, sql: select count(*) from t, maxDriftPercent: 5}]}
  execution: {role: owner, searchPath: [public], lockTimeout: 500ms, tries: 3}
  replicas: Unchecked
  approval: None
  direction: Up";
    create(&namespace, "ada", &run_yaml("whole", "ada", whole)).unwrap();
    let path = "jsonpath={.status.observedGeneration}";
    let seen = shared().kubectl(&["-n", &namespace, "get", "lbm/whole", "-o", path]);
    assert_eq!(seen, "-1", "K30");
    for crd in ["migrationruns", "migrationapprovals"] {
        let path = "jsonpath={.status.conditions[?(@.type=='NonStructuralSchema')].message}";
        let crd = format!("crd/{crd}.lifeboat.dev");
        assert_eq!(shared().kubectl(&["get", &crd, "-o", path]), "");
    }
}

#[test]
fn m12_a_run_cannot_change_but_for_suspend() {
    let namespace = namespace("runs-fixed");
    create(
        &namespace,
        "ada",
        &run_yaml("fixed", "ada", "gate: {maxAge: 6h}"),
    )
    .unwrap();
    let patch = |patch: &str| {
        let args = [
            "-n",
            &namespace,
            "patch",
            "lbm/fixed",
            "--type=merge",
            "-p",
            patch,
        ];
        shared().try_kubectl(&args, "")
    };
    for change in [
        r#"{"spec": {"target": {"version": "8"}}}"#,
        r#"{"spec": {"requestedBy": "grace"}}"#,
        r#"{"spec": {"approval": "None"}}"#,
        r#"{"spec": {"gate": null}}"#,
        r#"{"spec": {"gate": {"maxAge": "7h"}}}"#,
        r#"{"spec": {"window": {"notAfter": "2099-12-02T00:00:00Z"}}}"#,
        r#"{"spec": {"checks": {"pre": [{"name": "a", "sql": "select 1"}]}}}"#,
        r#"{"spec": {"source": {"configMapRef": {"name": "other"}}}}"#,
        r#"{"spec": {"execution": {"role": "postgres"}}}"#,
    ] {
        let text = patch(change).unwrap_err();
        assert!(
            text.contains("cannot change but for suspend"),
            "{change}: {text}"
        );
    }
    patch(r#"{"spec": {"suspend": true}}"#).unwrap();
    patch(r#"{"spec": {"suspend": false}}"#).unwrap();
    patch(r#"{"spec": {"suspend": null}}"#).unwrap();
    patch(r#"{"metadata": {"labels": {"a": "b"}}}"#).unwrap();
}

#[test]
fn a_window_between_two_times_is_taken() {
    let window = "  window: {notBefore: '2099-11-30T00:00:00Z', notAfter: '2099-12-01T00:00:00Z'}";
    let good = run_yaml("between", "admin", "");
    let lines = good.lines().map(|line| match line.trim_start() {
        l if l.starts_with("window:") => window,
        _ => line,
    });
    let yaml: Vec<&str> = lines.collect();
    assert!(yaml.contains(&window));
    create("default", "admin", &yaml.join("\n")).unwrap();
}

#[rstest]
#[case::source("source: {}", "exactly one of configMapRef and inline")]
#[case::both(
    "source: {configMapRef: {name: a}, inline: [{name: 1_a.sql, sql: select 1}]}",
    "exactly one of configMapRef and inline"
)]
#[case::twice(
    "source: {inline: [{name: 1_a.sql, sql: a}, {name: 1_a.sql, sql: b}]}",
    "two files have one name"
)]
#[case::window(
    "window: {notBefore: '2099-12-02T00:00:00Z', notAfter: '2099-12-01T00:00:00Z'}",
    "notBefore lies after notAfter"
)]
#[case::hours(
    "window: {notAfter: '2099-12-01T00:00:00Z', weekly: {days: [Mon], from: '02:00', to: '02:00'}}",
    "same time"
)]
#[case::day(
    "window: {notAfter: '2099-12-01T00:00:00Z', weekly: {days: [Monday], from: '02:00', to: '03:00'}}",
    "days"
)]
#[case::for_ever("window: {}", "notAfter")]
#[case::check("checks: {pre: [{name: a}]}", "write sql or index")]
#[case::drift(
    "checks: {pre: [{name: a, sql: select 1, maxDriftPercent: 5}]}",
    "that compares with before"
)]
#[case::lint(
    "lint: {acknowledge: [{rule: LB202, reason: fine}]}",
    "name the object or the file"
)]
#[case::unknown("gate: {pinned: 7d}", "unknown field")]
fn bad_input_is_refused_at_apply(#[case] rest: &str, #[case] message: &str) {
    let (key, _) = rest.split_once(':').unwrap();
    let good = run_yaml("bad", "admin", "");
    let lines: Vec<&str> = good
        .lines()
        .filter(|line| !line.trim_start().starts_with(&format!("{key}:")))
        .collect();
    let yaml = format!("{}\n  {rest}\n", lines.join("\n"));
    let text = create("default", "admin", &yaml).unwrap_err();
    assert!(text.contains(message), "{text}");
}

#[test]
fn k35_who_asks_and_who_approves_is_who_sends_it() {
    let namespace = namespace("runs-names");
    let forged = run_yaml("forged", "grace", "");
    refused(
        &namespace,
        "ada",
        &forged,
        "spec.requestedBy: write your own name",
    );
    create(&namespace, "ada", &run_yaml("mine", "ada", "")).unwrap();
    let forged = approval_yaml("forged", "mine", "u", "linus");
    refused(
        &namespace,
        "grace",
        &forged,
        "spec.approver: write your own name",
    );
    let robot = approval_yaml("robot", "mine", "u", ROBOT);
    refused(
        &namespace,
        ROBOT,
        &robot,
        "a ServiceAccount may not approve",
    );
    let own = approval_yaml("own", "mine", "u", "ada");
    let text = create(&namespace, "ada", &own).unwrap_err();
    assert!(text.contains("cannot create resource"), "{text}");
    // Who may create approvals alone may not approve yet.
    let args = [
        "-n",
        &namespace,
        "create",
        "role",
        "writer",
        "--verb=create",
        "--resource=migrationapprovals.lifeboat.dev",
    ];
    shared().kubectl(&args);
    let args = [
        "-n",
        &namespace,
        "create",
        "rolebinding",
        "writer",
        "--role=writer",
        "--user=linus",
    ];
    shared().kubectl(&args);
    let linus = approval_yaml("linus", "mine", "u", "linus");
    refused(&namespace, "linus", &linus, "the verb `approve`");
    // Who asked, though he may approve others' runs.
    let own = approval_yaml("own", "mine", "u", "grace")
        .replace("requestedBy: ada", "requestedBy: grace");
    let text = create(&namespace, "grace", &own).unwrap_err();
    assert!(text.contains("may not approve it"), "{text}");
    create(
        &namespace,
        "grace",
        &approval_yaml("good", "mine", "u", "grace"),
    )
    .unwrap();
    let args = [
        "-n",
        &namespace,
        "patch",
        "lba/good",
        "--type=merge",
        "-p",
        r#"{"spec": {"expires": "2099-01-01T00:00:00Z"}}"#,
    ];
    let text = shared().try_kubectl(&args, "").unwrap_err();
    assert!(text.contains("cannot change"), "{text}");
}

#[test]
fn k35_a_backup_before_a_migration_is_the_operators_alone() {
    let yaml = "apiVersion: lifeboat.dev/v1alpha1
kind: Backup
metadata: {name: forged}
spec: {policyRef: {name: orders}, reason: PreMigration}
";
    refused("default", "admin", yaml, "only the operator creates");
}

/// The constants that the operator compares with are what the chart ships, as the API server serves it.
#[test]
fn k36_what_is_weaker_than_shipped_is_told() {
    for shipped in &SHIPPED {
        let name = format!("lifeboat-{}", shipped.resource);
        let get = |kind: &str| shared().kubectl(&["get", kind, &name, "-o", "json"]);
        let policy: ValidatingAdmissionPolicy =
            serde_json::from_str(&get("validatingadmissionpolicy")).unwrap();
        let binding: ValidatingAdmissionPolicyBinding =
            serde_json::from_str(&get("validatingadmissionpolicybinding")).unwrap();
        assert_eq!(as_shipped(shipped, &name, &policy, &binding), Ok(()));
        let weaker =
            |change: fn(&mut ValidatingAdmissionPolicy, &mut ValidatingAdmissionPolicyBinding)| {
                let (mut policy, mut binding) = (policy.clone(), binding.clone());
                change(&mut policy, &mut binding);
                assert!(as_shipped(shipped, &name, &policy, &binding).is_err());
            };
        weaker(|p, _| p.spec.as_mut().unwrap().failure_policy = Some("Ignore".to_owned()));
        weaker(|p, _| drop(p.spec.as_mut().unwrap().validations.as_mut().unwrap().pop()));
        weaker(|p, _| {
            p.spec.as_mut().unwrap().validations.as_mut().unwrap()[0].expression = "true".to_owned()
        });
        weaker(|p, _| p.spec.as_mut().unwrap().match_constraints = None);
        weaker(|p, _| {
            let matched = p.spec.as_mut().unwrap().match_constraints.as_mut().unwrap();
            matched.exclude_resource_rules = matched.resource_rules.clone();
        });
        weaker(|p, _| {
            let matched = p.spec.as_mut().unwrap().match_constraints.as_mut().unwrap();
            let selector = matched.namespace_selector.get_or_insert_default();
            selector.match_labels = Some([("a".to_owned(), "b".to_owned())].into());
        });
        weaker(|p, _| {
            let conditions = p
                .spec
                .as_mut()
                .unwrap()
                .match_conditions
                .get_or_insert_default();
            conditions.push(Default::default());
        });
        weaker(|_, b| b.spec.as_mut().unwrap().validation_actions = Some(vec!["Audit".to_owned()]));
        weaker(|_, b| b.spec.as_mut().unwrap().policy_name = Some("other".to_owned()));
        weaker(|_, b| b.spec.as_mut().unwrap().match_resources = Some(Default::default()));
    }
}
