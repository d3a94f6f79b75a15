//! Needs: servers
//!
//! Migrations on real servers: once and only once, whatever dies, and in nobody's way. Each test names its rule (M1-M25).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "migrations/alone.rs"]
mod alone;
#[path = "migrations/asked.rs"]
mod asked;
#[path = "migrations/batches.rs"]
mod batches;
#[path = "migrations/bench.rs"]
mod bench;
#[path = "migrations/crash.rs"]
mod crash;
#[path = "migrations/examples.rs"]
mod examples;
#[path = "migrations/hostile.rs"]
mod hostile;
#[path = "migrations/layouts.rs"]
mod layouts;
#[path = "migrations/load.rs"]
mod load;
#[path = "migrations/measuring.rs"]
mod measuring;
#[allow(dead_code, reason = "each test file uses its own part")]
#[path = "support/pg.rs"]
mod pg;
#[path = "support/pgbouncer.rs"]
mod pgbouncer;
#[path = "migrations/plans.rs"]
mod plans;
#[path = "migrations/prechecks.rs"]
mod prechecks;
#[allow(dead_code, reason = "each test file uses its own part")]
#[path = "support/proxy.rs"]
mod proxy;
#[path = "migrations/rights.rs"]
mod rights;
#[path = "migrations/rules.rs"]
mod rules;
#[path = "support/standby.rs"]
mod standby;
#[path = "migrations/standbys.rs"]
mod standbys;
#[path = "migrations/waiting.rs"]
mod waiting;
