//! The on-bucket format, version 1: types, print and parse. Pure. `docs/format.md` says it in words.
//!
//! [`Manifest`] is public: no names of tables, no data (DESIGN §5). [`Contents`] is encrypted and
//! says what is inside.

pub mod contents;
pub mod document;
pub mod evidence;
pub mod held;
mod held_proof;
pub mod pin;
pub mod proof;
pub mod sound;
pub mod sound_break_glass;
mod sound_proof;

#[cfg(test)]
#[path = "sample_walk_tests.rs"]
pub(crate) mod sample_walk;
#[cfg(test)]
#[path = "sample_tests.rs"]
pub(crate) mod samples;

pub use contents::*;
pub use document::*;
pub use evidence::*;
pub use pin::*;
pub use proof::*;
pub use sound::*;
pub use sound_proof::*;
