//! Drills on the real cluster: weekly and disaster, of the flights and of a database with every kind of object;
//! what keeps them from telling; and that nothing is left.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cluster::{Story, condition};
use crate::{A_RUN, POLICY, STORE, demo};

pub const DRILL: &str = "restoredrills.lifeboat.dev";
/// Every kind of object, as on the data path.
const EVERYTHING: &str = include_str!("../data_path/everything.sql");

/// A namespace with an encrypted store, a policy and one complete backup.
pub fn backed_up(name: &str, secret: &[(&str, Option<&str>)]) -> Story {
    demo::installed();
    let story = Story::begin(name);
    back_up(&story, secret, "");
    story
}

/// An encrypted store, a policy and one complete backup, in a namespace that is there.
pub fn back_up(story: &Story, secret: &[(&str, Option<&str>)], tls: &str) {
    let (public, identity) = key_pair();
    story.copy_secret("s3-writer", "s3-writer", &[]);
    story.apply(
        &STORE
            .replace("PREFIX", &story.namespace)
            .replace("{mode: None}", &format!("{{recipients: [{public}]}}")),
    );
    let key = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "age-key"}, "stringData": {"age.key": identity}});
    story.apply(&key.to_string());
    story.copy_secret("flights-ca", "ca", &[]);
    story.copy_secret("flights-db", "db", secret);
    let policy = POLICY.replace("NAME", "shop").replace("SECRET", "db");
    story.apply(
        &policy
            .replace("CA,", "ca,")
            .replace("tls: {", &format!("tls: {{{tls}")),
    );
    story.apply("apiVersion: lifeboat.dev/v1alpha1\nkind: Backup\nmetadata: {name: by-hand}\nspec: {policyRef: {name: shop}}\n");
    story.await_condition(
        "backups.lifeboat.dev",
        "by-hand",
        "Complete",
        "True",
        "",
        A_RUN,
    );
}

/// An age key pair: public key, and the identity file.
fn key_pair() -> (String, String) {
    let identity = output(Command::new("age-keygen").stdin(Stdio::null()));
    let line = identity.lines().find(|l| l.starts_with("# public key: "));
    let public = line
        .unwrap()
        .trim_start_matches("# public key: ")
        .to_owned();
    (public, identity)
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("age-keygen is installed");
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn drill(story: &Story, name: &str, more: &str) {
    story.apply(&format!(
        "apiVersion: lifeboat.dev/v1alpha1\nkind: RestoreDrill\nmetadata: {{name: {name}}}\nspec:\n  policyRef: {{name: shop}}\n{more}"
    ));
}

/// The drill, once a run of it has ended.
pub fn ended(story: &Story, name: &str) -> Value {
    story.await_object(DRILL, name, "a run that ended", A_RUN, |o| {
        o["status"]["last"]["run"].is_string()
    })
}

pub fn assert_said(object: &Value, status: &str, reason: &str) {
    let passed = condition(object, "Passed");
    let said = passed.map(|c| (c["status"].as_str(), c["reason"].as_str()));
    assert_eq!(said, Some((Some(status), Some(reason))), "{object:#}");
}

/// The script that needs no Lifeboat restored it too.
fn assert_restored_by_script(object: &Value) {
    let said = condition(object, "BreakGlass").map(|c| c["status"].as_str());
    assert_eq!(said, Some(Some("True")), "{object:#}");
}

/// No pod, claim or Job of a drill is left once its outcome stands in the status.
pub fn assert_gone(story: &Story) {
    let none = |kind: &str| {
        story.await_none(kind, "lifeboat.dev/task=drill", A_RUN);
    };
    none("jobs");
    none("pods");
    none("persistentvolumeclaims");
}

pub const WITH_KEY: &str = "  identityRef: {name: age-key}\n";

/// P10: the backup is proven, says so, and the policy with it; the proof lies in the bucket.
#[test]
fn a_drill_proves_the_flights_weekly_and_in_a_disaster() {
    let story = backed_up("drill-flights", &[]);
    let checks = "  checks: [{name: many, sql: 'select count(*) > 300000 from flights'}]\n";
    drill(&story, "weekly", &format!("{WITH_KEY}{checks}"));
    let object = ended(&story, "weekly");
    assert_said(&object, "True", "Succeeded");
    assert_eq!(object["status"]["last"]["score"], 100, "{object:#}");
    assert_eq!(object["status"]["last"]["backup"], "by-hand", "{object:#}");
    assert_eq!(story.kstatus(&object), "Current", "{object:#}");
    assert_restored_by_script(&object);
    let backup = story.await_condition(
        "backups.lifeboat.dev",
        "by-hand",
        "Proven",
        "True",
        "",
        A_RUN,
    );
    let prefix = backup["status"]["prefix"].as_str().unwrap().to_owned();
    let key = object["status"]["last"]["reportKey"].as_str().unwrap();
    assert!(key.contains("/proofs/weekly-"), "{key}");
    story.await_object(
        "backuppolicies.lifeboat.dev",
        "shop",
        "lastProven",
        A_RUN,
        |o| o["status"]["lastProven"]["backup"] == "by-hand",
    );
    assert!(!prefix.is_empty());
    assert_gone(&story);

    let disaster = format!("{WITH_KEY}{checks}  mode: Disaster\n  applicationRole: flights_app\n");
    drill(&story, "disaster", &disaster);
    let object = ended(&story, "disaster");
    assert_said(&object, "True", "Succeeded");
    let rto = &object["status"]["last"]["rto"];
    assert!(
        rto["total"].as_i64() >= rto["verify"].as_i64(),
        "{object:#}"
    );
    assert_gone(&story);
    story.end();
}

/// P10: no correct backup fails, whatever it holds.
#[test]
fn a_drill_proves_a_database_with_every_kind_of_object() {
    demo::installed();
    let story = Story::begin("drill-everything-source");
    let psql = |database: &str, sql: &str| {
        let mut child = story
            .command(&[
                "exec",
                "-i",
                "-n",
                "demo",
                "flights-db-0",
                "-c",
                "postgres",
                "--",
                "psql",
                "-Xq",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                database,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), sql.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    psql("postgres", "DROP DATABASE IF EXISTS every WITH (FORCE);");
    psql(
        "postgres",
        "DROP ROLE IF EXISTS every_owner; DROP ROLE IF EXISTS every_reader; DROP ROLE IF EXISTS every_group; DROP ROLE IF EXISTS every_backup;",
    );
    psql(
        "postgres",
        "CREATE ROLE every_backup SUPERUSER LOGIN PASSWORD 'every'; CREATE DATABASE every TEMPLATE template0;",
    );
    psql("every", EVERYTHING);
    story.end();
    let who = [
        ("user", Some("every_backup")),
        ("password", Some("every")),
        ("dbname", Some("every")),
    ];
    let story = backed_up("drill-everything", &who);
    // Its privileges were changed, which no dump holds.
    let accept = r#"{"spec":{"accept":{"notDumped":["language sql"]}}}"#;
    let policy = ["backuppolicies.lifeboat.dev", "shop", "--type=merge"];
    story.kubectl(&[&["patch"], policy.as_slice(), &["--patch", accept]].concat());
    drill(&story, "weekly", WITH_KEY);
    let object = ended(&story, "weekly");
    assert_said(&object, "True", "Succeeded");
    assert!(
        object["status"]["last"]["tables"]["equal"].as_i64() > Some(20),
        "{object:#}"
    );
    assert_restored_by_script(&object);
    assert_gone(&story);
    let quit = Story::begin("drill-everything-source");
    // A subscription holds its database, which forbids writing.
    for (database, sql) in [
        ("every", "DROP SUBSCRIPTION sub"),
        ("postgres", "DROP DATABASE every WITH (FORCE)"),
    ] {
        let psql = [
            "exec",
            "-n",
            "demo",
            "flights-db-0",
            "-c",
            "postgres",
            "--",
            "psql",
            "-Xqd",
            database,
            "-c",
            "SET default_transaction_read_only = off",
            "-c",
            sql,
        ];
        assert!(quit.command(&psql).status().unwrap().success(), "{sql}");
    }
    quit.end();
    story.end();
}

/// What keeps a drill from telling is no fault of the backup: never `Failed`.
#[test]
fn a_drill_that_cannot_tell_says_why() {
    let story = backed_up("drill-cannot-tell", &[]);
    drill(&story, "no-secret", "  identityRef: {name: nosuch}\n");
    let object = ended(&story, "no-secret");
    assert_said(&object, "Unknown", "IdentityMissing");
    assert_eq!(story.kstatus(&object), "Failed", "{object:#}");

    let other = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}, "stringData": {"age.key": key_pair().1}});
    story.apply(&other.to_string());
    drill(&story, "other-key", "  identityRef: {name: other}\n");
    assert_said(&ended(&story, "other-key"), "Unknown", "WrongIdentity");

    drill(
        &story,
        "nothing-there",
        &format!("{WITH_KEY}  select: {{prefix: nosuch}}\n"),
    );
    assert_said(&ended(&story, "nothing-there"), "Unknown", "NoBackup");

    drill(
        &story,
        "other-major",
        &format!("{WITH_KEY}  postgres: {{image: 'localhost/lifeboat-postgres:15'}}\n"),
    );
    assert_said(&ended(&story, "other-major"), "Unknown", "WrongMajor");

    drill(
        &story,
        "nonsense",
        &format!("{WITH_KEY}  postgres: {{parameters: {{shared_buffers: nonsense}}}}\n"),
    );
    assert_said(&ended(&story, "nonsense"), "Unknown", "ServerFailed");

    // Each session waits a while before it begins: longer than the deadline.
    let slow = "  deadline: 5s\n  postgres: {parameters: {post_auth_delay: '30'}}\n";
    drill(&story, "deadline", &format!("{WITH_KEY}{slow}"));
    assert_said(&ended(&story, "deadline"), "Unknown", "DeadlineExceeded");
    assert_gone(&story);
    story.end();
}

/// One at a time; a pod that is killed leaves nothing, and the next goes on.
#[test]
fn two_drills_of_one_policy_take_turns_and_a_killed_one_cannot_tell() {
    let story = backed_up("drill-turns", &[]);
    // Each session of the first waits a while before it begins: long enough to be killed.
    drill(
        &story,
        "first",
        &format!("{WITH_KEY}  postgres: {{parameters: {{post_auth_delay: '20'}}}}\n"),
    );
    story.await_condition(DRILL, "first", "Reconciling", "True", "Running", A_RUN);
    drill(&story, "second", WITH_KEY);
    let queued = story.await_condition(DRILL, "second", "Reconciling", "True", "Queued", A_RUN);
    let message = condition(&queued, "Reconciling").unwrap()["message"].to_string();
    assert!(message.contains("first"), "{message}");
    story.kubectl(&[
        "delete",
        "pods",
        "-l",
        "lifeboat.dev/task=drill",
        "--grace-period=0",
        "--force",
    ]);
    let first = ended(&story, "first");
    assert!(
        condition(&first, "Passed").is_some_and(|c| c["status"] == "Unknown"),
        "{first:#}"
    );
    assert_said(&ended(&story, "second"), "True", "Succeeded");
    assert_gone(&story);
    story.end();
}

/// P6: the operator may die meanwhile, and the policy may go: the run ends as it would have, and is told.
#[test]
fn a_drill_outlives_the_operator_and_its_policy() {
    // The demo shows the operator's metrics; it must be through with that.
    demo::printed(None);
    let story = backed_up("drill-outlives", &[]);
    let slow = "  postgres: {parameters: {post_auth_delay: '2'}}\n";
    drill(&story, "weekly", &format!("{WITH_KEY}{slow}"));
    story.await_condition(DRILL, "weekly", "Reconciling", "True", "Running", A_RUN);
    story.kubectl(&["delete", "backuppolicies.lifeboat.dev", "shop"]);
    let operator = [
        "-n",
        "lifeboat-system",
        "delete",
        "pods",
        "--all",
        "--grace-period=0",
        "--force",
    ];
    story.plain(&operator);
    let object = ended(&story, "weekly");
    assert_said(&object, "True", "Succeeded");
    assert_eq!(
        object["status"]["history"].as_array().map(Vec::len),
        Some(1),
        "{object:#}"
    );
    assert_gone(&story);
    story.end();
}
