//! Is the spec of a policy one that can work? Pure.
//!
//! Says again what the CRD's rules say, because an older CRD or none (`lifeboat validate`) lets it pass,
//! and what they cannot say: zones, crons that never fire, images that the chart does not allow.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

pub use crate::api::Invalid;
use crate::api::backup_policy::{Database, Tier};
use crate::api::duration::{parse, parse_positive};
use crate::api::rules::{authority, folder, named, template};
use crate::api::{BackupPolicy, REQUESTED_AT, name};
use crate::health::Rules;
use crate::schedule::upkeep::requested_at;
use crate::schedule::{self, Cron, Tiers, Zone};
use crate::workload::Settings;

/// Most tiers of a policy.
const MAX_TIERS: usize = 12;
const DEFAULT_DEADLINE: Duration = Duration::from_secs(7_200);
const DEFAULT_ATTEMPTS: i32 = 3;

/// A policy whose spec can work, defaults applied.
#[derive(Debug, Clone)]
pub struct ValidPolicy {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Generation of the spec.
    pub generation: i64,
    /// When it was created; `None` in a file that no cluster has seen.
    pub created: Option<Timestamp>,
    /// When to back up.
    pub tiers: Tiers,
    /// In which zone.
    pub zone: Zone,
    /// When something is worth an alert.
    pub rules: Rules,
    /// How much later than its due time a run starts, always.
    pub spread: Duration,
    /// How long one attempt may take.
    pub deadline: Duration,
    /// How often one due time is tried.
    pub attempts: i32,
    /// Starts no new runs.
    pub suspended: bool,
    /// Folder in the store.
    pub directory: String,
    /// Name of the store.
    pub store: String,
    /// The user's own image, whose major nobody chooses but the user.
    pub own_image: bool,
    /// What need not be in a backup, by name (G3, G4).
    pub accepted: Vec<String>,
    /// Value of `lifeboat.dev/requestedAt`.
    pub requested_at: Option<String>,
}

/// Proves everything that deciding and building need.
///
/// # Errors
/// [`Invalid`] with the field and the fix.
pub fn validate(policy: &BackupPolicy, settings: &Settings) -> Result<ValidPolicy, Invalid> {
    let spec = &policy.spec;
    let namespace = policy.namespace().unwrap_or_default();
    let name = policy.name_any();
    database(&spec.database)?;
    named("spec.storeRef.name", &spec.store_ref.name, "BackupStore")?;
    if let Some(directory) = &spec.directory {
        folder("spec.directory", directory, false)?;
    }
    let zone = match &spec.time_zone {
        None => Zone::utc(),
        Some(zone) => {
            Zone::parse(zone).map_err(|e| Invalid::new("spec.timeZone", e.to_string()))?
        }
    };
    let tiers = tiers(&spec.tiers)?;
    let spread = spread(spec.spread.as_deref(), &tiers, &zone)?;
    let deadline = match &spec.deadline {
        None => DEFAULT_DEADLINE,
        Some(text) => {
            parse_positive(text).map_err(|e| Invalid::new("spec.deadline", e.to_string()))?
        }
    };
    if let Some(text) = &spec.max_blocking {
        parse_positive(text).map_err(|e| Invalid::new("spec.maxBlocking", e.to_string()))?;
    }
    let attempts = spec.attempts.unwrap_or(DEFAULT_ATTEMPTS);
    if !(1..=10).contains(&attempts) {
        return Err(Invalid::new("spec.attempts", "write a number from 1 to 10"));
    }
    template("spec.template", spec.template.as_ref(), |image| {
        settings.allows_image(image)
    })?;
    let rules = Rules::parse(spec.objectives.as_ref(), spec.alerts.as_ref())?;
    let own_image = spec
        .template
        .as_ref()
        .is_some_and(|t| t.postgres_image.is_some());
    Ok(ValidPolicy {
        spread: schedule::spread(&namespace, &name, spread),
        directory: spec
            .directory
            .clone()
            .unwrap_or_else(|| name::default_directory(&namespace, &name)),
        namespace,
        name,
        uid: policy.uid().unwrap_or_default(),
        generation: policy.metadata.generation.unwrap_or_default(),
        created: policy.metadata.creation_timestamp.as_ref().map(|t| t.0),
        tiers,
        zone,
        rules,
        deadline,
        attempts,
        suspended: spec.suspend.unwrap_or_default(),
        store: spec.store_ref.name.clone(),
        own_image,
        accepted: spec
            .accept
            .iter()
            .flat_map(crate::api::backup_policy::Accept::names)
            .cloned()
            .collect(),
        requested_at: requested_at(policy.annotations().get(REQUESTED_AT)),
    })
}

fn tiers(tiers: &[Tier]) -> Result<Tiers, Invalid> {
    if tiers.len() > MAX_TIERS {
        return Err(Invalid::new(
            "spec.tiers",
            format!(
                "{} tiers are too many: at most {MAX_TIERS} are allowed",
                tiers.len()
            ),
        ));
    }
    let mut valid: Vec<(String, Cron)> = Vec::new();
    for (index, tier) in tiers.iter().enumerate() {
        let field = format!("spec.tiers[{index}].name");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = (1..=40).contains(&tier.name.len())
            && tier.name.chars().all(|c| plain(c) || c == '-')
            && tier.name.starts_with(plain)
            && tier.name.ends_with(plain);
        if !fits {
            let message = "a tier's name has 1 to 40 lower-case letters, digits and dashes, with a letter or digit at both ends";
            return Err(Invalid::new(field, message));
        }
        if valid.iter().any(|(other, _)| *other == tier.name) {
            let message = format!("two tiers have the name `{}`: rename one", tier.name);
            return Err(Invalid::new(field, message));
        }
        let cron = Cron::parse(&tier.cron)
            .map_err(|e| Invalid::new(format!("spec.tiers[{index}].cron"), e.to_string()))?;
        valid.push((tier.name.clone(), cron));
    }
    Ok(Tiers::new(valid))
}

/// The bound within which the policy's own spread lies.
fn spread(text: Option<&str>, tiers: &Tiers, zone: &Zone) -> Result<Duration, Invalid> {
    let gap = || schedule::shortest_gap(tiers, zone);
    let Some(text) = text else {
        return Ok(gap().map_or(Duration::ZERO, schedule::default_spread));
    };
    let invalid = |message: String| Invalid::new("spec.spread", message);
    let spread = parse(text).map_err(|e| invalid(e.to_string()))?;
    if spread.is_zero() {
        return Ok(spread);
    }
    match gap() {
        Some(gap) if spread >= gap => Err(invalid(format!(
            "`{text}` is not shorter than the {} s between two due times: write less, or `0s`",
            gap.as_secs()
        ))),
        _ => Ok(spread),
    }
}

fn database(database: &Database) -> Result<(), Invalid> {
    named(
        "spec.database.secretRef.name",
        &database.secret_ref.name,
        "Secret",
    )?;
    if let Some(host) = &database.host {
        let fits = (1..=253).contains(&host.len())
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".:_-".contains(&b));
        if !fits {
            let message = "write one host name or address, without port, user or path";
            return Err(Invalid::new("spec.database.host", message));
        }
    }
    if database
        .port
        .is_some_and(|port| !(1..=65_535).contains(&port))
    {
        return Err(Invalid::new(
            "spec.database.port",
            "write a number from 1 to 65535",
        ));
    }
    if let Some(name) = &database.name
        && !(1..=63).contains(&name.len())
    {
        let message = "a database's name has 1 to 63 bytes";
        return Err(Invalid::new("spec.database.name", message));
    }
    if let Some(user) = &database.user
        && !(1..=63).contains(&user.len())
    {
        let message = "a role's name has 1 to 63 bytes";
        return Err(Invalid::new("spec.database.user", message));
    }
    let ca = database.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    authority("spec.database.tls.ca", ca)
}
