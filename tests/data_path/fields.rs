//! P10: every field of manifest.json and contents.json that something knows is held against it. The list says which (`manifest::held`);
//! here each is written otherwise in a real backup, sealed again, and drilled.

use std::collections::BTreeSet;

use lifeboat::manifest::held::{CONTENTS_JSON, Held, MANIFEST};
use lifeboat::manifest::{Contents, Manifest};
use serde_json::Value;

use crate::mutations::{Order, drilled};
use crate::sealed::{Chance, Sealed};
use crate::spoil_cases::{Case, Must, Sound, Way, sound};

/// How many of a list's values are tried.
const EACH: usize = 2;
/// What a backup of a database in UTF-8 of a server that runs does not have.
const ABSENT: [&str; 2] = ["base.notABase", "settings.locale"];

type Leaf = (String, String);

/// All values of a document, each with its path as the list has it and its pointer.
fn leaves(value: &Value, path: &str, pointer: &str, out: &mut Vec<Leaf>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                let name = key.replace('~', "~0").replace('/', "~1");
                let (path, pointer) = (format!("{path}{dot}{key}"), format!("{pointer}/{name}"));
                leaves(value, &path, &pointer, out);
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter().enumerate() {
                leaves(value, &format!("{path}[]"), &format!("{pointer}/{n}"), out);
            }
        }
        _ => out.push((path.to_owned(), pointer.to_owned())),
    }
}

/// Another value of the same kind.
fn another(value: &Value, chance: &mut Chance) -> Value {
    match value {
        Value::Bool(yes) => Value::Bool(!yes),
        Value::Number(n) => Value::from(n.as_i64().unwrap() + chance.step()),
        Value::String(text) if !text.contains(|c: char| c.is_ascii_alphanumeric()) => {
            Value::from(format!("{text}x"))
        }
        Value::String(text) => Value::from(chance.other(text)),
        other => panic!("{other}"),
    }
}

/// What another version of an extension makes is told by that, and a restore on it is a restore (G18).
fn is_version(path: &str, pointer: &str) -> bool {
    path == "extensions[][]" && pointer.ends_with("/1")
}

/// The document with one value otherwise, where it is still a document and another one.
fn changed<T: serde::de::DeserializeOwned + PartialEq>(
    was: &T,
    json: &Value,
    pointer: &str,
    chance: &mut Chance,
) -> Option<T> {
    let mut json = json.clone();
    let place = json.pointer_mut(pointer).unwrap();
    *place = another(place, chance);
    serde_json::from_value(json).ok().filter(|is| is != was)
}

/// For each field that something knows, some of its values otherwise.
fn cases(sound: &Sound, seed: u64) -> (Vec<Case>, BTreeSet<&'static str>) {
    let mut chance = Chance::new(seed);
    let (manifest, contents) = (&sound.backup.manifest, &sound.backup.contents);
    let manifest_json = serde_json::to_value(manifest).unwrap();
    let contents_json = serde_json::to_value(contents).unwrap();
    let mut cases = Vec::new();
    let mut absent = BTreeSet::new();
    let documents = [
        (true, &manifest_json, MANIFEST),
        (false, &contents_json, CONTENTS_JSON),
    ];
    for (of_manifest, json, list) in documents {
        let mut all = Vec::new();
        leaves(json, "", "", &mut all);
        for (path, held) in list
            .iter()
            .filter(|(_, held)| !matches!(held, Held::Alone(_)))
        {
            // Of `census.*` those that no line of the list names.
            let family = path.strip_suffix('*');
            let named = |of: &str| list.iter().any(|(path, _)| *path == of);
            let mut values: Vec<&Leaf> = (all.iter())
                .filter(|(of, _)| family.map_or(of == path, |f| of.starts_with(f) && !named(of)))
                .filter(|(of, pointer)| !is_version(of, pointer))
                .collect();
            if values.is_empty() {
                absent.insert(*path);
            }
            let wanted = if family.is_some() { values.len() } else { EACH };
            for _ in 0..wanted.min(values.len()) {
                let (of, pointer) = values.swap_remove(chance.below(values.len()));
                let sealed: Option<Sealed> = if of_manifest {
                    let is: Option<Manifest> = changed(manifest, json, pointer, &mut chance);
                    is.map(|manifest| Sealed {
                        manifest,
                        ..sound.backup.seal()
                    })
                } else {
                    let is: Option<Contents> = changed(contents, json, pointer, &mut chance);
                    is.map(|contents| {
                        let mut backup = sound.backup.clone();
                        backup.contents = contents;
                        backup.seal()
                    })
                };
                // One that can be read no more is no backup.
                let Some(sealed) = sealed else { continue };
                cases.push(Case {
                    what: path,
                    name: format!("{of} at {pointer}, {held:?}"),
                    seed,
                    way: Way::Done(Box::new(sealed)),
                    must: Must::NotProve,
                    alone: false,
                    whole: false,
                });
            }
        }
    }
    (cases, absent)
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_every_field_that_something_knows_is_held_against_it() {
    let Order { seed, major, .. } = Order::read();
    println!("LIFEBOAT_SEED={seed} LIFEBOAT_MAJOR={major}");
    let sound = sound(major).await;
    let (cases, absent) = cases(&sound, seed);
    let unknown: Vec<_> = absent
        .iter()
        .filter(|path| !ABSENT.contains(path))
        .collect();
    assert!(unknown.is_empty(), "the backup has no {unknown:?}");
    let all = drilled(sound, cases, major).await;
    let wrong: Vec<&str> = all.iter().filter_map(|s| s.wrong.as_deref()).collect();
    let fields: BTreeSet<&str> = all.iter().map(|said| said.what).collect();
    println!("{} fields, {} tried", fields.len(), all.len());
    assert!(
        wrong.is_empty(),
        "LIFEBOAT_SEED={seed} LIFEBOAT_MAJOR={major}\n{}",
        wrong.join("\n\n")
    );
}
