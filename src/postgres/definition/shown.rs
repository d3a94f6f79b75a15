//! How two definitions differ, for people: the words that do, with a few around them. Pure.

use super::hex;
use super::words::{Word, print, read};
use crate::manifest::SchemaEntry;

/// Words that are shown before and after those that differ.
const AROUND: usize = 5;
/// Most bytes of a text that is shown.
const MOST: usize = 400;
/// Whose literals may be passwords, tokens or addresses: a proof is not encrypted.
const MAY_HOLD_SECRETS: [&str; 10] = [
    "DATABASE",
    "DATABASE PROPERTIES",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "PROCEDURE",
    "SERVER",
    "SUBSCRIPTION",
    "TRIGGER",
];

/// What differs between two definitions of one object.
#[must_use]
pub fn shown(expected: &SchemaEntry, found: &SchemaEntry) -> (String, String) {
    let (one, other) = (expected.definition.to_bytes(), found.definition.to_bytes());
    let (Some(was), Some(is)) = (flat(&one), flat(&other)) else {
        return (digest(&one), digest(&other));
    };
    if expected.desc == "USER MAPPING" {
        let why = "nothing of it is shown because it may hold a password";
        return (digest(&one), format!("{} ({why})", digest(&other)));
    }
    if was == is {
        let method = |entry: &SchemaEntry| {
            let method = entry.access_method.as_deref().unwrap_or("none");
            format!("access method {method}")
        };
        return match expected.access_method == found.access_method {
            true => (digest(&one), digest(&other)),
            false => (method(expected), method(found)),
        };
    }
    let same = was.iter().zip(&is).take_while(|(a, b)| a == b).count();
    let (was_tail, is_tail) = (
        was.get(same..).unwrap_or_default(),
        is.get(same..).unwrap_or_default(),
    );
    let ends = was_tail.iter().rev().zip(is_tail.iter().rev());
    let after = ends.take_while(|(a, b)| a == b).count();
    let secret = MAY_HOLD_SECRETS.contains(&expected.desc.as_str());
    let part = |words: &[Vec<u8>]| {
        let from = same.saturating_sub(AROUND);
        let to = words
            .len()
            .saturating_sub(after)
            .saturating_add(AROUND)
            .min(words.len());
        let all = words.get(from..to).unwrap_or_default();
        let all: Vec<String> = all.iter().map(|word| text(word, secret)).collect();
        let (begins, ends) = (
            if from > 0 { "… " } else { "" },
            if to < words.len() { " …" } else { "" },
        );
        cut(&format!("{begins}{}{ends}", all.join(" ")))
    };
    let (left, right) = (part(&was), part(&is));
    match hidden(&was, &is).filter(|_| secret) {
        Some(what) => {
            let why =
                format!("they differ in {what}, which is not shown because it may hold a secret");
            (left, format!("{right} ({why})"))
        }
        // What differs was cut out of both.
        None if left == right => (
            format!("{left} {}", digest(&one)),
            format!("{right} {}", digest(&other)),
        ),
        None => (left, right),
    }
}

/// What it is, if nothing but literals or bodies differs.
fn hidden(was: &[Vec<u8>], is: &[Vec<u8>]) -> Option<&'static str> {
    let mut differing = was.iter().zip(is).filter(|(a, b)| a != b).peekable();
    let (first, _) = differing.peek()?;
    let what = match first.starts_with(b"$") {
        true => "the body",
        false => "a literal",
    };
    let all = was.len() == is.len() && differing.all(|(a, b)| is_literal(a) && is_literal(b));
    all.then_some(what)
}

/// In single quotes, or between dollars as bodies of functions are.
fn is_literal(word: &[u8]) -> bool {
    word.ends_with(b"'") || word.starts_with(b"$") && word.len() > 1
}

/// All words in one row, brackets among them.
fn flat(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    fn add(words: &[Word<'_>], out: &mut Vec<Vec<u8>>) {
        for word in words {
            match word {
                Word::One(word) => out.push(word.to_vec()),
                Word::Group(kind, inside) => {
                    out.push(vec![*kind]);
                    add(inside, out);
                    out.push(vec![if *kind == b'(' { b')' } else { b']' }]);
                }
            }
        }
    }
    let mut out = Vec::new();
    add(&read(text)?, &mut out);
    Some(out)
}

fn text(word: &[u8], secret: bool) -> String {
    if secret && is_literal(word) {
        return digest(word);
    }
    cut(&String::from_utf8_lossy(&print(&[Word::One(word.into())])))
}

fn digest(bytes: &[u8]) -> String {
    let print = hex(bytes);
    format!(
        "<{} bytes, {}>",
        bytes.len(),
        print.get(..12).unwrap_or(&print)
    )
}

fn cut(text: &str) -> String {
    if text.len() <= MOST {
        return text.to_owned();
    }
    let half = MOST / 2;
    let head = text
        .char_indices()
        .take_while(|(at, _)| *at < half)
        .map(|(_, c)| c);
    let tail = text
        .char_indices()
        .filter(|(at, _)| *at > text.len() - half)
        .map(|(_, c)| c);
    format!(
        "{} … {}",
        head.collect::<String>(),
        tail.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Name;

    fn entry(desc: &str, definition: &str) -> SchemaEntry {
        let name = |text: &str| Name::Text(text.to_owned());
        SchemaEntry {
            desc: desc.to_owned(),
            namespace: name("s"),
            tag: name("o"),
            owner: name("a"),
            definition: name(definition),
            access_method: None,
            tablespace: None,
        }
    }

    #[test]
    fn what_differs_is_shown_with_a_few_words_around_it() {
        let view = |column: &str| {
            entry(
                "VIEW",
                &format!("CREATE VIEW s.o AS SELECT a, b, c, {column}, d, e, f, g, h FROM t;"),
            )
        };
        let (was, is) = shown(&view("x"), &view("y"));
        assert_eq!(was, "… , b , c , x , d , e , …");
        assert_eq!(is, "… , b , c , y , d , e , …");
    }

    #[test]
    fn a_literal_that_may_be_a_secret_is_not_shown() {
        let server = |host: &str| {
            entry(
                "SERVER",
                &format!("CREATE SERVER o FOREIGN DATA WRAPPER w OPTIONS (token '{host}');"),
            )
        };
        let (was, is) = shown(&server("hush"), &server("hush now"));
        assert!(!was.contains("hush") && !is.contains("hush"), "{was} {is}");
        assert_ne!(was, is);
        let mapping = entry(
            "USER MAPPING",
            "CREATE USER MAPPING FOR a SERVER o OPTIONS (user a);",
        );
        let (was, is) = shown(&mapping, &server("x"));
        assert!(!was.contains("OPTIONS"));
        assert!(is.ends_with("(nothing of it is shown because it may hold a password)"));
    }

    #[test]
    fn a_difference_that_is_not_shown_is_told_in_words() {
        let f = |set: &str, body: &str| {
            let head = "CREATE FUNCTION s.o() RETURNS int LANGUAGE sql";
            entry(
                "FUNCTION",
                &format!("{head} SET x TO {set} AS $$ {body} $$;"),
            )
        };
        let told = |one: &SchemaEntry, other: &SchemaEntry| {
            let (was, is) = shown(one, other);
            assert!(!was.contains("hush") && !is.contains("hush"), "{was} {is}");
            let was = format!("{was} (");
            assert_ne!(
                is.split_inclusive(" (").next(),
                Some(was.as_str()),
                "{was} {is}"
            );
            is
        };
        let literal = told(&f("'a'", "hush"), &f("'b'", "hush"));
        let words = "(they differ in a literal, which is not shown because it may hold a secret)";
        assert!(literal.ends_with(words), "{literal}");
        let body = told(&f("'a'", "hush"), &f("'a'", "hush 2"));
        let words = "(they differ in the body, which is not shown because it may hold a secret)";
        assert!(body.ends_with(words), "{body}");
        // What can be seen needs no words.
        let seen = told(&f("'a'", "hush"), &f("off", "hush"));
        assert!(!seen.contains("they differ"), "{seen}");
        let view = |word: &str| entry("VIEW", &format!("CREATE VIEW s.o AS SELECT '{word}' AS a;"));
        let (was, is) = shown(&view("x"), &view("y"));
        assert!(was.contains("'x'") && is.contains("'y' AS a"), "{was} {is}");
    }

    #[test]
    fn what_differs_in_the_middle_of_a_long_text_is_told_apart() {
        let view = |middle: &str| {
            let long = "l".repeat(MOST);
            entry(
                "VIEW",
                &format!("CREATE VIEW s.o AS SELECT '{long}{middle}{long}' AS a;"),
            )
        };
        let (was, is) = shown(&view("x"), &view("y"));
        assert_ne!(was, is);
        assert!(
            was.contains(" bytes, ") && is.contains(" bytes, "),
            "{was} {is}"
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let (was, is) = (
            entry("VIEW", &"a ".repeat(3_000)),
            entry("VIEW", &"b ".repeat(3_000)),
        );
        let (was, is) = shown(&was, &is);
        assert!(was.len() < MOST + 10 && is.len() < MOST + 10);
    }
}
