//! One entry of a dump's table of contents.

use super::definition;
use super::toc::SEQUENCE_SET;
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
    /// The definition, where it says where a sequence stands, or speaks of the database itself.
    #[must_use]
    pub fn sql(&self) -> Option<String> {
        let said = self.desc == SEQUENCE_SET || definition::of_database(&self.desc, &self.tag);
        said.then(|| String::from_utf8_lossy(&self.definition.to_bytes()).into_owned())
    }

    /// For messages: `TABLE DATA public.orders`.
    #[must_use]
    pub fn display(&self) -> String {
        match (self.namespace.display(), self.tag.display()) {
            (schema, tag) if schema.is_empty() => format!("{} {tag}", self.desc),
            (schema, tag) => format!("{} {schema}.{tag}", self.desc),
        }
    }
}
