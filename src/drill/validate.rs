//! Is the spec of a drill one that can work? Pure.
//!
//! Says again what the CRD's rules say, because an older CRD or none (`lifeboat validate`) lets it pass.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

pub use crate::api::Invalid;
use crate::api::duration::parse_positive;
use crate::api::restore_drill::{Check, DrillMode, ScratchPostgres, Select};
use crate::api::rules::{is_locale, named};
use crate::api::{REQUESTED_AT, RestoreDrill};
use crate::schedule::upkeep::requested_at;
use crate::schedule::{Cron, Tiers, Zone};
use crate::workload::Settings;

/// A run that takes longer is ended, where the spec says nothing.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(4 * 3_600);
/// Most checks of a drill.
const MAX_CHECKS: usize = 16;
/// Most bytes of checks and parameters as they stand in the task, which has 64 KiB in all (K8).
const MAX_WORDS: usize = 40 * 1024;
/// Settings of the scratch server that are Lifeboat's own: with others it would not be found, not be alone, or not be understood.
/// What a scratch server is told by Lifeboat alone.
pub const OWN_PARAMETERS: [&str; 13] = [
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "lc_messages",
    "listen_addresses",
    "log_destination",
    "log_line_prefix",
    "logging_collector",
    "port",
    "unix_socket_directories",
    "unix_socket_permissions",
];

/// A drill whose spec can work, defaults applied.
#[derive(Debug, Clone)]
pub struct ValidDrill {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Generation of the spec.
    pub generation: i64,
    /// When it was created; `None` in a file that no cluster has seen.
    pub created: Option<Timestamp>,
    /// When to drill; `None`: once.
    pub schedule: Option<(Tiers, Zone)>,
    /// How long one run may take.
    pub deadline: Duration,
    /// Starts no new runs.
    pub suspended: bool,
    /// Looks below another folder than the policy's own: needs no Backup of it.
    pub elsewhere: bool,
    /// Names a Secret with the age identity.
    pub has_identity: bool,
    /// Value of `lifeboat.dev/requestedAt`.
    pub requested_at: Option<String>,
}

/// Proves everything that deciding and building need.
///
/// # Errors
/// [`Invalid`] with the field and the fix.
pub fn validate(drill: &RestoreDrill, settings: &Settings) -> Result<ValidDrill, Invalid> {
    let spec = &drill.spec;
    named("spec.policyRef.name", &spec.policy_ref.name, "BackupPolicy")?;
    let schedule = schedule(drill)?;
    if let Some(select) = &spec.select {
        self::select(select)?;
    }
    if let Some(identity) = &spec.identity_ref {
        named("spec.identityRef.name", &identity.name, "Secret")?;
    }
    if let Some(role) = &spec.application_role {
        let mode = spec.mode.unwrap_or_default();
        application_role(role, mode)?;
    }
    checks(&spec.checks)?;
    if spec.minimum_score.is_some_and(|s| !(0..=100).contains(&s)) {
        return Err(Invalid::new(
            "spec.minimumScore",
            "write a number from 0 to 100",
        ));
    }
    if let Some(postgres) = &spec.postgres {
        server(postgres, settings)?;
    }
    words(drill)?;
    let deadline = match &spec.deadline {
        None => DEFAULT_DEADLINE,
        Some(text) => {
            parse_positive(text).map_err(|e| Invalid::new("spec.deadline", e.to_string()))?
        }
    };
    if spec.history.is_some_and(|n| !(1..=50).contains(&n)) {
        return Err(Invalid::new("spec.history", "write a number from 1 to 50"));
    }
    Ok(ValidDrill {
        namespace: drill.namespace().unwrap_or_default(),
        name: drill.name_any(),
        generation: drill.metadata.generation.unwrap_or_default(),
        created: drill.metadata.creation_timestamp.as_ref().map(|t| t.0),
        schedule,
        deadline,
        suspended: spec.suspend.unwrap_or_default(),
        elsewhere: spec.select.as_ref().is_some_and(|s| s.prefix.is_some()),
        has_identity: spec.identity_ref.is_some(),
        requested_at: requested_at(drill.annotations().get(REQUESTED_AT)),
    })
}

fn schedule(drill: &RestoreDrill) -> Result<Option<(Tiers, Zone)>, Invalid> {
    let Some(schedule) = &drill.spec.schedule else {
        return Ok(None);
    };
    let cron = Cron::parse(&schedule.cron)
        .map_err(|e| Invalid::new("spec.schedule.cron", e.to_string()))?;
    let zone = match &schedule.time_zone {
        None => Zone::utc(),
        Some(zone) => {
            Zone::parse(zone).map_err(|e| Invalid::new("spec.schedule.timeZone", e.to_string()))?
        }
    };
    Ok(Some((Tiers::new(vec![("drill".to_owned(), cron)]), zone)))
}

fn select(select: &Select) -> Result<(), Invalid> {
    let others = select.pick.is_some() || select.tier.is_some() || select.prefix.is_some();
    if let Some(backup) = &select.backup {
        named("spec.select.backup", backup, "Backup")?;
        if others {
            return Err(Invalid::new(
                "spec.select",
                "backup names one backup: remove pick, tier and prefix",
            ));
        }
    }
    if let Some(tier) = &select.tier
        && !is_plain(tier, 40)
    {
        return Err(Invalid::new(
            "spec.select.tier",
            "write the name of one tier of the policy, for example `daily`",
        ));
    }
    if let Some(prefix) = &select.prefix {
        let part = |part: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
        };
        if prefix.len() > 512 || !prefix.split('/').all(part) {
            return Err(Invalid::new(
                "spec.select.prefix",
                "use letters, digits, dots, dashes and underscores, with single slashes between and none at either end",
            ));
        }
    }
    Ok(())
}

fn application_role(role: &str, mode: DrillMode) -> Result<(), Invalid> {
    if mode != DrillMode::Disaster {
        return Err(Invalid::new(
            "spec.applicationRole",
            "is for mode Disaster: add `mode: Disaster` or remove it",
        ));
    }
    match (1..=63).contains(&role.len()) && !role.contains(char::is_control) {
        true => Ok(()),
        false => Err(Invalid::new(
            "spec.applicationRole",
            "write the name of a role, 1 to 63 bytes",
        )),
    }
}

fn checks(checks: &[Check]) -> Result<(), Invalid> {
    if checks.len() > MAX_CHECKS {
        let message = format!(
            "{} checks are too many: at most {MAX_CHECKS} are allowed",
            checks.len()
        );
        return Err(Invalid::new("spec.checks", message));
    }
    for (index, check) in checks.iter().enumerate() {
        let field = |name: &str| format!("spec.checks[{index}].{name}");
        if !is_plain(&check.name, 63) {
            return Err(Invalid::new(
                field("name"),
                "a check's name has 1 to 63 lower-case letters, digits and dashes, with a letter or digit at both ends",
            ));
        }
        if checks.iter().take(index).any(|c| c.name == check.name) {
            let message = format!("two checks have the name `{}`: rename one", check.name);
            return Err(Invalid::new(field("name"), message));
        }
        if check.sql.trim().is_empty() || check.sql.chars().count() > 2_048 {
            return Err(Invalid::new(
                field("sql"),
                "write one query of at most 2048 characters",
            ));
        }
        let expected = check.expect.as_ref().map_or(0, |e| e.chars().count());
        if expected > 256 {
            return Err(Invalid::new(
                field("expect"),
                "write at most 256 characters",
            ));
        }
    }
    Ok(())
}

fn server(postgres: &ScratchPostgres, settings: &Settings) -> Result<(), Invalid> {
    if let Some(image) = &postgres.image {
        if image.is_empty() || image.len() > 512 || image.contains(char::is_whitespace) {
            return Err(Invalid::new(
                "spec.postgres.image",
                "write an image reference such as `postgres:17`",
            ));
        }
        if !settings.allows_image(image) {
            return Err(Invalid::new(
                "spec.postgres.image",
                format!(
                    "`{image}` is not among the images that the chart's `workers.allowedImages` allows: choose one of those or ask who runs Lifeboat"
                ),
            ));
        }
    }
    for (name, value) in &postgres.parameters {
        let field = format!("spec.postgres.parameters[{name}]");
        let letter = |b: u8| b.is_ascii_lowercase() || b == b'_';
        let plain = name.bytes().next().is_some_and(letter)
            && name
                .bytes()
                .all(|b| letter(b) || b.is_ascii_digit() || b == b'.');
        if !plain || name.len() > 64 || value.chars().count() > 256 {
            return Err(Invalid::new(
                field,
                "a parameter is a name like work_mem with a value of at most 256 characters",
            ));
        }
        if OWN_PARAMETERS.contains(&name.as_str()) {
            return Err(Invalid::new(field, "Lifeboat sets it itself: remove it"));
        }
    }
    if let Some(name) = postgres.locales.iter().find(|name| !is_locale(name)) {
        return Err(Invalid::new(
            "spec.postgres.locales",
            format!("`{name}` is not the name of a locale: write for example es_CL.UTF-8"),
        ));
    }
    let size = postgres.storage.as_ref().and_then(|s| s.size.as_ref());
    if let Some(size) = size
        && !is_size(size)
    {
        return Err(Invalid::new(
            "spec.postgres.storage.size",
            "write a size like `50Gi`",
        ));
    }
    Ok(())
}

/// As the API writes sizes: digits, and a unit.
fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let units = ["", "Ki", "Mi", "Gi", "Ti", "k", "M", "G", "T"];
    (1..=10).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0')
        && units.contains(&unit)
}

/// The task has room for so many words of the user's.
fn words(drill: &RestoreDrill) -> Result<(), Invalid> {
    let parameters = drill.spec.postgres.as_ref().map(|p| &p.parameters);
    let all = serde_json::to_string(&(&drill.spec.checks, parameters)).unwrap_or_default();
    // As the task is written: a dollar takes six bytes (K8).
    let bytes = all.len() + 5 * all.matches('$').count();
    match bytes <= MAX_WORDS {
        true => Ok(()),
        false => Err(Invalid::new(
            "spec.checks",
            format!(
                "checks and parameters have {bytes} bytes together, at most {MAX_WORDS} fit: shorten them, or drill twice"
            ),
        )),
    }
}

/// Lower-case letters, digits and dashes, with a letter or digit at both ends.
fn is_plain(text: &str, most: usize) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=most).contains(&text.len())
        && text.chars().all(|c| edge(c) || c == '-')
        && text.starts_with(edge)
        && text.ends_with(edge)
}
