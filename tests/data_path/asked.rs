//! A drill that was asked for less than everything, and what is known of a backup without any server.

use lifeboat::api::restore_drill::{CompareContent, Verdict};
use lifeboat::postgres::Silent;
use rstest::rstest;

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

fn with_an_unreadable_key(backup: &mut Backup) {
    backup.contents.line_key = Some("no key".to_owned());
}

/// The parts of a backup against each other: what a server lacks is no excuse.
#[rstest]
#[case::a_role_that_it_needs(without_its_role, "Differs", "roles")]
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
