//! Needs: servers
//!
//! The suite of stores against real servers. Needs their binaries: `make tools`, or `MINIO` and `VERSITYGW` naming them. What else was tried,
//! and by what: docs/stores.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "objects_servers/clocks.rs"]
mod clocks;
#[path = "objects_servers/faults.rs"]
mod faults;
#[path = "support/minio.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod minio;
#[path = "objects_servers/proxied.rs"]
mod proxied;
#[path = "support/proxy.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod proxy;
#[path = "support/suite.rs"]
mod suite;
#[path = "support/versitygw.rs"]
mod versitygw;

use std::sync::Arc;

use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::objects::{ObjectStore, PutMode, S3, probe};
use lifeboat::task::StoreTask;
use minio::{PASSWORD, USER};
use rstest::rstest;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Minio,
    Versitygw,
}

/// One that runs.
enum Running {
    Minio(minio::Minio),
    Versitygw(versitygw::Versitygw),
}

impl Kind {
    async fn start(self) -> Running {
        match self {
            Self::Minio => Running::Minio(minio::start().await),
            Self::Versitygw => Running::Versitygw(versitygw::start().await),
        }
    }
}

impl Running {
    fn task(&self, id: &str, secret: &str) -> StoreTask {
        match self {
            Self::Minio(server) => server.task(id, secret),
            Self::Versitygw(server) => server.task(id, secret),
        }
    }

    fn endpoint(&self) -> &str {
        match self {
            Self::Minio(server) => &server.endpoint,
            Self::Versitygw(server) => &server.endpoint,
        }
    }

    fn store(&self) -> Arc<S3> {
        Arc::new(S3::from_task(&self.task(USER, PASSWORD)).unwrap())
    }
}

#[rstest]
#[case::minio(Kind::Minio)]
#[case::versitygw(Kind::Versitygw)]
#[tokio::test]
async fn a_real_server_does_what_a_store_must(#[case] kind: Kind) {
    let server = kind.start().await;
    suite::run(server.store(), 5 * 1024 * 1024).await;
}

#[rstest]
#[case::minio(Kind::Minio)]
#[case::versitygw(Kind::Versitygw)]
#[tokio::test]
async fn a_real_server_pages_through_more_keys_than_a_page_holds(#[case] kind: Kind) {
    use futures::StreamExt;
    let server = kind.start().await;
    let store = server.store();
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

#[rstest]
#[case::minio(Kind::Minio)]
#[case::versitygw(Kind::Versitygw)]
#[tokio::test]
async fn a_real_server_refuses_wrong_credentials_with_their_reason(#[case] kind: Kind) {
    let server = kind.start().await;
    for (id, secret) in [
        ("nobody-known", PASSWORD),
        (USER, "not-the-password-at-all"),
    ] {
        let store = S3::from_task(&server.task(id, secret)).unwrap();
        let (found, outcome) = probe(&store).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.reason(), Reason::StoreCredentialsInvalid, "{error}");
        assert_eq!(found.credentials_valid, Some(false));
        assert!(!error.to_string().contains(secret), "{error}");
    }
}

#[rstest]
#[case::minio(Kind::Minio)]
#[case::versitygw(Kind::Versitygw)]
#[tokio::test]
async fn a_real_server_names_a_bucket_that_is_missing(#[case] kind: Kind) {
    let server = kind.start().await;
    let task = StoreTask {
        bucket: "shop-gone".to_owned(),
        ..server.task(USER, PASSWORD)
    };
    let (found, outcome) = probe(&S3::from_task(&task).unwrap()).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.reason(), Reason::BucketNotFound, "{error}");
    assert_eq!(found.writable, Some(false));
}

#[rstest]
#[case::minio_takes_any(Kind::Minio, None)]
#[case::versitygw_wants_its_own(Kind::Versitygw, Some("us-east-1"))]
#[tokio::test]
async fn a_wrong_region_is_named_with_the_right_one_where_a_server_minds(
    #[case] kind: Kind,
    #[case] wanted: Option<&str>,
) {
    let server = kind.start().await;
    let task = StoreTask {
        region: Some("eu-central-1".to_owned()),
        ..server.task(USER, PASSWORD)
    };
    let (found, outcome) = probe(&S3::from_task(&task).unwrap()).await;
    let Some(wanted) = wanted else {
        outcome.unwrap();
        assert_eq!(found.writable, Some(true));
        return;
    };
    let error = outcome.unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidSpec, "{error}");
    let says = format!("set s3.region to {wanted}");
    assert!(error.to_string().contains(&says), "{error}");
    assert_ne!(found.writable, Some(true));
}
