//! What a statement leaves behind that later ones, in this file or the next, may rely on.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::class::actions;
use super::name::Name;
use super::tree::{Node, child, says, words};

/// One thing that is so from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// A CHECK, or PostgreSQL 18's NOT NULL, that says of columns that they are not null; validated, or not yet.
    NotNull {
        table: Name,
        constraint: String,
        columns: Vec<String>,
        valid: bool,
    },
    /// A constraint was validated.
    Validated { table: Name, constraint: String },
    /// A constraint is gone.
    Dropped { table: Name, constraint: String },
    /// A constraint has another name.
    Renamed {
        table: Name,
        constraint: String,
        to: String,
    },
    /// A table has another name, or stands in another schema.
    Moved { table: Name, to: Name },
    /// A column is gone, or has another name.
    Gone { table: Name, column: String },
    /// A column is not null from now on.
    Set { table: Name, column: String },
    /// A function of the user's own, and whether it gives the same for all rows of a statement.
    Function { name: Name, steady: bool },
    /// A domain whose columns are looked at when they are added.
    Constrained { domain: Name },
    /// A new domain, which no table has yet.
    Domain { name: Name },
}

fn name_in(node: &SyntaxNode, kind: K) -> Option<Name> {
    let found = node.descendants().find(|n| n.kind() == kind)?;
    Name::of_node(&found)
}

impl Fact {
    /// The server drops what a statement drops before anything else that it does.
    pub(super) fn comes_first(&self) -> bool {
        matches!(self, Self::Dropped { .. } | Self::Gone { .. })
    }
}

/// Of one statement, in the order in which the server does it.
pub(super) fn facts(node: &Node) -> Vec<Fact> {
    match node.kind {
        K::ALTER_TABLE => {
            let Some(table) = node.table.clone() else {
                return Vec::new();
            };
            let facts = actions(node).filter_map(|a| action(&table, &a));
            let mut facts: Vec<Fact> = facts.collect();
            facts.sort_by_key(|fact| !fact.comes_first());
            facts
        }
        K::CREATE_FUNCTION => {
            let name = name_in(&node.syntax, K::FUNCTION_NAME);
            let steady = node.has(K::IMMUTABLE) || node.has(K::STABLE);
            name.map(|name| Fact::Function { name, steady })
                .into_iter()
                .collect()
        }
        K::CREATE_DOMAIN => {
            let mut facts = Vec::new();
            if let Some(name) = name_in(&node.syntax, K::DOMAIN) {
                let checks = node.has(K::CHECK_CONSTRAINT) || node.has(K::NOT_NULL_CONSTRAINT);
                facts.push(Fact::Domain { name: name.clone() });
                facts.extend(checks.then_some(Fact::Constrained { domain: name }));
            }
            facts
        }
        K::ALTER_DOMAIN if node.has(K::ADD_CONSTRAINT) || node.has(K::SET_NOT_NULL) => {
            let domain = name_in(&node.syntax, K::DOMAIN_REF);
            domain
                .map(|domain| Fact::Constrained { domain })
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

fn action(table: &Name, action: &SyntaxNode) -> Option<Fact> {
    let table = table.clone();
    let column = || name_in(action, K::COLUMN_NAME_REF).map(|n| n.name);
    let constraint = || name_in(action, K::CONSTRAINT_NAME_REF).map(|n| n.name);
    Some(match action.kind() {
        K::ADD_CONSTRAINT => {
            let (columns, suffix) = not_null(action)?;
            let first = columns.first().cloned().unwrap_or_default();
            let named = name_in(action, K::CONSTRAINT_NAME).map(|n| n.name);
            // As the server names one that has no name.
            let constraint = named.unwrap_or_else(|| format!("{}_{first}_{suffix}", table.name));
            let holds = |kind| action.descendants().any(|n| n.kind() == kind);
            // One that tables below do not have says nothing of their rows.
            if holds(K::NOT_ENFORCED) || holds(K::NO_INHERIT) {
                return None;
            }
            let valid = !holds(K::NOT_VALID);
            Fact::NotNull {
                table,
                constraint,
                columns,
                valid,
            }
        }
        K::VALIDATE_CONSTRAINT => Fact::Validated {
            table,
            constraint: constraint()?,
        },
        K::DROP_CONSTRAINT => Fact::Dropped {
            table,
            constraint: constraint()?,
        },
        K::RENAME_CONSTRAINT => Fact::Renamed {
            table,
            constraint: constraint()?,
            to: name_in(action, K::CONSTRAINT_NAME)?.name,
        },
        K::TABLE_RENAME_TO => {
            let to = name_in(action, K::TABLE_NAME)?.name;
            let schema = table.schema.clone();
            Fact::Moved {
                table,
                to: Name { schema, name: to },
            }
        }
        K::SET_SCHEMA => {
            let schema = Some(name_in(action, K::SCHEMA_REF)?.name);
            let name = table.name.clone();
            Fact::Moved {
                table,
                to: Name { schema, name },
            }
        }
        K::DROP_COLUMN | K::RENAME_COLUMN => Fact::Gone {
            table,
            column: column()?,
        },
        K::ALTER_COLUMN => {
            let column = column()?;
            if child(action, K::SET_NOT_NULL).is_some() {
                Fact::Set { table, column }
            } else {
                child(action, K::DROP_NOT_NULL)?;
                Fact::Gone { table, column }
            }
        }
        _ => return None,
    })
}

/// The columns of `CHECK (a IS NOT NULL AND b IS NOT NULL)`, whatever brackets stand round it, or of PostgreSQL 18's `NOT NULL a`.
fn not_null(action: &SyntaxNode) -> Option<(Vec<String>, &'static str)> {
    if let Some(constraint) = child(action, K::NOT_NULL_CONSTRAINT) {
        let column = child(&constraint, K::COLUMN_NAME_REF).and_then(|n| Name::of_node(&n))?;
        return Some((vec![column.name], "not_null"));
    }
    let check = child(action, K::CHECK_CONSTRAINT)?;
    let expression = check
        .children()
        .find(|n| matches!(n.kind(), K::BIN_EXPR | K::PAREN_EXPR | K::POSTFIX_EXPR))?;
    let mut columns = Vec::new();
    conjunction(&expression, &mut columns);
    (!columns.is_empty()).then_some((columns, "check"))
}

/// Of each part that must hold: what says no more than that a column is not null.
fn conjunction(expression: &SyntaxNode, columns: &mut Vec<String>) {
    let parts: Vec<SyntaxNode> = expression.children().collect();
    match (expression.kind(), parts.as_slice()) {
        (K::PAREN_EXPR, [inner]) => conjunction(inner, columns),
        (K::BIN_EXPR, [left, .., right]) if is_and(expression) => {
            conjunction(left, columns);
            conjunction(right, columns);
        }
        (_, [column, ..]) => {
            let all = words(expression);
            let ends = all.len() == 4 && says(&all, &["IS", "NOT", "NULL"]);
            let named = Some(column).filter(|c| ends && c.kind() == K::NAME_REF);
            columns.extend(named.and_then(Name::of_node).map(|n| n.name));
        }
        _ => {}
    }
}

fn is_and(expression: &SyntaxNode) -> bool {
    let tokens = expression.children_with_tokens();
    let mut tokens = tokens.filter_map(|e| e.into_token());
    let here = tokens.any(|t| t.text().eq_ignore_ascii_case("and"));
    let mut operators = expression.children();
    here || operators.any(|n| words(&n) == ["AND"])
}
