//! The Jobs of a migration: from the operator's task to a result.

use std::time::Duration;

use super::{applied, planned, rehearsed};
use crate::api::Reason;
use crate::api::migration_run::MigrationRunSpec;
use crate::postgres::migrate::{Acting, Limits};
use crate::postgres::{PgError, Target};
use crate::task::{DatabaseTask, MigrationTask, StepTask, TaskResult};
use crate::work::failure::Failure;
use crate::work::{Place, open_store};

/// Does one step.
///
/// # Errors
/// [`Failure`], where there is nothing to say besides.
pub(in crate::work) async fn run(
    task: &MigrationTask,
    place: &Place,
) -> Result<TaskResult, Failure> {
    let store = open_store(&task.store)?;
    // On the heap: what each holds while it waits is more than a thread's stack has room for, one in the other.
    match &task.step {
        StepTask::Plan => Box::pin(planned::run(task, store.as_ref())).await,
        StepTask::Rehearse(step) => Box::pin(rehearsed::run(task, step, store, place)).await,
        StepTask::Apply(step) => Box::pin(applied::run(task, step, store, place)).await,
        StepTask::Settle(step) => Box::pin(applied::settle(task, step, store, place)).await,
    }
}

pub(super) fn never(reason: Reason, text: impl AsRef<str>) -> Failure {
    Failure::Postgres(PgError::never(reason, text))
}

/// The policy's database, as the role that migrates.
pub(super) fn target_of(task: &MigrationTask) -> Result<Target, Failure> {
    let reader = Target::from_task(&task.database)?;
    let login = DatabaseTask {
        secret_name: task.login_secret.clone(),
        dir: task.login_dir.clone(),
        keys: crate::api::backup_policy::DatabaseKeys::default(),
        host: Some(reader.host),
        port: Some(i32::from(reader.port)),
        name: Some(reader.dbname),
        user: None,
        tls_mode: Some(reader.tls),
        ca: task.database.ca.clone(),
    };
    Ok(Target::from_task(&login)?)
}

/// As whom statements run.
pub(super) fn acting_of(spec: &MigrationRunSpec) -> Acting {
    let execution = spec.execution.clone().unwrap_or_default();
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let path: Vec<String> = execution.search_path.iter().map(quoted).collect();
    Acting {
        role: execution.role,
        search_path: match path.is_empty() {
            true => "public".to_owned(),
            false => path.join(", "),
        },
    }
}

/// How long anybody may wait.
pub(super) fn limits_of(spec: &MigrationRunSpec) -> Result<Limits, Failure> {
    let execution = spec.execution.clone().unwrap_or_default();
    let or = |text: &Option<String>, field: &str, default: Duration| match text {
        None => Ok(default),
        Some(text) => duration(text).ok_or_else(|| {
            let text = format!(
                "spec.execution.{field}: {text} is no duration; write for example 500ms or 2s"
            );
            never(Reason::InvalidSpec, text)
        }),
    };
    let usual = Limits::default();
    let e = &execution;
    Ok(Limits {
        lock_timeout: or(&e.lock_timeout, "lockTimeout", usual.lock_timeout)?,
        max_blocking: or(&e.max_blocking, "maxBlocking", usual.max_blocking)?,
        block_budget: or(&e.block_budget, "blockBudget", usual.block_budget)?,
        statement_timeout: or(
            &e.statement_timeout,
            "statementTimeout",
            usual.statement_timeout,
        )?,
        alone_timeout: or(&e.alone_timeout, "aloneTimeout", usual.alone_timeout)?,
        tries: e
            .tries
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(usual.tries),
        ..usual
    })
}

/// `500ms`, `2s`, `10m`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let ms = match text.strip_prefix(digits)? {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number
        .checked_mul(ms)
        .filter(|n| *n > 0)
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        for text in ["", "5", "0s", "1d", "ms", "-1s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
