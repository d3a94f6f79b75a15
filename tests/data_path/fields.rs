//! P10: one value of one document is another, and everything else is true. Every field of a real manifest.json and
//! contents.json is changed in turn, and sealed again so that every digest and size fits: no drill may prove it, unless
//! the field stands here among those that claim nothing of the data.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat::manifest::held::{CONTENTS_JSON, Held, MANIFEST, PROOF};
use lifeboat::manifest::{self, Beside, Proof};
use lifeboat::postgres::{Toc, TocParser};
use lifeboat::report::{self, Source, Standing};
use lifeboat::work::clock::now;
use lifeboat::work::contradictions::{contradictions, documents};
use serde_json::Value;

use crate::leaves::{Place, leaves, others, spread};
use crate::mutations::drilled;
use crate::sealed::{Backup, Sealed};
use crate::spoil_cases::{Case, Must, Sound, Way, sound};

const MAJOR: i32 = 15;
/// Of each field so many places are looked at without a server, from its first to its last.
const LOOKED_AT: usize = 16;
/// And so many are drilled, of each way in which no document told it.
const DRILLED: usize = 2;

/// Fields that may say something else in a proven backup: those whose value or place begins so, and why that proves nothing
/// wrong. Everything else must be told.
const CLAIM_NOTHING: &[(Document, &str, &str, &str)] = &[
    (Manifest, "backup", "", "a name for people"),
    (
        Manifest,
        "base.position.lsn",
        "",
        "of a server that is not here",
    ),
    (
        Manifest,
        "base.position.nextXid",
        "",
        "of a server that is not here",
    ),
    (
        Manifest,
        "base.snapshot.xmax",
        "",
        "of a server that is not here",
    ),
    (
        Manifest,
        "base.snapshot.xmin",
        "",
        "of a server that is not here",
    ),
    (
        Manifest,
        "base.systemIdentifier",
        "",
        "of a server that is not here",
    ),
    (
        Manifest,
        "base.timeline",
        "",
        "of a server that is not here",
    ),
    (
        Manifest,
        "finishedAt",
        "",
        "a time, and clocks differ: held within a day of the others",
    ),
    (Manifest, "lifeboatVersion", "", "who wrote it"),
    (
        Manifest,
        "namespace",
        "",
        "an object of the cluster, which may be gone",
    ),
    (
        Manifest,
        "podUid",
        "",
        "of a pod that is gone: the folder has its beginning, which is held",
    ),
    (
        Manifest,
        "policy",
        "",
        "an object of the cluster, which may be gone",
    ),
    (
        Manifest,
        "policyUid",
        "",
        "an object of the cluster, which may be gone",
    ),
    (
        Manifest,
        "server.databaseBytes",
        "",
        "bytes on a disk that is not here",
    ),
    (
        Manifest,
        "startedAt",
        "",
        "a time, and clocks differ: held within a day of the others",
    ),
    (Manifest, "tiers[]", "", "the policy's wish"),
    (
        Contents,
        "extensions[][]",
        "1.",
        "a version: another one is a note of the drill",
    ),
    (
        Contents,
        "beyondFilter[].hash",
        "/beyondFilter/0/",
        "of rows of config.jobs: that no dump holds them was accepted",
    ),
    (
        Contents,
        "leftOut[].name",
        "index ",
        "of one that is in no dump: that there is one, the census counts",
    ),
    (Contents, "leftOut[].why", "", "words for people"),
    (
        Contents,
        "settings.server_version",
        "",
        "what a distribution adds to the number, which is held",
    ),
    (
        Contents,
        "settings.*",
        "",
        "how the source was set: a drill sets its server so, or names what it does not take",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Document {
    Manifest,
    Contents,
}

use Document::{Contents, Manifest};

/// What the documents of a backup say, and all that they are held against without a server.
struct Truth {
    backup: Backup,
    sealed: Sealed,
    manifest: Value,
    contents: Value,
    toc: Toc,
}

/// One field that says something else.
struct Change {
    document: Document,
    place: Place,
    how: &'static str,
    was: Value,
    is: Value,
}

impl Truth {
    fn of(sound: &Sound) -> Self {
        let backup = sound.backup.clone();
        let sealed = backup.seal();
        let mut toc = TocParser::new();
        toc.push(&backup.dump.print()).unwrap();
        Self {
            manifest: serde_json::to_value(&sealed.manifest).unwrap(),
            contents: serde_json::to_value(&backup.contents).unwrap(),
            toc: toc.finish().unwrap(),
            backup,
            sealed,
        }
    }

    fn document(&self, document: Document) -> &Value {
        match document {
            Manifest => &self.manifest,
            Contents => &self.contents,
        }
    }

    /// Every way in which one field could say something else.
    fn changes(&self) -> Vec<Change> {
        let mut all = Vec::new();
        for document in [Manifest, Contents] {
            let mut places = Vec::new();
            leaves(self.document(document), "", "", &mut places);
            let mut fields: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
            for place in &places {
                fields.entry(&place.0).or_default().push(place);
            }
            for places in fields.values() {
                for place in spread(places, LOOKED_AT) {
                    let was = self.document(document).pointer(&place.1).unwrap();
                    for (how, is) in others(was) {
                        let (place, was) = ((*place).clone(), was.clone());
                        all.push(Change {
                            document,
                            place,
                            how,
                            was,
                            is,
                        });
                    }
                }
            }
        }
        all
    }

    /// Its documents with changes in them; `None`: one of them can be read no more, which a drill says.
    fn with(&self, changes: &[&Change]) -> Option<(manifest::Manifest, manifest::Contents)> {
        let (mut manifest, mut contents) = (self.manifest.clone(), self.contents.clone());
        for change in changes {
            let document = match change.document {
                Manifest => &mut manifest,
                Contents => &mut contents,
            };
            *document.pointer_mut(&change.place.1).unwrap() = change.is.clone();
        }
        let manifest = manifest::Manifest::parse(&serde_json::to_vec(&manifest).unwrap()).ok()?;
        let contents: manifest::Contents = serde_json::from_value(contents).ok()?;
        (contents.format == 1).then_some((manifest, contents))
    }

    /// Whether it is told before anything is restored.
    fn is_told(&self, change: &Change) -> bool {
        let Some((manifest, contents)) = self.with(&[change]) else {
            return true;
        };
        let at = &self.sealed.manifest.prefix;
        let globals = &self.backup.globals;
        !documents(&manifest, &contents, at, now()).is_empty()
            || !contradictions(&manifest, &contents, &self.toc, globals).is_empty()
    }

    /// Sealed again with changes in it.
    fn sealed(&self, changes: &[&Change]) -> Sealed {
        let of = |document| changes.iter().filter(move |c| c.document == document);
        let in_contents: Vec<&Change> = of(Contents).copied().collect();
        let (_, contents) = self.with(&in_contents).unwrap();
        let backup = Backup {
            contents,
            ..self.backup.clone()
        };
        let mut sealed = backup.seal();
        let mut manifest = serde_json::to_value(&sealed.manifest).unwrap();
        for change in of(Manifest) {
            *manifest.pointer_mut(&change.place.1).unwrap() = change.is.clone();
        }
        sealed.manifest = serde_json::from_value(manifest).unwrap();
        sealed
    }
}

impl Change {
    /// The line of the list that lets it say something else.
    fn excused(&self) -> Option<usize> {
        let of = match self.document {
            Manifest => MANIFEST,
            Contents => CONTENTS_JSON,
        };
        let field = listed(&self.place.0, of);
        let was = self.was.as_str().unwrap_or_default();
        CLAIM_NOTHING
            .iter()
            .position(|(document, path, begins, _)| {
                let at = was.starts_with(begins) || self.place.1.starts_with(begins);
                *document == self.document && *path == field && at
            })
    }

    fn shown(&self) -> String {
        let Self {
            document,
            how,
            was,
            is,
            ..
        } = self;
        format!("{document:?} {} {how}: {was} -> {is}", self.place.1)
    }
}

/// As the list of what is held says it: of a map of free keys those that it knows by name, and all others as one.
fn listed(field: &str, list: &[(&str, Held)]) -> String {
    let known = list.iter().any(|(known, _)| *known == field);
    match field.split_once('.') {
        Some((map @ ("settings" | "census"), _)) if !known => format!("{map}.*"),
        _ => field.to_owned(),
    }
}

fn case(name: String, sealed: Sealed, must: Must) -> Case {
    Case {
        what: "field",
        name,
        seed: 0,
        way: Way::Sealed(Box::new(sealed)),
        must,
        alone: false,
        whole: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_no_field_of_a_proven_backup_may_say_something_else() {
    let sound = sound(MAJOR).await;
    let truth = Truth::of(&sound);
    let changes = truth.changes();
    let untold: Vec<&Change> = changes.iter().filter(|c| !truth.is_told(c)).collect();
    println!(
        "{} of {} are not told without a server",
        untold.len(),
        changes.len()
    );

    let mut claims: BTreeMap<(Document, &str), Vec<&Change>> = BTreeMap::new();
    let mut silent: BTreeMap<&str, &Change> = BTreeMap::new();
    let mut needed = BTreeSet::new();
    for change in untold {
        let field = change.place.0.as_str();
        match change.excused() {
            Some(line) => {
                needed.insert(line);
                silent.insert(field, change);
            }
            None => claims
                .entry((change.document, field))
                .or_default()
                .push(change),
        }
    }
    let idle = (0..CLAIM_NOTHING.len()).filter(|line| !needed.contains(line));
    let idle: Vec<_> = idle.map(|line| CLAIM_NOTHING[line]).collect();
    assert!(idle.is_empty(), "told all the same: {idle:?}");

    // All that claims nothing says something else at once, and it is proven nevertheless.
    let silent: Vec<&Change> = silent.into_values().collect();
    let name = "all that claims nothing".to_owned();
    let mut cases = vec![case(name, truth.sealed(&silent), Must::Prove)];
    for all in claims.values() {
        let drilled = spread(all, DRILLED);
        cases.extend(drilled.map(|c| case(c.shown(), truth.sealed(&[c]), Must::NotProve)));
    }
    println!("{} fields are drilled, {} times", claims.len(), cases.len());
    let manifest = truth.sealed(&silent).manifest;
    let all = drilled(sound, cases, MAJOR).await;
    let wrong: Vec<&str> = all.iter().filter_map(|s| s.wrong.as_deref()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));

    let proofs = all.iter().filter_map(|said| said.proof.as_ref());
    let passed = proofs.clone().find(|proof| proof.proves).unwrap();
    fields_of_a_proof(passed, &manifest);
}

/// Fields of a proof that may say something else although it is one field of a proof that counts: what they are besides
/// [`Held::Alone`].
const OF_A_PROOF: &[(&str, &str)] = &[
    (
        "backup.prefix",
        "a copy may lie elsewhere: the folder's name is held",
    ),
    ("finishedAt", "a time: held within a day"),
    (
        "phases[].seconds",
        "measured: held within what all of them took",
    ),
    ("rpo.seconds", "measured: held within a second"),
    ("rto.seconds", "measured: held within what its parts took"),
    ("server.version", "of the scratch server: its major is held"),
    ("startedAt", "a time: held within a second of rpo"),
];

/// `report` shows a proof, whatever it says, and no proof counts that says something else.
fn fields_of_a_proof(proof: &Proof, manifest: &manifest::Manifest) {
    let document = serde_json::to_value(proof).unwrap();
    let sha256 = &proof.backup.manifest_sha256;
    let beside = Beside {
        at: &manifest.prefix,
        run: &proof.run,
        manifest: Some((manifest, sha256)),
        now: now(),
    };
    assert!(proof.counts(&beside));
    let source = Source {
        place: "memory".to_owned(),
        key: String::new(),
        sha256: sha256.clone(),
        standing: Standing::AsDrilled,
    };
    let mut places = Vec::new();
    leaves(&document, "", "", &mut places);
    let mut fields: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    for place in &places {
        fields.entry(&place.0).or_default().push(place);
    }
    let mut may = BTreeSet::new();
    for (field, places) in fields {
        for place in spread(&places, LOOKED_AT) {
            for (_, is) in others(document.pointer(&place.1).unwrap()) {
                let mut changed = document.clone();
                *changed.pointer_mut(&place.1).unwrap() = is;
                let Ok(changed) = serde_json::from_value::<Proof>(changed) else {
                    continue;
                };
                let page = report::drill(&changed, &source);
                assert!(!page.markdown().is_empty() && !page.html().is_empty());
                if changed.format == 1 && changed.counts(&beside) {
                    may.insert(field);
                }
            }
        }
    }
    let alone = |field: &str| {
        PROOF
            .iter()
            .any(|(f, held)| *f == field && matches!(held, Held::Alone(_)))
    };
    may.retain(|field| !alone(field));
    let listed: BTreeSet<&str> = OF_A_PROOF.iter().map(|(field, _)| *field).collect();
    assert_eq!(may, listed);
}
