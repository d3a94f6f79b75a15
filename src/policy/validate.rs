//! Is the spec of a policy one that can work? Pure.

use crate::api::BackupPolicy;
pub use crate::api::Invalid;
use crate::workload::Settings;

/// A policy whose spec can work, defaults applied.
#[derive(Debug, Clone)]
pub struct ValidPolicy {}

/// Proves everything that deciding and building need.
///
/// # Errors
/// [`Invalid`] with the field and the fix.
pub fn validate(_policy: &BackupPolicy, _settings: &Settings) -> Result<ValidPolicy, Invalid> {
    Ok(ValidPolicy {})
}
