//! What a migration that is applied leaves behind and holds to: heads in the store, rows as many as rehearsed, nothing new around it
//! (M5, M6, M8, M9).

use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::objects::PutMode;
use lifeboat::postgres::migrate::read_history;
use lifeboat::task::{SettleTask, StepTask, TaskResult};
use lifeboat::work::migration::documents;
use serde_json::Value;

use crate::migrates::{FILES, Shop, UID, applied};
use crate::runs::{FIRST, SECOND};

const THIRD: &str = "2a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
const SMALL: u64 = 64 * 1024;

fn key(place: usize) -> String {
    format!("migrations/{UID}/{place}.json")
}

async fn bytes(shop: &Shop, place: usize) -> Bytes {
    shop.store().get(&key(place), SMALL).await.unwrap()
}

async fn head(shop: &Shop, place: usize) -> Value {
    serde_json::from_slice(&bytes(shop, place).await).unwrap()
}

async fn settle(shop: &Shop, hash: &str) -> TaskResult {
    let step = SettleTask {
        plan_hash: hash.to_owned(),
        evidence_key: None,
        evidence_hash: None,
    };
    shop.step(StepTask::Settle(Box::new(step)), SECOND).await
}

/// M5, M6: after each file the store knows the head of the history, once and to the byte; who is missing one writes it. A database
/// that was set back is found out by it, before anything of it is touched.
#[tokio::test(flavor = "multi_thread")]
async fn m6_the_store_knows_what_was_applied_and_the_database_cannot_forget_it() {
    let shop = Shop::new(FILES).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    shop.prove().await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step.clone(), FIRST).await;
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
    assert!(applied(&result).differences.is_empty(), "{result:?}");
    let session = shop.server.session("shop").await;
    let history = read_history(&session.client).await.unwrap();
    for (place, version) in [(1, "1"), (2, "2")] {
        let head = head(&shop, place).await;
        for (field, want) in [
            ("namespace", "shop"),
            ("run", "add-note"),
            ("runUid", UID),
            ("version", version),
            ("direction", "up"),
            ("planHash", hash.as_str()),
            ("database", "shop"),
            ("systemIdentifier", &history.rows[0].system_identifier),
        ] {
            assert_eq!(head[field], want, "{field}: {head}");
        }
        assert!(history.had(head["head"].as_str().unwrap()), "{head}");
        assert!(head["headAt"].is_string(), "{head}");
    }
    assert_eq!(head(&shop, 2).await["head"], history.head.as_str());

    let (store, first, second) = (shop.store(), bytes(&shop, 1).await, bytes(&shop, 2).await);
    store.delete(&key(1)).await.unwrap();
    let settled = settle(&shop, &hash).await;
    assert_eq!(settled.reason, Reason::Succeeded, "{}", settled.message);
    assert_eq!(bytes(&shop, 1).await, first, "the same to the byte");

    // One that the history had, at another file.
    let one = key(1);
    let put = store.put(&one, second, PutMode::Overwrite);
    put.await.unwrap();
    let touched = settle(&shop, &hash).await;
    assert_eq!(
        touched.reason,
        Reason::HistoryTouched,
        "{}",
        touched.message
    );
    assert!(touched.message.contains(&key(1)), "{}", touched.message);
    let put = store.put(&one, first, PutMode::Overwrite);
    put.await.unwrap();

    shop.server
        .sql(
            "shop",
            "DROP SCHEMA lifeboat CASCADE; DROP INDEX orders_total; ALTER TABLE orders DROP COLUMN note",
        )
        .await;
    for result in [shop.step(step, THIRD).await, settle(&shop, &hash).await] {
        assert_eq!(result.reason, Reason::HistoryRewound, "{}", result.message);
        assert!(result.message.contains(&key(1)), "{}", result.message);
        assert_eq!((applied(&result).applied, applied(&result).of), (0, 2));
    }
    assert_eq!(shop.columns().await, 2, "nothing is touched");
}

/// M8: a statement that finds no row, where it found many in the rehearsal, undoes its segment; a few rows more are none the matter.
#[tokio::test(flavor = "multi_thread")]
async fn m8_a_statement_that_writes_other_rows_than_rehearsed_undoes_itself() {
    let note =
        "ALTER TABLE orders ADD COLUMN note text;\nUPDATE orders SET note = 'x' WHERE total > 10";
    let files = [("1_note.sql", note), FILES[1], FILES[2], FILES[3]];
    let shop = Shop::new(&files).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    assert_eq!(seen.files[0].segments[0].statements[1].rows, Some(40));
    shop.prove().await;
    let orders = |sql: &'static str| shop.server.sql("shop", sql);
    orders("UPDATE orders SET total = 0").await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step.clone(), FIRST).await;
    assert_eq!(result.reason, Reason::NotAsRehearsed, "{}", result.message);
    let says = "statement 2 of 1_note.sql (line 2) wrote 0 rows, and 40 in the rehearsal";
    assert!(result.message.contains(says), "{}", result.message);
    assert_eq!((applied(&result).applied, applied(&result).of), (0, 2));
    assert!(!applied(&result).begun);
    assert_eq!(shop.columns().await, 2, "nothing of the segment stands");
    orders("UPDATE orders SET total = id; INSERT INTO orders SELECT g, g FROM generate_series(51, 60) AS g").await;
    let result = shop.step(step, SECOND).await;
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
    assert_eq!(shop.columns().await, 3);
}

/// M8, M18: a statement in batches goes the whole way: planned, rehearsed, applied, and rows of another order are seen at its end.
#[tokio::test(flavor = "multi_thread")]
async fn m18_batches_go_the_way_of_every_statement() {
    let batches =
        "-- lifeboat: batch 20 by id\nUPDATE orders SET total = total + 1 WHERE total > 10";
    let files = [
        ("1_total.sql", batches),
        (
            "1_total.sql.down",
            "UPDATE orders SET total = total - 1 WHERE total > 11",
        ),
        FILES[2],
        FILES[3],
    ];
    let shop = Shop::new(&files).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    let segment = &seen.files[0].segments[0];
    assert_eq!(
        (segment.batches, segment.statements[0].rows),
        (Some(3), Some(40))
    );
    shop.prove().await;
    let orders = |sql: &'static str| shop.server.sql("shop", sql);
    orders("UPDATE orders SET total = 0").await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step.clone(), FIRST).await;
    assert_eq!(result.reason, Reason::NotAsRehearsed, "{}", result.message);
    let says = "the batches of 1_total.sql (line 2) have written 0 rows, and 40 in the rehearsal";
    assert!(result.message.contains(says), "{}", result.message);
    orders("UPDATE orders SET total = id").await;
    let result = shop.step(step, SECOND).await;
    // Those behind the place are not met again.
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
}

/// M9, M22: what surrounds the statements is part of the plan; an event trigger that came since is met by none of them.
#[tokio::test(flavor = "multi_thread")]
async fn m9_an_event_trigger_that_came_after_the_rehearsal_is_met_by_no_statement() {
    let shop = Shop::new(FILES).await;
    shop.server
        .sql("shop", "ALTER ROLE app SET work_mem = '5MB'")
        .await;
    let hash = shop.planned().await;
    let store = shop.store();
    let frozen = documents::plan(store.as_ref(), &hash, &shop.spec);
    let around = frozen.await.unwrap().surroundings;
    assert_eq!(around.settings["work_mem"], "5120kB", "the role's own");
    assert!(around.settings.contains_key("maintenance_work_mem"));
    assert!(around.event_triggers.is_empty());
    let seen = shop.rehearsed(&hash).await;
    let lower = seen
        .notes
        .iter()
        .find(|n| n.contains("the scratch server has"));
    assert_eq!(lower, None);
    shop.prove().await;
    let guard = "CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; \
        CREATE EVENT TRIGGER guard ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION guard()";
    shop.server.sql("shop", guard).await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step.clone(), FIRST).await;
    assert_eq!(result.reason, Reason::NotAsRehearsed, "{}", result.message);
    let says = "guard (ddl_command_end); nothing was begun";
    assert!(result.message.contains(says), "{}", result.message);
    assert_eq!(shop.columns().await, 2);
    shop.server
        .sql("shop", "ALTER EVENT TRIGGER guard DISABLE")
        .await;
    let result = shop.step(step, SECOND).await;
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
}

/// M5: a file whose row somebody deleted looks as if it was never applied. The plan does not say so, nor advises another version.
#[tokio::test(flavor = "multi_thread")]
async fn m5_a_deleted_row_of_the_history_is_named_by_the_plan() {
    let shop = Shop::new(FILES).await;
    let hash = shop.planned().await;
    let seen = shop.rehearsed(&hash).await;
    shop.prove().await;
    let step = StepTask::Apply(Box::new(shop.apply(&hash, &seen)));
    let result = shop.step(step, FIRST).await;
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
    let delete = "DELETE FROM lifeboat.migration_history WHERE version = '1'";
    shop.server.sql("shop", delete).await;
    let result = shop.step(StepTask::Plan, THIRD).await;
    assert_eq!(result.reason, Reason::HistoryTouched, "{}", result.message);
    let says = "(2) was deleted or changed, so what is applied is not known: 1_note.sql was never applied, and 2 was";
    assert!(result.message.contains(says), "{}", result.message);
}
