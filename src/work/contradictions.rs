//! The parts of a backup against each other: a manifest, contents or roles that lie about the dump are told before
//! any of them is believed (P10). Pure.

use std::collections::BTreeSet;

use super::backup::counts;
use crate::manifest::{Contents, Manifest, Name, ProofDifference};
use crate::postgres::{Toc, globals, witness};

/// Where they contradict each other.
#[must_use]
pub fn contradictions(
    manifest: &Manifest,
    contents: &Contents,
    toc: &Toc,
    roles: &str,
) -> Vec<ProofDifference> {
    let mut found = Found::default();
    counted(manifest, contents, &mut found);
    described(manifest, contents, toc, &mut found);
    dumped(contents, toc, &mut found);
    made(contents, roles, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<ProofDifference>);

impl Found {
    fn differs(&mut self, what: &str, object: &str, expected: impl ToString, is: impl ToString) {
        let (expected, found) = (expected.to_string(), is.to_string());
        if expected != found {
            self.0.push(ProofDifference {
                what: what.to_owned(),
                object: object.to_owned(),
                expected,
                found,
            });
        }
    }
}

/// What the manifest counts, against what it counted.
fn counted(manifest: &Manifest, contents: &Contents, found: &mut Found) {
    let says = &manifest.counts;
    let is = counts(contents, &manifest.objects);
    for (what, says, is) in [
        ("tables", says.tables, is.tables),
        ("rows", says.rows, is.rows),
        ("sequences", says.sequences, is.sequences),
        ("things left out", says.left_out, is.left_out),
        ("large objects", says.large_objects, is.large_objects),
        ("bytes of the dump", says.raw_bytes, is.raw_bytes),
        ("stored bytes", says.stored_bytes, is.stored_bytes),
    ] {
        found.differs("manifest", what, says, is);
    }
}

/// What the manifest says of the server and of encryption.
fn described(manifest: &Manifest, contents: &Contents, toc: &Toc, found: &mut Found) {
    let server = &manifest.server;
    // `15.13 (Debian 15.13-1)` is what distributions make of a version.
    let word = |text: &str| text.split(' ').next().unwrap_or("").to_owned();
    for (name, says) in [
        ("server_version", &server.version),
        ("server_encoding", &server.encoding),
    ] {
        let is = contents.settings.get(name).map_or("", String::as_str);
        found.differs("manifest", name, word(says), word(is));
    }
    // A pooler may know another minor version of the server than the server itself.
    let major = |version: &str| version.split(['.', ' ']).next().unwrap_or("").to_owned();
    let is = major(&toc.server_version);
    found.differs("manifest", "major of the server", server.major, is);
    found.differs(
        "manifest",
        "version of pg_dump",
        word(&server.pg_dump_version),
        word(&toc.dump_version),
    );
    if let Some(data_at) = contents.data_at {
        found.differs("manifest", "recovery point", manifest.data_at, data_at);
    }
    let age = manifest.objects.iter().all(|o| o.name.contains(".age"));
    let is = if age { "age" } else { "none" };
    found.differs("manifest", "encryption", &manifest.encryption.method, is);
}

/// What contents.json says of the dump.
fn dumped(contents: &Contents, toc: &Toc, found: &mut Found) {
    let objects = contents.census.get("largeObjects").is_some_and(|n| *n > 0);
    if objects && contents.line_key.is_some() && contents.large_objects.is_none() {
        found.differs("contents.json", "large objects", "their hash", "none");
    }
    let mut dumped = Contents {
        relations: contents.relations.clone(),
        ..Contents::default()
    };
    if let Err(error) = witness::record(&mut dumped, toc) {
        return found.differs("contents.json", "dump", "readable", error);
    }
    let same = |same: bool, count: usize| match same {
        true => count.to_string(),
        false => format!("{count}, not the same"),
    };
    let (says, is) = (&contents.entries, &dumped.entries);
    let object = "entries of the dump";
    found.differs(
        "contents.json",
        object,
        same(true, says.len()),
        same(says == is, is.len()),
    );
    let (says, is) = (&contents.sequences, &dumped.sequences);
    let object = "sequences of the dump";
    found.differs(
        "contents.json",
        object,
        same(true, says.len()),
        same(says == is, is.len()),
    );
    for (says, is) in contents.relations.iter().zip(&dumped.relations) {
        let text = |through: &Option<(Name, Name)>| match through {
            Some((schema, name)) => format!("through {}.{}", schema.display(), name.display()),
            None => "by itself".to_owned(),
        };
        let object = format!(
            "{}.{} is loaded",
            says.schema.display(),
            says.name.display()
        );
        found.differs(
            "contents.json",
            &object,
            text(&says.loaded_through),
            text(&is.loaded_through),
        );
    }
    if let Err(error) = witness::compare(contents, toc) {
        found.differs("contents.json", "tables of the dump", "all", error);
    }
    for left in &contents.left_out {
        let data = toc.entries.iter().any(|e| {
            e.desc == "TABLE DATA"
                && e.has_data
                && (&e.namespace, &e.tag) == (&left.schema, &left.name)
        });
        if data {
            let object = format!("{}.{}", left.schema.display(), left.name.display());
            found.differs("contents.json", &object, "not in the dump", "in it");
        }
    }
}

/// What contents.json says of the roles, against the statements that make them; passwords stand in those alone.
fn made(contents: &Contents, roles: &str, found: &mut Found) {
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
        found.differs("roles", line, says, is);
    }
}
