//! Room `policy`: what to back up and when; which Backups are due, and how the database looks.

pub mod checks;
pub mod decide;
pub mod due;
pub mod history;
pub mod observe;
mod reconcile;
pub mod report;
pub mod signals;
pub mod validate;

pub use reconcile::reconcile;
