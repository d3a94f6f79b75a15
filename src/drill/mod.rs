//! Room `drill`: proof on schedule; which run is due, what became of it, and which backup it proves.
//!
//! A run lives in `status.running` of its RestoreDrill, written before its Job is created. What its worker says is
//! judged in [`conclude`]; `Failed` comes from nowhere but a result that says so (P10).

mod break_glass;
pub mod conclude;
mod conditions;
pub mod decide;
pub mod drift;
pub mod due;
mod hold;
pub mod line;
pub mod observe;
pub mod proven;
mod reconcile;
pub mod report;
mod run;
pub mod validate;

pub use reconcile::reconcile;
