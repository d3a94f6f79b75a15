//! What is not restored into a scratch server that could reach other servers (P9): foreign servers with their tables, and the
//! filling of materialized views, which run whatever the database's owner wrote. Pure.

use std::collections::BTreeSet;

use super::human;
use crate::manifest::{Contents, Name};

/// What is kept away, by name.
#[derive(Debug, Default)]
pub(super) struct KeptAway {
    active: bool,
    servers: BTreeSet<String>,
    /// Schema and name of foreign tables.
    tables: BTreeSet<(String, String)>,
}

impl KeptAway {
    /// What of a backup would reach out.
    pub(super) fn of(contents: &Contents) -> Self {
        let of = |kind: &str| {
            let kind = kind.to_owned();
            contents.entries.iter().filter(move |e| e.desc == kind)
        };
        let tables = of("FOREIGN TABLE").map(|e| (e.namespace.display(), e.tag.display()));
        Self {
            active: true,
            servers: of("SERVER").map(|e| e.tag.display()).collect(),
            tables: tables.collect(),
        }
    }

    /// Whether it keeps foreign servers away.
    pub(super) fn servers(&self) -> bool {
        !self.servers.is_empty()
    }

    /// Whether an entry is among them, or speaks of one.
    pub(super) fn has(&self, desc: &str, namespace: &Name, tag: &Name) -> bool {
        if !self.active {
            return false;
        }
        let (schema, tag) = (namespace.display(), tag.display().replace('"', ""));
        let server = |name: &String| {
            desc == "SERVER" && tag == *name
                || matches!(desc, "ACL" | "COMMENT" | "SECURITY LABEL")
                    && (tag == format!("SERVER {name}") || tag == format!("FOREIGN SERVER {name}"))
        };
        // `TABLE t`, `FOREIGN TABLE t` and `COLUMN t.a` in what speaks of it; `t name` of what hangs on it.
        let table = |(of, name): &(String, String)| {
            let said = |kind: &str| tag == format!("{kind} {name}");
            *of == schema
                && (matches!(desc, "FOREIGN TABLE" | "TABLE ATTACH") && tag == *name
                    || matches!(desc, "ACL" | "COMMENT" | "SECURITY LABEL")
                        && (said("TABLE")
                            || said("FOREIGN TABLE")
                            || tag.starts_with(&format!("COLUMN {name}.")))
                    || matches!(
                        desc,
                        "DEFAULT" | "TRIGGER" | "CHECK CONSTRAINT" | "CONSTRAINT"
                    ) && tag.starts_with(&format!("{name} ")))
        };
        desc == "MATERIALIZED VIEW DATA"
            || self.servers.iter().any(server)
            || self.tables.iter().any(table)
    }

    /// Takes it out of what is expected; answers what is not compared therefore.
    pub(super) fn leave_out(&self, expected: &mut Contents) -> Vec<String> {
        let mut told = Vec::new();
        let number = |desc: &str, expected: &Contents| {
            let entries = expected.entries.iter();
            entries.filter(|e| e.desc == desc).count()
        };
        if self.active {
            let why = "not restored, because the scratch server could not be cut off from the network here (NotIsolated; --network=host restores them all the same)";
            for (desc, what) in [
                ("MATERIALIZED VIEW DATA", "materialized view"),
                ("SERVER", "foreign server"),
            ] {
                let count = number(desc, expected);
                if count > 0 {
                    told.push(format!("{}: {why}", human::count(count, what)));
                }
            }
        }
        expected
            .entries
            .retain(|e| !self.has(&e.desc, &e.namespace, &e.tag));
        if self.servers() {
            expected.relations.retain(|r| {
                !(r.kind == 'f'
                    && self
                        .tables
                        .contains(&(r.schema.display(), r.name.display())))
            });
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::SchemaEntry;

    #[test]
    fn p9_what_reaches_out_is_kept_away_with_what_speaks_of_it_and_nothing_else() {
        let name = |text: &str| Name::Text(text.to_owned());
        let entry = |desc: &str, schema: &str, tag: &str| SchemaEntry {
            desc: desc.to_owned(),
            namespace: name(schema),
            tag: name(tag),
            owner: name("o"),
            definition: Name::default(),
            access_method: None,
            tablespace: None,
        };
        let entries = vec![
            entry("SERVER", "", "far"),
            entry("FOREIGN TABLE", "s", "ft"),
            entry("MATERIALIZED VIEW DATA", "s", "mv"),
            entry("ACL", "", "FOREIGN SERVER far"),
            entry("COMMENT", "s", "COLUMN ft.a"),
            entry("DEFAULT", "s", "ft a"),
        ];
        let stays = vec![
            entry("MATERIALIZED VIEW", "s", "mv"),
            entry("TABLE", "t", "ft"),
            entry("ACL", "t", "TABLE ft"),
            entry("COMMENT", "", "SERVER farther"),
        ];
        let mut expected = Contents {
            entries: entries.iter().chain(&stays).cloned().collect(),
            ..Contents::default()
        };
        let away = KeptAway::of(&expected);
        let told = away.leave_out(&mut expected);
        assert_eq!(expected.entries, stays);
        assert_eq!(told.len(), 2, "{told:?}");
        let mut whole = Contents {
            entries: entries.clone(),
            ..Contents::default()
        };
        assert!(KeptAway::default().leave_out(&mut whole).is_empty());
        assert_eq!(whole.entries, entries);
    }
}
