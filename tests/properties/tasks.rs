//! Tasks come through an environment that rewrites `$` (K8), results through 2,048 bytes (K14).

use lifeboat::api::Reason;
use lifeboat::api::backup_policy::{DatabaseFacts, DatabaseKeys, TlsMode};
use lifeboat::api::backup_store::{Addressing, EncryptionMode};
use lifeboat::task::{
    BackupResult, BackupTask, CaTask, DatabaseTask, MAX_RESULT_BYTES, Retry, StoreTask,
    TASK_VERSION, Task, TaskError, TaskResult, Work,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::cases;
use crate::documents::{reason, text, time};

fn task() -> impl Strategy<Value = Task> {
    let ca =
        || of((text(), text(), text()).prop_map(|(source, dir, key)| CaTask { source, dir, key }));
    let keys =
        (of(text()), of(text()), of(text())).prop_map(|(uri, host, password)| DatabaseKeys {
            uri,
            host,
            password,
            ..DatabaseKeys::default()
        });
    let tls = of(select(vec![
        TlsMode::Disable,
        TlsMode::Require,
        TlsMode::VerifyCa,
        TlsMode::VerifyFull,
    ]));
    let database = (
        text(),
        text(),
        keys,
        of(text()),
        of(any::<i32>()),
        [of(text()), of(text())],
        tls,
        ca(),
    )
        .prop_map(
            |(secret_name, dir, keys, host, port, [name, user], tls_mode, ca)| DatabaseTask {
                secret_name,
                dir,
                keys,
                host,
                port,
                name,
                user,
                tls_mode,
                ca,
            },
        );
    let store = (
        text(),
        text(),
        of(text()),
        of(text()),
        ca(),
        text(),
        text(),
        vec(text(), 0..3),
    )
        .prop_map(
            |(bucket, prefix, region, endpoint, ca, secret_name, dir, recipients)| StoreTask {
                bucket,
                prefix,
                region,
                endpoint,
                addressing: Addressing::Path,
                ca,
                secret_name,
                dir,
                encryption: EncryptionMode::Age,
                recipients,
            },
        );
    let head = (
        text(),
        text(),
        text(),
        text(),
        any::<i32>(),
        vec(text(), 0..3),
    );
    let rest = (
        reason(),
        time(),
        text(),
        any::<u64>(),
        any::<bool>(),
        of(any::<u64>()),
    );
    (head, rest, database, store).prop_map(|(head, rest, database, store)| Task {
        version: TASK_VERSION,
        deadline_seconds: rest.3,
        work: Work::Backup(Box::new(BackupTask {
            namespace: head.0,
            backup: head.1,
            policy: head.2,
            policy_uid: head.3,
            attempt: head.4,
            tiers: head.5,
            reason: rest.0,
            due: rest.1,
            directory: rest.2,
            content_hash: rest.4,
            max_blocking_seconds: rest.5,
            database,
            store,
        })),
    })
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn k8_a_task_comes_through_an_environment_that_rewrites_dollars(task in task()) {
        let env = task.to_env().unwrap();
        prop_assert!(!env.contains('$') && !env.contains('\0') && !env.contains('\n'));
        prop_assert_eq!(Task::from_env(&env).unwrap(), task);
    }

    #[test]
    fn a_task_of_another_version_or_with_unknown_fields_is_refused(task in task(), version in any::<u32>()) {
        prop_assume!(version != TASK_VERSION);
        let other = Task { version, ..task.clone() }.to_env().unwrap();
        prop_assert!(matches!(Task::from_env(&other), Err(TaskError::Version(v)) if v == version));
        let mut value = serde_json::to_value(&task).unwrap();
        value["fromLater"] = Value::Null;
        prop_assert!(matches!(Task::from_env(&value.to_string()), Err(TaskError::Parse(_))));
    }

    #[test]
    fn k14_a_result_fits_and_keeps_what_is_decided_on(
        message in ".{0,900}",
        reason in select(Reason::ALL),
        later in any::<bool>(),
        figures in of((any::<[i64; 4]>(), ".{0,63}")),
        extensions in vec(".{0,200}", 0..60),
        major in of(any::<i32>()),
    ) {
        let retry = if later { Retry::Later } else { Retry::Never };
        let result = TaskResult {
            backup: figures.map(|([raw_bytes, stored_bytes, tables, rows], database_name)| BackupResult {
                pod_uid: crate::fixtures::POD_UID.to_owned(),
                raw_bytes,
                stored_bytes,
                tables,
                rows,
                data_at: Some(jiff::Timestamp::MAX),
                lsn: Some("FFFFFFFF/FFFFFFFF".to_owned()),
                server_version: "17.2 (Debian 17.2-1.pgdg120+1)".to_owned(),
                database_name,
            }),
            found_major: major,
            database: Some(DatabaseFacts { major: 17, extensions, ..DatabaseFacts::default() }),
            ..TaskResult::failed(reason, retry, message)
        };
        let text = result.to_message();
        prop_assert!(text.len() <= MAX_RESULT_BYTES, "{} bytes", text.len());
        let back = TaskResult::from_message(&text).unwrap();
        prop_assert_eq!((back.reason, back.retry, back.found_major), (result.reason, result.retry, major));
        let counts = |r: &TaskResult| r.backup.as_ref().map(|b| (b.pod_uid.clone(), b.rows, b.tables, b.stored_bytes));
        prop_assert_eq!(counts(&back), counts(&result));
        prop_assert!(!back.message.chars().any(char::is_control));
        // What the kubelet cut is no result, and nothing worse.
        let cut: String = text.chars().take(text.chars().count() - 1).collect();
        prop_assert_eq!(TaskResult::from_message(&cut), None);
    }

    #[test]
    fn k14_whatever_a_pod_writes_is_read_without_harm(noise in ".{0,300}") {
        prop_assert!(TaskResult::from_message(&noise).is_none());
    }
}

/// K15: what a worker writes, the operator reads.
#[test]
fn k15_a_line_of_progress_is_read_as_it_was_written() {
    use lifeboat::cluster::progress::parse;
    use lifeboat::work::progress::line;
    let waits = "pid 7 (\"ledger\", role app) waits";
    for (bytes, percent, blocking) in [
        (None, Some(42), None),
        (Some(7), None, Some(waits)),
        (None, None, None),
    ] {
        let text = line("BuildingIndex", bytes, percent, blocking);
        let text = format!("noise\n{text}\n");
        let progress = parse(&text).unwrap();
        assert_eq!(progress.step, "BuildingIndex");
        let want = percent.map(|p| i32::try_from(p).unwrap());
        assert_eq!(progress.percent, want);
        assert_eq!(progress.blocking.as_deref(), blocking);
    }
}
