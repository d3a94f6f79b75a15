//! The Job that applies: asks every gate again (M7), applies, and holds what stands against what was rehearsed (M8). And the one
//! that settles: asks the history what became of a worker that said nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::documents::{FrozenPlan, begun, evidence, expired, plan};
use super::evidence::rehearsed_of;
use super::gate::gate;
use super::heads::Heads;
use super::kept::{Wish, keep};
use super::standing::{Standing, Values};
use super::task::{acting_of, limits_of, never, target_of};
use super::told::{Told, waits};
use crate::api::Reason;
use crate::manifest::Evidence;
use crate::objects::ObjectStore;
use crate::plan::{History, Row};
use crate::postgres::migrate::{
    self, Bounds, Level, Limits, Order, Stop, Worker, apply, precheck, read_history,
};
use crate::postgres::{PgError, Target, connect};
use crate::task::{
    AppliedResult, ApplyTask, MigrationResult, MigrationTask, Retry, SettleTask, TaskResult,
};
use crate::work::failure::Failure;
use crate::work::{Place, clock, stopped};

/// So long somebody may stand in the way before anything is begun.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// A plan on its database.
struct Run<'a> {
    task: &'a MigrationTask,
    frozen: FrozenPlan,
    evidence: Option<Evidence>,
    target: Target,
    order: Order,
}

impl<'a> Run<'a> {
    fn new(
        task: &'a MigrationTask,
        frozen: FrozenPlan,
        evidence: Option<Evidence>,
        worker: Worker,
    ) -> Result<Self, Failure> {
        let history = task.spec.history.clone().unwrap_or_default();
        let order = Order {
            plan: frozen.plan.clone(),
            worker,
            acting: acting_of(&task.spec),
            limits: limits_of(&task.spec)?,
            rehearsed: evidence.as_ref().map(rehearsed_of).unwrap_or_default(),
            baseline: history.baseline,
            supabase: history.adapter.is_some(),
            rehearsal: false,
        };
        Ok(Self {
            target: target_of(task)?,
            task,
            frozen,
            evidence,
            order,
        })
    }

    fn name(&self) -> String {
        format!("lifeboat-gate/{}", self.task.run_uid)
    }

    /// What stands, as the history says.
    fn standing(&self, history: &History) -> AppliedResult {
        let plan = &self.frozen.plan;
        let segments = || {
            plan.files
                .iter()
                .flat_map(|f| f.segments.iter().map(move |s| (f, s)))
        };
        let done = segments()
            .filter(|(f, s)| history.is_done(&f.version, plan.direction, s.index))
            .count();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        AppliedResult {
            applied: count(done),
            of: count(segments().count()),
            tries: 0,
            begun: history.started().any(|r| r.run_uid == self.task.run_uid),
            partly: segments()
                .any(|(f, s)| history.part(&f.version, plan.direction, s.index).is_some()),
            verified: None,
            differences: Vec::new(),
        }
    }

    /// The history, from a session of its own; it must be of the database that was planned for.
    async fn history(&self) -> Result<History, Failure> {
        let session = connect(&self.target, &self.name()).await?;
        let here = migrate::place(&session.client).await?;
        let (planned, found) = (&self.frozen.system_identifier, &here.system_identifier);
        if planned != found || self.frozen.database != here.database {
            return Err(expired(format!(
                "the policy's database is {} on the server {found}, and the plan was made for {} on {planned}",
                here.database, self.frozen.database
            )));
        }
        Ok(read_history(&session.client).await?)
    }

    /// Waits until nobody stands in the way, as long as that may take. What could not be seen stands in the plan, which somebody
    /// approved.
    async fn way(&self, until: Timestamp) -> Result<(), Failure> {
        let bounds = Bounds {
            replicas_acknowledged: self.task.spec.replicas.is_some(),
            ..Bounds::default()
        };
        let session = connect(&self.target, &self.name()).await?;
        loop {
            let findings = precheck(&session.client, &bounds).await?;
            let Some(first) = findings.iter().find(|f| f.level == Level::Blocks) else {
                return Ok(());
            };
            if clock::now() >= until {
                let text = format!("nothing was begun: {}", first.message);
                return Err(never(Reason::WouldBlock, text));
            }
            waits(&format!("waits: {}", first.message));
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn result(stop: Option<&Stop>, applied: AppliedResult) -> TaskResult {
    let all = format!("{} of {} segments are applied", applied.applied, applied.of);
    let mut result = match stop {
        None => TaskResult::succeeded(all),
        Some(stop) => {
            let retry = match stop.reason {
                Reason::Terminated
                | Reason::Yielded
                | Reason::ConnectionLost
                | Reason::LockLost => Retry::Later,
                _ => Retry::Never,
            };
            TaskResult::failed(stop.reason, retry, format!("{all}; {stop}"))
        }
    };
    result.migration = Some(MigrationResult {
        applied: Some(applied),
        ..MigrationResult::default()
    });
    result
}

fn told_to_stop() -> Failure {
    Failure::Postgres(PgError::later(
        Reason::Terminated,
        "the pod was told to stop while it waited; it began nothing",
    ))
}

/// Ready to begin: everything is read, and nothing is touched.
struct Prepared<'a> {
    run: Run<'a>,
    heads: Heads,
    history: History,
    /// The store's clock.
    now: Timestamp,
}

async fn prepare<'a>(
    task: &'a MigrationTask,
    step: &ApplyTask,
    store: &Arc<dyn ObjectStore>,
    place: &Place,
) -> Result<Prepared<'a>, Failure> {
    let frozen = plan(store.as_ref(), &step.plan_hash, &task.spec).await?;
    let seen = evidence(store.as_ref(), &step.evidence_key, &step.evidence_hash).await?;
    let now = begun(store.as_ref(), &task.run_uid, &place.pod_uid).await?;
    let now = now.unwrap_or_else(clock::now);
    if now >= step.closes_at {
        let text = "the window has closed; nothing was begun";
        return Err(never(Reason::WindowClosed, text));
    }
    let worker = Worker {
        run_uid: task.run_uid.clone(),
        run: format!("{}/{}", task.namespace, task.run),
        attempt: place.pod_uid.clone(),
        plan_hash: step.plan_hash.clone(),
        approved_by: step.approved_by.clone(),
        backup: step.backup.clone(),
    };
    let heads = Heads::read(store.clone(), task, &frozen, &step.plan_hash).await?;
    let mut run = Run::new(task, frozen, Some(seen), worker)?;
    let left = step.closes_at.duration_since(now);
    run.order.limits.window = Duration::try_from(left).unwrap_or_default();
    let yields = step.yields_at.map(|at| at.duration_since(now));
    run.order.limits.yields = yields.map(|left| Duration::try_from(left).unwrap_or_default());
    let history = run.history().await?;
    Ok(Prepared {
        run,
        heads,
        history,
        now,
    })
}

/// Applies.
pub(super) async fn run(
    task: &MigrationTask,
    step: &ApplyTask,
    store: Arc<dyn ObjectStore>,
    place: &Place,
) -> Result<TaskResult, Failure> {
    let prepared = tokio::select! {
        prepared = Box::pin(prepare(task, step, &store, place)) => prepared,
        () = stopped() => Err(told_to_stop()),
    };
    let Prepared {
        run,
        heads,
        history,
        now,
    } = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            let mut result = failure.to_result();
            result.migration = Some(MigrationResult {
                nothing_begun: true,
                ..MigrationResult::default()
            });
            return Ok(result);
        }
    };
    if let Err(stop) = heads.stand_in(&history) {
        return Ok(result(Some(&stop), run.standing(&history)));
    }
    // A baseline is written before the first segment: it says nothing of one.
    let of_a_segment = |r: &Row| r.run_uid == task.run_uid && !r.is_baseline();
    let resumed = history.rows.iter().any(of_a_segment);
    let standing = Standing::new(
        (task, &run.frozen),
        run.evidence.as_ref(),
        &run.target,
        place,
    );
    let kept = (step.backup.as_str(), step.prefix.as_str());
    let opened = Box::pin(async {
        // What is begun is ended, if the backup is of yesterday or not (M4).
        if resumed {
            return Ok(Values::new());
        }
        gate(store.as_ref(), step, run.evidence.as_ref(), now).await?;
        let patience = SignedDuration::try_from(PATIENCE).unwrap_or_default();
        run.way(step.closes_at.min(now + patience)).await?;
        let values = standing.before().await?;
        keep(store.as_ref(), task, kept, Wish::Begun).await?;
        Ok(values)
    });
    let opened = tokio::select! {
        opened = opened => opened,
        () = stopped() => Err(told_to_stop()),
    };
    let before = match opened {
        Ok(values) => values,
        // What stands is known: nothing of it is this worker's.
        Err(failure) => {
            let stop = Stop {
                reason: failure.reason(),
                message: failure.to_string(),
                server: None,
                sqlstate: None,
                tries: 0,
            };
            return Ok(result(Some(&stop), run.standing(&history)));
        }
    };
    let token = CancellationToken::new();
    let child = token.clone();
    let ends = tokio::spawn(async move {
        stopped().await;
        child.cancel();
    });
    let told = Told::new(heads);
    let outcome = apply(&run.target, &run.order, &told, &token).await;
    ends.abort();
    let owed = told.owed().await;
    let history = run.history().await;
    match outcome {
        Ok(done) => {
            let mut applied = run.standing(&done.history);
            applied.tries = i64::from(done.tries);
            applied.differences = owed;
            let result = standing.after(&before, applied, resumed).await?;
            // A backup that is kept too long harms nobody.
            if result.reason == Reason::Succeeded
                && let Err(failure) = keep(store.as_ref(), task, kept, Wish::Good).await
            {
                tracing::warn!("the backup stays pinned without end: {failure}");
            }
            Ok(result)
        }
        Err(stop) => {
            let mut applied = run.standing(&history?);
            applied.tries = i64::from(stop.tries);
            applied.differences = owed;
            Ok(result(Some(&stop), applied))
        }
    }
}

/// Asks the history what stands; what a worker began and left is seen to its end first.
pub(super) async fn settle(
    task: &MigrationTask,
    step: &SettleTask,
    store: Arc<dyn ObjectStore>,
    place: &Place,
) -> Result<TaskResult, Failure> {
    let frozen = plan(store.as_ref(), &step.plan_hash, &task.spec).await?;
    let seen = match (&step.evidence_key, &step.evidence_hash) {
        (Some(key), Some(hash)) => Some(evidence(store.as_ref(), key, hash).await?),
        _ => None,
    };
    let worker = Worker {
        run_uid: task.run_uid.clone(),
        run: format!("{}/{}", task.namespace, task.run),
        attempt: place.pod_uid.clone(),
        plan_hash: step.plan_hash.clone(),
        approved_by: Vec::new(),
        backup: String::new(),
    };
    let heads = Heads::read(store.clone(), task, &frozen, &step.plan_hash).await?;
    let mut run = Run::new(task, frozen, seen, worker)?;
    let before = run.history().await?;
    if let Err(stop) = heads.stand_in(&before) {
        return Ok(result(Some(&stop), run.standing(&before)));
    }
    let told = Told::new(heads);
    if before.rows.iter().any(|r| r.run_uid == task.run_uid) {
        // Told to stop before it begins: it ends the sessions of the earlier worker, and what that had begun, and begins nothing.
        let token = CancellationToken::new();
        token.cancel();
        run.order.limits = Limits {
            tries: 1,
            ..run.order.limits
        };
        match apply(&run.target, &run.order, &told, &token).await {
            Ok(_) => {}
            Err(stop) if stop.reason == Reason::Terminated => {}
            Err(stop) => return Ok(result(Some(&stop), run.standing(&run.history().await?))),
        }
    }
    let mut applied = run.standing(&run.history().await?);
    applied.differences = told.owed().await;
    Ok(result(None, applied))
}

/// A result with what stands.
pub(super) fn verified(applied: AppliedResult, why: Option<(Reason, String)>) -> TaskResult {
    match why {
        None => result(None, applied),
        Some((reason, text)) => {
            let all = format!(
                "{} of {} segments are applied; {text}",
                applied.applied, applied.of
            );
            let mut failed = TaskResult::failed(reason, Retry::Never, all);
            failed.migration = Some(MigrationResult {
                applied: Some(applied),
                ..MigrationResult::default()
            });
            failed
        }
    }
}
