//! The backup behind a run is kept (M7): from its rehearsal on, without end once something was begun, and some days more when all
//! of it is known to be good.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::duration::parse_positive;
use crate::manifest::{FORMAT_VERSION, Pin, PinHolder};
use crate::objects::ObjectStore;
use crate::task::MigrationTask;
use crate::work::clock;
use crate::work::failure::Failure;
use crate::work::pins::pin;

/// `spec.gate.keepPinned` where nothing is written.
const DEFAULT_KEEP: Duration = Duration::from_secs(7 * 86_400);

/// How far the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It may begin as long as its window is open.
    Rehearsed,
    /// Its first statement is next: the backup is the way back until somebody knows that none is needed.
    Begun,
    /// All of it stands, as it was rehearsed.
    Good,
}

/// Has the backup kept.
///
/// # Errors
/// Those of the store.
pub(super) async fn keep(
    store: &dyn ObjectStore,
    task: &MigrationTask,
    (backup, prefix): (&str, &str),
    wish: Wish,
) -> Result<(), Failure> {
    pin(store, &pin_of(task, (backup, prefix), wish, clock::now())).await
}

fn pin_of(task: &MigrationTask, (backup, prefix): (&str, &str), wish: Wish, now: Timestamp) -> Pin {
    let gate = task.spec.gate.as_ref();
    let days = gate.and_then(|g| g.keep_pinned.as_ref());
    // A spec whose times do not read comes this far never.
    let days = days.and_then(|text| parse_positive(text).ok());
    let days = days.unwrap_or(DEFAULT_KEEP);
    let after = |at: Timestamp| at.saturating_add(days).unwrap_or(Timestamp::MAX);
    let (order, until, why) = match wish {
        Wish::Rehearsed => (
            1,
            Some(after(task.spec.window.not_after)),
            "a migration was rehearsed on it and may begin until its window closes",
        ),
        Wish::Begun => (
            2,
            None,
            "a migration has begun that stands behind it, and nobody knows yet that it is good",
        ),
        Wish::Good => (
            3,
            Some(after(now)),
            "a migration that stood behind it is applied, as it was rehearsed",
        ),
    };
    Pin {
        format: FORMAT_VERSION,
        backup: backup.to_owned(),
        prefix: prefix.to_owned(),
        holder: PinHolder {
            kind: "MigrationRun".to_owned(),
            namespace: task.namespace.clone(),
            name: task.run.clone(),
            uid: task.run_uid.clone(),
        },
        order,
        why: why.to_owned(),
        since: now,
        until,
    }
}
