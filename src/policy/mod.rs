//! Room `policy`.

pub mod decide;
pub mod validate;
