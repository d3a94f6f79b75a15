//! What differs, for people: a table of it, what helps, and what they accept.

use std::fmt::Write as _;

use super::backups;
use crate::api::restore_drill::AcceptedDefinition;
use crate::postgres::compare::{Comparison, Difference};
use crate::work::verify::Accepted;

/// Most differences that are printed; `--json` has all.
const MAX_LINES: usize = 100;

/// Differences that somebody accepts.
#[derive(Debug, clap::Args)]
pub struct AcceptArgs {
    /// A definition that the server prints otherwise than it was backed up, which you have read and found equal: its name and
    /// fingerprint as this command said them, for example 'VIEW public.totals=0123456789abcdef'. Repeat for several.
    #[arg(long, value_name = "NAME=FINGERPRINT", value_parser = accepted)]
    pub accept: Vec<AcceptedDefinition>,
    /// What no dump holds and need not come back, by the name that this command gives it, for example "index public.my_index".
    /// Repeat for several.
    #[arg(long, value_name = "NAME")]
    pub accept_lost: Vec<String>,
}

impl AcceptArgs {
    /// As the comparison takes it.
    pub fn accepted(&self) -> Accepted {
        Accepted {
            definitions: self.accept.clone(),
            lost: self.accept_lost.iter().cloned().collect(),
        }
    }
}

fn accepted(text: &str) -> Result<AcceptedDefinition, String> {
    let pair = text.rsplit_once('=').filter(|(name, print)| {
        !name.is_empty() && print.len() == 16 && print.bytes().all(|b| b.is_ascii_hexdigit())
    });
    let (name, print) = pair.ok_or("write NAME=FINGERPRINT as this command said them, for example 'VIEW public.totals=0123456789abcdef'")?;
    Ok(AcceptedDefinition {
        definition: name.to_owned(),
        fingerprint: print.to_ascii_lowercase(),
    })
}

/// Adds everything that a comparison says, line by line. `is`: heading of what is there now.
pub(super) fn told(out: &mut String, comparison: &Comparison, is: &str) {
    add(out, &comparison.differences, is);
    let mut lines = |word: &str, texts: &mut dyn Iterator<Item = String>| {
        for text in texts {
            let _ = writeln!(out, "{word}: {}", backups::sentence(&text));
        }
    };
    lines("remedy", &mut comparison.remedies.iter().cloned());
    lines("note", &mut comparison.notes.iter().cloned());
    lines("not compared", &mut comparison.not_compared.iter().cloned());
    let undecided = comparison.undecided.iter().map(Difference::sentence);
    lines("cannot be told", &mut { undecided });
}

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
            // Whole: who accepts a definition has read both.
            backups::sentence(&difference.expected),
            backups::sentence(&difference.found),
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
