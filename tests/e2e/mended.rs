//! Drills and migrations that wait: for an image that is not there, until it is named; for a session that is in the way, which is told.

use std::process::Command;

use serde_json::{Value, json};

use crate::A_RUN;
use crate::cluster::condition;
use crate::drills::DRILL;
use crate::migrators::{BASELINE, Keeper, LONG, RUN, SEATS, Shop, why};

const IMAGE: &str = "localhost/no-such-image:1";

fn template(shop: &Shop, template: &str) {
    let patch = format!("{{\"spec\":{{\"template\":{template}}}}}");
    let policy = "backuppolicies.lifeboat.dev";
    shop.story
        .kubectl(&["patch", policy, "shop", "--type=merge", "--patch", &patch]);
}

/// The object says that it waits for the image, and for which.
fn waits_for_the_image(shop: &Shop, kind: &str, name: &str) {
    let reason = "ImagePullFailed";
    let object = shop
        .story
        .await_condition(kind, name, "Reconciling", "True", reason, LONG);
    let message = condition(&object, "Reconciling").unwrap()["message"].to_string();
    assert!(message.contains(IMAGE), "{message}");
    assert_eq!(shop.story.kstatus(&object), "InProgress", "{object:#}");
}

/// Grace, with her own kubeconfig.
fn approves_at_a_shell(shop: &Shop, run: &str) {
    let story = &shop.story;
    let config = story.plain(&["config", "view", "--raw", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["users"][0]["user"]["as"] = json!("grace");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["approve", run, "--yes", "-n", &story.namespace])
        .env("KUBECONFIG", &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("ALTER TABLE seats ADD COLUMN note text"),
        "{said}"
    );
    assert!(said.contains("You are grace."), "{said}");
}

/// K7: what was made from a policy that has changed since is given up while its pod waits, and begins anew.
#[test]
fn a_drill_and_a_migration_begin_anew_when_the_image_is_mended() {
    let shop = Shop::open("mended", SEATS);
    let story = &shop.story;
    let alter = [("1_note.sql", "ALTER TABLE seats ADD COLUMN note text;")];
    shop.files("files", &alter);
    template(&shop, &format!(r#"{{"postgresImage":"{IMAGE}"}}"#));
    story.kubectl(&["annotate", DRILL, "weekly", "lifeboat.dev/requestedAt=now"]);
    waits_for_the_image(&shop, DRILL, "weekly");
    template(&shop, "null");
    let drill = story.await_condition(DRILL, "weekly", "Passed", "True", "Succeeded", LONG);
    assert_eq!(drill["status"]["last"]["backup"], "by-hand", "{drill:#}");

    template(&shop, &format!(r#"{{"postgresImage":"{IMAGE}"}}"#));
    shop.asks("note", "files", "1", BASELINE);
    waits_for_the_image(&shop, RUN, "note");
    template(&shop, "null");
    shop.waits("note");

    // Somebody is in the way of the one statement: the run says who, and nothing of what he does.
    let writer = Keeper::writer(&shop);
    approves_at_a_shell(&shop, "note");
    let told = story.await_object(RUN, "note", "who is in the way", LONG, |o| {
        condition(o, "Ready").is_some() && why(o).1.contains("pid ")
    });
    let (_, message) = why(&told);
    assert!(message.contains(&shop.superuser()), "{message}");
    assert!(!told["status"].to_string().contains("INSERT"), "{told:#}");
    drop(writer);
    let done = shop.done("note");

    // The approval goes with the run that it was given to.
    let approval = done["status"]["approvals"][0]["name"].as_str().unwrap();
    let approvals = "migrationapprovals.lifeboat.dev";
    assert!(story.get(approvals, approval).is_some());
    shop.deletes("note");
    story.await_gone(approvals, approval, A_RUN);
    shop.is_clean();
    story.await_none("jobs", "lifeboat.dev/task=migration", A_RUN);
    shop.story.end();
}
