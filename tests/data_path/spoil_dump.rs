//! What may be wrong with a dump that can be read: its rows, its large objects, its definitions.

use crate::custom_format::{Block, Dump, Entry, alike, filled_objects};
use crate::sealed::{Backup, Chance};
use crate::spoil_cases::Spoil;

/// Each by what it changes, and its name.
pub const OF_THE_DUMP: &[(&str, &str, Spoil)] = &[
    ("row value", "a letter or digit", value),
    ("row value", "a value NULL", null),
    ("row value", "two rows swapped a value", swapped),
    ("row value", "columns of the COPY swapped", columns),
    ("row missing", "one", missing),
    ("row missing", "all of a table", emptied),
    ("row missing", "the data of a table", |b, c| {
        remove(&mut b.dump, c, &["TABLE DATA"], "")
    }),
    ("row doubled", "one", doubled),
    ("row moved", "to a table of the same columns", moved),
    ("row moved", "two tables swapped their data", exchanged),
    ("definition", "a table", |b, c| {
        letter(&mut b.dump, c, &["TABLE"], "")
    }),
    ("definition", "a view", |b, c| {
        letter(&mut b.dump, c, &["VIEW", "MATERIALIZED VIEW"], "")
    }),
    ("definition", "a function", |b, c| {
        letter(&mut b.dump, c, &["FUNCTION"], "")
    }),
    ("definition", "an index", |b, c| {
        letter(&mut b.dump, c, &["INDEX"], "")
    }),
    ("definition", "a constraint", |b, c| {
        let kinds = ["CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT"];
        letter(&mut b.dump, c, &kinds, "")
    }),
    ("definition", "a type", |b, c| {
        letter(&mut b.dump, c, &["TYPE", "DOMAIN"], "")
    }),
    ("definition", "a trigger", |b, c| {
        letter(&mut b.dump, c, &["TRIGGER"], "")
    }),
    ("definition", "something that restores as well", meaning),
    ("definition", "the access method", |b, c| {
        let at = one(&b.dump, c, |e| {
            e.desc == "TABLE" && e.access_method.is_some()
        });
        b.dump.entries[at].access_method = Some("heapy".to_owned());
        b.dump.entries[at].display()
    }),
    ("default", "a letter", |b, c| {
        letter(&mut b.dump, c, &["DEFAULT"], "")
    }),
    ("default", "missing", |b, c| {
        remove(&mut b.dump, c, &["DEFAULT"], "")
    }),
    ("default", "of a column", |b, _| {
        replace(&mut b.dump, "TABLE", "DEFAULT 0", "DEFAULT 1")
    }),
    ("owner", "another", owner),
    ("ACL", "a letter", |b, c| {
        letter(&mut b.dump, c, &["ACL", "DEFAULT ACL"], "")
    }),
    ("ACL", "a statement missing", |b, c| {
        let at = one(&b.dump, c, |e| {
            matches!(e.desc.as_str(), "ACL" | "DEFAULT ACL")
        });
        let entry = &mut b.dump.entries[at];
        let statements: Vec<&str> = entry.sql().split_inclusive(";\n").collect();
        let gone = c.below(statements.len());
        let kept = statements.iter().enumerate().filter(|(n, _)| *n != gone);
        entry.definition = Some(kept.map(|(_, s)| *s).collect());
        entry.display()
    }),
    ("ACL", "another privilege", |b, _| {
        replace(
            &mut b.dump,
            "ACL",
            "GRANT SELECT ON TABLE",
            "GRANT UPDATE ON TABLE",
        )
    }),
    ("ACL", "missing", |b, c| {
        remove(&mut b.dump, c, &["ACL", "DEFAULT ACL"], "")
    }),
    ("policy", "a letter", |b, c| {
        letter(&mut b.dump, c, &["POLICY"], "")
    }),
    ("policy", "missing", |b, c| {
        remove(&mut b.dump, c, &["POLICY", "ROW SECURITY"], "")
    }),
    ("policy", "for everybody", |b, _| {
        replace(
            &mut b.dump,
            "POLICY",
            "USING ((name = CURRENT_USER))",
            "USING (true)",
        )
    }),
    ("comment", "a letter", comment),
    ("comment", "missing", |b, c| {
        remove(&mut b.dump, c, &["COMMENT"], "")
    }),
    ("label", "a letter", |b, c| {
        letter(&mut b.dump, c, &["SECURITY LABEL"], "")
    }),
    ("label", "missing", |b, c| {
        remove(&mut b.dump, c, &["SECURITY LABEL"], "")
    }),
    ("sequence", "its value", |b, c| {
        let at = one(&b.dump, c, |e| e.desc == "SEQUENCE SET");
        let entry = &mut b.dump.entries[at];
        let (head, called) = entry.sql().rsplit_once(", ").unwrap();
        let (head, value) = head.rsplit_once(", ").unwrap();
        let value: i64 = value.parse().unwrap();
        let is = value + c.step().abs();
        entry.definition = Some(format!("{head}, {is}, {called}"));
        entry.display()
    }),
    ("sequence", "given out or not", |b, c| {
        let at = one(&b.dump, c, |e| e.desc == "SEQUENCE SET");
        let entry = &mut b.dump.entries[at];
        let sql = entry.sql().to_owned();
        entry.definition = Some(match sql.contains(", true)") {
            true => sql.replace(", true)", ", false)"),
            false => sql.replace(", false)", ", true)"),
        });
        entry.display()
    }),
    ("sequence", "its value missing", |b, c| {
        remove(&mut b.dump, c, &["SEQUENCE SET"], "")
    }),
    ("sequence", "its step", |b, _| {
        replace(&mut b.dump, "SEQUENCE", "INCREMENT BY 5", "INCREMENT BY 6")
    }),
    ("large object", "a byte", |b, c| {
        let mut objects = b.dump.objects().into_iter();
        let (number, bytes) = objects.find(|(_, o)| !o.is_empty()).unwrap();
        let at = c.below(bytes.len());
        bytes[at] ^= 1 << c.below(8);
        format!("byte {at} of {number}")
    }),
    ("large object", "a byte more", |b, c| {
        let mut objects = b.dump.objects();
        let at = c.below(objects.len());
        objects[at].1.push(7);
        objects[at].0.to_string()
    }),
    ("large object", "two swapped", |b, _| {
        let mut objects = b.dump.objects();
        assert_ne!(objects[0].1, objects[1].1);
        let first = std::mem::take(&mut objects[0].1);
        objects[0].1 = std::mem::replace(&mut objects[1].1, first);
        format!("{} and {}", objects[0].0, objects[1].0)
    }),
    ("large object", "empty", |b, c| {
        // From 17 on those of an owner stand for themselves, and one of them is empty anyway.
        let filled = filled_objects(&b.dump);
        let at = one(&b.dump, c, |e| filled.contains(&e.id));
        b.dump.remove(at).display()
    }),
    ("large object", "missing", |b, c| {
        remove(&mut b.dump, c, &["BLOB", "BLOB METADATA"], "")
    }),
    ("property of the database", "a letter", |b, c| {
        letter(&mut b.dump, c, &["DATABASE PROPERTIES"], "")
    }),
    ("property of the database", "all missing", |b, c| {
        remove(&mut b.dump, c, &["DATABASE PROPERTIES"], "")
    }),
    ("property of the database", "what is said of it", |b, c| {
        remove(&mut b.dump, c, &["ACL", "COMMENT"], "DATABASE ")
    }),
    ("property of the database", "another setting", |b, _| {
        replace(&mut b.dump, "DATABASE PROPERTIES", "TO '7MB'", "TO '9MB'")
    }),
    ("property of the database", "another name", |b, c| {
        let name = b.dump.database.clone().unwrap();
        let is = c.other(&name);
        b.dump.database = Some(is.clone());
        is
    }),
    ("entry removed", "any", |b, c| {
        let at = one(&b.dump, c, |e| !is_free(&e.desc));
        b.dump.remove(at).display()
    }),
    ("entry added", "a copy of a function", |b, c| {
        let at = one(&b.dump, c, |e| {
            e.desc == "FUNCTION" && e.sql().contains("twice(")
        });
        let mut copy = b.dump.entries[at].clone();
        copy.id = 1 + b.dump.entries.iter().map(|e| e.id).max().unwrap();
        copy.tag = copy.tag.map(|tag| tag.replace("twice", "thrice"));
        copy.definition = Some(copy.sql().replace("twice(", "thrice("));
        let name = copy.display();
        b.dump.entries.insert(at + 1, copy);
        name
    }),
    ("entry changed", "its name", |b, c| {
        let at = one(&b.dump, c, |e| {
            // That of all large objects together stands for nothing.
            let named = e.tag.as_deref().is_some_and(|tag| !tag.is_empty());
            !is_free(&e.desc) && e.desc != "BLOBS" && named
        });
        let tag = b.dump.entries[at].tag.clone().unwrap();
        b.dump.entries[at].tag = Some(c.other(&tag));
        b.dump.entries[at].display()
    }),
    ("version", "of the server", |b, _| {
        let version = b.dump.server_version.clone().unwrap();
        b.dump.server_version = Some(version.replacen('1', "2", 1));
        version
    }),
];

/// Entries whose absence changes nothing in a new database: what it has anyway.
fn is_free(desc: &str) -> bool {
    matches!(desc, "SEARCHPATH" | "STDSTRINGS" | "ENCODING" | "DATABASE")
}

/// An entry of those wanted.
fn one(dump: &Dump, chance: &mut Chance, wanted: impl Fn(&Entry) -> bool) -> usize {
    let all = dump.entries.iter().enumerate();
    let found: Vec<usize> = all.filter(|(_, e)| wanted(e)).map(|(at, _)| at).collect();
    *chance.of(&found)
}

fn of_kind(dump: &Dump, chance: &mut Chance, kinds: &[&str], tag: &str) -> usize {
    one(dump, chance, |e| {
        let name = e.tag.as_deref().unwrap_or_default();
        kinds.contains(&e.desc.as_str()) && name.starts_with(tag)
    })
}

fn remove(dump: &mut Dump, chance: &mut Chance, kinds: &[&str], tag: &str) -> String {
    let at = of_kind(dump, chance, kinds, tag);
    dump.remove(at).display()
}

fn letter(dump: &mut Dump, chance: &mut Chance, kinds: &[&str], tag: &str) -> String {
    let at = of_kind(dump, chance, kinds, tag);
    let entry = &mut dump.entries[at];
    let is = chance.other(entry.sql());
    entry.definition = Some(is.clone());
    format!("{}: {is}", entry.display())
}

/// The words of a comment, not its statement.
fn comment(backup: &mut Backup, chance: &mut Chance) -> String {
    let at = of_kind(&backup.dump, chance, &["COMMENT"], "");
    let entry = &mut backup.dump.entries[at];
    let (head, words) = entry.sql().split_once(" IS ").unwrap();
    let is = format!("{head} IS {}", chance.other(words));
    entry.definition = Some(is.clone());
    is
}

pub fn replace(dump: &mut Dump, desc: &str, from: &str, to: &str) -> String {
    let entry = dump
        .entries
        .iter_mut()
        .find(|e| e.desc == desc && e.sql().contains(from))
        .unwrap_or_else(|| panic!("no {desc} has {from}"));
    entry.definition = Some(entry.sql().replacen(from, to, 1));
    entry.display()
}

/// What no server would complain about.
fn meaning(backup: &mut Backup, chance: &mut Chance) -> String {
    let (desc, from, to) = *chance.of(&[
        ("TABLE", " NOT NULL", ""),
        ("TABLE", "character varying(99)", "character varying(98)"),
        ("FUNCTION", "$1 * 2", "$1 * 3"),
        ("FUNCTION", "LANGUAGE sql", "LANGUAGE sql IMMUTABLE"),
        ("FK CONSTRAINT", ";", " ON DELETE CASCADE;"),
        ("CHECK CONSTRAINT", " NOT VALID", ""),
        ("INDEX", "(customer)", "(customer DESC)"),
        ("TRIGGER", "BEFORE UPDATE", "AFTER UPDATE"),
        ("TYPE", "'paid'", "'lost'"),
        ("DOMAIN", ">= 0", ">= -1"),
        ("VIEW", "'new'", "'paid'"),
        ("STATISTICS", "(ndistinct) ON", "(mcv) ON"),
        ("PUBLICATION", "insert, update", "insert"),
    ]);
    replace(&mut backup.dump, desc, from, to)
}

fn owner(backup: &mut Backup, chance: &mut Chance) -> String {
    let kinds = "TABLE|VIEW|FUNCTION|SCHEMA|SEQUENCE|TYPE|BLOB|BLOB METADATA|DATABASE";
    let kinds: Vec<&str> = kinds.split('|').collect();
    let at = of_kind(&backup.dump, chance, &kinds, "");
    let entry = &mut backup.dump.entries[at];
    let others: Vec<&str> = ["postgres", "shop_app", "shop_reader"]
        .into_iter()
        .filter(|name| entry.owner.as_deref() != Some(*name))
        .collect();
    entry.owner = Some((*chance.of(&others)).to_owned());
    format!("{} of {}", entry.display(), entry.owner.clone().unwrap())
}

/// Number and name of a table with rows.
fn filled(dump: &Dump, chance: &mut Chance) -> (i64, String) {
    let filled: Vec<i64> = dump
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Rows { id, lines, .. } => (!lines.is_empty()).then_some(*id),
            Block::Objects { .. } => None,
        })
        .collect();
    let id = *chance.of(&filled);
    let entry = dump.entries.iter().find(|e| e.id == id).unwrap();
    (id, entry.display())
}

/// A field whose letters are its value, whatever its type: no fraction, which a type may round.
fn is_plain(field: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '@';
    field.chars().all(plain) && field.contains(|c: char| c.is_ascii_alphanumeric())
}

/// A field of some row that suits, and another text for it.
fn field(
    backup: &mut Backup,
    chance: &mut Chance,
    suits: fn(&str) -> bool,
    other: fn(&str, &mut Chance) -> String,
) -> String {
    loop {
        let (id, name) = filled(&backup.dump, chance);
        let lines = backup.dump.rows(id).unwrap();
        let line = chance.below(lines.len());
        let mut fields: Vec<String> = lines[line].split('\t').map(str::to_owned).collect();
        let found: Vec<usize> = (0..fields.len()).filter(|n| suits(&fields[*n])).collect();
        if found.is_empty() {
            continue;
        }
        let at = *chance.of(&found);
        let is = other(&fields[at], chance);
        let told = format!("{name}, row {line}: {is} instead of {}", fields[at]);
        fields[at] = is;
        lines[line] = fields.join("\t");
        return told;
    }
}

fn value(backup: &mut Backup, chance: &mut Chance) -> String {
    field(backup, chance, is_plain, |was, chance| match was {
        // A boolean has more than one way to be true.
        "t" => "f".to_owned(),
        "f" => "t".to_owned(),
        was => chance.other(was),
    })
}

fn null(backup: &mut Backup, chance: &mut Chance) -> String {
    field(
        backup,
        chance,
        |field| field != "\\N",
        |_, _| "\\N".to_owned(),
    )
}

/// Two rows of a table that differ in a column and in another.
fn swapped(backup: &mut Backup, chance: &mut Chance) -> String {
    loop {
        let (id, name) = filled(&backup.dump, chance);
        let lines = backup.dump.rows(id).unwrap();
        let (one, two) = (chance.below(lines.len()), chance.below(lines.len()));
        let split = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        let (mut left, mut right) = (split(&lines[one]), split(&lines[two]));
        let differ: Vec<usize> = (0..left.len()).filter(|n| left[*n] != right[*n]).collect();
        if differ.len() < 2 {
            continue;
        }
        let at = *chance.of(&differ);
        std::mem::swap(&mut left[at], &mut right[at]);
        lines[one] = left.join("\t");
        lines[two] = right.join("\t");
        return format!("{name}, rows {one} and {two}, column {at}");
    }
}

fn columns(backup: &mut Backup, chance: &mut Chance) -> String {
    loop {
        let (id, name) = filled(&backup.dump, chance);
        let lines = backup.dump.rows(id).unwrap();
        let unlike = |line: &String| {
            let fields: Vec<&str> = line.split('\t').collect();
            fields.len() > 1 && fields[0] != fields[1]
        };
        if !lines.iter().any(unlike) {
            continue;
        }
        let entry = backup.dump.entries.iter_mut().find(|e| e.id == id).unwrap();
        let copy = entry.copy.clone().unwrap();
        let (head, rest) = copy.split_once('(').unwrap();
        let (list, tail) = rest.split_once(')').unwrap();
        let mut names: Vec<&str> = list.split(", ").collect();
        names.swap(0, 1);
        entry.copy = Some(format!("{head}({}){tail}", names.join(", ")));
        return name;
    }
}

fn emptied(backup: &mut Backup, chance: &mut Chance) -> String {
    let (id, name) = filled(&backup.dump, chance);
    format!(
        "{name}: {}",
        backup.dump.rows(id).unwrap().drain(..).count()
    )
}

fn missing(backup: &mut Backup, chance: &mut Chance) -> String {
    let (id, name) = filled(&backup.dump, chance);
    let lines = backup.dump.rows(id).unwrap();
    let line = chance.below(lines.len());
    format!("{name}: {}", lines.remove(line))
}

fn doubled(backup: &mut Backup, chance: &mut Chance) -> String {
    let (id, name) = filled(&backup.dump, chance);
    let lines = backup.dump.rows(id).unwrap();
    let line = lines[chance.below(lines.len())].clone();
    lines.push(line.clone());
    format!("{name}: {line}")
}

fn moved(backup: &mut Backup, chance: &mut Chance) -> String {
    let (orders, archive) = alike(&backup.dump);
    let lines = backup.dump.rows(orders).unwrap();
    let line = chance.below(lines.len());
    let line = lines.remove(line);
    backup.dump.rows(archive).unwrap().push(line.clone());
    line
}

fn exchanged(backup: &mut Backup, _: &mut Chance) -> String {
    let (orders, archive) = alike(&backup.dump);
    let first = std::mem::take(backup.dump.rows(orders).unwrap());
    let second = std::mem::replace(backup.dump.rows(archive).unwrap(), first);
    *backup.dump.rows(orders).unwrap() = second;
    "shop.orders and shop.archive".to_owned()
}
