//! The same small delay for one policy, always: so that a thousand policies do not start at once.

use std::time::Duration;

use crate::api::name::hash_hex;

/// Longest default spread.
const MAX_DEFAULT: Duration = Duration::from_secs(1_800);

/// A whole number of seconds from 0 to `max`, from namespace and name.
#[must_use]
pub fn spread(namespace: &str, name: &str, max: Duration) -> Duration {
    Duration::from_secs(within(&[namespace, name], max.as_secs()))
}

/// A tenth of the schedule's gap, at most 30 minutes. Always smaller than the gap.
#[must_use]
pub fn default_spread(gap: Duration) -> Duration {
    Duration::from_secs((gap / 10).min(MAX_DEFAULT).as_secs())
}

/// A number from 0 to `max`, from a hash of the parts.
pub(super) fn within(parts: &[&str], max: u64) -> u64 {
    let number = u64::from_str_radix(&hash_hex(parts, 12), 16).unwrap_or_default();
    number % max.saturating_add(1)
}
