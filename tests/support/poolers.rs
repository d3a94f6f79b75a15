//! Real poolers of Debian before a server of the tests; the roots are those that `dev/images postgres` makes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::pg::free_port;

/// A suite of Debian with its versions.
#[derive(Debug, Clone, Copy)]
pub enum Suite {
    /// PgBouncer 1.18, pgpool-II 4.3.
    Bookworm,
    /// PgBouncer 1.26, pgpool-II 4.7, Odyssey 1.5.
    Forky,
}

/// Ends with the test.
pub struct Pooler {
    child: Child,
    pub port: u16,
    dir: TempDir,
}

/// Folder with the programs: `POOLERS_FORKY_ROOT` and its like, or where `make images` puts it.
fn bin(suite: Suite) -> PathBuf {
    let (variable, name) = match suite {
        Suite::Bookworm => ("POOLERS_BOOKWORM_ROOT", "poolers-bookworm"),
        Suite::Forky => ("POOLERS_FORKY_ROOT", "poolers-forky"),
    };
    let bin = crate::pg::root(variable, name).join("host-bin");
    assert!(
        bin.join("pgbouncer").exists(),
        "{} has no poolers: run `make images`",
        bin.display()
    );
    bin
}

impl Pooler {
    /// PgBouncer in a pool mode, with more lines of its settings.
    pub async fn pgbouncer(suite: Suite, server: u16, mode: &str, more: &str) -> Self {
        let (dir, port) = (folder(), free_port());
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n\
             unix_socket_dir=\nauth_type=any\npool_mode={mode}\n{more}\n"
        );
        let mut command = Command::new(bin(suite).join("pgbouncer"));
        command.arg(written(&dir, "pgbouncer.ini", &text));
        Self::start(command, dir, port).await
    }

    /// Odyssey, with a pool of a mode and more of its settings.
    pub async fn odyssey(server: u16, mode: &str, size: usize, more: &str) -> Self {
        let (dir, port) = (folder(), free_port());
        let locks = dir.path().display();
        let text = format!(
            "daemonize no\nlog_format \"%l %m\\n\"\nlog_to_stdout yes\nworkers 1\nlocks_dir \"{locks}\"\n\
             listen {{ host \"127.0.0.1\" port {port} }}\nstorage \"s\" {{ type \"remote\" host \"127.0.0.1\" port {server} }}\n\
             database default {{ user default {{ authentication \"none\" storage \"s\" pool \"{mode}\" pool_size {size} {more} }} }}\n"
        );
        let mut command = Command::new(bin(Suite::Forky).join("odyssey"));
        command.arg(written(&dir, "odyssey.conf", &text));
        Self::start(command, dir, port).await
    }

    /// pgpool-II before a primary and perhaps a standby, with so many places and more of its settings.
    pub async fn pgpool(suite: Suite, servers: &[u16], places: usize, more: &str) -> Self {
        let (dir, port) = (folder(), free_port());
        let at = dir.path().display();
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{at}'\nsocket_dir = '{at}'\npcp_socket_dir = '{at}'\n\
             pcp_port = {}\npid_file_name = '{at}/pid'\nlogdir = '{at}'\nbackend_clustering_mode = 'streaming_replication'\nsr_check_period = 0\n\
             health_check_period = 0\nnum_init_children = {places}\nmax_pool = 1\n{more}\n",
            free_port()
        );
        for (at, server) in servers.iter().enumerate() {
            let flag = [
                "ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER",
                "DISALLOW_TO_FAILOVER",
            ][at.min(1)];
            text += &format!(
                "backend_hostname{at} = '127.0.0.1'\nbackend_port{at} = {server}\nbackend_weight{at} = 1\nbackend_flag{at} = '{flag}'\n"
            );
        }
        let mut command = Command::new(bin(suite).join("pgpool"));
        command
            .arg("-n")
            .arg("-f")
            .arg(written(&dir, "pgpool.conf", &text));
        Self::start(command, dir, port).await
    }

    async fn start(mut command: Command, dir: TempDir, port: u16) -> Self {
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let err = log.try_clone().unwrap();
        let command = command.stdin(Stdio::null()).stdout(log).stderr(err);
        let child = command.spawn().unwrap();
        let mut pooler = Self { child, port, dir };
        for _ in 0..400 {
            let there = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            if there.is_ok() {
                return pooler;
            }
            let ended = pooler.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", pooler.log());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("it does not listen: {}", pooler.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

/// It tells its children to end: those of pgpool-II are processes of their own.
impl Drop for Pooler {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg("-INT").arg(pid).status();
        for _ in 0..200 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> TempDir {
    let mut dir = tempfile::Builder::new();
    dir.prefix("lb-pool").tempdir_in("/tmp").unwrap()
}

fn written(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path: &Path = &dir.path().join(name);
    std::fs::write(path, text).unwrap();
    path.to_owned()
}
