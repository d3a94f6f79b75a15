//! `lifeboat work`: reads the task, does it, writes the result.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::api::Reason;
use crate::task::{POD_UID_ENV, Retry, TASK_ENV, TERMINATION_LOG, Task, TaskResult};
use crate::work;

/// Arguments of `lifeboat work`. The task itself comes by environment (K8).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the result goes.
    #[arg(long, default_value = TERMINATION_LOG, value_name = "FILE")]
    result: PathBuf,
    /// Folder for service and password files; in a pod a memory volume (K9).
    #[arg(long, default_value = crate::task::SCRATCH_DIR, value_name = "FOLDER")]
    scratch: PathBuf,
    /// Folder with pg_dump, instead of looking on PATH and under /usr/lib/postgresql.
    #[arg(long, value_name = "FOLDER")]
    postgres_bin: Option<PathBuf>,
}

/// Runs the task of this pod. Exit code 0 for success, 1 for a failure that the result explains.
pub async fn run(args: Args) -> ExitCode {
    let _ = tracing_subscriber::fmt()
        .json()
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .try_init();
    let result = match task() {
        Ok((task, pod_uid)) => {
            let place = work::Place {
                scratch: args.scratch,
                postgres_folders: super::postgres_folders(args.postgres_bin),
                pod_uid,
            };
            work::run(task, &place).await
        }
        Err(message) => TaskResult::failed(Reason::ProtocolError, Retry::Never, message),
    };
    let succeeded = result.reason == Reason::Succeeded;
    if succeeded {
        tracing::info!(reason = %result.reason, "{}", result.message);
    } else {
        tracing::error!(reason = %result.reason, retry = ?result.retry, "{}", result.message);
    }
    if let Err(error) = std::fs::write(&args.result, result.to_message()) {
        tracing::error!(
            "failed to write the result to {}: {error}",
            args.result.display()
        );
        return ExitCode::from(super::FAILED);
    }
    if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::FAILED)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the door: the task comes by environment (K8)"
)]
fn task() -> Result<(Task, String), String> {
    let text = std::env::var(TASK_ENV).map_err(|_| {
        format!("{TASK_ENV} is not set: `lifeboat work` runs in a pod that the operator made")
    })?;
    let pod_uid = std::env::var(POD_UID_ENV).map_err(|_| format!("{POD_UID_ENV} is not set"))?;
    let hex = pod_uid.chars().filter(char::is_ascii_hexdigit).count();
    if hex < 12 {
        return Err(format!(
            "{POD_UID_ENV} is not a uid: it has {hex} hex digits"
        ));
    }
    Ok((Task::from_env(&text).map_err(|e| e.to_string())?, pod_uid))
}
