//! Everything that talks to PostgreSQL: reaching it, asking what it is, locking, counting, dumping,
//! and comparing a database with a backup.
//!
//! ```text
//! Target ──► preflight (version, pooler, settings, privileges)
//!        └─► Coordinator: position ► LOCK ► export ► re-list       (G1: lock first, snapshot second)
//!                 │ census + count(*)  ► Contents                  (G3)
//!                 │ content: a hash of every table                 (G21, G22)
//!                 │ DumpProcess ─stdout─► TocParser ► witness      (G3c, G23)
//!                 │ copying: rows read so far, of all
//!                 └ prove ► the locks lasted                       (G2)
//! load: roles ► pg_restore, section by section ► judge            (G14-G17, G27), into a scratch server or the user's own
//! compare: the Contents of a backup against those of a database    (P10)
//! ```
//!
//! Owns every SQL statement of Lifeboat. Must never change anything in the database that is backed up, wait for a lock
//! longer than the server's own deadlock detector would (G8), or print a credential.

mod at_once;
pub mod blocking;
pub mod break_glass;
mod busy;
pub mod census;
mod census_hash;
pub mod checks;
pub mod compare;
mod compare_large;
mod compare_majors;
mod compare_members;
mod compare_public;
mod compare_roles;
mod compare_schema;
mod compare_tables;
pub mod connect;
mod connect_error;
pub mod content;
pub mod contention;
pub mod coordinator;
mod coordinator_server;
pub mod copying;
mod counts;
pub mod definition;
pub mod demands;
pub mod differences;
pub mod dump;
pub mod empty;
pub mod error;
mod extension_settings;
mod extensions;
mod facts;
pub mod globals;
pub mod judge;
mod keepalive;
pub mod left_out;
mod libpq;
mod line_sum;
pub mod load;
mod load_order;
mod load_parts;
mod load_statements;
mod load_wrappers;
pub mod local;
pub mod locales;
mod lock_budget;
mod locks;
mod members;
pub mod migrate;
pub mod money;
mod names;
pub mod pg_restore;
pub mod pooler;
pub mod preflight;
pub mod privileges;
pub mod providers;
pub mod rehearsal;
mod relations;
pub mod restore_words;
mod role_closure;
mod role_grants;
mod role_settings;
pub(crate) mod running;
pub mod scratch;
mod scratch_database;
mod scratch_memory;
mod scratch_network;
mod scratch_order;
mod search_path;
pub(crate) mod servers;
mod session_key;
mod sqlstate;
mod standby;
pub mod step;
mod taken_out;
pub mod target;
pub mod tls;
pub mod toc;
mod toc_entry;
pub mod tools;
pub mod uri;
pub mod watchdog;
pub(crate) mod who;
pub mod witness;

pub use connect::{Connection, connect};
pub use contention::Contention;
pub use coordinator::{Coordinator, LockPatience};
pub use demands::{ChannelBinding, ClientCertificate, Demands};
pub use dump::{DumpEnd, DumpOrder, DumpProcess, Ended, Print};
pub use error::{PgError, sanitise};
pub(crate) use members::MOST as MOST_MEMBERS;
pub(crate) use names::shell_word;
pub use preflight::{Preflight, preflight};
pub use step::{Observer, Silent, Step};
pub use target::Target;
pub use toc::{Toc, TocParser};
pub use tools::Programs;
