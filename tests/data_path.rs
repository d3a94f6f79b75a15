//! Needs: servers
//!
//! The whole data path: a real PostgreSQL, `lifeboat::work`, a real MinIO, and what may break between them.
//! Restores are done with stock programs only. Nothing here sleeps: runs are stopped at their named steps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail loudly"
)]

#[path = "data_path/apart.rs"]
mod apart;
#[path = "data_path/applies.rs"]
mod applies;
#[path = "data_path/asked.rs"]
mod asked;
#[path = "data_path/break_glass.rs"]
mod break_glass;
#[path = "data_path/changes.rs"]
mod changes;
#[path = "data_path/custom_format.rs"]
mod custom_format;
#[path = "data_path/cuts.rs"]
mod cuts;
#[path = "data_path/definitions.rs"]
mod definitions;
#[path = "data_path/drills.rs"]
mod drills;
#[path = "data_path/extensions.rs"]
mod extensions;
#[path = "support/fan.rs"]
mod fan;
#[path = "data_path/fields.rs"]
mod fields;
#[path = "data_path/generated.rs"]
mod generated;
#[path = "data_path/hashes.rs"]
mod hashes;
#[path = "data_path/kinds.rs"]
mod kinds;
#[path = "data_path/leaves.rs"]
mod leaves;
#[path = "data_path/ledger.rs"]
mod ledger;
#[path = "data_path/left_out.rs"]
mod left_out;
#[path = "data_path/lies.rs"]
mod lies;
#[path = "data_path/lived_in.rs"]
mod lived_in;
#[path = "data_path/loads.rs"]
mod loads;
#[path = "data_path/logins.rs"]
mod logins;
#[path = "data_path/lost_lines.rs"]
mod lost_lines;
#[path = "data_path/majors.rs"]
mod majors;
#[path = "data_path/migrates.rs"]
mod migrates;
#[path = "support/minio.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod minio;
#[path = "data_path/mutations.rs"]
mod mutations;
#[path = "data_path/order.rs"]
mod order;
#[path = "support/pg.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod pg;
#[path = "support/pgbouncer.rs"]
mod pgbouncer;
#[path = "data_path/planned.rs"]
mod planned;
#[path = "data_path/pod.rs"]
mod pod;
#[path = "data_path/pooled.rs"]
mod pooled;
#[path = "data_path/pooler_modes.rs"]
mod pooler_modes;
#[path = "support/poolers.rs"]
mod poolers;
#[allow(dead_code, reason = "each test file uses its own part")]
#[path = "support/proxy.rs"]
mod proxy;
#[path = "data_path/rehearsals.rs"]
mod rehearsals;
#[path = "data_path/resumes.rs"]
mod resumes;
#[path = "data_path/runs.rs"]
mod runs;
#[path = "support/s3_server.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod s3_server;
#[path = "data_path/sealed.rs"]
mod sealed;
#[path = "data_path/several_servers.rs"]
mod several_servers;
#[path = "data_path/shell.rs"]
mod shell;
#[path = "data_path/spoil_cases.rs"]
mod spoil_cases;
#[path = "data_path/spoil_contents.rs"]
mod spoil_contents;
#[path = "data_path/spoil_dump.rs"]
mod spoil_dump;
#[path = "data_path/spoil_held.rs"]
mod spoil_held;
#[path = "data_path/spoil_more.rs"]
mod spoil_more;
#[path = "data_path/spoil_rest.rs"]
mod spoil_rest;
#[path = "data_path/spoiled.rs"]
mod spoiled;
#[path = "support/standby.rs"]
mod standby;
#[path = "data_path/standbys.rs"]
mod standbys;
#[path = "data_path/stumbles.rs"]
mod stumbles;
#[path = "data_path/truncates.rs"]
mod truncates;
#[path = "data_path/unsaid.rs"]
mod unsaid;
#[path = "data_path/verifies.rs"]
mod verifies;
#[path = "data_path/whole.rs"]
mod whole;
#[path = "data_path/worker.rs"]
mod worker;
