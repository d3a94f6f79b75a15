//! Builds Jobs, and the NetworkPolicies of drills and rehearsals. Pure and infallible: everything it needs was proved by `validate`.
//!
//! [`backup_job`], [`drill_job`], [`migration_job`], [`check_job`], [`probe_job`] and [`pin_job`] say what runs; [`pod`] says how every pod of ours
//! looks (restricted, without a token, bounded); [`volumes`] how credentials get into it. Must never
//! read a clock, a cluster or the environment: one input gives one Job, byte for byte.

mod drill;
mod job;
mod migration;
mod network;
pub mod ours;
mod pod;
pub mod settings;
mod tasks;
mod volumes;

#[cfg(test)]
mod drill_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests;

pub use drill::{DrillPlan, SERVER_CONTAINER, drill_job};
pub use job::{
    BackupPlan, PinPlan, START_DEADLINE, UPKEEP_DEADLINE, backup_job, check_job, owner_of, pin_job,
    probe_job,
};
pub use migration::{MigrationJobPlan, RehearsePlan, StepPlan, migration_job};
pub use network::{drill_network, network_name, rehearsal_network, rehearsal_network_name};
pub use pod::WORK_CONTAINER;
pub use settings::{Settings, SharedServers};
