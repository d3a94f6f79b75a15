//! Builds Jobs. Pure and infallible: everything it needs was proved by `validate`.

pub mod settings;

pub use settings::Settings;
