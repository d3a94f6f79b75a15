//! What depends on the place where it is restored: labels on their provider, money on its locale, tables of an extension on
//! its version. A correct backup of each is proven, or nobody can tell and it says why (G4, G14, G18).

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use lifeboat::api::restore_drill::Verdict;
use lifeboat::manifest::Proof;
use lifeboat::objects::{Memory, ObjectStore};
use lifeboat::postgres::preflight::preflight;
use lifeboat::postgres::{Silent, Target};
use lifeboat::work::backup::make;
use lifeboat::work::drill::run as drill;
use rstest::rstest;
use tempfile::TempDir;

use crate::drills::{Folders, drill_plan, run_file, shown};
use crate::pg::{Server, executable, host_bin};
use crate::runs::{FIRST, plan};
use crate::sealed::Backup;
use crate::spoiled::assert_says;

/// The majors whose programs are here; the dumps of the first are not compressed inside.
const MAJORS: [i32; 2] = [15, 17];

struct Made {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// What the check said of the tables of extensions.
    not_dumped: Vec<String>,
}

async fn backup(target: Target, major: i32) -> Made {
    let store: Arc<dyn ObjectStore> = Arc::new(Memory::new());
    let scratch = tempfile::tempdir().unwrap();
    let facts = preflight(&target, "test").await.unwrap().facts;
    let plan = plan(target, major, store.clone(), FIRST, &scratch);
    let manifest = make(&plan, &Silent).await.unwrap();
    Made {
        store,
        prefix: manifest.prefix,
        not_dumped: facts.extension_data,
    }
}

/// Drills it with these programs.
async fn drilled(made: &Made, major: i32, programs: &Path) -> Proof {
    let folders = Folders::new();
    let mut plan = drill_plan(made.store.clone(), &made.prefix, major, &folders);
    plan.postgres_folders = vec![programs.to_owned()];
    drill(&plan, &Silent).await.unwrap().proof
}

fn passed(proof: &Proof) {
    assert_eq!(proof.result, Verdict::Passed, "{}", shown(proof));
    assert!(proof.proves, "{}", shown(proof));
}

/// The same programs in an image without locales, and where it is wanted without what they are made of.
pub fn without_locales(major: i32, sources: bool) -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("lb-root")
        .tempdir_in("/tmp")
        .unwrap();
    let (root, here) = (host_bin(major).join(".."), folder.path());
    let own = here.join("host-bin");
    std::fs::create_dir(&own).unwrap();
    for part in ["usr", "etc"] {
        symlink(root.join(part), here.join(part)).unwrap();
    }
    // The programs are links to a script that shows them their root as the machine's.
    for program in std::fs::read_dir(root.join("host-bin")).unwrap() {
        let path = program.unwrap().path();
        if path.is_symlink() {
            symlink(".enter", own.join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::copy(root.join("host-bin/.passwd"), own.join(".passwd")).unwrap();
    let enter = std::fs::read_to_string(root.join("host-bin/.enter")).unwrap();
    let shows = "mount --bind \"$root/usr\" /usr\n";
    assert!(enter.contains(shows));
    let mut hides = format!("{shows}mount -t tmpfs none /usr/lib/locale\n");
    if !sources {
        hides.push_str("mount -t tmpfs none /usr/share/i18n\n");
    }
    let script = own.join(".enter");
    executable(&script, &enter.replace(shows, &hides));
    folder
}

/// The provider of security labels, as a file of its own that can go.
fn provider(major: i32, folder: &Path) -> String {
    let root = host_bin(major)
        .join("..")
        .join(format!("usr/lib/postgresql/{major}/lib"));
    let library = folder.join("labels.so");
    std::fs::copy(root.join("lifeboat_label.so"), &library).unwrap();
    library.to_str().unwrap().to_owned()
}

/// G18, G27: what a session preloads is preloaded in the drill, if the image has it; if not, nobody can tell, by name.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g18_labels_come_back_where_their_provider_is(
    #[values(15, 17)] major: i32,
    #[values("shared_preload_libraries", "session_preload_libraries")] setting: &str,
) {
    let folder = tempfile::Builder::new()
        .prefix("lb-lib")
        .tempdir_in("/tmp")
        .unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let library = provider(major, folder.path());
    let source = Server::start(major, &[&format!("{setting}={library}")]);
    source
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    run_file(
        &source,
        "shop",
        "CREATE ROLE shop_app; CREATE TABLE t (a int); ALTER TABLE t OWNER TO shop_app; \
        SECURITY LABEL FOR lifeboat ON TABLE t IS 'kept'; SECURITY LABEL FOR lifeboat ON ROLE shop_app IS 'a role';",
    );
    let made = backup(source.target("shop"), major).await;
    drop(source);
    passed(&drilled(&made, major, &host_bin(major)).await);
    std::fs::remove_file(&library).unwrap();
    let proof = drilled(&made, major, &host_bin(major)).await;
    let words = [
        "security label provider \"lifeboat\" is not loaded",
        "spec.postgres.image",
    ];
    assert_says(&proof, Verdict::Inconclusive, "ExtensionMissing", &words);
    assert!(
        proof.errors.iter().all(|e| e.sqlstate == "22023"),
        "{}",
        shown(&proof)
    );
}

const MONEY: &str = "CREATE DOMAIN price AS money CHECK (VALUE >= 0::money); CREATE TABLE sold (id int, total money, many money[], p price); \
    INSERT INTO sold VALUES (1, 12.34::numeric::money, '{}', 5::money), (2, (-1234567.89)::numeric::money, ARRAY[1.5::numeric::money, NULL], NULL), \
      (3, 92233720368547758.07::numeric::money, NULL, 1000::money), (4, (-92233720368547758.08)::numeric::money, NULL, 0::money);";

/// G14: money is read back as it was written where the locale is, and not at all where it is not.
#[rstest]
#[case::of_the_server(&["lc_monetary=es_CL.UTF-8"], "")]
#[case::of_the_database(&[], "ALTER DATABASE shop SET lc_monetary = 'es_CL.UTF-8';")]
#[tokio::test(flavor = "multi_thread")]
async fn g14_money_of_another_country_is_proven_or_nobody_can_tell(
    #[case] settings: &[&str],
    #[case] sql: &str,
    #[values(15, 17)] major: i32,
) {
    let source = Server::start(major, settings);
    source
        .database("shop", "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        .await;
    source.sql("shop", &format!("SELECT 1; {sql}")).await;
    source.sql("shop", MONEY).await;
    let session = source.session("shop").await;
    let row = session
        .client
        .query_one("SELECT total::text FROM sold WHERE id = 2", &[])
        .await
        .unwrap();
    let text: String = row.get(0);
    assert!(
        text.contains("1.234.56"),
        "it is written as in Chile: {text}"
    );
    drop(session);
    let made = backup(source.target("shop"), major).await;
    drop(source);
    passed(&drilled(&made, major, &host_bin(major)).await);
    let bare = without_locales(major, true);
    // G25: it is made from its sources.
    passed(&drilled(&made, major, &bare.path().join("host-bin")).await);
    let bare = without_locales(major, false);
    let proof = drilled(&made, major, &bare.path().join("host-bin")).await;
    let words = ["es_CL.UTF-8", "lc_monetary", "spec.postgres.image"];
    assert_says(&proof, Verdict::Inconclusive, "LocaleMissing", &words);
}

/// A locale that nothing depends on may be missing, and takes no other setting with it.
#[tokio::test(flavor = "multi_thread")]
async fn g14_without_money_its_locale_is_not_missed() {
    let major = MAJORS[1];
    let settings = ["lc_monetary=es_CL.UTF-8", "TimeZone=America/Santiago"];
    let source = Server::start(major, &settings);
    source
        .database("shop", "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        .await;
    source.sql("shop", "CREATE TABLE noon (at timestamptz CHECK (extract(hour FROM at) = 12)); INSERT INTO noon VALUES ('2026-06-01 12:00')").await;
    let made = backup(source.target("shop"), major).await;
    drop(source);
    let bare = without_locales(major, false);
    let proof = drilled(&made, major, &bare.path().join("host-bin")).await;
    passed(&proof);
    assert!(
        proof.notes.iter().any(|n| n.starts_with("lc_monetary:")),
        "{}",
        shown(&proof)
    );
}

const KINDS: &str = "INSERT INTO kinds.filtered (name) VALUES ('user'), ('another'); INSERT INTO kinds.whole (name) VALUES ('x'), ('y'); \
    INSERT INTO kinds.queue SELECT n, 'job' FROM generate_series(1, 500) AS n; CREATE TABLE added (a int); INSERT INTO added VALUES (1), (2), (3); \
    ALTER EXTENSION lifeboat_kinds ADD TABLE added;";

async fn of_version(major: i32, version: &str) -> Made {
    let source = Server::start(major, &[]);
    source
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    let create = format!("CREATE EXTENSION lifeboat_kinds VERSION '{version}'; ");
    source.sql("shop", &(create + KINDS)).await;
    backup(source.target("shop"), major).await
}

/// G4: what the extension adds by itself is a note, what nobody dumps stands where it was left out, and the rest is proven.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn g4_tables_of_an_extension_are_proven_as_far_as_they_are_in_the_dump(
    #[values(15, 17)] major: i32,
    #[values("1.1", "1.0")] version: &str,
) {
    let made = of_version(major, version).await;
    assert_eq!(made.not_dumped, ["kinds.queue", "public.added"]);
    let folders = Folders::new();
    let mut plan = drill_plan(made.store.clone(), &made.prefix, major, &folders);
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    assert!(!proof.proves, "{}", shown(&proof));
    // Jobs that are queued, and what somebody gave to the extension, which does not make it.
    let names = ["kinds.queue", "public.added", "table public.added"];
    plan.accepted = names.map(str::to_owned).into();
    let proof = drill(&plan, &Silent).await.unwrap().proof;
    passed(&proof);
    let noted = |words: &str| proof.notes.iter().any(|note| note.contains(words));
    let newer = version == "1.0";
    assert!(noted("not in the backup: kinds.queue"), "{}", shown(&proof));
    assert!(
        noted("not in the backup: public.added"),
        "{}",
        shown(&proof)
    );
    assert!(
        noted("kinds.whole: 1 row more"),
        "CREATE EXTENSION makes it again: {}",
        shown(&proof)
    );
    assert!(noted("kinds.filtered: 1 row more"), "{}", shown(&proof));
    assert_eq!(noted("kinds.later: only the"), newer, "{}", shown(&proof));
    assert_eq!(noted("extension lifeboat_kinds: 1.1 instead of 1.0"), newer);
    if major == MAJORS[0] {
        let backup = Backup::read(made.store.as_ref(), &made.prefix).await;
        let left = backup.contents.left_out.iter();
        let left: Vec<(String, i64)> = left.map(|l| (l.name.display(), l.rows)).collect();
        assert_eq!(left, [("queue".to_owned(), 500), ("added".to_owned(), 3)]);
    }
}

/// G18: an extension that makes its tables otherwise explains what does not fit, and nothing is proven.
#[rstest]
#[case::a_column_more("2.0", &["column \"more\"", "spec.postgres.image"])]
#[case::a_column_less("0.9", &["kinds.filtered", "extension lifeboat_kinds 1.1 instead of 0.9", "spec.postgres.image"])]
#[tokio::test(flavor = "multi_thread")]
async fn g18_another_version_with_other_columns_cannot_tell(
    #[case] version: &str,
    #[case] words: &[&str],
    #[values(15, 17)] major: i32,
) {
    let made = of_version(major, version).await;
    let proof = drilled(&made, major, &host_bin(major)).await;
    assert_says(&proof, Verdict::Inconclusive, "ExtensionVersion", words);
}

type Spoil = fn(&mut Backup);

fn rows<'a>(backup: &'a mut Backup, table: &str) -> &'a mut Vec<String> {
    let entries = backup.dump.entries.iter();
    let mut of = entries.filter(|e| e.desc == "TABLE DATA" && e.tag.as_deref() == Some(table));
    let number = of.next().unwrap().id;
    backup.dump.rows(number).unwrap()
}

/// G4: one more is a note, but what was there must be there; in the same version and in a newer one.
#[rstest]
#[case::a_row_missing("kinds.filtered", |b: &mut Backup| { let all = rows(b, "filtered"); all.retain(|row| !row.starts_with("another	")); })]
#[case::a_row_changed("kinds.filtered", |b: &mut Backup| { let last = rows(b, "filtered").last_mut().unwrap(); *last = "other\t\\N\tf".to_owned(); })]
#[case::a_row_missing_that_the_extension_does_not_make("kinds.whole", |b: &mut Backup| { rows(b, "whole").remove(1); })]
#[case::its_sequence("kinds.whole_id_seq", |b: &mut Backup| {
    let set = b.dump.entries.iter_mut().find(|e| e.desc == "SEQUENCE SET").unwrap();
    set.definition = Some(set.sql().replace(", 3, true", ", 2, true"));
})]
#[case::lines_that_lie("kinds.filtered", |b: &mut Backup| {
    let table = b.contents.relations.iter_mut().find(|r| r.name.display() == "filtered").unwrap();
    table.lines.as_mut().unwrap().pop();
})]
#[tokio::test(flavor = "multi_thread")]
async fn g4_a_row_of_an_extension_that_is_lost_is_a_failure(
    #[case] names: &str,
    #[case] spoil: Spoil,
    #[values("1.1", "1.0")] version: &str,
) {
    let mut made = of_version(MAJORS[0], version).await;
    let mut backup = Backup::read(made.store.as_ref(), &made.prefix).await;
    spoil(&mut backup);
    made.store = backup.seal().store().await;
    let proof = drilled(&made, MAJORS[0], &host_bin(MAJORS[0])).await;
    assert_says(&proof, Verdict::Failed, "Differs", &[names]);
}

/// G18: what only a provider has is left out where nothing hangs on it, and said; else nobody can tell.
#[rstest]
#[case::of_no_consequence("aws_hs", "", Verdict::Passed, "Succeeded")]
#[case::something_hangs_on_it(
    "aws_hs",
    "CREATE TABLE u (h hstore)",
    Verdict::Inconclusive,
    "ExtensionMissing"
)]
#[case::of_nobody("my_own", "", Verdict::Inconclusive, "ExtensionMissing")]
#[tokio::test(flavor = "multi_thread")]
async fn g18_an_extension_that_only_a_provider_has_is_left_out(
    #[case] name: &str,
    #[case] sql: &str,
    #[case] result: Verdict,
    #[case] reason: &str,
) {
    let source = Server::start(MAJORS[0], &[]);
    source
        .database("shop", "TEMPLATE template0 LOCALE 'C'")
        .await;
    let all = format!("CREATE EXTENSION hstore; CREATE TABLE t (a int); {sql}");
    source.sql("shop", &all).await;
    let mut made = backup(source.target("shop"), MAJORS[0]).await;
    let mut backup = Backup::read(made.store.as_ref(), &made.prefix).await;
    let renamed = |text: &mut Option<String>| {
        *text = text.as_ref().map(|text| text.replace("hstore", name));
    };
    let entries = backup.dump.entries.iter_mut();
    for entry in entries.filter(|e| ["EXTENSION", "COMMENT"].contains(&e.desc.as_str())) {
        renamed(&mut entry.tag);
        renamed(&mut entry.definition);
    }
    for (extension, _) in &mut backup.contents.extensions {
        *extension = extension.replace("hstore", name);
    }
    for member in backup.contents.members.iter_mut().flatten() {
        member.extension = member.extension.replace("hstore", name);
    }
    backup.told();
    made.store = backup.seal().store().await;
    let proof = drilled(&made, MAJORS[0], &host_bin(MAJORS[0])).await;
    let noted = proof.notes.iter().any(|n| n.contains("only Amazon has it"));
    match result {
        Verdict::Passed => passed(&proof),
        _ => assert_says(&proof, result, reason, &["spec.postgres.image"]),
    }
    assert_eq!(noted, result == Verdict::Passed, "{}", shown(&proof));
}
