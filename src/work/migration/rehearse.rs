//! A migration on a restored backup: there, back, and there again (M8-M10, M21).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::differences::{not_restored, print, touched, without_history};
use super::evidence::{Seen, files, held};
use super::scratch::{incomplete, log_in, names};
use crate::api::Reason;
use crate::api::migration_run::MigrationChecks;
use crate::api::restore_drill::Verdict;
use crate::codec::Identities;
use crate::manifest::{
    Contents, Evidence, FORMAT_VERSION, Phase, RehearsedBackup, Role, SchemaPrints, WayBack,
};
use crate::objects::ObjectStore;
use crate::plan::{self, Direction, History, Plan};
use crate::postgres::migrate::{
    Acting, Applied, Limits, Order, Stop, Unseen, Worker, apply, read_history,
};
use crate::postgres::scratch::ScratchOrder;
use crate::postgres::{Observer, PgDump, PgError, Step, Target, connect};
use crate::sql::File;
use crate::work::archive::Archive;
use crate::work::clock;
use crate::work::drill::{Place, start};
use crate::work::failure::Failure;
use crate::work::restored::{Fleeting, Scratch, room};

/// Everything that a rehearsal needs to know.
#[derive(Debug)]
pub struct Rehearsal {
    /// Where from.
    pub store: Arc<dyn ObjectStore>,
    /// What opens it.
    pub identities: Option<Arc<Identities>>,
    /// Folder of the backup.
    pub at: String,
    /// What is to be rehearsed.
    pub wanted: Wanted,
    /// Every file that there is: the ways back are among them.
    pub files: Vec<File>,
    /// Who migrates.
    pub login: Login,
    /// As whom statements run.
    pub acting: Acting,
    /// In the rows of the scratch server's history.
    pub worker: Worker,
    /// Where the backup has no history: everything up to this version counts as applied.
    pub baseline: Option<String>,
    /// Whether Supabase's own history is written too.
    pub supabase: bool,
    /// The user's checks.
    pub checks: MigrationChecks,
    /// Settings of the scratch server.
    pub parameters: BTreeMap<String, String>,
    /// Locales that it needs besides those that the backup names.
    pub locales: Vec<String>,
    /// Its image, for the report.
    pub image: String,
    /// Where the server is.
    pub server: Place,
    /// Folder for the dump, and the server's data where it is made here.
    pub volume: PathBuf,
    /// Folder for service and password files.
    pub scratch: PathBuf,
    /// Where PostgreSQL's programs are looked for first.
    pub postgres_folders: Vec<PathBuf>,
}

/// What is to be rehearsed.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A plan that was made for production: it must fit the backup.
    Frozen(Plan),
    /// What the files ask of the backup.
    Asked(plan::Order),
}

/// Who migrates.
#[derive(Debug, Clone)]
pub struct Login {
    /// The role that logs in.
    pub name: String,
    /// It, and the roles that it is a member of, as they are on the server; what is empty stands in the backup.
    pub roles: Vec<Role>,
}

/// Rehearses.
///
/// # Errors
/// [`Failure`], where nobody can tell: it is inconclusive then.
pub async fn rehearse(rehearsal: &Rehearsal, observer: &dyn Observer) -> Result<Evidence, Failure> {
    let mut clock = Laps::begin();
    let store = rehearsal.store.as_ref();
    let archive = Archive::open(store, &rehearsal.at, rehearsal.identities.as_deref()).await?;
    let tool = PgDump::find(archive.manifest.server.major, &rehearsal.postgres_folders).await?;
    clock.lap("open");
    observer.reached(Step::StartingServer).await;
    let mut order = ScratchOrder::of(&archive.contents, &rehearsal.parameters);
    order.locales.extend(rehearsal.locales.iter().cloned());
    // What is written is written as in production (M22).
    order
        .settings
        .insert("wal_level".to_owned(), "replica".to_owned());
    order
        .settings
        .insert("full_page_writes".to_owned(), "on".to_owned());
    if rehearsal.login.name != order.superuser {
        order.application_role = Some(rehearsal.login.name.clone());
    }
    let database = &archive.manifest.server.database;
    let place = (&rehearsal.server, rehearsal.volume.as_path());
    let (server, socket) = start(place, &tool, &order, database).await?;
    clock.lap("server");
    let scratch = Scratch {
        socket,
        superuser: order.superuser,
        tool,
        began: Instant::now(),
    };
    let outcome = match on(&scratch, rehearsal, &archive, &mut clock, observer).await {
        Err(failure) if failure.reason() == Reason::ConnectionLost => Err(scratch.gone(failure)),
        other => other,
    };
    server.leave().await?;
    outcome
}

/// What each part of it took.
#[derive(Debug)]
pub(super) struct Laps {
    started: Timestamp,
    last: Instant,
    phases: Vec<Phase>,
}

impl Laps {
    fn begin() -> Self {
        Self {
            started: clock::now(),
            last: Instant::now(),
            phases: Vec::new(),
        }
    }

    fn lap(&mut self, name: &str) {
        self.phases.push(Phase {
            name: name.to_owned(),
            seconds: self.last.elapsed().as_secs_f64(),
        });
        self.last = Instant::now();
    }
}

/// On a server that answers.
async fn on(
    scratch: &Scratch,
    rehearsal: &Rehearsal,
    archive: &Archive,
    clock: &mut Laps,
    observer: &dyn Observer,
) -> Result<Evidence, Failure> {
    let (version, left) = scratch.look(archive).await?;
    if let Some(name) = left.first() {
        return Err(incomplete(format!(
            "the scratch server lacks the extension {name}, which the database has: what a statement would meet there is not known; \
             name an image that has it in spec.postgres.image of the RestoreDrill"
        )));
    }
    room(&rehearsal.volume, archive)?;
    let store = rehearsal.store.as_ref();
    let identities = rehearsal.identities.clone();
    let fetched = archive.fetch(store, identities, &rehearsal.volume, observer);
    let fetched = fetched.await?;
    clock.lap("fetch");
    let dump = Fleeting(&fetched.dump);
    let restored = scratch.restored(&rehearsal.scratch, archive, (&fetched, &left), observer);
    let (superuser, loaded) = restored.await?;
    drop(dump);
    if let Some(first) = loaded
        .errors
        .iter()
        .find(|e| e.error.judged != Verdict::Passed)
    {
        return Err(Failure::Postgres(PgError::never(
            first.reason,
            format!(
                "the backup could not be restored whole: {}: {}",
                first.error.entry, first.error.message
            ),
        )));
    }
    clock.lap("restore");
    let target = log_in(&superuser, &rehearsal.login.name, &rehearsal.login.roles).await?;
    let stage = Stage {
        scratch,
        rehearsal,
        archive,
        superuser,
        target,
        observer,
    };
    let mut evidence = stage.blank(version, clock.started);
    stage.run(&mut evidence, clock).await?;
    evidence.phases = std::mem::take(&mut clock.phases);
    evidence.finished_at = clock::now();
    Ok(evidence)
}

/// A restored backup, and who plays on it.
struct Stage<'a> {
    scratch: &'a Scratch,
    rehearsal: &'a Rehearsal,
    archive: &'a Archive,
    superuser: Target,
    target: Target,
    observer: &'a dyn Observer,
}

impl Stage<'_> {
    fn blank(&self, server_version: String, started_at: Timestamp) -> Evidence {
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

    async fn run(&self, evidence: &mut Evidence, clock: &mut Laps) -> Result<(), Failure> {
        let history = self.history().await?;
        let plan = self.plan(&history)?;
        plan.direction.as_str().clone_into(&mut evidence.direction);
        // The history is there before it is looked what else is.
        let nothing = Plan {
            files: Vec::new(),
            ..plan.clone()
        };
        if let Err(stop) = self.apply(nothing, 1).await {
            return stopped(evidence, stop);
        }
        let names = names(&self.superuser).await?;
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
        let after = self.observe(false).await?;
        self.write(evidence, &plan, &seen, (&before, &after), &names);
        clock.lap("look again");
        if let Some(order) = back {
            self.there_and_back(evidence, &plan, &order, (&before, &after), clock)
                .await?;
        }
        Ok(())
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
            "{} files ran on {}: {} definitions touched, {} tables held, {rewritten} written anew",
            plan.files.len(),
            evidence.backup.name,
            evidence.touched.len(),
            tables.len()
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
            .any(|f| !history.done(&f.version, Direction::Up).is_empty());
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
