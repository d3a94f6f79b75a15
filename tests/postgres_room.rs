//! Needs: servers
//!
//! The room `postgres` against real servers. Each test repeats an experiment; the rule it stands
//! for is named (G1-G32).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "postgres_room/blocked.rs"]
mod blocked;
#[path = "postgres_room/certificates.rs"]
mod certificates;
#[path = "postgres_room/dumps.rs"]
mod dumps;
#[path = "postgres_room/locks.rs"]
mod locks;
#[path = "postgres_room/looks.rs"]
mod looks;
#[path = "postgres_room/network.rs"]
mod network;
#[path = "support/pg.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod pg;
#[path = "support/pgbouncer.rs"]
mod pgbouncer;
