//! `lifeboat report` against a store in a folder.

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::cli::inspect::tests::manifest;
use crate::manifest::{Manifest, ObjectInfo, ObjectRole, Proof, ProvenObject};

const PASSED: &str = include_str!("../report/examples/passed.json");
const FAILED: &str = include_str!("../report/examples/failed.json");
const OLD: &str = "shop.orders/20261119T140000Z-0123456789ab";
const NEW: &str = "shop.orders/20261121T020000Z-0123456789ab";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// A manifest of what the proofs speak of.
fn made(at: &str, objects: Vec<ObjectInfo>) -> Manifest {
    let mut made = manifest(at, objects);
    made.server.database = "shop".to_owned();
    (made.counts.tables, made.counts.rows) = (6, 1_234_567);
    made
}

/// A store in a folder with two backups, of which the newer one was drilled twice.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for at in [OLD, NEW] {
            let json = made(at, vec![]).to_json().unwrap();
            place.put(&format!("{at}/manifest.json"), &json);
        }
        place.drilled(NEW, FAILED, "weekly-1", "2026-11-22T03:00:00Z");
        place.drilled(NEW, PASSED, "weekly-2", "2026-11-23T03:00:00Z");
        place
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.folder.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A proof of the manifest that stands there.
    fn drilled(&self, at: &str, text: &str, run: &str, finished_at: &str) {
        self.says(at, text, run, finished_at, |_| ());
    }

    fn says(&self, at: &str, text: &str, run: &str, finished_at: &str, lie: fn(&mut Proof)) {
        let bytes = std::fs::read(self.folder.path().join(at).join("manifest.json")).unwrap();
        let manifest = Manifest::parse(&bytes).unwrap();
        let mut proof = Proof::parse(text.as_bytes()).unwrap();
        (proof.run, proof.drill) = (run.to_owned(), "weekly".to_owned());
        proof.finished_at = finished_at.parse().unwrap();
        proof.started_at = proof.finished_at - jiff::SignedDuration::from_mins(20);
        let backup = &mut proof.backup;
        backup.name = manifest.backup;
        backup.prefix = at.to_owned();
        (backup.data_at, backup.finished_at) = (manifest.data_at, manifest.finished_at);
        backup.stored_bytes = manifest.counts.stored_bytes;
        backup.raw_bytes = manifest.counts.raw_bytes;
        backup.database_bytes = manifest.server.database_bytes;
        let objects = manifest.objects.into_iter();
        let objects = objects.map(|o| ProvenObject {
            name: o.name,
            bytes: o.bytes,
            sha256: o.sha256,
        });
        backup.objects = objects.collect();
        backup.manifest_sha256 = proofs::sha256(&bytes);
        let rpo = proof.rpo.as_mut().unwrap();
        let age = proof.started_at.duration_since(backup.data_at);
        rpo.seconds = age.as_secs_f64();
        (rpo.objective_seconds, rpo.met) = (None, None);
        lie(&mut proof);
        let json = serde_json::to_vec_pretty(&proof).unwrap();
        self.put(&format!("{at}/proofs/{run}.json"), &json);
    }

    fn args(&self, words: &[&str]) -> Args {
        let from = format!("file://{}", self.folder.path().display());
        let line = ["report", "--from", &from].into_iter();
        let line = line.chain(words.iter().copied());
        Line::try_parse_from(line).unwrap().args
    }

    async fn report(&self, words: &[&str]) -> Result<Report, CommandError> {
        let args = self.args(words).proof.unwrap();
        let store = args.from.open().await?;
        report(store.as_ref(), &args).await
    }

    async fn text(&self, words: &[&str]) -> String {
        let report = self.report(words).await.unwrap();
        assert_eq!(report.flaw, None);
        String::from_utf8(report.text).unwrap()
    }

    async fn refused(&self, words: &[&str]) -> String {
        self.report(words).await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn the_drill_that_ended_last_is_reported_and_another_by_its_name() {
    let place = Place::new();
    let newest = place.text(&[NEW]).await;
    assert!(newest.contains("This backup is proven"), "{newest}");
    assert!(newest.contains("weekly-2.json"), "{newest}");
    let pasted = format!("{NEW}/manifest.json");
    let other = place.text(&[&pasted, "--run", "weekly-1"]).await;
    assert!(other.contains("This backup is not proven"), "{other}");

    let refused = place.refused(&[NEW, "--run", "../weekly-1"]).await;
    assert!(
        refused.contains("no drill ../weekly-1")
            && refused.ends_with("there are weekly-1, weekly-2"),
        "{refused}"
    );
    let refused = place.refused(&[OLD]).await;
    assert!(
        refused.ends_with("nothing proves this backup yet"),
        "{refused}"
    );
    let refused = place.refused(&["shop.orders"]).await;
    assert!(refused.contains("--all"), "{refused}");
}

#[tokio::test]
async fn it_is_written_to_a_file_in_the_form_that_its_name_says() {
    let place = Place::new();
    let stored = std::fs::read(place.folder.path().join(NEW).join("proofs/weekly-2.json")).unwrap();
    for (name, more, begins) in [
        ("report.html", None, &b"<!doctype html>"[..]),
        ("report.md", None, b"# Restore drill: shop"),
        ("report.json", None, &stored),
        ("report.txt", Some("html"), b"<!doctype html>"),
    ] {
        let path = place.folder.path().join(name);
        let mut words = vec![NEW, "--output", path.to_str().unwrap()];
        words.extend(more.map(|_| "--format").into_iter().chain(more));
        run(place.args(&words)).await.unwrap();
        let written = std::fs::read(&path).unwrap();
        assert!(written.starts_with(begins), "{name}");
        assert!(name != "report.json" || written == stored);
    }
}

#[tokio::test]
async fn a_directory_says_how_far_back_is_proven_and_where_the_longest_gap_is() {
    let place = Place::new();
    place.drilled(OLD, PASSED, "weekly-0", "2026-11-20T03:00:00Z");
    let text = place.text(&["shop.orders", "--all"]).await;
    let order = ["weekly-2 |", "weekly-1 |", "weekly-0 |"].map(|run| text.find(run).unwrap());
    assert!(order.is_sorted(), "{text}");
    assert!(text.contains("| 36 h 0 min |"), "{text}");
    assert!(text.contains("| ✔ 2026-11-21 02:00:09 UTC |"), "{text}");

    let json = place
        .text(&["shop.orders", "--all", "--format", "json"])
        .await;
    let proofs: Vec<Proof> = serde_json::from_str(&json).unwrap();
    let runs: Vec<&str> = proofs.iter().map(|p| p.run.as_str()).collect();
    assert_eq!(runs, ["weekly-2", "weekly-1", "weekly-0"]);

    let empty = place.refused(&["shop.users", "--all"]).await;
    assert!(empty.ends_with("there are shop.orders"), "{empty}");
}

#[tokio::test]
async fn p10_a_proof_of_another_manifest_proves_nothing_of_what_is_there() {
    let place = Place::new();
    let mut other = made(NEW, vec![]);
    other.counts.rows = 1;
    place.put(&format!("{NEW}/manifest.json"), &other.to_json().unwrap());
    let report = place.report(&[NEW]).await.unwrap();
    let text = String::from_utf8(report.text).unwrap();
    assert!(text.contains("✘ Passed: But the manifest"), "{text}");
    assert!(
        report
            .flaw
            .unwrap()
            .contains("not the one that was drilled")
    );
    let all = place.text(&["shop.orders", "--all"]).await;
    assert!(
        all.contains("| Newest proven recovery point | ✘ none |"),
        "{all}"
    );

    std::fs::remove_file(place.folder.path().join(NEW).join("manifest.json")).unwrap();
    let gone = place.text(&[NEW]).await;
    assert!(gone.contains("is no longer in the store"), "{gone}");
}

#[tokio::test]
async fn what_cannot_be_read_is_never_passed_over() {
    let place = Place::new();
    let key = format!("{NEW}/proofs/weekly-3.json");
    place.put(&key, br#"{"format": 2}"#);
    let refused = place.refused(&[NEW]).await;
    assert!(
        refused.contains("weekly-3.json: failed to read the proof: it has format 2")
            && refused.contains("--run takes another: weekly-1"),
        "{refused}"
    );
    assert!(place.report(&[NEW, "--run", "weekly-2"]).await.is_ok());
    let all = place.report(&["shop.orders", "--all"]).await.unwrap();
    assert!(
        String::from_utf8(all.text)
            .unwrap()
            .contains("## Unreadable")
    );
    assert_eq!(all.flaw.unwrap(), "1 proof or manifest unreadable");
}

#[tokio::test]
async fn p10_a_backup_that_lost_an_object_since_is_no_longer_the_newest_proven() {
    let place = Place::new();
    let object = ObjectInfo {
        name: "dump.pgc.age".to_owned(),
        role: ObjectRole::Dump,
        bytes: 3,
        raw_bytes: 3,
        sha256: "5e".repeat(32),
        raw_sha256: Some("6f".repeat(32)),
    };
    let json = made(NEW, vec![object]).to_json().unwrap();
    place.put(&format!("{NEW}/manifest.json"), &json);
    place.put(&format!("{NEW}/dump.pgc.age"), b"123");
    place.drilled(NEW, PASSED, "weekly-2", "2026-11-23T03:00:00Z");
    let whole = place.text(&["shop.orders", "--all"]).await;
    assert!(whole.contains("| ✔ 2026-11-21 02:00:09 UTC |"), "{whole}");

    std::fs::remove_file(place.folder.path().join(NEW).join("dump.pgc.age")).unwrap();
    let report = place.report(&[NEW]).await.unwrap();
    assert!(report.flaw.unwrap().contains("missing or cut"));
    let all = place.text(&["shop.orders", "--all"]).await;
    assert!(
        all.contains("| Newest proven recovery point | ✘ none |"),
        "{all}"
    );
    assert!(all.contains("dump.pgc.age is missing"), "{all}");
}

/// Whatever a proof says, it must not say two things: it is refused by its name, and the directory counts it for nothing.
#[rstest::rstest]
#[case::failed("result", |p: &mut Proof| p.result = crate::api::restore_drill::Verdict::Failed)]
#[case::a_table("is not equal", |p: &mut Proof| p.tables[0].equal = false)]
#[case::the_future("in the future", |p: &mut Proof| {
    p.finished_at = "2099-01-01T00:00:00Z".parse().unwrap();
})]
#[case::less_than_all("not compared", |p: &mut Proof| p.not_compared.push("the schema".to_owned()))]
#[case::another_backup("backup.rows", |p: &mut Proof| p.backup.rows += 1)]
#[tokio::test]
async fn p10_a_proof_that_contradicts_itself_is_refused_and_counts_for_nothing(
    #[case] words: &str,
    #[case] lie: fn(&mut Proof),
) {
    let place = Place::new();
    place.says(NEW, PASSED, "weekly-2", "2026-11-23T03:00:00Z", lie);
    for asked in [
        &[NEW][..],
        &[NEW, "--run", "weekly-2"],
        &[NEW, "--format", "json"],
    ] {
        let refused = place.refused(asked).await;
        assert!(
            refused.contains("weekly-2.json contradicts itself, and counts for nothing")
                && refused.contains(words),
            "{refused}"
        );
    }
    let all = place.report(&["shop.orders", "--all"]).await.unwrap();
    let text = String::from_utf8(all.text).unwrap();
    assert!(
        text.contains("| Newest proven recovery point | ✘ none |"),
        "{text}"
    );
    assert!(
        text.contains("## Unreadable") && text.contains("weekly-2.json"),
        "{text}"
    );
    assert_eq!(all.flaw.unwrap(), "1 proof or manifest unreadable");
}
