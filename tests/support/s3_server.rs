//! An S3 server in this process: s3s-fs behind a wrapper that can refuse, forget and lose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::error_handling::HandleError;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use lifeboat::api::backup_store::{Addressing, EncryptionMode};
use lifeboat::task::StoreTask;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::dto::{ListObjectsV2Input, PutObjectInput};
use s3s::service::S3ServiceBuilder;
use s3s::{HttpError, S3Request, S3Result, s3_error};
use tempfile::TempDir;

/// The only key pair it knows.
pub const KEY_ID: &str = "AKIALIFEBOATTEST0001";
/// Its secret, which must never be seen in a message.
pub const SECRET: &str = "very-secret-key-of-the-test-server";

/// How the server differs from a good one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manners {
    /// `If-None-Match` is ignored.
    pub ignores_conditions: bool,
    /// `If-None-Match` is answered with 501.
    pub refuses_conditions: bool,
    /// Nobody may write.
    pub denies_writes: bool,
    /// Nobody may list.
    pub denies_lists: bool,
    /// So many PUTs take effect, but are answered with 500.
    pub loses_answers: usize,
    /// So many PUTs are told to slow down.
    pub busy: usize,
    /// So many parts lose a bit on their way.
    pub flips: usize,
    /// Checksums are answered with 400.
    pub refuses_checksums: bool,
    /// Uploads cannot be completed.
    pub completes_nothing: bool,
    /// So many uploads are completed with 200 and an error in the body.
    pub completes_late: usize,
}

/// A running server with one bucket, `shop`.
pub struct Server {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    /// PUTs that came with a checksum, and those without.
    pub sums: Arc<(AtomicUsize, AtomicUsize)>,
    folder: TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait::async_trait]
impl S3Access for Manners {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        match cx.credentials() {
            Some(_) => Ok(()),
            None => Err(s3_error!(AccessDenied)),
        }
    }

    async fn put_object(&self, req: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        // s3s-fs would make the bucket.
        if req.input.bucket != "shop" {
            return Err(s3_error!(NoSuchBucket));
        }
        if self.denies_writes {
            return Err(s3_error!(AccessDenied, "not for you"));
        }
        if self.refuses_conditions && req.input.if_none_match.is_some() {
            return Err(s3_error!(NotImplemented, "no conditions here"));
        }
        if self.ignores_conditions {
            req.input.if_none_match = None;
        }
        Ok(())
    }

    async fn list_objects_v2(&self, _: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        if self.denies_lists {
            return Err(s3_error!(AccessDenied));
        }
        Ok(())
    }
}

/// Starts a server on a free port.
pub async fn start(manners: Manners) -> Server {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data/shop")).unwrap();
    let mut builder =
        S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path().join("data")).unwrap());
    builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
    builder.set_access(manners);
    let service = HandleError::new(builder.build(), |error: HttpError| async move {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"))
    });
    let to_lose = Arc::new(AtomicUsize::new(manners.loses_answers));
    let sums: Arc<(AtomicUsize, AtomicUsize)> = Arc::default();
    let road = Arc::new(Road {
        busy: AtomicUsize::new(manners.busy),
        flips: AtomicUsize::new(manners.flips),
        late: AtomicUsize::new(manners.completes_late),
        sums: Arc::clone(&sums),
        manners,
    });
    let app = Router::new()
        .fallback_service(service)
        .layer(from_fn(move |request, next| {
            lose(to_lose.clone(), request, next)
        }))
        .layer(from_fn(move |request, next| {
            travel(Arc::clone(&road), request, next)
        }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        axum::serve(listener, app).await.unwrap();
    });
    Server {
        endpoint: format!("http://{address}"),
        sums,
        folder,
        task,
    }
}

/// What stands before the server.
struct Road {
    busy: AtomicUsize,
    flips: AtomicUsize,
    late: AtomicUsize,
    sums: Arc<(AtomicUsize, AtomicUsize)>,
    manners: Manners,
}

fn one_less(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
        .is_ok()
}

/// An error as S3 writes it.
fn says(status: StatusCode, code: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>planned</Message></Error>");
    (status, [("content-type", "application/xml")], body).into_response()
}

async fn travel(road: Arc<Road>, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let part = query.contains("partNumber=");
    let completes = *request.method() == Method::POST && query.contains("uploadId=");
    if completes && road.manners.completes_nothing {
        return says(StatusCode::BAD_REQUEST, "InvalidPart");
    }
    if completes && one_less(&road.late) {
        return says(StatusCode::OK, "InternalError");
    }
    if *request.method() != Method::PUT {
        return next.run(request).await;
    }
    if one_less(&road.busy) {
        return says(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    }
    let summed = request.headers().contains_key("x-amz-checksum-crc32");
    let count = if summed { &road.sums.0 } else { &road.sums.1 };
    count.fetch_add(1, Ordering::SeqCst);
    if summed && road.manners.refuses_checksums {
        return says(StatusCode::BAD_REQUEST, "InvalidArgument");
    }
    if part && one_less(&road.flips) {
        let (head, body) = request.into_parts();
        let mut bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .unwrap()
            .to_vec();
        bytes[0] ^= 1;
        // Many stores hold a part against its checksum alone.
        let sum = aws_smithy_types::base64::encode(crc32(&bytes).to_be_bytes());
        return match head.headers.get("x-amz-checksum-crc32") {
            Some(sent) if sent.to_str().unwrap() != sum => {
                says(StatusCode::BAD_REQUEST, "BadDigest")
            }
            _ => next.run(Request::from_parts(head, bytes.into())).await,
        };
    }
    next.run(request).await
}

/// As zip and S3 count it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

async fn lose(left: Arc<AtomicUsize>, request: Request, next: Next) -> Response {
    let put = request.method() == Method::PUT;
    let answer = next.run(request).await;
    let lost = put
        && answer.status().is_success()
        && left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok();
    if lost {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    answer
}

impl Server {
    /// A task for the bucket, with its Secret as a folder.
    pub fn task(&self, prefix: &str) -> StoreTask {
        let dir = self.folder.path().join("secret");
        secret(
            &dir,
            &[("access-key-id", KEY_ID), ("secret-access-key", SECRET)],
        );
        task(&self.endpoint, prefix, dir.to_str().unwrap())
    }
}

/// Writes a Secret as the kubelet mounts it: one file per key.
pub fn secret(dir: &std::path::Path, keys: &[(&str, &str)]) {
    std::fs::create_dir_all(dir).unwrap();
    for (key, value) in keys {
        // With the newline that `kubectl create secret --from-file` brings along.
        std::fs::write(dir.join(key), format!("{value}\n")).unwrap();
    }
}

/// A task for the bucket `shop` at an endpoint.
pub fn task(endpoint: &str, prefix: &str, dir: &str) -> StoreTask {
    StoreTask {
        bucket: "shop".to_owned(),
        prefix: prefix.to_owned(),
        region: None,
        endpoint: Some(endpoint.to_owned()),
        addressing: Addressing::Auto,
        ca: None,
        secret_name: "s3-write".to_owned(),
        dir: dir.to_owned(),
        encryption: EncryptionMode::None,
        recipients: Vec::new(),
    }
}
