//! pg_restore as a child: one section of a dump into a database. What it says is read error by error;
//! its exit code decides nothing (G27).

use std::path::Path;
use std::process::ExitStatus;

use tokio::process::Command;

use super::error::{PgError, sanitise};
use super::libpq::{Files, listen};
use super::target::Target;
use super::toc::Toc;
use crate::api::Reason;

/// Most errors that are kept.
const MAX_ERRORS: usize = 1_000;
/// What begins each of its own lines.
const SAYS: &str = "pg_restore: ";

/// A part of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Definitions of what holds data.
    PreData,
    /// Data.
    Data,
    /// Indexes, constraints, triggers, refreshes.
    PostData,
}

impl Section {
    fn as_str(self) -> &'static str {
        match self {
            Section::PreData => "pre-data",
            Section::Data => "data",
            Section::PostData => "post-data",
        }
    }
}

/// What to restore, and how.
#[derive(Debug)]
pub struct RestoreOrder<'a> {
    /// The database.
    pub target: &'a Target,
    /// The program.
    pub program: &'a Path,
    /// Its major version.
    pub major: i32,
    /// The dump.
    pub dump: &'a Path,
    /// Its table of contents.
    pub toc: &'a Toc,
    /// File with the numbers of the entries that are wanted, in their order (`--use-list`).
    pub list: &'a Path,
    /// Which part.
    pub section: Section,
    /// Sessions at the same time.
    pub jobs: usize,
    /// A folder of ours for service and password file.
    pub scratch: &'a Path,
    /// As the server shows it.
    pub application_name: &'a str,
}

/// Something that could not be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolError {
    /// Kind of the entry, for example `TABLE DATA`; empty where it is not known.
    pub desc: String,
    /// The entry, for example `TABLE DATA public.orders`; empty where it is not known.
    pub entry: String,
    /// What the server or pg_restore said.
    pub message: String,
}

/// Restores a section. Answers what went wrong; nothing: all of it is there.
///
/// # Errors
/// Only that pg_restore could not be run.
pub async fn restore(order: &RestoreOrder<'_>) -> Result<Vec<ToolError>, PgError> {
    let failed = |what: &str, e: std::io::Error| {
        PgError::later(
            Reason::InternalError,
            format!("failed to {what} pg_restore: {e}"),
        )
    };
    let files = Files::write(order.target, order.scratch)?;
    let mut command = Command::new(order.program);
    command
        .arg(format!("--section={}", order.section.as_str()))
        .arg(format!("--jobs={}", order.jobs.max(1)))
        .arg("--use-list")
        .arg(order.list)
        .arg("--no-tablespaces")
        // A view is refreshed as its owner, whom policies may concern; there are none yet where data is loaded.
        .arg("--enable-row-security")
        .arg("--no-password")
        .arg(order.dump)
        .stdout(std::process::Stdio::null());
    files.lend_to(&mut command, order.application_name);
    command.env("PGOPTIONS", options(order.major));
    let mut child = command.spawn().map_err(|e| failed("start", e))?;
    let words = match child.stderr.take() {
        Some(stderr) => listen(stderr).await,
        None => Vec::new(),
    };
    let status = child.wait().await.map_err(|e| failed("wait for", e))?;
    drop(files);
    Ok(errors(status, &String::from_utf8_lossy(&words), order.toc))
}

/// Settings of the database that would end or hinder the load (G16): they are the database's own business
/// once it is loaded.
fn options(major: i32) -> String {
    let mut options = "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 \
         -c idle_in_transaction_session_timeout=0 -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10"
        .to_owned();
    if major >= 14 {
        options.push_str(" -c idle_session_timeout=0");
    }
    if major >= 17 {
        options.push_str(" -c transaction_timeout=0 -c event_triggers=off");
    }
    options
}

/// Reads what was said.
fn errors(status: ExitStatus, words: &str, toc: &Toc) -> Vec<ToolError> {
    let mut found: Vec<ToolError> = Vec::new();
    let (mut desc, mut entry) = (String::new(), String::new());
    let mut open = false;
    for line in words.lines() {
        let Some(own) = line.strip_prefix(SAYS) else {
            // What continues an error is left out: its detail and context hold rows, and a proof is not encrypted.
            match found.last_mut() {
                Some(error) if open && line.starts_with("Command was: ") => {
                    open = false;
                    // Sessions beside each other do not say which entry they are at.
                    if error.entry.is_empty() {
                        (error.desc, error.entry) = from_command(line);
                    }
                }
                _ => {}
            }
            continue;
        };
        open = false;
        if let Some(rest) = own.strip_prefix("from TOC entry ") {
            let number = rest.split(';').next().and_then(|n| n.parse().ok());
            let known = number.and_then(|n: i64| toc.entries.iter().find(|e| e.dump_id == n));
            (desc, entry) = match known {
                Some(e) => (e.desc.clone(), e.display()),
                None => (String::new(), sanitise(rest)),
            };
        } else if let Some(error) = own.strip_prefix("error: ") {
            open = true;
            if found.len() < MAX_ERRORS {
                found.push(ToolError {
                    desc: desc.clone(),
                    entry: entry.clone(),
                    message: sanitise(error),
                });
            }
        }
    }
    if !status.success() && found.is_empty() {
        found.push(ToolError {
            desc: String::new(),
            entry: String::new(),
            message: sanitise(&format!("pg_restore ended with {status}: {words}")),
        });
    }
    found
}

/// Kind and beginning of a statement; no more of it, because it may hold anything.
fn from_command(line: &str) -> (String, String) {
    let command = line.trim_start_matches("Command was: ");
    let desc = match command.starts_with("REFRESH MATERIALIZED VIEW") {
        true => "MATERIALIZED VIEW DATA",
        false => "",
    };
    let words: Vec<&str> = command.split_whitespace().take(4).collect();
    (
        desc.to_owned(),
        sanitise(words.join(" ").trim_end_matches(';')),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::manifest::Name;
    use crate::postgres::toc::Entry;

    #[test]
    fn every_error_is_told_with_its_entry_and_without_statement_and_rows() {
        let name = |text: &str| Name::Text(text.to_owned());
        let toc = Toc {
            format: (1, 16),
            server_version: String::new(),
            dump_version: String::new(),
            database: name("shop"),
            entries: vec![Entry {
                dump_id: 215,
                has_data: false,
                desc: "TABLE".to_owned(),
                namespace: name("public"),
                tag: name("orders"),
                owner: name("o"),
                definition: name(""),
                access_method: None,
                loaded_through: None,
            }],
        };
        let words = "pg_restore: while PROCESSING TOC:\n\
            pg_restore: from TOC entry 215; 1259 16385 TABLE orders o\n\
            pg_restore: error: could not execute query: ERROR:  type \"citext\" does not exist\n\
            LINE 2:     b citext\n             ^\n\
            Command was: CREATE TABLE public.orders (\n    secret text DEFAULT 'x'\n);\n\
            pg_restore: error: COPY failed for table \"t\": ERROR:  duplicate key\nDETAIL:  Key (a)=(1)\n\
            pg_restore: warning: errors ignored on restore: 2\n";
        let found = errors(ExitStatus::from_raw(256), words, &toc);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].entry, "TABLE public.orders");
        assert!(!found[0].message.contains("secret"), "{found:?}");
        assert!(!found[1].message.contains("Key (a)=(1)"), "{found:?}");
        let words = "pg_restore: error: could not execute query: ERROR:  no\nCommand was: REFRESH MATERIALIZED VIEW e.v;\n";
        let found = errors(ExitStatus::from_raw(256), words, &toc);
        assert_eq!(found[0].entry, "REFRESH MATERIALIZED VIEW e.v");
        assert_eq!(found[0].desc, "MATERIALIZED VIEW DATA");
        assert_eq!(errors(ExitStatus::from_raw(0), "", &toc), vec![]);
        let killed = errors(ExitStatus::from_raw(9), "", &toc);
        assert!(killed[0].message.contains("signal: 9"), "{killed:?}");
    }
}
