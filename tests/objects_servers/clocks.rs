//! A machine whose clock is not the store's: it works, and it is said.

use std::process::Command;

use lifeboat::api::Reason;
use lifeboat::task::{TASK_ENV, TaskResult};

use crate::minio;
use crate::proxied::{probe, run, said};

/// What a probe says on a machine whose clock is that far from this one's.
async fn probed(far: Option<&str>) -> TaskResult {
    let minio = minio::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("result");
    let mut command = match far {
        // Debian's package faketime.
        Some(far) => {
            let mut command = Command::new("faketime");
            command.args(["-f", far, env!("CARGO_BIN_EXE_lifeboat")]);
            command
        }
        None => Command::new(env!("CARGO_BIN_EXE_lifeboat")),
    };
    command.arg("work").arg("--result").arg(&file);
    let task = probe(&minio);
    let env = [
        (TASK_ENV, task.as_str()),
        ("POD_UID", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"),
        // Only the time of day is another.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let output = run(&mut command, &env);
    let result =
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
    TaskResult::from_message(&result).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_twenty_minutes_off_is_said_and_stops_nothing() {
    for far in ["+20m", "-20m"] {
        let result = probed(Some(far)).await;
        assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
        assert!(
            result.message.contains("the clocks differ by"),
            "{}",
            result.message
        );
    }
    let result = probed(None).await;
    assert_eq!(result.reason, Reason::Succeeded, "{}", result.message);
    assert!(!result.message.contains("clock"), "{}", result.message);
}
