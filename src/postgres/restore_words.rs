//! What pg_restore says, read error by error while it says it. Of its chatter nothing is kept, and of an error neither
//! detail, context nor statement: they hold rows, and a proof is not encrypted.

use std::collections::BTreeSet;
use std::process::ExitStatus;

use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;

use super::error::sanitise;
use super::toc::Toc;

/// Most errors that are kept.
pub(super) const MAX_ERRORS: usize = 1_000;
/// Most bytes of one line that are kept.
pub(super) const MAX_LINE: usize = 8 * 1024;
/// What begins each of its own lines.
const SAYS: &str = "pg_restore: ";

/// Something that could not be restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolError {
    /// Number of the entry; `None` where it is not known.
    pub dump_id: Option<i64>,
    /// Kind of the entry, for example `TABLE DATA`; empty where it is not known.
    pub desc: String,
    /// The entry, for example `TABLE DATA public.orders`; empty where it is not known.
    pub entry: String,
    /// What the server or pg_restore said.
    pub message: String,
    /// The line in which it said so, as it stands.
    pub line: String,
}

/// Everything that a pg_restore said.
#[derive(Debug, Default)]
pub struct Said {
    /// Its errors, in their order.
    pub errors: Vec<ToolError>,
    /// Every entry that has one. Complete also where sessions beside each other speak at once and it is not known who said
    /// which of the errors; one more than [`MAX_ERRORS`] at most.
    pub entries: BTreeSet<i64>,
    /// What else it said, in case that it ends without an error.
    other: String,
}

impl Said {
    /// What is wrong if nothing was said and it ended badly all the same.
    pub(super) fn ended(mut self, status: ExitStatus) -> Self {
        if !status.success() && self.errors.is_empty() {
            self.errors.push(ToolError {
                message: sanitise(&format!("pg_restore ended with {status}: {}", self.other)),
                ..ToolError::default()
            });
        }
        self
    }
}

/// Hears it to its end.
pub(super) async fn listen(mut stderr: ChildStderr, toc: &Toc, beside: bool) -> Said {
    let mut words = Words::new(toc, beside);
    let mut piece = [0u8; 16 * 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        words.push(piece.get(..length).unwrap_or_default());
    }
    words.end()
}

struct Words<'a> {
    toc: &'a Toc,
    /// Several sessions speak.
    beside: bool,
    /// The line that has begun.
    line: Vec<u8>,
    /// Entries that were named, and no error since.
    named: Vec<i64>,
    /// The entry of the error before: one with more than one error is named once.
    at: Option<i64>,
    /// The last error may yet be followed by its statement.
    open: bool,
    said: Said,
}

impl<'a> Words<'a> {
    fn new(toc: &'a Toc, beside: bool) -> Self {
        Self {
            toc,
            beside,
            line: Vec::new(),
            named: Vec::new(),
            at: None,
            open: false,
            said: Said::default(),
        }
    }

    fn push(&mut self, piece: &[u8]) {
        let mut lines = piece.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = lines.next() {
            let room = MAX_LINE.saturating_sub(self.line.len()).min(part.len());
            self.line
                .extend_from_slice(part.get(..room).unwrap_or_default());
            if lines.peek().is_some() {
                self.take_line();
            }
        }
    }

    fn end(mut self) -> Said {
        self.take_line();
        self.said
    }

    fn take_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        let Some(own) = line.strip_prefix(SAYS) else {
            self.continued(&line);
            return;
        };
        if let Some(rest) = own.strip_prefix("from TOC entry ") {
            let number = rest.split(';').next().and_then(|n| n.parse().ok());
            if let Some(number) = number {
                self.named.push(number);
                if self.said.entries.len() <= MAX_ERRORS {
                    self.said.entries.insert(number);
                }
            }
            // Nobody says that many before an error; but nothing is kept without a bound.
            self.named.truncate(MAX_ERRORS);
        } else if let Some(error) = own.strip_prefix("error: ") {
            self.error(error);
        }
    }

    fn error(&mut self, error: &str) {
        // Sessions beside each other may both have named theirs before the first of the errors: then nobody knows whose it is.
        self.at = match (self.named.as_slice(), self.beside) {
            ([], _) => self.at,
            ([one], _) => Some(*one),
            ([.., last], false) => Some(*last),
            (_, true) => None,
        };
        self.named.clear();
        self.open = true;
        if self.said.errors.len() >= MAX_ERRORS {
            return;
        }
        let mut entries = self.toc.entries.iter();
        let entry = self
            .at
            .and_then(|number| entries.find(|e| e.dump_id == number));
        self.said.errors.push(ToolError {
            dump_id: self.at,
            desc: entry.map(|e| e.desc.clone()).unwrap_or_default(),
            entry: entry.map(|e| e.display()).unwrap_or_default(),
            message: sanitise(error),
            line: error.to_owned(),
        });
    }

    /// What continues an error, or what was said by somebody else.
    fn continued(&mut self, line: &str) {
        if self.open && line.starts_with("Command was: ") {
            self.open = false;
            if let Some(error) = self.said.errors.last_mut()
                && error.entry.is_empty()
            {
                (error.desc, error.entry) = from_command(line);
            }
        } else if self.said.errors.is_empty() && self.said.other.len() < MAX_LINE {
            self.said.other.push_str(line);
            self.said.other.push(' ');
        }
    }
}

/// Kind and beginning of a statement; no more of it, because it may hold anything.
fn from_command(line: &str) -> (String, String) {
    let command = line.trim_start_matches("Command was: ");
    let desc = match command.starts_with("REFRESH MATERIALIZED VIEW") {
        true => "MATERIALIZED VIEW DATA",
        false => "",
    };
    let words: Vec<&str> = command.split_whitespace().take(4).collect();
    (
        desc.to_owned(),
        sanitise(words.join(" ").trim_end_matches(';')),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::manifest::Name;
    use crate::postgres::toc::Entry;

    fn toc() -> Toc {
        let name = |text: &str| Name::Text(text.to_owned());
        let entry = |dump_id, desc: &str, tag| Entry {
            dump_id,
            has_data: false,
            desc: desc.to_owned(),
            namespace: name("public"),
            tag: name(tag),
            owner: name("o"),
            definition: Name::default(),
            ..Entry::default()
        };
        Toc {
            format: (1, 16),
            server_version: String::new(),
            dump_version: String::new(),
            database: name("shop"),
            entries: vec![entry(215, "TABLE", "orders"), entry(300, "INDEX", "i")],
        }
    }

    /// In pieces of each size: a line may be cut anywhere.
    fn said(words: &str, beside: bool) -> Said {
        let toc = toc();
        let of = |size: usize| {
            let mut all = Words::new(&toc, beside);
            words.as_bytes().chunks(size).for_each(|p| all.push(p));
            all.end()
        };
        let whole = of(words.len().max(1));
        assert_eq!(of(7).errors, whole.errors);
        whole
    }

    #[test]
    fn every_error_is_told_with_its_entry_and_without_statement_and_rows() {
        let words = "pg_restore: connecting to database for restore\n\
            pg_restore: creating TABLE \"public.orders\"\n\
            pg_restore: while PROCESSING TOC:\n\
            pg_restore: from TOC entry 215; 1259 16385 TABLE orders o\n\
            pg_restore: error: could not execute query: ERROR:  type \"citext\" does not exist\n\
            LINE 2:     b citext\n             ^\n\
            Command was: CREATE TABLE public.orders (\n    secret text DEFAULT 'x'\n);\n\
            pg_restore: error: COPY failed for table \"t\": ERROR:  duplicate key\nDETAIL:  Key (a)=(1)\n\
            pg_restore: warning: errors ignored on restore: 2\n";
        let found = said(words, false);
        assert_eq!(found.entries, BTreeSet::from([215]));
        let found = found.errors;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].entry, "TABLE public.orders");
        assert!(!format!("{found:?}").contains("secret"), "{found:?}");
        assert!(!format!("{found:?}").contains("Key (a)=(1)"), "{found:?}");
        let words = "pg_restore: error: could not execute query: ERROR:  no\nCommand was: REFRESH MATERIALIZED VIEW e.v;\n";
        let found = said(words, true).errors;
        assert_eq!(found[0].entry, "REFRESH MATERIALIZED VIEW e.v");
        assert_eq!(found[0].desc, "MATERIALIZED VIEW DATA");
        assert_eq!(
            said("", false).ended(ExitStatus::from_raw(0)).errors,
            vec![]
        );
        let words = "pg_restore: connecting\nsh: no such library\n";
        let killed = said(words, false).ended(ExitStatus::from_raw(9)).errors;
        assert!(killed[0].message.contains("signal: 9"), "{killed:?}");
        assert!(killed[0].message.contains("no such library"), "{killed:?}");
    }

    #[test]
    fn where_two_sessions_speak_at_once_no_error_is_laid_at_the_wrong_door() {
        let words = "pg_restore: from TOC entry 215; 1 1 TABLE orders o\n\
            pg_restore: from TOC entry 300; 1 1 INDEX i o\n\
            pg_restore: error: could not execute query: ERROR:  one\n\
            pg_restore: error: could not execute query: ERROR:  another\n";
        let found = said(words, true);
        assert!(found.errors.iter().all(|e| e.dump_id.is_none()));
        assert_eq!(found.entries, BTreeSet::from([215, 300]));
    }

    #[test]
    fn what_is_said_is_kept_within_bounds() {
        let long = "x".repeat(100_000);
        let error = format!("pg_restore: error: {long}\n");
        let found = said(&error.repeat(MAX_ERRORS + 5), false);
        assert_eq!(found.errors.len(), MAX_ERRORS);
        assert!(found.errors.iter().all(|e| e.line.len() <= MAX_LINE));
    }
}
