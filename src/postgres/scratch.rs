//! A throw-away server: made by initdb in a folder, on a Unix socket only, gone with the folder (G30).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::connect::connect;
use super::error::PgError;
use super::locales;
pub use super::scratch_database::{allow_login, create_beside, create_database, make_reader};
use super::scratch_memory::memory;
pub use super::scratch_network::Network;
use super::scratch_network::apart;
pub use super::scratch_order::{Refused, ScratchOrder};
use super::target::{DEFAULT_PORT, Target};
use super::tools::MINIMAL_PATH;
use crate::api::Reason;
use crate::api::backup_policy::TlsMode;

/// Until a server must answer after its start.
const START: Duration = Duration::from_secs(600);
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(100);
/// Until it must have stopped.
const STOP: Duration = Duration::from_secs(30);
/// Last bytes of a log that explain why it did not start.
const TAIL: usize = 1_000;
/// Name of its log, in the folder of its socket.
const LOG: &str = "postgres.log";
/// Name of its data folder.
const DATA: &str = "data";
/// Name of the folder with locales that the image lacks.
const LOCALES: &str = "locales";

/// The one who may enter a scratch server over its socket.
#[must_use]
pub fn target(socket: &Path, superuser: &str, dbname: &str) -> Target {
    Target {
        host: socket.to_string_lossy().into_owned(),
        port: DEFAULT_PORT,
        user: superuser.to_owned(),
        password: None,
        dbname: dbname.to_owned(),
        tls: TlsMode::Disable,
        ca_pem: None,
        ca_source: None,
        demands: super::demands::Demands::default(),
    }
}

/// Where its log is.
#[must_use]
pub fn log_of(socket: &Path) -> PathBuf {
    socket.join(LOG)
}

/// Who runs it, and where it finds locales that the image lacks.
#[derive(Debug, Clone)]
struct User {
    owner: Option<(u32, u32)>,
    locales: Option<PathBuf>,
    /// What the server is started by so that it reaches no other, and whether that must be started as we are.
    apart: Option<(Vec<OsString>, bool)>,
}

impl User {
    /// A program that sees nothing of our environment.
    fn command(&self, program: &Path) -> Command {
        self.lent(Command::new(program), self.owner)
    }

    /// The server itself.
    fn server(&self, program: &Path) -> Command {
        let words = self.apart.as_ref();
        let Some(((first, others), as_we_are)) =
            words.and_then(|(words, as_we_are)| Some((words.split_first()?, *as_we_are)))
        else {
            return self.command(program);
        };
        let mut command = Command::new(first);
        command.args(others).arg(program);
        self.lent(command, self.owner.filter(|_| !as_we_are))
    }

    fn lent(&self, mut command: Command, owner: Option<(u32, u32)>) -> Command {
        command
            .env_clear()
            .env("PATH", MINIMAL_PATH)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(locales) = &self.locales {
            command.env("LOCPATH", locales);
        }
        if let Some((uid, gid)) = owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn clean(&self, data: &Path) {
        for folder in std::iter::once(data).chain(self.locales.as_deref()) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// A server that runs. Dropping it kills it.
#[derive(Debug)]
pub struct ScratchServer {
    child: Child,
    programs: PathBuf,
    data: PathBuf,
    user: User,
    /// Preload libraries of the source that are not here.
    pub missing: Vec<String>,
    /// Settings of the source that it does not take.
    pub refused: Vec<Refused>,
    /// It reaches no other server (P9).
    pub apart: bool,
}

impl ScratchServer {
    /// Makes and starts one. `programs` holds initdb and postgres, `folder` its data, `socket` its socket and log.
    ///
    /// # Errors
    /// `ServerFailed`, with what it said.
    pub async fn start(
        programs: &Path,
        order: &ScratchOrder,
        folder: &Path,
        socket: &Path,
        network: Network,
    ) -> Result<Self, PgError> {
        let order = &order.within(memory());
        let data = folder.join(DATA);
        let locales = locales::make(&order.locales, programs, &folder.join(LOCALES)).await;
        let mut user = User {
            owner: None,
            locales,
            apart: None,
        };
        let started = match initdb(programs, order, folder, &data, socket, &mut user).await {
            Ok(()) => {
                if network == Network::Own {
                    user.apart = apart(user.owner).await;
                }
                Self::start_in(programs, order, &data, socket, &user).await
            }
            Err(error) => Err(error),
        };
        if started.is_err() {
            user.clean(&data);
        }
        started
    }

    async fn start_in(
        programs: &Path,
        order: &ScratchOrder,
        data: &Path,
        socket: &Path,
        user: &User,
    ) -> Result<Self, PgError> {
        let (mut preload, mut missing) = libraries(programs, &order.preload);
        write(&data.join("pg_hba.conf"), &order.hba())?;
        let base = read(&data.join("postgresql.conf"))?;
        let mut refused: Vec<Refused> = Vec::new();
        // Each turn leaves out a setting or a library more, so it ends.
        loop {
            let config = format!("{base}\n{}", order.config(socket, &preload, &refused));
            write(&data.join("postgresql.conf"), &config)?;
            let before = std::fs::metadata(log_of(socket)).map_or(0, |log| log.len());
            let mut started = Self {
                child: spawn(programs, data, socket, user)?,
                programs: programs.to_owned(),
                data: data.to_owned(),
                user: user.clone(),
                missing: missing.clone(),
                refused: refused.clone(),
                apart: user.apart.is_some(),
            };
            let Err(error) = started.ready(socket, &order.superuser).await else {
                return Ok(started);
            };
            if matches!(started.child.try_wait(), Ok(None)) {
                return Err(error);
            }
            // What of the source this image lacks is left out: what depends on it says so later, by name.
            let log = std::fs::read(log_of(socket)).unwrap_or_default();
            let at = usize::try_from(before).unwrap_or_default();
            let said = String::from_utf8_lossy(log.get(at..).unwrap_or_default()).into_owned();
            let lacks = |name: &String| said.contains(&format!("could not access file \"{name}\""));
            let named = order.refused(&said, &refused);
            match preload.iter().position(lacks) {
                Some(at) => missing.push(preload.remove(at)),
                None if !named.is_empty() => refused.extend(named),
                // A library may be there and refuse to be loaded here.
                None if !preload.is_empty() => missing.append(&mut preload),
                None => return Err(error),
            }
        }
    }

    /// Waits until it answers.
    async fn ready(&mut self, socket: &Path, superuser: &str) -> Result<(), PgError> {
        let target = target(socket, superuser, "template1");
        let until = tokio::time::Instant::now() + START;
        loop {
            if connect(&target, "lifeboat/scratch").await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = tail(&log_of(socket));
                return Err(failed(&format!("it ended with {status}: {log}")));
            }
            if tokio::time::Instant::now() >= until {
                let log = tail(&log_of(socket));
                return Err(failed(&format!("it did not answer within 10 min: {log}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for its end, which nobody asked for.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Stops it, in no order: nothing of it is kept, and its data goes.
    pub async fn stop(mut self) {
        let mut stop = self.user.command(&self.programs.join("pg_ctl"));
        stop.args(["stop", "-s", "-w", "-m", "immediate", "-t"])
            .arg(STOP.as_secs().to_string())
            .arg("-D")
            .arg(&self.data);
        let stopped = stop.status().await;
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.child.start_kill();
        }
        let _ = self.child.wait().await;
        self.user.clean(&self.data);
    }
}

/// Makes the data folder. PostgreSQL refuses uid 0: then the folders are given to a user without rights, who runs it.
async fn initdb(
    programs: &Path,
    order: &ScratchOrder,
    folder: &Path,
    data: &Path,
    socket: &Path,
    user: &mut User,
) -> Result<(), PgError> {
    loop {
        let mut initdb = user.command(&programs.join("initdb"));
        initdb
            .args([
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-U",
            ])
            .arg(&order.superuser)
            .arg("-D")
            .arg(data)
            .current_dir(folder)
            .stderr(Stdio::piped());
        let output = initdb
            .output()
            .await
            .map_err(|e| failed(&format!("initdb did not start: {e}")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if user.owner.is_some() || !said.contains("cannot be run as root") {
            return Err(failed(&format!(
                "initdb ended with {}: {said}",
                output.status
            )));
        }
        let somebody = somebody().ok_or_else(|| {
            failed("PostgreSQL cannot run as root, and there is no user postgres or nobody")
        })?;
        for path in [folder, socket] {
            std::os::unix::fs::chown(path, Some(somebody.0), Some(somebody.1))
                .map_err(|e| failed(&format!("failed to give {} away: {e}", path.display())))?;
        }
        user.owner = Some(somebody);
    }
}

/// The user postgres, else nobody.
fn somebody() -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let of = |name: &str| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let mut next = || fields.next();
            let (user, _, uid, gid) = (next()?, next()?, next()?, next()?);
            (user == name).then_some((uid.parse().ok()?, gid.parse().ok()?))
        })
    };
    of("postgres").or_else(|| of("nobody"))
}

fn spawn(programs: &Path, data: &Path, socket: &Path, user: &User) -> Result<Child, PgError> {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log_of(socket))
        .map_err(|e| failed(&format!("failed to make its log: {e}")))?;
    user.server(&programs.join("postgres"))
        .arg("-D")
        .arg(data)
        .current_dir(data)
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(|e| failed(&format!("postgres did not start: {e}")))
}

/// Which of the libraries may be here, and which are surely not.
fn libraries(programs: &Path, wanted: &[String]) -> (Vec<String>, Vec<String>) {
    let real = std::fs::canonicalize(programs.join("postgres"));
    let bin = real.ok().and_then(|path| path.parent().map(Path::to_owned));
    let base = bin.unwrap_or_else(|| programs.to_owned());
    let near = [
        "../lib",
        "../lib/postgresql",
        "../lib64",
        "../lib64/pgsql",
        "../lib/pgsql",
    ];
    let folder = near
        .iter()
        .map(|near| base.join(near))
        .find(|folder| folder.join("plpgsql.so").exists());
    let Some(folder) = folder else {
        // The server will say.
        return (wanted.to_vec(), Vec::new());
    };
    let here = |name: &String| {
        let file = format!("{}.so", name.trim_start_matches("$libdir/"));
        // The source may have other folders for them (`dynamic_library_path`); a path stands for itself.
        folder.join(file).exists() || Path::new(name).is_absolute()
    };
    wanted.iter().cloned().partition(here)
}

fn failed(what: &str) -> PgError {
    let reason = match what.contains("No space left") {
        true => Reason::NoRoom,
        false => Reason::ServerFailed,
    };
    PgError::later(reason, format!("the scratch server failed: {what}"))
}

fn read(path: &Path) -> Result<String, PgError> {
    std::fs::read_to_string(path)
        .map_err(|e| failed(&format!("failed to read {}: {e}", path.display())))
}

fn write(path: &Path, text: &str) -> Result<(), PgError> {
    std::fs::write(path, text)
        .map_err(|e| failed(&format!("failed to write {}: {e}", path.display())))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(TAIL);
    String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned()
}
