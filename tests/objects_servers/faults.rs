//! A line that cuts, forgets and flips, before a real server: what arrives is whole, or it is not there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::codec::{Codec, CodecError, Limits, ObjectWriter};
use lifeboat::manifest::ObjectRole;
use lifeboat::objects::{ObjectStore, S3, put_new};
use lifeboat::task::StoreTask;
use rstest::rstest;

use crate::minio::{self, PASSWORD, USER};
use crate::proxy::{Proxy, Rule};
use crate::{Kind, Running, suite};

/// Bytes of a part that S3 takes.
const PART: usize = 5 * 1024 * 1024;
const KEY: &str = "p/dump.pgc";

/// A server, and a store that reaches it through the line.
async fn behind(kind: Kind, whole: Duration) -> (Running, Proxy, Arc<S3>) {
    let server = kind.start().await;
    let port = server.endpoint().rsplit(':').next().unwrap();
    let line = Proxy::before(port.parse().unwrap()).await;
    let task = StoreTask {
        endpoint: Some(format!("http://127.0.0.1:{}", line.port)),
        ..server.task(USER, PASSWORD)
    };
    let store = S3::from_task(&task).unwrap().patient(whole);
    (server, line, Arc::new(store))
}

/// Uploads three parts, one after the other; what fails is given up, as a backup does.
async fn upload(store: &Arc<S3>, bytes: &[u8]) -> Result<(), CodecError> {
    let codec = Codec {
        zstd: None,
        recipients: None,
    };
    let limits = Limits {
        part_bytes: PART,
        parts_per_object: 100,
        parts_in_flight: 1,
    };
    let role = ObjectRole::Dump;
    let mut writer =
        ObjectWriter::new(store.clone(), "p", "dump.pgc", role, &codec, limits).unwrap();
    let outcome = match writer.write(bytes).await {
        Ok(()) => writer.finish().await.map(drop),
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        writer.abort().await;
    }
    outcome
}

fn complete() -> String {
    format!("POST /shop/{}/{KEY}?uploadId=", minio::PREFIX)
}

#[rstest]
#[case::a_part_is_cut(Rule::cut_at("partNumber=2&").after(1_000_000).once())]
#[case::a_bit_is_flipped(Rule::flip_at("partNumber=2&").after(1_000_000))]
#[case::the_last_part_gets_no_answer(Rule::cut_answer_to("partNumber=3&").once())]
#[case::it_is_never_heard_that_all_is_complete(Rule::cut_answer_to(&complete()).once())]
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_outlasts_one_fault_of_the_line_and_is_whole(
    #[values(Kind::Minio, Kind::Versitygw)] kind: Kind,
    #[case] rule: Rule,
) {
    let (server, line, store) = behind(kind, Duration::from_secs(60)).await;
    let bytes = suite::noise(2 * PART + 7);
    line.set(rule);
    upload(&store, &bytes).await.unwrap();
    assert_eq!(line.strikes(), 1);
    let direct = server.store();
    assert!(
        direct.get(KEY, u64::MAX).await.unwrap() == bytes,
        "it came back changed"
    );
    assert_eq!(minio::open_uploads(server.endpoint(), KEY).await, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_answer_is_lost_is_there_once_and_is_known_to_be_there(
    #[values(Kind::Minio, Kind::Versitygw)] kind: Kind,
) {
    let (server, line, store) = behind(kind, Duration::from_secs(60)).await;
    let body = Bytes::from_static(b"{}");
    let key = "m/manifest.json";
    line.set(Rule::cut_answer_to(&format!("PUT /shop/{}/{key}", minio::PREFIX)).once());
    put_new(store.as_ref(), key, body.clone()).await.unwrap();
    assert_eq!(line.strikes(), 1);
    assert_eq!(server.store().get(key, 10).await.unwrap(), body);
    let other = Bytes::from_static(b"[]");
    let again = put_new(store.as_ref(), key, other).await.unwrap_err();
    assert_eq!(again.reason(), Reason::AlreadyExists, "{again}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_cuts_for_good_leaves_no_object_and_no_open_upload(
    #[values(Kind::Minio, Kind::Versitygw)] kind: Kind,
) {
    let (server, line, store) = behind(kind, Duration::from_secs(3)).await;
    line.set(Rule::cut_at("partNumber=2&").after(1_000_000));
    let error = upload(&store, &suite::noise(2 * PART + 7)).await;
    let CodecError::Store(error) = error.unwrap_err() else {
        panic!("the store did not fail");
    };
    assert_eq!(error.reason(), Reason::StoreUnreachable, "{error}");
    assert!(line.strikes() > 1, "it is tried again");
    assert_eq!(server.store().head(KEY).await.unwrap(), None);
    assert_eq!(minio::open_uploads(server.endpoint(), KEY).await, 0);
}
