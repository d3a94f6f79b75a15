//! Room `backup`.

pub mod decide;
pub mod observe;
mod reconcile;
pub mod report;
pub mod validate;

pub use reconcile::reconcile;
