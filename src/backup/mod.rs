//! Room `backup`: one restore point, its attempts and what became of them.

mod attempt;
pub mod conclude;
pub mod decide;
pub mod line;
pub mod observe;
mod pinned;
mod reconcile;
pub mod report;
pub mod validate;

pub use reconcile::reconcile;
