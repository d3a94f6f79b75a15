//! PostgreSQL's own programs. Each is looked for by itself, and believed only when it says which major it is: on Debian the
//! `pg_dump` on PATH is a wrapper that chooses among several, with nothing but other wrappers beside it, and a machine may
//! have the programs of a client alone.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::error::PgError;
use crate::api::Reason;
use crate::api::rules::major_of;

/// Where programs of the operating system are; enough for a pg_dump that is a script.
pub(crate) const MINIMAL_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Until a program must have said its version.
const SAY: Duration = Duration::from_secs(10);
/// From this major on pg_dump can compress with zstd, where it was built so.
const ZSTD_SINCE: i32 = 16;
/// Folders that hold one folder for each major, and what stands around its number: of Debian and PGDG, of RPM, of SUSE, of Alpine.
const BY_MAJOR: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "/bin"),
    ("/usr", "pgsql-", "/bin"),
    ("/usr/lib", "postgresql", "/bin"),
    ("/usr/libexec", "postgresql", ""),
];
/// Folders of one major, whichever it is.
const OF_ONE: [&str; 3] = ["/opt/bitnami/postgresql/bin", "/usr/local/bin", "/usr/bin"];

/// The programs of one major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// pg_dump.
    pub pg_dump: PathBuf,
    /// Version of pg_dump as it says, for example `17.2`.
    pub version: String,
    /// The major of them all.
    pub major: i32,
    /// pg_dump can compress with zstd itself.
    pub zstd: bool,
    /// Where the others are looked for, in this order.
    pub folders: Vec<PathBuf>,
}

impl Programs {
    /// Finds the pg_dump of this major: in the given folders first, then where the packages of Debian, PGDG and the official
    /// images put it.
    ///
    /// # Errors
    /// `WrongMajor` if there are only others, `ToolsMissing` if there is none.
    pub async fn find(major: i32, folders: &[PathBuf]) -> Result<Self, PgError> {
        Self::of(major, folders).await.map_err(|other| {
            let (reason, text) = match other {
                Some(other) => (
                    Reason::WrongMajor,
                    format!("the server is PostgreSQL {major}, the pg_dump here is {other}"),
                ),
                None => (
                    Reason::ToolsMissing,
                    format!("there is no pg_dump here; the server is PostgreSQL {major}"),
                ),
            };
            PgError::never(reason, text).with_major(major)
        })
    }

    /// The same for a drill that makes its server here, of the major of the backup.
    ///
    /// # Errors
    /// As [`Programs::find`], and `ToolsMissing` where only the server is missing. It names the package to install.
    pub async fn with_server(major: i32, folders: &[PathBuf]) -> Result<Self, PgError> {
        let found = Self::of(major, folders).await.map_err(|other| {
            let (reason, here) = match other {
                Some(other) => (
                    Reason::WrongMajor,
                    format!("those here are of {other}"),
                ),
                None => (Reason::ToolsMissing, "there are none here".to_owned()),
            };
            let text = format!(
                "the backup is of PostgreSQL {major} and is restored by the programs of that server, and {here}: {}",
                install(major)
            );
            PgError::never(reason, text).with_major(major)
        })?;
        found.server().await?;
        Ok(found)
    }

    /// With the pg_dump of this major; else the version of another that is here.
    async fn of(major: i32, folders: &[PathBuf]) -> Result<Self, Option<String>> {
        let mut folders = folders.to_vec();
        folders.extend(usual(major));
        let (pg_dump, version) = look("pg_dump", major, &folders).await?;
        Ok(Self {
            zstd: major >= ZSTD_SINCE && compresses(&pg_dump).await,
            pg_dump,
            version,
            major,
            folders,
        })
    }

    /// A program of a client, for example `pg_restore`.
    ///
    /// # Errors
    /// `ToolsMissing`, with the package that has it.
    pub async fn client(&self, program: &str) -> Result<PathBuf, PgError> {
        let beside = self.pg_dump.parent().map(Path::to_owned);
        let folders: Vec<PathBuf> = beside
            .into_iter()
            .chain(self.folders.iter().cloned())
            .collect();
        match look(program, self.major, &folders).await {
            Ok((path, _)) => Ok(path),
            Err(_) => Err(PgError::never(
                Reason::ToolsMissing,
                format!(
                    "there is no {program} of PostgreSQL {0} here: install it (Debian: postgresql-client-{0}), or name its folder with --postgres-bin",
                    self.major
                ),
            )),
        }
    }

    /// The folder with the programs of the server. They are of one build, so they are looked for together.
    ///
    /// # Errors
    /// `ToolsMissing`, with the package that has them.
    pub async fn server(&self) -> Result<PathBuf, PgError> {
        for folder in self.folders.iter().filter_map(|folder| whole(folder)) {
            let says = version_of(&folder.join("postgres")).await;
            if says.is_some_and(|(_, major)| major == self.major) {
                return Ok(folder);
            }
        }
        Err(PgError::never(
            Reason::ToolsMissing,
            format!(
                "there is no server of PostgreSQL {0} here (initdb and postgres), only a client: {1}",
                self.major,
                install(self.major)
            ),
        )
        .with_major(self.major))
    }

    /// The folder with a server of any major, the newest where there are several.
    pub async fn any_server(folders: &[PathBuf]) -> Option<PathBuf> {
        let mut best: Option<(PathBuf, i32)> = None;
        let all = folders.iter().cloned().chain(packaged());
        let all = all.chain(OF_ONE.map(PathBuf::from));
        for folder in all.filter_map(|folder| whole(&folder)) {
            if let Some((_, major)) = version_of(&folder.join("postgres")).await
                && best.as_ref().is_none_or(|(_, newest)| *newest < major)
            {
                best = Some((folder, major));
            }
        }
        best.map(|(folder, _)| folder)
    }
}

fn install(major: i32) -> String {
    format!(
        "install it (Debian: postgresql-{major}), or name the folder of its programs with --postgres-bin"
    )
}

/// Where packages put the programs of every major that is installed here, the newest first. They go before PATH, where on
/// Debian only wrappers are.
#[must_use]
pub fn packaged() -> Vec<PathBuf> {
    packaged_below(Path::new("/"))
}

fn packaged_below(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(i32, PathBuf)> = Vec::new();
    for (folder, head, tail) in BY_MAJOR {
        let below = root.join(folder.trim_start_matches('/'));
        for entry in std::fs::read_dir(&below).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let major = name.to_str().and_then(|name| name.strip_prefix(head));
            let Some(major) = major.and_then(|major| major.parse().ok()) else {
                continue;
            };
            found.push((major, entry.path().join(tail.trim_start_matches('/'))));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn usual(major: i32) -> impl Iterator<Item = PathBuf> {
    let by_major = BY_MAJOR.map(|(folder, head, tail)| format!("{folder}/{head}{major}{tail}"));
    let all = by_major.into_iter().chain(OF_ONE.map(str::to_owned));
    all.map(PathBuf::from)
}

/// The program of this major and its version; else the version of the first of another major.
async fn look(
    program: &str,
    major: i32,
    folders: &[PathBuf],
) -> Result<(PathBuf, String), Option<String>> {
    let mut other = None;
    for folder in folders {
        let path = folder.join(program);
        if !path.is_file() {
            continue;
        }
        match version_of(&path).await {
            Some((version, found)) if found == major => return Ok((path, version)),
            found => other = other.or(found.map(|(version, _)| version)),
        }
    }
    Err(other)
}

/// The folder, if it has a whole server; else the one that its initdb is a link into.
fn whole(folder: &Path) -> Option<PathBuf> {
    let is = |folder: &Path| {
        ["initdb", "postgres"]
            .iter()
            .all(|p| folder.join(p).is_file())
    };
    if is(folder) {
        return Some(folder.to_owned());
    }
    let real = std::fs::canonicalize(folder.join("initdb")).ok()?;
    real.parent().filter(|f| is(f)).map(Path::to_owned)
}

/// Asks a program something that it answers at once, without anything of our environment.
async fn ask(path: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", MINIMAL_PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    tokio::time::timeout(SAY, command.output()).await.ok()?.ok()
}

/// `pg_dump (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)` → 17.2 and 17
async fn version_of(path: &Path) -> Option<(String, i32)> {
    let output = ask(path, &["--version"]).await?;
    let version = parse_version(&String::from_utf8(output.stdout).ok()?)?;
    let major = major_of(&version)?;
    Some((version, major))
}

fn parse_version(text: &str) -> Option<String> {
    let rest = text.split_once("(PostgreSQL)")?.1.trim();
    rest.split_whitespace().next().map(str::to_owned)
}

/// Whether this build of pg_dump has zstd. It looks at its compression before it looks at `--jobs`, which it refuses for
/// this format, and connects nowhere.
async fn compresses(pg_dump: &Path) -> bool {
    let arguments = [
        "--format=custom",
        "--compress=zstd:1",
        "--jobs=2",
        "--no-password",
        "--host=/dev/null",
    ];
    let said = ask(pg_dump, &arguments).await;
    said.is_some_and(|said| !String::from_utf8_lossy(&said.stderr).contains("compression"))
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
