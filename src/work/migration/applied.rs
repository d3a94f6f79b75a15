//! The Job that applies: asks every gate again (M7), applies, and holds what stands against what was rehearsed (M8). And the one
//! that settles: asks the history what became of a worker that said nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::documents::{FrozenPlan, begun, evidence, expired, plan};
use super::evidence::rehearsed_of;
use super::standing::{Standing, Values};
use super::task::{acting_of, limits_of, never, target_of};
use crate::api::Reason;
use crate::api::restore_drill::Verdict;
use crate::manifest::{Evidence, MAX_PROOF_BYTES, PROOFS, Proof};
use crate::objects::{Depth, ObjectStore, join};
use crate::plan::History;
use crate::postgres::migrate::{
    self, Bounds, Level, Limits, Order, Stop, Worker, apply, precheck, read_history,
};
use crate::postgres::{Target, connect};
use crate::task::{
    AppliedResult, ApplyTask, MigrationResult, MigrationTask, Retry, SettleTask, TaskResult,
};
use crate::work::failure::Failure;
use crate::work::{Place, archive, clock, stopped};

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
            tracing::info!("waits: {}", first.message);
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
                Reason::Terminated | Reason::ConnectionLost | Reason::LockLost => Retry::Later,
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

/// Applies.
pub(super) async fn run(
    task: &MigrationTask,
    step: &ApplyTask,
    store: Arc<dyn ObjectStore>,
    place: &Place,
) -> Result<TaskResult, Failure> {
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
    let mut run = Run::new(task, frozen, Some(seen), worker)?;
    let left = step.closes_at.duration_since(now);
    run.order.limits.window = Duration::try_from(left).unwrap_or_default();
    let history = run.history().await?;
    let resumed = history.rows.iter().any(|r| r.run_uid == task.run_uid);
    let standing = Standing::new(task, run.evidence.as_ref(), &run.target, place);
    let opened = async {
        // What is begun is ended, if the backup is of yesterday or not (M4).
        if resumed {
            return Ok(Values::new());
        }
        gate(store.as_ref(), step, &run, now).await?;
        let patience = SignedDuration::try_from(PATIENCE).unwrap_or_default();
        run.way(step.closes_at.min(now + patience)).await?;
        standing.before().await
    };
    let told_to_stop = || {
        let text = "the pod was told to stop while it waited; it began nothing";
        never(Reason::Terminated, text)
    };
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
            };
            return Ok(result(Some(&stop), run.standing(&history)));
        }
    };
    let token = CancellationToken::new();
    let child = token.clone();
    let told = tokio::spawn(async move {
        stopped().await;
        child.cancel();
    });
    let outcome = apply(&run.target, &run.order, &Told, &token).await;
    told.abort();
    let history = run.history().await;
    match outcome {
        Ok(done) => {
            let mut applied = run.standing(&done.history);
            applied.tries = i64::from(done.tries);
            standing.after(&before, applied, resumed).await
        }
        Err(stop) => Ok(result(Some(&stop), run.standing(&history?))),
    }
}

/// Progress, for people, in the log.
struct Told;

#[async_trait::async_trait]
impl migrate::Observer for Told {
    async fn at(&self, _: migrate::Point) {}
    async fn says(&self, what: &str) {
        tracing::info!("{what}");
    }
}

/// The backup is there, is the one that was rehearsed on, is proven, and is fresh: by the store's clock (M7).
async fn gate(
    store: &dyn ObjectStore,
    step: &ApplyTask,
    run: &Run<'_>,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(seen) = &run.evidence else {
        return Err(expired("nothing was rehearsed"));
    };
    if seen.plan_hash != step.plan_hash || seen.result != Verdict::Passed {
        return Err(expired(
            "the rehearsal was of another plan, or did not pass",
        ));
    }
    let (manifest, sha256) = match archive::manifest(store, &step.prefix).await {
        Ok(found) => found,
        Err(failure) if failure.reason() == Reason::NoBackup => {
            return Err(expired(format!("{failure}; nothing was begun")));
        }
        Err(failure) => return Err(failure),
    };
    if sha256 != seen.backup.manifest_sha256 || seen.backup.prefix != step.prefix {
        return Err(expired("the backup is not the one that was rehearsed on"));
    }
    let age = Duration::try_from(now.duration_since(manifest.data_at)).unwrap_or_default();
    if age > Duration::from_secs(step.max_age_seconds) {
        return Err(expired(format!(
            "the data of {} is {} old, and spec.gate.maxAge is {}; nothing was begun",
            step.backup,
            crate::work::human::seconds(age.as_secs()),
            crate::work::human::seconds(step.max_age_seconds)
        )));
    }
    if !proven(store, &step.prefix, &sha256).await? {
        return Err(expired(format!(
            "no drill has proven {}; nothing was begun",
            step.backup
        )));
    }
    Ok(())
}

/// Whether a proof of this very backup lies beside it.
async fn proven(store: &dyn ObjectStore, prefix: &str, sha256: &str) -> Result<bool, Failure> {
    let folder = format!("{}/", join(prefix, PROOFS));
    let mut token = None;
    // Bounded: a thousand proofs of one backup are enough to find one.
    let page = store.list(&folder, Depth::All, token.take()).await?;
    let most = u64::try_from(MAX_PROOF_BYTES).unwrap_or(u64::MAX);
    for object in page.objects.iter().rev().take(100) {
        let bytes = store.get(&object.key, most).await?;
        let proof: Result<Proof, _> = serde_json::from_slice(&bytes);
        if proof.is_ok_and(|p| p.proves && p.backup.manifest_sha256 == sha256) {
            return Ok(true);
        }
    }
    Ok(false)
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
    let mut run = Run::new(task, frozen, seen, worker)?;
    let before = run.history().await?;
    if before.rows.iter().any(|r| r.run_uid == task.run_uid) {
        // Told to stop before it begins: it ends the sessions of the earlier worker, and what that had begun, and begins nothing.
        let token = CancellationToken::new();
        token.cancel();
        run.order.limits = Limits {
            tries: 1,
            ..run.order.limits
        };
        match apply(&run.target, &run.order, &Told, &token).await {
            Ok(_) => {}
            Err(stop) if stop.reason == Reason::Terminated => {}
            Err(stop) => return Ok(result(Some(&stop), run.standing(&run.history().await?))),
        }
    }
    Ok(result(None, run.standing(&run.history().await?)))
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
