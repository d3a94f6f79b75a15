//! A table of what differs, for people.

use std::fmt::Write as _;

use super::backups;
use crate::postgres::compare::Difference;

/// Most differences that are printed; `--json` has all.
const MAX_LINES: usize = 100;

/// Adds the table, where there is something to show. `is`: heading of what is there now.
pub(super) fn add(out: &mut String, differences: &[Difference], is: &str) {
    if differences.is_empty() {
        return;
    }
    let mut table = backups::table(&["WHAT", "OBJECT", "IN THE BACKUP", is], &[]);
    for difference in differences.iter().take(MAX_LINES) {
        table.add_row([
            backups::plain(&difference.what),
            backups::plain(&difference.object),
            backups::plain(&difference.expected),
            backups::plain(&difference.found),
        ]);
    }
    for line in table.lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if differences.len() > MAX_LINES {
        let more = differences.len() - MAX_LINES;
        let _ = writeln!(out, "… and {more} more (--json has all)");
    }
    out.push('\n');
}
