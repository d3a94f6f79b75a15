//! Stores: each answer of the list is given by a server of the test, and what is made of it is held against the page.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::objects::{Depth, Dir, ObjectStore, PutMode, S3, StoreError, Upload};

use crate::answers::{Asked, Row, rows};
use crate::s3_server::{KEY_ID, SECRET, secret, task};
use crate::{line, page_has};

impl Row {
    fn answer(&self) -> (StatusCode, HeaderMap, String) {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = self.header {
            let name = HeaderName::from_static(name);
            headers.insert(name, HeaderValue::from_static(value));
        }
        let body = match self.code {
            "-" => String::new(),
            "" => "<html><body>Hello<br></body></html>".to_owned(),
            code => format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{}</Message>{}</Error>",
                self.message, self.more
            ),
        };
        let kind = match self.code {
            "-" => None,
            "" => Some("text/html"),
            _ => Some("application/xml"),
        };
        if let Some(kind) = kind {
            headers.insert("content-type", HeaderValue::from_static(kind));
        }
        (StatusCode::from_u16(self.status).unwrap(), headers, body)
    }

    fn shown(&self) -> String {
        let code = match self.code {
            "-" => "without a body".to_owned(),
            "" => "with a web page".to_owned(),
            code => format!("`{code}`"),
        };
        let region = match self.code {
            "AuthorizationHeaderMalformed" if self.reason == Reason::InvalidSpec => {
                ", which names a region"
            }
            _ => "",
        };
        let asked = match self.asked {
            Asked::Write => "",
            Asked::Create => " to a write that must not replace",
            Asked::Read => " to a read",
            Asked::List => " to a listing",
            Asked::Begin => " to the begin of an upload",
            Asked::Abort => " to the end of an upload",
        };
        format!("{} {code}{region}{asked}", self.status)
    }
}

/// The error that such an answer becomes.
async fn provoked(row: &Row) -> StoreError {
    let (status, headers, body) = row.answer();
    let answer = Arc::new((status, headers, body));
    let app = Router::new().fallback(move || {
        let (status, headers, body) = answer.as_ref().clone();
        async move { (status, headers, axum::body::Body::from(body)) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let keys = [("access-key-id", KEY_ID), ("secret-access-key", SECRET)];
    secret(folder.path(), &keys);
    let task = task(&endpoint, "", folder.path().to_str().unwrap());
    let store = S3::from_task(&task).unwrap();
    // Only these are tried again.
    let seconds = if row.status == 503 { 8 } else { 190 };
    let store = store.patient(Duration::from_secs(seconds));
    let body = Bytes::from_static(b"x");
    let upload = Upload {
        key: "k".to_owned(),
        id: "u".to_owned(),
        part_bytes: 1,
    };
    let outcome = match row.asked {
        Asked::Write => store.put("k", body, PutMode::Overwrite).await.map(|_| ()),
        Asked::Create => store.put("k", body, PutMode::CreateOnly).await.map(|_| ()),
        Asked::Read => store.get("k", 10).await.map(|_| ()),
        Asked::List => store.list("k", Depth::Folder, None).await.map(|_| ()),
        Asked::Begin => store.begin("k", 1).await.map(|_| ()),
        Asked::Abort => store.abort(&upload).await,
    };
    serving.abort();
    outcome.unwrap_err()
}

#[tokio::test]
async fn each_answer_of_a_store_says_what_the_page_says() {
    let mut lines = vec![line(["the store answers", "seen of", "reason", "message"])];
    for row in rows() {
        let error = provoked(&row).await;
        let text = error.to_string();
        let (_, said) = text.split_once("s3://shop/k: ").unwrap();
        let said = said.split(" (tried ").next().unwrap();
        assert_eq!(said, row.says, "{}", row.shown());
        assert_eq!(error.reason(), row.reason, "{text}");
        assert!(!text.contains(SECRET) && !text.contains("token="), "{text}");
        let reason = format!("`{}`", row.reason);
        lines.push(line([&row.shown(), row.who, &reason, row.says]));
    }
    page_has("answers of stores", &lines);
}

/// A disk as a store: what is full is no failure of any kind.
#[tokio::test]
async fn a_full_disk_is_a_full_store() {
    assert!(
        std::path::Path::new("/dev/full").exists(),
        "there is no /dev/full"
    );
    let folder = tempfile::tempdir().unwrap();
    let store = Dir::new(folder.path());
    let upload = Upload {
        key: "k".to_owned(),
        // Where the parts of this upload are written.
        id: "/dev/full".to_owned(),
        part_bytes: 1,
    };
    let part = store
        .upload_part(&upload, 1, Bytes::from_static(b"x"))
        .await;
    let error = part.unwrap_err();
    assert_eq!(error.reason(), Reason::StoreFull, "{error}");
    assert!(error.to_string().contains("the store is full"), "{error}");
}
