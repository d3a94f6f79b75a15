//! What may be wrong with the roles of a backup, and with its manifest.

use lifeboat::manifest::{Manifest, ObjectRole};

use crate::sealed::{Backup, Chance};
use crate::spoil_cases::Spoil;

/// Each by what it changes, and its name.
pub const OF_THE_ROLES: &[(&str, &str, Spoil)] = &[
    ("role attribute", "one more", |b, c| {
        let attribute = *c.of(&["CREATEROLE", "REPLICATION", "BYPASSRLS", "SUPERUSER"]);
        let line = format!("ALTER ROLE \"shop_reader\" WITH {attribute};");
        insert(b, &line)
    }),
    ("role attribute", "missing", |b, c| {
        take(b, c, |line| line.starts_with("ALTER ROLE \"shop_"))
    }),
    ("role attribute", "a letter or digit", |b, c| {
        change(
            b,
            c,
            |line| line.starts_with("ALTER ROLE \"shop_"),
            |line, c| c.other(line),
        )
    }),
    ("role attribute", "may log in", |b, c| {
        let login = |line: &str| line.starts_with("ALTER ROLE \"shop_") && line.contains("LOGIN;");
        change(b, c, login, |line, _| match line.contains("NOLOGIN") {
            true => line.replace("NOLOGIN", "LOGIN"),
            false => line.replace("LOGIN", "NOLOGIN"),
        })
    }),
    ("role attribute", "its comment", |b, c| {
        let comment = |line: &str| line.starts_with("COMMENT ON ROLE ");
        change(b, c, comment, |line, c| {
            let (head, words) = line.split_once(" IS ").unwrap();
            format!("{head} IS {}", c.other(words))
        })
    }),
    ("label", "of a role", |b, c| {
        let label = |line: &str| line.starts_with("SECURITY LABEL ");
        change(b, c, label, |line, c| {
            let (head, words) = line.split_once(" IS ").unwrap();
            format!("{head} IS {}", c.other(words))
        })
    }),
    ("label", "of a role missing", |b, c| {
        take(b, c, |line| line.starts_with("SECURITY LABEL "))
    }),
    ("role", "missing", |b, c| {
        let role = *c.of(&["\"shop_reader\"", "\"shop_app\"", "\"shop_group\""]);
        let lines = b.globals.lines().filter(|line| !line.contains(role));
        b.globals = lines.map(|line| format!("{line}\n")).collect();
        role.to_owned()
    }),
    ("role", "one more", |b, _| {
        insert(b, "CREATE ROLE \"nobody_knows\";")
    }),
    ("membership", "missing", |b, c| {
        take(b, c, |line| line.starts_with("GRANT "))
    }),
    ("membership", "one more", |b, _| {
        insert(b, "GRANT \"shop_group\" TO \"shop_reader\";")
    }),
    ("membership", "to give on", |b, c| {
        let may = |line: &str| line.contains("ADMIN OPTION") || line.contains("ADMIN TRUE");
        let grant = |line: &str| line.starts_with("GRANT ") && !may(line);
        change(b, c, grant, |line, _| match line.contains("ADMIN FALSE") {
            true => line.replace("ADMIN FALSE", "ADMIN TRUE"),
            false => line.replace(';', " WITH ADMIN OPTION;"),
        })
    }),
];

/// Changes a manifest and says how.
pub type Lie = fn(&mut Manifest, &mut Chance) -> String;

/// Each by what it changes, and its name.
pub const OF_THE_MANIFEST: &[(&str, &str, Lie)] = &[
    ("count", "tables in the manifest", |m, c| {
        more(&mut m.counts.tables, c)
    }),
    ("count", "rows in the manifest", |m, c| {
        more(&mut m.counts.rows, c)
    }),
    ("count", "sequences in the manifest", |m, c| {
        more(&mut m.counts.sequences, c)
    }),
    ("count", "things left out in the manifest", |m, c| {
        more(&mut m.counts.left_out, c)
    }),
    ("count", "large objects in the manifest", |m, c| {
        more(&mut m.counts.large_objects, c)
    }),
    ("count", "bytes of the dump in the manifest", |m, c| {
        more(&mut m.counts.raw_bytes, c)
    }),
    ("count", "stored bytes in the manifest", |m, c| {
        more(&mut m.counts.stored_bytes, c)
    }),
    ("count", "bytes of an object", |m, c| {
        let at = c.below(m.objects.len());
        more(&mut m.objects[at].bytes, c)
    }),
    ("count", "bytes of an object before compression", |m, _| {
        let dump = m.objects.iter_mut().find(|o| o.role == ObjectRole::Dump);
        let dump = dump.unwrap();
        dump.raw_bytes += 1;
        dump.name.clone()
    }),
    ("hash", "of an object", |m, c| {
        let at = c.below(m.objects.len());
        m.objects[at].sha256 = c.other_hex(&m.objects[at].sha256);
        m.objects[at].name.clone()
    }),
    ("hash", "of an object before compression", |m, c| {
        let at = c.below(m.objects.len());
        let hash = m.objects[at].raw_sha256.clone().unwrap();
        m.objects[at].raw_sha256 = Some(c.other_hex(&hash));
        m.objects[at].name.clone()
    }),
    ("version", "of the server, in the manifest", |m, c| {
        m.server.version = c.other(&m.server.version);
        m.server.version.clone()
    }),
    ("major", "in the manifest", |m, c| {
        let others: Vec<i32> = (13..20).filter(|n| *n != m.server.major).collect();
        m.server.major = *c.of(&others);
        m.server.major.to_string()
    }),
    ("major", "in the manifest, with the version", |m, c| {
        let others: Vec<i32> = (13..20).filter(|n| *n != m.server.major).collect();
        m.server.major = *c.of(&others);
        m.server.version = format!("{}.1", m.server.major);
        m.server.version.clone()
    }),
    ("date", "long after now", |m, c| {
        let at = "2099-01-01T00:00:00Z".parse().unwrap();
        match c.below(4) {
            0 => m.started_at = at,
            1 => m.data_at = at,
            2 => m.finished_at = at,
            _ => m.due = at,
        }
        at.to_string()
    }),
    ("date", "begun after its end", |m, c| {
        let later = jiff::SignedDuration::from_secs(c.step().abs());
        m.started_at = m.finished_at + later;
        m.started_at.to_string()
    }),
    ("date", "another recovery point", |m, c| {
        m.data_at += jiff::SignedDuration::from_secs(c.step());
        m.data_at.to_string()
    }),
    ("place", "another directory", |m, c| {
        m.directory = c.other(&m.directory);
        m.directory.clone()
    }),
    ("place", "another pod", |m, c| {
        m.pod_uid = format!("{}{}", c.other_hex(&m.pod_uid[..8]), &m.pod_uid[8..]);
        m.pod_uid.clone()
    }),
    ("place", "another due time", |m, c| {
        m.due -= jiff::SignedDuration::from_hours(c.step().abs());
        m.due.to_string()
    }),
    ("place", "another engine", |m, c| {
        m.engine = c.other(&m.engine);
        m.engine.clone()
    }),
    ("place", "a policy without its uid", |m, _| {
        m.policy_uid.clear();
        String::new()
    }),
    ("base", "no snapshot", |m, _| {
        m.base.snapshot = None;
        String::new()
    }),
    ("base", "a standby", |m, _| {
        m.base.in_recovery = !m.base.in_recovery;
        String::new()
    }),
    ("base", "transaction ids out of order", |m, c| {
        let ids = m.base.snapshot.as_mut().unwrap();
        ids.xmin = format!("9{}", ids.xmax);
        c.step().to_string()
    }),
    ("recipients", "of what is not encrypted", |m, _| {
        m.encryption.recipients.push("age1somebody".to_owned());
        String::new()
    }),
    ("version", "of pg_dump", |m, c| {
        m.server.pg_dump_version = c.other(&m.server.pg_dump_version);
        m.server.pg_dump_version.clone()
    }),
    ("setting", "the encoding, in the manifest", |m, c| {
        m.server.encoding = c.other(&m.server.encoding);
        m.server.encoding.clone()
    }),
    (
        "property of the database",
        "its name, in the manifest",
        |m, c| {
            m.server.database = c.other(&m.server.database);
            m.server.database.clone()
        },
    ),
    ("encryption", "how", |m, _| {
        m.encryption.method = "age".to_owned();
        String::new()
    }),
    ("object", "not named", |m, c| {
        let at = c.below(m.objects.len());
        m.objects.remove(at).name
    }),
    ("object", "of another role", |m, c| {
        let at = c.below(m.objects.len());
        let roles = [ObjectRole::Dump, ObjectRole::Globals, ObjectRole::Contents];
        let others: Vec<ObjectRole> = roles
            .into_iter()
            .filter(|r| *r != m.objects[at].role)
            .collect();
        m.objects[at].role = *c.of(&others);
        format!("{:?}", m.objects[at])
    }),
    ("object", "of another name", |m, c| {
        let at = c.below(m.objects.len());
        m.objects[at].name = c.other(&m.objects[at].name);
        m.objects[at].name.clone()
    }),
    ("format", "of the manifest", |m, c| {
        m.format += u32::try_from(c.step().abs()).unwrap();
        m.format.to_string()
    }),
];

fn more(count: &mut i64, chance: &mut Chance) -> String {
    *count += chance.step();
    count.to_string()
}

fn insert(backup: &mut Backup, line: &str) -> String {
    backup.globals.push_str(line);
    backup.globals.push('\n');
    line.to_owned()
}

fn place(
    backup: &Backup,
    chance: &mut Chance,
    suits: impl Fn(&str) -> bool,
) -> (usize, Vec<String>) {
    let lines: Vec<String> = backup.globals.lines().map(str::to_owned).collect();
    // What is said of passwords no drill may know (G17).
    let found = lines.iter().enumerate();
    let found = found.filter(|(_, line)| suits(line) && !line.contains(" WITH PASSWORD "));
    let found: Vec<usize> = found.map(|(at, _)| at).collect();
    (*chance.of(&found), lines)
}

fn take(backup: &mut Backup, chance: &mut Chance, suits: impl Fn(&str) -> bool) -> String {
    let (at, mut lines) = place(backup, chance, suits);
    let gone = lines.remove(at);
    backup.globals = lines.join("\n") + "\n";
    gone
}

fn change(
    backup: &mut Backup,
    chance: &mut Chance,
    suits: impl Fn(&str) -> bool,
    other: impl Fn(&str, &mut Chance) -> String,
) -> String {
    let (at, mut lines) = place(backup, chance, suits);
    lines[at] = other(&lines[at], chance);
    let is = lines[at].clone();
    backup.globals = lines.join("\n") + "\n";
    is
}
