//! The CRDs as they stand in `crds/` (K30, K31, K32), and their rules, without a cluster.
//!
//! `UPDATE=1 cargo test --test crds` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

use std::path::{Path, PathBuf};

use kube::core::cel::Validator;
use lifeboat::api::crds;
use rstest::rstest;
use serde_json::Value;

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The CRDs as JSON, by kind.
fn generated() -> Vec<(String, Value)> {
    crds()
        .into_iter()
        .map(|(_, crd)| {
            let value = serde_json::to_value(&crd).unwrap();
            (crd.spec.names.kind, value)
        })
        .collect()
}

fn schema(crd: &Value) -> &Value {
    &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

fn schema_of(kind: &str) -> Value {
    let all = generated();
    let (_, crd) = all.iter().find(|(name, _)| name == kind).unwrap();
    schema(crd).clone()
}

/// Types of Kubernetes itself, whose fields are its own affair.
fn is_foreign(path: &str) -> bool {
    [
        ".affinity",
        ".tolerations[]",
        ".resources",
        ".conditions[]",
        ".metadata",
    ]
    .iter()
    .any(|end| path.ends_with(end))
}

/// Calls `look` on every schema of ours with its path.
fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    if is_foreign(path) {
        return;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, look);
    }
    if schema["items"].is_object() {
        walk(&format!("{path}[]"), &schema["items"], look);
    }
    if schema["additionalProperties"].is_object() {
        walk(
            &format!("{path}{{}}"),
            &schema["additionalProperties"],
            look,
        );
    }
}

/// Every schema of ours in every kind for which `wrong` says something.
fn all_wrong(wrong: impl Fn(&str, &Value) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, crd) in generated() {
        walk(&kind, schema(&crd), &mut |path, schema| {
            found.extend(wrong(path, schema).map(|what| format!("{path}: {what}")));
        });
    }
    found
}

#[test]
fn the_files_are_what_the_types_say() {
    for (file, crd) in crds() {
        let rendered = lifeboat::cli::crd::render(&crd).unwrap();
        for folder in ["crds", "charts/lifeboat/files/crds"] {
            let path = top().join(folder).join(file);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &rendered).unwrap();
            }
            // Not `assert_eq!`, which would print both whole.
            assert!(
                read(&path) == rendered,
                "{} is not what the types say; UPDATE=1 cargo test --test crds writes it anew",
                path.display()
            );
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_field_is_described() {
    let found = all_wrong(|path, schema| {
        let inner = path.ends_with("[]") || path.ends_with("{}") || !path.contains('.');
        let kubernetes =
            path.ends_with(".metadata") || path.ends_with(".spec") || path.ends_with(".status");
        let text = schema["description"].as_str().unwrap_or_default();
        (text.len() < 8 && !inner && !kubernetes).then(|| format!("description {text:?}"))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn k31_every_string_list_and_map_has_a_maximum() {
    let found = all_wrong(|path, schema| {
        if is_foreign(path) {
            return None;
        }
        let has = |key: &str| schema[key].is_number();
        match schema["type"].as_str()? {
            "string" => {
                let closed = schema["enum"].is_array() || schema["format"] == "date-time";
                let of_map = path.ends_with("{}");
                (!closed && !of_map && !has("maxLength")).then(|| "no maxLength".to_owned())
            }
            "array" => (!has("maxItems")).then(|| "no maxItems".to_owned()),
            "object" if schema["additionalProperties"].is_object() => {
                (!has("maxProperties")).then(|| "no maxProperties".to_owned())
            }
            _ => None,
        }
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn k31_no_default_stands_inside_a_list_or_map() {
    let found = all_wrong(|path, schema| {
        let inside = path.contains("[]") || path.contains("{}");
        (inside && !schema["default"].is_null()).then(|| "default".to_owned())
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_format_is_unsigned() {
    for (kind, crd) in generated() {
        let text = crd.to_string();
        assert!(!text.contains("\"uint"), "{kind} has an unsigned format");
    }
}

#[test]
fn k30_status_is_a_subresource_and_its_generation_begins_at_minus_one() {
    for (kind, crd) in generated() {
        if kind == "MigrationApproval" {
            let status = &schema(&crd)["properties"]["status"];
            assert!(status.is_null(), "it is a word, and nothing becomes of it");
            continue;
        }
        assert!(
            crd["spec"]["versions"][0]["subresources"]["status"].is_object(),
            "{kind}"
        );
        let status = &schema(&crd)["properties"]["status"];
        assert_eq!(status["default"]["observedGeneration"], -1, "{kind}");
    }
}

#[rstest]
#[case("BackupStore", "backupstores", "lbs")]
#[case("BackupPolicy", "backuppolicies", "lbp")]
#[case("Backup", "backups", "lbb")]
#[case("RestoreDrill", "restoredrills", "lbd")]
#[case("MigrationRun", "migrationruns", "lbm")]
#[case("MigrationApproval", "migrationapprovals", "lba")]
fn k31_names_are_short_and_in_one_category(
    #[case] kind: &str,
    #[case] plural: &str,
    #[case] short: &str,
) {
    let all = generated();
    let (_, crd) = all.iter().find(|(name, _)| name == kind).unwrap();
    let names = &crd["spec"]["names"];
    assert_eq!(names["plural"], plural);
    assert_eq!(names["shortNames"], serde_json::json!([short]));
    assert_eq!(names["categories"], serde_json::json!(["lifeboat"]));
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    let columns = &crd["spec"]["versions"][0]["additionalPrinterColumns"];
    assert!(
        columns
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["name"] == "Reason" || c["name"] == "Approver")
    );
}

fn object(kind: &str, spec: &str) -> Value {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    serde_json::json!({
        "apiVersion": "lifeboat.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "shop"},
        "spec": spec,
    })
}

const STORE: &str = "{s3: {bucket: backups, prefix: a}, credentials: {writer: {secretRef: {name: w}}}, encryption: {recipients: [age17elg29sfl4nawfd6vc7d7wem6ld0nazfchu8d2v6edmfyv459pvsttejuv]}}";
const POLICY: &str = "{database: {secretRef: {name: d}}, storeRef: {name: s}, directory: shop.orders, tiers: [{name: daily, cron: 0 2 * * *}]}";
const BACKUP: &str = "{policyRef: {name: p}}";
const DRILL: &str = "{policyRef: {name: p}, schedule: {cron: 0 3 * * SUN, timeZone: UTC}, select: {tier: daily, pick: Random}, identityRef: {name: k}, mode: Disaster, applicationRole: app, checks: [{name: a, sql: select true}], compare: {content: Sample, samplePercent: 10}, postgres: {parameters: {work_mem: 64MB}, locales: [es_CL.UTF-8, de_DE@euro], storage: {size: 50Gi}}}";
const RUN: &str = "{policyRef: {name: p}, drillRef: {name: d}, credentials: {secretRef: {name: s}}, requestedBy: ada, source: {configMapRef: {name: f}}, target: {version: '7'}, window: {notAfter: '2026-12-01T00:00:00Z'}}";
const APPROVAL: &str = "{runRef: {name: r}, runUid: u, planHash: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, evidenceHash: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, approver: grace, requestedBy: ada, expires: '2026-12-01T00:00:00Z'}";

#[rstest]
#[case("BackupStore", STORE)]
#[case(
    "BackupStore",
    "{s3: {bucket: backups}, credentials: {writer: {secretRef: {name: w}}}, encryption: {mode: None}}"
)]
#[case("BackupPolicy", POLICY)]
#[case(
    "BackupPolicy",
    "{database: {secretRef: {name: d}}, storeRef: {name: s}, objectives: {rpo: 6h}, alerts: {backupAge: {warning: 8h}, failurePercent: {warning: 10, critical: 10}}}"
)]
#[case("Backup", BACKUP)]
#[case("RestoreDrill", DRILL)]
#[case("RestoreDrill", BACKUP)]
#[case("MigrationRun", RUN)]
#[case("MigrationApproval", APPROVAL)]
fn what_is_right_is_accepted(#[case] kind: &str, #[case] spec: &str) {
    Validator::new()
        .validate(&schema_of(kind), &object(kind, spec), None)
        .unwrap();
}

#[rstest]
#[case(
    "BackupStore",
    "{s3: {bucket: b}, credentials: {writer: {secretRef: {name: w}}}, encryption: {recipients: []}}",
    "recipients: name at least one age public key"
)]
#[case(
    "BackupStore",
    "{s3: {bucket: b}, credentials: {writer: {secretRef: {name: w}}}, encryption: {mode: None, recipients: [age17elg29sfl4nawfd6vc7d7wem6ld0nazfchu8d2v6edmfyv459pvsttejuv]}}",
    "recipients: name at least one age public key"
)]
#[case(
    "BackupStore",
    "{s3: {bucket: b, ca: {}}, credentials: {writer: {secretRef: {name: w}}}, encryption: {mode: None}}",
    "exactly one of secretKeyRef and configMapKeyRef"
)]
#[case(
    "BackupPolicy",
    "{database: {secretRef: {name: d}}, storeRef: {name: s}, tiers: [{name: a, cron: 0 2 * * *}, {name: a, cron: 0 3 * * *}]}",
    "two tiers have one name"
)]
#[case(
    "BackupPolicy",
    "{database: {secretRef: {name: d}}, storeRef: {name: s}, alerts: {failurePercent: {warning: 20, critical: 10}}}",
    "warning is above critical"
)]
#[case(
    "BackupPolicy",
    "{database: {secretRef: {name: d}}, storeRef: {name: s}, template: {labels: {lifeboat.dev/task: x}}}",
    "use a prefix of yours"
)]
#[case(
    "BackupPolicy",
    "{database: {secretRef: {name: d}}, storeRef: {name: s}, template: {annotations: {batch.kubernetes.io/job-name: x}}}",
    "use a prefix of yours"
)]
#[case(
    "RestoreDrill",
    "{policyRef: {name: p}, schedule: {cron: '@daily'}}",
    "a cron has five fields"
)]
#[case(
    "RestoreDrill",
    "{policyRef: {name: p}, select: {backup: b, tier: daily}}",
    "backup names one backup"
)]
#[case(
    "RestoreDrill",
    "{policyRef: {name: p}, applicationRole: app}",
    "applicationRole is for mode Disaster"
)]
#[case(
    "MigrationApproval",
    "{runRef: {name: r}, runUid: u, planHash: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, evidenceHash: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, approver: ada, requestedBy: ada, expires: '2026-12-01T00:00:00Z'}",
    "may not approve it"
)]
#[case(
    "RestoreDrill",
    "{policyRef: {name: p}, mode: Verify, applicationRole: app}",
    "applicationRole is for mode Disaster"
)]
#[case(
    "RestoreDrill",
    "{policyRef: {name: p}, checks: [{name: a, sql: select 1}, {name: a, sql: select 2}]}",
    "two checks have one name"
)]
#[case(
    "RestoreDrill",
    "{policyRef: {name: p}, postgres: {parameters: {Work Mem: 1MB}}}",
    "a parameter is a name like work_mem"
)]
#[case(
    "RestoreDrill",
    "{policyRef: {name: p}, compare: {content: Sample}}",
    "needs samplePercent"
)]
#[case(
    "RestoreDrill",
    "{policyRef: {name: p}, compare: {samplePercent: 10}}",
    "needs samplePercent"
)]
fn what_is_wrong_is_refused_with_the_fix(
    #[case] kind: &str,
    #[case] spec: &str,
    #[case] message: &str,
) {
    let refused = Validator::new()
        .validate(&schema_of(kind), &object(kind, spec), None)
        .unwrap_err();
    assert!(refused.to_string().contains(message), "{refused}");
}

#[rstest]
#[case(
    "BackupStore",
    STORE,
    "{s3: {bucket: other, prefix: a}, credentials: {writer: {secretRef: {name: w}}}, encryption: {recipients: [age17elg29sfl4nawfd6vc7d7wem6ld0nazfchu8d2v6edmfyv459pvsttejuv]}}"
)]
#[case(
    "BackupStore",
    STORE,
    "{s3: {bucket: backups}, credentials: {writer: {secretRef: {name: w}}}, encryption: {recipients: [age17elg29sfl4nawfd6vc7d7wem6ld0nazfchu8d2v6edmfyv459pvsttejuv]}}"
)]
#[case(
    "BackupStore",
    STORE,
    "{s3: {bucket: backups, prefix: a, endpoint: 'https://x'}, credentials: {writer: {secretRef: {name: w}}}, encryption: {recipients: [age17elg29sfl4nawfd6vc7d7wem6ld0nazfchu8d2v6edmfyv459pvsttejuv]}}"
)]
#[case(
    "BackupPolicy",
    POLICY,
    "{database: {secretRef: {name: d}}, storeRef: {name: s}, directory: other}"
)]
#[case(
    "BackupPolicy",
    POLICY,
    "{database: {secretRef: {name: d}}, storeRef: {name: s}}"
)]
#[case("Backup", BACKUP, "{policyRef: {name: other}}")]
#[case(
    "MigrationApproval",
    APPROVAL,
    "{runRef: {name: r}, runUid: u, planHash: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, evidenceHash: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, approver: linus, requestedBy: ada, expires: '2026-12-01T00:00:00Z'}"
)]
fn k31_where_backups_lie_cannot_change(#[case] kind: &str, #[case] old: &str, #[case] new: &str) {
    let (schema, old, new) = (schema_of(kind), object(kind, old), object(kind, new));
    Validator::new()
        .validate(&schema, &old, Some(&old))
        .unwrap();
    let refused = Validator::new()
        .validate(&schema, &new, Some(&old))
        .unwrap_err();
    assert!(refused.to_string().contains("cannot change"), "{refused}");
}

#[test]
fn a_backup_is_pinned_and_unpinned_at_any_time() {
    let schema = schema_of("Backup");
    let plain = object("Backup", BACKUP);
    let pinned = object("Backup", "{policyRef: {name: p}, pin: true}");
    for (new, old) in [(&pinned, &plain), (&plain, &pinned)] {
        Validator::new().validate(&schema, new, Some(old)).unwrap();
    }
}

/// Which fields there are is read from the schema: one that comes later must not be forgotten in the rule.
#[rstest]
#[case("MigrationRun", "suspend")]
#[case("Backup", "pin")]
fn m12_k31_every_field_but_one_is_fixed(#[case] kind: &str, #[case] free: &str) {
    let schema = schema_of(kind);
    let spec = &schema["properties"]["spec"];
    let rule = spec["x-kubernetes-validations"][0]["rule"]
        .as_str()
        .unwrap();
    for field in spec["properties"].as_object().unwrap().keys() {
        let fixed = rule.contains(&format!("self.{field} == oldSelf.{field}"));
        assert_eq!(fixed, field != free, "{field}");
    }
}

#[test]
fn what_is_wrong_with_a_policy_has_its_place() {
    let schema = schema_of("BackupPolicy");
    let status = &schema["properties"]["status"]["properties"];
    assert_eq!(status["alerts"]["maxItems"], 20);
    let alert = &status["alerts"]["items"]["properties"];
    let severities = serde_json::json!(["Warning", "Critical"]);
    assert_eq!(alert["severity"]["enum"], severities);
    let proven = serde_json::json!(["backup", "dataAt", "provenAt", "run"]);
    assert_eq!(status["lastProven"]["required"], proven);
    assert_eq!(status["recoveryPoint"]["format"], "date-time");
    let spec = &schema["properties"]["spec"]["properties"];
    let thresholds = spec["alerts"]["properties"].as_object().unwrap();
    assert_eq!(thresholds.len(), 6, "a threshold is an API");
    for (name, threshold) in thresholds {
        assert_eq!(threshold["required"], Value::Null, "{name}");
        let halves: Vec<&String> = threshold["properties"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(halves, ["critical", "warning"], "{name}");
    }
}
