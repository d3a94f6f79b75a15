//! Expressions that the server prints in another way once it has read them back. Each rule here rewrites an expression into
//! one that PostgreSQL's parser reads as the same tree; literals are never looked into. Pure.

use std::borrow::Cow;

use super::words::{Word, find, join, split};

/// Every rule, from the innermost brackets outwards.
pub(super) fn alike(words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    let mut inner = Vec::with_capacity(words.len());
    for word in words {
        match word {
            Word::Group(kind, inside) => match casts(alike(inside)) {
                // What a cast became may be the whole group: `((ARRAY[…])::text[])` is read as `(ARRAY[…])`.
                inside if kind == b'(' => match negative(&inside) {
                    Some(constant) => inner.extend(constant),
                    None => inner.push(Word::Group(kind, flat(inside))),
                },
                inside => inner.push(Word::Group(kind, inside)),
            },
            word => inner.push(word),
        }
    }
    unnamed(casts(inner))
}

/// A minus before a bare number is part of the constant for the parser, of the type that its value has: `(- 1)` is
/// `'-1'::integer`.
fn negative<'a>(words: &[Word<'_>]) -> Option<[Word<'a>; 3]> {
    let (minus, number) = words.split_first()?;
    // `1.5` is three words.
    if !minus.is("-") || ![1, 3].contains(&number.len()) {
        return None;
    }
    let number: Option<Vec<&[u8]>> = number.iter().map(Word::text).collect();
    let number = String::from_utf8(number?.concat()).ok()?;
    let digits = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !digits || !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let text = format!("-{number}");
    let of = match text.parse::<i64>() {
        Ok(value) if i32::try_from(value).is_ok() => "integer",
        Ok(_) => "bigint",
        Err(_) => "numeric",
    };
    let literal = Word::One(Cow::Owned(format!("'{text}'").into_bytes()));
    Some([literal, Word::one("::"), Word::one(of)])
}

/// `((a AND b) AND c)` is `(a AND b AND c)`: the parser makes one list of both, and BETWEEN and comparisons of rows begin
/// as two. The same for OR.
fn flat(words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    let Some(connective) = connective(&words) else {
        return words;
    };
    let operands = split(&words, connective).into_iter();
    let operands = operands.flat_map(|operand| match operand {
        [Word::Group(b'(', inside)] if self::connective(inside) == Some(connective) => {
            split(inside, connective)
        }
        operand => vec![operand],
    });
    join(operands.map(<[Word<'_>]>::to_vec).collect(), connective)
}

/// AND or OR, if the words are nothing but operands of that one.
fn connective(words: &[Word<'_>]) -> Option<&'static str> {
    let has = |text: &str| words.iter().any(|word| word.is(text));
    if has(",") || has("BETWEEN") || has("SELECT") {
        return None;
    }
    match (has("AND"), has("OR")) {
        (true, false) => Some("AND"),
        (false, true) => Some("OR"),
        _ => None,
    }
}

/// The parser moves the cast of an array to its elements: `(ARRAY[a, b])::t[]` is `ARRAY[(a)::t, (b)::t]`, and
/// `ARRAY[a, b]::t[]` is `ARRAY[a::t, b::t]`.
fn casts(words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    let mut out: Vec<Word<'_>> = Vec::with_capacity(words.len());
    let mut rest = words.as_slice();
    while let Some((word, after)) = rest.split_first() {
        match array(rest) {
            Some((elements, in_brackets, tail)) => match array_type(tail) {
                Some((to, tail)) => {
                    let cast = elements.into_iter().map(|element| {
                        let mut words = match in_brackets {
                            true => vec![Word::Group(b'(', element.to_vec())],
                            false => element.to_vec(),
                        };
                        words.push(Word::one("::"));
                        words.extend(to.iter().cloned());
                        words
                    });
                    out.push(Word::one("ARRAY"));
                    out.push(Word::Group(b'[', join(cast.collect(), ",")));
                    rest = tail;
                    continue;
                }
                None => out.push(word.clone()),
            },
            None => out.push(word.clone()),
        }
        rest = after;
    }
    out
}

type Array<'w, 'a> = (Vec<&'w [Word<'a>]>, bool, &'w [Word<'a>]);

/// `ARRAY[…]` or `(ARRAY[…])`: its elements, whether it stands in brackets, and what follows.
fn array<'w, 'a>(words: &'w [Word<'a>]) -> Option<Array<'w, 'a>> {
    let (first, rest) = words.split_first()?;
    if let Some([word, Word::Group(b'[', elements)]) = first.group(b'(') {
        let whole = word.is("ARRAY") && !elements.is_empty();
        return whole.then(|| (split(elements, ","), true, rest));
    }
    let (second, rest) = rest.split_first()?;
    let elements = second.group(b'[')?;
    let whole = first.is("ARRAY") && !elements.is_empty();
    whole.then(|| (split(elements, ","), false, rest))
}

/// `::text[]`: the type of an element, and what follows.
fn array_type<'w, 'a>(words: &'w [Word<'a>]) -> Option<(&'w [Word<'a>], &'w [Word<'a>])> {
    let (colons, rest) = words.split_first()?;
    let length = type_length(rest)?;
    let (of, rest) = rest.split_at_checked(length)?;
    let (brackets, rest) = rest.split_first()?;
    let empty = brackets.group(b'[').is_some_and(<[Word<'_>]>::is_empty);
    (colons.is("::") && empty).then_some((of, rest))
}

/// Words of a type's name as the server prints it, without the brackets of an array.
fn type_length(words: &[Word<'_>]) -> Option<usize> {
    /// What may follow the first word.
    const LONGER: [&[&str]; 6] = [
        &["with", "time", "zone"],
        &["without", "time", "zone"],
        &["precision"],
        &["varying"],
        &["to", "second"],
        &["."],
    ];
    words.first()?.name()?;
    let mut length = 1;
    loop {
        let rest = words.get(length..)?;
        let longer = LONGER.iter().find(|more| find(rest, more) == Some(0));
        length += match (longer, rest.first()) {
            // The name behind a schema.
            (Some(&["."]), _) => 2,
            (Some(more), _) => more.len(),
            // `numeric(5,2)`
            (None, Some(Word::Group(b'(', _))) => 1,
            (None, _) => return Some(length),
        };
    }
}

/// A constant that nobody named has, once it was read back, the name of its type, because the server prints it with a cast:
/// `SELECT 'x'::text` is `SELECT 'x'::text AS text`.
fn unnamed(words: Vec<Word<'_>>) -> Vec<Word<'_>> {
    let mut out: Vec<Word<'_>> = Vec::with_capacity(words.len());
    let mut rest = words.as_slice();
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let begins = match out.as_slice() {
            [] => true,
            // DISTINCT ON (…)
            [.., on, Word::Group(..)] => on.is("ON"),
            [.., before] => ["SELECT", "DISTINCT", "ALL", ","]
                .iter()
                .any(|w| before.is(w)),
        };
        out.push(word.clone());
        if !begins || !(word.is_literal() || word.is("NULL")) {
            continue;
        }
        let Some((length, name)) = named_by_cast(after) else {
            continue;
        };
        let (cast, tail) = after.split_at_checked(length).unwrap_or((after, &[]));
        if let [first, alias, ..] = tail
            && first.is("AS")
            && alias.name().as_deref() == Some(name.as_slice())
        {
            out.extend_from_slice(cast);
            rest = tail.get(2..).unwrap_or_default();
        }
    }
    out
}

/// Words of a cast, and the name that the parser gives to what is cast: the last part of the type's own.
fn named_by_cast(words: &[Word<'_>]) -> Option<(usize, Vec<u8>)> {
    let (colons, of) = words.split_first()?;
    if !colons.is("::") {
        return None;
    }
    let mut length = type_length(of)?;
    let name = catalogue_name(of.get(..length)?)?;
    while of
        .get(length)
        .is_some_and(|word| word.group(b'[').is_some())
    {
        length += 1;
    }
    Some((length + 1, name))
}

/// `timestamp with time zone` → `timestamptz`
fn catalogue_name(words: &[Word<'_>]) -> Option<Vec<u8>> {
    if let Some(dot) = words.iter().rposition(|word| word.is(".")) {
        return words.get(dot + 1)?.name();
    }
    let first = words.first()?;
    let has = |text: &str| words.iter().any(|word| word.is(text));
    let own = match first.text()? {
        b"character" if has("varying") => "varchar",
        b"character" => "bpchar",
        b"bit" if has("varying") => "varbit",
        b"timestamp" if has("with") => "timestamptz",
        b"time" if has("with") => "timetz",
        b"integer" => "int4",
        b"bigint" => "int8",
        b"smallint" => "int2",
        b"double" => "float8",
        b"real" => "float4",
        b"boolean" => "bool",
        _ => return first.name(),
    };
    Some(own.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::words::{print, read};
    use super::*;

    fn both(one: &str, other: &str) -> (String, String) {
        let of =
            |text: &str| String::from_utf8(print(&alike(read(text.as_bytes()).unwrap()))).unwrap();
        (of(one), of(other))
    }

    // What PostgreSQL 15 and 17 print of the original, and of what was read back.
    #[rstest]
    #[case(
        "CHECK ((((i >= 1) AND (i <= 2)) AND (s > 0)))",
        "CHECK (((i >= 1) AND (i <= 2) AND (s > 0)))"
    )]
    #[case(
        "CHECK ((((i < 4) OR (i > 5)) OR (s < 1)))",
        "CHECK (((i < 4) OR (i > 5) OR (s < 1)))"
    )]
    #[case(
        "(((a >= 1) AND (a <= 3)) AND ((s >= 1) AND (s <= 2)))",
        "((a >= 1) AND (a <= 3) AND ((s >= 1) AND (s <= 2)))"
    )]
    #[case(
        "(SELECT '2021-01-01'::date) t",
        "(SELECT '2021-01-01'::date AS date) t"
    )]
    #[case(
        "SELECT 'a'::character varying, '1'::\"bit\", NULL::text, '-1'::integer FROM t",
        "SELECT 'a'::character varying AS \"varchar\", '1'::\"bit\" AS \"bit\", NULL::text AS text, '-1'::integer AS int4 FROM t"
    )]
    #[case(
        "SELECT 't'::timestamp with time zone, '{1}'::integer[], 'x'::s.\"My t\"",
        "SELECT 't'::timestamp with time zone AS timestamptz, '{1}'::integer[] AS int4, 'x'::s.\"My t\" AS \"My t\""
    )]
    #[case(
        "((s)::text = ANY ((ARRAY['a'::character varying, 'b, ]'::character varying])::text[]))",
        "((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b, ]'::character varying)::text]))"
    )]
    #[case("ANY (ARRAY['a', 'b']::text[])", "ANY (ARRAY['a'::text, 'b'::text])")]
    #[case(
        "CHECK ((a > (- 1))), COALESCE(a, (- 1.5)) AS c, (- 3000000000)",
        "CHECK ((a > '-1'::integer)), COALESCE(a, '-1.5'::numeric) AS c, '-3000000000'::bigint"
    )]
    #[case("(- 2147483648)", "'-2147483648'::integer")]
    fn g23_two_ways_to_print_one_expression_are_alike(#[case] one: &str, #[case] other: &str) {
        let (one, other) = both(one, other);
        assert_eq!(one, other);
    }

    #[rstest]
    #[case("((a AND b) OR c)", "(a AND b OR c)")]
    #[case("((a OR b) AND c)", "(a OR b OR c)")]
    #[case("(a AND (b OR c))", "((a AND b) OR c)")]
    #[case("SELECT 'x'::text AS t", "SELECT 'x'::text")]
    #[case("SELECT 'x'::text AS text", "SELECT 'x::text AS text'")]
    #[case("SELECT a::text AS text", "SELECT a::text")]
    #[case("f('x::text AS text')", "f('x::text')")]
    #[case("(- 1)", "'-1'::bigint")]
    #[case("(- a)", "'-a'::integer")]
    #[case("(- 1 - 5)", "'-1-5'::integer")]
    #[case("(a - 1)", "a '-1'::integer")]
    #[case("(- '1'::smallint)", "'-1'::smallint")]
    #[case("(ARRAY['a'])::text[]", "(ARRAY['b'])::text[]")]
    #[case("(ARRAY['a'::text])::int[]", "ARRAY['a'::text]")]
    #[case(
        "(x BETWEEN SYMMETRIC 1 AND (2 AND b))",
        "(x BETWEEN SYMMETRIC 1 AND 2 AND b)"
    )]
    fn g23_what_means_something_else_stays_unlike(#[case] one: &str, #[case] other: &str) {
        let (one, other) = both(one, other);
        assert_ne!(one, other);
    }
}
