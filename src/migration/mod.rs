//! Room `migration`: a schema change from its files to what stands, each step behind a gate; which step is next, and what
//! became of the one before.
//!
//! A Job lives in `status.running` of its MigrationRun, written before it is created. What its worker says is read in
//! [`conclude`]; nothing is begun on the database before plan, proven backup, rehearsal, approval and window say so (P11), and
//! what a worker at the database did not say is asked of the history (M5).

mod after;
mod approvals;
mod backups;
pub mod conclude;
mod conditions;
pub mod decide;
mod gate;
mod hold;
mod leave;
pub mod line;
pub mod observe;
mod read;
mod reconcile;
pub mod report;
mod run;
mod tidy;
pub mod validate;
pub mod window;

pub use reconcile::reconcile;
