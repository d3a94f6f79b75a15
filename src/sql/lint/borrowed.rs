//! Rules that the linter's crate has: it says where, we say what, how bad, and what to do instead.

use squawk_linter::{Linter, Rule as Theirs, Violation};
use squawk_syntax::{Parse, SourceFile, SyntaxKind as K, SyntaxNode};

use super::rule::{Level, Rule};
use crate::sql::hit::Hit;
use crate::sql::name::{Name, objects, unquoted};
use crate::sql::tree::{Node, child};

/// Theirs and ours. What is not here is theirs alone, or written in the files beside this one.
const MAP: [(Theirs, Rule); 9] = [
    (Theirs::RequireConcurrentIndexCreation, Rule::Lb101),
    (Theirs::RequireConcurrentIndexDeletion, Rule::Lb102),
    (Theirs::RequireConcurrentPartitionDetach, Rule::Lb104),
    (Theirs::BanDropColumn, Rule::Lb202),
    (Theirs::BanDropSchema, Rule::Lb203),
    (Theirs::BanDropDatabase, Rule::Lb204),
    (Theirs::BanAlterSystemOptions, Rule::Lb401),
    (Theirs::BanAlterDatabaseOptions, Rule::Lb401),
    (Theirs::BanAlterRowLevelSecurity, Rule::Lb405),
];

/// What their rules find.
pub(crate) fn hits(parse: &Parse<SourceFile>, text: &str, nodes: &[Node]) -> Vec<Hit> {
    let mut linter = Linter::from(MAP.iter().map(|(theirs, _)| *theirs));
    let found = linter.lint(parse, text);
    found
        .iter()
        .filter_map(|violation| ours(violation, nodes))
        .collect()
}

fn ours(violation: &Violation, nodes: &[Node]) -> Option<Hit> {
    let (_, rule) = MAP.iter().find(|(theirs, _)| *theirs == violation.code)?;
    let start = usize::from(violation.text_range.start());
    let end = usize::from(violation.text_range.end());
    let after = nodes.partition_point(|n| n.span.start <= start);
    let node = nodes.get(after.checked_sub(1)?)?;
    let found = node.syntax.descendants().find(|n| {
        // Their range leaves out what stands before the first token.
        let ends = usize::from(n.text_range().end()) == end;
        ends && crate::sql::tree::span(n).start == start
    });
    let part = found.unwrap_or_else(|| node.syntax.clone());
    let span = start..end.min(node.span.end);
    told(*rule, node, &part).map(|hit| Hit { span, ..hit })
}

fn told(rule: Rule, node: &Node, part: &SyntaxNode) -> Option<Hit> {
    let table = node.table.as_ref();
    let name = table.map_or_else(|| "the table".to_owned(), ToString::to_string);
    let new = |message: &str| Hit::new(rule, 0..0, message);
    Some(match rule {
        Rule::Lb101 => return Some(index(node, &name)),
        Rule::Lb102 => {
            new("dropping an index waits for every reader of its table, and makes new ones wait")
                .about(first(node))
        }
        Rule::Lb104 => new(&format!(
            "everything on {name} waits while the partition is taken out"
        ))
        .on(table),
        Rule::Lb202 => new("its data are gone with the commit, and queries that name it fail; if a foreign key is on it, everything on the other table waits too")
            .about(column(node, part))
            .on(table),
        Rule::Lb203 => {
            new("everything in the schema goes with it").about(after(&node.words, "SCHEMA"))
        }
        Rule::Lb204 => new("all of it is gone").refused(),
        Rule::Lb401 => {
            new("it outlives the migration, and whoever operates the server does not see it")
        }
        Rule::Lb405 => {
            if matches!(part.kind(), K::ENABLE_RLS | K::FORCE_RLS) {
                return None;
            }
            new(&format!(
                "policies of {name} no longer hold for those whom they held back"
            ))
            .about(&name)
        }
        _ => return None,
    })
}

/// The first object that the statement names.
pub(super) fn first(node: &Node) -> String {
    let all = objects(&node.syntax);
    all.first().map(|o| o.name.to_string()).unwrap_or_default()
}

/// The word after another one, for objects that have no typed name.
fn after(words: &[String], word: &str) -> String {
    let rest = words.iter().skip_while(|w| *w != word).skip(1);
    let mut rest = rest.filter(|w| !["IF", "EXISTS"].contains(&w.as_str()));
    rest.next().map(|w| unquoted(w)).unwrap_or_default()
}

/// `table.column` of the action in which the part stands.
pub(super) fn column(node: &Node, part: &SyntaxNode) -> String {
    let named = |n: &SyntaxNode| child(n, K::COLUMN_NAME_REF).or_else(|| child(n, K::COLUMN_NAME));
    let column = part.ancestors().find_map(|n| named(&n));
    let column = column.and_then(|n| Name::of_node(&n));
    match (&node.table, column) {
        (Some(table), Some(column)) => format!("{table}.{column}"),
        (Some(table), None) => table.to_string(),
        (None, column) => column.map(|c| c.to_string()).unwrap_or_default(),
    }
}

fn index(node: &Node, name: &str) -> Hit {
    let hit = Hit::new(
        Rule::Lb101,
        0..0,
        &format!("writes to {name} wait until the index is built"),
    )
    .on(node.table.as_ref());
    // ONLY means a partitioned parent, whose own index is made in no time; on a plain table it means nothing.
    if node.has(K::TABLE_RELATION_NAME) && node.says(&["ON", "ONLY"]) {
        hit.level(Level::Warn)
            .fix("on a partitioned table this is the way: then CREATE INDEX CONCURRENTLY on each partition, and ALTER INDEX … ATTACH PARTITION")
    } else {
        hit
    }
}
