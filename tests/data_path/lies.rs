//! Backups whose documents lie: to each other, which is known before a server is there, and to the server.

use lifeboat::api::restore_drill::Verdict;
use lifeboat::postgres::Silent;
use lifeboat::work::drill::Place;
use rstest::rstest;

use crate::drills::{check, shown};
use crate::sealed::Backup;
use crate::spoiled::{Bench, assert_says};

/// What the documents say of each other is known before any program is looked for: the wrong ones would say something else.
#[rstest]
#[case::the_major(&["major of the server: 17, but"], |backup: &mut Backup| backup.manifest.server.major = 17)]
#[case::one_that_nobody_has(&["major of the server: 12, but"], |backup: &mut Backup| backup.manifest.server.major = 12)]
#[case::the_encoding(&["server_encoding: LATIN1, but UTF8"], |backup: &mut Backup| backup.manifest.server.encoding = "LATIN1".to_owned())]
#[case::the_future(&["finishedAt: 2099", "in the future"], |backup: &mut Backup| {
    backup.manifest.finished_at = "2099-01-01T00:00:00Z".parse().unwrap();
})]
#[case::the_place(&["prefix"], |backup: &mut Backup| backup.manifest.directory = "elsewhere".to_owned())]
#[tokio::test(flavor = "multi_thread")]
async fn p10_documents_that_contradict_each_other_fail_before_a_server_is_started(
    #[case] words: &[&str],
    #[case] change: fn(&mut Backup),
) {
    let mut bench = Bench::plain(change).await;
    // Nothing here can be started: it must not come to that.
    bench.plan.postgres_folders = Vec::new();
    bench.plan.server = Place::Here("/nowhere".into());
    let drilled = bench.drilled(&Silent).await;
    assert_says(&drilled.proof, Verdict::Failed, "Differs", words);
    assert_eq!((drilled.wrong_major, drilled.proof.score), (None, Some(0)));
    assert!(drilled.proof.server.is_none() && !drilled.proof.differences.is_empty());
}

/// G14: a setting that the server does not take is left out alone, and said; what hangs on it may be another value.
#[rstest]
#[case::a_zone("TimeZone", "Nowhere/Land")]
#[case::a_style("DateStyle", "Odd")]
#[tokio::test(flavor = "multi_thread")]
async fn g14_a_setting_that_no_server_takes_is_named_and_nothing_is_proven(
    #[case] name: &str,
    #[case] value: &str,
) {
    let bench = Bench::plain(|backup: &mut Backup| {
        let settings = &mut backup.contents.settings;
        settings.insert(name.to_owned(), value.to_owned());
    })
    .await;
    let proof = bench.drilled(&Silent).await.proof;
    let said = format!("{name} = '{value}'");
    let words = [
        said.as_str(),
        "invalid value for parameter",
        "spec.postgres.image",
    ];
    assert_says(&proof, Verdict::Inconclusive, "LocaleMissing", &words);
    assert!(!proof.message.contains("money"), "{}", shown(&proof));
}

/// One locale that nobody has takes no other setting with it, and is a note: what hangs on it says so by itself.
#[tokio::test(flavor = "multi_thread")]
async fn g14_a_locale_that_nobody_has_is_left_out_alone() {
    let mut bench = Bench::plain(|backup: &mut Backup| {
        for (name, value) in [
            ("lc_time", "xx_YY"),
            ("IntervalStyle", "iso_8601"),
            ("lc_numeric", "C"),
        ] {
            backup
                .contents
                .settings
                .insert(name.to_owned(), value.to_owned());
        }
    })
    .await;
    bench.plan.checks = vec![check(
        "rest",
        "SELECT current_setting('IntervalStyle') = 'iso_8601' AND current_setting('lc_numeric') = 'C'",
    )];
    let proof = bench.drilled(&Silent).await.proof;
    assert!(proof.proves, "{}", shown(&proof));
    let notes = proof.notes.join("\n");
    assert!(notes.contains("lc_time = 'xx_YY'"), "{notes}");
    assert!(!notes.contains("lc_numeric"), "{notes}");
}
