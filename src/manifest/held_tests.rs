//! Each document, written with all of its fields, walked along the list.

use std::collections::BTreeSet;

use super::*;
use crate::manifest::sample_walk::{leaves, with};
use crate::manifest::samples::{AT, RUN, SHA256, failed, manifest, now, passed};
use crate::manifest::{Beside, Contents, Manifest, Name, Proof, SchemaEntry, Sequence, samples};

type List = [(&'static str, Held)];

fn json(document: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(document).unwrap()
}

/// As the list says it: of a map of free keys those that it knows by name, and all others as one.
pub(crate) fn listed(path: &str, list: &List) -> String {
    let known = list.iter().any(|(known, _)| *known == path);
    match path.split_once('.') {
        Some((map @ ("settings" | "census"), _)) if !known => format!("{map}.*"),
        _ => path.to_owned(),
    }
}

fn assert_listed(what: &str, documents: &[serde_json::Value], list: &List) {
    let mut all = Vec::new();
    for document in documents {
        leaves(document, "", "", &mut all);
    }
    let paths: BTreeSet<String> = all.iter().map(|(path, _)| listed(path, list)).collect();
    let names: BTreeSet<String> = list.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(names.len(), list.len(), "{what}: a field stands twice");
    let forgotten: Vec<_> = paths.difference(&names).collect();
    assert!(
        forgotten.is_empty(),
        "{what}: held against nothing: {forgotten:?}"
    );
    let gone: Vec<_> = names.difference(&paths).collect();
    assert!(
        gone.is_empty(),
        "{what}: no such field, or not set: {gone:?}"
    );
    for (path, held) in list {
        let (Held::Here(why) | Held::Drill(why) | Held::Alone(why)) = held;
        assert!(why.len() > 3, "{what}: {path} has no reason");
    }
}

fn contents() -> Contents {
    let name = |text: &str| Name::Text(text.to_owned());
    let mut contents = samples::contents();
    contents.entries.push(SchemaEntry {
        desc: "TABLE".to_owned(),
        namespace: name("public"),
        tag: name("customers"),
        owner: name("shop"),
        definition: name("CREATE TABLE public.customers ();"),
        access_method: Some("heap".to_owned()),
        tablespace: Some("fast".to_owned()),
    });
    contents.sequences.push(Sequence {
        schema: name("public"),
        name: name("s"),
        last_value: 41,
        is_called: true,
    });
    contents
}

#[test]
fn p10_every_field_of_every_document_is_held_against_something_or_says_why_not() {
    let mut large = manifest();
    large.base.snapshot = None;
    large.base.not_a_base = true;
    assert_listed(
        "manifest.json",
        &[json(&manifest()), json(&large)],
        MANIFEST,
    );
    assert_listed("contents.json", &[json(&contents())], CONTENTS_JSON);
    assert_listed("proof", &[json(&passed()), json(&failed())], PROOF);
}

fn beside<'a>(manifest: &'a Manifest, sha256: &'a str) -> Beside<'a> {
    Beside {
        at: AT,
        run: RUN,
        manifest: Some((manifest, sha256)),
        now: now(),
    }
}

#[test]
fn documents_that_are_sound_contradict_nothing() {
    let manifest = manifest();
    assert_eq!(manifest.contradictions(AT, now()), []);
    let beside = beside(&manifest, SHA256);
    assert_eq!(passed().contradictions(&beside), []);
    assert!(passed().counts(&beside));
    assert_eq!(failed().contradictions(&beside), []);
    assert!(!failed().counts(&beside));
}

/// Whatever is changed in a proof is found, if anything in the bucket can know it.
#[test]
fn p10_a_proof_that_was_changed_in_one_field_contradicts_itself() {
    let manifest = manifest();
    let beside = beside(&manifest, SHA256);
    let documents = [json(&passed()), json(&failed())];
    let mut places = Vec::new();
    for (n, document) in documents.iter().enumerate() {
        let mut all = Vec::new();
        leaves(document, "", "", &mut all);
        places.extend(all.into_iter().map(|(path, at)| (path, n, at)));
    }
    for (path, held) in PROOF {
        let Held::Here(_) = held else { continue };
        let refused = |n: usize, at: &str, last: bool| {
            let Some(changed) = with::<Proof>(&documents[n], at, last) else {
                return true;
            };
            let other = changed.backup.manifest_sha256 != SHA256 && !changed.counts(&beside);
            other || changed.format != 1 || !changed.contradictions(&beside).is_empty()
        };
        // In a drill that failed not everything must be whole.
        let mut all = places.iter().filter(|(of, _, _)| of == path);
        let found = all.any(|(_, n, at)| refused(*n, at, false) || refused(*n, at, true));
        assert!(found, "{path} may say anything");
    }
}
