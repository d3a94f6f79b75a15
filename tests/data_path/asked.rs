//! A drill that was asked for less than everything, and what is known of a backup without any server.

use lifeboat::api::restore_drill::{CompareContent, Verdict};
use lifeboat::postgres::Silent;
use rstest::rstest;

use crate::drills::check;
use crate::sealed::Backup;
use crate::spoiled::{Bench, assert_says};

/// G28: less than everything proves nothing.
#[rstest]
#[case::no_content(CompareContent::Off, None, "compare.content: Off")]
#[case::a_sample(CompareContent::Sample, Some(99), "the content of 0 of 1 tables")]
#[tokio::test(flavor = "multi_thread")]
async fn g28_less_than_the_whole_content_proves_nothing(
    #[case] content: CompareContent,
    #[case] percent: Option<i32>,
    #[case] words: &str,
) {
    let mut bench = Bench::plain(|_| ()).await;
    bench.plan.compare.content = Some(content);
    bench.plan.compare.sample_percent = percent;
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, Verdict::Passed, "Partial", &[words]);
}

/// A sample reads whole tables: the one that it draws is held against its hash, row by row.
#[tokio::test(flavor = "multi_thread")]
async fn g28_what_a_sample_draws_is_compared() {
    let mut bench = Bench::plain(|backup| {
        let table = backup.contents.relations.iter_mut();
        for table in table.filter(|r| r.hash.is_some()) {
            table.hash = Some("0".repeat(32));
        }
    })
    .await;
    bench.plan.compare.content = Some(CompareContent::Sample);
    bench.plan.compare.sample_percent = Some(1);
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, Verdict::Failed, "Differs", &["public.orders"]);
}

fn without_its_role(backup: &mut Backup) {
    let lines = backup.globals.lines().filter(|l| !l.contains("shop_app"));
    backup.globals = lines.map(|line| format!("{line}\n")).collect();
}

fn of_another_time(backup: &mut Backup) {
    backup.manifest.data_at = "2020-01-01T00:00:00Z".parse().unwrap();
}

fn without_settings(backup: &mut Backup) {
    backup.contents.settings.clear();
}

fn with_an_unreadable_key(backup: &mut Backup) {
    backup.contents.line_key = Some("no key".to_owned());
}

/// The parts of a backup against each other: what a server lacks is no excuse.
#[rstest]
#[case::a_role_that_it_needs(without_its_role, "Differs", "roles")]
#[case::a_recovery_point_of_another_time(of_another_time, "Differs", "dataAt")]
#[case::no_settings(without_settings, "Differs", "server_version")]
#[case::the_key_of_its_hashes(with_an_unreadable_key, "BackupDamaged", "contents.json")]
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_backup_that_contradicts_itself_fails_on_any_server(
    #[case] change: fn(&mut Backup),
    #[case] reason: &str,
    #[case] words: &str,
) {
    let proof = Bench::plain(change).await.drilled(&Silent).await.proof;
    assert_says(&proof, Verdict::Failed, reason, &[words]);
}

/// G29: a check reads, and has none of a superuser's other ways: to files and programs of the server, to large objects' export.
#[rstest]
#[case("COPY (SELECT 1) TO PROGRAM 'touch FILE'")]
#[case("SELECT pg_read_file('/etc/hostname') IS NOT NULL")]
#[case("SELECT lo_export((SELECT oid FROM pg_largeobject_metadata LIMIT 1), 'FILE') = 1")]
#[case("SELECT set_config('role', 'postgres', true) IS NULL")]
#[case("SELECT count(*) = 0 FROM pg_authid")]
#[tokio::test(flavor = "multi_thread")]
async fn g29_a_check_is_no_superuser(#[case] sql: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made");
    let mut bench = Bench::plain(|_| ()).await;
    let sql = sql.replace("FILE", file.to_str().unwrap());
    bench.plan.checks = vec![
        check("reads", "SELECT count(*) = 90000 FROM orders"),
        check("more", &sql),
    ];
    let proof = bench.drilled(&Silent).await.proof;
    assert_says(&proof, Verdict::Failed, "CheckFailed", &["more"]);
    assert!(proof.checks[0].passed, "{:?}", proof.checks);
    let error = proof.checks[1].error.clone().unwrap_or_default();
    let refused = ["permission denied", "must be superuser"];
    assert!(refused.iter().any(|words| error.contains(words)), "{error}");
    assert!(!file.exists());
}

/// A backup that a later version made is no damaged one.
#[rstest]
#[case(|backup: &mut Backup| backup.manifest.format = 2)]
#[case(|backup: &mut Backup| backup.contents.format = 2)]
#[tokio::test(flavor = "multi_thread")]
async fn a_later_format_cannot_be_judged(#[case] change: fn(&mut Backup)) {
    let bench = Bench::plain(change).await;
    let drilled = lifeboat::work::drill::run(&bench.plan, &Silent).await;
    match drilled {
        Ok(drilled) => assert_says(
            &drilled.proof,
            Verdict::Inconclusive,
            "UnknownFormat",
            &["newer"],
        ),
        Err(failure) => assert_eq!(failure.reason().as_str(), "UnknownFormat"),
    }
}
