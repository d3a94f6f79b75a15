//! Lifeboat makes PostgreSQL backups proven. This is the map of its rooms.
//!
//! ```text
//!  people ──► cli ─┬─► operator: watch ► observe ► decide ► act ► report      (policy, backup, store, drill, migration, cluster)
//!                  │                        pure ▲ schedule, health, workload, task, api
//!                  └─► work: task ► postgres ► codec ► objects, manifest last  (work, postgres, codec, objects)
//! ```
//!
//! | room | owns |
//! |---|---|
//! | [`api`] | the custom resources, conditions, reasons, names (types only) |
//! | [`task`] | the documents between operator and worker (types only) |
//! | [`manifest`] | the on-bucket format (pure) |
//! | [`schedule`] | due times from cron and zone (pure) |
//! | [`health`] | thresholds, alerts, the condition `Healthy` (pure) |
//! | [`workload`] | builds Jobs and NetworkPolicies (pure, infallible) |
//! | [`store`], [`policy`], [`backup`], [`drill`], [`migration`] | one room per kind: observe, validate, decide, act, report |
//! | [`cluster`] | client, caches, Events, server-side apply |
//! | [`objects`] | object storage: trait, S3, folder, memory, faults |
//! | [`codec`] | compress, encrypt, hash |
//! | [`postgres`] | connect, preflight, locks, census, dump, hash, compare, migrate |
//! | [`work`] | what a Job's container runs |
//! | [`report`] | proofs as documents for auditors: Markdown, HTML (pure) |
//! | [`plan`] | what a migration run does, in which order, and its hash (pure) |
//! | [`sql`] | migrations read, cut and linted; the parser (pure) |
//! | [`cli`] | commands for people |
//! | [`telemetry`] | logs, metrics, probes |
//!
//! The operator never touches PostgreSQL, S3 or a Secret; the worker never touches the API server.

pub mod api;
pub mod backup;
pub mod cli;
pub mod cluster;
pub mod codec;
pub mod drill;
pub mod health;
pub mod manifest;
pub mod migration;
pub mod objects;
pub mod plan;
pub mod policy;
pub mod postgres;
pub mod report;
pub mod schedule;
pub mod sql;
pub mod store;
pub mod task;
pub mod telemetry;
pub mod work;
pub mod workload;
