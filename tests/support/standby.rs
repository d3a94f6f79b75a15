//! A standby that streams from a server of the tests.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lifeboat::postgres::{Connection, Target, connect};
use tempfile::TempDir;

use crate::pg::{Server, free_port, run};

/// Ends with the test.
pub struct Standby {
    dir: TempDir,
    pub port: u16,
    child: Child,
}

impl Standby {
    /// One that has been copied from the server; it may not answer yet.
    pub fn of(server: &Server) -> Self {
        let mut dir = tempfile::Builder::new();
        let dir = dir.prefix("lb-standby").tempdir_in("/tmp").unwrap();
        let (port, data) = (free_port(), dir.path().join("data"));
        run(server
            .tool("pg_basebackup")
            .args(["-R", "--checkpoint=fast", "--no-sync", "-D"])
            .arg(&data));
        let mut command = Command::new(server.bin.join("postgres"));
        command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        let socket = format!("unix_socket_directories={}", dir.path().display());
        for setting in [
            &socket,
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "hot_standby_feedback=on",
            "cluster_name=replica",
        ] {
            command.arg("-c").arg(setting);
        }
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(log).spawn().unwrap();
        Self { dir, port, child }
    }

    /// Where it is, for whoever knows the way to its server.
    pub fn target(&self, of: Target) -> Target {
        Target {
            host: self.dir.path().to_string_lossy().into_owned(),
            port: self.port,
            ..of
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg("-INT").arg(pid).status();
        let _ = self.child.wait();
    }
}

/// A session, once the server answers.
pub async fn session(target: &Target) -> Connection {
    loop {
        match connect(target, "test").await {
            Ok(connection) => return connection,
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

const LOOK: Duration = Duration::from_millis(20);

/// Waits until a question is answered with yes.
pub async fn until(there: &Connection, asked: &str) {
    while !there
        .client
        .query_one(asked, &[])
        .await
        .unwrap()
        .get::<_, bool>(0)
    {
        tokio::time::sleep(LOOK).await;
    }
}

/// From now on the standby replays nothing.
pub async fn pause(there: &Connection) {
    let pause = there.client.batch_execute("SELECT pg_wal_replay_pause()");
    pause.await.unwrap();
    until(there, "SELECT pg_get_wal_replay_pause_state() = 'paused'").await;
}
