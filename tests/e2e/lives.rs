//! What becomes of pods and objects: an image that is not there, progress of a slow run, deletion.

use crate::cluster::{Story, condition};
use crate::{A_RUN, demo, policy, store};

const BY_HAND: &str = "apiVersion: lifeboat.dev/v1alpha1\nkind: Backup\nmetadata: {name: by-hand}\nspec: {policyRef: {name: shop}}\n";

fn shop(name: &str) -> Story {
    demo::installed();
    let story = Story::begin(name);
    store(&story);
    story.copy_secret("flights-ca", "ca", &[]);
    story.copy_secret("flights-db", "db", &[]);
    story
}

fn templated(story: &Story, template: &str) {
    policy(story, "shop", "db", "ca");
    story.kubectl(&[
        "patch",
        "backuppolicies.lifeboat.dev",
        "shop",
        "--type=merge",
        "--patch",
        &format!("{{\"spec\":{{\"template\":{template}}}}}"),
    ]);
}

/// K7, K10: a reason of its own while the pod waits, naming the image: on the policy before anything is due, and on a Backup. When the
/// policy is mended the attempt that waits is given up, and the next one is made from what stands then.
#[test]
fn an_image_that_cannot_be_pulled_is_named_and_mended() {
    let story = shop("image");
    templated(&story, r#"{"postgresImage":"localhost/no-such-image:1"}"#);
    let names_it = |kind: &str, name: &str| {
        let reason = "ImagePullFailed";
        let object = story.await_condition(kind, name, "Reconciling", "True", reason, A_RUN);
        let message = condition(&object, "Reconciling").unwrap()["message"].to_string();
        assert!(message.contains("localhost/no-such-image:1"), "{message}");
        assert_eq!(story.kstatus(&object), "InProgress", "{object}");
    };
    names_it("backuppolicies.lifeboat.dev", "shop");
    story.apply(BY_HAND);
    names_it("backups.lifeboat.dev", "by-hand");
    let mended = r#"{"spec":{"template":null}}"#;
    let patch = [
        "patch",
        "backuppolicies.lifeboat.dev",
        "shop",
        "--type=merge",
        "--patch",
        mended,
    ];
    story.kubectl(&patch);
    let backup = story.await_condition(
        "backups.lifeboat.dev",
        "by-hand",
        "Complete",
        "True",
        "Succeeded",
        2 * A_RUN,
    );
    assert!(backup["status"]["attempt"].as_i64() >= Some(2), "{backup}");
    story.end();
}

/// K15: from its second minute on a run says how far it is. More rows than the flights', and little of a
/// processor, make this one last for minutes.
#[test]
fn a_slow_run_says_how_far_it_is() {
    let story = shop("progress");
    let psql = [
        "exec",
        "-n",
        "demo",
        "flights-db-0",
        "--",
        "psql",
        "-Xq",
        "-c",
    ];
    for (database, sql) in [
        ("postgres", "DROP DATABASE IF EXISTS slow"),
        ("postgres", "CREATE DATABASE slow"),
        (
            "slow",
            "CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 5000000) AS n",
        ),
    ] {
        story.plain(&[&psql[..], &[sql, database]].concat());
    }
    story.copy_secret("flights-db", "db", &[("dbname", Some("slow"))]);
    templated(
        &story,
        r#"{"resources":{"requests":{"cpu":"5m"},"limits":{"cpu":"25m"}}}"#,
    );
    story.apply(BY_HAND);
    let object = story.await_object(
        "backups.lifeboat.dev",
        "by-hand",
        "progress",
        A_RUN,
        |object| object["status"]["progress"]["step"].is_string(),
    );
    assert_eq!(
        condition(&object, "Complete").unwrap()["status"],
        "False",
        "{object}"
    );
    assert_eq!(story.kstatus(&object), "InProgress", "{object}");
    // Its pod is told to stop, and ends itself, in time.
    story.kubectl(&[
        "delete",
        "backups.lifeboat.dev",
        "by-hand",
        "--wait",
        "--timeout=120s",
    ]);
    story.end();
}

/// P5: what was written stays, whatever is deleted in the cluster.
#[test]
fn p5_deleting_every_custom_resource_deletes_no_backup() {
    let story = shop("deletion");
    policy(&story, "shop", "db", "ca");
    story.apply(BY_HAND);
    let object = story.await_condition(
        "backups.lifeboat.dev",
        "by-hand",
        "Complete",
        "True",
        "",
        A_RUN,
    );
    let prefix = object["status"]["prefix"].as_str().unwrap();
    for kind in ["backups", "backuppolicies", "backupstores"] {
        story.kubectl(&[
            "delete",
            &format!("{kind}.lifeboat.dev"),
            "--all",
            "--wait",
            "--timeout=120s",
        ]);
    }
    story.plain(&[
        "delete",
        "namespace",
        &story.namespace,
        "--wait",
        "--timeout=180s",
    ]);
    let folder = format!("{}/", story.namespace);
    let listed = demo::s3(&story, &["list", "backups", &folder], b"");
    let listed = String::from_utf8_lossy(&listed);
    for object in [
        "dump.pgc",
        "globals.sql.zst",
        "contents.json.zst",
        "manifest.json",
    ] {
        let key = format!("{}/{prefix}/{object}", story.namespace);
        assert!(listed.contains(&key), "{key} is gone:\n{listed}");
    }
}
