//! What belongs to extensions, held against a backup (G4, G18). An extension makes its tables itself, and fills them as its
//! version does; what of them is in a dump is what it asked for. So a row that is missing is a loss, one more is not, and
//! what another version makes otherwise speaks neither for the backup nor against it. Pure.

use std::collections::BTreeMap;

use super::compare_tables::full;
use super::differences::{Comparison, Difference};
use crate::manifest::{Contents, Relation};

/// Extensions whose version is not that of the source.
#[derive(Debug)]
pub(super) struct Versions<'a>(BTreeMap<&'a str, (&'a str, &'a str)>);

impl<'a> Versions<'a> {
    pub(super) fn of(expected: &'a Contents, found: &'a Contents) -> Self {
        let is: BTreeMap<&str, &str> = pairs(&found.extensions);
        let was = pairs(&expected.extensions).into_iter();
        Self(
            was.filter_map(|(name, was)| Some((name, (was, *is.get(name)?))))
                .filter(|(_, (was, is))| was != is)
                .collect(),
        )
    }

    /// The extension of another version whose types the table has.
    pub(super) fn of_types(&self, table: &Relation) -> Option<String> {
        let name = table
            .types_of
            .iter()
            .find(|name| self.0.contains_key(name.as_str()))?;
        Some(self.named(name))
    }

    fn named(&self, extension: &str) -> String {
        match self.0.get(extension) {
            Some((was, is)) => format!("extension {extension} {is} instead of {was}"),
            None => format!("extension {extension}"),
        }
    }
}

pub(super) fn pairs(list: &[(String, String)]) -> BTreeMap<&str, &str> {
    list.iter()
        .map(|(name, version)| (name.as_str(), version.as_str()))
        .collect()
}

/// A table that only one side has.
pub(super) fn alone(
    table: &Relation,
    there: bool,
    left_out: bool,
    versions: &Versions<'_>,
    result: &mut Comparison,
) {
    let name = full(&table.schema, &table.name);
    let extension = versions.named(table.extension.as_deref().unwrap_or_default());
    if there {
        result.notes.push(format!(
            "{name}: only the {extension} here makes this table"
        ));
    } else if left_out || table.rows.unwrap_or_default() == 0 {
        result.notes.push(format!(
            "{name}: the {extension} here does not make this table; no row of it is in the backup"
        ));
    } else {
        let rows = format!("{} rows", table.rows.unwrap_or_default());
        let found = format!("no such table of {extension}");
        result
            .undecided
            .push(Difference::new("table", name, rows, found));
    }
}

/// An extension's own table, which both sides have, and whose rows, those within the extension's filter, are in the dump.
pub(super) fn table(
    was: &Relation,
    is: &Relation,
    versions: &Versions<'_>,
    result: &mut Comparison,
) {
    let name = full(&was.schema, &was.name);
    let extension = versions.named(was.extension.as_deref().unwrap_or_default());
    let count = |table: &Relation| table.rows.unwrap_or_default();
    let text = |table: &Relation| format!("{} rows of {extension}", count(table));
    let equal = |result: &mut Comparison, more: i64| {
        result.equal += 1;
        result.rows = result.rows.saturating_add(count(was));
        if more > 0 {
            let more = if more == 1 {
                "1 row".to_owned()
            } else {
                format!("{more} rows")
            };
            result.notes.push(format!(
                "{name}: {more} more than in the backup, which the {extension} made"
            ));
        }
    };
    let more = count(is) - count(was);
    match (&was.lines, &is.lines) {
        // Nothing of it could be lost, whatever the extension makes of it here.
        _ if was.hash.is_some() && count(was) == 0 => equal(result, more),
        _ if was.hash == is.hash
            && was.rows == is.rows
            && was.bytes == is.bytes
            && was.columns == is.columns =>
        {
            equal(result, 0);
        }
        _ if is.columns.is_some() && was.columns.is_some() && was.columns != is.columns => {
            let columns = |table: &Relation| {
                let names = table.columns.iter().flatten().map(|name| name.display());
                format!("columns {}", names.collect::<Vec<_>>().join(", "))
            };
            let found = format!("{} of {extension}", columns(is));
            result
                .undecided
                .push(Difference::new("columns", name, columns(was), found));
        }
        (Some(lines), Some(now)) => match missing(lines, now) {
            // The same rows have the same bytes.
            0 if more == 0 && was.bytes != is.bytes => {
                let text = |table: &Relation| format!("{} bytes", table.bytes.unwrap_or_default());
                result.differs("content", name, text(was), text(is));
            }
            0 => equal(result, more),
            gone => {
                let what = if more == 0 { "content" } else { "rows" };
                result.differs(
                    what,
                    name,
                    text(was),
                    format!("{}, and {gone} of those that were there are not", text(is)),
                );
            }
        },
        _ if more < 0 => result.differs("rows", name, text(was), text(is)),
        // Without hashes only the number is known: that the content is not compared is told with the others'.
        (None, None) if was.hash.is_none() => equal(result, more),
        _ if more == 0 => {
            result.differs("content", name, text(was), format!("{}, others", text(is)))
        }
        _ => result
            .undecided
            .push(Difference::new("rows", name, text(was), text(is))),
    }
}

/// Whether the lines that were recorded are those of the hash and number that were recorded. No others' lines are.
pub(super) fn adds_up(table: &Relation) -> bool {
    let Some(lines) = &table.lines else {
        return true;
    };
    let ordered = lines.is_sorted();
    let mut sum = 0_u128;
    for line in lines {
        match u128::from_str_radix(line, 16) {
            Ok(line) => sum = sum.wrapping_add(line),
            Err(_) => return false,
        }
    }
    ordered
        && table.extension.is_some()
        && table.rows == i64::try_from(lines.len()).ok()
        && table.hash.as_deref() == Some(format!("{sum:032x}").as_str())
}

/// How many of the first are not among the second; both ordered.
fn missing(lines: &[String], now: &[String]) -> usize {
    let mut now = now.iter().peekable();
    let gone = lines.iter().filter(|line| {
        while now.next_if(|is| is < line).is_some() {}
        now.next_if(|is| is == line).is_none()
    });
    gone.count()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all(&["a", "b"], &["a", "b"], 0)]
    #[case::more(&["a", "c"], &["0", "a", "b", "c", "d"], 0)]
    #[case::gone(&["a", "b", "c"], &["a", "c", "d"], 1)]
    #[case::twice(&["a", "a"], &["a", "b"], 1)]
    #[case::none(&["a"], &[], 1)]
    #[case::nothing(&[], &["a"], 0)]
    fn g4_a_line_that_is_missing_is_told_from_one_more(
        #[case] was: &[&str],
        #[case] is: &[&str],
        #[case] gone: usize,
    ) {
        let owned = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        assert_eq!(missing(&owned(was), &owned(is)), gone);
    }
}
