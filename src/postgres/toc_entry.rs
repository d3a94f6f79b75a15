//! One entry of a dump's table of contents.

use super::definition;
use crate::manifest::Name;

/// One entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub dump_id: i64,
    /// True if data follows in the dump.
    pub has_data: bool,
    /// Kind, for example `TABLE DATA`.
    pub desc: String,
    /// Schema, empty where it has none.
    pub namespace: Name,
    /// Name.
    pub tag: Name,
    /// Owner.
    pub owner: Name,
    /// The definition, as the dump has it.
    pub definition: Name,
    /// How a table keeps its rows: `heap`, or an extension's way.
    pub access_method: Option<String>,
    /// Where it lies, unless in the database's own tablespace.
    pub tablespace: Option<String>,
    /// Schema and name of the table that its rows are copied into, where that is not the table itself (G25).
    pub loaded_through: Option<(Name, Name)>,
    /// The table that an index marks as clustered or identified by it, as the statement names it.
    pub marks: Option<String>,
    /// Numbers of what it hangs on; not all of them are entries.
    pub dependencies: Vec<i64>,
}

impl Entry {
    /// Whether it speaks of the database itself.
    #[must_use]
    pub fn is_of_database(&self) -> bool {
        definition::of_database(&self.desc, &self.tag)
    }

    /// For messages: `TABLE DATA public.orders`.
    #[must_use]
    pub fn display(&self) -> String {
        match (self.namespace.display(), self.tag.display()) {
            // What is said of the database itself has no name.
            (_, tag) if tag.is_empty() => self.desc.clone(),
            (schema, tag) if schema.is_empty() => format!("{} {tag}", self.desc),
            (schema, tag) => format!("{} {schema}.{tag}", self.desc),
        }
    }
}
