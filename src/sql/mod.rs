//! SQL of migrations: read, cut into statements and segments, linted. Pure, but for a thread with a large stack.
//!
//! Owns what Lifeboat knows of SQL, and is the only room that names the parser's crates: their tree changes weekly,
//! so none of their types leaves. Must never connect anywhere, honour a comment of a file, or give up loudly on one.
//!
//! ```text
//! bytes ─► File::parts: decode ─► marks ─► guard (lex) ─► tree ─► class, form, name, rules ─► File { statements, segments }
//! Files, Context, Acknowledgements ─► lint::lint ─► Report { findings }
//! Files in their order ─► rights::wanted ─► what they need of the database
//! ```

mod ahead;
mod bare;
mod batch;
mod change;
mod class;
mod fact;
mod file;
mod form;
mod guard;
mod hit;
pub(crate) mod lex;
pub mod lint;
mod locks;
mod marks;
mod name;
mod need;
pub mod order;
mod place;
pub mod rights;
mod segment;
mod tree;
mod value;

pub use bare::{Bare, Use, bare};
pub use batch::Batch;
pub use class::{Apart, Class, Lone, Refusal};
pub use file::{File, MOST_BYTES, Statement};
pub use lint::{Acknowledgement, Context, Finding, Level, Report, Rule};
pub use locks::{Lock, LockMode};
pub use name::{Name, Object, ObjectKind, Touch};
pub use need::{Need, Or};
pub use place::Position;
pub use segment::{Segment, SegmentKind};
