//! A real versitygw of the test's own, with one bucket, `shop`, which is a folder. Needs its binary: `make tools`, or `VERSITYGW` naming one.
//! Its keys are MinIO's.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat::objects::{ObjectStore, S3};
use lifeboat::task::StoreTask;

use crate::minio::{self, PASSWORD, USER};

/// A running server, ended with the test.
pub struct Versitygw {
    child: Child,
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    folder: tempfile::TempDir,
}

impl Drop for Versitygw {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one and waits until it answers.
pub async fn start() -> Versitygw {
    // Another process may take the free port before it does: then it ends at once, and we try again.
    for _ in 0..5 {
        let mut server = launch();
        if server.ready().await {
            return server;
        }
        let log = std::fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
        eprintln!("versitygw did not start: {log}");
    }
    panic!("versitygw does not start; its log stands above");
}

fn launch() -> Versitygw {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("shop")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = Command::new(minio::built("versitygw"))
        .args(["--access", USER, "--secret", PASSWORD])
        .args(["--port", &address.to_string(), "posix"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Versitygw {
        child,
        endpoint: format!("http://{address}"),
        folder,
    }
}

impl Versitygw {
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

    /// A task for its bucket, with the Secret as a folder.
    pub fn task(&self, id: &str, secret: &str) -> StoreTask {
        minio::task(self.folder.path(), &self.endpoint, id, secret)
    }
}
