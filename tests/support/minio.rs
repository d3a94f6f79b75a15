//! A real MinIO of the test's own, with one bucket, `shop`. Needs its binary: `make tools`, or `MINIO` naming one.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use lifeboat::api::backup_store::{Addressing, EncryptionMode};
use lifeboat::objects::{ObjectStore, S3};
use lifeboat::task::{CaTask, StoreTask};

/// Its key.
pub const USER: &str = "lifeboat-root";
/// Its secret, which must never be seen in a message.
pub const PASSWORD: &str = "password-of-the-test-store";
/// Folder in the bucket that tasks name.
pub const PREFIX: &str = "prod";

/// A running server, ended with the test.
pub struct Minio {
    child: Child,
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    folder: tempfile::TempDir,
}

impl Drop for Minio {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that `dev/tools/build` made, or the one that a variable names.
pub fn built(family: &str) -> PathBuf {
    let variable = family.to_uppercase();
    if let Some(named) = std::env::var_os(&variable) {
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
        name.starts_with(&format!("{family}-")) && path.join(family).is_file()
    });
    found.sort();
    let newest = found.pop().unwrap_or_else(|| {
        panic!(
            "no {family}-*/{family} in {}: run `make tools`, or name one in {variable}",
            bin.display()
        )
    });
    newest.join(family)
}

/// Starts one and waits until it answers.
pub async fn start() -> Minio {
    start_with(None).await
}

/// The same over https: certificate, key and authority, as PEM, for `localhost`.
pub async fn start_with(tls: Option<[&str; 3]>) -> Minio {
    // Another process may take the free port before MinIO does: then it ends at once, and we try again.
    for _ in 0..5 {
        let mut minio = launch(tls);
        if minio.ready().await {
            return minio;
        }
        let log = std::fs::read_to_string(minio.folder.path().join("log")).unwrap_or_default();
        eprintln!("MinIO did not start: {log}");
    }
    panic!("MinIO does not start; its log stands above");
}

fn launch(tls: Option<[&str; 3]>) -> Minio {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data/shop")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let certificates = folder.path().join("certs");
    std::fs::create_dir_all(&certificates).unwrap();
    let names = ["public.crt", "private.key", "ca.crt"];
    for (name, pem) in names.into_iter().zip(tls.into_iter().flatten()) {
        // The authority lies beside: MinIO would read it as another key.
        let place = if name == "ca.crt" {
            folder.path()
        } else {
            certificates.as_path()
        };
        std::fs::write(place.join(name), pem).unwrap();
    }
    let child = Command::new(built("minio"))
        .args(["server", "--quiet", "--address", &address.to_string()])
        .arg("--certs-dir")
        .arg(&certificates)
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
        endpoint: match tls {
            None => format!("http://{address}"),
            Some(_) => format!("https://localhost:{}", address.port()),
        },
        folder,
    }
}

impl Minio {
    /// Waits until it answers; `false` if it ended.
    async fn ready(&mut self) -> bool {
        let store = S3::from_task(&self.task(USER, PASSWORD)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if store.head("ready").await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// Where the authority of its certificate is, if it has one.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.endpoint.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// A task for its bucket, with the Secret as a folder.
    pub fn task(&self, id: &str, secret: &str) -> StoreTask {
        StoreTask {
            ca: self.ca().exists().then(|| CaTask {
                source: "Secret/store-ca".to_owned(),
                dir: self.folder.path().to_str().unwrap().to_owned(),
                key: "ca.crt".to_owned(),
            }),
            ..task(self.folder.path(), &self.endpoint, id, secret)
        }
    }

    /// Multipart uploads of a key that nobody completed or aborted.
    pub async fn open_uploads(&self, key: &str) -> usize {
        open_uploads(&self.endpoint, key).await
    }
}

/// A task for the bucket of a server of ours, with the Secret as a folder.
pub fn task(folder: &Path, endpoint: &str, id: &str, secret: &str) -> StoreTask {
    let dir = folder.join(format!("secret-{id}-{}", secret.len()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("access-key-id"), id).unwrap();
    std::fs::write(dir.join("secret-access-key"), secret).unwrap();
    StoreTask {
        bucket: "shop".to_owned(),
        prefix: PREFIX.to_owned(),
        region: None,
        endpoint: Some(endpoint.to_owned()),
        addressing: Addressing::Auto,
        ca: None,
        secret_name: "s3-write".to_owned(),
        dir: dir.to_str().unwrap().to_owned(),
        encryption: EncryptionMode::None,
        recipients: Vec::new(),
    }
}

/// Multipart uploads of a key that nobody completed or aborted. MinIO tells of them only by the whole key.
pub async fn open_uploads(endpoint: &str, key: &str) -> usize {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(USER, PASSWORD, None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    let answer = aws_sdk_s3::Client::from_conf(config)
        .list_multipart_uploads()
        .bucket("shop")
        .prefix(format!("{PREFIX}/{key}"))
        .send()
        .await
        .unwrap();
    answer.uploads().len()
}
