//! `docs/break-glass.sh` as a child: the script that somebody runs who has no Lifeboat, on a copy of a backup.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::error::{PgError, sanitise};
use super::libpq::{Files, listen};
use super::target::Target;
use super::tools::MINIMAL_PATH;
use crate::api::Reason;

/// The script, as it stood in the repository when this program was built.
const SCRIPT: &str = include_str!("../../docs/break-glass.sh");
/// Most lines that are kept of what it complains of.
const MAX_LINES: usize = 100;
/// Longest of them in characters.
const MAX_LINE: usize = 500;

/// What to restore by it, and how.
#[derive(Debug)]
pub struct ScriptOrder<'a> {
    /// The database, empty.
    pub target: &'a Target,
    /// A folder as the bucket has it, with plain names: neither encrypted nor compressed.
    pub copy: &'a Path,
    /// psql and pg_restore.
    pub programs: [&'a Path; 2],
    /// A folder of ours for the script, service and password file.
    pub scratch: &'a Path,
    /// As the server shows it.
    pub application_name: &'a str,
}

/// What it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptSaid {
    /// Its exit code was 0.
    pub success: bool,
    /// What it complained of, line by line.
    pub complaints: Vec<String>,
}

/// Runs the script to its end.
///
/// # Errors
/// Only that it could not be run.
pub async fn run(order: &ScriptOrder<'_>) -> Result<ScriptSaid, PgError> {
    let failed = |what: &str, e: std::io::Error| {
        let reason = match e.kind() {
            std::io::ErrorKind::NotFound => Reason::ToolsMissing,
            _ => Reason::InternalError,
        };
        PgError::later(reason, format!("failed to {what}: {e}"))
    };
    let script = order.scratch.join("break-glass.sh");
    std::fs::write(&script, SCRIPT).map_err(|e| failed("write break-glass.sh", e))?;
    let files = Files::write(order.target, order.scratch)?;
    let mut path = OsString::new();
    for folder in order.programs.iter().filter_map(|program| program.parent()) {
        path.push(folder);
        path.push(":");
    }
    path.push(MINIMAL_PATH);
    let mut command = Command::new("bash");
    // Nothing in the copy is encrypted: no key is read.
    command.arg(&script).arg(order.copy).arg("/dev/null");
    command.arg(Files::connection());
    files.lend_environment_to(&mut command, order.application_name);
    command.env("PATH", path).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|e| failed("start bash", e))?;
    // What it has started itself ends with it, whatever becomes of us.
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Group);
    let words = match child.stderr.take() {
        Some(stderr) => listen(stderr).await,
        None => Vec::new(),
    };
    let status = child.wait().await.map_err(|e| failed("wait for bash", e))?;
    drop((group, files));
    let _ = std::fs::remove_file(&script);
    let words = String::from_utf8_lossy(&words);
    let lines = words.lines().filter(|line| !line.trim().is_empty());
    let lines = lines.map(|line| sanitise(line).chars().take(MAX_LINE).collect());
    Ok(ScriptSaid {
        success: status.success(),
        complaints: lines.take(MAX_LINES).collect(),
    })
}

/// The processes of a script.
struct Group(i32);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = rustix::process::Pid::from_raw(self.0) {
            // None may be left by now.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
