//! The worker that comes after another one of its run: what was begun is gone on with, what was not is asked about anew (M7).

use std::collections::BTreeMap;

use lifeboat::api::Reason;
use lifeboat::manifest::{Kept, kept};
use lifeboat::objects::PutMode;
use lifeboat::plan::Plan;
use lifeboat::postgres::Target;
use lifeboat::postgres::migrate::{Acting, Limits, Order, Unseen, Worker, apply};
use lifeboat::task::StepTask;
use lifeboat::work::archive;
use lifeboat::work::migration::documents;
use lifeboat::work::{clock, pins};
use tokio_util::sync::CancellationToken;

use crate::migrates::{FILES, Shop, UID};
use crate::runs::{FIRST, SECOND};

/// The first worker of the run, which comes as far as the history, and dies before its first segment.
async fn comes_to_the_history(shop: &Shop, hash: &str) {
    let store = shop.store();
    let frozen = documents::plan(store.as_ref(), hash, &shop.spec);
    let plan = frozen.await.unwrap().plan;
    let order = Order {
        plan: Plan {
            files: Vec::new(),
            ..plan
        },
        worker: Worker {
            run_uid: UID.to_owned(),
            run: "shop/add-note".to_owned(),
            attempt: FIRST.to_owned(),
            plan_hash: hash.to_owned(),
            approved_by: Vec::new(),
            backup: "shop-1".to_owned(),
        },
        acting: Acting {
            role: None,
            search_path: "public".to_owned(),
        },
        limits: Limits::default(),
        rehearsed: BTreeMap::new(),
        baseline: Some("0".to_owned()),
        supabase: false,
        rehearsal: false,
    };
    let target = Target {
        user: "app".to_owned(),
        ..shop.server.target("shop")
    };
    let stop = CancellationToken::new();
    let began = apply(&target, &order, &Unseen, &stop).await.unwrap();
    assert_eq!(began.history.rows.len(), 1, "the baseline");
}

/// M7: between two workers of which the first began nothing, everything may have changed.
#[tokio::test(flavor = "multi_thread")]
async fn m7_a_worker_after_one_that_began_nothing_asks_every_gate_again() {
    let shop = Shop::new(FILES).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    shop.prove().await;
    comes_to_the_history(&shop, &hash).await;
    let by_hand = "ALTER TABLE orders ALTER total DROP NOT NULL";
    shop.server.sql("shop", by_hand).await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step, SECOND).await;
    assert_eq!(result.reason, Reason::NotAsRehearsed, "{}", result.message);
    assert_eq!(shop.columns().await, 2, "nothing is touched");
}

/// M7: a backup of which a part is missing is not whole, whatever its manifest says.
#[tokio::test(flavor = "multi_thread")]
async fn m7_a_backup_without_its_dump_stands_behind_nothing() {
    let shop = Shop::new(FILES).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    shop.prove().await;
    let store = shop.store();
    let (manifest, _) = archive::manifest(store.as_ref(), &shop.at).await.unwrap();
    for (number, object) in manifest.objects.iter().enumerate() {
        let key = format!("{}/{}", shop.at, object.name);
        let bytes = store.get(&key, 1 << 24).await.unwrap();
        store.delete(&key).await.unwrap();
        let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
        // No pod begins twice.
        let pod = format!("{number:08}-0000-4000-8000-000000000000");
        let result = shop.step(step, &pod).await;
        assert_eq!(result.reason, Reason::GateExpired, "{}", result.message);
        assert!(result.message.contains(&key), "{}", result.message);
        assert_eq!(shop.columns().await, 2, "nothing is touched");
        let back = store.put(&key, bytes, PutMode::CreateOnly);
        back.await.unwrap();
    }
}

async fn pinned(shop: &Shop) -> (Vec<i64>, Option<Kept>) {
    let mut pins = pins::pins(shop.store().as_ref(), &shop.at).await.unwrap();
    pins.sort_by_key(|pin| pin.order);
    let kept = kept(&pins, clock::now());
    (pins.iter().map(|pin| pin.order).collect(), kept)
}

/// M7: what stands behind a run is kept from its first statement on: some days where all is good, else until somebody says so.
#[tokio::test(flavor = "multi_thread")]
async fn m7_the_backup_behind_a_run_is_pinned() {
    let mut shop = Shop::new(FILES).await;
    let mut checks = shop.spec.checks.clone().unwrap();
    checks.post[0].index = None;
    checks.post[0].sql = Some("SELECT NOT EXISTS (SELECT FROM orders WHERE id = 1000)".to_owned());
    shop.spec.checks = Some(checks);
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    shop.prove().await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let change =
        "ALTER TABLE orders ALTER total DROP NOT NULL; INSERT INTO orders VALUES (1000, 1)";
    shop.server.sql("shop", change).await;
    let refused = shop
        .step(step.clone(), "00000001-0000-4000-8000-000000000000")
        .await;
    assert_eq!(
        refused.reason,
        Reason::NotAsRehearsed,
        "{}",
        refused.message
    );
    assert_eq!(pinned(&shop).await, (vec![], None), "nothing was begun");

    let back = "ALTER TABLE orders ALTER total SET NOT NULL";
    shop.server.sql("shop", back).await;
    let held = shop
        .step(step.clone(), "00000002-0000-4000-8000-000000000000")
        .await;
    assert_eq!(held.reason, Reason::CheckFailed, "{}", held.message);
    assert_eq!(pinned(&shop).await, (vec![2], Some(Kept::Open)));

    let mended = "DELETE FROM orders WHERE id = 1000";
    shop.server.sql("shop", mended).await;
    let good = shop
        .step(step, "00000003-0000-4000-8000-000000000000")
        .await;
    assert_eq!(good.reason, Reason::Succeeded, "{}", good.message);
    let (orders, kept) = pinned(&shop).await;
    assert_eq!(orders, [2, 3]);
    let week = clock::now() + jiff::SignedDuration::from_hours(7 * 24);
    let hour = jiff::SignedDuration::from_hours(1);
    assert!(
        kept <= Some(Kept::Until(week)) && kept > Some(Kept::Until(week - hour)),
        "{kept:?}"
    );
}

/// M4: on a copy nobody finds out what became of a statement that another run began: no plan is made of what is not known.
#[tokio::test(flavor = "multi_thread")]
async fn m4_what_another_run_began_is_seen_to_its_end_before_anything_is_planned() {
    let shop = Shop::new(FILES).await;
    let hash = shop.planned().await;
    comes_to_the_history(&shop, &hash).await;
    let begun = "INSERT INTO lifeboat.migration_history (version, name, segment, segments, file_sha256, segment_sha256, direction, \
        kind, state, attempt, run_uid, run, plan_hash, approved_by, backup, lifeboat_version, previous, system_identifier, timeline, database_oid) \
        SELECT '1', '1_note.sql', 1, 2, '', '', 'up', 'alone', 'started', 'x', 'another', 'shop/another', '', '{}', '', '', '', \
        system_identifier, timeline, database_oid FROM lifeboat.migration_history WHERE kind = 'baseline'";
    shop.server.sql("shop", begun).await;
    let result = shop.step(StepTask::Plan, SECOND).await;
    assert_eq!(result.reason, Reason::PartlyApplied, "{}", result.message);
    // What it says is what mends it.
    let from = result.message.find("UPDATE").unwrap();
    let to = result.message.rfind(", or 'done'").unwrap();
    shop.server.sql("shop", &result.message[from..to]).await;
    let pod = "00000003-0000-4000-8000-000000000000";
    let result = shop.step(StepTask::Plan, pod).await;
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
}

/// M9: what a run cannot do without is asked for before a backup is made and drilled for it, with the grant that mends it.
#[tokio::test(flavor = "multi_thread")]
async fn m9_rights_that_the_history_needs_are_asked_for_by_the_plan() {
    let mut shop = Shop::new(FILES).await;
    let revoke = "REVOKE CREATE ON DATABASE shop FROM PUBLIC, app";
    shop.server.sql("shop", revoke).await;
    let refused = shop.step(StepTask::Plan, FIRST).await;
    assert_eq!(
        refused.reason,
        Reason::PermissionDenied,
        "{}",
        refused.message
    );
    let grant = &refused.message[refused.message.find("GRANT").unwrap()..];
    assert_eq!(grant, "GRANT CREATE ON DATABASE \"shop\" TO \"app\"");
    shop.server.sql("shop", grant).await;
    let execution = "role: nobody";
    shop.spec.execution = Some(serde_saphyr::from_str(execution).unwrap());
    let refused = shop.step(StepTask::Plan, SECOND).await;
    assert_eq!(refused.reason, Reason::InvalidSpec);
    assert!(
        refused.message.contains("spec.execution.role"),
        "{}",
        refused.message
    );
    shop.spec.execution = None;
    let hash = shop.planned().await;
    comes_to_the_history(&shop, &hash).await;
    let taken = "CREATE ROLE other; ALTER SCHEMA lifeboat OWNER TO other; ALTER TABLE lifeboat.migration_history OWNER TO other";
    shop.server.sql("shop", taken).await;
    let pod = "00000004-0000-4000-8000-000000000000";
    let refused = shop.step(StepTask::Plan, pod).await;
    assert_eq!(refused.reason, Reason::PermissionDenied);
    assert!(
        refused.message.ends_with("GRANT other TO \"app\""),
        "{}",
        refused.message
    );
}

/// M9: whoever may make nothing in the database writes a history in the schema that was made for it.
#[tokio::test(flavor = "multi_thread")]
async fn m9_a_schema_that_was_made_for_the_history_is_enough() {
    let shop = Shop::new(FILES).await;
    let made =
        "REVOKE CREATE ON DATABASE shop FROM PUBLIC, app; CREATE SCHEMA lifeboat AUTHORIZATION app";
    shop.server.sql("shop", made).await;
    let hash = shop.planned().await;
    comes_to_the_history(&shop, &hash).await;
}
