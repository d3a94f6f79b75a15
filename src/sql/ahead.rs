//! Where the parser and the servers differ: what PostgreSQL 19 has and the parser does not know yet, and what the parser knows and
//! no server has.

use std::ops::Range;

use squawk_syntax::SyntaxKind as K;

use super::hit::Hit;
use super::lex::{Kind, Lexeme, Lexer};
use super::lint::Rule;
use super::tree::{Node, child};

/// A part that the parser is shown otherwise, in no more bytes.
pub(super) type Instead = (Range<usize>, &'static str);

/// Of the text before it is parsed. squawk-parser 2.68 knows neither `ALL SEQUENCES` after an EXCEPT of a publication, nor
/// `REFRESH SEQUENCES`, nor `WAIT FOR LSN`, nor STORAGE and COMPRESSION of a column that is added; newer ones ask for a newer
/// compiler than there is.
pub(super) fn unknown_to_the_parser(text: &str) -> (Vec<Instead>, Vec<Hit>) {
    let (mut instead, mut hits) = (Vec::new(), Vec::new());
    // Most files say none of these, and are not cut into words for that.
    let upper = text.to_ascii_uppercase();
    if !["SEQUENCES", "EXCEPT", "LSN", "STORAGE", "COMPRESSION"]
        .iter()
        .any(|w| upper.contains(w))
    {
        return (instead, hits);
    }
    let told = Lexer::new(text).filter(|l| !matches!(l.kind, Kind::Space | Kind::Comment));
    let all: Vec<Lexeme> = told.collect();
    for statement in all.split(|l| l.kind == Kind::Semicolon) {
        let is = |at: usize, word: &str| statement.get(at).is_some_and(|l| l.is(text, word));
        let span = |from: usize, to: usize| {
            let (first, last) = (statement.get(from)?, statement.get(to)?);
            Some(first.range.start..last.range.end)
        };
        let last = statement.len().saturating_sub(1);
        if is(0, "wait") && is(1, "for") && is(2, "lsn") {
            let whole = span(0, last).unwrap_or_default();
            let part = text.get(whole.clone()).unwrap_or_default();
            if !part.to_ascii_lowercase().contains("'primary_flush'") {
                let why = "WAIT FOR LSN waits for the replay of a standby, and a primary, where migrations run, refuses it";
                let fix = "take it out: between segments Lifeboat itself waits for standbys";
                hits.push(Hit::new(Rule::Lb105, whole.clone(), why).fix(fix).refused());
            }
            instead.push((whole, "SELECT 1"));
        } else if is(0, "alter") && (is(1, "table") || is(2, "table")) {
            let mut adds = false;
            for at in 2..statement.len() {
                // The word before says what an action is; `ADD COLUMN storage text` names a column.
                adds =
                    (adds || is(at, "add")) && !["alter", "set", "drop"].iter().any(|w| is(at, w));
                let names = ["add", "column", "exists"].iter().any(|w| is(at - 1, w));
                let modes = ["plain", "external", "extended", "main", "default"];
                let told = is(at, "storage") && modes.iter().any(|mode| is(at + 1, mode))
                    || is(at, "compression")
                        && ["pglz", "lz4", "default"].iter().any(|m| is(at + 1, m));
                let part = span(at, at + 1).filter(|_| adds && told && !names);
                instead.extend(part.map(|part| (part, "")));
            }
        } else if is(0, "alter") && is(1, "subscription") {
            let refreshes = is(last.saturating_sub(1), "refresh") && is(last, "sequences");
            let part = span(last.saturating_sub(1), last).filter(|_| refreshes);
            instead.extend(part.map(|part| (part, "DISABLE")));
        } else if is(1, "publication") {
            for at in 2..statement.len() {
                let part = match () {
                    () if is(at, "except") && is(at + 2, "table") => statement
                        .iter()
                        .skip(at)
                        .position(|l| l.kind == Kind::Close)
                        .and_then(|close| span(at, at + close)),
                    () if is(at + 1, "all") && is(at + 2, "sequences") => {
                        let comma = statement.get(at).is_some_and(|l| l.kind == Kind::Comma);
                        span(at, at + 2).filter(|_| comma)
                    }
                    () => None,
                };
                instead.extend(part.map(|part| (part, "")));
            }
        }
    }
    (instead, hits)
}

/// What was in PostgreSQL's own tree for a while, and taken out before a release.
pub(super) fn of_no_server(node: &Node) -> Option<Hit> {
    const KINDS: [(K, &str); 8] = [
        (K::SPLIT_PARTITION, "SPLIT PARTITION"),
        (K::MERGE_PARTITIONS, "MERGE PARTITIONS"),
        (K::CREATE_PROPERTY_GRAPH, "CREATE PROPERTY GRAPH"),
        (K::ALTER_PROPERTY_GRAPH, "ALTER PROPERTY GRAPH"),
        (K::DROP_PROPERTY_GRAPH, "DROP PROPERTY GRAPH"),
        (K::GRAPH_TABLE_FN, "GRAPH_TABLE"),
        (K::FOR_PORTION_OF, "FOR PORTION OF"),
        (K::PRIVILEGE_PROPERTY_GRAPH, "PROPERTY GRAPH"),
    ];
    let kind = KINDS
        .iter()
        .find(|(kind, _)| node.kind == *kind || node.has(*kind));
    // GROUP BY ALL without a list; `GROUP BY ALL (a, b)` is old.
    let mut groups = node.all(K::GROUP_BY_CLAUSE);
    let all = groups.any(|g| child(&g, K::GROUP_BY_LIST).is_none());
    let what = kind
        .map(|(_, name)| *name)
        .or(all.then_some("GROUP BY ALL"))?;
    let why = format!("no PostgreSQL up to 19 has {what}: it was taken out again before a release");
    Some(Hit::new(Rule::Lb410, node.span.clone(), &why).refused())
}
