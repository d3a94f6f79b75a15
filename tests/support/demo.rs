//! The demo, run once for all stories of one test run.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// The demo, run once for all stories.
#[derive(Default)]
struct Demo {
    text: String,
    success: Option<bool>,
}

static DEMO: (Mutex<Option<Demo>>, Condvar) = (Mutex::new(None), Condvar::new());

/// Starts the demo if nobody did, waits until it has printed `until` or has ended, and gives what it printed.
pub fn printed(until: Option<&str>) -> String {
    let (state, changed) = &DEMO;
    let mut demo = state.lock().unwrap();
    if demo.is_none() {
        *demo = Some(Demo::default());
        std::thread::spawn(run_demo);
    }
    // Bounded by the demo's own limits; an hour is for a machine that builds everything first.
    let (demo, waited) = changed
        .wait_timeout_while(demo, Duration::from_secs(3_600), |demo| {
            let demo = demo.as_ref().unwrap();
            demo.success.is_none() && !until.is_some_and(|text| demo.text.contains(text))
        })
        .unwrap();
    let (text, success) = {
        let demo = demo.as_ref().unwrap();
        (demo.text.clone(), demo.success)
    };
    // The other stories are to read the same, not that a lock is poisoned.
    drop(demo);
    assert!(!waited.timed_out(), "the demo hangs\n{text}");
    assert!(success != Some(false), "the demo failed\n{text}");
    text
}

fn run_demo() {
    let mut child = Command::new("dev/demo/up")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env(
            "CLUSTER_SLOT",
            &crate::cluster::environment()["CLUSTER_SLOT"],
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("dev/demo/up starts");
    let (state, changed) = &DEMO;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let mut demo = state.lock().unwrap();
        let demo = demo.as_mut().unwrap();
        demo.text.push_str(&line.unwrap());
        demo.text.push('\n');
        changed.notify_all();
    }
    let success = child.wait().is_ok_and(|status| status.success());
    state.lock().unwrap().as_mut().unwrap().success = Some(success);
    changed.notify_all();
}

/// Its servers and Lifeboat are there; it goes on by itself.
pub fn installed() {
    printed(Some("== 4/8"));
}
