//! What the Jobs of a migration run: planned from files and database, rehearsed on a restored backup, applied, settled.
//!
//! ```text
//! files ─► plan ─► rehearse: backup ─► scratch server ─► up ─► (down ─► equal to before? ─► up) ─► Evidence
//! ```
//!
//! Owns what a rehearsal proves (M8-M10, M21): as the role that migrates, never as superuser, on a server that nobody else
//! has. What it cannot do as production does is Inconclusive, never passed.

mod applied;
mod differences;
pub mod documents;
mod evidence;
mod gate;
mod heads;
mod kept;
mod permitted;
mod planned;
pub mod rehearse;
mod rehearsed;
mod scratch;
mod stage;
mod standing;
mod surroundings;
pub(super) mod task;
mod told;

pub use rehearse::{Login, Rehearsal, Wanted, rehearse};
