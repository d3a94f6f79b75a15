//! LB107-119: what is read or written again while others wait. Which forms do that is measured (`locks.tsv`); here is what to say of each.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::borrowed::column;
use super::known::Unless;
use super::rule::Rule;
use crate::sql::class::{self, Class, actions};
use crate::sql::form::{Form, forms};
use crate::sql::hit::Hit;
use crate::sql::name::Name;
use crate::sql::tree::{Node, child, parts};
use crate::sql::value;

/// What a statement costs those who use its tables.
pub(super) fn hits(node: &Node) -> Vec<Hit> {
    // What is refused in a transaction is told so, and not run.
    if matches!(class::of(node), Class::Refused(_)) {
        return Vec::new();
    }
    let forms = forms(node);
    let mut hits: Vec<Hit> = forms.iter().filter_map(|f| hit(node, f)).collect();
    hits.extend(forms.iter().filter_map(attached));
    hits.extend(required(node));
    hits
}

fn hit(node: &Node, form: &Form) -> Option<Hit> {
    let part = |part: &str| {
        let mut parts = form.parts.iter();
        parts.find(|(p, _)| *p == part).map(|(_, n)| n)
    };
    let subject = ["table", "parent", "view", "domain"]
        .iter()
        .find_map(|p| part(p));
    let name = subject.map_or_else(|| "the table".to_owned(), ToString::to_string);
    let about = || match (subject, &form.column) {
        (Some(table), Some(column)) => format!("{table}.{column}"),
        _ => name.clone(),
    };
    let hit = |rule, message: &str| {
        let hit = Hit::new(rule, form.span.clone(), message);
        Hit {
            form: Some(form.key),
            ..hit
        }
    };
    Some(match form.key {
        "add-check" | "add-not-null" | "add-column-check" | "add-column-virtual-check" => {
            let hit = hit(Rule::Lb107, &format!("every row of {name} is checked while everything waits"));
            match form.key {
                "add-column-check" => hit.fix("add the column without it, then ADD CONSTRAINT … CHECK … NOT VALID, then VALIDATE CONSTRAINT as a statement of its own"),
                "add-column-virtual-check" => hit.fix("add the column without it; a CHECK on what it is computed from, NOT VALID, then VALIDATE CONSTRAINT as a statement of its own"),
                _ => hit,
            }
            .on(subject)
        }
        "add-foreign-key" | "add-column-references-default" | "constraint-enforced" => {
            let message = match part("referenced") {
                Some(to) => format!("every row of {name} is looked up in {to} while writes to both wait"),
                None => format!("every row of {name} is checked while writes to it wait, and to the table that it refers to"),
            };
            let hit = hit(Rule::Lb107, &message).on(subject);
            match form.key {
                "constraint-enforced" => hit.fix("drop it, ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT as a statement of its own"),
                "add-column-references-default" => hit.fix("add the column without it, then ADD CONSTRAINT … FOREIGN KEY … NOT VALID, then VALIDATE CONSTRAINT as a statement of its own"),
                _ => hit,
            }
        }
        "domain-add-check" | "domain-set-not-null" | "domain-validate" => {
            let message = format!("every table with a column of {name} is read while writes to it wait");
            hit(Rule::Lb107, &message)
                .fix("VALIDATE CONSTRAINT of a domain waits as long: a CHECK on each table instead, NOT VALID, then VALIDATE CONSTRAINT; on the domain NOT VALID, for what is new")
                .on(subject)
        }
        "set-not-null" => {
            let column = form.column.as_ref().map(|c| c.name.clone());
            let hit = hit(Rule::Lb109, &format!("{name} is read as a whole while everything waits"));
            let unless = column.zip(subject.cloned());
            let unless = unless.map(|(column, table)| Unless::Proven { table, column });
            Hit { unless, ..hit.about(about()).on(subject) }
        }
        "add-column-virtual-not-null" => hit(Rule::Lb109, &format!("{name} is read as a whole while everything waits"))
            .about(about())
            .fix("leave NOT NULL away, and CHECK NOT VALID what it is computed from, then VALIDATE CONSTRAINT")
            .on(subject),
        "add-column-default-volatile" => {
            let message = format!("every row of {name} gets a value of its own: the table is rewritten while everything waits");
            let functions = form.functions.clone();
            let unless = (!functions.is_empty()).then_some(Unless::Steady(functions));
            Hit { unless, ..hit(Rule::Lb111, &message).on(subject) }
        }
        "add-column-serial" | "add-column-identity" => hit(
            Rule::Lb111,
            &format!("every row of {name} gets a number of the new sequence: the table is rewritten while everything waits"),
        )
        .on(subject),
        "add-column-stored" => hit(
            Rule::Lb111,
            &format!("the column is computed for every row of {name}: the table is rewritten while everything waits"),
        )
        .on(subject),
        "add-column-domain" => {
            let domain = form.domain.clone()?;
            let message = format!("{domain} has constraints: every row of {name} is held against them, and the table rewritten, while everything waits");
            let hit = hit(Rule::Lb111, &message).fix("add it with the type below the domain, and a CHECK NOT VALID of its own");
            Hit { unless: Some(Unless::Free(domain)), ..hit.on(subject) }
        }
        "column-type" => retype(node, form, hit(Rule::Lb112, &format!("{name} is rewritten while everything waits, unless the stored form stays the same; clients that know the old type may break")).about(about()).on(subject)),
        "type-attribute-cascade" => hit(Rule::Lb112, "every table of this type is rewritten while everything that uses it waits")
            .fix("a new attribute, filled in batches; then let the application move"),
        "add-exclude" => hit(Rule::Lb113, &format!("its index is built while everything on {name} waits, and there is no way to build it beforehand"))
            .fix("a new table with the constraint, filled in batches; or acknowledge it for a quiet window")
            .on(subject),
        "add-unique" | "add-primary-key" | "add-column-unique" | "add-column-primary-key" => {
            hit(Rule::Lb113, &format!("the index is built while everything on {name} waits")).on(subject)
        }
        "attach-partition" => {
            let message = format!("the default partition of {name}, if it has one, is read while everything on it waits");
            Hit { unless: Some(Unless::NoDefault(subject?.clone())), ..hit(Rule::Lb114, &message).on(subject) }
        }
        "create-table-partition" => {
            let message = format!("everything on {name} waits, and on its default partition, if it has one, while that is read");
            Hit { unless: Some(Unless::NoDefault(subject?.clone())), ..hit(Rule::Lb114, &message).on(subject) }
        }
        "set-unlogged" => hit(Rule::Lb119, &format!("{name} is written anew while everything waits, and is empty after a crash, on standbys and in a physical backup")).on(subject),
        "set-logged" | "table-tablespace" | "cluster" | "repack" => {
            hit(Rule::Lb119, &format!("{name} is written anew while everything waits")).on(subject)
        }
        "index-tablespace" => hit(Rule::Lb119, "it is copied while everything that reads it waits"),
        "set-expression" => hit(Rule::Lb119, &format!("the column is computed again for every row of {name}, unless it is VIRTUAL: the table is written anew while everything waits"))
            .about(about())
            .fix("a new column, filled in batches; then let the application move")
            .on(subject),
        "refresh" | "refresh-no-data" => hit(Rule::Lb119, &format!("everybody who reads {name} waits until it is made anew"))
            .fix("REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on it")
            .on(subject),
        _ => return None,
    })
}

/// ATTACH reads the table too that it attaches.
fn attached(form: &Form) -> Option<Hit> {
    let (_, table) = form.parts.iter().find(|(part, _)| *part == "attached")?;
    let message = format!(
        "{table} is read while everything on it waits, unless a CHECK of it says the bounds"
    );
    Some(Hit::new(Rule::Lb114, form.span.clone(), &message).on(Some(table)))
}

/// A type that keeps what is stored needs the old one to be known.
fn retype(node: &Node, form: &Form, hit: Hit) -> Hit {
    let action = actions(node).find(|a| crate::sql::tree::span(a) == form.span);
    let set = action.and_then(|a| child(&a, K::SET_TYPE));
    let typed = set.as_ref().and_then(|s| s.children().find(is_type));
    let using = set
        .as_ref()
        .is_some_and(|s| child(s, K::USING_EXPR).is_some());
    let (Some(typed), Some(table), Some(column), false) = (typed, &node.table, &form.column, using)
    else {
        return hit;
    };
    let unless = Unless::Same {
        table: table.clone(),
        column: column.name.clone(),
        to: parts(&typed).concat().to_lowercase(),
    };
    Hit {
        unless: Some(unless),
        ..hit
    }
}

fn is_type(node: &SyntaxNode) -> bool {
    format!("{:?}", node.kind()).ends_with("_TYPE")
}

/// LB110: NOT NULL without a value for rows that are there.
fn required(node: &Node) -> Vec<Hit> {
    let added = actions(node).filter(|a| node.kind == K::ALTER_TABLE && a.kind() == K::ADD_COLUMN);
    let hits = added.filter_map(|action| {
        let all = |kind| action.children().find(|n| n.kind() == kind);
        let required = all(K::NOT_NULL_CONSTRAINT).or_else(|| all(K::PRIMARY_KEY_CONSTRAINT))?;
        let own_values = value::is_serial(&action) || all(K::GENERATED_CONSTRAINT).is_some();
        let default = all(K::DEFAULT_CONSTRAINT).and_then(|d| d.children().last());
        if own_values || default.is_some_and(|d| value::of(&d) != value::Value::Null) {
            return None;
        }
        let table: Option<&Name> = node.table.as_ref();
        let name = table.map_or_else(|| "the table".to_owned(), ToString::to_string);
        let message = format!("rows that are in {name} have no value for it, and inserts of the running application neither");
        let hit = Hit::new(Rule::Lb110, crate::sql::tree::span(&required), &message);
        Some(hit.about(column(node, &required)).on(table))
    });
    hits.collect()
}
