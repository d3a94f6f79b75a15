//! The loop: what does the history lack, apply it, ask again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::failure::{Failure, Stop};
use super::heads::Heads;
use super::history::{self, ensure};
use super::session::Sessions;
use super::standby::{followed, replayed};
use super::takeover::take_over;
use super::transaction::Segment;
use super::watchdog::{Blocked, Watchdog};
use super::{Limits, Measured, Observer, Order, Point, Whole};
use crate::api::Reason;
use crate::plan::{History, Next, Row};
use crate::postgres::pooler::{self, Pooler};
use crate::postgres::target::Target;
use crate::sql::SegmentKind;

/// So often sessions are opened anew before somebody must look.
const MOST_SESSIONS: u32 = 20;

/// The phase of a run between two tries: somebody was in the way.
const WAITING: &str = "waiting for locks";

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The history afterwards.
    pub history: History,
    /// Tries that ended because somebody was in the way.
    pub tries: u32,
    /// By version and segment, in a rehearsal.
    pub measured: BTreeMap<(String, usize), Measured>,
}

/// Applies a plan, from wherever its history stands.
///
/// # Errors
/// Whatever a person must look at. What is applied then stands in the history, and nothing of ours is left half done, unless
/// the reason says so.
pub async fn apply(
    target: &Target,
    order: &Order,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> Result<Applied, Stop> {
    let mut run = Run {
        target,
        order,
        observer,
        stop,
        blocked: Blocked::default(),
        began: Instant::now(),
        tries: 0,
        measured: BTreeMap::new(),
        did: false,
        heads: Heads::default(),
        told: BTreeSet::new(),
    };
    direct(target, order).await?;
    let mut last = None;
    for opened in 0..MOST_SESSIONS {
        // The second time at once: an index that is not valid may be in everybody's way (M4).
        if opened > 1
            && let Err(told) = run.pause(opened - 1).await
        {
            let why = last.map(|why: Stop| why.message).unwrap_or_default();
            let what = format!(
                "told to stop before it was known what became of the last statement ({why}): the history knows"
            );
            return Err(Stop::new(told.reason, what));
        }
        match run.session(opened > 0).await {
            Ok(history) => {
                return Ok(Applied {
                    history,
                    tries: run.tries,
                    measured: run.measured,
                });
            }
            Err(Failure::Unknown(why)) => {
                observer.says(&format!("{why}; the history is asked")).await;
                last = Some(why);
            }
            Err(Failure::Again(why) | Failure::Hold(why)) => {
                let tries = run.tries;
                return Err(Stop { tries, ..why });
            }
        }
    }
    Err(last.unwrap_or_else(|| Stop::new(Reason::ConnectionLost, "no session lasted")))
}

/// A pooler gives our sessions to others, and theirs to us (M20). None stands before a socket: that is a scratch server's.
async fn direct(target: &Target, order: &Order) -> Result<(), Stop> {
    if target.is_socket() {
        return Ok(());
    }
    match pooler::detect(target, &order.worker.application_name()).await? {
        Pooler::None => Ok(()),
        Pooler::Session => Err(Stop::new(
            Reason::SessionPooler,
            format!(
                "a pooler stands at {}:{}: a migration needs the server itself, which alone knows who holds a lock",
                target.host, target.port
            ),
        )),
    }
}

struct Run<'a> {
    target: &'a Target,
    order: &'a Order,
    observer: &'a dyn Observer,
    stop: &'a CancellationToken,
    blocked: Blocked,
    began: Instant,
    tries: u32,
    measured: BTreeMap<(String, usize), Measured>,
    /// A segment of this worker is done.
    did: bool,
    heads: Heads,
    /// Places of the files of which the observer knows that they are through.
    told: BTreeSet<usize>,
}

impl Run<'_> {
    /// With one set of sessions, to the end or to what ends them.
    async fn session(&mut self, comes_back: bool) -> Result<History, Failure> {
        let sessions = Sessions::open(self.target, self.order).await?;
        self.observer.at(Point::Connected).await;
        take_over(&sessions, self.order, comes_back).await?;
        self.observer.at(Point::Locked).await;
        ensure(&sessions.work.client, self.order).await?;
        self.recover(&sessions).await?;
        let (mut tries, mut owed) = (0, false);
        loop {
            let history = self.read(&sessions).await?;
            self.is_ours(&history)?;
            self.tell(&history).await?;
            let Some(next) = self.order.plan.next(&history) else {
                return Ok(history);
            };
            self.followers(&sessions, owed).await?;
            self.may_begin()?;
            match self.segment(&sessions, &history, next).await {
                Ok(()) => {
                    (tries, self.did) = (0, true);
                    owed = self.locks_readers_out(next);
                }
                Err(Failure::Again(why)) => {
                    tries += 1;
                    self.tries += 1;
                    if tries >= self.order.limits.tries {
                        return Err(Failure::Hold(why));
                    }
                    self.observer.says(&format!("{why}; tried again")).await;
                    self.observer.progress(WAITING, None).await;
                    self.pause(tries).await.map_err(Failure::Hold)?;
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Nobody but us has written since it was read last, and nothing in it was begun elsewhere (M5, M6).
    async fn read(&self, sessions: &Sessions) -> Result<History, Failure> {
        let history = history::read(&sessions.work.client).await?;
        if !self.heads.meets(&history.head) {
            return Err(Failure::hold(
                Reason::HistoryTouched,
                "somebody else wrote into lifeboat.migration_history while this run was at work: what is applied is not known",
            ));
        }
        let here = &sessions.identity;
        let foreign =
            |r: &&Row| r.system_identifier != here.system || r.database_oid != here.database;
        if let Some(row) = history.started().find(foreign) {
            return Err(Failure::hold(
                Reason::ForeignHistory,
                format!(
                    "segment {} of {} was begun on another server or database, of which this is a copy: what became of it there \
                     says nothing here; look at its object, and write how it stands into lifeboat.migration_history",
                    row.segment, row.name
                ),
            ));
        }
        Ok(history)
    }

    /// The history is the one that the plan was made for, and this run alone has written since (M23).
    fn is_ours(&self, history: &History) -> Result<(), Failure> {
        let run = &self.order.worker.run_uid;
        let mut rows = history.rows.iter().skip_while(|r| r.run_uid != *run);
        let first = rows.clone().next();
        let head = first.map_or(&history.head, |first| &first.previous);
        let planned = &self.order.plan.head;
        // A baseline is the first row of a history that was not there when the plan was made.
        let fresh = planned.is_empty() && history.rows.first().is_none_or(|r| r.run_uid == *run);
        if (head != planned && !fresh) || rows.any(|r| r.run_uid != *run) {
            return Err(Failure::hold(
                Reason::PlanVoid,
                "the history of migrations is not what it was when this run was planned: plan anew",
            ));
        }
        Ok(())
    }

    /// The observer hears of each file that is through, whoever applied it, before anything else begins.
    async fn tell(&mut self, history: &History) -> Result<(), Failure> {
        for whole in Whole::all(&self.order.plan, history) {
            if self.told.insert(whole.place) {
                let heard = self.observer.whole(&whole).await;
                heard.map_err(Failure::Hold)?;
            }
        }
        Ok(())
    }

    /// What earlier workers began and nobody saw to end.
    async fn recover(&mut self, sessions: &Sessions) -> Result<(), Failure> {
        loop {
            let history = self.read(sessions).await?;
            let Some(row) = history.started().next() else {
                return Ok(());
            };
            let next = self.planned(row).ok_or_else(|| {
                Failure::hold(
                    Reason::PlanVoid,
                    format!(
                        "segment {} of {} was begun by another run ({}) and nobody saw its end; an index that is not valid may be left \
                         of it: delete that MigrationRun, which looks after it",
                        row.segment, row.name, row.run_uid
                    ),
                )
            })?;
            self.part(sessions, &history, next).recover(row).await?;
        }
    }

    fn planned(&self, row: &Row) -> Option<Next<'_>> {
        let plan = &self.order.plan;
        let file = plan.files.iter().find(|f| f.version == row.version)?;
        let segment = file.segments.get(row.segment)?;
        let same = segment.sha256 == row.segment_sha256 && row.direction == plan.direction;
        same.then_some(Next { file, segment })
    }

    fn part<'s>(
        &'s self,
        sessions: &'s Sessions,
        history: &'s History,
        next: Next<'s>,
    ) -> Segment<'s> {
        Segment {
            order: self.order,
            next,
            history,
            heads: &self.heads,
            dog: Watchdog {
                sessions,
                limits: self.order.limits,
                observer: self.observer,
                stop: self.stop,
                patience: None,
            },
        }
    }

    async fn segment(
        &mut self,
        sessions: &Sessions,
        history: &History,
        next: Next<'_>,
    ) -> Result<(), Failure> {
        let mut blocked = std::mem::take(&mut self.blocked);
        let part = self.part(sessions, history, next);
        let done = match next.segment.kind {
            SegmentKind::Transaction | SegmentKind::Batches => part.run(&mut blocked).await,
            SegmentKind::Lone => part.run_alone(&mut blocked).await,
        };
        // A budget for each batch: between two of them nobody is kept.
        self.blocked = match (next.segment.kind, &done) {
            (SegmentKind::Batches, Ok(_)) => Blocked::default(),
            _ => blocked,
        };
        let key = (next.file.version.clone(), next.segment.index);
        if let Some(measured) = done? {
            let all = match self.measured.remove(&key) {
                Some(before) => before.and(measured),
                None => measured,
            };
            self.measured.insert(key, all);
        }
        Ok(())
    }

    /// Of a segment that no rehearsal has seen nobody knows.
    fn locks_readers_out(&self, next: Next<'_>) -> bool {
        let key = (next.file.version.clone(), next.segment.index);
        let seen = self.order.rehearsed.get(&key);
        next.segment.kind != SegmentKind::Lone && seen.is_none_or(|r| r.readers_out)
    }

    /// Who follows has come after us, or somebody has told us to stop waiting for that.
    async fn followers(&self, sessions: &Sessions, owed: bool) -> Result<(), Failure> {
        let (watch, limits) = (&sessions.watch.client, &self.order.limits);
        let follow = async {
            if owed {
                replayed(watch, limits.replay).await?;
            }
            followed(watch, limits, self.observer).await
        };
        tokio::select! {
            done = follow => done,
            () = self.stop.cancelled() => Err(Failure::Hold(told())),
        }
    }

    fn may_begin(&self) -> Result<(), Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::Hold(told()));
        }
        if self.began.elapsed() > self.order.limits.window {
            return Err(Failure::hold(
                Reason::WindowClosed,
                "the window has closed; what is applied stands, and the rest waits for a new run",
            ));
        }
        let late = |yields: Duration| self.began.elapsed() > yields;
        // Whoever begins nothing before it makes room would never come to an end.
        if self.did && self.order.limits.yields.is_some_and(late) {
            return Err(Failure::hold(
                Reason::Yielded,
                "a backup has waited long enough; what is applied stands, and the rest follows after it",
            ));
        }
        Ok(())
    }

    /// Outside any transaction. Grows, and differs from one worker to the next.
    async fn pause(&self, tries: u32) -> Result<(), Stop> {
        let base = self
            .order
            .limits
            .pause
            .saturating_mul(1 << (tries - 1).min(10));
        let seed = format!("{}/{}", self.order.worker.attempt, tries);
        let first = Sha256::digest(seed.as_bytes())
            .first()
            .copied()
            .unwrap_or_default();
        let time: Duration = base
            .min(Limits::MOST_PAUSE)
            .mul_f64(0.75 + f64::from(first) / 512.0);
        tokio::select! {
            () = sleep(time) => Ok(()),
            () = self.stop.cancelled() => Err(told()),
        }
    }
}

fn told() -> Stop {
    Stop::new(
        Reason::Terminated,
        "told to stop; what is applied stands, and nothing is half done",
    )
}
