//! The worker's clock: one place, so that everything else takes time as an argument.

use jiff::Timestamp;

/// Now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the worker's one clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
