//! The image's own pg_dump.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::error::PgError;
use crate::api::Reason;

/// Where programs of the operating system are; enough for a pg_dump that is a script.
pub(crate) const MINIMAL_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A pg_dump that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgDump {
    /// The program.
    pub path: PathBuf,
    /// As it says, for example `17.2`.
    pub version: String,
    /// Its major version.
    pub major: i32,
}

impl PgDump {
    /// Another program of the same installation, for example `pg_restore`.
    #[must_use]
    pub fn beside(&self, program: &str) -> Option<PathBuf> {
        let path = self.path.with_file_name(program);
        path.is_file().then_some(path)
    }

    /// Any that is here, the newest where there are several.
    pub async fn any(folders: &[PathBuf]) -> Option<Self> {
        let installed = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten();
        let installed = installed.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
        let more = ["/opt/bitnami/postgresql/bin", "/usr/local/bin", "/usr/bin"];
        let mut best: Option<Self> = None;
        for folder in folders
            .iter()
            .cloned()
            .chain(installed)
            .chain(more.map(PathBuf::from))
        {
            // A server needs more than pg_dump: a folder of client programs alone is of no use.
            if !folder.join("initdb").is_file() {
                continue;
            }
            if let Some(found) = version_of(&folder.join("pg_dump")).await
                && best.as_ref().is_none_or(|best| best.major < found.major)
            {
                best = Some(found);
            }
        }
        best
    }

    /// The folder of the installation.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.path.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Finds the pg_dump of this major: in the given folders first (an explicit one, then PATH),
    /// then where the packages of Debian, PGDG and the official images put it.
    ///
    /// # Errors
    /// `WrongMajor` if there are only others, `ToolsMissing` if there is none.
    pub async fn find(major: i32, folders: &[PathBuf]) -> Result<Self, PgError> {
        let usual = [
            format!("/usr/lib/postgresql/{major}/bin"),
            format!("/usr/pgsql-{major}/bin"),
            format!("/usr/libexec/postgresql{major}"),
            "/opt/bitnami/postgresql/bin".to_owned(),
            "/usr/local/bin".to_owned(),
            "/usr/bin".to_owned(),
        ];
        let mut other: Option<PgDump> = None;
        for folder in folders
            .iter()
            .cloned()
            .chain(usual.into_iter().map(PathBuf::from))
        {
            let path = folder.join("pg_dump");
            if !path.is_file() {
                continue;
            }
            match version_of(&path).await {
                Some(found) if found.major == major => return Ok(found),
                found => other = other.or(found),
            }
        }
        Err(match other {
            Some(other) => PgError::never(
                Reason::WrongMajor,
                format!(
                    "the server is PostgreSQL {major}, the pg_dump here is {}",
                    other.version
                ),
            ),
            None => PgError::never(
                Reason::ToolsMissing,
                format!("there is no pg_dump here; the server is PostgreSQL {major}"),
            ),
        }
        .with_major(major))
    }
}

/// `pg_dump (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)` → 17.2
async fn version_of(path: &Path) -> Option<PgDump> {
    let mut command = Command::new(path);
    command
        .arg("--version")
        .env_clear()
        .env("PATH", MINIMAL_PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(10), command.output())
        .await
        .ok()?
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = parse_version(&text)?;
    Some(PgDump {
        path: path.to_owned(),
        major: major_of(&version)?,
        version,
    })
}

fn parse_version(text: &str) -> Option<String> {
    let rest = text.split_once("(PostgreSQL)")?.1.trim();
    rest.split_whitespace().next().map(str::to_owned)
}

fn major_of(version: &str) -> Option<i32> {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_as_distributions_print_it() {
        for (text, version, major) in [
            (
                "pg_dump (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)\n",
                "17.2",
                17,
            ),
            ("pg_dump (PostgreSQL) 15.20\n", "15.20", 15),
            ("pg_dump (PostgreSQL) 18beta1\n", "18beta1", 18),
        ] {
            let found = parse_version(text).unwrap();
            assert_eq!(found, version);
            assert_eq!(major_of(&found), Some(major));
        }
        assert_eq!(parse_version("busybox"), None);
    }

    #[tokio::test]
    async fn a_missing_tool_is_told_from_one_of_another_major() {
        let empty = tempfile::tempdir().unwrap();
        let error = PgDump::find(99, &[empty.path().to_owned()])
            .await
            .unwrap_err();
        assert!(
            matches!(error.reason(), Reason::ToolsMissing | Reason::WrongMajor),
            "{error}"
        );
        assert_eq!(error.found_major(), Some(99));
    }
}
