//! The table of locks, as real servers filled it, against what the lint says of its very statements.

use std::collections::BTreeMap;

use lifeboat::sql::lint::lint;
use lifeboat::sql::{Context, File, Level};

const FORMS: &str = include_str!("../../dev/lint/forms.txt");
const MEASURED: &str = include_str!("../../src/sql/locks.tsv");

/// Forms of which the text alone does not tell what they cost: what stood before, or the catalogue, decides. The lint takes the worse.
const DEPENDS: [&str; 9] = [
    // That there is a foreign key on the column is the catalogue's.
    "drop-column-references",
    "column-type-references",
    // On a table that is no parent ONLY means nothing: a warning.
    "create-index-only",
    "attach-partition-proven",
    "column-type-same",
    "create-table-partition-alone",
    "set-expression-virtual",
    "set-not-null-proven",
    // The domain's constraints are the catalogue's.
    "add-column-domain",
];
/// What costs something and is told otherwise: rows are meant to go (LB205), the statement is refused (LB105), or writes to a
/// materialized view wait, of which there are none.
const OTHERWISE: [&str; 7] = [
    "truncate",
    "truncate-cascade",
    "vacuum-full",
    "alter-sequence",
    "refresh-concurrently",
    "parent-add-column",
    "parent-add-check",
];
/// Rules about locks.
const RULES: [&str; 9] = [
    "LB101", "LB103", "LB107", "LB109", "LB111", "LB112", "LB113", "LB114", "LB119",
];
/// Relations of `dev/lint/base.sql`, by the part that they play.
const PARTS: [(&str, &str); 9] = [
    ("table", "t"),
    ("table", "h"),
    ("table", "e"),
    ("referenced", "u"),
    ("parent", "p"),
    ("parent", "o"),
    ("attached", "n"),
    ("view", "m"),
    ("view", "v"),
];
const STRONG: [&str; 4] = [
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
];

struct Row {
    majors: (u16, u16),
    locks: BTreeMap<&'static str, &'static str>,
    touched: Vec<&'static str>,
}

fn list(field: &'static str) -> impl Iterator<Item = &'static str> {
    field.split(", ").filter(|p| !p.is_empty())
}

fn rows() -> Vec<(&'static str, Row)> {
    let lines = MEASURED.lines().skip(1);
    let rows = lines.map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let (first, last) = fields[1].split_once('-').unwrap_or((fields[1], fields[1]));
        let row = Row {
            majors: (first.parse().unwrap(), last.parse().unwrap()),
            locks: list(fields[2])
                .map(|l| l.split_once('=').unwrap())
                .collect(),
            touched: list(fields[3]).chain(list(fields[4])).collect(),
        };
        (fields[0], row)
    });
    rows.collect()
}

fn examples() -> BTreeMap<&'static str, Vec<&'static str>> {
    let blocks = FORMS.split("\n=== ").skip(1);
    let blocks = blocks.map(|block| {
        let mut lines = block.lines();
        let key = lines.next().unwrap().split(' ').next().unwrap();
        let statements = lines.filter(|l| !l.is_empty() && !l.starts_with("--"));
        (key, statements.collect())
    });
    blocks.collect()
}

#[test]
fn what_servers_were_seen_to_do_is_what_the_lint_says() {
    let examples = examples();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (key, row) in rows() {
        let costs = row.touched.iter().any(|part| {
            let lock = row.locks.get(part);
            lock.is_some_and(|mode| STRONG.contains(mode))
        });
        for statement in &examples[key] {
            let file = File::read("1_a.sql", statement.as_bytes());
            assert!(!file.text.is_empty());
            for major in [row.majors.0, row.majors.1] {
                let context = Context {
                    server_major: Some(major),
                    ..Context::default()
                };
                let report = lint(std::slice::from_ref(&file), &context, &[]);
                let told = report
                    .findings
                    .iter()
                    .any(|f| RULES.contains(&f.rule.id()) && f.level >= Level::Warn);
                compared += 1;
                let excepted = DEPENDS.contains(&key) || OTHERWISE.contains(&key);
                if told != costs && !excepted {
                    wrong.push(format!(
                        "{major} {key}: {statement}: told {told}, costs {costs}"
                    ));
                }
            }
            // `alone` asks on one relation only, and is no part of a transaction.
            let locks = &file.statements[0].locks;
            for (part, relation) in PARTS {
                let named = statement.split([' ', ',', '(']).any(|w| w == relation);
                let Some(mode) = row.locks.get(part).filter(|m| named && STRONG.contains(m)) else {
                    continue;
                };
                let found = locks.iter().find(|l| l.name.name == relation);
                let found = found.map(|l| l.mode.to_string());
                if found.as_deref() != Some(*mode) && !statement.starts_with("VACUUM") {
                    wrong.push(format!(
                        "{key}: {statement}: {relation} is {found:?}, not {mode}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 250, "only {compared}");
}

#[test]
fn the_page_shows_every_row_of_the_table() {
    let page = include_str!("../../docs/lint/locks.md");
    let shown: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
    let examples = examples();
    let rows = rows();
    assert_eq!(shown.len(), rows.len());
    for ((key, row), line) in rows.iter().zip(shown) {
        assert!(line.contains(examples[key][0]), "{line} is not {key}");
        for (part, mode) in &row.locks {
            assert!(line.contains(&format!("{part}: {mode}")), "{line}");
        }
    }
    let measured: Vec<&str> = rows.iter().map(|(key, _)| *key).collect();
    let missing: Vec<_> = examples.keys().filter(|k| !measured.contains(k)).collect();
    assert!(
        missing.is_empty(),
        "not measured: {missing:?}; make lint-table"
    );
}
