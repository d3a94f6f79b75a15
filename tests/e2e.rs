//! Needs: cluster
//!
//! The stories, on the real cluster with the real image, installed by Helm. The demo is the first
//! of them; its servers (a database with TLS, a bucket) serve the others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/demo.rs"]
mod demo;
#[path = "e2e/drill_places.rs"]
mod drill_places;
#[path = "e2e/drills.rs"]
mod drills;
#[path = "e2e/lives.rs"]
mod lives;
#[path = "support/looks.rs"]
mod looks;
#[path = "e2e/mended.rs"]
mod mended;
#[path = "e2e/migration_back.rs"]
mod migration_back;
#[path = "e2e/migration_faults.rs"]
mod migration_faults;
#[path = "e2e/migration_gates.rs"]
mod migration_gates;
#[path = "e2e/migration_queue.rs"]
mod migration_queue;
#[path = "e2e/migrations.rs"]
mod migrations;
#[path = "e2e/migrators.rs"]
mod migrators;

use std::time::Duration;

use cluster::{Story, condition};

// Bounds for what never comes. No test asserts a time, and one machine is three times as slow as another.
const SOON: Duration = Duration::from_secs(240);
const A_RUN: Duration = Duration::from_secs(600);

const STORE: &str = "
apiVersion: lifeboat.dev/v1alpha1
kind: BackupStore
metadata: {name: primary}
spec:
  s3: {bucket: backups, prefix: PREFIX, endpoint: 'http://minio.demo.svc:9000', addressing: Path}
  credentials: {writer: {secretRef: {name: s3-writer}}}
  encryption: {mode: None}
";

const POLICY: &str = "
apiVersion: lifeboat.dev/v1alpha1
kind: BackupPolicy
metadata: {name: NAME}
spec:
  database:
    secretRef: {name: SECRET}
    tls: {ca: {secretKeyRef: {name: CA, key: ca.crt}}}
  storeRef: {name: primary}
  deadline: 10m
";

fn store(story: &Story) {
    story.copy_secret("s3-writer", "s3-writer", &[]);
    story.apply(&STORE.replace("PREFIX", &story.namespace));
}

fn policy(story: &Story, name: &str, secret: &str, ca: &str) {
    story.apply(
        &POLICY
            .replace("NAME", name)
            .replace("SECRET", secret)
            .replace("CA,", &format!("{ca},")),
    );
}

/// The demo story of the README: scheduled backup, then a restore with stock tools that compares equal.
#[test]
fn a_newcomer_sees_a_scheduled_backup_that_stock_tools_restore() {
    let text = demo::printed(None);
    assert!(text.contains("is complete"), "{text}");
    assert!(text.contains("restored and equal"), "{text}");
    assert!(
        text.contains("in batches of 50000 by id: UPDATE flights"),
        "{text}"
    );
    for object in [
        "dump.pgc.age",
        "globals.sql.zst.age",
        "contents.json.zst.age",
        "manifest.json",
    ] {
        assert!(
            text.contains(object),
            "{object} is not in the bucket's listing:\n{text}"
        );
    }
}

/// Name of the policy, the reason it ends in, and what its Secret has else.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, Option<&'a str>)]);

/// K6, K37, issue A1 §4: each has its own reason, from the worker, and none holds a credential.
#[test]
fn each_way_not_to_reach_a_database_has_its_own_reason() {
    demo::installed();
    let story = Story::begin("database-reasons");
    store(&story);
    story.copy_secret("flights-ca", "ca", &[]);
    story.copy_secret("flights-db", "good", &[]);
    let canary = "canary-7f1e";
    let address = story.plain(&[
        "-n",
        "demo",
        "get",
        "pod",
        "flights-db-0",
        "-o",
        "jsonpath={.status.podIP}",
    ]);
    let rows: &[Row<'_>] = &[
        ("no-password-key", "KeyMissing", &[("host", None)]),
        (
            "wrong-password",
            "AuthenticationFailed",
            &[("password", Some(canary))],
        ),
        (
            "unknown-database",
            "DatabaseNotFound",
            &[("dbname", Some("nosuch"))],
        ),
        (
            "unknown-host",
            "HostNotFound",
            &[("host", Some("nosuch.demo.svc"))],
        ),
        (
            "closed-port",
            "ConnectionRefused",
            // The pod's own address: a Service drops what comes to a port it does not have.
            &[("host", Some(&address)), ("port", Some("5433"))],
        ),
        (
            "wrong-name",
            "HostnameMismatch",
            &[("host", Some(&address))],
        ),
    ];
    policy(&story, "no-secret", "nosuch", "ca");
    for (name, _, change) in rows {
        story.copy_secret("flights-db", name, change);
        policy(&story, name, name, "ca");
    }
    story.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: other-ca}\nstringData: {ca.crt: ''}\n",
    );
    story.await_condition(
        "backuppolicies.lifeboat.dev",
        "no-secret",
        "Ready",
        "False",
        "SecretMissing",
        A_RUN,
    );
    for (name, reason, _) in rows {
        let object = story.await_condition(
            "backuppolicies.lifeboat.dev",
            name,
            "Ready",
            "False",
            reason,
            A_RUN,
        );
        assert!(
            !object["status"].to_string().contains(canary),
            "a credential in the status of {name}"
        );
    }
    let events = story.kubectl(&["get", "events", "-o", "json"]);
    assert!(!events.contains(canary), "a credential in an Event");
    story.end();
}

/// K21: nobody watches Secrets; the annotation says "I fixed it, go on".
#[test]
fn what_a_person_mended_goes_on_without_a_restart() {
    demo::installed();
    let story = Story::begin("mended");
    store(&story);
    story.copy_secret("flights-ca", "ca", &[]);
    policy(&story, "shop", "shop-db", "ca");
    story.await_condition(
        "backuppolicies.lifeboat.dev",
        "shop",
        "Ready",
        "False",
        "SecretMissing",
        A_RUN,
    );
    story.copy_secret("flights-db", "shop-db", &[]);
    story.kubectl(&[
        "annotate",
        "backuppolicies.lifeboat.dev",
        "shop",
        "lifeboat.dev/requestedAt=now",
    ]);
    let object = story.await_condition(
        "backuppolicies.lifeboat.dev",
        "shop",
        "Ready",
        "True",
        "",
        A_RUN,
    );
    assert_eq!(object["status"]["database"]["major"], 17, "{object}");
    assert_eq!(story.kstatus(&object), "Current", "{object}");
    story.end();
}

/// A manual Backup, in a namespace with a Service that would inject LIFEBOAT_* (K8), of a policy
/// with a name of 253 characters (K26).
#[test]
fn a_manual_backup_completes_under_names_nobody_should_use() {
    demo::installed();
    let story = Story::begin("names");
    story.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: lifeboat}\nspec: {ports: [{port: 80}]}\n",
    );
    store(&story);
    story.copy_secret("flights-ca", "ca", &[]);
    story.copy_secret("flights-db", "db", &[]);
    let name = "p".repeat(253);
    let name = name.as_str();
    policy(&story, name, "db", "ca");
    let by_hand = "b".repeat(253);
    story.apply(&format!("apiVersion: lifeboat.dev/v1alpha1\nkind: Backup\nmetadata: {{name: {by_hand}}}\nspec: {{policyRef: {{name: {name}}}}}\n"));
    let object = story.await_condition(
        "backups.lifeboat.dev",
        &by_hand,
        "Complete",
        "True",
        "",
        A_RUN,
    );
    assert_eq!(story.kstatus(&object), "Current", "{object}");
    assert!(
        object["status"]["rows"].as_i64().unwrap_or_default() > 336_776,
        "{object}"
    );
    story.end();
}

/// The store's reason stands on store and Backup, and mending it recovers the policy.
#[test]
fn a_missing_bucket_is_told_on_the_store_and_on_the_backup() {
    demo::installed();
    let story = Story::begin("bucket");
    story.copy_secret("s3-writer", "s3-writer", &[]);
    story.apply(
        &STORE
            .replace("bucket: backups", "bucket: nosuch")
            .replace("PREFIX", "x"),
    );
    story.copy_secret("flights-ca", "ca", &[]);
    story.copy_secret("flights-db", "db", &[]);
    policy(&story, "shop", "db", "ca");
    story.await_condition(
        "backupstores.lifeboat.dev",
        "primary",
        "Ready",
        "False",
        "BucketNotFound",
        A_RUN,
    );
    story.apply("apiVersion: lifeboat.dev/v1alpha1\nkind: Backup\nmetadata: {name: by-hand}\nspec: {policyRef: {name: shop}}\n");
    let object = story.await_object("backups.lifeboat.dev", "by-hand", "a reason", A_RUN, |o| {
        o["status"].to_string().contains("BucketNotFound")
    });
    assert!(condition(&object, "Complete").is_none_or(|c| c["status"] != "True"));
    story.end();
}

/// Bad specs are refused at apply where CEL can, else stalled with the field's path (issue A1 §4).
#[test]
fn a_spec_that_cannot_work_is_refused_or_stalled_with_its_field() {
    demo::installed();
    let story = Story::begin("specs");
    let refused = [
        (
            "recipients",
            STORE.replace("encryption: {mode: None}", "encryption: {recipients: []}"),
            "recipients",
        ),
        ("deadline", POLICY.replace("10m", "0s"), "deadline"),
        (
            "label",
            format!("{POLICY}  template: {{labels: {{lifeboat.dev/x: y}}}}\n"),
            "labels",
        ),
        (
            "double tier",
            format!(
                "{POLICY}  tiers: [{{name: a, cron: '* * * * *'}}, {{name: a, cron: '* * * * *'}}]\n"
            ),
            "one name",
        ),
        (
            "1,000 tiers",
            format!(
                "{POLICY}  tiers: [{}]\n",
                (0..1_000)
                    .map(|i| format!("{{name: t{i}, cron: '* * * * *'}}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            "tiers",
        ),
    ];
    for (what, manifest, wanted) in refused {
        let manifest = manifest
            .replace("NAME", "bad")
            .replace("SECRET", "s")
            .replace("CA,", "ca,")
            .replace("PREFIX", "x");
        let error = story.try_apply(&manifest).expect_err(what);
        assert!(error.contains(wanted), "{what}: {error}");
    }
    for (name, more, field) in [
        (
            "bad-cron",
            "tiers: [{name: a, cron: '61 * * * *'}]",
            "spec.tiers[0].cron",
        ),
        ("bad-zone", "timeZone: Mars/Olympus", "spec.timeZone"),
    ] {
        let manifest = format!(
            "{}  {more}\n",
            POLICY
                .replace("NAME", name)
                .replace("SECRET", "s")
                .replace("CA,", "ca,")
        );
        story.apply(&manifest);
        let object = story.await_condition(
            "backuppolicies.lifeboat.dev",
            name,
            "Stalled",
            "True",
            "InvalidSpec",
            SOON,
        );
        assert!(
            condition(&object, "Stalled").is_some_and(|c| c["message"].to_string().contains(field)),
            "{object}"
        );
        assert_eq!(story.kstatus(&object), "Failed", "{object}");
    }
    story.end();
}
