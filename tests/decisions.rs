//! What is decided of stores, policies, Backups and drills: tables of cases with their answers, and laws that
//! hold over a sweep of states. Nothing here has a cluster: a decision is data.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "support/fixtures.rs"]
mod fixtures;

#[path = "decisions/alerts.rs"]
mod alerts;
#[path = "decisions/backups.rs"]
mod backups;
#[path = "decisions/drill_break_glass.rs"]
mod drill_break_glass;
#[path = "decisions/drill_specs.rs"]
mod drill_specs;
#[path = "decisions/drill_turns.rs"]
mod drill_turns;
#[path = "decisions/drills.rs"]
mod drills;
#[path = "decisions/laws.rs"]
mod laws;
#[path = "decisions/migration_ends.rs"]
mod migration_ends;
#[path = "decisions/migration_gates.rs"]
mod migration_gates;
#[path = "decisions/migration_leaves.rs"]
mod migration_leaves;
#[path = "decisions/migration_turns.rs"]
mod migration_turns;
#[path = "decisions/migration_world.rs"]
mod migration_world;
#[path = "decisions/migrations.rs"]
mod migrations;
#[path = "decisions/pins.rs"]
mod pins;
#[path = "decisions/policies.rs"]
mod policies;
#[path = "decisions/proofs.rs"]
mod proofs;
#[path = "decisions/signals.rs"]
mod signals;
#[path = "decisions/stores.rs"]
mod stores;
#[path = "decisions/worlds.rs"]
mod worlds;
