//! The parts of a backup against each other: a manifest, contents or roles that lie about the dump are told before
//! any of them is believed (P10). Pure. [`crate::manifest::held`] lists every field and what it is held against.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::counts::counts;
use super::left_out::{left_out, of_extensions, relations_of_extensions};
use super::shapes::shapes;
use crate::api::rules::major_of;
use crate::manifest::{Contents, Lies, Manifest, Name, ObjectRole, ProofDifference, Relation};
use crate::postgres::{Toc, globals, witness};

/// Where manifest and contents contradict each other or the folder `at` in which they lie. No server is needed to know,
/// and no program: so it is known before any is looked for.
#[must_use]
pub fn documents(
    manifest: &Manifest,
    contents: &Contents,
    at: &str,
    now: Timestamp,
) -> Vec<ProofDifference> {
    let mut found = manifest.contradictions(at, now);
    let mut lies = Lies::of("manifest");
    counted(manifest, contents, &mut lies);
    described(manifest, contents, &mut lies);
    named(manifest, &mut lies);
    found.extend(lies.all());
    let mut lies = Lies::of("contents.json");
    recorded(contents, &mut lies);
    found.extend(lies.all());
    found
}

/// Where they contradict the dump, or the roles.
#[must_use]
pub fn contradictions(
    manifest: &Manifest,
    contents: &Contents,
    toc: &Toc,
    roles: &str,
) -> Vec<ProofDifference> {
    let mut lies = Lies::of("manifest");
    header(manifest, toc, &mut lies);
    let mut found = lies.all();
    let mut lies = Lies::of("contents.json");
    dumped(contents, toc, &mut lies);
    extensions(contents, toc, &mut lies);
    found.extend(lies.all());
    let mut lies = Lies::of("roles");
    made(contents, roles, &mut lies);
    found.extend(lies.all());
    found
}

/// The first of them, as a sentence.
#[must_use]
pub fn sentence(lies: &[ProofDifference]) -> Option<String> {
    let first = lies.first()?;
    let more = match lies.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Some(format!(
        "{} {}: {}, but {}{more}",
        first.what, first.object, first.expected, first.found
    ))
}

/// What the manifest counts, against what it counted.
fn counted(manifest: &Manifest, contents: &Contents, lies: &mut Lies) {
    let says = &manifest.counts;
    let is = counts(contents, &manifest.objects);
    for (what, says, is) in [
        ("tables", says.tables, is.tables),
        ("rows", says.rows, is.rows),
        ("sequences", says.sequences, is.sequences),
        ("things left out", says.left_out, is.left_out),
        ("large objects", says.large_objects, is.large_objects),
    ] {
        lies.differs(what, says, is);
    }
}

/// What the manifest says of the server, against contents.json.
fn described(manifest: &Manifest, contents: &Contents, lies: &mut Lies) {
    let server = &manifest.server;
    let setting = |name: &str| contents.settings.get(name).map_or("", String::as_str);
    for (name, says) in [
        ("server_version", &server.version),
        ("server_encoding", &server.encoding),
    ] {
        lies.differs(name, word(says), word(setting(name)));
    }
    let is = major_of(setting("server_version")).unwrap_or_default();
    lies.differs("major of the server", server.major, is);
    // Backups of earlier versions have it in the manifest alone.
    if contents.data_at.is_some() || contents.members.is_some() {
        let is = contents
            .data_at
            .map_or("none".to_owned(), |at| at.to_string());
        lies.differs("recovery point", manifest.data_at, is);
    }
}

/// `15.13 (Debian 15.13-1)` is what distributions make of a version.
fn word(text: &str) -> &str {
    text.split(' ').next().unwrap_or("")
}

/// Every object that a backup needs is named, each as often as there may be one.
fn named(manifest: &Manifest, lies: &mut Lies) {
    let count = |role: ObjectRole| manifest.objects.iter().filter(|o| o.role == role).count();
    lies.differs("contents.json", count(ObjectRole::Contents), 1);
    lies.differs("globals.sql", count(ObjectRole::Globals), 1);
    let dump = count(ObjectRole::Dump);
    lies.must(dump > 0, "dump", dump, "a backup has a dump");
}

/// What contents.json says of itself.
fn recorded(contents: &Contents, lies: &mut Lies) {
    let key = contents.line_key.is_some();
    let objects = contents.census.get("largeObjects").copied();
    let objects = objects.unwrap_or_default();
    if let Some(large) = &contents.large_objects {
        lies.differs("number of large objects", large.count, objects);
    } else if key && objects > 0 {
        lies.differs("large objects", "their hash", "none");
    }
    let hashed = contents.relations.iter().find(|r| r.hash.is_some());
    if let (Some(table), false) = (hashed, key) {
        lies.differs(
            "key of the hashes",
            "none",
            format!("a hash of {}", full(table)),
        );
    }
    let mut names: BTreeSet<(&Name, &Name)> = BTreeSet::new();
    for relation in &contents.relations {
        let once = names.insert((&relation.schema, &relation.name));
        lies.must(once, &full(relation), "twice", "once");
        let whole =
            relation.rows.is_some() && relation.columns.is_some() && relation.bytes.is_some();
        let object = format!("hash of {}", full(relation));
        let rule = "without rows, columns or bytes";
        lies.must(relation.hash.is_none() || whole, &object, "there", rule);
        lines_add_up(relation, lies);
    }
    shapes(contents, lies);
    left_out(contents, lies);
    of_extensions(contents, lies);
    relations_of_extensions(contents, lies);
    for role in &contents.roles {
        // Statements stand line by line, so a name of several lines is in none.
        let name = format!("\"{}\"", role.name.replace('"', "\"\""));
        let one = role.statements.iter().any(|s| s.contains(&name));
        let named = one || role.name.contains(['\n', '\r']);
        lies.must(named, "role", &role.name, "no statement of it names it");
    }
    if let Some(source) = &contents.source {
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '/';
        let real = !source.host.is_empty() && source.host.chars().all(plain) && source.port > 0;
        let says = format!("{}:{}", source.host, source.port);
        lies.must(real, "source", says, "no server can be reached there");
    }
}

/// The hashes of single lines, where they are kept: they add up to the hash, and there is one for each row (G4).
fn lines_add_up(relation: &Relation, lies: &mut Lies) {
    let Some(lines) = &relation.lines else { return };
    let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let object = format!("lines of {}", full(relation));
    lies.differs(&object, count, relation.rows.unwrap_or_default());
    let number = |hex: &String| u128::from_str_radix(hex, 16).ok();
    let sum = lines
        .iter()
        .try_fold(0_u128, |sum, line| Some(sum.wrapping_add(number(line)?)));
    let sum = sum.map_or("no numbers".to_owned(), |sum| format!("{sum:032x}"));
    let hash = relation.hash.clone().unwrap_or_default();
    lies.differs(&object, sum, hash);
}

fn full(relation: &Relation) -> String {
    format!("{}.{}", relation.schema.display(), relation.name.display())
}

/// What the manifest says of the server, against what pg_dump wrote at the beginning of the dump.
fn header(manifest: &Manifest, toc: &Toc, lies: &mut Lies) {
    let server = &manifest.server;
    // A pooler may know another minor version of the server than the server itself.
    let is = major_of(&toc.server_version).unwrap_or_default();
    lies.differs("major of the server", server.major, is);
    let version = word(&server.pg_dump_version);
    lies.differs("version of pg_dump", version, word(&toc.dump_version));
    // Not in UTF8 its name may be written in other bytes than the manifest's.
    if let Name::Text(name) = &toc.database
        && (server.encoding == "UTF8" || name.is_ascii())
    {
        lies.differs("database", &server.database, name);
    }
    let entry = toc.entries.iter().find(|e| e.desc == "DATABASE");
    let sql = entry.map(|e| e.definition.display()).unwrap_or_default();
    if let Some(encoding) = encoding_of(&sql) {
        lies.differs("encoding", &server.encoding, encoding);
    }
}

/// `CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C';` → UTF8. The name may hold anything, the
/// locale stands behind it.
fn encoding_of(sql: &str) -> Option<&str> {
    let (_, rest) = sql.split_once(" WITH TEMPLATE = template0 ENCODING = '")?;
    rest.split_once('\'').map(|(encoding, _)| encoding)
}

/// What contents.json says of the dump.
fn dumped(contents: &Contents, toc: &Toc, lies: &mut Lies) {
    let mut dumped = Contents {
        relations: contents.relations.clone(),
        ..Contents::default()
    };
    if let Err(error) = witness::record(&mut dumped, toc) {
        return lies.differs("dump", "readable", error);
    }
    let same = |same: bool, count: usize| match same {
        true => count.to_string(),
        false => format!("{count}, not the same"),
    };
    let (says, is) = (&contents.entries, &dumped.entries);
    let count = same(says == is, is.len());
    lies.differs("entries of the dump", same(true, says.len()), count);
    let (says, is) = (&contents.sequences, &dumped.sequences);
    let count = same(says == is, is.len());
    lies.differs("sequences of the dump", same(true, says.len()), count);
    for (says, is) in contents.relations.iter().zip(&dumped.relations) {
        let text = |through: &Option<(Name, Name)>| match through {
            Some((schema, name)) => format!("through {}.{}", schema.display(), name.display()),
            None => "by itself".to_owned(),
        };
        let object = format!("{} is loaded", full(says));
        let (says, is) = (text(&says.loaded_through), text(&is.loaded_through));
        lies.differs(&object, says, is);
    }
    if let Err(error) = witness::compare(contents, toc) {
        lies.differs("tables of the dump", "all", error);
    }
    let data: BTreeSet<(&Name, &Name)> = toc
        .entries
        .iter()
        .filter(|e| e.desc == "TABLE DATA" && e.has_data)
        .map(|e| (&e.namespace, &e.tag))
        .collect();
    for left in &contents.left_out {
        if data.contains(&(&left.schema, &left.name)) {
            let object = format!("{}.{}", left.schema.display(), left.name.display());
            lies.differs(&object, "not in the dump", "in it");
        }
    }
}

/// The dump names extensions too, but not those that the server's own initdb made.
fn extensions(contents: &Contents, toc: &Toc, lies: &mut Lies) {
    let says: BTreeSet<&str> = contents
        .extensions
        .iter()
        .map(|(n, _)| n.as_str())
        .collect();
    for entry in toc.entries.iter().filter(|e| e.desc == "EXTENSION") {
        let name = entry.tag.display();
        let object = format!("extension {name}");
        let there = says.contains(name.as_str());
        lies.must(there, &object, "not there", "in the dump");
    }
}

/// What contents.json says of the roles, against the statements that make them; passwords stand in those alone.
fn made(contents: &Contents, roles: &str, lies: &mut Lies) {
    let says: BTreeSet<&str> = contents
        .roles
        .iter()
        .flat_map(|role| &role.statements)
        .map(String::as_str)
        .collect();
    let statements = globals::lines(roles);
    let is: BTreeSet<&str> = statements
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with("--") && !globals::is_password(line))
        .collect();
    for line in says.symmetric_difference(&is) {
        let (says, is) = match says.contains(line) {
            true => ("there", "missing"),
            false => ("missing", "there"),
        };
        lies.differs(line, says, is);
    }
}

#[cfg(test)]
#[path = "contradictions_tests.rs"]
mod tests;
