//! Everything that talks to the API server, and the shapes of what is decided and seen.
//!
//! ```text
//!  watches ─► Caches ─► Queues ─► (room) observe ─► decide ─► act ─► report
//!     pods ─► Ends (how a pod ended, kept after it is gone)
//! ```
//!
//! [`decision`], [`seen`], [`look`] and [`ends`] are plain data and pure; the rest holds the client.
//! Must never read a Secret, never delete what it did not create (K28), never poll (K23).

pub mod act;
pub mod admission;
pub mod bounded;
pub mod caches;
pub mod context;
pub mod decision;
pub mod document;
pub mod ends;
pub mod fault;
pub mod look;
pub mod operator;
pub mod people;
pub mod progress;
pub mod queues;
pub mod report;
pub mod scopes;
pub mod seen;
pub mod tasks;
mod watches;

pub use caches::{Caches, Guarded};
pub use context::{Clock, Context, SystemClock};
pub use fault::Fault;
