//! Is the spec of a store one that can work? Pure.

use crate::api::BackupStore;
pub use crate::api::Invalid;
use crate::workload::Settings;

/// A store whose spec can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidStore {}

/// Proves everything that deciding and building need.
///
/// # Errors
/// [`Invalid`] with the field and the fix.
pub fn validate(_store: &BackupStore, _settings: &Settings) -> Result<ValidStore, Invalid> {
    Ok(ValidStore {})
}
