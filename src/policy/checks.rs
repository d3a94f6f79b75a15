//! The check of a policy's database: its rhythm and what it learnt (K20, K21). Pure.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::decide::Observed;
use super::history::Ended;
use super::validate::ValidPolicy;
use crate::api::BackupPolicyStatus;
use crate::api::Reason;
use crate::api::backup_policy::DatabaseFacts;
use crate::api::backup_store::{UpkeepPlan, UpkeepRun};
use crate::cluster::decision::{Effect, Next};
use crate::schedule::upkeep::{Outcome, Step, Upkeep};
use crate::schedule::{START_LOOK, later};
use crate::workload::{Settings, check_job};

/// How often a database that is well is checked.
const PERIOD: Duration = Duration::from_secs(86_400);

/// What one decision says about the check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What to do.
    pub effects: Vec<Effect>,
    /// The last answer.
    pub last: Option<UpkeepRun>,
    /// What runs or comes next.
    pub plan: UpkeepPlan,
    /// Whether this spec and request have an answer.
    pub answered: bool,
    /// Why no worker has begun, if one is awaited.
    pub waiting: Option<(Reason, String)>,
    /// What was learnt, if something was.
    pub facts: Option<DatabaseFacts>,
    /// When to look again.
    pub next: Next,
}

/// Decides the check.
#[must_use]
pub fn check(
    valid: &ValidPolicy,
    seen: &Observed,
    old: &BackupPolicyStatus,
    settings: &Settings,
    now: Timestamp,
) -> Check {
    let upkeep = Upkeep {
        owner: [&valid.namespace, &valid.name],
        generation: valid.generation,
        requested_at: valid.requested_at.clone(),
        period: PERIOD,
        last: old.last_check.as_ref(),
        plan: old.next_check.as_ref(),
    };
    let round = upkeep.round(now);
    let job = check_job(settings, &seen.policy, &round.name);
    let expected = job.metadata.name.clone().unwrap_or_default();
    let mut check = Check {
        effects: Vec::new(),
        last: old.last_check.clone(),
        plan: round.plan.clone(),
        answered: !round.unanswered,
        waiting: Some((Reason::Starting, "its Job is being made".to_owned())),
        facts: None,
        next: Next::At(round.plan.at),
    };
    if let Some(done) = seen.check_job.as_ref().filter(|job| job.name != expected) {
        check.effects.push(Effect::delete(&valid.namespace, done));
    }
    match Upkeep::step(&round, &expected, seen.check_job.as_ref(), now) {
        Step::Wait => {}
        Step::Watch { until, waiting } => {
            check.waiting = waiting;
            check.next = Next::At(until);
        }
        Step::Start => {
            check.effects.push(Effect::CreateJob {
                job: Box::new(job),
                owner_version: seen.policy.resource_version().unwrap_or_default(),
            });
            check.next = Next::At(later(now, START_LOOK));
        }
        Step::Took(outcome) => {
            let (run, plan) = upkeep.record(&round, &outcome, now);
            check.next = Next::At(plan.at);
            check.last = Some(run);
            check.plan = plan;
            check.answered = true;
            check.facts = learnt(&outcome);
        }
    }
    check
}

/// What a check found out, bounded as the CRD bounds it: the result is untrusted (K14).
fn learnt(outcome: &Outcome) -> Option<DatabaseFacts> {
    let result = outcome.result.as_ref()?;
    let facts = result.database.clone().or_else(|| {
        result.found_major.map(|major| DatabaseFacts {
            major,
            ..DatabaseFacts::default()
        })
    })?;
    if !(9..=99).contains(&facts.major) {
        return None;
    }
    let first = |text: String, most: usize| -> String {
        text.chars()
            .filter(|c| !c.is_control())
            .take(most)
            .collect()
    };
    Some(DatabaseFacts {
        major: facts.major,
        system_identifier: facts
            .system_identifier
            .filter(|id| (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())),
        name: facts.name.map(|name| first(name, 256)),
        bytes: facts.bytes.filter(|b| *b >= 0),
        provider: facts.provider.map(|p| first(p, 32)),
        pooler: facts.pooler.map(|p| first(p, 32)),
        extensions: facts
            .extensions
            .into_iter()
            .take(100)
            .map(|e| first(e, 160))
            .collect(),
        extension_data: facts
            .extension_data
            .into_iter()
            .take(100)
            .map(|table| first(table, 300))
            .collect(),
        password_expires: facts.password_expires,
        not_dumped: facts
            .not_dumped
            .into_iter()
            .take(100)
            .map(|name| first(name, 300))
            .collect(),
    })
}

/// What is known of the database: by the check, or the major by a Backup that ended later.
#[must_use]
pub fn database(
    check: &Check,
    ended: Option<&Ended>,
    old: Option<&DatabaseFacts>,
) -> Option<DatabaseFacts> {
    let known = check.facts.clone().or_else(|| old.cloned());
    let checked = check.last.as_ref().map(|last| last.time);
    let newer = ended.filter(|e| Some(e.at) > checked).and_then(|e| e.major);
    match (known, newer) {
        (Some(facts), Some(major)) => Some(DatabaseFacts { major, ..facts }),
        (None, Some(major)) => Some(DatabaseFacts {
            major,
            ..DatabaseFacts::default()
        }),
        (known, None) => known,
    }
}
