//! LB201-207: what is gone, or called otherwise, afterwards.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::rule::Rule;
use crate::sql::hit::Hit;
use crate::sql::name::{Name, Object, ObjectKind, Touch, objects};
use crate::sql::tree::{Node, child, span, words};

/// Drops that LB206 speaks of. Indexes are LB102.
const OTHERS: [K; 20] = [
    K::DROP_TYPE,
    K::DROP_DOMAIN,
    K::DROP_SEQUENCE,
    K::DROP_EXTENSION,
    K::DROP_VIEW,
    K::DROP_MATERIALIZED_VIEW,
    K::DROP_FUNCTION,
    K::DROP_PROCEDURE,
    K::DROP_ROUTINE,
    K::DROP_AGGREGATE,
    K::DROP_POLICY,
    K::DROP_TRIGGER,
    K::DROP_RULE,
    K::DROP_FOREIGN_TABLE,
    K::DROP_ROLE,
    K::DROP_USER,
    K::DROP_SERVER,
    K::DROP_OPERATOR,
    K::DROP_CAST,
    K::DROP_EVENT_TRIGGER,
];

/// What the statement loses.
pub(super) fn hits(node: &Node) -> Vec<Hit> {
    let hit = |rule, message: &str| Hit::new(rule, node.span.clone(), message);
    let mut hits = Vec::new();
    let dropped = || {
        let all: Vec<Object> = objects(&node.syntax);
        all.into_iter()
            .filter(|o| matches!(o.touch, Touch::Drops | Touch::Writes))
    };
    match node.kind {
        K::DROP_TABLE => {
            hits.extend(dropped().map(|o| {
                hit(
                    Rule::Lb201,
                    &format!(
                        "{} and its rows are gone with the commit; everything on tables that its foreign keys refer to waits too",
                        o.name
                    ),
                )
                .on(Some(&o.name))
            }));
        }
        K::TRUNCATE => {
            hits.extend(dropped().map(|o| {
                hit(
                    Rule::Lb205,
                    &format!(
                        "every row of {} is gone with the commit, while everything waits",
                        o.name
                    ),
                )
                .on(Some(&o.name))
            }));
        }
        K::DROP_OWNED => hits.push(hit(
            Rule::Lb203,
            "everything that the role owns in this database goes with it",
        )),
        kind if OTHERS.contains(&kind) => {
            let what = format!("{kind:?}")
                .replace("DROP_", "")
                .replace('_', " ")
                .to_lowercase();
            let names: Vec<Object> = dropped().collect();
            let message =
                |name: &str| format!("what uses the {what} {name} fails from the commit on");
            hits.extend(names.iter().map(|o| {
                let name = plain(o);
                // The table of a trigger may be new; a type is no table.
                let table = (o.kind == ObjectKind::OfTable).then(|| of_table(&o.name));
                hit(Rule::Lb206, &message(&name))
                    .about(&name)
                    .on(table.as_ref())
            }));
            if names.is_empty() {
                hits.push(hit(Rule::Lb206, &message("named here")));
            }
        }
        K::ALTER_TABLE | K::ALTER_DOMAIN => {
            hits.extend(node.all(K::DROP_CONSTRAINT).map(|part| {
                let constraint = words(&part).into_iter().next_back().unwrap_or_default();
                let constraint = constraint.trim_matches('"').to_lowercase();
                let table = node.table.as_ref();
                let object =
                    table.map_or_else(|| constraint.clone(), |t| format!("{t}.{constraint}"));
                Hit::new(
                    Rule::Lb206,
                    span(&part),
                    "what it kept out may come in from the commit on; of a foreign key, everything on the table that it refers to waits too",
                )
                .about(object)
                .on(table)
            }));
        }
        _ => {}
    }
    hits.extend(renamed(node));
    let verb = format!("{:?}", node.kind);
    let cascade = own_cascade(node).filter(|_| {
        (verb.starts_with("DROP_") || verb.starts_with("ALTER_") || node.kind == K::TRUNCATE)
            && node.kind != K::DROP_SCHEMA
    });
    if let Some(cascade) = cascade {
        let (rule, message) = if node.kind == K::TRUNCATE {
            (
                Rule::Lb205,
                "CASCADE: tables that refer to it are emptied too",
            )
        } else {
            (
                Rule::Lb203,
                "CASCADE: everything that depends on it goes too, and which that is depends on the database",
            )
        };
        let hit = Hit::new(rule, span(&cascade), message);
        let object = objects(&node.syntax).into_iter().next();
        hits.push(object.into_iter().fold(hit, |hit, o| hit.about(o.name)));
    }
    hits
}

/// CASCADE of the statement or of one of its actions. `ON DELETE CASCADE` below them drops nothing.
fn own_cascade(node: &Node) -> Option<SyntaxNode> {
    node.all(K::CASCADE).find(|cascade| {
        let above = cascade.parent().map(|p| p.kind());
        above.is_some_and(|above| {
            above == node.kind
                || matches!(
                    above,
                    K::DROP_COLUMN | K::DROP_CONSTRAINT | K::DROP_ATTRIBUTE
                )
        })
    })
}

/// LB207: a name that queries of the running application hold. Indexes, constraints, triggers and policies are no such names.
fn renamed(node: &Node) -> Option<Hit> {
    let part = node.syntax.children().find(|n| {
        matches!(
            n.kind(),
            K::TABLE_RENAME_TO
                | K::VIEW_RENAME_TO
                | K::RENAME_COLUMN
                | K::SEQUENCE_RENAME_TO
                | K::TYPE_RENAME_TO
                | K::DOMAIN_RENAME_TO
                | K::FUNCTION_RENAME_TO
                | K::PROCEDURE_RENAME_TO
                | K::ROUTINE_RENAME_TO
                | K::SCHEMA_RENAME_TO
                | K::RENAME_VALUE
                | K::RENAME_ATTRIBUTE
                | K::SET_SCHEMA
        )
    })?;
    let named = objects(&node.syntax);
    let object = named.into_iter().find(|o| o.touch == Touch::Alters);
    let name = object.map(|o| o.name).or_else(|| node.table.clone());
    let column = match part.kind() {
        K::RENAME_COLUMN => child(&part, K::COLUMN_NAME_REF).and_then(|n| Name::of_node(&n)),
        _ => None,
    };
    let about = match (&name, &column) {
        (Some(name), Some(column)) => format!("{name}.{column}"),
        (Some(name), None) => name.to_string(),
        (None, _) => String::new(),
    };
    let fix = match part.kind() {
        K::RENAME_COLUMN => {
            "add a column of the new name, write both, let the application move, then drop the old one; or rename and put a view of the old name in the same transaction"
        }
        K::RENAME_VALUE => "ADD VALUE, let the application write the new one, then change the rows",
        K::TABLE_RENAME_TO | K::VIEW_RENAME_TO | K::SET_SCHEMA => {
            "put a view of the old name in its place in the same transaction, let the application move, then drop the view"
        }
        _ => "make the new one beside it, let the application move, then drop the old one",
    };
    let message =
        format!("queries of the running application that name {about} fail from the commit on");
    let hit = Hit::new(Rule::Lb207, span(&part), &message)
        .about(&about)
        .fix(fix);
    Some(hit.on(node.table.as_ref().or(name.as_ref())))
}

/// As people name it. `orders.audit` is two names.
pub(super) fn plain(object: &Object) -> String {
    let name = object.name.to_string();
    if object.kind == ObjectKind::OfTable {
        name.replace('"', "")
    } else {
        name
    }
}

/// The table of `orders.audit`, the name of a trigger.
fn of_table(name: &Name) -> Name {
    let (table, _) = name.name.rsplit_once('.').unwrap_or((&name.name, ""));
    Name::new(name.schema.as_deref(), table)
}
