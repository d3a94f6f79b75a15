//! Room `backup`.

pub mod decide;
pub mod validate;
