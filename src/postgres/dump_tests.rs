//! How pg_dump's words are judged, and what its files say.

use std::os::unix::process::ExitStatusExt;

use super::*;
use crate::api::Reason;

#[test]
fn words_that_may_mean_missing_data_are_errors_and_the_harmless_are_a_closed_list() {
    let ok = ExitStatus::from_raw(0);
    assert_eq!(judge(ok, "", &[]).unwrap().remarks, Vec::<String>::new());
    let harmless = "WARNING:  database \"x\" has a collation version mismatch\n\
                    DETAIL:  The database was created using collation version 1\n\
                    HINT:  Rebuild all objects\n";
    assert_eq!(judge(ok, harmless, &[]).unwrap().remarks.len(), 3);
    for words in [
        "pg_dump: warning: subscriptions not dumped because current user is not a superuser",
        "WARNING:  invalid page in block 3 of relation base/1/2; zeroing out page",
        "pg_dump: hint: nothing before it",
        "something new",
    ] {
        assert_eq!(
            judge(ok, words, &[]).unwrap_err().reason(),
            Reason::DumpIncomplete,
            "{words}"
        );
    }
}

#[test]
fn a_failed_pg_dump_says_why_and_a_lock_timeout_is_told_apart() {
    let failed = ExitStatus::from_raw(256);
    let error = judge(
        failed,
        "pg_dump: error: connection to postgres://u:geheim@h failed\n",
        &[],
    )
    .unwrap_err();
    assert_eq!(error.reason(), Reason::DumpFailed);
    assert!(!error.to_string().contains("geheim"));
    let words = "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n\
                 pg_dump: detail: Query was: LOCK TABLE public.t2 IN ACCESS SHARE MODE\n";
    assert_eq!(
        judge(failed, words, &[]).unwrap_err().reason(),
        Reason::LockTimeout
    );
    let words = "DEBUG:  StartTransaction\nLOG:  statement: BEGIN\nNOTICE:  hello\nINFO:  x\nDEBUG1:  y\nDEBUG:  z\n\
                 pg_dump: error: connection to server failed\n";
    let error = judge(failed, words, &[]).unwrap_err().to_string();
    assert!(
        error.ends_with("pg_dump: error: connection to server failed"),
        "{error}"
    );
    let words =
        "pg_dump: error: query failed: ERROR:  canceling statement due to conflict with recovery\n";
    let error = judge(failed, words, &[]).unwrap_err();
    assert_eq!(error.reason(), Reason::RecoveryConflict);
    let killed = judge(ExitStatus::from_raw(9), "", &[]).unwrap_err();
    assert!(killed.to_string().contains("signal: 9"), "{killed}");
}

/// G3: what a server remarks is no damage, and neither is what it told us too when we logged in.
#[test]
fn g3_a_notice_is_not_damage_and_a_warning_is_one_unless_we_heard_it_when_we_logged_in() {
    let ok = ExitStatus::from_raw(0);
    let said = "NOTICE:  duration: 0.1 ms  plan:\nQuery Text: SELECT 1\nResult  (cost=0.00..0.01)\nLOG:  AUDIT: SESSION\nDEBUG1:  x\n";
    assert_eq!(judge(ok, said, &[]).unwrap().remarks.len(), 5);
    let warning =
        "WARNING:  role password will expire soon\nDETAIL:  The password will expire in 3 days.\n";
    let refused = judge(ok, warning, &[]).unwrap_err();
    assert_eq!(refused.reason(), Reason::DumpIncomplete);
    let heard = ["role password will expire soon".to_owned()];
    assert_eq!(judge(ok, warning, &heard).unwrap().remarks.len(), 2);
    let other = "NOTICE:  hello\npg_dump: warning: something is missing\n";
    assert!(judge(ok, other, &heard).is_err());
}

/// G3: pg_dump prints no SQLSTATE. What our own session heard with one, even after pg_dump had ended, is known for no damage.
#[test]
fn g3_a_warning_is_no_damage_if_our_own_session_hears_it_later() {
    let ended = || Ended {
        status: ExitStatus::from_raw(0),
        words: "WARNING:  not enough memory to append\nHINT:  Try more.\n".to_owned(),
        heard: vec!["another".to_owned()],
    };
    let refused = ended().judge(&[]).unwrap_err();
    assert_eq!(refused.reason(), Reason::DumpIncomplete);
    let heard = ["not enough memory to append".to_owned()];
    assert_eq!(ended().judge(&heard).unwrap().remarks.len(), 2);
}
