//! How a run ended, and what stands in the status of it. Pure.
//!
//! The worker's result is untrusted (K14): closed reasons, bounded texts, figures that are none are dropped. Only a
//! result that says `Failed` makes a failure of a backup; whatever else went wrong could not tell (P10).

use super::conditions::with;
use super::decide::Case;
use super::drift::{Drift, drift};
use crate::api::backup::GivenUp;
use crate::api::condition::{ISOLATED, REGRESSION, Truth, cut};
use crate::api::restore_drill::{
    DrillOutcome, DrillRecord, DrilledTables, Rto, RunningDrill, Verdict,
};
use crate::api::{Reason, RestoreDrillStatus};
use crate::cluster::decision::{Decision, Next, Notice};
use crate::manifest::proof::PROOFS;
use crate::schedule::{START_LOOK, later};
use crate::task::{DrillResult, TaskResult};

/// Attempts of one run, each with the major that the one before found (K20).
pub(super) const MAX_ATTEMPTS: i32 = 3;
/// How many ended runs the status keeps where the spec says nothing.
const DEFAULT_HISTORY: i32 = 10;
/// Most mismatches that the status keeps.
const MAX_MISMATCHES: usize = 10;
/// Longest of them in characters.
const MAX_MISMATCH: usize = 256;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub(super) result: Verdict,
    reason: Reason,
    message: String,
    found_major: Option<i32>,
    pub(super) drill: Option<Box<DrillResult>>,
}

impl Ended {
    /// Without a verdict of a worker.
    #[must_use]
    pub fn lost(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            result: Verdict::Inconclusive,
            reason,
            message: message.into(),
            found_major: None,
            drill: None,
        }
    }

    /// Given up from outside.
    #[must_use]
    pub fn given_up(given_up: &GivenUp) -> Self {
        let reason = Reason::parse(&given_up.reason).unwrap_or(Reason::ResultLost);
        Self::lost(reason, given_up.message.clone())
    }

    /// What a pod left behind.
    #[must_use]
    pub fn read(result: Option<&TaskResult>, why: &str) -> Self {
        let Some(result) = result else {
            let reason = match why.starts_with("OOMKilled") {
                true => Reason::OutOfMemory,
                false => Reason::ResultLost,
            };
            return Self::lost(reason, format!("the pod ended without a result: {why}"));
        };
        let verdict = result.drill.as_ref().map(|d| d.result);
        let good = matches!(result.reason, Reason::Succeeded | Reason::Partial);
        let ended = Self {
            found_major: result.found_major.filter(|m| (9..=99).contains(m)),
            drill: result.drill.clone().map(Box::new),
            ..Self::lost(result.reason, result.message.clone())
        };
        match (verdict, good) {
            (Some(Verdict::Passed), true) => Self {
                result: Verdict::Passed,
                ..ended
            },
            (Some(Verdict::Failed), false) => Self {
                result: Verdict::Failed,
                ..ended
            },
            (Some(Verdict::Inconclusive) | None, false) => ended,
            (verdict, _) => {
                let said = verdict.map_or("no verdict", Verdict::as_str);
                let message = format!(
                    "the worker contradicts itself: {said} with reason {}",
                    result.reason
                );
                Self::lost(Reason::ProtocolError, message)
            }
        }
    }

    /// Whether a worker said how it went.
    #[must_use]
    pub fn has_verdict(&self) -> bool {
        self.drill.is_some()
    }
}

impl Case<'_> {
    /// Writes the end down, or begins anew with the major that was found.
    pub(super) fn conclude(
        &self,
        old: RestoreDrillStatus,
        run: RunningDrill,
        ended: Ended,
    ) -> Decision<RestoreDrillStatus> {
        let ended = match self.another_major(&run, &ended) {
            Ok(major) => {
                let why = format!("run `{}` begins anew with major version {major}", run.run);
                return self.again(old, run, Some(major), (why, &ended));
            }
            Err(None) => ended,
            Err(Some(hint)) => Ended {
                message: format!("{}; {hint}", ended.message),
                ..ended
            },
        };
        let outcome = self.outcome(&run, &ended);
        let mut history = old.history.clone();
        history.insert(0, record(&outcome));
        let most = self.seen.drill.spec.history.unwrap_or(DEFAULT_HISTORY);
        history.truncate(usize::try_from(most.clamp(1, 50)).unwrap_or(1));

        let mut notices = vec![told(&outcome)];
        let drift = drift(&history);
        let status = self.at_rest(RestoreDrillStatus {
            running: None,
            last: Some(outcome),
            history,
            ..old
        });
        let status = self.isolation(status, &ended, &mut notices);
        let status = self.break_glass(status, &run, &ended, &mut notices);
        let status = self.regression(status, drift, &mut notices);
        Decision {
            notices,
            ..Decision::quiet(status)
        }
    }

    /// The major to try next. Else, if it was that, why no other is tried.
    fn another_major(&self, run: &RunningDrill, ended: &Ended) -> Result<i32, Option<String>> {
        if ended.reason != Reason::WrongMajor || ended.result != Verdict::Inconclusive {
            return Err(None);
        }
        let found = ended.found_major.ok_or(None)?;
        if self.names_image() {
            return Err(Some(format!(
                "set spec.postgres.image to an image of major version {found}"
            )));
        }
        if run.attempt >= MAX_ATTEMPTS || run.major == Some(found) {
            return Err(Some(
                "the images of `workers.postgresImage` are not of the majors that they name"
                    .to_owned(),
            ));
        }
        Ok(found)
    }

    pub(super) fn again(
        &self,
        old: RestoreDrillStatus,
        run: RunningDrill,
        major: Option<i32>,
        (why, ended): (String, &Ended),
    ) -> Decision<RestoreDrillStatus> {
        let run = RunningDrill {
            attempt: run.attempt.saturating_add(1),
            attempted_at: Some(self.now),
            major,
            made_from: self.generations(),
            job_uid: None,
            given_up: None,
            ..run
        };
        let status = RestoreDrillStatus {
            running: Some(run),
            ..old
        };
        Decision {
            notices: vec![Notice::normal(
                ended.reason,
                format!("{why}: {}", ended.message),
            )],
            next: Next::At(later(self.now, START_LOOK)),
            ..Decision::quiet(self.under_way(status, Reason::Starting, &why))
        }
    }

    fn outcome(&self, run: &RunningDrill, ended: &Ended) -> DrillOutcome {
        let drill = ended.drill.as_deref();
        let prefix = drill.and_then(|d| d.prefix.as_deref()).and_then(folder);
        let reported = drill.is_some_and(|d| d.reported);
        let key = prefix
            .as_ref()
            .map(|prefix| format!("{prefix}/{PROOFS}/{}.json", run.run));
        let tables = drill.and_then(|d| d.tables);
        let all_equal = tables.is_none_or(|t| t.compared == t.equal);
        let whole = ended.result == Verdict::Passed && ended.reason == Reason::Succeeded;
        DrillOutcome {
            run: run.run.clone(),
            due: run.due,
            finished_at: self.now,
            result: ended.result,
            reason: ended.reason.as_str().to_owned(),
            message: cut(&ended.message),
            proves: whole && all_equal && drill.is_some_and(|d| d.proves),
            score: drill.and_then(|d| d.score).map(|s| s.clamp(0, 100)),
            backup: drill.and_then(|d| d.backup.as_deref()).and_then(backup),
            prefix,
            data_at: drill.and_then(|d| d.data_at),
            rto: drill.and_then(|d| d.rto.as_ref()).map(seconds),
            tables: tables.map(|t| DrilledTables {
                compared: t.compared.max(0),
                equal: t.equal.max(0),
            }),
            mismatches: drill.map(mismatches).unwrap_or_default(),
            report_key: key.filter(|key| reported && key.len() <= 1_024),
        }
    }

    fn isolation(
        &self,
        status: RestoreDrillStatus,
        ended: &Ended,
        notices: &mut Vec<Notice>,
    ) -> RestoreDrillStatus {
        match ended.drill.as_ref().and_then(|d| d.isolated) {
            None => status,
            Some(true) => {
                let why = "the source database could not be reached from the drill's pod";
                with(
                    self,
                    status,
                    ISOLATED,
                    (Truth::True, Reason::Succeeded, why),
                )
            }
            Some(false) => {
                let why = "the source database can be reached from the drill's pod, though the drill has no credential for it: with `network: Isolated` its NetworkPolicy is not enforced here, or the source has the store's port";
                notices.push(Notice::warning(Reason::NotIsolated, why));
                let no = (Truth::False, Reason::NotIsolated, why);
                with(self, status, ISOLATED, no)
            }
        }
    }

    fn regression(
        &self,
        status: RestoreDrillStatus,
        drift: Option<Drift>,
        notices: &mut Vec<Notice>,
    ) -> RestoreDrillStatus {
        match drift {
            None => status,
            Some(Drift::Steady) => {
                let why = "as quick and as good as the runs before";
                let no = (Truth::False, Reason::Succeeded, why);
                with(self, status, REGRESSION, no)
            }
            Some(Drift::Regressed(why)) => {
                notices.push(Notice::warning(Reason::RegressionDetected, why.clone()));
                let yes = (Truth::True, Reason::RegressionDetected, why.as_str());
                with(self, status, REGRESSION, yes)
            }
        }
    }
}

fn record(outcome: &DrillOutcome) -> DrillRecord {
    DrillRecord {
        run: outcome.run.clone(),
        finished_at: outcome.finished_at,
        result: outcome.result,
        reason: outcome.reason.clone(),
        proves: outcome.proves,
        score: outcome.score,
        rto: outcome.rto.as_ref().map(|rto| rto.total),
        backup: outcome.backup.clone(),
        data_at: outcome.data_at,
    }
}

fn told(outcome: &DrillOutcome) -> Notice {
    let reason = Reason::parse(&outcome.reason).unwrap_or(Reason::Unknown);
    let (run, message) = (&outcome.run, &outcome.message);
    match outcome.result {
        Verdict::Passed => Notice::normal(reason, format!("run `{run}` passed: {message}")),
        Verdict::Failed => Notice::warning(reason, format!("run `{run}` failed: {message}")),
        Verdict::Inconclusive => {
            Notice::warning(reason, format!("run `{run}` could not tell: {message}"))
        }
    }
}

/// A name that an object may have; nothing else is shown.
fn backup(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let fits = (1..=253).contains(&text.len()) && text.bytes().all(plain);
    fits.then(|| text.to_owned())
}

/// A folder below the store's prefix; nothing that leads out of it.
fn folder(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let part =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    (text.len() <= 1_024 && text.split('/').all(part)).then(|| text.to_owned())
}

fn seconds(rto: &Rto) -> Rto {
    Rto {
        provision: rto.provision.max(0),
        fetch: rto.fetch.max(0),
        restore: rto.restore.max(0),
        verify: rto.verify.max(0),
        total: rto.total.max(0),
    }
}

fn mismatches(drill: &DrillResult) -> Vec<String> {
    let shown = |text: &String| {
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        plain.take(MAX_MISMATCH).collect()
    };
    drill
        .mismatches
        .iter()
        .take(MAX_MISMATCHES)
        .map(shown)
        .collect()
}
