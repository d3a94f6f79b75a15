//! A database on a server of another major than its backup: an upgrade. What can be compared there is, and the rest is said.

use super::differences::Comparison;
use crate::api::rules::major_of;
use crate::manifest::Contents;

/// Entries that stand for an object, in the dumps of every major. Others are made and named otherwise by another one: large
/// objects and attached partitions, what belongs to the schema public.
pub(super) const OF_EVERY_MAJOR: [&str; 35] = [
    "ACCESS METHOD",
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "CONSTRAINT",
    "CONVERSION",
    "DOMAIN",
    "EVENT TRIGGER",
    "EXTENSION",
    "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "INDEX",
    "MATERIALIZED VIEW",
    "OPERATOR",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "POLICY",
    "PROCEDURE",
    "PUBLICATION",
    "ROW SECURITY",
    "RULE",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "TABLE",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TRANSFORM",
    "TRIGGER",
    "TYPE",
    "USER MAPPING",
    "VIEW",
];

/// The majors, where they are two.
pub(super) fn two_majors(expected: &Contents, found: &Contents) -> Option<(i32, i32)> {
    let of = |contents: &Contents| major_of(contents.settings.get("server_version")?);
    let (was, is) = (of(expected)?, of(found)?);
    (was != is).then_some((was, is))
}

/// Another major prints the same definition in its own way: then definitions are not compared, and it is said.
pub(super) fn other_major(expected: &Contents, found: &Contents, result: &mut Comparison) {
    if let Some((was, is)) = two_majors(expected, found) {
        result.other_major = true;
        result.not_compared.push(format!(
            "the definitions, and what users put on the objects of extensions: the backup is of PostgreSQL {was} and the server of {is}, which prints them in its own way \
             (what there is and whose it is, rows, sequences, large objects and roles are compared)"
        ));
    }
}

/// A membership as every major says it. Before 16 it was given with ADMIN OPTION or without, and no more was said of it.
pub(super) fn plain_membership(text: &str) -> String {
    let said = |word: &str| {
        let (head, tail) = text.rsplit_once(word)?;
        (!tail.contains('"')).then_some(head)
    };
    match (said(" WITH ADMIN TRUE"), said(" WITH ADMIN FALSE")) {
        (Some(head), _) => format!("{head} WITH ADMIN OPTION"),
        (None, Some(head)) => head.to_owned(),
        (None, None) => text.to_owned(),
    }
}
