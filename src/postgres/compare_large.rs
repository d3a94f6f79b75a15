//! Entries of large objects. From 17 on pg_dump puts those of one owner and one set of privileges, as the catalogue spells it, into one
//! entry; after a restore it may spell the same privileges otherwise, and group otherwise. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::manifest::{Name, SchemaEntry};

const METADATA: &str = "BLOB METADATA";
/// Begins the tag of a group's privileges.
const GROUP: &str = "LARGE OBJECTS ";

/// Both sides, each large object by itself where they are grouped otherwise.
pub(super) fn alike<'a>(
    expected: &'a [SchemaEntry],
    found: &'a [SchemaEntry],
) -> (Cow<'a, [SchemaEntry]>, Cow<'a, [SchemaEntry]>) {
    let groups = |entries: &'a [SchemaEntry]| -> BTreeSet<(&'a Name, &'a Name)> {
        let all = entries.iter().filter(|e| e.desc == METADATA);
        all.map(|e| (&e.tag, &e.definition)).collect()
    };
    match groups(expected) == groups(found) {
        true => (expected.into(), found.into()),
        false => (apart(expected).into(), apart(found).into()),
    }
}

fn apart(entries: &[SchemaEntry]) -> Vec<SchemaEntry> {
    let members = |tag: &str| -> Option<Vec<String>> {
        let mut groups = entries.iter().filter(|e| e.desc == METADATA);
        let group = groups.find(|e| e.tag.display() == tag)?;
        let text = group.definition.display();
        Some(text.split_whitespace().map(str::to_owned).collect())
    };
    let mut all = Vec::new();
    for entry in entries {
        let tag = entry.tag.display();
        let of = match entry.desc.as_str() {
            METADATA => Some(tag.as_str()),
            "ACL" => tag.strip_prefix(GROUP),
            _ => None,
        };
        let Some(members) = of.and_then(members) else {
            all.push(entry.clone());
            continue;
        };
        let privileges = entry.desc == "ACL";
        let text = entry.definition.display();
        // It is written of the first.
        let first = members.first().cloned().unwrap_or_default();
        all.extend(members.into_iter().map(|oid| {
            let (tag, definition) = match privileges {
                true => {
                    let named = |oid: &str| format!(" ON LARGE OBJECT {oid} ");
                    let text = text.replace(&named(&first), &named(&oid));
                    (format!("LARGE OBJECT {oid}"), text)
                }
                false => (oid.clone(), format!("{oid}\n")),
            };
            SchemaEntry {
                tag: Name::Text(tag),
                definition: Name::Text(definition),
                ..entry.clone()
            }
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(desc: &str, tag: &str, owner: &str, definition: &str) -> SchemaEntry {
        let text = |t: &str| Name::Text(t.to_owned());
        SchemaEntry {
            desc: desc.to_owned(),
            tag: text(tag),
            owner: text(owner),
            definition: text(definition),
            ..SchemaEntry::default()
        }
    }

    #[test]
    fn g23_large_objects_that_are_grouped_otherwise_are_told_one_by_one() {
        let grant = |oid: &str| format!("GRANT SELECT ON LARGE OBJECT {oid} TO PUBLIC;\n");
        let was = [
            entry("TABLE", "t", "o", "CREATE"),
            entry(METADATA, "7..9", "o", "7\n9\n"),
            entry("ACL", "LARGE OBJECTS 7..9", "o", &grant("7")),
            entry(METADATA, "8", "o", "8\n"),
            entry("ACL", "LARGE OBJECT 8", "o", &grant("8")),
        ];
        let is = [
            entry("TABLE", "t", "o", "CREATE"),
            entry(METADATA, "7..9", "o", "7\n8\n9\n"),
            entry("ACL", "LARGE OBJECTS 7..9", "o", &grant("7")),
        ];
        let sorted = |mut all: Vec<SchemaEntry>| {
            all.sort();
            all
        };
        // The groups have one name here: they are equal for a comparison by name, and their texts are not.
        assert_eq!(sorted(apart(&was)), sorted(apart(&is)));
        let (left, right) = alike(&was, &is);
        assert_eq!(sorted(left.into_owned()), sorted(right.into_owned()));
        let (left, _) = alike(&is, &is);
        assert!(matches!(left, Cow::Borrowed(_)));
    }
}
