//! What may be wrong with what a backup says it holds.

use lifeboat::manifest::{
    Collation, Contents, LeftOut, Name, Relation, Role, SchemaEntry, Sequence, Source,
};

use crate::sealed::Chance;
use crate::spoil_cases::Spoil;

/// Each by what it changes, and its name.
pub const OF_THE_CONTENTS: &[(&str, &str, Spoil)] = &[
    ("count", "rows of a table", |b, c| {
        let table = table(&mut b.contents, c, |_| true);
        table.rows = table.rows.map(|rows| rows + c.step());
        named(table)
    }),
    ("count", "rows unknown", |b, c| {
        let table = table(&mut b.contents, c, |_| true);
        table.rows = None;
        named(table)
    }),
    ("count", "bytes of a table", |b, c| {
        let table = table(&mut b.contents, c, is_hashed);
        table.bytes = table.bytes.map(|bytes| bytes + c.step());
        named(table)
    }),
    ("count", "of the census", |b, c| {
        let kinds = [
            "constraints",
            "disabledTriggers",
            "functions",
            "indexes",
            "invalidIndexes",
            "largeObjects",
            "leftOutTriggers",
            "policies",
            "triggers",
            "types",
        ];
        let kind = *c.of(&kinds);
        let count = b.contents.census.get_mut(kind).unwrap();
        *count += c.step().abs();
        format!("{kind}: {count}")
    }),
    ("count", "of large objects", |b, c| {
        let objects = b.contents.large_objects.as_mut().unwrap();
        objects.count += c.step();
        objects.count.to_string()
    }),
    ("count", "bytes of large objects", |b, c| {
        let objects = b.contents.large_objects.as_mut().unwrap();
        objects.bytes += c.step();
        objects.bytes.to_string()
    }),
    ("hash", "of a table", |b, c| {
        let table = table(&mut b.contents, c, is_hashed);
        table.hash = table.hash.as_ref().map(|hash| c.other_hex(hash));
        named(table)
    }),
    ("hash", "of a table missing", |b, c| {
        let table = table(&mut b.contents, c, is_hashed);
        table.hash = None;
        named(table)
    }),
    ("hash", "of two tables swapped", |b, c| {
        let first = table(&mut b.contents, c, |r| r.rows > Some(0)).clone();
        let other = table(&mut b.contents, c, |r| {
            r.rows > Some(0) && r.hash != first.hash
        });
        let (hash, of) = (
            other.hash.clone(),
            (other.schema.clone(), other.name.clone()),
        );
        other.hash = first.hash.clone();
        let all = b.contents.relations.iter_mut();
        for relation in all.filter(|r| (&r.schema, &r.name) == (&first.schema, &first.name)) {
            relation.hash.clone_from(&hash);
        }
        format!("{} and {of:?}", named(&first))
    }),
    ("hash", "of large objects", |b, c| {
        let objects = b.contents.large_objects.as_mut().unwrap();
        objects.hash = c.other_hex(&objects.hash);
        objects.hash.clone()
    }),
    ("hash", "of large objects missing", |b, _| {
        b.contents.large_objects = None;
        String::new()
    }),
    ("line key", "another", |b, c| {
        let key = b.contents.line_key.clone().unwrap();
        b.contents.line_key = Some(c.other_hex(&key));
        String::new()
    }),
    ("line key", "missing", |b, _| {
        b.contents.line_key = None;
        String::new()
    }),
    ("line key", "that is none", |b, _| {
        b.contents.line_key = Some("x".repeat(64));
        String::new()
    }),
    ("table removed from contents", "one", |b, c| {
        let gone = named(table(&mut b.contents, c, |_| true));
        b.contents.relations.retain(|r| named(r) != gone);
        gone
    }),
    ("table added to contents", "one", |b, c| {
        let mut more = table(&mut b.contents, c, |_| true).clone();
        more.name = another(&more.name, c);
        let name = named(&more);
        b.contents.relations.push(more);
        name
    }),
    ("columns", "one removed", |b, c| {
        let table = table(&mut b.contents, c, has_columns);
        table.columns.as_mut().unwrap().remove(0);
        named(table)
    }),
    ("columns", "one renamed", |b, c| {
        let table = table(&mut b.contents, c, has_columns);
        let columns = table.columns.as_mut().unwrap();
        let at = c.below(columns.len());
        columns[at] = another(&columns[at], c);
        named(table)
    }),
    ("relation", "removed", |b, c| {
        let gone = named(relation(&mut b.contents, c, |r| r.kind != 'r'));
        b.contents.relations.retain(|r| named(r) != gone);
        gone
    }),
    ("relation", "of another kind", |b, c| {
        let relation = relation(&mut b.contents, c, |_| true);
        let kinds: Vec<char> = "rpSvmf".chars().filter(|k| *k != relation.kind).collect();
        relation.kind = *c.of(&kinds);
        format!("{} {}", relation.kind, named(relation))
    }),
    ("relation", "of an extension", |b, c| {
        let relation = relation(&mut b.contents, c, |r| r.extension.is_none());
        relation.extension = Some("hstore".to_owned());
        named(relation)
    }),
    ("relation", "loaded through another", |b, c| {
        let table = table(&mut b.contents, c, |r| r.loaded_through.is_none());
        table.loaded_through = Some((text("shop"), text("parts")));
        named(table)
    }),
    ("relation", "loaded through none", |b, c| {
        let table = table(&mut b.contents, c, |r| r.loaded_through.is_some());
        table.loaded_through = None;
        named(table)
    }),
    ("left out", "a table that is not", |b, c| {
        let table = table(&mut b.contents, c, |_| true).clone();
        b.contents.left_out.push(LeftOut {
            fingerprint: None,
            schema: table.schema.clone(),
            name: table.name.clone(),
            why: "nobody knows".to_owned(),
            rows: table.rows.unwrap_or_default(),
        });
        named(&table)
    }),
    ("left out", "a table instead of another", |b, c| {
        let own = b.contents.left_out[0].name.clone();
        let table = table(&mut b.contents, c, |t| t.name != own).clone();
        let left = &mut b.contents.left_out[0];
        (left.schema, left.name) = (table.schema.clone(), table.name.clone());
        named(&table)
    }),
    ("rows left out", "more or fewer", |b, c| {
        let left = &mut b.contents.left_out[0];
        left.rows += c.step();
        format!("{left:?}")
    }),
    ("source", "that is none", |b, c| {
        let hosts = ["", "/run/postgresql", "db shop", "db\n"];
        b.contents.source = Some(Source {
            host: (*c.of(&hosts)).to_owned(),
            port: 5432,
        });
        format!("{:?}", b.contents.source)
    }),
    ("source", "without a port", |b, _| {
        b.contents.source = Some(Source {
            host: "db.shop.svc".to_owned(),
            port: 0,
        });
        String::new()
    }),
    ("left out", "nothing", |b, _| {
        format!("{:?}", b.contents.left_out.remove(0))
    }),
    ("entry removed", "from contents", |b, c| {
        let at = c.below(b.contents.entries.len());
        format!("{:?}", b.contents.entries.remove(at))
    }),
    ("entry added", "to contents", |b, c| {
        let mut more = entry(&mut b.contents, c, |_| true).clone();
        more.tag = another(&more.tag, c);
        let told = format!("{more:?}");
        b.contents.entries.push(more);
        b.contents.entries.sort();
        told
    }),
    ("entry changed", "its definition", |b, c| {
        let entry = entry(&mut b.contents, c, |e| !e.definition.display().is_empty());
        entry.definition = another(&entry.definition, c);
        format!("{entry:?}")
    }),
    ("entry changed", "its kind", |b, c| {
        let entry = entry(&mut b.contents, c, |_| true);
        entry.desc = c.other(&entry.desc);
        format!("{entry:?}")
    }),
    ("owner", "in contents", |b, c| {
        let entry = entry(&mut b.contents, c, |e| e.owner != text(""));
        entry.owner = another(&entry.owner, c);
        format!("{entry:?}")
    }),
    ("sequence", "its value in contents", |b, c| {
        let sequence = sequence(&mut b.contents, c);
        sequence.last_value += c.step();
        format!("{sequence:?}")
    }),
    ("sequence", "given out or not, in contents", |b, c| {
        let sequence = sequence(&mut b.contents, c);
        sequence.is_called = !sequence.is_called;
        format!("{sequence:?}")
    }),
    ("sequence", "removed from contents", |b, c| {
        let at = c.below(b.contents.sequences.len());
        format!("{:?}", b.contents.sequences.remove(at))
    }),
    ("role attribute", "in contents", |b, c| {
        let role = role(&mut b.contents, c);
        let at = c.below(role.statements.len());
        let words = role.statements[at].clone();
        role.statements[at] = c.other(&words);
        role.statements[at].clone()
    }),
    ("role attribute", "missing in contents", |b, c| {
        let role = role(&mut b.contents, c);
        let at = c.below(role.statements.len());
        role.statements.remove(at)
    }),
    ("role", "removed from contents", |b, c| {
        let at = c.below(b.contents.roles.len());
        format!("{:?}", b.contents.roles.remove(at))
    }),
    ("role", "added to contents", |b, c| {
        let mut more = role(&mut b.contents, c).clone();
        more.name = c.other(&more.name);
        b.contents.roles.push(more);
        String::new()
    }),
    ("extension list", "one that is not installed", |b, _| {
        b.contents
            .extensions
            .push(("citext".to_owned(), "1.6".to_owned()));
        "citext".to_owned()
    }),
    ("extension list", "one that nobody has", |b, _| {
        b.contents
            .extensions
            .push(("nobody_has_it".to_owned(), "1".to_owned()));
        "nobody_has_it".to_owned()
    }),
    ("extension list", "one missing", |b, c| {
        let all = b.contents.extensions.iter().map(|(name, _)| name.clone());
        // That one is in every database, and in no dump.
        let all: Vec<String> = all.filter(|name| name != "plpgsql").collect();
        let gone = c.of(&all).clone();
        b.contents.extensions.retain(|(name, _)| *name != gone);
        gone
    }),
    ("collation", "removed", |b, c| {
        let gone = collation(&mut b.contents, c).name.clone();
        b.contents.collations.retain(|l| l.name != gone);
        format!("{gone:?}")
    }),
    ("collation", "of another provider", |b, c| {
        let collation = collation(&mut b.contents, c);
        collation.provider = 'i';
        format!("{collation:?}")
    }),
    ("collation", "of another name", |b, c| {
        let collation = collation(&mut b.contents, c);
        collation.name = another(&collation.name, c);
        format!("{collation:?}")
    }),
    ("setting", "the locale", |b, c| {
        let name = *c.of(&["lc_collate", "lc_ctype", "locale_provider"]);
        b.contents.settings.insert(name.to_owned(), "x".to_owned());
        name.to_owned()
    }),
    ("setting", "the encoding", |b, _| {
        let name = "server_encoding".to_owned();
        b.contents.settings.insert(name, "LATIN1".to_owned());
        String::new()
    }),
    ("version", "of the server, in contents", |b, c| {
        let version = b.contents.settings.get_mut("server_version").unwrap();
        // What a distribution adds is no part of it.
        let (number, rest) = version.split_once(' ').unwrap_or((version, ""));
        *version = format!("{} {rest}", c.other(number));
        version.clone()
    }),
    ("format", "of contents", |b, c| {
        b.contents.format += u32::try_from(c.step().abs()).unwrap();
        b.contents.format.to_string()
    }),
];

fn text(name: &str) -> Name {
    Name::Text(name.to_owned())
}

fn named(relation: &Relation) -> String {
    format!("{}.{}", relation.schema.display(), relation.name.display())
}

fn another(name: &Name, chance: &mut Chance) -> Name {
    match name.display() {
        empty if empty.is_empty() => text("more"),
        name => Name::Text(chance.other(&name)),
    }
}

/// Of one whose rows are in no dump there is nothing to say otherwise.
fn is_hashed(relation: &Relation) -> bool {
    relation.hash.is_some()
}

fn has_columns(relation: &Relation) -> bool {
    relation.columns.as_ref().is_some_and(|all| !all.is_empty())
}

fn suiting<'a, T>(all: &'a mut [T], chance: &mut Chance, suits: impl Fn(&T) -> bool) -> &'a mut T {
    let places = all.iter().enumerate().filter(|(_, one)| suits(one));
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    &mut all[*chance.of(&places)]
}

fn relation<'a>(
    contents: &'a mut Contents,
    chance: &mut Chance,
    suits: impl Fn(&Relation) -> bool,
) -> &'a mut Relation {
    suiting(&mut contents.relations, chance, suits)
}

fn table<'a>(
    contents: &'a mut Contents,
    chance: &mut Chance,
    suits: impl Fn(&Relation) -> bool,
) -> &'a mut Relation {
    relation(contents, chance, |r| r.kind == 'r' && suits(r))
}

fn entry<'a>(
    contents: &'a mut Contents,
    chance: &mut Chance,
    suits: impl Fn(&SchemaEntry) -> bool,
) -> &'a mut SchemaEntry {
    suiting(&mut contents.entries, chance, suits)
}

fn sequence<'a>(contents: &'a mut Contents, chance: &mut Chance) -> &'a mut Sequence {
    suiting(&mut contents.sequences, chance, |_| true)
}

fn role<'a>(contents: &'a mut Contents, chance: &mut Chance) -> &'a mut Role {
    suiting(&mut contents.roles, chance, |r| r.statements.len() > 1)
}

fn collation<'a>(contents: &'a mut Contents, chance: &mut Chance) -> &'a mut Collation {
    let own = |c: &Collation| c.schema != text("pg_catalog");
    suiting(&mut contents.collations, chance, own)
}
