//! What a definition of a table means beside its text: the order of columns that were inherited later, the bounds of an
//! identity, the names of constraints that nobody named. Pure.

use std::collections::BTreeMap;

use super::words::{Word, find, join, read, split};
use crate::manifest::{Name, SchemaEntry};

/// Longest chain of parents that is followed.
const MOST_PARENTS: usize = 32;

/// A table's items between the brackets: columns first.
type Items<'a> = Vec<Vec<Word<'a>>>;

/// The tables of a database by schema and name, where a rule has to look at another entry.
#[derive(Debug, Default)]
pub struct Tables<'a>(BTreeMap<(Vec<u8>, Vec<u8>), &'a SchemaEntry>);

impl<'a> Tables<'a> {
    /// The tables among the entries of a database.
    #[must_use]
    pub fn of(entries: &'a [SchemaEntry]) -> Self {
        let tables = entries
            .iter()
            .filter(|e| e.desc == "TABLE" || e.desc == "FOREIGN TABLE");
        let named = tables.map(|e| ((e.namespace.to_bytes(), e.tag.to_bytes()), e));
        Self(named.collect())
    }

    /// Names of a table's columns as a new table has them: those of its parents first.
    fn columns(&self, of: &(Vec<u8>, Vec<u8>), depth: usize) -> Vec<Vec<u8>> {
        let Some(entry) = self.0.get(of).filter(|_| depth < MOST_PARENTS) else {
            return Vec::new();
        };
        let text = entry.definition.to_bytes();
        let words = read(&text).unwrap_or_default();
        let Some((_, items, tail)) = parts(&words) else {
            return Vec::new();
        };
        let mut columns = self.inherited(tail, depth);
        for name in items.iter().filter_map(|item| column(item)) {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        columns
    }

    /// Columns that a table has of its parents, in their order.
    fn inherited(&self, tail: &[Word<'_>], depth: usize) -> Vec<Vec<u8>> {
        let mut columns = Vec::new();
        let parents = match tail {
            [inherits, Word::Group(b'(', parents), ..] if inherits.is("INHERITS") => parents,
            _ => return columns,
        };
        for parent in split(parents, ",") {
            let [schema, _, name] = parent else { continue };
            let Some(key) = schema.name().zip(name.name()) else {
                continue;
            };
            for column in self.columns(&key, depth + 1) {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            }
        }
        columns
    }

    /// The type of a column: `integer`.
    fn type_of(&self, table: &(Vec<u8>, Vec<u8>), wanted: &[u8]) -> Option<Vec<u8>> {
        let text = self.0.get(table)?.definition.to_bytes();
        let words = read(&text)?;
        let (_, items, _) = parts(&words)?;
        let item = items
            .iter()
            .find(|item| column(item).as_deref() == Some(wanted))?;
        item.get(1)?.text().map(<[u8]>::to_vec)
    }
}

/// `CREATE TABLE s.t` `(…)` and what follows.
fn parts<'w, 'a>(words: &'w [Word<'a>]) -> Option<(&'w [Word<'a>], Items<'a>, &'w [Word<'a>])> {
    let at = words.iter().position(|word| word.group(b'(').is_some())?;
    let (head, rest) = words.split_at_checked(at)?;
    let (body, tail) = rest.split_first()?;
    let items = split(body.group(b'(')?, ",").into_iter();
    Some((head, items.map(<[Word<'_>]>::to_vec).collect(), tail))
}

/// The name of the column that an item defines.
fn column(item: &[Word<'_>]) -> Option<Vec<u8>> {
    // An unquoted name is in lower case, a keyword is printed in upper case.
    const TABLE_CONSTRAINTS: [&str; 6] = [
        "CONSTRAINT",
        "CHECK",
        "UNIQUE",
        "PRIMARY",
        "EXCLUDE",
        "FOREIGN",
    ];
    let first = item.first()?;
    let constraint = TABLE_CONSTRAINTS.iter().any(|word| first.is(word));
    (!constraint).then(|| first.name())?
}

/// A table whose columns stand as a new table has them, without names of constraints that nobody gave.
pub(super) fn table<'a>(words: Vec<Word<'a>>, name: &Name, tables: &Tables<'_>) -> Vec<Word<'a>> {
    let Some((head, items, tail)) = parts(&words) else {
        return words;
    };
    let name = name.to_bytes();
    let (mut columns, rest): (Items<'a>, Items<'a>) = items
        .into_iter()
        .map(|item| unnamed(item, &name))
        .partition(|item| column(item).is_some());
    // A table that came to inherit after it was made has its columns in an order that no statement restores. Its own stay in theirs.
    let inherited = tables.inherited(tail, 0);
    columns.sort_by_key(|item| {
        let at = column(item).and_then(|name| inherited.iter().position(|column| *column == name));
        at.unwrap_or(usize::MAX)
    });
    columns.extend(rest);
    let mut out = head.to_vec();
    out.push(Word::Group(b'(', join(columns, ",")));
    out.extend_from_slice(tail);
    out
}

/// `a integer CONSTRAINT t_a_not_null1 NOT NULL` is `a integer NOT NULL`: since 18 the constraint has a name, and where the
/// server's own choice is taken already by another table it chooses the next.
fn unnamed<'a>(item: Vec<Word<'a>>, table: &[u8]) -> Vec<Word<'a>> {
    let named = item.windows(4).position(|w| {
        matches!(w, [word, _, not, null] if word.is("CONSTRAINT") && not.is("NOT") && null.is("NULL"))
    });
    let Some((at, column)) = named.zip(column(&item)) else {
        return item;
    };
    let own = item.get(at + 1).and_then(Word::name).is_some_and(|given| {
        let chosen = [table, b"_", column.as_slice(), b"_not_null"].concat();
        let number = given.strip_prefix(chosen.as_slice());
        number.is_some_and(|number| number.iter().all(u8::is_ascii_digit))
    });
    if !own {
        return item;
    }
    let words = item.into_iter().enumerate();
    words
        .filter(|(n, _)| *n != at && *n != at + 1)
        .map(|(_, word)| word)
        .collect()
}

/// The bounds of an identity in numbers: a copy of a column (LIKE … INCLUDING IDENTITY) has them as numbers, and a restore
/// leaves them to the column's type, which are the same.
pub(super) fn identity<'a>(mut words: Vec<Word<'a>>, tables: &Tables<'_>) -> Vec<Word<'a>> {
    let bounds = match words.as_slice() {
        [alter, kind, schema, _, table, alter_again, what, column, ..]
            if alter.is("ALTER")
                && kind.is("TABLE")
                && alter_again.is("ALTER")
                && what.is("COLUMN") =>
        {
            let key = schema.name().zip(table.name());
            key.zip(column.name())
                .and_then(|(key, column)| bounds(&tables.type_of(&key, &column)?))
        }
        _ => None,
    };
    let Some((least, most)) = bounds else {
        return words;
    };
    if let Some(Word::Group(b'(', inside)) =
        words.iter_mut().rfind(|word| word.group(b'(').is_some())
    {
        let falls = find(inside, &["INCREMENT", "BY"])
            .and_then(|at| inside.get(at + 2))
            .is_some_and(|step| step.text().is_some_and(|text| text.starts_with(b"-")));
        let (least, most) = if falls { (least, "-1") } else { ("1", most) };
        for (word, bound) in [("MINVALUE", least), ("MAXVALUE", most)] {
            if let Some(at) = find(inside, &["NO", word]) {
                inside.splice(at..at + 2, [Word::one(word), Word::one(bound)]);
            }
        }
    }
    words
}

fn bounds(of: &[u8]) -> Option<(&'static str, &'static str)> {
    match of {
        b"smallint" => Some(("-32768", "32767")),
        b"integer" => Some(("-2147483648", "2147483647")),
        b"bigint" => Some(("-9223372036854775808", "9223372036854775807")),
        _ => None,
    }
}
