//! Is the spec of a run one that can work? Pure.
//!
//! Says again what the CRD's rules say where an older CRD or none lets it pass, and what they cannot say. What the SQL
//! means is nobody's business here: the planning worker reads it.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::window::Window;
pub use crate::api::Invalid;
use crate::api::MigrationRun;
use crate::api::duration::parse_positive;
use crate::api::migration_run::{ApprovalMode, MigrationRunSpec};
use crate::api::rules::named;
use crate::workload::Settings;

/// Most bytes of files that stand in the spec.
const MAX_INLINE: usize = 24 * 1024;
/// Most bytes of the spec as it stands in the task, which has 64 KiB in all (K8).
const MAX_SPEC: usize = 40 * 1024;
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(86_400);
const DEFAULT_STATEMENT: Duration = Duration::from_secs(3_600);
const DEFAULT_ALONE: Duration = Duration::from_secs(6 * 3_600);
/// No statement may take longer: the deadline of a Job rests on it.
const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

/// A run whose spec can work, defaults applied.
#[derive(Debug, Clone)]
pub struct ValidRun {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was created; `None` in a file that no cluster has seen.
    pub created: Option<Timestamp>,
    /// When it may be applied.
    pub window: Window,
    /// How old the data of the backup may be.
    pub max_age: Duration,
    /// Somebody must approve.
    pub needs_approval: bool,
    /// The longest that one statement may take.
    pub longest_statement: Duration,
    /// Starts nothing.
    pub suspended: bool,
}

/// Proves everything that deciding and building need.
///
/// # Errors
/// [`Invalid`] with the field and the fix.
pub fn validate(run: &MigrationRun, settings: &Settings) -> Result<ValidRun, Invalid> {
    let spec = &run.spec;
    let approval = spec.approval.unwrap_or_default();
    if approval == ApprovalMode::None && settings.approval == ApprovalMode::Required {
        let message = "every migration needs an approval here (migrations.approval of the chart): leave it out, or write Required";
        return Err(Invalid::new("spec.approval", message));
    }
    named("spec.policyRef.name", &spec.policy_ref.name, "BackupPolicy")?;
    named("spec.drillRef.name", &spec.drill_ref.name, "RestoreDrill")?;
    let login = &spec.credentials.secret_ref.name;
    named("spec.credentials.secretRef.name", login, "Secret")?;
    if !(1..=253).contains(&spec.requested_by.len()) {
        let message = "write your name as `kubectl auth whoami` prints it";
        return Err(Invalid::new("spec.requestedBy", message));
    }
    source(spec)?;
    let window = Window::parse(&spec.window)?;
    let longest_statement = timeouts(spec)?;
    let max_age = spec.gate.as_ref().and_then(|g| g.max_age.as_ref());
    let max_age = match max_age {
        None => DEFAULT_MAX_AGE,
        Some(text) => {
            parse_positive(text).map_err(|e| Invalid::new("spec.gate.maxAge", e.to_string()))?
        }
    };
    let keep = spec.gate.as_ref().and_then(|g| g.keep_pinned.as_ref());
    if let Some(Err(error)) = keep.map(|text| parse_positive(text)) {
        return Err(Invalid::new("spec.gate.keepPinned", error.to_string()));
    }
    let bytes = spec_bytes(spec);
    if bytes > MAX_SPEC {
        let message = format!(
            "the spec has {bytes} bytes as a worker is told it, at most {MAX_SPEC} fit: put the files into a ConfigMap and name it in spec.source.configMapRef, or shorten the checks"
        );
        return Err(Invalid::new("spec", message));
    }
    Ok(ValidRun {
        namespace: run.namespace().unwrap_or_default(),
        name: run.name_any(),
        created: run.metadata.creation_timestamp.as_ref().map(|t| t.0),
        window,
        max_age,
        needs_approval: approval == ApprovalMode::Required,
        longest_statement,
        suspended: spec.suspend.unwrap_or_default(),
    })
}

/// As the task is written: a dollar takes six bytes.
fn spec_bytes(spec: &MigrationRunSpec) -> usize {
    let json = serde_json::to_string(spec).unwrap_or_default();
    json.len() + 5 * json.matches('$').count()
}

fn source(spec: &MigrationRunSpec) -> Result<(), Invalid> {
    let source = &spec.source;
    if source.config_map_ref.is_some() != source.inline.is_empty() {
        let message = "name exactly one of configMapRef and inline";
        return Err(Invalid::new("spec.source", message));
    }
    if let Some(map) = &source.config_map_ref {
        named("spec.source.configMapRef.name", &map.name, "ConfigMap")?;
    }
    let bytes: usize = source.inline.iter().map(|file| file.sql.len()).sum();
    if bytes > MAX_INLINE {
        let message = format!(
            "the files have {bytes} bytes together, at most {MAX_INLINE} may stand in the spec: put them into a ConfigMap and name it in spec.source.configMapRef"
        );
        return Err(Invalid::new("spec.source.inline", message));
    }
    for (index, file) in source.inline.iter().enumerate() {
        if source
            .inline
            .iter()
            .take(index)
            .any(|f| f.name == file.name)
        {
            let field = format!("spec.source.inline[{index}].name");
            let message = format!("two files have the name `{}`: rename one", file.name);
            return Err(Invalid::new(field, message));
        }
    }
    Ok(())
}

/// Every time reads; answers the longest that one statement may take.
fn timeouts(spec: &MigrationRunSpec) -> Result<Duration, Invalid> {
    let execution = spec.execution.clone().unwrap_or_default();
    let read = |name: &str, text: Option<&String>, default: Duration| {
        match text {
        None => Ok(default),
        Some(text) => short(text)
            .filter(|time| (Duration::from_millis(1)..=MAX_TIMEOUT).contains(time))
            .ok_or_else(|| {
                let field = format!("spec.execution.{name}");
                let message = format!(
                    "`{}` is no time: write a whole number with ms, s, m or h, for example 500ms, at most 24h",
                    text.chars().take(40).collect::<String>()
                );
                Invalid::new(field, message)
            }),
    }
    };
    read(
        "lockTimeout",
        execution.lock_timeout.as_ref(),
        DEFAULT_STATEMENT,
    )?;
    read(
        "maxBlocking",
        execution.max_blocking.as_ref(),
        DEFAULT_STATEMENT,
    )?;
    read(
        "blockBudget",
        execution.block_budget.as_ref(),
        DEFAULT_STATEMENT,
    )?;
    let statement = execution.statement_timeout.as_ref();
    let statement = read("statementTimeout", statement, DEFAULT_STATEMENT)?;
    let alone = read(
        "aloneTimeout",
        execution.alone_timeout.as_ref(),
        DEFAULT_ALONE,
    )?;
    if execution.tries.is_some_and(|n| !(1..=100).contains(&n)) {
        return Err(Invalid::new(
            "spec.execution.tries",
            "write a number from 1 to 100",
        ));
    }
    Ok(statement.max(alone))
}

/// `500ms`, `2s`, `1m`, `6h`.
fn short(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 7)?;
    match text.strip_prefix(digits)? {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        "h" => Some(Duration::from_secs(number * 3_600)),
        _ => None,
    }
}
