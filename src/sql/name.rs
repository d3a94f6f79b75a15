//! Names of objects, and which of them a statement touches.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::tree::{child, parts};

/// The name of an object as the statement gives it: folded to lower case unless quoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The schema, where the statement names one.
    pub schema: Option<String>,
    /// The name in it.
    pub name: String,
}

impl Name {
    /// A name in a schema.
    #[must_use]
    pub fn new(schema: Option<&str>, name: &str) -> Self {
        Self {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// Whether both may be the same object: a name without a schema is one of `public`.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        let schema = |name: &Self| name.schema.clone().unwrap_or_else(|| "public".to_owned());
        self.name == other.name && schema(self) == schema(other)
    }

    /// Of the tokens of a dotted name. A database before the schema is left out.
    pub(super) fn of(parts: &[String]) -> Option<Self> {
        let mut names = parts.iter().rev().filter(|p| *p != ".");
        let name = unquoted(names.next()?);
        let schema = names.next().map(|s| unquoted(s));
        Some(Self { schema, name })
    }

    /// Of a node that is a dotted name.
    pub(super) fn of_node(node: &SyntaxNode) -> Option<Self> {
        // TABLE_RELATION_NAME holds ONLY and a star besides.
        let inner = child(node, K::TABLE_NAME_REF).or_else(|| child(node, K::RELATION_NAME_REF));
        Self::of(&parts(inner.as_ref().unwrap_or(node)))
    }
}

/// What a name means: quotes away, or lower case.
pub(super) fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_lowercase(),
    }
}

fn quoted(text: &str) -> String {
    let mut bytes = text.bytes();
    let first = bytes.next();
    let begins = first.is_some_and(|b| b.is_ascii_lowercase() || b == b'_' || b >= 0x80);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b >= 0x80;
    if begins && bytes.all(plain) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "\"\""))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quoted(schema))?;
        }
        f.write_str(&quoted(&self.name))
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Ok(name) = text.parse();
        Ok(name)
    }
}

impl FromStr for Name {
    type Err = std::convert::Infallible;

    /// Of `schema.name` or `name`, as [`Display`](fmt::Display) writes it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut within = false;
        let dot = text.char_indices().find(|(_, c)| {
            within ^= *c == '"';
            !within && *c == '.'
        });
        let (schema, name) = match dot {
            Some((at, _)) => (text.get(..at), text.get(at + 1..).unwrap_or_default()),
            None => (None, text),
        };
        Ok(Self {
            schema: schema.map(unquoted),
            name: unquoted(name),
        })
    }
}

/// What kind of object a name stands for, as far as the statement shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectKind {
    /// A table, or what is used like one: in a query nobody can tell a view from a table.
    Relation,
    /// An index.
    Index,
    /// A view, materialized or not.
    View,
    /// A sequence.
    Sequence,
    /// A type or a domain.
    Type,
    /// A function, procedure or aggregate.
    Routine,
    /// A schema.
    Schema,
    /// An extension.
    Extension,
    /// A trigger, rule or policy: named after its table, `orders.audit`.
    OfTable,
    /// A role.
    Role,
}

/// What a statement does to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Touch {
    /// Makes it. With IF NOT EXISTS or OR REPLACE it may have been there before.
    Creates,
    /// Removes it.
    Drops,
    /// Changes its definition, locks it, or builds something on it.
    Alters,
    /// Changes rows of it.
    Writes,
    /// Names it otherwise.
    Reads,
}

/// An object that a statement touches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: ObjectKind,
    /// What is done to it.
    pub touch: Touch,
}

fn kind_of(kind: K) -> Option<(ObjectKind, bool)> {
    use ObjectKind as O;
    Some(match kind {
        K::TABLE_NAME => (O::Relation, true),
        K::TABLE_NAME_REF | K::RELATION_NAME_REF => (O::Relation, false),
        K::INDEX => (O::Index, true),
        K::INDEX_REF => (O::Index, false),
        K::VIEW => (O::View, true),
        K::VIEW_REF => (O::View, false),
        K::SEQUENCE => (O::Sequence, true),
        K::SEQUENCE_REF => (O::Sequence, false),
        K::TYPE_NAME | K::DOMAIN => (O::Type, true),
        K::TYPE_NAME_REF | K::DOMAIN_REF => (O::Type, false),
        K::FUNCTION_NAME | K::PROCEDURE_NAME | K::AGGREGATE_NAME => (O::Routine, true),
        K::FUNCTION_NAME_REF | K::PROCEDURE_NAME_REF | K::ROUTINE_NAME_REF => (O::Routine, false),
        K::SCHEMA => (O::Schema, true),
        K::SCHEMA_REF => (O::Schema, false),
        K::EXTENSION => (O::Extension, true),
        K::EXTENSION_REF => (O::Extension, false),
        K::TRIGGER | K::POLICY | K::RULE => (O::OfTable, true),
        K::TRIGGER_REF | K::POLICY_REF | K::RULE_REF => (O::OfTable, false),
        K::ROLE => (O::Role, true),
        _ => return None,
    })
}

/// The objects that a statement touches, each once for each thing done to it.
pub(super) fn objects(statement: &SyntaxNode) -> Vec<Object> {
    let common: BTreeSet<String> = statement
        .descendants()
        .filter(|n| n.kind() == K::CTE_NAME)
        .filter_map(|n| Name::of_node(&n).map(|n| n.name))
        .collect();
    let table = statement.descendants();
    let table = table.filter(|n| matches!(n.kind(), K::TABLE_NAME_REF | K::RELATION_NAME_REF));
    let table = table.take(1).find_map(|n| Name::of_node(&n));
    let mut found = BTreeSet::new();
    for node in statement.descendants() {
        let Some((kind, defines)) = kind_of(node.kind()) else {
            continue;
        };
        let Some(mut name) = Name::of_node(&node) else {
            continue;
        };
        let relation = kind == ObjectKind::Relation;
        if relation && name.schema.is_none() && common.contains(&name.name) {
            continue;
        }
        if kind == ObjectKind::OfTable {
            let Some(table) = &table else { continue };
            name = Name::new(
                table.schema.as_deref(),
                &format!("{}.{}", table.name, name.name),
            );
        }
        let touch = touch(statement.kind(), &node, defines);
        found.insert(Object { name, kind, touch });
    }
    found.into_iter().collect()
}

fn touch(statement: K, node: &SyntaxNode, defines: bool) -> Touch {
    let verb = format!("{statement:?}");
    let parent = node.parent();
    // `ALTER TABLE ONLY t` and `FROM ONLY t` wrap the name once.
    let wrapped = parent.filter(|p| matches!(p.kind(), K::TABLE_RELATION_NAME | K::RELATION_NAME));
    let outer = wrapped.as_ref().unwrap_or(node).parent();
    let at_top = |p: &SyntaxNode| p.kind() == statement;
    let direct = outer.as_ref().is_some_and(at_top);
    let listed = outer.as_ref().is_some_and(|p| {
        let list = matches!(
            p.kind(),
            K::TABLE_LIST
                | K::RELATION_LIST
                | K::FUNCTION_SIG_LIST
                | K::FUNCTION_SIG
                | K::PROCEDURE_SIG
                | K::ROUTINE_SIG
                | K::TABLE_AND_COLUMNS
                | K::ON_TABLE
                | K::ON_RELATION
                | K::NAMED_SCHEMA
                | K::RULE_ON
                | K::DETACH_PARTITION
                | K::ATTACH_PARTITION
                | K::PARTITION_OF
                | K::COPY_TABLE
                | K::REINDEX_TARGET_TABLE
                | K::REINDEX_TARGET_INDEX
        );
        list && p.kind() != statement
    });
    if defines {
        return Touch::Creates;
    }
    // `WITH x AS (DELETE FROM t …)`: rows are changed wherever it stands.
    let writes = [K::INSERT, K::UPDATE, K::DELETE, K::MERGE];
    if outer.is_some_and(|p| writes.contains(&p.kind())) {
        return Touch::Writes;
    }
    if !(direct || listed) {
        return Touch::Reads;
    }
    let of_table = matches!(node.kind(), K::TABLE_NAME_REF | K::RELATION_NAME_REF);
    match verb.as_str() {
        "TRUNCATE" => Touch::Writes,
        "COPY" if node.ancestors().any(|n| child(&n, K::COPY_FROM).is_some()) => Touch::Writes,
        // Their table stays.
        "DROP_TRIGGER" | "DROP_POLICY" | "DROP_RULE" if of_table => Touch::Alters,
        v if v.starts_with("DROP_") => Touch::Drops,
        v if v.starts_with("ALTER_") || v.starts_with("CREATE_") => Touch::Alters,
        "LOCK" | "CLUSTER" | "VACUUM" | "REINDEX" | "REFRESH" => Touch::Alters,
        _ => Touch::Reads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_was_written() {
        for (schema, name) in [
            (None, "orders"),
            (Some("public"), "Orders"),
            (Some("a.b"), "c\"d.e"),
            (None, "a.b"),
        ] {
            let name = Name::new(schema, name);
            assert_eq!(name.to_string().parse(), Ok(name.clone()));
        }
    }
}
