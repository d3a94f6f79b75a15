//! Room `store`.

pub mod decide;
pub mod validate;
