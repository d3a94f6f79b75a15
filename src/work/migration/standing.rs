//! Production before and after: definitions as the rehearsal had them, and the user's checks (M8, M11).

use std::collections::BTreeMap;

use super::applied::verified;
use super::differences::{by_key, without_history};
use super::documents::FrozenPlan;
use super::surroundings::unmet;
use super::task::{acting_of, never};
use crate::api::Reason;
use crate::api::migration_run::MigrationCheck;
use crate::manifest::{Contents, Evidence, Name, TouchedEntry};
use crate::postgres::migrate::{Asked, CHECK_TIMEOUT, Want, analyze, ask, surroundings};
use crate::postgres::{LockPatience, Silent, Target, connect};
use crate::task::{AppliedResult, MigrationTask, TaskResult};
use crate::work::Place;
use crate::work::failure::Failure;
use crate::work::verify::{Subject, definitions};

/// Most differences in the result.
const MOST: usize = 10;

/// Production, as far as the migration touches it.
pub(super) struct Standing<'a> {
    task: &'a MigrationTask,
    frozen: &'a FrozenPlan,
    evidence: Option<&'a Evidence>,
    target: &'a Target,
    place: &'a Place,
}

/// Values of checks with `maxDriftPercent`, by their names.
pub(super) type Values = BTreeMap<String, String>;

impl<'a> Standing<'a> {
    pub(super) fn new(
        (task, frozen): (&'a MigrationTask, &'a FrozenPlan),
        evidence: Option<&'a Evidence>,
        target: &'a Target,
        place: &'a Place,
    ) -> Self {
        Self {
            task,
            frozen,
            evidence,
            target,
            place,
        }
    }

    fn touched(&self) -> &'a [TouchedEntry] {
        self.evidence.map_or(&[], |e| e.touched.as_slice())
    }

    /// As the role of the backups reads them: who migrates may not read every table.
    async fn definitions(&self) -> Result<Contents, Failure> {
        let subject = Subject {
            target: Target::from_task(&self.task.database)?,
            scratch: self.place.scratch.clone(),
            postgres_folders: self.place.postgres_folders.clone(),
            patience: LockPatience::default(),
            application_name: format!("lifeboat-gate/{}", self.task.run_uid),
        };
        Ok(without_history(definitions(&subject, None, &Silent).await?))
    }

    async fn asked(&self, checks: &[MigrationCheck], want: Want<'_>) -> Vec<Asked> {
        let acting = acting_of(&self.task.spec);
        ask(self.target, &acting, checks, want, CHECK_TIMEOUT).await
    }

    /// Before the first statement: what the migration touches is what it was in the backup, and the checks pass.
    pub(super) async fn before(&self) -> Result<Values, Failure> {
        let is = self.definitions().await?;
        let differences = differences(self.touched(), &is, |t| &t.before);
        if let Some(first) = differences.first() {
            return Err(never(
                Reason::NotAsRehearsed,
                format!(
                    "production is not as it was when this was rehearsed: {first}; nothing was begun: a new run rehearses it as it is now"
                ),
            ));
        }
        self.surrounded().await?;
        let checks = self.task.spec.checks.clone().unwrap_or_default();
        let none = Values::new();
        let asked = self.asked(&checks.pre, Want::Verdicts(&none)).await;
        if let Some(why) = failed(&asked) {
            let text = format!("{why}, before the migration; nothing was begun");
            return Err(never(Reason::CheckFailed, text));
        }
        let values = self.asked(&checks.post, Want::Values).await;
        Ok(values
            .into_iter()
            .filter_map(|a| Some((a.name, a.value?)))
            .collect())
    }

    /// No event trigger has come since the plan was made that a statement could fire (M9).
    async fn surrounded(&self) -> Result<(), Failure> {
        let name = format!("lifeboat-gate/{}", self.task.run_uid);
        let session = connect(self.target, &name).await?;
        let now = surroundings(&session.client).await?.event_triggers;
        let planned = &self.frozen.surroundings.event_triggers;
        match unmet(&now, planned, &self.frozen.plan) {
            None => Ok(()),
            Some(names) => Err(never(
                Reason::NotAsRehearsed,
                format!(
                    "event triggers have come or changed since this was planned, and a statement could fire them: {names}; \
                     nothing was begun: a new run rehearses it with them"
                ),
            )),
        }
    }

    /// After the last: statistics, definitions, checks.
    pub(super) async fn after(
        &self,
        before: &Values,
        mut applied: AppliedResult,
        resumed: bool,
    ) -> Result<TaskResult, Failure> {
        let tables: Vec<(String, String)> = self
            .touched()
            .iter()
            .filter(|t| ["TABLE", "MATERIALIZED VIEW"].contains(&t.desc.as_str()))
            .filter(|t| !t.after.is_empty())
            .map(|t| (t.namespace.display(), t.tag.display()))
            .collect();
        let acting = acting_of(&self.task.spec);
        for note in analyze(self.target, &acting, &tables).await {
            tracing::warn!("{note}");
        }
        let is = self.definitions().await?;
        let differences = differences(self.touched(), &is, |t| &t.after);
        let mut checks = self.task.spec.checks.clone().unwrap_or_default().post;
        if resumed {
            // Its value from before went with the worker that had it.
            checks.retain(|c| c.max_drift_percent.is_none() || before.contains_key(&c.name));
        }
        let asked = self.asked(&checks, Want::Verdicts(before)).await;
        let why = match (differences.first(), failed(&asked)) {
            (Some(first), _) => Some((
                Reason::NotAsRehearsed,
                format!("what stands is not what was rehearsed: {first}"),
            )),
            (None, Some(why)) => Some((Reason::CheckFailed, why)),
            (None, None) => None,
        };
        applied.verified = Some(why.is_none());
        // What could not be kept in the store is told besides, and is no difference of the database.
        let owed = std::mem::replace(&mut applied.differences, differences);
        applied.differences.extend(owed);
        applied.differences.truncate(MOST);
        Ok(verified(applied, why))
    }
}

fn failed(asked: &[Asked]) -> Option<String> {
    let first = asked.iter().find(|a| !a.passed)?;
    Some(match &first.error {
        Some(error) => format!("the check {} could not be asked: {error}", first.name),
        None => format!("the check {} does not say what it should", first.name),
    })
}

/// What of a definition is otherwise: whose it is, or how it is written, of which there are only fingerprints.
fn differs(wanted: &[(Name, String)], found: &[(Name, String)]) -> String {
    let owners = |all: &[(Name, String)]| {
        let names: Vec<String> = all.iter().map(|(owner, _)| owner.display()).collect();
        names.join(", ")
    };
    let same = |a: &[(Name, String)], b: &[(Name, String)]| {
        a.len() == b.len()
            && a.iter()
                .all(|(_, print)| b.iter().any(|(_, other)| other == print))
    };
    match same(wanted, found) {
        true => format!("belongs to {} instead of {}", owners(found), owners(wanted)),
        false => "has another definition".to_owned(),
    }
}

/// One sentence for each that is not as it should be.
fn differences(
    touched: &[TouchedEntry],
    is: &Contents,
    wanted: impl Fn(&TouchedEntry) -> &Vec<(Name, String)>,
) -> Vec<String> {
    let is = by_key(is);
    let mut differences = Vec::new();
    for entry in touched {
        let key = (
            entry.desc.clone(),
            entry.namespace.clone(),
            entry.tag.clone(),
        );
        let found = is.get(&key).map_or(&[][..], Vec::as_slice);
        let wanted = wanted(entry);
        if found == wanted.as_slice() {
            continue;
        }
        let what = match (wanted.is_empty(), found.is_empty()) {
            (true, _) => "is there, and should not be".to_owned(),
            (_, true) => "is missing".to_owned(),
            _ => differs(wanted, found),
        };
        let schema = entry.namespace.display();
        let dot = if schema.is_empty() { "" } else { "." };
        let name = format!("{} {schema}{dot}{}", entry.desc, entry.tag.display());
        differences.push(format!("{name} {what}").chars().take(240).collect());
    }
    differences
}
