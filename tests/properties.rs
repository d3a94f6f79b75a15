//! Laws that hold for every input: times, documents, names, durations. Each file says which promise
//! its laws belong to; tables of cases with their answers stand in `tests/decisions.rs`.
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

#[path = "properties/alerts.rs"]
mod alerts;
#[path = "properties/comparing.rs"]
mod comparing;
#[path = "properties/crons.rs"]
mod crons;
#[path = "properties/documents.rs"]
mod documents;
#[path = "properties/due_times.rs"]
mod due_times;
#[path = "properties/migrations.rs"]
mod migrations;
#[path = "properties/names.rs"]
mod names;
#[path = "properties/owing.rs"]
mod owing;
#[path = "properties/plans.rs"]
mod plans;
#[path = "properties/reports.rs"]
mod reports;
#[path = "properties/tasks.rs"]
mod tasks;

use proptest::prelude::ProptestConfig;

/// So many cases of each law; a failure prints its smallest input and leaves no file behind.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
