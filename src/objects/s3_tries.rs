//! How long one call is tried: budgets are times, not counts.
//!
//! A store that asks to slow down is obeyed and asked again as long as a call may last; new calls wait with
//! it. One that never answered at all is given up soon: most likely its address is wrong.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::s3_error::Context;
use super::{S3, StoreError};

/// One call with all its tries.
const WHOLE: Duration = Duration::from_secs(190);

/// Whether the same request again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The store decided.
    Never,
    /// Its answer could not be understood: twice or so, for a line that garbles.
    Brief,
    /// It was not reached, or the line broke: long only if it is known to be there.
    Line,
    /// It said that it has trouble or too much to do.
    Busy,
}

/// A try that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: StoreError,
    pub(super) again: Again,
    /// How long the store asked to wait.
    pub(super) after: Option<Duration>,
    /// Whether it may be the checksum that the store does not take.
    pub(super) maybe_sum: bool,
}

impl Failed {
    pub(super) fn new(error: StoreError, again: Again) -> Self {
        Self {
            error,
            again,
            after: None,
            maybe_sum: false,
        }
    }
}

/// How long a call may last. Its pauses grow and shrink with it, so that tests can be quick.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(pub(super) Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(WHOLE)
    }
}

impl Patience {
    /// For a store that nobody has heard of yet, and for answers that make no sense: 3 s.
    fn brief(self) -> Duration {
        self.0 / 60
    }

    /// 0.2, 0.4, 0.8 … 10 s, less up to a half, so that parts in flight do not all come back at once.
    fn pause(self, tries: u32, jitter: u8) -> Duration {
        let doubled = 1_u32 << tries.saturating_sub(1).min(6);
        let pause = (self.0 / 950 * doubled).min(self.0 / 19);
        pause - pause / 2 * u32::from(jitter) / 256
    }

    /// How long to wait before the next try; `None`: there is none.
    fn next(self, failed: &Failed, tried: Tried, jitter: u8) -> Option<Duration> {
        let allowed = match failed.again {
            Again::Never => return None,
            Again::Brief => self.brief(),
            Again::Line if !tried.answered => self.brief(),
            Again::Line | Again::Busy => self.0,
        };
        // A store that asks for more than is left gets no further request.
        let pause = self
            .pause(tried.times, jitter)
            .max(failed.after.unwrap_or_default());
        (tried.spent + pause < allowed).then_some(pause)
    }
}

/// What was done so far for one call.
#[derive(Debug, Clone, Copy)]
struct Tried {
    times: u32,
    spent: Duration,
    /// Whether this store has ever answered.
    answered: bool,
}

const UNKNOWN: u8 = 0;
const TAKEN: u8 = 1;
const REFUSED: u8 = 2;

/// What the calls of one store know together.
#[derive(Debug, Default)]
pub(super) struct Known {
    answered: AtomicBool,
    /// Nothing new is begun before.
    calm: Mutex<Option<Instant>>,
    sums: AtomicU8,
    clock: Mutex<Option<Timestamp>>,
}

impl Known {
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// What the store's clock said when it last took something.
    pub(super) fn clock(&self) -> Option<Timestamp> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn heard(&self, clock: Option<Timestamp>) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = clock;
    }

    fn slow(&self, until: Instant) {
        let mut calm = self.calm.lock().unwrap_or_else(PoisonError::into_inner);
        *calm = Some(calm.map_or(until, |earlier| earlier.max(until)));
    }

    fn calm(&self) -> Option<Instant> {
        *self.calm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl S3 {
    /// Sends a request with a checksum of its body. Where the store refuses that, it is sent without, once and
    /// for good: many stores take no checksum, and none is worth a backup.
    pub(super) async fn summed<T, R>(
        &self,
        request: impl Fn(bool) -> R + Send + Sync,
    ) -> Result<T, Failed>
    where
        R: Future<Output = Result<T, Failed>> + Send,
    {
        let known = self.known.sums.load(Ordering::Relaxed);
        let answer = request(known != REFUSED).await;
        match answer {
            Ok(answer) => {
                if known == UNKNOWN {
                    self.known.sums.store(TAKEN, Ordering::Relaxed);
                }
                Ok(answer)
            }
            Err(failed) if known == UNKNOWN && failed.maybe_sum => {
                let answer = request(false).await?;
                self.known.sums.store(REFUSED, Ordering::Relaxed);
                tracing::warn!(
                    said = %failed.error,
                    "the store takes no checksums (x-amz-checksum-crc32): it is written to without"
                );
                Ok(answer)
            }
            Err(failed) => Err(failed),
        }
    }

    /// Tries one request until it is through, the store decided, or the time is over. The error comes with
    /// whether one of the tries may have happened.
    pub(super) async fn tried<T, R>(
        &self,
        context: &Context<'_>,
        request: impl Fn() -> R + Send + Sync,
    ) -> Result<T, (StoreError, bool)>
    where
        R: Future<Output = Result<T, Failed>> + Send,
    {
        let began = Instant::now();
        let deadline = began + self.patience.0;
        if let Some(until) = self.known.calm() {
            tokio::time::sleep_until(until.min(deadline)).await;
        }
        let mut lost = false;
        let mut times = 0_u32;
        let mut before = None;
        loop {
            times = times.saturating_add(1);
            let failed = match tokio::time::timeout_at(deadline, request()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failed)) => failed,
                Err(_) => {
                    lost = true;
                    // Why it had to be tried again says more than that the time was over.
                    let error = before.unwrap_or_else(|| context.timed_out());
                    Failed::new(error, Again::Never)
                }
            };
            lost |= failed.error.may_have_happened();
            let tried = Tried {
                times,
                spent: began.elapsed(),
                answered: self.known.answered.load(Ordering::Relaxed),
            };
            let Some(pause) = self.patience.next(&failed, tried, jitter()) else {
                return Err((failed.error.after(times, tried.spent), lost));
            };
            let seconds = pause.as_secs_f32();
            tracing::debug!(error = %failed.error, seconds, "it is tried again");
            let until = Instant::now() + pause;
            if failed.again == Again::Busy {
                self.known.slow(until);
            }
            tokio::time::sleep_until(until).await;
            before = Some(failed.error);
        }
    }

    /// As [`S3::tried`], where it does not matter what may have happened.
    pub(super) async fn call<T, R>(
        &self,
        context: &Context<'_>,
        request: impl Fn() -> R + Send + Sync,
    ) -> Result<T, StoreError>
    where
        R: Future<Output = Result<T, Failed>> + Send,
    {
        self.tried(context, request)
            .await
            .map_err(|(error, _)| error)
    }
}

fn jitter() -> u8 {
    let [byte, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    byte
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::objects::Operation;

    fn failed(again: Again, after: Option<u64>) -> Failed {
        let place = "s3://shop";
        let error = StoreError::new(Reason::StoreFailed, Operation::Put, place, "k", "no");
        Failed {
            after: after.map(Duration::from_secs),
            ..Failed::new(error, again)
        }
    }

    /// When requests are sent, in a world where each fails at once.
    fn sent(failed: &Failed, answered: bool, jitter: u8) -> Vec<Duration> {
        let mut at = vec![Duration::ZERO];
        loop {
            let tried = Tried {
                times: u32::try_from(at.len()).unwrap(),
                spent: *at.last().unwrap(),
                answered,
            };
            match Patience::default().next(failed, tried, jitter) {
                Some(pause) => at.push(tried.spent + pause),
                None => return at,
            }
        }
    }

    #[test]
    fn two_minutes_of_slow_down_are_survived_and_the_end_comes_in_time() {
        for jitter in [0, 128, 255] {
            let sent = sent(&failed(Again::Busy, None), true, jitter);
            let last = *sent.last().unwrap();
            assert!(last > Duration::from_secs(170), "{last:?}");
            assert!(last < WHOLE, "{last:?}");
            assert!(sent.len() < 60, "a store in trouble is not hammered");
            let after = sent.iter().find(|at| **at >= Duration::from_secs(120));
            assert!(*after.unwrap() <= Duration::from_secs(130));
        }
    }

    #[test]
    fn what_a_store_asks_for_is_waited_and_not_more_than_is_left() {
        let asked = sent(&failed(Again::Busy, Some(30)), true, 0);
        let waits: Vec<u64> = asked.iter().map(Duration::as_secs).collect();
        assert_eq!(waits, [0, 30, 60, 90, 120, 150, 180]);
        assert_eq!(sent(&failed(Again::Busy, Some(600)), true, 0).len(), 1);
    }

    #[test]
    fn a_store_that_never_answered_is_given_up_in_seconds() {
        let sent = |again, answered| sent(&failed(again, None), answered, 0);
        assert!(*sent(Again::Line, false).last().unwrap() < Duration::from_secs(4));
        assert!(sent(Again::Line, false).len() >= 3);
        assert!(*sent(Again::Line, true).last().unwrap() > Duration::from_secs(170));
        assert!(*sent(Again::Brief, true).last().unwrap() < Duration::from_secs(4));
        assert_eq!(sent(Again::Never, true).len(), 1);
    }
}
