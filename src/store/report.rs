//! Writes what was decided of a store.

use super::decide::Observed;
use crate::api::BackupStoreStatus;
use crate::cluster::decision::{Decision, Notice};
use crate::cluster::{Context, Fault, report};

/// Status, then Events.
///
/// # Errors
/// As [`report::report`].
pub async fn report(
    context: &Context,
    seen: &Observed,
    decision: &Decision<BackupStoreStatus>,
    heard: &[Notice],
) -> Result<(), Fault> {
    report::report(context, &seen.store, decision, heard).await?;
    Ok(())
}
