//! A real PostgreSQL server in a folder of the test, on a Unix socket; TCP only where asked.
//! Stopped by its pid. The roots are those that `dev/images postgres` makes.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lifeboat::api::backup_policy::TlsMode;
use lifeboat::postgres::{Connection, Target, connect};
use tempfile::TempDir;

/// A running server.
pub struct Server {
    pub dir: TempDir,
    pub port: u16,
    pub bin: PathBuf,
    settings: Vec<String>,
    child: Child,
}

/// Folder with the programs of a major: `PG15_ROOT`, or where `make images` puts it.
pub fn host_bin(major: i32) -> PathBuf {
    programs(&format!("PG{major}_ROOT"), &format!("pg{major}"))
}

/// The same of PostgreSQL 17 with extensions of Debian.
pub fn with_extensions() -> PathBuf {
    programs("PG17_EXTENSIONS_ROOT", "pg17-extensions")
}

/// The root folder that a variable names, or the one of that name where `make images` puts it.
pub fn root(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || {
            let home =
                || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
            let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
            cache.join(format!("lifeboat/roots/{name}"))
        },
        PathBuf::from,
    )
}

fn programs(variable: &str, name: &str) -> PathBuf {
    let root = root(variable, name);
    let bin = root.join("host-bin");
    assert!(
        bin.join("postgres").exists(),
        "{} has no PostgreSQL: run `make images`",
        root.display()
    );
    bin
}

/// A port nobody has right now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Server {
    /// Starts one with more settings, each `name=value`.
    pub fn start(major: i32, settings: &[&str]) -> Self {
        Self::with(&host_bin(major), major, settings)
    }

    /// Starts one of these programs.
    pub fn with(bin: &Path, major: i32, settings: &[&str]) -> Self {
        let bin = bin.to_owned();
        let dir = tempfile::Builder::new()
            .prefix("lb-pg")
            .tempdir_in("/tmp")
            .unwrap();
        let data = dir.path().join("data");
        let template = template(major, &bin);
        run(Command::new("cp")
            .arg("-a")
            .arg("--reflink=auto")
            .arg(&template)
            .arg(&data));
        let port = free_port();
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let child = launch(&bin, dir.path(), port, &settings);
        let mut server = Self {
            dir,
            port,
            bin,
            settings,
            child,
        };
        server.wait();
        server
    }

    /// Stops it in order and starts it again, with nothing in its buffers.
    pub fn restart(&mut self, between: impl FnOnce(&Path)) {
        self.stop();
        between(&self.dir.path().join("data"));
        self.child = launch(&self.bin, self.dir.path(), self.port, &self.settings);
        self.wait();
    }

    fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg("-INT").arg(&pid).status();
        for _ in 0..100 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = Command::new("kill").arg("-QUIT").arg(&pid).status();
        let _ = self.child.wait();
    }

    fn wait(&mut self) {
        for _ in 0..600 {
            let ready = Command::new(self.bin.join("pg_isready"))
                .arg("-q")
                .arg("-h")
                .arg(self.dir.path())
                .arg("-p")
                .arg(self.port.to_string())
                .status()
                .unwrap();
            if ready.success() {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server did not start: {}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Its superuser over the socket.
    pub fn target(&self, dbname: &str) -> Target {
        Target {
            host: self.dir.path().to_string_lossy().into_owned(),
            port: self.port,
            user: "postgres".into(),
            password: None,
            dbname: dbname.into(),
            tls: TlsMode::Disable,
            ca_pem: None,
            ca_source: None,
            demands: lifeboat::postgres::Demands::default(),
        }
    }

    /// A session of a person.
    pub async fn session(&self, dbname: &str) -> Connection {
        connect(&self.target(dbname), "test").await.unwrap()
    }

    /// Makes a database; `more` as after its name in CREATE DATABASE.
    pub async fn database(&self, name: &str, more: &str) {
        let name = name.replace('"', "\"\"");
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\" {more}"))
            .await;
    }

    /// Runs statements in a session of their own.
    pub async fn sql(&self, dbname: &str, sql: &str) {
        let session = self.session(dbname).await;
        if let Err(error) = session.client.batch_execute(sql).await {
            panic!(
                "{sql}: {}",
                error
                    .as_db_error()
                    .map_or_else(|| error.to_string(), ToString::to_string)
            );
        }
    }

    /// One of its programs, pointed at it.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command
            .env("PGHOST", self.dir.path())
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(bin: &Path, dir: &Path, port: u16, settings: &[String]) -> Child {
    let log = std::fs::File::create(dir.join("log")).unwrap();
    let mut command = Command::new(bin.join("postgres"));
    command
        .arg("-D")
        .arg(dir.join("data"))
        .arg("-p")
        .arg(port.to_string());
    command
        .arg("-c")
        .arg(format!("unix_socket_directories={}", dir.display()));
    for setting in [
        "listen_addresses=",
        "fsync=off",
        "autovacuum=off",
        "max_wal_size=256MB",
    ] {
        command.arg("-c").arg(setting);
    }
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// One initdb per major and user, kept under the target folder; made beside and renamed.
fn template(major: i32, bin: &Path) -> PathBuf {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let stamp = std::fs::metadata(bin).unwrap().ino();
    let ready = base.join(format!("pg{major}-{stamp}"));
    if !ready.exists() {
        let made = tempfile::Builder::new()
            .prefix("initdb")
            .tempdir_in(&base)
            .unwrap();
        std::fs::set_permissions(made.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let data = made.path().join("data");
        run(Command::new(bin.join("initdb"))
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(&data));
        // Another test may have been quicker; its template is as good.
        let _ = std::fs::rename(&data, &ready);
    }
    ready
}

/// Runs to the end and shows what it said if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program of a test's own. Written by a process of its own: what this one has open for writing, a child that another thread starts
/// meanwhile holds open too for a moment, and the kernel then refuses to run it (ETXTBSY).
pub fn executable(path: &Path, text: &str) {
    let mut command = Command::new("sh");
    command
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success(), "{command:?}");
}
