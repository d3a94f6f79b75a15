//! Each task of the operator is seen to: one that ends is told of, so that the process ends with it.
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

use std::sync::Arc;
use std::time::Duration;

use apiserver::shared;
use kube::Client;
use lifeboat::cluster::SystemClock;
use lifeboat::cluster::operator::{Parts, Running, start};
use lifeboat::telemetry::Metrics;
use lifeboat::telemetry::probes::Health;
use lifeboat::workload::Settings;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

async fn launch(namespace: &str, health: &Health, stop: &CancellationToken) -> Running {
    let parts = Parts {
        client: Client::try_from(shared().operator_config().await).unwrap(),
        settings: Settings::any_image(),
        clock: Arc::new(SystemClock),
        metrics: Metrics::new(),
        namespace: Some(namespace.to_owned()),
        health: health.clone(),
        scopes: Arc::default(),
    };
    let running = start(parts, stop);
    running.context.caches.synced().await.unwrap();
    running
}

/// S5: every watch, the controllers and the reader of logs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_task_that_ends_is_told_whichever_it_is() {
    let namespace = shared().namespace("supervised");
    let health = Health::default();
    let mut names = Vec::new();
    for number in 0.. {
        let stop = CancellationToken::new();
        let mut running = launch(&namespace, &health, &stop).await;
        let Some((name, task)) = running.tasks.get(number).cloned() else {
            stop.cancel();
            running.ended().await;
            break;
        };
        names.push(name.clone());
        task.abort();
        let what = tokio::time::timeout(PATIENCE, running.broken()).await;
        assert_eq!(what.unwrap(), format!("{name} was ended"));
        stop.cancel();
    }
    let of = |what: &str| format!("{what} in namespace {namespace}");
    let kinds = [
        "BackupStore",
        "BackupPolicy",
        "Backup",
        "RestoreDrill",
        "MigrationRun",
        "MigrationApproval",
        "Job",
        "Pod",
    ];
    let watches = kinds.iter().map(|kind| of(&format!("the watch of {kind}")));
    let others = ["the reader of logs", "the controllers"].map(of);
    let wanted: Vec<String> = watches.chain(others).collect();
    assert_eq!(names, wanted);
    assert_eq!(health.is_alive(std::time::Instant::now()), Ok(()));
}

/// What is told to stop is no failure.
#[tokio::test]
async fn a_stop_is_no_failure() {
    let namespace = shared().namespace("stopped");
    let (health, stop) = (Health::default(), CancellationToken::new());
    let mut running = launch(&namespace, &health, &stop).await;
    stop.cancel();
    let quiet = tokio::time::timeout(Duration::from_secs(2), running.broken()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    running.ended().await;
}
