//! Migrations that are cut off: the operator dies, workers die, the run or its whole namespace is deleted. What was begun comes
//! to its end once, or leaves nothing.

use std::process::Command;

use crate::drill_places::processes_of;
use crate::migrators::{BASELINE, BEGUN, HELD, Keeper, LONG, RUN, SEATS, Shop, UNBUILT};
use crate::{A_RUN, demo};

/// Pods of workers at the database.
const APPLY: &str = "lifeboat.dev/task=migration,lifeboat.dev/step=apply";

/// From its first segment to its index, which waits until the sale is through.
fn goes_on_to_its_index(shop: &Shop, hold: Keeper) -> Keeper {
    let writer = Keeper::writer(shop);
    drop(hold);
    shop.until("the index is begun", BEGUN);
    writer
}

fn kill_the_operator(shop: &Shop) {
    let operator = [
        "-n",
        "lifeboat-system",
        "delete",
        "pods",
        "--all",
        "--grace-period=0",
        "--force",
    ];
    shop.story.plain(&operator);
}

/// The worker's process, as a node that runs out of memory would.
fn kill_the_worker(shop: &Shop) {
    let pods = [
        "get",
        "pods",
        "-l",
        APPLY,
        "--field-selector=status.phase=Running",
        "-o",
        "jsonpath={.items[*].metadata.uid}",
    ];
    let uid = shop.story.kubectl(&pods);
    assert_eq!(uid.split_whitespace().count(), 1, "one pod: {uid}");
    let is_worker = |process: &String| {
        let name = std::fs::read_to_string(format!("/proc/{process}/comm"));
        name.is_ok_and(|name| name.trim() == "lifeboat")
    };
    let workers: Vec<String> = processes_of(&uid).into_iter().filter(is_worker).collect();
    assert_eq!(workers.len(), 1, "the worker of {uid}: {workers:?}");
    let killed = Command::new("kill").arg("-KILL").args(&workers).status();
    assert!(killed.unwrap().success());
}

/// M5, P6: a worker needs no operator, and an operator that starts finds the worker that it has.
#[test]
fn a_migration_outlives_the_operator() {
    let shop = Shop::open("migration-operator", SEATS);
    let hold = shop.holds("outlives", 1, BASELINE);
    // The demo shows the operator's metrics; it must be through with that.
    demo::printed(None);
    kill_the_operator(&shop);
    let writer = goes_on_to_its_index(&shop, hold);
    kill_the_operator(&shop);
    drop(writer);
    let done = shop.done("outlives");
    let attempts = &done["status"]["attempts"];
    assert_eq!(attempts["apply"], 1, "one worker: {done:#}");
    assert_eq!(attempts["settle"], 0, "{done:#}");
    assert_eq!(shop.history(), "up 1 0 done, up 1 1 done, up 1 2 done");
    assert_eq!(shop.steps(), "1 begins, 1 ends");
    let attempts = "SELECT count(DISTINCT attempt) FROM lifeboat.migration_history";
    assert_eq!(shop.sql(attempts), "1");
    shop.is_clean();
    shop.story
        .await_none("jobs", "lifeboat.dev/task=migration", A_RUN);
    shop.story.end();
}

/// M1, M4, M5: what a worker that said nothing has begun is seen to its end, and another one goes on from there.
#[test]
fn a_worker_that_is_killed_is_looked_after_and_another_goes_on() {
    let shop = Shop::open("migration-worker", SEATS);
    let hold = shop.holds("killed", 1, BASELINE);
    kill_the_worker(&shop);
    let settled = shop.settled("killed", 1);
    assert_eq!(settled["status"]["execution"]["applied"], 0, "{settled:#}");
    assert_eq!(shop.steps(), "", "a transaction undoes itself");
    assert_eq!(shop.history(), "");

    // Nothing of it stands: it begins anew.
    shop.until("a second worker is held", HELD);
    let writer = goes_on_to_its_index(&shop, hold);
    let gone = ["delete", "pods", "-l", APPLY, "--grace-period=0", "--force"];
    shop.story.kubectl(&gone);
    shop.story.await_none("pods", APPLY, A_RUN);
    shop.until("nobody builds the index", UNBUILT);
    drop(writer);
    let settled = shop.settled("killed", 2);
    assert_eq!(settled["status"]["execution"]["applied"], 1, "{settled:#}");
    shop.is_clean();
    assert_eq!(shop.history(), "up 1 0 done, up 1 1 failed");

    let done = shop.done("killed");
    assert_eq!(done["status"]["attempts"]["apply"], 3, "{done:#}");
    let all = "up 1 0 done, up 1 1 failed, up 1 1 done, up 1 2 done";
    assert_eq!(shop.history(), all);
    assert_eq!(shop.steps(), "1 begins, 1 ends");
    shop.is_clean();
    shop.story.end();
}

/// M24: deletion ends the worker first, which takes away what is not valid; so does deletion of everything around it. What
/// stands stays, and another run goes on from there.
#[test]
fn a_migration_that_is_deleted_leaves_nothing_half_done() {
    let shop = Shop::open("migration-leaves", SEATS);
    let story = &shop.story;
    let hold = shop.holds("leaves", 1, BASELINE);
    let writer = goes_on_to_its_index(&shop, hold);
    story.kubectl(&["delete", RUN, "leaves", "--wait=false"]);
    shop.until("nobody builds the index", UNBUILT);
    let started = "SELECT EXISTS (SELECT FROM lifeboat.migration_history WHERE state = 'started')";
    assert_eq!(shop.sql(started), "t", "what it left cannot be removed yet");
    assert!(story.get(RUN, "leaves").is_some(), "its worker is at work");
    drop(writer);
    story.await_gone(RUN, "leaves", LONG);
    shop.is_clean();
    assert_eq!(shop.history(), "up 1 0 done, up 1 1 failed");
    story.await_none("jobs", "lifeboat.dev/task=migration", A_RUN);
    story.await_none("pods", "lifeboat.dev/task=migration", A_RUN);

    // Another run goes on with the first file, and is in its own when all around it goes.
    let hold = shop.holds("goes", 2, "");
    assert_eq!(shop.steps(), "1 begins, 1 ends");
    let writer = goes_on_to_its_index(&shop, hold);
    let namespace = ["delete", "namespace", &story.namespace, "--wait=false"];
    story.plain(&namespace);
    shop.until("nobody builds the index", UNBUILT);
    drop(writer);
    story.await_gone("namespace", &story.namespace, LONG);
    shop.is_clean();
    let all = "up 1 0 done, up 1 1 failed, up 1 1 done, up 1 2 done, up 2 0 done, up 2 1 failed";
    assert_eq!(shop.history(), all);
    assert_eq!(shop.steps(), "1 begins, 1 ends, 2 begins");
}
