//! A restored backup on which a migration is played (M8, M13, M21).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::differences::{not_restored, print, touched, without_history};
use super::evidence::{Seen, files, held};
use super::rehearse::{Laps, Rehearsal, Wanted};
use super::scratch::incomplete;
use super::surroundings::{other_settings, unmet};
use crate::api::Reason;
use crate::api::migration_run::MigrationCheck;
use crate::api::restore_drill::Verdict;
use crate::manifest::{
    Contents, Evidence, FORMAT_VERSION, RehearsedBackup, RehearsedCheck, SchemaPrints, WayBack,
};
use crate::plan::{self, Direction, History, Plan};
use crate::postgres::migrate::{
    Applied, CHECK_TIMEOUT, Canary, Limits, Order, Stop, Unseen, Want, Worker, apply, ask,
    read_history, surroundings,
};
use crate::postgres::{Observer, PgError, Target, connect, rehearsal};
use crate::work::archive::Archive;
use crate::work::failure::Failure;
use crate::work::human::count;
use crate::work::restored::Scratch;

/// A restored backup, and who plays on it.
pub(super) struct Stage<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) rehearsal: &'a Rehearsal,
    pub(super) archive: &'a Archive,
    pub(super) superuser: Target,
    pub(super) target: Target,
    pub(super) observer: &'a dyn Observer,
}

impl Stage<'_> {
    pub(super) fn blank(&self, server_version: String, started_at: Timestamp) -> Evidence {
        let (manifest, worker) = (&self.archive.manifest, &self.rehearsal.worker);
        let (namespace, run) = worker.run.split_once('/').unwrap_or_default();
        Evidence {
            format: FORMAT_VERSION,
            run: run.to_owned(),
            namespace: namespace.to_owned(),
            plan_hash: worker.plan_hash.clone(),
            result: Verdict::Passed,
            reason: Reason::Succeeded.as_str().to_owned(),
            message: String::new(),
            direction: String::new(),
            login: self.rehearsal.login.name.clone(),
            role: self.rehearsal.acting.role.clone(),
            backup: RehearsedBackup {
                name: manifest.backup.clone(),
                prefix: self.archive.at.clone(),
                database: manifest.server.database.clone(),
                data_at: manifest.data_at,
                manifest_sha256: self.archive.manifest_sha256.clone(),
            },
            server_version,
            image: self.rehearsal.image.clone(),
            lifeboat_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            finished_at: started_at,
            files: Vec::new(),
            schema: SchemaPrints::default(),
            touched: Vec::new(),
            checks: Vec::new(),
            way_back: WayBack::NotTried,
            differences: Vec::new(),
            stale_plans: Vec::new(),
            notes: Vec::new(),
            phases: Vec::new(),
        }
    }

    async fn history(&self) -> Result<History, Failure> {
        let session = connect(&self.superuser, "lifeboat/rehearsal").await?;
        Ok(read_history(&session.client).await?)
    }

    fn plan(&self, history: &History) -> Result<Plan, Failure> {
        match &self.rehearsal.wanted {
            Wanted::Frozen(plan) if plan.head == history.head => Ok(plan.clone()),
            Wanted::Frozen(_) => Err(Failure::Postgres(PgError::never(
                Reason::PlanVoid,
                "the history of migrations in the backup is not the one that the run was planned for: the backup is older than \
                 the last migration, or production was migrated since",
            ))),
            Wanted::Asked(order) => self.made(history, order),
        }
    }

    fn made(&self, history: &History, order: &plan::Order) -> Result<Plan, Failure> {
        let made = plan::make(&self.rehearsal.files, history, order);
        made.map_err(|refusal| Failure::Postgres(PgError::never(refusal.reason, refusal.message)))
    }

    /// Each pass is a run of its own: a plan is for the history that it was made for (M23).
    async fn apply(&self, plan: Plan, pass: u8) -> Result<Applied, Stop> {
        let rehearsal = self.rehearsal;
        let run_uid = format!("{}-{pass}", rehearsal.worker.run_uid);
        let order = Order {
            plan,
            worker: Worker {
                run_uid,
                ..rehearsal.worker.clone()
            },
            acting: rehearsal.acting.clone(),
            limits: Limits::default(),
            rehearsed: BTreeMap::new(),
            baseline: rehearsal.baseline.clone(),
            supabase: rehearsal.supabase,
            rehearsal: true,
        };
        apply(&self.target, &order, &Unseen, &CancellationToken::new()).await
    }

    /// All definitions; with `rows` what stands in every table too.
    async fn observe(&self, rows: bool) -> Result<Contents, Failure> {
        let mut recorded = self.archive.contents.clone();
        if !rows {
            recorded.line_key = None;
        }
        let (scratch, folder) = (self.scratch, &self.rehearsal.scratch);
        let found = scratch.observe(folder, &self.superuser, &recorded, self.observer);
        Ok(without_history(found.await?))
    }

    /// There, and back, and there again.
    pub(super) async fn run(
        &self,
        evidence: &mut Evidence,
        clock: &mut Laps,
    ) -> Result<(), Failure> {
        let history = self.history().await?;
        let plan = self.plan(&history)?;
        plan.direction.as_str().clone_into(&mut evidence.direction);
        evidence.notes.extend(self.surrounded(&plan).await?);
        // The history is there before it is looked what else is.
        let nothing = Plan {
            files: Vec::new(),
            ..plan.clone()
        };
        if let Err(stop) = self.apply(nothing, 1).await {
            return stopped(evidence, stop);
        }
        let names = rehearsal::table_names(&self.superuser).await?;
        let checks = &self.rehearsal.checks;
        let none = BTreeMap::new();
        if !self.asked(evidence, "pre", &checks.pre, &none).await {
            return Ok(());
        }
        let values = self.values(&checks.post).await;
        let mut canary = Canary::open(&self.superuser).await?;
        let back = self.way_back(&plan, &history).await?;
        if back.is_none() && plan.direction == Direction::Up {
            evidence.way_back = WayBack::None;
        }
        let before = self.observe(back.is_some()).await?;
        evidence.schema.before = print(&before);
        clock.lap("look");
        let seen = match self.apply(plan.clone(), 1).await {
            Ok(applied) => applied.measured,
            Err(stop) => return stopped(evidence, stop),
        };
        clock.lap("migrate");
        evidence.stale_plans = canary.look().await?;
        drop(canary);
        let after = self.observe(false).await?;
        self.write(evidence, &plan, &seen, (&before, &after), &names);
        if !self.asked(evidence, "post", &checks.post, &values).await {
            return Ok(());
        }
        clock.lap("look again");
        if let Some(order) = back {
            self.there_and_back(evidence, &plan, &order, (&before, &after), clock)
                .await?;
        }
        Ok(())
    }

    /// What surrounds the statements in production surrounds them here (M9); settings that differ are worth a note (M22).
    async fn surrounded(&self, plan: &Plan) -> Result<Vec<String>, Failure> {
        let session = connect(&self.target, "lifeboat/rehearsal").await?;
        let here = surroundings(&session.client).await?;
        let there = &self.rehearsal.surroundings;
        if let Some(names) = unmet(&there.event_triggers, &here.event_triggers, plan) {
            return Err(incomplete(format!(
                "production has event triggers that the backup does not have, or has otherwise, and a statement could fire them: \
                 {names}; rehearse it on a backup that is younger than they are"
            )));
        }
        Ok(other_settings(&there.settings, &here.settings))
    }

    /// What checks with `maxDriftPercent` are held against.
    async fn values(&self, checks: &[MigrationCheck]) -> BTreeMap<String, String> {
        let acting = &self.rehearsal.acting;
        let values = ask(&self.target, acting, checks, Want::Values, CHECK_TIMEOUT).await;
        let values = values.into_iter();
        values.filter_map(|a| Some((a.name, a.value?))).collect()
    }

    /// Asks, and writes down what passed. False if one did not: the rehearsal has failed then.
    async fn asked(
        &self,
        evidence: &mut Evidence,
        when: &str,
        checks: &[MigrationCheck],
        values: &BTreeMap<String, String>,
    ) -> bool {
        let acting = &self.rehearsal.acting;
        let want = Want::Verdicts(values);
        for asked in ask(&self.target, acting, checks, want, CHECK_TIMEOUT).await {
            if evidence.result == Verdict::Passed && !asked.passed {
                let why = match &asked.error {
                    Some(error) => format!("could not be asked: {error}"),
                    None => "does not say what it should".to_owned(),
                };
                let when = if when == "pre" { "before" } else { "after" };
                let text = format!("the check {} {why}, {when} the migration", asked.name);
                fail(evidence, Reason::CheckFailed, text);
            }
            evidence.checks.push(RehearsedCheck {
                when: when.to_owned(),
                name: asked.name,
                passed: asked.passed,
                error: asked.error,
            });
        }
        evidence.result == Verdict::Passed
    }

    fn write(
        &self,
        evidence: &mut Evidence,
        plan: &Plan,
        seen: &Seen,
        (before, after): (&Contents, &Contents),
        names: &BTreeMap<String, (String, String)>,
    ) {
        let held = held(seen);
        let tables: BTreeSet<(String, String)> =
            held.iter().filter_map(|t| names.get(t)).cloned().collect();
        evidence.files = files(plan, seen);
        evidence.schema.after = print(after);
        evidence.touched = touched(before, after, &tables);
        let rewritten = seen.values().map(|m| m.rewritten.len()).sum::<usize>();
        evidence.message = format!(
            "{} ran on {}: {} touched, {} held, {rewritten} written anew",
            count(plan.files.len(), "file"),
            evidence.backup.name,
            count(evidence.touched.len(), "definition"),
            count(tables.len(), "table")
        );
    }

    /// How to come back to where the plan begins, if every file of it has a way.
    async fn way_back(
        &self,
        plan: &Plan,
        history: &History,
    ) -> Result<Option<plan::Order>, Failure> {
        if plan.direction == Direction::Down || plan.files.is_empty() {
            return Ok(None);
        }
        // What was begun before this run is not this run's to undo.
        let begun = plan
            .files
            .iter()
            .any(|f| !history.standing(&f.version, Direction::Up).is_empty());
        let has_way = |version: &str| {
            let mut files = self.rehearsal.files.iter();
            files.any(|f| {
                let numbers = crate::sql::order::version(&f.name).numbers;
                f.down && plan::source::canonical(&numbers) == version
            })
        };
        if begun || !plan.files.iter().all(|f| has_way(&f.version)) {
            return Ok(None);
        }
        let history = self.history().await?;
        let standing = history.versions().into_iter();
        let last = standing
            .filter_map(|(version, ..)| plan::source::numbers(version))
            .max();
        Ok(Some(plan::Order {
            direction: Direction::Down,
            target: last.map_or_else(|| "0".to_owned(), |v| plan::source::canonical(&v)),
            baseline: self.rehearsal.baseline.clone(),
        }))
    }

    /// Down, and up again: equal to before, and equal to after.
    async fn there_and_back(
        &self,
        evidence: &mut Evidence,
        plan: &Plan,
        order: &plan::Order,
        (before, after): (&Contents, &Contents),
        clock: &mut Laps,
    ) -> Result<(), Failure> {
        let broken = |evidence: &mut Evidence, what: String| {
            evidence.way_back = WayBack::Broken;
            let what = format!("{what}; mend the files that lead back, or leave them out");
            fail(evidence, Reason::WayBackBroken, what);
        };
        let down = self.made(&self.history().await?, order)?;
        if let Err(stop) = self.apply(down, 2).await {
            broken(evidence, format!("the way back: {stop}"));
            return Ok(());
        }
        clock.lap("way back");
        let back = self.observe(true).await?;
        let (differences, notes) = not_restored(before, &back);
        evidence.schema.back = Some(print(&back));
        evidence.notes.extend(notes);
        evidence.differences = differences;
        if let Some(first) = evidence.differences.first() {
            let what = format!(
                "the way back does not lead to where it began: {} {}: {} instead of {}; and {} more",
                first.what,
                first.object,
                first.found,
                first.expected,
                evidence.differences.len() - 1
            );
            broken(evidence, what);
            return Ok(());
        }
        clock.lap("look back");
        let target = plan.files.last().map(|f| f.version.clone());
        let again = plan::Order {
            direction: Direction::Up,
            target: target.unwrap_or_default(),
            baseline: self.rehearsal.baseline.clone(),
        };
        let again = self.made(&self.history().await?, &again)?;
        if let Err(stop) = self.apply(again, 3).await {
            broken(
                evidence,
                format!("a second time, after the way back: {stop}"),
            );
            return Ok(());
        }
        if print(&self.observe(false).await?) != print(after) {
            let what = "a second time, after the way back, the migration leads elsewhere";
            broken(evidence, what.to_owned());
            return Ok(());
        }
        clock.lap("again");
        evidence.way_back = WayBack::Rehearsed;
        Ok(())
    }
}

fn fail(evidence: &mut Evidence, reason: Reason, message: String) {
    evidence.result = Verdict::Failed;
    reason.as_str().clone_into(&mut evidence.reason);
    evidence.message = message;
}

/// A migration that fails where nobody is in its way fails; a server that goes away says nothing of it.
fn stopped(evidence: &mut Evidence, stop: Stop) -> Result<(), Failure> {
    if stop.reason == Reason::ConnectionLost {
        return Err(Failure::Postgres(PgError::later(stop.reason, stop.message)));
    }
    fail(evidence, stop.reason, stop.message);
    Ok(())
}
