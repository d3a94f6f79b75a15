//! Names in the body of a function that stand there without a schema: what they mean hangs on the search_path, and in a
//! restore that is empty. By the words alone, so only what surely is a name is told: a call, what is read or written, a cast.

use std::collections::BTreeSet;

use super::lex::{Kind, Lexer};

/// What a name is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// `f (…)`
    Call,
    /// `FROM t`, `JOIN t`, `INSERT INTO t`, `UPDATE t`, `t%ROWTYPE`
    Relation,
    /// `x::t`, and in plpgsql the type of a variable
    Type,
}

/// A name without a schema, as the server has it: folded, without quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bare {
    /// What it is used as.
    pub used: Use,
    /// The name.
    pub name: String,
}

/// Words before a bracket that call nothing.
const NO_CALLS: [&str; 32] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "check",
    "else",
    "elsif",
    "except",
    "exists",
    "filter",
    "from",
    "if",
    "in",
    "intersect",
    "into",
    "materialized",
    "not",
    "on",
    "or",
    "over",
    "return",
    "select",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
];

/// The names without a schema in a body. Texts are not looked into: who writes `EXECUTE '…'` is not caught.
#[must_use]
pub fn bare(body: &str, plpgsql: bool) -> BTreeSet<Bare> {
    let words: Vec<(Kind, &str)> = Lexer::new(body)
        .filter(|l| !matches!(l.kind, Kind::Space | Kind::Comment))
        .map(|l| (l.kind, l.text(body)))
        .collect();
    let at = |i: usize| words.get(i).copied();
    let is = |i: Option<usize>, word: &str| {
        let found = i.and_then(at);
        found.is_some_and(|(kind, text)| {
            !matches!(kind, Kind::Quoted | Kind::Text | Kind::Dollar)
                && text.eq_ignore_ascii_case(word)
        })
    };
    let begins = (0..words.len()).find(|i| is(Some(*i), "begin"));
    // What a WITH of the body makes is no table.
    let made: BTreeSet<String> = (0..words.len())
        .filter(|i| {
            is(Some(i + 1), "as") && (is(Some(i + 2), "(") || is(Some(i + 3), "("))
                || is(Some(i + 1), "(")
        })
        .filter(|i| {
            is(i.checked_sub(1), "with")
                || is(i.checked_sub(1), "recursive")
                || is(i.checked_sub(1), ",")
        })
        .filter_map(|i| name(at(i)?))
        .collect();
    let mut found = BTreeSet::new();
    for i in 0..words.len() {
        let Some(name) = at(i).and_then(name) else {
            continue;
        };
        let before = i.checked_sub(1);
        let next = Some(i + 1);
        if is(before, ".") || is(next, ".") {
            continue;
        }
        let reads = ["from", "join", "update", "only"]
            .iter()
            .any(|word| is(before, word))
            || is(before, "into") && is(i.checked_sub(2), "insert");
        // `extract(year FROM x)`, `trim(both FROM x)` and `IS DISTINCT FROM x` name no table; a function may be read from.
        let spoken = is(before, "from") && !after_select(&words, i);
        let declared = plpgsql
            && begins.is_some_and(|begin| i < begin)
            && [";", ":", "=", "default", "not"]
                .iter()
                .any(|end| is(next, end))
            && before.and_then(at).and_then(self::name).is_some();
        let used = if is(next, "(") {
            // `INSERT INTO t (…)`; and what only looks like a call.
            match reads && is(before, "into") {
                true => Use::Relation,
                false => Use::Call,
            }
        } else if is(next, "%") && is(Some(i + 2), "rowtype") || reads && !spoken {
            Use::Relation
        } else if is(before, ":") && is(i.checked_sub(2), ":") || declared {
            Use::Type
        } else {
            continue;
        };
        let no_call = used == Use::Call && NO_CALLS.contains(&name.as_str());
        if !no_call && (used != Use::Relation || !made.contains(&name)) {
            found.insert(Bare { used, name });
        }
    }
    found
}

/// Whether the FROM before a word belongs to a SELECT or DELETE of the same depth.
fn after_select(words: &[(Kind, &str)], at: usize) -> bool {
    let mut depth = 0_i32;
    for (kind, text) in words
        .get(..at.saturating_sub(1))
        .unwrap_or_default()
        .iter()
        .rev()
    {
        match kind {
            Kind::Close => depth += 1,
            Kind::Open if depth == 0 => return false,
            Kind::Open => depth -= 1,
            Kind::Word if depth == 0 => {
                let is = |word: &str| text.eq_ignore_ascii_case(word);
                if is("distinct") {
                    return false;
                }
                if is("select") || is("delete") || is("set") || is("perform") {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// A word as the server folds it.
fn name((kind, text): (Kind, &str)) -> Option<String> {
    match kind {
        Kind::Word => Some(text.to_lowercase()),
        Kind::Quoted => {
            let inner = text.strip_prefix('"')?.strip_suffix('"')?;
            Some(inner.replace("\"\"", "\""))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::call("SELECT g($1) + public.h($1)", false, "Call g")]
    #[case::quoted("SELECT \"G h\"(1), \"p\".\"q\"(1)", false, "Call G h")]
    #[case::table("SELECT max(a) FROM t JOIN s.u ON true", false, "Call max, Relation t")]
    #[case::inner("SELECT (SELECT a FROM t LIMIT 1)", false, "Relation t")]
    #[case::no_table(
        "SELECT extract(year FROM d), a IS DISTINCT FROM b",
        false,
        "Call extract"
    )]
    #[case::with("WITH w AS (SELECT 1) SELECT * FROM w", false, "")]
    #[case::two(
        "WITH w AS (SELECT 1), v AS MATERIALIZED (SELECT 2) SELECT * FROM v",
        false,
        ""
    )]
    #[case::cast("SELECT $1::mood, 'x'::s.kind", false, "Type mood")]
    #[case::text("SELECT 'g(1) FROM t' -- h(2)\n", false, "")]
    #[case::insert(
        "BEGIN INSERT INTO t (a) VALUES (1); SELECT 1 INTO v; END",
        true,
        "Relation t"
    )]
    #[case::declared(
        "DECLARE m mood := 'x'; n int; r t%ROWTYPE; BEGIN RETURN m; END",
        true,
        "Relation t, Type int, Type mood"
    )]
    fn names_without_a_schema_are_found_where_they_surely_are_names(
        #[case] body: &str,
        #[case] plpgsql: bool,
        #[case] wanted: &str,
    ) {
        let found = bare(body, plpgsql);
        let found: Vec<String> = found
            .iter()
            .map(|b| format!("{:?} {}", b.used, b.name))
            .collect();
        assert_eq!(found.join(", "), wanted);
    }
}
