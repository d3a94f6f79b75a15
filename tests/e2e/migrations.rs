//! Migrations on the real cluster: asked for by one person, approved by another, applied behind a proven backup to a database
//! with traffic; and one that holds.

use std::io::Write;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::A_RUN;
use crate::cluster::{Story, condition};
use crate::drills::{WITH_KEY, backed_up};

const RUN: &str = "migrationruns.lifeboat.dev";
const DATABASE: &str = "tickets";
/// What the examples change.
const BEFORE: &str = include_str!("../../examples/migrations/before/database.sql");

/// psql in the demo's database pod, as its superuser.
fn psql(story: &Story, database: &str) -> Child {
    let args = [
        "exec",
        "-i",
        "-n",
        "demo",
        "flights-db-0",
        "-c",
        "postgres",
        "--",
        "psql",
        "-Xqt",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        database,
    ];
    let mut command = story.command(&args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

fn sql(story: &Story, database: &str, text: &str) -> String {
    let mut child = psql(story, database);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Readers and writers of one table, until it is dropped.
struct Traffic(Child);

impl Traffic {
    fn begin(story: &Story) -> Self {
        let mut child = psql(story, DATABASE);
        let text = "UPDATE orders SET quantity = quantity WHERE id = (SELECT min(id::text)::uuid FROM orders);\n\
            SELECT count(*) FROM orders \\watch 0.1\n";
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        child.stdout = None;
        Self(child)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn examples() -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/migrations");
    let mut data = serde_json::Map::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.contains(".sql") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            data.insert(name, Value::String(text));
        }
    }
    Value::Object(data)
}

fn files(story: &Story, name: &str, data: &Value) {
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
    story.apply(&map.to_string());
}

fn run(name: &str, files: &str, target: &str, more: &str) -> String {
    format!(
        "apiVersion: lifeboat.dev/v1alpha1
kind: MigrationRun
metadata: {{name: {name}}}
spec:
  policyRef: {{name: shop}}
  drillRef: {{name: weekly}}
  credentials: {{secretRef: {{name: migrator}}}}
  requestedBy: ada
  source: {{configMapRef: {{name: {files}}}}}
  target: {{version: '{target}'}}
  window: {{notAfter: '2099-01-01T00:00:00Z'}}
{more}"
    )
}

/// As a person with the chart's role, and no other right.
fn create(story: &Story, who: &str, manifest: &str) -> Result<(), String> {
    let user = format!("--as={who}");
    let args = [
        "-n",
        &story.namespace,
        "create",
        "-f",
        "-",
        &user,
        "--as-group=system:authenticated",
    ];
    let mut command = story.command(&args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(manifest.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn approval(run: &Value, who: &str) -> String {
    json!({
        "apiVersion": "lifeboat.dev/v1alpha1", "kind": "MigrationApproval",
        "metadata": {"name": format!("{}-{who}", run["metadata"]["name"].as_str().unwrap())},
        "spec": {
            "runRef": {"name": run["metadata"]["name"]}, "runUid": run["metadata"]["uid"],
            "planHash": run["status"]["plan"]["hash"], "evidenceHash": run["status"]["rehearsal"]["evidenceHash"],
            "approver": who, "expires": (lifeboat::work::clock::now() + jiff::SignedDuration::from_hours(24)).to_string(),
        }
    })
    .to_string()
}

fn waits(story: &Story, name: &str) -> Value {
    story.await_object(RUN, name, "waiting for approval", A_RUN, |o| {
        let ready = condition(o, "Ready");
        assert!(ready.is_none_or(|c| c["status"] != "False"), "{o:#}");
        ready.is_some_and(|c| c["reason"] == "AwaitingApproval")
    })
}

/// Issue E1: the examples, behind a proven backup, approved by a second person, with traffic on the database.
#[test]
fn a_migration_is_approved_by_another_and_applied_behind_a_proven_backup() {
    let who = [
        ("user", Some("tickets_backup")),
        ("password", Some("tickets")),
        ("dbname", Some(DATABASE)),
    ];
    crate::demo::installed();
    let source = Story::begin("migration-source");
    sql(
        &source,
        "postgres",
        "DROP DATABASE IF EXISTS tickets WITH (FORCE);",
    );
    sql(
        &source,
        "postgres",
        "DROP ROLE IF EXISTS tickets_backup; DROP ROLE IF EXISTS tickets_owner; DROP ROLE IF EXISTS authenticated;
         CREATE ROLE tickets_backup SUPERUSER LOGIN PASSWORD 'tickets'; CREATE ROLE tickets_owner LOGIN PASSWORD 'owner';
         CREATE DATABASE tickets TEMPLATE template0 OWNER tickets_owner;",
    );
    let text = format!(
        "SET ROLE tickets_backup; {BEFORE}; REASSIGN OWNED BY tickets_backup TO tickets_owner; GRANT ALL ON SCHEMA public TO tickets_owner;"
    );
    sql(&source, DATABASE, &text);
    source.end();
    let story = backed_up("migration", &who);
    for (role, user) in [
        ("lifeboat-migrator", "ada"),
        ("lifeboat-approver", "grace"),
        ("lifeboat-approver", "ada"),
    ] {
        let (name, role) = (format!("{role}-{user}"), format!("--clusterrole={role}"));
        story.kubectl(&[
            "create",
            "rolebinding",
            &name,
            &role,
            &format!("--user={user}"),
        ]);
    }
    story.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: migrator}\nstringData: {username: tickets_owner, password: owner}\n");
    story.apply(&format!(
        "apiVersion: lifeboat.dev/v1alpha1\nkind: RestoreDrill\nmetadata: {{name: weekly}}\nspec:\n  policyRef: {{name: shop}}\n  schedule: {{cron: '0 3 1 1 *'}}\n{WITH_KEY}"
    ));
    files(&story, "examples", &examples());
    // Refused at the door, and before anything is done.
    let forged = run("forged", "examples", "20261105110000", "")
        .replace("requestedBy: ada", "requestedBy: grace");
    let refused = create(&story, "ada", &forged).unwrap_err();
    assert!(refused.contains("requestedBy"), "{refused}");
    create(
        &story,
        "ada",
        &run("no-baseline", "examples", "20261105110000", ""),
    )
    .unwrap();
    let held = story.await_condition(
        RUN,
        "no-baseline",
        "Stalled",
        "True",
        "BaselineMissing",
        A_RUN,
    );
    assert_eq!(story.kstatus(&held), "Failed", "{held:#}");
    story.kubectl(&["delete", RUN, "no-baseline"]);

    let more = "  history: {baseline: '0'}\n  checks:\n    post:\n    - {name: index, index: public.orders_event}\n    \
        - {name: tasks, sql: 'SELECT count(*) FROM tasks', equals: 'SELECT sum(jsonb_array_length(tasks)) FROM projects'}\n";
    create(
        &story,
        "ada",
        &run("examples", "examples", "20261105110000", more),
    )
    .unwrap();
    let waiting = waits(&story, "examples");
    assert_eq!(
        waiting["status"]["gate"]["backup"], "by-hand",
        "{waiting:#}"
    );
    assert!(
        waiting["status"]["plan"]["lines"].as_array().unwrap().len() > 20,
        "{waiting:#}"
    );
    let own = create(&story, "ada", &approval(&waiting, "ada"));
    let own = own.err().unwrap_or_default();
    let traffic = Traffic::begin(&story);
    create(&story, "grace", &approval(&waiting, "grace")).unwrap();
    let done = story.await_object(RUN, "examples", "its end", A_RUN, |o| {
        o["status"]["finishedAt"].is_string()
    });
    drop(traffic);
    assert!(
        condition(&done, "Complete").is_some_and(|c| c["status"] == "True"),
        "{own} {done:#}"
    );
    assert_eq!(done["status"]["execution"]["verified"], true, "{done:#}");
    assert_eq!(story.kstatus(&done), "Current", "{done:#}");
    let by = "SELECT count(*) FROM lifeboat.migration_history WHERE approved_by = '{grace}' AND state = 'done'";
    let applied = done["status"]["execution"]["applied"].as_i64().unwrap();
    assert_eq!(
        sql(&story, DATABASE, by),
        (applied + 1).to_string(),
        "and the baseline"
    );

    // M13: what only production has makes the check fail: it holds, and says what stands and what a restore would lose.
    let more = "  checks:\n    post: [{name: none-big, sql: 'SELECT NOT EXISTS (SELECT FROM venues WHERE capacity > 1000000)'}]\n";
    let added = json!({"20261106090000_notes.sql": "ALTER TABLE venues ADD COLUMN note text"});
    let mut all = examples();
    all.as_object_mut()
        .unwrap()
        .extend(added.as_object().unwrap().clone());
    files(&story, "more", &all);
    create(&story, "ada", &run("holds", "more", "20261106090000", more)).unwrap();
    let waiting = waits(&story, "holds");
    sql(
        &story,
        DATABASE,
        "INSERT INTO venues (name, capacity) VALUES ('new', 2000000)",
    );
    create(&story, "grace", &approval(&waiting, "grace")).unwrap();
    let held = story.await_condition(RUN, "holds", "Stalled", "True", "CheckFailed", A_RUN);
    let way = held["status"]["wayBack"].as_str().unwrap_or_default();
    assert!(way.contains("loses every write since"), "{held:#}");
    assert_eq!(held["status"]["execution"]["applied"], 1, "{held:#}");
    story.await_none("jobs", "lifeboat.dev/task=migration", A_RUN);
    story.end();
}
