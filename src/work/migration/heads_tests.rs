//! Heads and a store that does not take them (M5, M6).

use super::*;
use crate::objects::{Fault, Flaky, Memory, Operation, When};

fn heads(store: Arc<dyn ObjectStore>) -> Heads {
    Heads {
        store,
        about: Head {
            format: FORMAT_VERSION,
            namespace: "shop".to_owned(),
            run: "add-note".to_owned(),
            run_uid: "u".to_owned(),
            version: String::new(),
            direction: "up".to_owned(),
            head: String::new(),
            head_at: None,
            plan_hash: "p".to_owned(),
            system_identifier: "1".to_owned(),
            database: "shop".to_owned(),
        },
        kept: BTreeMap::new(),
        owed: Mutex::default(),
        patience: PATIENCE,
        pause: Duration::ZERO,
    }
}

fn whole(place: usize, head: &str) -> Whole {
    Whole {
        place,
        version: place.to_string(),
        name: format!("{place}_a.sql"),
        head: head.to_owned(),
        at: None,
    }
}

fn fault(call: u64, when: When) -> Fault {
    Fault {
        operation: Operation::Put,
        call,
        when,
        reason: Reason::StoreUnreachable,
    }
}

#[tokio::test]
async fn m6_a_head_is_written_once_and_another_one_ends_the_run() {
    let memory = Arc::new(Memory::new());
    let first = heads(memory.clone());
    first.keep(&whole(1, "a")).await.unwrap();
    first.keep(&whole(1, "a")).await.unwrap();
    let other = first.keep(&whole(1, "b")).await.unwrap_err();
    assert_eq!(other.reason, Reason::HistoryTouched, "{other}");
    assert!(other.message.contains("migrations/u/1.json"), "{other}");
    assert_eq!(memory.keys(), ["migrations/u/1.json"]);
    assert!(first.settle().await.is_empty());
}

#[tokio::test]
async fn m6_an_answer_that_was_lost_is_an_answer() {
    let memory = Arc::new(Memory::new());
    let flaky = Flaky::new(memory.clone(), vec![fault(1, When::After)]);
    let heads = heads(Arc::new(flaky));
    heads.keep(&whole(1, "a")).await.unwrap();
    assert!(heads.settle().await.is_empty());
    assert_eq!(memory.keys().len(), 1);
}

#[tokio::test]
async fn m6_a_store_that_is_down_holds_nothing_up_and_is_told_of() {
    let memory = Arc::new(Memory::new());
    let down = |calls: &[u64]| {
        let faults = calls.iter().map(|call| fault(*call, When::Before));
        Arc::new(Flaky::new(memory.clone(), faults.collect()))
    };
    // Both tries of the first file; the second file is not tried; all is there in the end.
    let store = down(&[1, 2]);
    let late = heads(store.clone());
    for place in 1..=2 {
        late.keep(&whole(place, "a")).await.unwrap();
    }
    assert_eq!((memory.keys().len(), store.calls(Operation::Put)), (0, 2));
    assert!(late.settle().await.is_empty());
    assert_eq!(memory.keys().len(), 2);
    let never = heads(down(&[0]));
    never.keep(&whole(3, "a")).await.unwrap();
    let told = never.settle().await;
    assert_eq!(told.len(), 1);
    let told = told.join("");
    assert!(
        told.starts_with("1 of") && told.contains("migrations/u/3.json"),
        "{told}"
    );
}

#[test]
fn m5_a_history_that_was_set_back_is_found_out() {
    let mut heads = heads(Arc::new(Memory::new()));
    let (now, back) = (
        History {
            rows: Vec::new(),
            head: "a".to_owned(),
        },
        History::default(),
    );
    heads.stand_in(&back).unwrap();
    heads.kept.insert(
        1,
        Head {
            head: "a".to_owned(),
            version: "7".to_owned(),
            ..heads.about.clone()
        },
    );
    heads.stand_in(&now).unwrap();
    let stop = heads.stand_in(&back).unwrap_err();
    assert_eq!(stop.reason, Reason::HistoryRewound);
    assert!(stop.message.contains("version 7"), "{stop}");
}
