//! A real PgBouncer.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::pg::{Server, free_port};

/// A real PgBouncer before a server.
pub struct PgBouncer {
    child: Child,
    pub port: u16,
    _dir: tempfile::TempDir,
}

impl PgBouncer {
    /// Before the database `postgres`, in a pool mode, with more lines of its settings.
    pub async fn start(server: &Server, mode: &str, more: &str) -> Self {
        let port = free_port();
        let dir = tempfile::Builder::new()
            .prefix("lb-pgb")
            .tempdir_in("/tmp")
            .unwrap();
        let config = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n\
             unix_socket_dir=\nauth_type=any\npool_mode={mode}\nlogfile=/dev/null\n{more}\n",
            server.port
        );
        std::fs::write(&config, text).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let mut command = Command::new("/usr/sbin/pgbouncer");
        if std::fs::metadata("/proc/self")
            .is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
        {
            command.args(["-u", "nobody"]);
        }
        let child = command
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut bouncer = Self {
            child: child.expect("pgbouncer is missing: apt-get install pgbouncer"),
            port,
            _dir: dir,
        };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
            {
                return bouncer;
            }
            assert!(
                bouncer.child.try_wait().unwrap().is_none(),
                "pgbouncer ended"
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("pgbouncer does not listen");
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
