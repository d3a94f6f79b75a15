//! `contents.json`: what a backup holds, by name. Stored compressed and encrypted.

use serde::{Deserialize, Serialize};

/// File name before compression and encryption.
pub const CONTENTS: &str = "contents.json";

/// A name as the server has it. Databases that are not UTF-8 may hold bytes that are not text (G6):
/// those stand as `{"hex": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Name {
    /// Valid UTF-8.
    Text(String),
    /// Any other bytes.
    Bytes {
        /// Hex digits.
        hex: String,
    },
}

impl Default for Name {
    fn default() -> Self {
        Name::Text(String::new())
    }
}

impl Name {
    /// From the server's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Name::Text(text.to_owned()),
            Err(_) => Name::Bytes {
                hex: bytes.iter().map(|b| format!("{b:02x}")).collect(),
            },
        }
    }

    /// The server's bytes again.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Name::Text(text) => text.as_bytes().to_vec(),
            Name::Bytes { hex } => hex
                .as_bytes()
                .chunks(2)
                .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect(),
        }
    }

    /// For messages and for comparison with a dump's table of contents.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Name::Text(text) => text.clone(),
            Name::Bytes { hex } => format!("\\x{hex}"),
        }
    }
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// [`super::FORMAT_VERSION`].
    pub format: u32,
    /// Every relation of the census, ordered by schema and name.
    pub relations: Vec<Relation>,
    /// What is not in the dump, and why.
    pub left_out: Vec<LeftOut>,
    /// How many objects of other kinds: `constraints`, `indexes`, `triggers`, `policies`,
    /// `functions`, `types`, `largeObjects`.
    pub census: std::collections::BTreeMap<String, i64>,
    /// Names of the indexes that it counts as invalid. Read from the database that is held against a backup, and not recorded.
    #[serde(skip)]
    pub invalid_indexes: Vec<Name>,
    /// Rows of extensions' configuration tables that lie outside the extension's filter: no dump holds them (G4).
    #[serde(
        rename = "beyondFilter",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub beyond: Vec<Beyond>,
    /// Objects of extensions and what stands on their tables, each with a fingerprint; absent in backups of earlier versions.
    #[serde(
        rename = "extensionObjects",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub members: Option<Vec<Member>>,
    /// Installed extensions: name and version.
    pub extensions: Vec<(String, String)>,
    /// Settings that give values their meaning: `lc_monetary`, `server_encoding`, `TimeZone`,
    /// `shared_preload_libraries` …
    pub settings: std::collections::BTreeMap<String, String>,
    /// What the dump says there is besides data, ordered: tables, functions, privileges, comments … (G23).
    #[serde(default)]
    pub entries: Vec<SchemaEntry>,
    /// Where the sequences stand, as the dump sets them (G24), ordered by schema and name.
    #[serde(default)]
    pub sequences: Vec<Sequence>,
    /// Roles that the database names, their members, and what all of them are members of (G15, G17), ordered.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Collations that something uses, besides the database's own.
    #[serde(default)]
    pub collations: Vec<Collation>,
    /// Key of the content hashes, 64 hex digits; without it there are none (G22).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_key: Option<String>,
    /// Content of all large objects together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_objects: Option<LargeObjects>,
    /// The recovery point, as the manifest says it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_at: Option<jiff::Timestamp>,
    /// Where the server was reached, unless over a socket: a drill tells whether it could reach it (G30).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Where a server was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Contents {
    /// Schema and name of what belongs to extensions.
    #[must_use]
    pub fn of_extensions(&self) -> std::collections::BTreeSet<(&Name, &Name)> {
        let owned = self.relations.iter().filter(|r| r.extension.is_some());
        owned.map(|r| (&r.schema, &r.name)).collect()
    }

    /// How many indexes are not in the dump because they are not valid, of those that the census counts: it leaves the system's
    /// own schemas out.
    #[must_use]
    pub fn left_out_indexes(&self) -> i64 {
        let names = self.left_out.iter().filter(|l| l.schema == Name::default());
        let indexes = names.filter(|l| {
            let name = l.name.display();
            let index = name.strip_prefix("index ");
            index.is_some_and(|name| !name.starts_with("information_schema."))
        });
        i64::try_from(indexes.count()).unwrap_or(i64::MAX)
    }
}

/// The last of what is left out, where not all of it is named.
pub const MORE: &str = "more";
/// What a constraint is called among what is left out, before its name and that of its table.
pub const TABLE_CONSTRAINT: &str = "table constraint ";
/// Most triggers that a constraint has: two on each of the tables of a foreign key.
const TRIGGERS_OF_ONE: i64 = 4;

impl Contents {
    /// Whether everything that no dump holds is named: earlier versions looked for less, and no more are named than so many.
    #[must_use]
    pub fn names_left_out(&self) -> bool {
        let more = |l: &LeftOut| l.schema == Name::default() && l.name.display() == MORE;
        self.members.is_some() && !self.left_out.iter().any(more)
    }

    /// How many triggers of constraints may be switched off without that the dump says so: those of the constraints that are
    /// named as left out.
    #[must_use]
    pub fn most_left_out_triggers(&self) -> i64 {
        let names = self.left_out.iter().filter(|l| l.schema == Name::default());
        if !self.names_left_out() {
            return i64::MAX;
        }
        let names = names.map(|l| l.name.display());
        let constraints = names.filter(|n| n.starts_with(TABLE_CONSTRAINT));
        let count = i64::try_from(constraints.count()).unwrap_or(i64::MAX);
        count.saturating_mul(TRIGGERS_OF_ONE)
    }
}

/// One entry of the dump's table of contents.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaEntry {
    /// Kind, for example `FUNCTION`, `ACL`, `FK CONSTRAINT`.
    pub desc: String,
    /// Schema, empty where it has none.
    pub namespace: Name,
    /// Name, for example `total(integer)`.
    pub tag: Name,
    /// Owner, empty where it has none.
    pub owner: Name,
    /// Its definition, byte for byte as the dump has it.
    pub definition: Name,
    /// How a table keeps its rows, where the dump says it: `heap`, or an extension's way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_method: Option<String>,
    /// Where it lies, unless in the database's own tablespace. A restore without tablespaces is equal nevertheless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
}

/// A role that the database names, or a member of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What makes it, as in `globals.sql`: attributes, settings, comment, memberships; never a password.
    pub statements: Vec<String>,
}

/// Where a sequence stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sequence {
    /// Schema.
    pub schema: Name,
    /// Name.
    pub name: Name,
    /// The value that was given out last, or that comes first.
    pub last_value: i64,
    /// False: `last_value` was not given out yet.
    pub is_called: bool,
}

/// A collation that something uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collation {
    /// Schema.
    pub schema: Name,
    /// Name.
    pub name: Name,
    /// `c` libc, `i` ICU, `b` built in.
    pub provider: char,
    /// Version of the provider's rules with which it was made, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Content of all large objects together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LargeObjects {
    /// How many there are.
    pub count: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Sum of their hashes, 32 hex digits (G21).
    pub hash: String,
}

/// A relation of the census.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relation {
    /// Schema.
    pub schema: Name,
    /// Name.
    pub name: Name,
    /// `pg_class.relkind`: `r p S v m f`.
    pub kind: char,
    /// Rows under the dump's snapshot; only for kind `r`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Columns in the order in which they are hashed; generated ones are not among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<Name>>,
    /// Bytes of its COPY text without the newlines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Sum of the hashes of its lines, 32 hex digits (G21).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Schema and name of the partitioned table through which the dump loads its rows: they may come back in
    /// another of its partitions, so they are compared there (G25).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_through: Option<(Name, Name)>,
    /// The extension that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Of an extension's configuration table with at most 100,000 rows: the hash of each line, ordered. They add up to `hash`.
    /// The extension may add rows of its own, so a sum alone could not tell whether one is missing (G4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<String>>,
    /// Of a table with stored generated columns, whose values no dump holds (G21); absent in backups of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    /// Extensions whose types its columns have: another version may write their values otherwise (G18). Read from the database
    /// that is held against a backup, and not recorded.
    #[serde(skip)]
    pub types_of: Vec<String>,
}

/// Values of a table's stored generated columns: a restore computes them anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generated {
    /// Those columns, in the order in which they are hashed.
    pub columns: Vec<Name>,
    /// Sum of the hashes of lines that hold the table's other columns and these after them, 32 hex digits (G21); absent where no
    /// query on the table can be planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// Rows of an extension's configuration table that lie outside the extension's filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beyond {
    /// Schema of the table.
    pub schema: Name,
    /// Its name.
    pub name: Name,
    /// How many.
    pub rows: i64,
    /// Sum of the hashes of their lines, 32 hex digits (G21); absent without content hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// An object of an extension, or one that stands on a table or view of it. No dump holds either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The extension; empty for privileges that a script of some extension gave on what is none's.
    pub extension: String,
    /// What it is, for example `function`, `index`, `table constraint`, `privileges of view`.
    pub kind: String,
    /// Its name, for example `public.st_area(public.geometry)`.
    pub name: Name,
    /// The table or view that it stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Name>,
    /// First 16 hex digits of the SHA-256 of its definition, owner (where that is not the extension's), comment and labels.
    pub fingerprint: String,
}

/// What is not in the dump: rows of a relation, or something else that no dump holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Schema; empty for what is no relation.
    pub schema: Name,
    /// Name, for what is no relation with its kind: `index public.orders_by_day`, `tablespace fast`.
    pub name: Name,
    /// Why, for example `extension table outside its configuration list`.
    pub why: String,
    /// Rows that are not in the dump.
    pub rows: i64,
    /// Of a comment, a hash of its text: the script of an extension may write the same again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// What is no loss: a restored index is a valid one, a tablespace is a place, what every new database has is there again, a setting of all roles is the
/// server's, and nothing that is stored hangs on the order of a table's columns.
const NO_LOSS: [&str; 6] = [
    "column order ",
    "extension plpgsql",
    "index ",
    "schema public",
    "setting ",
    "tablespace ",
];

impl LeftOut {
    /// Whether what is no relation is missing in a restored database, or otherwise there.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let name = self.name.display();
        let comment = self.why.starts_with("its comment");
        comment || !NO_LOSS.iter().any(|kind| name.starts_with(kind))
    }

    /// `schema.name`, or what it is called where it has no schema of its own.
    #[must_use]
    pub fn display(&self) -> String {
        match self.schema.display() {
            schema if schema.is_empty() => self.name.display(),
            schema => format!("{schema}.{}", self.name.display()),
        }
    }
}
