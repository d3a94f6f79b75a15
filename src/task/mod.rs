//! The documents between operator and worker: types only.
//!
//! The operator writes a [`Task`] into the environment variable `LIFEBOAT_TASK` of a Job's pod
//! (no secrets, at most 64 KiB, every `$` as `\u0024`: K8). The worker answers with one
//! [`TaskResult`] of at most 2,048 bytes in the termination message (K14). Both are versioned.

pub mod document;
pub mod drill;
pub mod migration;
pub mod result;

pub use document::*;
pub use drill::*;
pub use migration::{
    AppliedResult, ApplyTask, DocumentInLog, LOGIN_DIR, MIGRATIONS, MigrationResult, MigrationTask,
    RehearsalResult, RehearseTask, SOURCE_DIR, SettleTask, StepTask,
};
pub use result::*;
