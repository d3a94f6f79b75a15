//! Files that keep the way up and the way down together, told apart by marks in comments: goose, dbmate, sql-migrate, tern. And the
//! marks by which these, sqlx and Atlas say that a file is not to run in one transaction.
//!
//! A comment decides here what is run, as it does for those tools: what they would not run is not run, and what is not understood is
//! refused. No comment decides what is judged (LB409).

use std::ops::Range;

use super::hit::Hit;
use super::lex::{Kind, Lexer};
use super::lint::Rule;

/// A part of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) range: Range<usize>,
    /// Each of its statements is a transaction of its own.
    pub(super) each_alone: bool,
}

/// A file, cut by its marks.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) up: Part,
    pub(super) down: Option<Part>,
    /// Marks that are not followed.
    pub(super) hits: Vec<Hit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark<'t> {
    Up,
    Down,
    /// For the part in which it stands, or for the file if it stands before.
    NoTransaction,
    /// It changes nothing: where a statement ends is known without it.
    Idle,
    Unknown(&'t str),
}

/// One tool's mark on a line.
struct Found<'t> {
    tool: &'static str,
    line: Range<usize>,
    mark: Mark<'t>,
    options: &'t str,
}

/// Reads the marks of a file.
pub(super) fn cut(text: &str) -> Cut {
    let found: Vec<Found<'_>> = marks(text);
    let mut cut = Cut::default();
    cut.up.range = 0..text.len();
    if found.is_empty() {
        cut.hits.extend(look_alike(text));
        return cut;
    }
    let mut refuse = |line: &Range<usize>, why: &str| {
        cut.hits
            .push(Hit::new(Rule::Lb410, line.clone(), why).refused());
    };
    let first = found.first().map_or("", |f| f.tool);
    if let Some(other) = found.iter().find(|f| f.tool != first) {
        let why = format!("marks of {first} and of {} in one file", other.tool);
        refuse(&other.line, &why);
    }
    let (mut ups, mut downs) = (Vec::new(), Vec::new());
    // Before both parts, in the one upwards, in the one that leads back.
    let mut alone = [false; 3];
    let set = |alone: &mut [bool; 3], part: usize| {
        if let Some(it) = alone.get_mut(part) {
            *it = true;
        }
    };
    for one in &found {
        let written = text.get(one.line.clone()).unwrap_or_default().trim();
        let part = |ups: usize, downs: usize| match (ups, downs) {
            (_, 1..) => 2,
            (1.., _) => 1,
            _ => 0,
        };
        match one.mark {
            Mark::Up => ups.push(one),
            Mark::Down => downs.push(one),
            Mark::NoTransaction => set(&mut alone, part(ups.len(), downs.len())),
            Mark::Idle => {}
            Mark::Unknown(why) => refuse(&one.line, &format!("`{written}`: {why}")),
        }
        let part = part(ups.len(), downs.len());
        for option in one.options.split_whitespace() {
            match option {
                "transaction:false" | "notransaction" => set(&mut alone, part),
                "transaction:true" => {}
                _ => refuse(
                    &one.line,
                    &format!("`{option}` is not known here: take it out"),
                ),
            }
        }
    }
    for again in ups.iter().skip(1).chain(downs.iter().skip(1)) {
        refuse(
            &again.line,
            "this mark stands twice: one part up and one part down",
        );
    }
    let (up, down) = (ups.first(), downs.first());
    let [anywhere, above, below] = alone;
    match (up, down) {
        (Some(up), Some(down)) if down.line.start < up.line.start => {
            refuse(&down.line, "the way down stands before the way up");
        }
        (None, Some(down)) if down.tool != "tern" => {
            refuse(
                &down.line,
                "a way down, and no mark where the way up begins",
            );
        }
        _ => {}
    }
    if let Some(up) = up {
        let before = text.get(..up.line.start).unwrap_or_default();
        if let Some(at) = first_statement(before) {
            let why = format!(
                "a statement before the mark of {}: it would not be run",
                up.tool
            );
            refuse(&(at..at + 1), &why);
        }
    }
    let end = down.map_or(text.len(), |d| d.line.start);
    cut.up.range = up.map_or(0, |u| u.line.end).min(end)..end;
    cut.up.each_alone = anywhere || above;
    cut.down = down.map(|d| Part {
        range: d.line.end..text.len(),
        each_alone: anywhere || below,
    });
    cut
}

/// `${…}` within a text or a quoted name, where the parser does not trip over it: Flyway puts a value there.
pub(super) fn placeholder(text: &str) -> Option<Hit> {
    let mut quoted =
        Lexer::new(text).filter(|l| matches!(l.kind, Kind::Text | Kind::Quoted | Kind::Dollar));
    quoted.find_map(|part| {
        let within = text.get(part.range.clone())?;
        let open = within.find("${")?;
        let close = within.get(open..)?.find('}')?;
        let at = part.range.start + open;
        let why = "a placeholder of Flyway: values are not put in, write what is meant";
        Some(Hit::new(Rule::Lb410, at..at + close + 1, why).refused())
    })
}

/// `-- Down Migration`, `-- !Downs`, `-- //@UNDO` between statements: another tool would not run what comes after.
fn look_alike(text: &str) -> Option<Hit> {
    const BACK: [&str; 3] = ["down", "downs", "undo"];
    let lower = text.to_ascii_lowercase();
    if !["down", "undo"].iter().any(|word| lower.contains(word)) {
        return None;
    }
    let mut comments = Lexer::new(text).filter(|l| l.kind == Kind::Comment);
    comments.find_map(|comment| {
        let line = comment.range;
        let (before, after) = (text.get(..line.start)?, text.get(line.end..)?);
        let words = lower.get(line.clone())?.split(|c: char| !c.is_alphanumeric());
        let words: Vec<&str> = words.filter(|w| !w.is_empty()).collect();
        let alone = before.rsplit('\n').next()?.trim().is_empty();
        let marks = alone && words.len() <= 3 && words.iter().any(|w| BACK.contains(w));
        first_statement(before).filter(|_| marks)?;
        first_statement(after)?;
        let why = "this looks like the mark of a way back in the same file, and of no tool that is known here: put what follows into a file of its own, or leave the comment away";
        Some(Hit::new(Rule::Lb410, line, why).refused())
    })
}

fn first_statement(text: &str) -> Option<usize> {
    let mut told = Lexer::new(text).filter(|l| !matches!(l.kind, Kind::Space | Kind::Comment));
    told.next().map(|l| l.range.start)
}

/// Comments that begin a line. One within a literal is none.
fn marks(text: &str) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    // Most files have none, and are not cut into words for that.
    let worth = [
        "+goose",
        "migrate:",
        "+migrate",
        "---- ",
        "no-transaction",
        "atlas:",
    ];
    if !worth.iter().any(|w| text.contains(w)) {
        return found;
    }
    let comments = Lexer::new(text).filter(|l| l.kind == Kind::Comment);
    for comment in comments {
        let line = comment.range.clone();
        let before = text.get(..line.start).unwrap_or_default();
        let indent = before.rsplit('\n').next().unwrap_or_default();
        let words = text.get(line.clone()).unwrap_or_default();
        let read = read(words, line.start).filter(|_| indent.trim().is_empty());
        if let Some((tool, mut mark, options)) = read {
            if !indent.is_empty() && mark != Mark::Idle {
                mark = Mark::Unknown(
                    "a mark begins its line: indented, the tool itself does not follow it",
                );
            }
            found.push(Found {
                tool,
                line,
                mark,
                options,
            });
        }
    }
    found
}

fn read(comment: &str, at: usize) -> Option<(&'static str, Mark<'_>, &str)> {
    let line = comment.strip_prefix("--")?.trim_end();
    if line == "-- create above / drop below ----" {
        return Some(("tern", Mark::Down, ""));
    }
    if line == "-- tern: disable-tx ----" {
        return Some(("tern", Mark::NoTransaction, ""));
    }
    let words = line.trim_start();
    let after = |prefix: &str| words.strip_prefix(prefix).map(str::trim);
    if let Some(command) = after("+goose") {
        let mark = match command.to_ascii_uppercase().as_str() {
            "UP" => Mark::Up,
            "DOWN" => Mark::Down,
            "NO TRANSACTION" => Mark::NoTransaction,
            "STATEMENTBEGIN" | "STATEMENTEND" | "ENVSUB OFF" => Mark::Idle,
            "ENVSUB ON" => {
                Mark::Unknown("variables of the environment are not put in: write what is meant")
            }
            _ => Mark::Unknown("goose has no such mark"),
        };
        return Some(("goose", mark, ""));
    }
    let (tool, command) = match (after("migrate:"), after("+migrate")) {
        (Some(command), _) => ("dbmate", command),
        (_, Some(command)) => ("sql-migrate", command),
        _ => return transaction(words, at),
    };
    let (word, options) = command
        .split_once(char::is_whitespace)
        .unwrap_or((command, ""));
    let mark = match word.to_ascii_lowercase().as_str() {
        "up" => Mark::Up,
        "down" => Mark::Down,
        "statementbegin" | "statementend" if tool == "sql-migrate" => Mark::Idle,
        "dirty" if tool == "sql-migrate" => Mark::Idle,
        _ => Mark::Unknown("this mark is not known"),
    };
    Some((tool, mark, options))
}

/// Tools whose marks are about the transaction alone.
fn transaction(words: &str, at: usize) -> Option<(&'static str, Mark<'_>, &str)> {
    if words == "no-transaction" && at == 0 {
        return Some(("sqlx", Mark::NoTransaction, ""));
    }
    let directive = words.strip_prefix("atlas:")?;
    let (command, value) = directive
        .split_once(char::is_whitespace)
        .unwrap_or((directive, ""));
    let mark = match (command, value.trim()) {
        ("txmode", "none") => Mark::NoTransaction,
        ("txmode", _) | ("nolint" | "sum", _) => Mark::Idle,
        _ => Mark::Unknown("this directive of Atlas is not followed"),
    };
    Some(("Atlas", mark, ""))
}
