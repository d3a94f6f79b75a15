//! A pod without a cluster: `lifeboat work` as a process, with the folders that the kubelet would mount.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use lifeboat::api::backup::BackupReason;
use lifeboat::api::backup_policy::{DatabaseKeys, TlsMode};
use lifeboat::task::{
    BackupTask, DatabaseTask, POD_UID_ENV, TASK_ENV, TASK_VERSION, Task, TaskResult, Work,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::minio::{self, Minio, PASSWORD, USER};
use crate::pg::{Server, host_bin};
use crate::runs::{FIRST, direct, identity, manifest};
use crate::s3_server::secret;

/// Passwords that must be seen nowhere: the right one, and one that is wrong.
pub const RIGHT: &str = "canary-p:w%d-right";
pub const WRONG: &str = "canary-p:w%d-wrong";
pub const WRONG_KEY: &str = "canary-secret-key-that-is-wrong";

/// A server that asks for passwords over TCP, a store, and the folders of a pod.
pub struct Pod {
    pub server: Server,
    pub minio: Minio,
    dir: TempDir,
}

/// How a worker ended.
pub struct Ended {
    pub code: Option<i32>,
    pub result: TaskResult,
}

impl Pod {
    pub async fn set() -> Self {
        let mut server = Server::start(17, &["listen_addresses=127.0.0.1"]);
        server.database("shop", "").await;
        server.sql("shop", "CREATE TABLE t AS SELECT 1 AS a").await;
        server
            .sql(
                "shop",
                &format!("CREATE ROLE app SUPERUSER LOGIN PASSWORD '{RIGHT}'"),
            )
            .await;
        server.restart(|data| {
            let lines = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
            std::fs::write(data.join("pg_hba.conf"), lines).unwrap();
        });
        Self {
            server,
            minio: minio::start().await,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A task that succeeds, with a Secret of the plain keys.
    pub fn task(&self) -> BackupTask {
        let port = self.server.port.to_string();
        self.task_of(&[
            ("host", "127.0.0.1"),
            ("port", &port),
            ("user", "app"),
            ("password", RIGHT),
            ("dbname", "shop"),
        ])
    }

    pub fn task_of(&self, keys: &[(&str, &str)]) -> BackupTask {
        let dir = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        secret(&dir, keys);
        let identity = identity(FIRST);
        BackupTask {
            namespace: identity.namespace,
            backup: identity.backup,
            policy: identity.policy,
            policy_uid: identity.policy_uid,
            attempt: 1,
            tiers: identity.tiers,
            reason: BackupReason::Scheduled,
            due: identity.due,
            directory: identity.directory,
            content_hash: true,
            max_blocking_seconds: None,
            database: DatabaseTask {
                secret_name: "shop-db".into(),
                dir: dir.to_str().unwrap().into(),
                keys: DatabaseKeys::default(),
                host: None,
                port: None,
                name: None,
                user: None,
                tls_mode: Some(TlsMode::Disable),
                ca: None,
            },
            store: self.minio.task(USER, PASSWORD),
        }
    }

    /// Starts the program; its words go to files, as in a pod.
    pub fn start(&self, task: &str) -> Child {
        let scratch = self.folder("scratch");
        std::fs::create_dir_all(&scratch).unwrap();
        let _ = std::fs::remove_file(self.folder("result"));
        let file = |name| Stdio::from(std::fs::File::create(self.folder(name)).unwrap());
        Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .arg("work")
            .arg("--result")
            .arg(self.folder("result"))
            .arg("--scratch")
            .arg(scratch)
            .arg("--postgres-bin")
            .arg(host_bin(17))
            .env_clear()
            .env(TASK_ENV, task)
            .env(POD_UID_ENV, FIRST)
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// What it wrote for people, to explain a failure.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder("stderr")).unwrap_or_default()
    }

    /// Waits for its end, and looks for credentials wherever it wrote.
    pub async fn end(&self, mut worker: Child) -> Ended {
        let status = tokio::time::timeout(Duration::from_secs(60), worker.wait()).await;
        let status = status.expect("the worker does not end").unwrap();
        let written = |name: &str| {
            let bytes = std::fs::read(self.folder(name)).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        for name in ["result", "stdout", "stderr"] {
            let text = written(name);
            for canary in [RIGHT, WRONG, WRONG_KEY, PASSWORD, "canary", "%25"] {
                assert!(!text.contains(canary), "P8: {canary} in {name}: {text}");
            }
        }
        let left = std::fs::read_dir(self.folder("scratch")).unwrap().count();
        assert_eq!(left, 0, "K9: no file with a credential is left");
        Ended {
            code: status.code(),
            result: TaskResult::from_message(&written("result")).unwrap(),
        }
    }

    pub async fn run(&self, task: BackupTask) -> Ended {
        let worker = self.start(&document(task, 120));
        self.end(worker).await
    }

    /// Runs a task that must fail, and leaves no manifest.
    pub async fn refused(&self, task: BackupTask) -> TaskResult {
        let ended = self.run(task).await;
        assert_eq!(ended.code, Some(1), "{:?}", ended.result);
        assert!(!ended.result.message.is_empty());
        self.nothing_stored().await;
        ended.result
    }

    pub async fn nothing_stored(&self) {
        let store = direct(&self.minio);
        assert_eq!(
            manifest(store.as_ref(), &identity(FIRST).prefix()).await,
            None
        );
    }
}

pub fn document(task: BackupTask, deadline_seconds: u64) -> String {
    let task = Task {
        version: TASK_VERSION,
        deadline_seconds,
        work: Work::Backup(Box::new(task)),
    };
    task.to_env().unwrap()
}
