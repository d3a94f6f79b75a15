//! Needs: servers
//!
//! The suite of stores against a real MinIO. Needs its binary: `make tools`, or `MINIO` naming one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "objects_minio/clocks.rs"]
mod clocks;
#[path = "support/minio.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod minio;
#[path = "objects_minio/proxied.rs"]
mod proxied;
#[path = "support/suite.rs"]
mod suite;

use std::sync::Arc;

use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::objects::{ObjectStore, PutMode, S3, probe};
use lifeboat::task::StoreTask;
use minio::{Minio, PASSWORD, USER};

fn store(minio: &Minio, id: &str, secret: &str) -> Arc<S3> {
    Arc::new(S3::from_task(&minio.task(id, secret)).unwrap())
}

#[tokio::test]
async fn minio_does_what_a_store_must() {
    let minio = minio::start().await;
    suite::run(store(&minio, USER, PASSWORD), 5 * 1024 * 1024).await;
}

#[tokio::test]
async fn minio_pages_through_more_keys_than_a_page_holds() {
    use futures::StreamExt;
    let minio = minio::start().await;
    let store = store(&minio, USER, PASSWORD);
    let keys: Vec<String> = (0..1_100).map(|i| format!("many/{i:05}")).collect();
    futures::stream::iter(&keys)
        .for_each_concurrent(16, |key| async {
            let put = store.put(key, Bytes::new(), PutMode::Overwrite).await;
            put.unwrap();
        })
        .await;
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store
            .list("many/", lifeboat::objects::Depth::All, after.as_deref())
            .await
            .unwrap();
        found.extend(page.objects.into_iter().map(|o| o.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, keys);
}

#[tokio::test]
async fn minio_refuses_wrong_credentials_with_their_reason() {
    let minio = minio::start().await;
    for (id, secret) in [
        ("nobody-known", PASSWORD),
        (USER, "not-the-password-at-all"),
    ] {
        let (found, outcome) = probe(store(&minio, id, secret).as_ref()).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.reason(), Reason::StoreCredentialsInvalid, "{error}");
        assert_eq!(found.credentials_valid, Some(false));
        assert!(!error.to_string().contains(secret), "{error}");
    }
}

#[tokio::test]
async fn minio_names_a_bucket_that_is_missing() {
    let minio = minio::start().await;
    let task = StoreTask {
        bucket: "shop-gone".to_owned(),
        ..minio.task(USER, PASSWORD)
    };
    let (found, outcome) = probe(&S3::from_task(&task).unwrap()).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.reason(), Reason::BucketNotFound, "{error}");
    assert_eq!(found.writable, Some(false));
}
