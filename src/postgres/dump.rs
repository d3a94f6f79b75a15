//! pg_dump as a child: nothing secret in its arguments or environment, its output streamed, its
//! words read (K9, G9, G10).

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::connect::first_line;
use super::error::PgError;
use super::libpq::{Files, listen};
use super::target::Target;
use super::tools::Programs;
use crate::api::Reason;
use crate::manifest::Contents;

/// What to dump, and how.
#[derive(Debug)]
pub struct DumpOrder<'a> {
    /// The database.
    pub target: &'a Target,
    /// Which pg_dump.
    pub tool: &'a Programs,
    /// The exported snapshot.
    pub snapshot: &'a str,
    /// As the server shows it.
    pub application_name: &'a str,
    /// A pooler stands between: no startup options can be sent, the result says `KeepalivesNotSet`.
    pub pooled: bool,
    /// What the server warned us of, and what is no damage: pg_dump hears it too.
    pub heard: &'a [String],
    /// How it prints.
    pub print: &'a Print,
    /// A folder of ours, in memory, for service and password file.
    pub scratch: &'a Path,
}

/// How a server prints definitions to pg_dump, where settings of role, database or server could change it: the same on both
/// sides of a comparison (G23).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Print {
    /// Encoding of the dump: the server's own, so that nothing is converted (G6).
    pub encoding: String,
    /// `standard_conforming_strings`.
    pub standard_strings: String,
    /// `quote_all_identifiers`.
    pub quote_all: String,
}

/// Names of the settings that [`Print`] is recorded under.
const PRINT: [&str; 2] = ["standard_conforming_strings", "quote_all_identifiers"];

impl Print {
    /// As PostgreSQL prints by itself.
    #[must_use]
    pub fn plain(encoding: &str) -> Self {
        Self {
            encoding: encoding.to_owned(),
            standard_strings: "on".to_owned(),
            quote_all: "off".to_owned(),
        }
    }

    /// As a backup was printed.
    #[must_use]
    pub fn of(contents: &Contents) -> Self {
        let setting = |name: &str, usual: &str| {
            let value = contents.settings.get(name);
            value.map_or(usual, String::as_str).to_owned()
        };
        let [standard, quote] = PRINT;
        Self {
            encoding: setting("server_encoding", "UTF8"),
            standard_strings: setting(standard, "on"),
            quote_all: setting(quote, "off"),
        }
    }

    /// As PostgreSQL prints by itself; through a pooler, where no settings can be sent, as the role's session prints.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn of_session(
        client: &Client,
        encoding: &str,
        pooled: bool,
    ) -> Result<Self, PgError> {
        if !pooled {
            return Ok(Self::plain(encoding));
        }
        let sql = "SELECT max(reset_val) FILTER (WHERE name = 'standard_conforming_strings'), max(reset_val) FILTER (WHERE name = 'quote_all_identifiers') FROM pg_catalog.pg_settings";
        let failed = |e| PgError::query("read how definitions are printed", &e);
        let row = client.query_one(sql, &[]).await.map_err(failed)?;
        Ok(Self {
            encoding: encoding.to_owned(),
            standard_strings: row.try_get(0).map_err(failed)?,
            quote_all: row.try_get(1).map_err(failed)?,
        })
    }

    /// Writes it down.
    pub fn record(&self, contents: &mut Contents) {
        let [standard, quote] = PRINT.map(str::to_owned);
        contents
            .settings
            .insert(standard, self.standard_strings.clone());
        contents.settings.insert(quote, self.quote_all.clone());
    }
}

/// A pg_dump that runs. Dropping it kills it.
#[derive(Debug)]
pub struct DumpProcess {
    /// The dump. Take it, read it to its end, then call [`DumpProcess::finish`].
    pub stdout: ChildStdout,
    /// True if pg_dump compresses the data itself; else the caller must.
    pub compressed: bool,
    child: Child,
    words: JoinHandle<Vec<u8>>,
    files: Files,
    heard: Vec<String>,
}

/// How pg_dump ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpEnd {
    /// Harmless remarks of pg_dump, for the log.
    pub remarks: Vec<String>,
}

impl DumpProcess {
    /// Writes the files and starts pg_dump.
    ///
    /// # Errors
    /// `InvalidSpec` for a name that libpq cannot be told, `DumpFailed` if it does not start.
    pub fn spawn(order: &DumpOrder<'_>) -> Result<Self, PgError> {
        let io = |what: &str, e: std::io::Error| {
            PgError::later(Reason::DumpFailed, format!("failed to {what}: {e}"))
        };
        let files = Files::write(order.target, order.scratch)?;
        let compressed = order.tool.zstd;
        let mut command = Command::new(&order.tool.pg_dump);
        command
            .arg("--format=custom")
            .arg(format!("--snapshot={}", order.snapshot))
            .arg("--lock-wait-timeout=10s")
            .arg("--no-password")
            // Set after connecting, so through a pooler too.
            .arg(format!("--encoding={}", order.print.encoding))
            .arg(if compressed {
                "--compress=zstd:1"
            } else {
                "--compress=0"
            })
            .stdout(Stdio::piped());
        files.lend_to(&mut command, order.application_name);
        if order.pooled {
            // What libpq sends by itself poolers let pass.
            command.env("PGTZ", "UTC");
        } else {
            command.env("PGOPTIONS", options(order.tool.major, order.print));
        }
        let mut child = command.spawn().map_err(|e| io("start pg_dump", e))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(PgError::later(
                Reason::InternalError,
                "pg_dump has no pipes",
            ));
        };
        let words = tokio::spawn(listen(stderr));
        Ok(Self {
            stdout,
            compressed,
            child,
            words,
            files,
            heard: order.heard.to_vec(),
        })
    }

    /// Waits for its end and judges it by status and words (G3: no silent partial dump).
    /// Call it when stdout was read to its end.
    ///
    /// # Errors
    /// `LockTimeout` if it could not lock in time (G9), `DumpFailed`, `DumpIncomplete`.
    pub async fn finish(self) -> Result<DumpEnd, PgError> {
        self.ended().await?.judge(&[])
    }

    /// As [`DumpProcess::finish`], but for the words of one that ended well: our own sessions may not have heard yet what it did.
    ///
    /// # Errors
    /// `LockTimeout`, `DumpFailed`.
    pub async fn ended(self) -> Result<Ended, PgError> {
        let Self {
            stdout,
            mut child,
            words,
            files,
            heard,
            ..
        } = self;
        // A dump whose reader went away must not wait for it.
        drop(stdout);
        let status = child.wait().await.map_err(|e| {
            PgError::later(
                Reason::DumpFailed,
                format!("failed to wait for pg_dump: {e}"),
            )
        })?;
        let words = words.await.unwrap_or_default();
        drop(files);
        let words = String::from_utf8_lossy(&words).into_owned();
        if !status.success() {
            judge(status, &words, &heard)?;
        }
        Ok(Ended {
            status,
            words,
            heard,
        })
    }

    /// Kills it and waits until it is gone.
    pub async fn kill(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }
}

/// A pg_dump that ended well, and what it said.
#[derive(Debug)]
pub struct Ended {
    status: ExitStatus,
    words: String,
    heard: Vec<String>,
}

impl Ended {
    /// Judges its words, knowing what our own sessions heard by now besides.
    ///
    /// # Errors
    /// `DumpIncomplete`.
    pub fn judge(self, heard: &[String]) -> Result<DumpEnd, PgError> {
        judge(self.status, &self.words, &[&self.heard, heard].concat())
    }
}

/// For a session that is not ours: half-open connections must not hold locks for hours (G10), and what
/// pg_dump prints must not hang on the settings of role, database or server (G14, G23).
pub(super) fn options(major: i32, print: &Print) -> String {
    let mut options = format!(
        "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 \
         -c tcp_user_timeout=60s -c TimeZone=UTC -c bytea_output=hex -c client_min_messages=warning \
         -c standard_conforming_strings={} -c quote_all_identifiers={}",
        print.standard_strings, print.quote_all
    );
    if major >= 14 {
        options.push_str(" -c client_connection_check_interval=10s");
    }
    options
}

fn judge(status: ExitStatus, words: &str, heard: &[String]) -> Result<DumpEnd, PgError> {
    let lines: Vec<&str> = words
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    if !status.success() {
        // What the server remarked on the way is not why it failed.
        let remark = |line: &str| severity(line).is_some_and(|severity| severity != "WARNING");
        let told: Vec<&str> = lines.iter().copied().filter(|l| !remark(l)).collect();
        let said = if told.is_empty() {
            "it said nothing".to_owned()
        } else {
            told.iter().take(6).copied().collect::<Vec<_>>().join(" ")
        };
        if said.contains("conflict with recovery") {
            return Err(PgError::later(
                Reason::RecoveryConflict,
                format!(
                    "pg_dump failed ({status}): the standby's replay had to remove what was still read: set hot_standby_feedback \
                     = on there, or a longer max_standby_streaming_delay, or back up the primary; pg_dump said: {said}"
                ),
            ));
        }
        let timeout = words.contains("LOCK TABLE")
            && (words.contains("statement timeout") || words.contains("lock timeout"));
        let elsewhere = words.contains("invalid snapshot identifier")
            || (words.contains("snapshot") && words.contains("does not exist"));
        return Err(if elsewhere {
            PgError::later(
                Reason::SeveralServers,
                format!(
                    "pg_dump does not find the snapshot: the address led it to another server than the one whose tables are locked. Give the address of one server ({said})"
                ),
            )
        } else if timeout {
            PgError::later(
                Reason::LockTimeout,
                format!(
                    "pg_dump could not lock a table within 10 s, a stronger lock waits for it: {said}"
                ),
            )
        } else {
            PgError::later(
                Reason::DumpFailed,
                format!("pg_dump failed ({status}): {said}"),
            )
        });
    }
    let mut remarks = vec![];
    // What the line before was part of: details and hints belong to it, and so do further lines of what a server said.
    let (mut harmless, mut of_server) = (false, false);
    for line in lines {
        match severity(line) {
            Some(severity) => {
                of_server = true;
                harmless = severity != "WARNING" || is_harmless(line) || was_heard(line, heard);
            }
            None if continues(line) || (of_server && !line.starts_with("pg_dump:")) => {}
            None => {
                of_server = false;
                harmless = is_harmless(line);
            }
        }
        if !harmless {
            return Err(PgError::later(
                Reason::DumpIncomplete,
                format!(
                    "pg_dump ended well but said something that may mean missing data: {line}{}",
                    remedy(line)
                ),
            ));
        }
        remarks.push(super::sanitise(line));
    }
    Ok(DumpEnd { remarks })
}

/// What helps, where that is known.
fn remedy(line: &str) -> &'static str {
    match line.contains("subscriptions not dumped") {
        true => {
            "; only a superuser may read the subscriptions of a database: back this one up as one"
        }
        false => "",
    }
}

/// What the server's own words begin with, as libpq prints them. An ERROR is none that pg_dump outlives.
fn severity(line: &str) -> Option<&str> {
    let (word, _) = line.split_once(":  ")?;
    let remark = ["NOTICE", "INFO", "LOG", "WARNING"].contains(&word);
    (remark || word.starts_with("DEBUG")).then_some(word)
}

fn continues(line: &str) -> bool {
    [
        "DETAIL:",
        "HINT:",
        "CONTEXT:",
        "pg_dump: detail:",
        "pg_dump: hint:",
    ]
    .iter()
    .any(|p| line.starts_with(p))
}

/// Whether our own session was told the same, with an SQLSTATE that says that it is no damage: pg_dump prints none.
fn was_heard(line: &str, heard: &[String]) -> bool {
    let said = line.split_once(":  ").map_or("", |(_, said)| said);
    !said.is_empty() && heard.iter().any(|text| first_line(text) == said)
}

/// The closed list of words that mean nothing is missing. Whatever is not here is an error.
fn is_harmless(line: &str) -> bool {
    line.contains("collation version mismatch")
        || line.contains("has no actual collation version, but a version was recorded")
        || line.starts_with("pg_dump: warning: there are circular foreign-key constraints")
        // auto_explain and pgaudit, where they are told to speak as loudly as that.
        || line.starts_with("WARNING:  duration: ")
        || line.starts_with("WARNING:  AUDIT: ")
}

#[cfg(test)]
#[path = "dump_tests.rs"]
mod tests;
