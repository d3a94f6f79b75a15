//! What of a database need not be in its backups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody has looked at and found good enough.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accept {
    /// Tables of extensions, as `schema.table`, whose rows no dump holds: pg_dump leaves out what an extension does not mark as
    /// its configuration. Others with rows raise `ExtensionDataNotDumped`, and a drill that finds them lost proves nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 3, max = 300)))]
    pub extension_data: Vec<String>,
    /// What else no dump holds, by the name that the alert `NotDumped` or the drill gives it, for example `tablespace fast` or
    /// `index public.orders_by_day`. Where a drill finds nothing lost but what is named here or in `extensionData`, the backup is
    /// proven all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 3, max = 300)))]
    pub not_dumped: Vec<String>,
}

impl Accept {
    /// Everything that is named.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.extension_data.iter().chain(&self.not_dumped)
    }
}
