//! Several migrations of one database: one at a time, the lowest version first, whichever policies they name (M23).

use crate::migrators::{BASELINE, Keeper, LONG, RUN, SEATS, Shop, run, unit, why};
use crate::policy;

/// Waits until the run stands in line behind another one, and says so.
fn behind(shop: &Shop, name: &str, other: &str) -> serde_json::Value {
    let what = format!("queued behind {other}");
    shop.story.await_object(RUN, name, &what, LONG, |o| {
        let told = o["status"]["conditions"].is_array().then(|| why(o));
        told.is_some_and(|(reason, message)| reason == "Queued" && message.contains(other))
    })
}

/// A file that leaves one row.
fn plain(version: u32) -> (String, String) {
    let text = format!("INSERT INTO steps VALUES ('{version}');\n");
    (format!("{version}_plain.sql"), text)
}

/// M23: of one database, not of one policy.
#[test]
fn migrations_of_one_database_take_turns_whatever_their_policies() {
    let shop = Shop::open("migration-queue", SEATS);
    policy(&shop.story, "other", "db", "ca");
    shop.drills("of-other", "other");
    shop.files("two", &[unit(1), plain(2)]);
    shop.files("three", &[unit(1), plain(2), plain(3)]);
    let hold: Keeper = shop.holds("alpha", 1, BASELINE);
    shop.asks("beta", "two", "2", BASELINE);
    let beta = behind(&shop, "beta", "alpha");
    assert!(beta["status"]["plan"].is_null(), "{beta:#}");
    let gamma = run("gamma", "three", "3", BASELINE)
        .replace("policyRef: {name: shop}", "policyRef: {name: other}")
        .replace("drillRef: {name: weekly}", "drillRef: {name: of-other}");
    shop.create("ada", &gamma).unwrap();
    let gamma = behind(&shop, "gamma", "alpha");
    // Its plan is of the time before alpha, and nobody has to look at one that holds no longer.
    assert_eq!(gamma["status"]["overtakenBy"], "alpha", "{gamma:#}");
    drop(hold);
    shop.done("alpha");

    let planned = |name: &str| {
        let run = shop.story.await_object(RUN, name, "planned", LONG, |o| {
            let files = &o["status"]["plan"]["files"];
            files[0]["version"] == "2"
        });
        run["status"]["plan"]["files"].as_array().unwrap().len()
    };
    assert_eq!(planned("beta"), 1);
    behind(&shop, "gamma", "beta");
    shop.deletes("beta");
    assert_eq!(planned("gamma"), 2);
    let waiting = shop.waits("gamma");
    assert!(waiting["status"]["overtakenBy"].is_null(), "{waiting:#}");
    shop.approves(&waiting, "grace");
    shop.done("gamma");
    assert_eq!(shop.steps(), "1 begins, 1 ends, 2, 3");
    let all = "up 1 0 done, up 1 1 done, up 1 2 done, up 2 0 done, up 3 0 done";
    assert_eq!(shop.history(), all);
    shop.is_clean();
    shop.story.end();
}
