//! Definitions of a dump's entries, held against each other (G23).
//!
//! A server does not always print what it read as it was written. So two definitions are equal if their bytes are, or if
//! they are the same tree of words after a short list of rules. Each rule rewrites a text into one that PostgreSQL reads as
//! the same, looks into no literal, and has a test. What no rule knows is for a reference restore to decide
//! (`compare_schema`, ADR 9). Pure.

mod alike;
mod grants;
mod shown;
mod table;
mod words;

use sha2::{Digest, Sha256};

use self::alike::alike;
use self::grants::grants;
pub use self::shown::shown;
pub use self::table::Tables;
use self::words::{Word, join, print, read, split};
use crate::manifest::{Name, SchemaEntry};

/// Whether an entry speaks of the database itself, under whatever name: of its properties, its
/// privileges, its comment.
pub(super) fn of_database(desc: &str, tag: &Name) -> bool {
    match desc {
        "DATABASE" | "DATABASE PROPERTIES" => true,
        "ACL" | "COMMENT" | "SECURITY LABEL" => {
            let tag = tag.display();
            // Without its name too, as a table of contents is kept.
            tag == "DATABASE" || tag.starts_with("DATABASE ")
        }
        _ => false,
    }
}

/// The tag of such an entry without the database's name: a restore may go into another.
pub(super) fn without_name(tag: &Name, database: &Name) -> Name {
    let (tag, name) = (tag.display(), database.display());
    let is_name = |text: &str| text == name || text == quoted(&name);
    if is_name(&tag) {
        return Name::Text(String::new());
    }
    match tag.strip_prefix("DATABASE ") {
        Some(rest) if is_name(rest) => Name::Text("DATABASE".to_owned()),
        _ => Name::Text(tag),
    }
}

/// A definition after the rules: equal for definitions that mean the same. `tables` are those of the same database.
#[must_use]
pub fn canonical(entry: &SchemaEntry, tables: &Tables<'_>) -> Vec<u8> {
    let text = entry.definition.to_bytes();
    let mut out = read(&text)
        .and_then(|words| ruled(words, entry, tables))
        .unwrap_or_else(|| text.clone());
    if let Some(method) = &entry.access_method {
        out.push(0);
        out.extend_from_slice(method.as_bytes());
    }
    out
}

/// SHA-256 of a definition after the rules, hex.
#[must_use]
pub fn fingerprint(entry: &SchemaEntry, tables: &Tables<'_>) -> String {
    hex(&canonical(entry, tables))
}

/// SHA-256, hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// `None` where the definition is none that the rules know.
fn ruled(words: Vec<Word<'_>>, entry: &SchemaEntry, tables: &Tables<'_>) -> Option<Vec<u8>> {
    let words = if of_database(&entry.desc, &entry.tag) || entry.desc == "DATABASE PROPERTIES" {
        anonymous(words)
    } else {
        words
    };
    let words = match entry.desc.as_str() {
        "ACL" | "DEFAULT ACL" => {
            let grants = grants(&words)?;
            return Some(grants.into_iter().collect::<Vec<_>>().join(&b'\n'));
        }
        // Of several roles they come in the order in which the roles were made.
        "DATABASE PROPERTIES" => {
            let mut statements: Vec<Vec<u8>> = split(&words, ";").into_iter().map(print).collect();
            statements.sort_unstable();
            return Some(statements.join(&b'\n'));
        }
        "DATABASE" => without_tablespace(words),
        "POLICY" => sorted_roles(words),
        "TABLE" | "FOREIGN TABLE" => table::table(words, &entry.tag, tables),
        "SEQUENCE" => table::identity(words, tables),
        _ => words,
    };
    Some(print(&alike(words)))
}

/// `ALTER DATABASE shop SET …` → `ALTER DATABASE : SET …`: a restore may go into another.
fn anonymous(mut words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    let mut after = false;
    for word in &mut words {
        if std::mem::replace(&mut after, word.is("DATABASE")) {
            *word = Word::one(":");
        }
    }
    words
}

/// `… TABLESPACE = fast` goes: no restore follows it, and the backup says that it left it out.
fn without_tablespace(mut words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    if let Some(at) = words.iter().position(|word| word.is("TABLESPACE")) {
        let end = words.len().min(at + 3);
        words.drain(at..end);
    }
    words
}

/// `… TO b, a USING (…)` → `… TO a, b USING (…)`, in the order in which the roles were made too.
fn sorted_roles(words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    let Some(to) = words.iter().position(|word| word.is("TO")) else {
        return words;
    };
    let (head, rest) = words.split_at(to + 1);
    let ends = |word: &Word<'_>| ["USING", "WITH", ";"].iter().any(|end| word.is(end));
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    let (roles, tail) = rest.split_at(end);
    let mut roles: Vec<Vec<Word<'_>>> = split(roles, ",")
        .into_iter()
        .map(<[Word<'_>]>::to_vec)
        .collect();
    roles.sort_by_key(|role| print(role));
    [head.to_vec(), join(roles, ","), tail.to_vec()].concat()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
