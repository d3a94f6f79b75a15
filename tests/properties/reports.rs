//! Reports: whatever a proof says stays text. Tables and checks may be called anything, and who can write the bucket
//! can write a proof.

use lifeboat::manifest::Proof;
use lifeboat::report::{Directory, Line, Page, Source, Standing, directory, drill};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, TagEnd};
use regex::Regex;
use serde_json::Value;

use crate::cases;

const FAILED: &str = include_str!("../../src/report/examples/failed.json");

/// Fields whose values are not free.
const TYPED: [&str; 6] = [
    "result",
    "judged",
    "startedAt",
    "finishedAt",
    "dataAt",
    "mode",
];

/// Texts in the languages that the reports are written in, and any other.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<script>alert(1)</script>".to_owned()),
        Just("</code></td></tr></table>".to_owned()),
        Just("</title></style><img src=x onerror=alert(1)>".to_owned()),
        Just("<!--".to_owned()),
        Just("]]>".to_owned()),
        Just("&lt;b&gt;".to_owned()),
        Just("&#60;b&#62;".to_owned()),
        Just("\"' onload='x' ".to_owned()),
        Just("| a | b |\n| --- | --- |\n".to_owned()),
        Just("\\|".to_owned()),
        Just("\\\\|".to_owned()),
        Just("`|`".to_owned()),
        Just("```\n".to_owned()),
        Just("\n\n# heading\n".to_owned()),
        Just("\r\n- item\r\n".to_owned()),
        Just("    code".to_owned()),
        Just("1. one".to_owned()),
        Just("---".to_owned()),
        Just("> quote".to_owned()),
        Just("**bold** _it_ ~~no~~ __x__".to_owned()),
        Just("![i](https://example.invalid/x.png)".to_owned()),
        Just("[a]: https://example.invalid".to_owned()),
        Just("<https://example.invalid>".to_owned()),
        Just("\u{202e}\u{2028}\u{2029}\u{85}\u{0}\u{feff}".to_owned()),
        "[!-/:-@\\[-`{-~ \n\r\t]{1,8}",
        "\\PC{1,8}",
        any::<char>().prop_map(|c| c.to_string()),
    ];
    proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

/// The proof with every free text in it taken from `texts`.
fn with(texts: &[String]) -> Proof {
    let mut value: Value = serde_json::from_str(FAILED).unwrap();
    replace(&mut value, &mut texts.iter().cycle());
    serde_json::from_value(value).unwrap()
}

fn replace<'a>(value: &mut Value, texts: &mut impl Iterator<Item = &'a String>) {
    match value {
        Value::String(text) => text.clone_from(texts.next().unwrap()),
        Value::Array(values) => values.iter_mut().for_each(|v| replace(v, texts)),
        Value::Object(fields) => {
            let free = fields
                .iter_mut()
                .filter(|(name, _)| !TYPED.contains(&name.as_str()));
            free.for_each(|(_, value)| replace(value, texts));
        }
        _ => {}
    }
}

fn pages(texts: &[String]) -> [Page; 2] {
    let proof = with(texts);
    let [place, key, sha256, name, sentence] =
        std::array::from_fn(|i| texts[i % texts.len()].clone());
    let source = Source {
        place: place.clone(),
        key,
        sha256,
        standing: Standing::AsDrilled,
    };
    let all = Directory {
        lines: vec![Line::of(&proof, &name, Standing::Gone)],
        name,
        place,
        damaged: vec![sentence.clone()],
        unreadable: vec![sentence],
        ..Directory::default()
    };
    [drill(&proof, &source), directory(&all)]
}

fn plain() -> [Page; 2] {
    pages(&["x".to_owned()])
}

/// Everything between `<` and `>`.
fn tags(html: &str) -> Vec<&str> {
    let tag = Regex::new("<[^>]*>").unwrap();
    tag.find_iter(html).map(|found| found.as_str()).collect()
}

/// What Markdown makes of it, without the words.
fn structure(markdown: &str) -> Vec<String> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH;
    let events = Parser::new_ext(markdown, options);
    events
        .filter(|event| !matches!(event, Event::Text(_)))
        .map(|event| match event {
            Event::Start(tag) => format!("{:?}", TagEnd::from(tag)),
            other => format!("{other:?}"),
        })
        .collect()
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn no_text_of_a_proof_becomes_a_tag_of_the_html(texts in proptest::collection::vec(text(), 1..60)) {
        for (page, plain) in pages(&texts).iter().zip(plain()) {
            let (html, plain) = (page.html(), plain.html());
            prop_assert_eq!(tags(&html), tags(&plain));
            prop_assert_eq!(html.matches('>').count(), plain.matches('>').count());
        }
    }

    #[test]
    fn no_text_of_a_proof_becomes_structure_of_the_markdown(texts in proptest::collection::vec(text(), 1..60)) {
        for (page, plain) in pages(&texts).iter().zip(plain()) {
            let (markdown, plain) = (page.markdown(), plain.markdown());
            prop_assert_eq!(structure(&markdown), structure(&plain), "{}", markdown);
            prop_assert_eq!(markdown.lines().count(), plain.lines().count());
        }
    }

    #[test]
    fn nothing_that_cannot_be_seen_stands_in_a_report(texts in proptest::collection::vec(text(), 1..60)) {
        for page in pages(&texts) {
            for text in [page.html(), page.markdown()] {
                let unseen = text.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
                prop_assert_eq!(unseen, None);
            }
        }
    }
}

#[test]
fn a_report_loads_nothing_and_runs_nothing() {
    for page in plain() {
        let html = page.html();
        for word in [
            "<script", "<link", "<img", "src=", "href=", "url(", "@import", "http:", "https:",
        ] {
            assert!(!html.contains(word), "{word}");
        }
        assert!(html.contains("default-src 'none'"));
    }
}
