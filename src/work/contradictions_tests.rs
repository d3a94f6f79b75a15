//! Documents that agree, and what is found when one value of one of them is another.

use std::collections::BTreeSet;

use rstest::rstest;

use super::*;
use crate::manifest::held::{CONTENTS_JSON, Held, MANIFEST};
use crate::manifest::sample_walk::{leaves, with};
use crate::manifest::samples::{self, AT, name, now};
use crate::postgres::toc::Entry;

struct Whole {
    manifest: Manifest,
    contents: Contents,
    toc: Toc,
    roles: &'static str,
}

fn entry(desc: &str, schema: &str, tag: &str) -> Entry {
    Entry {
        dump_id: 1,
        has_data: matches!(desc, "TABLE DATA" | "BLOBS"),
        desc: desc.to_owned(),
        namespace: name(schema),
        tag: name(tag),
        owner: name("shop"),
        definition: name("CREATE SOMETHING;"),
        access_method: (desc == "TABLE").then(|| "heap".to_owned()),
        ..Entry::default()
    }
}

fn whole() -> Whole {
    let mut part = entry("TABLE DATA", "public", "orders_2026");
    part.loaded_through = Some((name("public"), name("orders")));
    let mut database = entry("DATABASE", "", "");
    database.definition =
        name("CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C';");
    let mut sequence = entry("SEQUENCE SET", "public", "s");
    sequence.definition = name("SELECT pg_catalog.setval('public.s', 41, true);");
    let toc = Toc {
        format: (1, 16),
        server_version: "17.2 (Debian 17.2-1)".to_owned(),
        dump_version: "17.5 (Debian 17.5-1)".to_owned(),
        database: name("shop"),
        entries: vec![
            database,
            entry("EXTENSION", "", "postgis"),
            entry("TABLE", "public", "customers"),
            entry("TABLE DATA", "public", "customers"),
            entry("TABLE DATA", "public", "spatial"),
            part,
            sequence,
            entry("BLOBS", "", "BLOBS"),
        ],
    };
    let mut contents = samples::contents();
    witness::record(&mut contents, &toc).unwrap();
    Whole {
        manifest: samples::manifest(),
        contents,
        toc,
        roles: "-- words\nCREATE ROLE \"shop\";\nALTER ROLE \"shop\" WITH PASSWORD 'x';\n",
    }
}

impl Whole {
    fn lies(&self) -> Vec<ProofDifference> {
        let mut all = documents(&self.manifest, &self.contents, AT, now());
        all.extend(contradictions(
            &self.manifest,
            &self.contents,
            &self.toc,
            self.roles,
        ));
        all
    }
}

#[test]
fn what_a_backup_writes_contradicts_nothing() {
    assert_eq!(whole().lies(), []);
}

/// A copy of a backup is a backup, wherever it lies.
#[test]
fn a_copy_contradicts_nothing() {
    let whole = whole();
    for at in ["copies/20261121T020000Z-0a1b2c3d4e5f", "rescued", "a/b/c"] {
        assert_eq!(documents(&whole.manifest, &whole.contents, at, now()), []);
    }
    let at = "shop.orders/20261120T020000Z-0a1b2c3d4e5f";
    let lies = documents(&whole.manifest, &whole.contents, at, now());
    assert_eq!(lies[0].object, "folder");
}

/// Whatever is changed in a document is found, if anything but a server can know it.
#[test]
fn p10_one_value_that_is_another_is_found_without_a_server() {
    let whole = self::whole();
    let mut unheld = BTreeSet::new();
    let manifest = serde_json::to_value(&whole.manifest).unwrap();
    let contents = serde_json::to_value(&whole.contents).unwrap();
    for (document, list) in [(&manifest, MANIFEST), (&contents, CONTENTS_JSON)] {
        let mut all = Vec::new();
        leaves(document, "", "", &mut all);
        for (path, held) in list {
            let Held::Here(_) = held else { continue };
            let Some((_, at)) = all.iter().find(|(of, _)| of == path) else {
                // A flag that is not written where it is false.
                // Or what no entry of this backup has.
                assert!(
                    ["base.notABase", "entries[].tablespace"].contains(path),
                    "{path}"
                );
                continue;
            };
            let refused = |last: bool| {
                let mut changed = self::whole();
                let format = if list == MANIFEST {
                    let Some(manifest) = with(document, at, last) else {
                        return true;
                    };
                    changed.manifest = manifest;
                    changed.manifest.format
                } else {
                    let Some(contents) = with(document, at, last) else {
                        return true;
                    };
                    changed.contents = contents;
                    changed.contents.format
                };
                format != 1 || !changed.lies().is_empty()
            };
            if !refused(false) && !refused(true) {
                unheld.insert(*path);
            }
        }
    }
    assert!(unheld.is_empty(), "may say anything: {unheld:?}");
}

type Change = fn(&mut Whole);

#[rstest]
#[case::a_major("major of the server", |w: &mut Whole| w.manifest.server.major = 16)]
#[case::both_versions("major of the server", |w: &mut Whole| {
    w.manifest.server.major = 16;
    w.manifest.server.version = "16.1".to_owned();
})]
#[case::no_snapshot("base.notABase", |w: &mut Whole| w.manifest.base.snapshot = None)]
#[case::xids("base.snapshot", |w: &mut Whole| w.manifest.base.snapshot.as_mut().unwrap().xmin = "900".to_owned())]
#[case::a_standby("base.inRecovery", |w: &mut Whole| w.manifest.base.in_recovery = true)]
#[case::data_before_the_start("dataAt", |w: &mut Whole| {
    w.manifest.data_at = samples::time("2026-11-19T02:00:00Z");
    w.contents.data_at = Some(w.manifest.data_at);
})]
#[case::the_future("finishedAt", |w: &mut Whole| w.manifest.finished_at = samples::time("2099-01-01T00:00:00Z"))]
#[case::a_dump_of_another_database("database", |w: &mut Whole| w.toc.database = name("users"))]
#[case::an_encoding("encoding", |w: &mut Whole| {
    let sql = w.toc.entries[0].definition.display();
    w.toc.entries[0].definition = name(&sql.replace("UTF8", "LATIN1"));
})]
#[case::an_extension("extension postgis", |w: &mut Whole| w.contents.extensions.clear())]
#[case::no_recipients("recipients", |w: &mut Whole| w.manifest.encryption.recipients.clear())]
#[case::no_policy("policyUid", |w: &mut Whole| w.manifest.policy_uid = String::new())]
#[case::no_roles("globals.sql", |w: &mut Whole| w.manifest.objects.retain(|o| o.role != ObjectRole::Globals))]
#[case::a_socket("source", |w: &mut Whole| w.contents.source.as_mut().unwrap().host = "/run/postgresql".to_owned())]
#[case::rows_left_out("rows left out of public.lookup", |w: &mut Whole| w.contents.left_out[0].rows = 0)]
#[case::nothing_left_out("things left out", |w: &mut Whole| w.contents.left_out.clear())]
#[case::a_line("lines of public.spatial", |w: &mut Whole| { w.contents.relations[5].lines.as_mut().unwrap().pop(); })]
#[case::a_hash_without_a_key("key of the hashes", |w: &mut Whole| w.contents.line_key = None)]
#[case::no_recovery_point("recovery point", |w: &mut Whole| w.contents.data_at = None)]
#[case::more_triggers_than_are_off("triggers left out", |w: &mut Whole| { w.contents.census.insert("leftOutTriggers".to_owned(), 1); })]
#[case::a_constraint_of_no_table("left out", |w: &mut Whole| left_out(w, "table constraint known on public.nowhere"))]
#[case::something_of_no_kind("left out", |w: &mut Whole| left_out(w, ""))]
#[case::a_number_below_nothing("functions", |w: &mut Whole| { w.contents.census.insert("functions".to_owned(), -1); })]
#[case::bytes_of_no_rows("hash of public.customers", |w: &mut Whole| {
    w.contents.relations[0].rows = Some(0);
    w.contents.relations[0].hash = Some("0".repeat(32));
})]
fn p10_a_lie_is_named(#[case] object: &str, #[case] change: Change) {
    let mut whole = whole();
    change(&mut whole);
    let lies = whole.lies();
    assert!(lies.iter().any(|lie| lie.object == object), "{lies:?}");
}

fn left_out(whole: &mut Whole, text: &str) {
    whole.contents.left_out.push(crate::manifest::LeftOut {
        fingerprint: None,
        schema: name(""),
        name: name(text),
        why: String::new(),
        rows: 0,
    });
    whole.manifest.counts.left_out += 1;
}

/// A constraint whose triggers are switched off has at most four of them; names stand there as the server quotes them.
#[test]
fn triggers_of_constraints_that_are_left_out_contradict_nothing() {
    let mut whole = whole();
    whole.contents.relations[0].name = name("on \"sale");
    left_out(
        &mut whole,
        "table constraint \"known on\" on public.\"on \"\"sale\"",
    );
    for (most, lies) in [(4, 0), (5, 1)] {
        for kind in ["disabledTriggers", "leftOutTriggers"] {
            whole.contents.census.insert(kind.to_owned(), most);
        }
        let found = documents(&whole.manifest, &whole.contents, AT, now());
        assert_eq!(found.len(), lies, "{found:?}");
    }
}

/// One number has one spelling, wherever a hash stands.
#[rstest]
fn p10_what_is_no_hash_is_told_before_a_server_is_there(
    #[values(
        "lineKey",
        "relations/0/hash",
        "relations/5/lines/0",
        "beyondFilter/0/hash",
        "extensionObjects/0/fingerprint",
        "largeObjects/hash"
    )]
    place: &str,
    #[values("X", "A", "+", "")] letter: &str,
) {
    let mut whole = whole();
    let mut contents = serde_json::to_value(&whole.contents).unwrap();
    let value = contents.pointer_mut(&format!("/{place}")).unwrap();
    let hash = value.as_str().unwrap();
    *value = format!("{letter}{}", &hash[1..]).into();
    whole.contents = serde_json::from_value(contents).unwrap();
    let lies = documents(&whole.manifest, &whole.contents, AT, now());
    assert!(
        lies.iter().any(|lie| lie.found.starts_with("no hash")),
        "{lies:?}"
    );
}

/// The same of the digests in a manifest, whose object may be damaged or not.
#[rstest]
fn p10_what_is_no_digest_is_told_before_a_server_is_there(
    #[values("sha256", "rawSha256")] field: &str,
    #[values("X", "A", "+", "")] letter: &str,
) {
    let whole = whole();
    let mut manifest = serde_json::to_value(&whole.manifest).unwrap();
    let value = manifest
        .pointer_mut(&format!("/objects/1/{field}"))
        .unwrap();
    let digest = value.as_str().unwrap();
    *value = format!("{letter}{}", &digest[1..]).into();
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    let lies = manifest.contradictions(AT, now());
    assert!(
        lies.iter().any(|lie| lie.found.starts_with("no SHA-256")),
        "{lies:?}"
    );
    let mut manifest = whole.manifest;
    manifest.objects[1].raw_sha256 = None;
    assert_eq!(
        manifest.contradictions(AT, now())[0].object,
        "globals.sql.zst.age"
    );
}

/// A database of another encoding may be named by bytes that are no UTF-8, or read as others.
#[test]
fn the_name_of_a_database_is_only_compared_where_it_is_written_alike() {
    let mut whole = whole();
    whole.manifest.server.database = "caf\u{e9}".to_owned();
    whole.toc.database = Name::from_bytes(b"caf\xe9");
    whole.manifest.server.encoding = "LATIN1".to_owned();
    let lies = contradictions(&whole.manifest, &whole.contents, &whole.toc, whole.roles);
    assert!(lies.iter().all(|l| l.object != "database"), "{lies:?}");
}
