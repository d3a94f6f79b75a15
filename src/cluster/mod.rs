//! Everything that talks to the API server, and the shapes of what is decided and seen.
//!
//! [`decision`] and [`seen`] are plain data and pure; the rest holds the client.

pub mod decision;
pub mod seen;
