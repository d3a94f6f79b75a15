//! What a worker at the database tells while it is at work: people by its log, the operator how far it is (K15), and the store what
//! is applied (M6).

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::heads::Heads;
use crate::postgres::migrate::{Observer, Point, Stop, Whole};
use crate::work::progress::line;

/// Between two lines of one phase.
const EVERY: Duration = Duration::from_secs(5);
/// Somebody is in its way.
const WAITING: &str = "WaitingForOthers";
/// It is at work, and the server does not say how far.
const APPLYING: &str = "Applying";

/// Tells.
#[derive(Debug)]
pub(super) struct Told {
    heads: Heads,
    shown: Mutex<Shown>,
}

/// What was told last.
#[derive(Debug, Default)]
struct Shown {
    phase: String,
    at: Option<Instant>,
    /// The operator reads the last lines alone, and others have come since.
    buried: bool,
    /// Who is in its way, for as long as it waits: the last line is the one that is read.
    waits: Option<String>,
}

impl Shown {
    /// The line for a phase, if it is time for one. `true`: nobody has heard of the phase yet.
    fn line(&mut self, phase: &str, percent: Option<i64>, now: Instant) -> Option<(String, bool)> {
        let fresh = self.phase != phase;
        let late = self.at.is_none_or(|at| now.duration_since(at) >= EVERY);
        if !fresh && !late && !self.buried {
            return None;
        }
        let waits = self.waits.take().filter(|_| phase.starts_with("waiting"));
        *self = Self {
            phase: phase.to_owned(),
            at: Some(now),
            buried: false,
            waits,
        };
        let percent = percent.and_then(|p| u64::try_from(p).ok());
        let percent = percent.map(|p| p.min(100));
        let waits = self.waits.as_deref();
        Some((line(step(phase), None, percent, waits), fresh))
    }
}

/// The server's phases of CREATE INDEX CONCURRENTLY, and ours, in words of at most 32 letters.
fn step(phase: &str) -> &'static str {
    let steps = [
        ("waiting for writers", "WaitingForWriters"),
        ("waiting for old snapshots", "WaitingForSnapshots"),
        ("waiting for readers", "WaitingForReaders"),
        ("waiting for locks", "WaitingForLocks"),
        ("index validation", "ValidatingIndex"),
        ("building index", "BuildingIndex"),
        ("writing batches", "WritingBatches"),
    ];
    let step = steps.iter().find(|(begins, _)| phase.starts_with(begins));
    step.map_or(APPLYING, |found| found.1)
}

/// Tells people and operator who is in the way: it stands in the conditions until something else is told.
pub(super) fn waits(what: &str) {
    tracing::info!("{what}");
    let _ = writeln!(
        std::io::stderr(),
        "{}",
        line(WAITING, None, None, Some(what))
    );
}

impl Told {
    pub(super) fn new(heads: Heads) -> Self {
        Self {
            heads,
            shown: Mutex::default(),
        }
    }

    /// What could not be told the store, a sentence each.
    pub(super) async fn owed(&self) -> Vec<String> {
        self.heads.settle().await
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, phase: &str, percent: Option<i64>) {
        let Some((line, fresh)) = self.lock().line(phase, percent, Instant::now()) else {
            return;
        };
        if fresh && phase != APPLYING {
            tracing::info!("{phase}");
        }
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

#[async_trait]
impl Observer for Told {
    async fn at(&self, point: Point) {
        let over = self.lock().waits.take().is_some();
        let through = matches!(
            point,
            Point::Locked | Point::Committed | Point::Ran | Point::Cleaned
        );
        if over || through {
            self.show(APPLYING, None);
        }
    }

    async fn says(&self, what: &str) {
        let mut shown = self.lock();
        shown.buried = true;
        shown.waits = Some(what.to_owned());
        waits(what);
    }

    async fn progress(&self, phase: &str, percent: Option<i64>) {
        self.show(phase, percent);
    }

    async fn whole(&self, whole: &Whole) -> Result<(), Stop> {
        self.heads.keep(whole).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k15_a_phase_is_told_at_once_and_then_now_and_then() {
        let (mut shown, begun) = (Shown::default(), Instant::now());
        let scan = "building index: scanning table";
        let told = |line: &str, fresh: bool| Some((line.to_owned(), fresh));
        let ten = "{\"progress\":{\"step\":\"BuildingIndex\",\"percent\":10}}";
        assert_eq!(shown.line(scan, Some(10), begun), told(ten, true));
        assert_eq!(shown.line(scan, Some(20), begun), None);
        shown.buried = true;
        assert_eq!(shown.line(scan, Some(10), begun), told(ten, false));
        assert_eq!(shown.line(scan, Some(10), begun), None);
        assert_eq!(shown.line(scan, Some(10), begun + EVERY), told(ten, false));
        let waits = "{\"progress\":{\"step\":\"WaitingForSnapshots\"}}";
        let seen = shown.line("waiting for old snapshots", None, begun + EVERY);
        assert_eq!(seen, told(waits, true));
        // Who is in its way stands in the newest line, until the wait is over.
        shown.waits = Some("waits for pid 7 (till)".to_owned());
        shown.buried = true;
        let who = "{\"progress\":{\"step\":\"WaitingForSnapshots\",\"blocking\":\"waits for pid 7 (till)\"}}";
        let old = "waiting for old snapshots";
        assert_eq!(shown.line(old, None, begun + EVERY), told(who, false));
        assert_eq!(shown.line(old, None, begun + 2 * EVERY), told(who, false));
        assert_eq!(
            shown.line(scan, Some(10), begun + 2 * EVERY),
            told(ten, true)
        );
        assert_eq!(shown.waits, None);
    }

    #[test]
    fn k15_what_no_phase_says_is_being_applied() {
        for (phase, want) in [
            ("waiting for writers before build", "WaitingForWriters"),
            ("waiting for writers before validation", "WaitingForWriters"),
            ("index validation: sorting tuples", "ValidatingIndex"),
            ("building index", "BuildingIndex"),
            ("writing batches", "WritingBatches"),
            (
                "waiting for readers before marking dead",
                "WaitingForReaders",
            ),
            ("initializing", APPLYING),
            ("a phase of a later version", APPLYING),
        ] {
            assert_eq!(step(phase), want);
        }
    }
}
