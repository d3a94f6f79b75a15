//! Every gate of a migration refuses, on the real cluster, and nothing is touched; then one goes through all of them.

use jiff::{SignedDuration, Timestamp};
use lifeboat::work::clock;
use serde_json::{Value, json};

use crate::cluster::condition;
use crate::demo::s3;
use crate::migrators::{BASELINE, LONG, RUN, SEATS, Shop, approval, in_seconds, why};

const FILES: [(&str, &str); 1] = [(
    "1_notes.sql",
    "ALTER TABLE seats ADD COLUMN note text;\nINSERT INTO steps VALUES ('notes');\n",
)];
/// What nobody has approved.
const OTHERS: [(&str, &str); 1] = [("1_notes.sql", "DROP TABLE seats;\n")];
const NOTHING_BEGUN: &str = "SELECT to_regclass('lifeboat.migration_history') IS NULL";

/// Open each day, between two hours counted from `now`.
fn weekly(now: Timestamp, from: i64, to: i64) -> String {
    let at = |hours: i64| {
        let time = now + SignedDuration::from_hours(hours);
        time.strftime("%H:%M").to_string()
    };
    format!(
        "{BASELINE}  window: {{notAfter: '2099-01-01T00:00:00Z', weekly: {{days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun], from: '{}', to: '{}'}}}}\n",
        at(from),
        at(to)
    )
}

fn awaits(shop: &Shop, run: &str, reason: &str) -> Value {
    shop.story.await_object(RUN, run, reason, LONG, |o| {
        let ready = condition(o, "Ready");
        assert!(ready.is_none_or(|c| c["status"] != "False"), "{o:#}");
        ready.is_some_and(|c| c["reason"] == reason)
    })
}

/// Held, nothing begun, and out of the way of those that follow.
fn refused(shop: &Shop, run: &str, reason: &str) -> Value {
    let held = shop.held(run, reason);
    assert_eq!(shop.sql(NOTHING_BEGUN), "t", "{held:#}");
    shop.deletes(run);
    held
}

/// What a plan refuses.
fn plans(shop: &Shop) {
    shop.asks("risky", "others", "1", BASELINE);
    let held = refused(shop, "risky", "LintBlocked");
    assert!(why(&held).1.contains("LB201"), "{held:#}");
    shop.asks("mistyped", "files", "2", BASELINE);
    refused(shop, "mistyped", "InvalidSpec");
}

/// What the API server refuses: who is not who he says, who is no person, who may not, and what nobody may change (M12).
fn doors(shop: &Shop, waiting: &Value) {
    let robot = format!("system:serviceaccount:{}:robot", shop.story.namespace);
    shop.binds("lifeboat-approver", &robot);
    let writes = "--verb=create";
    let kinds = "--resource=migrationapprovals.lifeboat.dev";
    shop.story
        .kubectl(&["create", "role", "writes", writes, kinds]);
    let binding = [
        "create",
        "rolebinding",
        "writes",
        "--role=writes",
        "--user=mallory",
    ];
    shop.story.kubectl(&binding);
    let mut forged = approval(waiting, "linus");
    let as_said = |who: &str| approval(waiting, who).to_string();
    for (who, manifest, why) in [
        (
            robot.as_str(),
            as_said(&robot),
            "a person has to look at it",
        ),
        ("grace", forged.to_string(), "write your own name"),
        ("mallory", as_said("mallory"), "you may not approve"),
        ("ada", as_said("ada"), "may not approve it"),
        ("nobody", as_said("nobody"), "cannot create resource"),
    ] {
        let error = shop.create(who, &manifest).unwrap_err();
        assert!(error.contains(why), "{who}: {error}");
    }
    let patch = ["patch", RUN, "asked", "--type=merge", "-p"];
    let other = r#"{"spec": {"target": {"version": "2"}}}"#;
    let error = shop
        .story
        .kubectl_as("ada", &[&patch[..], &[other]].concat(), "")
        .unwrap_err();
    assert!(error.contains("cannot change but for suspend"), "{error}");
    // An approval stays what it was.
    forged["metadata"]["name"] = json!("asked-fixed");
    forged["spec"]["approver"] = json!("grace");
    forged["spec"]["planHash"] = json!("0".repeat(64));
    shop.create("grace", &forged.to_string()).unwrap();
    forged["spec"]["planHash"] = waiting["status"]["plan"]["hash"].clone();
    let error = shop.story.try_apply(&forged.to_string()).unwrap_err();
    assert!(error.contains("delete it and create another"), "{error}");
}

/// Approvals that are there, and do not count: the status says of each why.
fn approvals(shop: &Shop, waiting: &Value) {
    let nil = json!("0".repeat(64));
    let rows = [
        (
            "asked",
            "requestedBy",
            json!("linus"),
            "somebody else asked",
        ),
        ("plan", "planHash", nil.clone(), "the plan is another one"),
        ("evidence", "evidenceHash", nil, "showed something else"),
        ("uid", "runUid", json!("another"), "for another run"),
        ("expired", "expires", json!(in_seconds(-60)), "has expired"),
        (
            "long",
            "expires",
            json!(in_seconds(8 * 86_400)),
            "longer than seven days",
        ),
    ];
    for (name, field, value, _) in &rows {
        let mut approval = approval(waiting, "grace");
        approval["metadata"]["name"] = json!(name);
        approval["spec"][field] = value.clone();
        let who = approval["spec"]["approver"].as_str().unwrap();
        shop.create(who, &approval.to_string()).unwrap();
    }
    let told = |run: &Value| {
        let all = run["status"]["approvals"].as_array().cloned();
        let all = all.unwrap_or_default();
        rows.iter().all(|(name, _, _, why)| {
            let mut all = all.iter();
            all.any(|a| a["name"] == **name && a["void"].as_str().is_some_and(|v| v.contains(why)))
        })
    };
    let what = "every approval is told of";
    let run = shop.story.await_object(RUN, "asked", what, LONG, told);
    assert_eq!(why(&run).0, "AwaitingApproval", "{run:#}");
}

/// Approved for a while, and a window that is closed: it says until when it waits, and the approval ends before that.
fn windows(shop: &Shop, waiting: &Value, opens: Timestamp) {
    let mut short = approval(waiting, "grace");
    short["spec"]["expires"] = json!(in_seconds(30));
    shop.create("grace", &short.to_string()).unwrap();
    let run = awaits(shop, "asked", "AwaitingWindow");
    let until = format!("the window opens at {opens}");
    assert!(why(&run).1.contains(&until), "{until}: {run:#}");
    assert_eq!(shop.story.kstatus(&run), "InProgress", "{run:#}");
    let run = awaits(shop, "asked", "AwaitingApproval");
    let all = run["status"]["approvals"].as_array().unwrap();
    assert!(all.iter().all(|a| a["void"].is_string()), "{run:#}");
    assert_eq!(run["status"]["attempts"]["apply"], 0, "{run:#}");
    assert_eq!(shop.sql(NOTHING_BEGUN), "t");
    shop.deletes("asked");

    let late = format!("{BASELINE}  window: {{notAfter: '{}'}}\n", in_seconds(40));
    shop.asks("late", "files", "1", &late);
    refused(shop, "late", "WindowClosed");
}

/// Production is not what it was when the run was rehearsed (M8).
fn production(shop: &Shop) {
    shop.asks("moved", "files", "1", BASELINE);
    let waiting = shop.waits("moved");
    shop.sql("ALTER TABLE seats ADD COLUMN sneaked int");
    shop.approves(&waiting, "grace");
    let held = refused(shop, "moved", "NotAsRehearsed");
    let way = held["status"]["wayBack"].as_str().unwrap_or_default();
    assert!(way.starts_with("Nothing was applied"), "{held:#}");
    shop.sql("ALTER TABLE seats DROP COLUMN sneaked");
}

fn suspend(shop: &Shop, yes: bool) {
    let patch = format!(r#"{{"spec": {{"suspend": {yes}}}}}"#);
    let patch = ["patch", RUN, "kept", "--type=merge", "-p", &patch];
    shop.story.kubectl(&patch);
}

/// Approved while it was suspended, and its files changed, and gone: nothing begins.
fn suspended(shop: &Shop) -> Value {
    shop.asks("kept", "files", "1", &weekly(clock::now(), -1, 12));
    let waiting = shop.waits("kept");
    suspend(shop, true);
    awaits(shop, "kept", "Suspended");
    shop.files("files", &OTHERS);
    shop.approves(&waiting, "grace");
    // Who comes after it is looked at after it.
    let more = format!("{BASELINE}  suspend: true\n");
    shop.asks("after", "files", "1", &more);
    awaits(shop, "after", "Suspended");
    let run = awaits(shop, "kept", "Suspended");
    assert_eq!(run["status"]["attempts"]["apply"], 0, "{run:#}");
    assert_eq!(shop.sql(NOTHING_BEGUN), "t");
    shop.deletes("after");
    shop.story.kubectl(&["delete", "configmap", "files"]);
    waiting
}

/// M7, M24: the worker finds the backup gone and touches nothing. Rehearsed anew with the same evidence, the approval still counts,
/// and what was approved is applied.
fn kept(shop: &Shop, waiting: &Value) {
    let prefix = waiting["status"]["gate"]["prefix"].as_str().unwrap();
    let manifest = format!("{}/{prefix}/manifest.json", shop.story.namespace);
    let bytes = s3(&shop.story, &["get", "backups", &manifest], b"");
    s3(&shop.story, &["delete", "backups", &manifest], b"");
    suspend(shop, false);
    shop.story.await_object(RUN, "kept", "a worker", LONG, |o| {
        let running = &o["status"]["running"];
        running["step"] == "Apply" && running["jobUid"].is_string()
    });
    suspend(shop, true);
    let run = shop.story.await_object(RUN, "kept", "refused", LONG, |o| {
        o["status"]["execution"]["reason"] == "GateExpired" && why(o).0 == "Suspended"
    });
    let told = run["status"]["execution"]["message"].as_str().unwrap();
    assert!(told.contains("there is no backup"), "{run:#}");
    assert_eq!(shop.sql(NOTHING_BEGUN), "t");
    s3(&shop.story, &["put", "backups", &manifest], &bytes);
    suspend(shop, false);
    let done = shop.done("kept");
    let status = &done["status"];
    assert_eq!(status["attempts"]["rehearse"], 2, "{done:#}");
    assert_eq!(status["attempts"]["apply"], 2, "{done:#}");
    assert_eq!(status["approvals"][0]["approver"], "grace", "{done:#}");
    assert_eq!(shop.history(), "up 1 0 done");
    assert_eq!(shop.steps(), "notes");
    let column = "SELECT count(note) FROM seats";
    assert_eq!(shop.sql(column), "0", "the column is there, and the table");
}

/// Issue E1: one is refused by each gate; what was approved is what is applied, whatever became of its files.
#[test]
fn every_gate_refuses_and_what_was_approved_is_applied() {
    let shop = Shop::open("migration-gates", SEATS);
    shop.files("files", &FILES);
    shop.files("others", &OTHERS);
    plans(&shop);
    let now = clock::now();
    shop.asks("asked", "files", "1", &weekly(now, 12, 13));
    let minute = now.as_second() / 60 * 60;
    let opens = Timestamp::from_second(minute + 12 * 3_600).unwrap();
    let waiting = shop.waits("asked");
    assert_eq!(
        waiting["status"]["gate"]["backup"], "by-hand",
        "{waiting:#}"
    );
    doors(&shop, &waiting);
    approvals(&shop, &waiting);
    windows(&shop, &waiting, opens);
    production(&shop);
    let waiting = suspended(&shop);
    kept(&shop, &waiting);
    shop.story.end();
}
