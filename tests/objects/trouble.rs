//! Stores with too much to do, lines that flip bits, and what a store cannot.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::codec::{Codec, Limits, ObjectWriter};
use lifeboat::manifest::ObjectRole;
use lifeboat::objects::{ObjectStore, Operation, PutMode, S3, probe};

use crate::s3_server::{Manners, Server, start};
use crate::suite;

/// Bytes of a part that S3 takes.
const PART: usize = 5 * 1024 * 1024;

async fn patient(manners: Manners, whole: Duration) -> (Server, Arc<S3>) {
    let server = start(manners).await;
    let store = S3::from_task(&server.task("prod/a")).unwrap();
    (server, Arc::new(store.patient(whole)))
}

/// Uploads more than two parts, and reads them back.
async fn carried(store: &Arc<S3>) {
    let codec = Codec {
        zstd: None,
        recipients: None,
    };
    let limits = Limits {
        part_bytes: PART,
        parts_per_object: 100,
        parts_in_flight: 2,
    };
    let bytes = suite::noise(2 * PART + 7);
    let role = ObjectRole::Dump;
    let mut writer =
        ObjectWriter::new(store.clone(), "p", "dump.pgc", role, &codec, limits).unwrap();
    writer.write(&bytes).await.unwrap();
    let infos = writer.finish().await.unwrap();
    assert_eq!(infos.len(), 1);
    let key = format!("p/{}", infos[0].name);
    let back = store.get(&key, u64::MAX).await.unwrap();
    assert!(back == bytes, "the stream came back changed");
}

#[tokio::test]
async fn an_upload_outlasts_a_store_that_asks_to_slow_down() {
    let manners = Manners {
        busy: 12,
        ..Manners::default()
    };
    let (_server, store) = patient(manners, Duration::from_secs(20)).await;
    carried(&store).await;
}

#[tokio::test]
async fn a_store_that_asks_to_slow_down_for_good_is_given_up_in_time_and_said_so() {
    let manners = Manners {
        busy: usize::MAX,
        ..Manners::default()
    };
    let (_server, store) = patient(manners, Duration::from_secs(2)).await;
    for mode in [PutMode::Overwrite, PutMode::CreateOnly] {
        let began = Instant::now();
        let error = store.put("k", Bytes::new(), mode).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(error.reason(), Reason::StoreFailed, "{error}");
        let text = error.to_string();
        assert!(
            text.contains("SlowDown") && text.contains("(tried "),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_upload_that_is_completed_with_an_error_in_a_success_is_completed_again() {
    let manners = Manners {
        completes_late: 2,
        ..Manners::default()
    };
    let (_server, store) = patient(manners, Duration::from_secs(20)).await;
    carried(&store).await;
}

#[tokio::test]
async fn a_part_that_lost_a_bit_is_refused_and_sent_again() {
    let manners = Manners {
        flips: 2,
        ..Manners::default()
    };
    let (server, store) = patient(manners, Duration::from_secs(20)).await;
    carried(&store).await;
    let (with, without) = (&server.sums.0, &server.sums.1);
    assert_eq!(
        with.load(Ordering::SeqCst),
        5,
        "three parts, two of them twice"
    );
    assert_eq!(without.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_store_that_refuses_checksums_is_asked_once_and_then_written_to_without() {
    let manners = Manners {
        refuses_checksums: true,
        ..Manners::default()
    };
    let (server, store) = patient(manners, Duration::from_secs(20)).await;
    let body = Bytes::from_static(b"x");
    for key in ["a", "b", "c"] {
        let put = store.put(key, body.clone(), PutMode::CreateOnly).await;
        put.unwrap();
    }
    carried(&store).await;
    let (with, without) = (&server.sums.0, &server.sums.1);
    assert_eq!(with.load(Ordering::SeqCst), 1);
    assert_eq!(without.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_store_that_cannot_complete_an_upload_is_found_by_the_probe() {
    let manners = Manners {
        completes_nothing: true,
        ..Manners::default()
    };
    let (_server, store) = patient(manners, Duration::from_secs(20)).await;
    let (found, outcome) = probe(store.as_ref()).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.operation(), Operation::Complete);
    assert!(error.to_string().contains("complete the upload"), "{error}");
    assert_ne!(found.writable, Some(true));
}
