//! Answers that say nothing: cut, of another kind, or of somebody who is no store (P13).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::objects::{Depth, ObjectStore, Part, PutMode, S3, StoreError, Upload};
use rstest::rstest;

use crate::s3_server::{KEY_ID, SECRET, secret, task};

/// A server that says what it is told to.
struct Liar {
    store: S3,
    asked: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// `says` is given the method, the query and how many were asked before.
async fn liar(says: impl Fn(&Method, &str, usize) -> Response + Send + Sync + 'static) -> Liar {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, says) = (Arc::clone(&asked), Arc::new(says));
    let app = Router::new().fallback(move |request: Request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let query = request.uri().query().unwrap_or_default().to_owned();
        let answer = says(request.method(), &query, number);
        async move { answer }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let keys = [("access-key-id", KEY_ID), ("secret-access-key", SECRET)];
    secret(folder.path(), &keys);
    let task = task(&endpoint, "prod", folder.path().to_str().unwrap());
    Liar {
        // An answer that makes no sense is asked for again, for a 60th of this.
        store: S3::from_task(&task)
            .unwrap()
            .patient(Duration::from_secs(6)),
        asked,
        _folder: folder,
        serving,
    }
}

fn xml(body: impl Into<String>) -> Response {
    ([("content-type", "application/xml")], body.into()).into_response()
}

fn html(status: u16) -> Response {
    let body = "<html><head><title>nginx</title></head><body>Hello<br></body></html>";
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "text/html")], body).into_response()
}

fn says_that(error: &StoreError, words: &str) {
    let text = error.to_string();
    assert_eq!(error.reason(), Reason::StoreFailed, "{text}");
    assert!(!error.is_missing(), "{text}");
    assert!(
        text.contains(words) && text.contains("s3://shop/prod"),
        "{text}"
    );
}

const PAGE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><Name>shop</Name>\
    <Prefix>prod/</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>\
    <EncodingType>url</EncodingType>\
    <Contents><Key>prod/a+b</Key><Size>1</Size></Contents>\
    <Contents><Key>prod/c%2Bd</Key><Size>2</Size></Contents></ListBucketResult>";

#[tokio::test]
async fn p13_a_listing_that_stops_in_the_middle_is_no_listing_wherever_it_stops() {
    let whole = liar(|_, query, _| {
        assert!(query.contains("encoding-type=url"), "{query}");
        xml(PAGE)
    })
    .await;
    let page = whole.store.list("", Depth::All, None).await.unwrap();
    let keys: Vec<&str> = page.objects.iter().map(|o| o.key.as_str()).collect();
    assert_eq!((keys, page.next), (vec!["a b", "c+d"], None));
    let ends = [
        "<KeyCount>",
        "<IsTruncated>",
        "</Contents>",
        "<Contents><Key>prod/c",
        "</ListBucketResult>",
    ];
    for end in ends {
        let cut = PAGE.split_once(end).unwrap().0;
        let liar = liar(move |_, _, _| xml(cut)).await;
        let error = liar.store.list("", Depth::All, None).await.unwrap_err();
        says_that(&error, "cannot be understood");
    }
}

#[rstest]
#[case::no_xml("OK", "")]
#[case::nothing("", "")]
#[case::another_document("<ListAllMyBucketsResult></ListAllMyBucketsResult>", "")]
#[case::a_count_that_does_not_fit(&PAGE.replace("<KeyCount>2", "<KeyCount>7"), "KeyCount is 7")]
#[case::more_without_a_token(&PAGE.replace("false", "true"), "not where to go on")]
#[case::another_prefix(&PAGE.replace("prod/a", "other/a"), "was not asked for")]
#[tokio::test]
async fn p13_a_listing_that_contradicts_itself_is_refused(#[case] body: &str, #[case] words: &str) {
    let body = body.to_owned();
    let liar = liar(move |_, _, _| xml(body.clone())).await;
    let error = liar.store.list("", Depth::All, None).await.unwrap_err();
    says_that(&error, words);
}

#[tokio::test]
async fn p13_a_token_that_does_not_move_ends_the_listing() {
    let more = PAGE.replace(
        "false</IsTruncated>",
        "true</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
    );
    let liar = liar(move |_, _, _| xml(more.clone())).await;
    let first = liar.store.list("", Depth::All, None).await.unwrap();
    let second = liar.store.list("", Depth::All, first.next.as_deref()).await;
    says_that(&second.unwrap_err(), "again and again");
    assert!(liar.asked.load(Ordering::SeqCst) < 50);
}

#[rstest]
#[case::found(200)]
#[case::not_found(404)]
#[tokio::test]
async fn p13_a_web_server_is_no_store_that_has_nothing(#[case] status: u16) {
    let liar = liar(move |_, _, _| html(status)).await;
    let store = &liar.store;
    let body = Bytes::from_static(b"x");
    let upload = Upload {
        key: "k".to_owned(),
        id: "u".to_owned(),
        part_bytes: 1,
    };
    let part = Part {
        number: 1,
        bytes: 1,
        etag: "e".to_owned(),
    };
    let refused = |error: StoreError| says_that(&error, "");
    refused(store.list("", Depth::All, None).await.unwrap_err());
    refused(
        store
            .put("k", body.clone(), PutMode::Overwrite)
            .await
            .unwrap_err(),
    );
    refused(
        store
            .put("k", body.clone(), PutMode::CreateOnly)
            .await
            .unwrap_err(),
    );
    refused(store.begin("k", 1).await.unwrap_err());
    refused(store.upload_part(&upload, 1, body).await.unwrap_err());
    refused(store.complete(&upload, &[part]).await.unwrap_err());
    if status == 404 {
        let error = store.get("k", 10).await.unwrap_err();
        says_that(&error, "does not speak S3");
        assert!(error.to_string().contains("text/html"), "{error}");
        refused(store.get_range("k", 0..5).await.unwrap_err());
        refused(store.head("k").await.unwrap_err());
        refused(store.delete("k").await.unwrap_err());
        refused(store.abort(&upload).await.unwrap_err());
    }
}

#[tokio::test]
async fn only_the_stores_own_code_says_that_a_key_is_missing() {
    let missing = || {
        let body = "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>";
        (
            StatusCode::NOT_FOUND,
            [("content-type", "application/xml")],
            body,
        )
            .into_response()
    };
    let bare = liar(move |method, _, _| match *method {
        Method::HEAD => StatusCode::NOT_FOUND.into_response(),
        _ => missing(),
    })
    .await;
    assert_eq!(bare.store.head("k").await.unwrap(), None);
    assert_eq!(bare.asked.load(Ordering::SeqCst), 2, "a GET makes it sure");
    assert!(bare.store.get("k", 1).await.unwrap_err().is_missing());
    let own = liar(|_, _, _| {
        let header = [("x-amz-request-id", "4")];
        (StatusCode::NOT_FOUND, header).into_response()
    })
    .await;
    assert_eq!(own.store.head("k").await.unwrap(), None);
    assert_eq!(own.asked.load(Ordering::SeqCst), 1);
    let cut = liar(|_, _, _| {
        let body = "<Error><Code>NoSuchKey</Code><Mess";
        (
            StatusCode::NOT_FOUND,
            [("content-type", "application/xml")],
            body,
        )
            .into_response()
    })
    .await;
    says_that(&cut.store.get("k", 1).await.unwrap_err(), "");
}

#[rstest]
#[case::cut("<CompleteMultipartUploadResult><Bucket>shop</Bucket>")]
#[case::empty("")]
#[case::an_error_that_is_cut("<Error><Code>InternalErr")]
#[tokio::test]
async fn p13_an_upload_is_complete_only_if_the_answer_is(#[case] body: &'static str) {
    let liar = liar(move |_, _, _| xml(body)).await;
    let upload = Upload {
        key: "k".to_owned(),
        id: "u".to_owned(),
        part_bytes: 1,
    };
    let error = liar.store.complete(&upload, &[]).await.unwrap_err();
    says_that(&error, "cannot be understood");
    assert!(error.may_have_happened());
    says_that(
        &liar.store.begin("k", 1).await.unwrap_err(),
        "cannot be understood",
    );
}
