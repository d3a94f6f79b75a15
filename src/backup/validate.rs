//! Is the spec of a Backup one that can work? Pure.

use crate::api::Backup;
pub use crate::api::Invalid;

/// A Backup whose spec can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidBackup {}

/// Proves what deciding and building need of the Backup itself.
///
/// # Errors
/// [`Invalid`] with the field and the fix.
pub fn validate(_backup: &Backup) -> Result<ValidBackup, Invalid> {
    Ok(ValidBackup {})
}
