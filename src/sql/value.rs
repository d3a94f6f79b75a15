//! Whether a default is one value for all rows, or each row has its own: what differs is written row by row.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::locks;
use super::name::Name;
use super::tree::{child, words};

/// What a default gives to the rows that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing.
    Null,
    /// All the same: it is computed once and kept in the catalogue.
    Same,
    /// Each its own.
    Differs,
    /// That is decided by functions that are not PostgreSQL's.
    Depends(Vec<Name>),
}

/// Functions of a provider's own that are known to be stable.
const STEADY: [(&str, &str); 4] = [
    ("auth", "uid"),
    ("auth", "jwt"),
    ("auth", "role"),
    ("auth", "email"),
];
/// What looks like a call and is grammar; all of it gives one value for all rows where its arguments do.
const GRAMMAR: [&str; 8] = [
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "current_timestamp",
    "current_time",
    "localtimestamp",
    "localtime",
];
/// Where PostgreSQL's own modules are put.
const SCHEMAS: [&str; 3] = ["pg_catalog", "public", "extensions"];

pub(super) fn of(expression: &SyntaxNode) -> Value {
    let mut inner = expression.clone();
    while let Some(within) = matches!(inner.kind(), K::PAREN_EXPR | K::CAST_EXPR)
        .then(|| inner.children().next())
        .flatten()
    {
        inner = within;
    }
    if words(&inner) == ["NULL"] {
        return Value::Null;
    }
    let mut unknown = Vec::new();
    for call in expression
        .descendants()
        .filter(|n| n.kind() == K::CALL_EXPR)
    {
        // JSON_OBJECT(…), EXTRACT(…) and their like are grammar; none of them is volatile.
        let Some(called) = call
            .children()
            .next()
            .filter(|_| child(&call, K::ARG_LIST).is_some())
        else {
            continue;
        };
        let Some(name) = Name::of_node(&called) else {
            continue;
        };
        let schema = name.schema.as_deref();
        let known = schema.is_none_or(|s| SCHEMAS.contains(&s));
        let known = known.then(|| locks::volatile(&name.name)).flatten();
        let steady = STEADY.contains(&(schema.unwrap_or_default(), name.name.as_str()))
            || schema.is_none() && GRAMMAR.contains(&name.name.as_str());
        match known {
            _ if steady => {}
            Some(true) => return Value::Differs,
            Some(false) => {}
            None => unknown.push(name),
        }
    }
    match unknown.is_empty() {
        true => Value::Same,
        false => Value::Depends(unknown),
    }
}

fn type_of(column: &SyntaxNode) -> Option<Name> {
    let typed = child(column, K::PATH_TYPE)?;
    Name::of_node(&typed.children().next()?)
}

/// Whether the column that is added has a type with a sequence of its own.
pub(super) fn is_serial(column: &SyntaxNode) -> bool {
    const SERIAL: [&str; 6] = [
        "serial",
        "bigserial",
        "smallserial",
        "serial2",
        "serial4",
        "serial8",
    ];
    type_of(column).is_some_and(|t| SERIAL.contains(&t.name.as_str()))
}

/// The type of a column, if it may be a domain.
pub(super) fn user_type(column: &SyntaxNode) -> Option<Name> {
    type_of(column).filter(|t| t.schema.as_deref() != Some("pg_catalog"))
}
