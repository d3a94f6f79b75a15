//! pg_restore as a child: one section of a dump into a database. What it says is read error by error;
//! its exit code decides nothing (G27).

use std::path::Path;

use tokio::process::Command;

use super::error::PgError;
use super::libpq::Files;
use super::restore_words::{Said, listen};
use super::target::Target;
use super::toc::Toc;
use crate::api::Reason;

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
    /// Its sessions are a superuser's.
    pub superuser: bool,
    /// Startup options more, each with a blank before it.
    pub own: &'a str,
    /// The server's log is read: it must be in words that are known.
    pub logged: bool,
}

/// Restores a section. Answers what went wrong; nothing: all of it is there.
///
/// # Errors
/// Only that pg_restore could not be run.
pub async fn restore(order: &RestoreOrder<'_>) -> Result<Said, PgError> {
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
        // Without it no error says which entry it is of.
        .arg("--verbose")
        .arg("--no-password")
        .arg(order.dump)
        .stdout(std::process::Stdio::null());
    files.lend_to(&mut command, order.application_name);
    command.env("PGOPTIONS", options(order));
    let mut child = command.spawn().map_err(|e| failed("start", e))?;
    let mut said = Said::default();
    if let Some(stderr) = child.stderr.take() {
        said = listen(stderr, order.toc, order.jobs > 1).await;
    }
    let status = child.wait().await.map_err(|e| failed("wait for", e))?;
    drop(files);
    Ok(said.ended(status))
}

/// Settings of the database that would end or hinder the load (G16): they are the database's own business
/// once it is loaded. So are those that read a NULL as something else. What only a superuser may set is asked for by no one else: the server would refuse the session.
fn options(order: &RestoreOrder<'_>) -> String {
    let mut options = "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 \
         -c idle_in_transaction_session_timeout=0 -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 \
         -c array_nulls=on -c transform_null_equals=off"
        .to_owned();
    if order.major >= 14 {
        options.push_str(" -c idle_session_timeout=0");
    }
    if order.major >= 17 {
        options.push_str(" -c transaction_timeout=0");
    }
    // Event triggers of extensions fire from CREATE EXTENSION on, and what they do to the rest of the dump is done already.
    match (order.superuser, order.section) {
        (true, _) if order.major >= 17 => options.push_str(" -c event_triggers=off"),
        // Before 17 with all other triggers, of which none fires while there are no rows to be loaded.
        (true, Section::PreData | Section::PostData) => {
            options.push_str(" -c session_replication_role=replica");
        }
        _ => {}
    }
    // From the rows of its catalogue on timescaledb would make on each chunk what the dump makes there too: indexes, triggers. This
    // is its own switch for restores.
    options.push_str(order.own);
    let entries = &order.toc.entries;
    let has =
        |name: &str| (entries.iter()).any(|e| e.desc == "EXTENSION" && e.tag.display() == name);
    if order.superuser && order.section != Section::PreData && has("timescaledb") {
        options.push_str(" -c timescaledb.restoring=on");
    }
    if order.superuser && order.logged {
        // The database may say otherwise, and says so before its data is loaded.
        options.push_str(
            " -c lc_messages=C -c log_min_messages=error -c log_error_verbosity=default \
             -c log_min_error_statement=panic",
        );
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Name;
    use crate::postgres::toc::Entry;

    /// A table of contents with these extensions.
    fn holding(extensions: &[&str]) -> Toc {
        let entry = |name: &&str| Entry {
            dump_id: 1,
            has_data: false,
            desc: "EXTENSION".to_owned(),
            namespace: Name::default(),
            tag: Name::Text((*name).to_owned()),
            owner: Name::default(),
            definition: Name::default(),
            ..Entry::default()
        };
        Toc {
            format: (1, 16),
            server_version: String::new(),
            dump_version: String::new(),
            database: Name::Text("shop".to_owned()),
            entries: extensions.iter().map(entry).collect(),
        }
    }

    #[test]
    fn g4_an_extension_that_would_act_on_what_is_restored_is_told_of_the_restore() {
        let target = crate::postgres::scratch::target(Path::new("/s"), "postgres", "shop");
        let asked = |extensions: &[&str], section, superuser| {
            options(&RestoreOrder {
                target: &target,
                program: Path::new("pg_restore"),
                major: 17,
                dump: Path::new("dump"),
                toc: &holding(extensions),
                list: Path::new("list"),
                section,
                jobs: 1,
                scratch: Path::new("/x"),
                application_name: "test",
                superuser,
                own: "",
                logged: true,
            })
            .contains("timescaledb.restoring=on")
        };
        for section in [Section::Data, Section::PostData] {
            assert!(asked(&["hstore", "timescaledb"], section, true));
            assert!(!asked(&["timescaledb"], section, false));
            assert!(!asked(&["hstore"], section, true));
        }
        assert!(!asked(&["timescaledb"], Section::PreData, true));
    }

    #[test]
    fn only_a_superuser_asks_for_what_only_a_superuser_may_set() {
        let target = crate::postgres::scratch::target(Path::new("/s"), "postgres", "shop");
        let toc = holding(&[]);
        let asked = |superuser, logged, major| {
            options(&RestoreOrder {
                target: &target,
                program: Path::new("pg_restore"),
                major,
                dump: Path::new("dump"),
                toc: &toc,
                list: Path::new("list"),
                section: Section::Data,
                jobs: 1,
                scratch: Path::new("/x"),
                application_name: "test",
                superuser,
                own: "",
                logged,
            })
        };
        assert!(asked(true, true, 17).contains("event_triggers=off"));
        assert!(asked(true, true, 17).contains("lc_messages=C"));
        assert!(!asked(true, true, 16).contains("event_triggers"));
        assert!(!asked(true, true, 16).contains("session_replication_role"));
        for never in [
            "event_triggers",
            "lc_messages",
            "log_",
            "session_replication",
        ] {
            assert!(!asked(false, true, 17).contains(never));
        }
        assert!(!asked(true, false, 17).contains("lc_messages"));
    }
}
