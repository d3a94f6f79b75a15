//! `-- lifeboat: batch 10000 by id` above an UPDATE or DELETE: it is run in bounded transactions, each about so many rows in the order of
//! a column, so that nobody waits for all of them.
//!
//! The statement keeps its text, and gets bounds of the column in its WHERE. A mark that cannot be followed is refused.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use squawk_syntax::SyntaxKind as K;

use super::hit::Hit;
use super::lex::{Kind, Lexer};
use super::lint::Rule;
use super::name::unquoted;
use super::tree::{Node, child, parts, span};

/// Most rows of a batch.
const MOST_ROWS: u32 = 1_000_000;
/// Begins the mark, in a comment.
const MARK: &str = "lifeboat";
/// What a mark looks like.
const FORM: &str = "the mark is `-- lifeboat: batch 10000 by id`, with at most 1000000 rows and one column, on a line of its own";

/// A statement that runs in batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Rows of the table that one batch goes over, at most, unless several have one value.
    pub rows: u32,
    /// The column in whose order it goes, as a statement names it.
    pub key: String,
    /// That, as the catalogue has it.
    pub column: String,
    /// The table's name, as it stands there.
    pub name: String,
    /// The table, as the statement names it, with ONLY where it says so.
    pub table: String,
    /// What the statement calls the table: its alias, or its name.
    pub called: String,
    /// The statement up to its condition.
    pub head: String,
    /// Its condition, if it has one.
    pub condition: Option<String>,
    /// What stands behind.
    pub tail: String,
}

impl Batch {
    /// The statement for the rows behind `after` (literals, as they stand in a statement), up to and with `until`.
    #[must_use]
    pub fn statement(&self, after: Option<&str>, until: &str) -> String {
        let key = format!("{}.{}", self.called, self.key);
        let mut bounds = format!("{key} <= {until}");
        if let Some(after) = after {
            bounds = format!("{key} > {after} AND {bounds}");
        }
        let condition = match &self.condition {
            Some(condition) => format!("({condition}) AND {bounds}"),
            None => bounds,
        };
        // What stands before may end with a comment.
        format!("{}\nWHERE {condition} {}", self.head, self.tail)
    }

    /// Asks for the number of rows of a batch.
    #[must_use]
    pub fn rows_of(&self, after: Option<&str>, until: &str) -> String {
        let (key, table) = (&self.key, &self.table);
        let behind = after.map_or_else(String::new, |after| format!("t.{key} > {after} AND "));
        format!("SELECT pg_catalog.count(*) FROM {table} AS t WHERE {behind}t.{key} <= {until}")
    }

    /// Asks where the batch behind `after` ends, and how many rows of the table it goes over.
    #[must_use]
    pub fn bounds(&self, after: Option<&str>) -> String {
        let (key, table) = (&self.key, &self.table);
        let behind = after.map_or_else(String::new, |after| format!("WHERE t.{key} > {after} "));
        format!(
            "WITH b AS (SELECT t.{key} AS k FROM {table} AS t {behind}ORDER BY t.{key} LIMIT {}) \
             SELECT (SELECT pg_catalog.to_jsonb(b.k) #>> '{{}}' FROM b ORDER BY b.k DESC LIMIT 1), (SELECT pg_catalog.count(*) FROM b)",
            self.rows
        )
    }
}

/// The parts of a statement that may run in batches; `Err`: why it may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    table: Range<usize>,
    name: String,
    called: String,
    sets: Vec<String>,
    head: Range<usize>,
    condition: Option<Range<usize>>,
    tail: Range<usize>,
}

/// Takes a statement apart: where its parts stand in the file.
pub(super) fn apart(node: &Node) -> Result<Parts, &'static str> {
    if !matches!(node.kind, K::UPDATE | K::DELETE) {
        return Err("only an UPDATE or a DELETE runs in batches");
    }
    let syntax = &node.syntax;
    if child(syntax, K::WITH_CLAUSE).is_some() {
        return Err(
            "a statement with WITH cannot be cut into batches: put what it reads into a subquery",
        );
    }
    if child(syntax, K::WHERE_CURRENT_OF).is_some() || child(syntax, K::FOR_PORTION_OF).is_some() {
        return Err("a statement with CURRENT OF or FOR PORTION OF cannot be cut into batches");
    }
    let table = child(syntax, K::RELATION_NAME).ok_or("it names no table")?;
    let alias = child(syntax, K::OPTIONAL_AS_ALIAS).and_then(|alias| parts(&alias).pop());
    let name = child(&table, K::RELATION_NAME_REF).unwrap_or_else(|| table.clone());
    let called = alias
        .or_else(|| parts(&name).pop())
        .ok_or("it names no table")?;
    let columns = [K::SET_SINGLE_COLUMN, K::SET_MULTIPLE_COLUMNS];
    let sets = columns.into_iter().flat_map(|kind| node.all(kind));
    let sets = sets.flat_map(|column| {
        let words = parts(&column).into_iter().take_while(|word| word != "=");
        words.map(|word| unquoted(&word)).collect::<Vec<_>>()
    });
    let whole = &node.span;
    let returning = child(syntax, K::RETURNING_CLAUSE).map(|n| span(&n).start);
    let (head, condition, tail) = match child(syntax, K::WHERE_CLAUSE) {
        Some(clause) => {
            let at = span(&clause);
            let behind = at.start + "WHERE".len();
            (
                whole.start..at.start,
                Some(behind..at.end),
                at.end..whole.end,
            )
        }
        None => {
            let at = returning.unwrap_or(whole.end);
            (whole.start..at, None, at..whole.end)
        }
    };
    Ok(Parts {
        table: span(&table),
        name: parts(&name).concat(),
        called,
        sets: sets.collect(),
        head,
        condition,
        tail,
    })
}

/// A mark that was read: where it stands, and what it says.
#[derive(Debug)]
pub(super) struct Marked {
    line: Range<usize>,
    rows: u32,
    key: String,
}

/// The marks in a part of a file; those that cannot be read are refused.
pub(super) fn marks(text: &str, part: &Range<usize>) -> (Vec<Marked>, Vec<Hit>) {
    let (mut found, mut hits) = (Vec::new(), Vec::new());
    // Most files have none, and are not cut into words for that.
    if !text.to_ascii_lowercase().contains(MARK) {
        return (found, hits);
    }
    let comments = Lexer::new(text).filter(|l| l.kind == Kind::Comment);
    for line in comments.map(|comment| comment.range) {
        let inside = part.contains(&line.start);
        let words = text.get(line.clone()).unwrap_or_default();
        let bare = words.trim_start_matches(['-', '/', '*']).trim_start();
        let begins = bare.get(..MARK.len());
        let begins = begins.is_some_and(|b| b.eq_ignore_ascii_case(MARK));
        // Somebody's own words of us are no mark.
        let rest = bare.get(MARK.len()..).unwrap_or_default().trim_start();
        let meant = rest.starts_with(':') || rest.to_ascii_lowercase().starts_with("batch ");
        if !inside || !begins || !meant {
            continue;
        }
        let said = words.strip_prefix("--").map(str::trim);
        match said
            .and_then(|w| w.strip_prefix("lifeboat:"))
            .and_then(read)
        {
            Some((rows, key)) => found.push(Marked { line, rows, key }),
            None => hits.push(Hit::new(Rule::Lb410, line, FORM).refused()),
        }
    }
    (found, hits)
}

/// `batch 10000 by id` → 10000 and `id`
fn read(said: &str) -> Option<(u32, String)> {
    let (rows, key) = said
        .trim()
        .strip_prefix("batch ")?
        .trim_start()
        .split_once(" by ")?;
    let rows = rows.trim().parse().ok()?;
    let key = key.trim();
    let mut words = Lexer::new(key);
    let (first, second) = (words.next()?, words.next());
    let name = matches!(first.kind, Kind::Word | Kind::Quoted) && second.is_none();
    ((1..=MOST_ROWS).contains(&rows) && name).then(|| (rows, key.to_owned()))
}

/// The batch of the statement at `span`, whose parts these are, if a mark stands right above it.
pub(super) fn of(
    marked: &mut Vec<Marked>,
    text: &str,
    at: &Range<usize>,
    parts: &Result<Parts, &'static str>,
) -> (Option<Batch>, Option<Hit>) {
    let above = |mark: &Marked| {
        let between = text.get(mark.line.end..at.start);
        mark.line.end <= at.start
            && between.is_some_and(|b| {
                let mut words = Lexer::new(b);
                words.all(|l| matches!(l.kind, Kind::Space | Kind::Comment))
            })
    };
    let Some(index) = marked.iter().rposition(above) else {
        return (None, None);
    };
    let mark = marked.remove(index);
    let refuse = |why: &str| {
        (
            None,
            Some(Hit::new(Rule::Lb410, mark.line.clone(), why).refused()),
        )
    };
    let parts = match parts {
        Ok(parts) => parts.clone(),
        Err(why) => return refuse(why),
    };
    if parts.sets.contains(&unquoted(&mark.key)) {
        return refuse(
            "the column of the batches is one that the statement changes: a row would be met again",
        );
    }
    // With the comments that the parser did not see.
    let cut = |range: Range<usize>| text.get(range).unwrap_or_default().to_owned();
    let batch = Batch {
        rows: mark.rows,
        column: unquoted(&mark.key),
        name: parts.name,
        key: mark.key,
        table: cut(parts.table),
        called: parts.called,
        head: cut(parts.head),
        condition: parts.condition.map(cut),
        tail: cut(parts.tail),
    };
    (Some(batch), None)
}

/// Marks that no statement has taken.
pub(super) fn left(marked: Vec<Marked>) -> impl Iterator<Item = Hit> {
    let why = "a mark without its statement: it stands on the line above an UPDATE or a DELETE";
    let hits = marked.into_iter();
    hits.map(move |mark| Hit::new(Rule::Lb410, mark.line, why).refused())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::file::File;
    use super::super::segment::SegmentKind;

    #[rstest]
    #[case::update(
        "-- lifeboat: batch 100 by id\nUPDATE t SET a = a + 1 -- all\n  WHERE a > 1 OR b;",
        "UPDATE t SET a = a + 1 -- all\n  \nWHERE ( a > 1 OR b) AND t.id > 5 AND t.id <= 9 "
    )]
    #[case::alias(
        "SELECT 1;\n-- lifeboat: batch 1 by \"Id\"\n-- why\nUPDATE ONLY s.t AS x SET a = y.a FROM y WHERE y.i = x.i RETURNING 1",
        "UPDATE ONLY s.t AS x SET a = y.a FROM y \nWHERE ( y.i = x.i) AND x.\"Id\" > 5 AND x.\"Id\" <= 9  RETURNING 1"
    )]
    #[case::delete(
        "-- lifeboat: batch 1000000 by id\nDELETE FROM s.\"T\"",
        "DELETE FROM s.\"T\"\nWHERE \"T\".id > 5 AND \"T\".id <= 9 "
    )]
    #[case::without_a_condition(
        "-- lifeboat:  batch 7 by id\ndelete from t returning *",
        "delete from t \nWHERE t.id > 5 AND t.id <= 9 returning *"
    )]
    fn a_statement_in_batches_gets_bounds(#[case] file: &str, #[case] wanted: &str) {
        let file = File::read("1_a.sql", file.as_bytes());
        assert!(!file.refused(), "{:?}", file.refusal());
        let last = file.statements.last().unwrap();
        let batch = last.batch.as_ref().unwrap();
        assert_eq!(batch.statement(Some("5"), "9"), wanted);
        assert_eq!(file.segments.last().unwrap().kind, SegmentKind::Batches);
    }

    #[rstest]
    #[case::another(
        "-- lifeboat: batch 10 by id\nINSERT INTO t SELECT 1",
        "only an UPDATE"
    )]
    #[case::none("-- lifeboat: batch 0 by id\nDELETE FROM t", "the mark is")]
    #[case::too_many("-- lifeboat: batch 1000001 by id\nDELETE FROM t", "the mark is")]
    #[case::two_columns("-- lifeboat: batch 10 by id, b\nDELETE FROM t", "the mark is")]
    #[case::unknown("-- lifeboat: throttle 10\nDELETE FROM t", "the mark is")]
    #[case::in_capitals("-- Lifeboat: batch 10 by id\nDELETE FROM t", "the mark is")]
    #[case::without_a_colon("-- lifeboat batch 10 by id\nDELETE FROM t", "the mark is")]
    #[case::another_comment("/* lifeboat: batch 10 by id */\nDELETE FROM t", "the mark is")]
    #[case::at_the_end(
        "DELETE FROM t;\n-- lifeboat: batch 10 by id",
        "a mark without its statement"
    )]
    #[case::inside(
        "DELETE FROM t\n-- lifeboat: batch 10 by id\nWHERE a",
        "a mark without its statement"
    )]
    #[case::changes(
        "-- lifeboat: batch 10 by id\nUPDATE t SET (a, ID) = (1, 2)",
        "one that the statement changes"
    )]
    #[case::with(
        "-- lifeboat: batch 10 by id\nWITH x AS (SELECT 1) DELETE FROM t",
        "WITH"
    )]
    fn a_mark_that_cannot_be_followed_is_refused(#[case] file: &str, #[case] why: &str) {
        let file = File::read("1_a.sql", file.as_bytes());
        let refusal = file.refusal().unwrap();
        assert!(refusal.contains(why), "{refusal}");
    }
}
