//! Whether a drill that passed is worse than those before it: slower by half, or with a lower score. Pure.

use crate::api::restore_drill::{DrillRecord, Verdict};

/// Earlier runs that a comparison needs.
const NEEDED: usize = 3;
/// Less than this many seconds more is no regression, however quick the drills were.
const LEAST_SECONDS: i64 = 60;

/// What the comparison says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// Worse; why, in a sentence.
    Regressed(String),
    /// As good as before.
    Steady,
}

/// Compares the newest of `history` (newest first) with the earlier ones. `None` where nothing can be told: it did not
/// pass, or too few passed before.
#[must_use]
pub fn drift(history: &[DrillRecord]) -> Option<Drift> {
    let (last, earlier) = history.split_first()?;
    if last.result != Verdict::Passed {
        return None;
    }
    let earlier: Vec<&DrillRecord> = earlier
        .iter()
        .filter(|r| r.result == Verdict::Passed)
        .collect();
    let before = earlier.iter().find_map(|r| r.score);
    if let (Some(score), Some(before)) = (last.score, before)
        && score < before
    {
        return Some(Drift::Regressed(format!(
            "run `{}` passed with a score of {score}; the one before had {before}",
            last.run
        )));
    }
    let total = last.rto?;
    let mut totals: Vec<i64> = earlier.iter().filter_map(|r| r.rto).collect();
    if totals.len() < NEEDED {
        return None;
    }
    let median = median(&mut totals)?;
    let slower = total.saturating_sub(median);
    // One and a half times, without a fraction.
    let half_more = total.saturating_mul(2) >= median.saturating_mul(3);
    Some(match half_more && slower >= LEAST_SECONDS {
        true => Drift::Regressed(format!(
            "run `{}` took {total} s to restore; the {} before took {median} s in the median",
            last.run,
            totals.len()
        )),
        false => Drift::Steady,
    })
}

/// The middle one; of two the lower.
fn median(all: &mut [i64]) -> Option<i64> {
    all.sort_unstable();
    let middle = all.len().checked_sub(1)? / 2;
    all.get(middle).copied()
}
