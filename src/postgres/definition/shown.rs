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
    // USER MAPPING as well: nothing of it is shown.
    if expected.desc == "USER MAPPING" {
        return (digest(&one), digest(&other));
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
    (part(&was), part(&is))
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
    let literal = word.ends_with(b"'") || word.starts_with(b"$") && word.len() > 1;
    if secret && literal {
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
        assert!(!shown(&mapping, &server("x")).0.contains("OPTIONS"));
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
