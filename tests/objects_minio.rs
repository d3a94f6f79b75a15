//! The suite of stores against a real MinIO. Needs its binary: `make tools`, or `MINIO` naming one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test may fail loudly, and finds its parts by environment"
)]

#[path = "support/suite.rs"]
mod suite;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lifeboat::api::Reason;
use lifeboat::api::backup_store::{Addressing, EncryptionMode};
use lifeboat::objects::{ObjectStore, PutMode, S3, probe};
use lifeboat::task::StoreTask;

const USER: &str = "lifeboat-root";
const PASSWORD: &str = "password-of-the-test-store";

/// A MinIO of our own, ended with the test.
struct Minio {
    child: Child,
    endpoint: String,
    folder: tempfile::TempDir,
}

impl Drop for Minio {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("MINIO") {
        return PathBuf::from(named);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    let bin = cache.join("lifeboat/bin");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&bin)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("minio-") && path.join("minio").is_file()
    });
    found.sort();
    let newest = found.pop().unwrap_or_else(|| {
        panic!(
            "no minio-*/minio in {}: run `make tools`, or name one in MINIO",
            bin.display()
        )
    });
    newest.join("minio")
}

async fn start() -> Minio {
    // Another process may take the free port before MinIO does: then it ends at once, and we try again.
    for _ in 0..5 {
        let mut minio = launch();
        if ready(&mut minio).await {
            return minio;
        }
        let log = std::fs::read_to_string(minio.folder.path().join("log")).unwrap_or_default();
        eprintln!("MinIO did not start: {log}");
    }
    panic!("MinIO does not start; its log stands above");
}

fn launch() -> Minio {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data/shop")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = Command::new(binary())
        .args(["server", "--quiet", "--address", &address.to_string()])
        .arg(folder.path().join("data"))
        .env("MINIO_ROOT_USER", USER)
        .env("MINIO_ROOT_PASSWORD", PASSWORD)
        .env("MINIO_BROWSER", "off")
        .stdout(log.try_clone().unwrap())
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    Minio {
        child,
        endpoint: format!("http://{address}"),
        folder,
    }
}

/// Waits until it answers; `false` if it ended.
async fn ready(minio: &mut Minio) -> bool {
    let store = store(minio, USER, PASSWORD);
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if minio.child.try_wait().unwrap().is_some() {
            return false;
        }
        if store.head("ready").await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

fn store(minio: &Minio, id: &str, secret: &str) -> Arc<S3> {
    Arc::new(S3::from_task(&task(minio, id, secret)).unwrap())
}

fn task(minio: &Minio, id: &str, secret: &str) -> StoreTask {
    let dir = minio
        .folder
        .path()
        .join(format!("secret-{id}-{}", secret.len()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("access-key-id"), id).unwrap();
    std::fs::write(dir.join("secret-access-key"), secret).unwrap();
    StoreTask {
        bucket: "shop".to_owned(),
        prefix: "prod".to_owned(),
        region: None,
        endpoint: Some(minio.endpoint.clone()),
        addressing: Addressing::Auto,
        ca: None,
        secret_name: "s3-write".to_owned(),
        dir: dir.to_str().unwrap().to_owned(),
        encryption: EncryptionMode::None,
        recipients: Vec::new(),
    }
}

#[tokio::test]
async fn minio_does_what_a_store_must() {
    let minio = start().await;
    suite::run(store(&minio, USER, PASSWORD), 5 * 1024 * 1024).await;
}

#[tokio::test]
async fn minio_pages_through_more_keys_than_a_page_holds() {
    use futures::StreamExt;
    let minio = start().await;
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
    let minio = start().await;
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
    let minio = start().await;
    let task = StoreTask {
        bucket: "shop-gone".to_owned(),
        ..task(&minio, USER, PASSWORD)
    };
    let (found, outcome) = probe(&S3::from_task(&task).unwrap()).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.reason(), Reason::BucketNotFound, "{error}");
    assert_eq!(found.writable, Some(false));
}
