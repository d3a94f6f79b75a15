//! What the catalogue, earlier files and earlier statements say, on which it depends whether something costs anything.

use std::collections::BTreeSet;

use super::Context;
use crate::sql::fact::Fact;
use crate::sql::name::Name;

/// What would excuse a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sql) enum Unless {
    /// Something validated says already that the column is not null.
    Proven { table: Name, column: String },
    /// All of these functions give one value for all rows.
    Steady(Vec<Name>),
    /// The type is no domain with constraints.
    Free(Name),
    /// The column's type keeps what is stored.
    Same {
        table: Name,
        column: String,
        to: String,
    },
    /// The parent has no default partition.
    NoDefault(Name),
}

/// A CHECK that says of columns that they are not null.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotNull {
    /// Its table.
    pub table: Name,
    /// Its name.
    pub constraint: String,
    /// The columns.
    pub columns: Vec<String>,
    /// Every row was looked at.
    pub valid: bool,
}

/// What is known by now.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    checks: Vec<NotNull>,
    steady: BTreeSet<Name>,
    volatile: BTreeSet<Name>,
    constrained: BTreeSet<Name>,
}

fn among(names: &BTreeSet<Name>, name: &Name) -> bool {
    names.iter().any(|n| n.may_be(name))
}

impl Known {
    pub(super) fn of(context: &Context) -> Self {
        Self {
            checks: context.not_null.clone(),
            steady: context.steady.clone(),
            volatile: BTreeSet::new(),
            constrained: context.constrained.clone(),
        }
    }

    /// What a statement leaves behind.
    pub(super) fn note(&mut self, fact: &Fact) {
        match fact {
            Fact::NotNull {
                table,
                constraint,
                columns,
                valid,
            } => self.checks.push(NotNull {
                table: table.clone(),
                constraint: constraint.clone(),
                columns: columns.clone(),
                valid: *valid,
            }),
            Fact::Set { table, column } => self.checks.push(NotNull {
                table: table.clone(),
                constraint: String::new(),
                columns: vec![column.clone()],
                valid: true,
            }),
            Fact::Validated { table, constraint } => {
                let same = |c: &&mut NotNull| c.table.may_be(table) && c.constraint == *constraint;
                for check in self.checks.iter_mut().filter(same) {
                    check.valid = true;
                }
            }
            Fact::Dropped { table, constraint } => self
                .checks
                .retain(|c| !(c.table.may_be(table) && c.constraint == *constraint)),
            Fact::Renamed {
                table,
                constraint,
                to,
            } => {
                let same = |c: &&mut NotNull| c.table.may_be(table) && c.constraint == *constraint;
                for check in self.checks.iter_mut().filter(same) {
                    check.constraint.clone_from(to);
                }
            }
            Fact::Moved { table, to } => {
                // What had the name before is not there any more.
                self.checks
                    .retain(|c| c.table.may_be(table) || !c.table.may_be(to));
                for check in self.checks.iter_mut().filter(|c| c.table.may_be(table)) {
                    check.table.name.clone_from(&to.name);
                    if to.schema.is_some() {
                        check.table.schema.clone_from(&to.schema);
                    }
                }
            }
            Fact::Gone { table, column } => self
                .checks
                .retain(|c| !(c.table.may_be(table) && c.columns.contains(column))),
            Fact::Function { name, steady } => {
                let (these, those) = if *steady {
                    (&mut self.steady, &mut self.volatile)
                } else {
                    (&mut self.volatile, &mut self.steady)
                };
                these.insert(name.clone());
                those.retain(|n| !n.may_be(name));
            }
            Fact::Constrained { domain } => {
                self.constrained.insert(domain.clone());
            }
            Fact::Domain { .. } => {}
        }
    }

    /// A table is gone, and perhaps made again as something else.
    pub(super) fn forget(&mut self, table: &Name) {
        self.checks.retain(|c| !c.table.may_be(table));
    }

    /// Whether the catalogue does not say of which type a column is.
    pub(super) fn unsure(unless: &Unless, context: &Context) -> bool {
        let Unless::Same { table, column, to } = unless else {
            return false;
        };
        let mut types = context.types.keys();
        mostly_longer(to) && !types.any(|(t, c)| c == column && t.may_be(table))
    }

    pub(super) fn excuses(&self, unless: &Unless, context: &Context) -> bool {
        match unless {
            Unless::Proven { table, column } => self
                .checks
                .iter()
                .any(|c| c.valid && c.table.may_be(table) && c.columns.contains(column)),
            Unless::Steady(functions) => functions
                .iter()
                .all(|f| among(&self.steady, f) && !among(&self.volatile, f)),
            Unless::Free(domain) => !among(&self.constrained, domain),
            Unless::Same { to, .. } if only_from_itself(to) => true,
            Unless::Same { table, column, to } => context
                .types
                .iter()
                .find(|((t, c), _)| c == column && t.may_be(table))
                .is_some_and(|(_, from)| keeps(from, to)),
            Unless::NoDefault(parent) => context
                .table(parent)
                .is_some_and(|t| t.partitioned && t.default_rows.is_none()),
        }
    }
}

/// Names of types that are the same one, as people and as the server writes them.
const SAME: [(&str, &str); 13] = [
    ("charactervarying", "varchar"),
    ("bitvarying", "varbit"),
    ("character", "char"),
    ("bpchar", "char"),
    ("decimal", "numeric"),
    ("int", "integer"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("int2", "smallint"),
    ("bool", "boolean"),
    ("float8", "doubleprecision"),
    ("timestamptz", "timestampwithtimezone"),
    ("timestampwithouttimezone", "timestamp"),
];

/// A type as one word and its numbers: `varchar(20)`.
fn spelt(text: &str) -> (String, Vec<u32>) {
    let text = text.replace([' ', '"'], "").to_lowercase();
    let text = text.trim_start_matches("pg_catalog.");
    // `timestamp(3) without time zone`: the number stands within.
    let (name, rest) = text.split_once('(').unwrap_or((text, ")"));
    let (numbers, behind) = rest.split_once(')').unwrap_or((rest, ""));
    let name = format!("{name}{behind}");
    let same = SAME.iter().find(|(other, _)| *other == name);
    let name = same.map_or(name, |(_, usual)| (*usual).to_owned());
    let numbers = numbers.split(',').filter_map(|n| n.parse().ok());
    (name, numbers.collect())
}

/// Whether a column of one type becomes one of the other without being written again, both as `varchar(20)`, `numeric(8,2)`, `text`.
fn keeps(from: &str, to: &str) -> bool {
    let ((was, old), (is, new)) = (spelt(from), spelt(to));
    let longer = match (old.as_slice(), new.as_slice()) {
        (_, []) => true,
        ([], _) => false,
        ([old, ..], [new, ..]) => new >= old,
    };
    let scale = |numbers: &[u32]| numbers.get(1).copied().unwrap_or_default();
    match (was.as_str(), is.as_str()) {
        _ if was == is && old == new => true,
        ("varchar" | "text", "text") => true,
        ("varchar", "varchar") | ("varbit", "varbit") => longer,
        ("text", "varchar") => new.is_empty(),
        ("numeric", "numeric") => longer && (new.is_empty() || scale(&old) == scale(&new)),
        _ => false,
    }
}

/// Types to which nothing else is cast without USING: who changes a column to one has it already, or is refused.
fn only_from_itself(to: &str) -> bool {
    ["uuid", "boolean", "bytea"].contains(&spelt(to).0.as_str())
}

/// Types to which a column mostly comes from a shorter one of the same kind, and then costs nothing.
fn mostly_longer(to: &str) -> bool {
    ["text", "varchar"].contains(&spelt(to).0.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_text_or_number_is_not_written_again() {
        for (from, to) in [
            ("character varying(10)", "varchar(20)"),
            ("character varying(10)", "text"),
            ("text", "charactervarying"),
            ("numeric(6,2)", "numeric(8, 2)"),
            ("numeric(6,2)", "numeric"),
            ("integer", "int4"),
            ("uuid", "UUID"),
            ("timestamp(3) without time zone", "TIMESTAMP(3)"),
            ("timestamp with time zone", "timestamptz"),
        ] {
            assert!(keeps(from, to), "{from} {to}");
        }
        for (from, to) in [
            ("character varying(20)", "varchar(10)"),
            ("text", "varchar(10)"),
            ("numeric(6,2)", "numeric(8,3)"),
            ("integer", "text"),
            ("integer", "bigint"),
            ("timestamp without time zone", "timestamptz"),
        ] {
            assert!(!keeps(from, to), "{from} {to}");
        }
    }
}
