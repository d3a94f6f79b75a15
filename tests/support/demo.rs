//! The demo, run once for all stories of one test run.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::cluster::Story;

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
    printed(Some("== 4/9"));
}

/// A way to the demo's bucket from outside the cluster. One request each: kubectl ends a forward whose connection the other
/// side resets.
pub struct Bucket {
    forward: Child,
    /// Kept open: kubectl ends when nobody reads what else it says.
    _words: BufReader<ChildStdout>,
    pub address: String,
    keys: [String; 2],
}

impl Bucket {
    pub fn open(story: &Story) -> Self {
        let mut forward = story
            .command(&["port-forward", "-n", "demo", "service/minio", ":9000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut words = BufReader::new(forward.stdout.take().unwrap());
        words.read_line(&mut line).unwrap();
        let address = line.split_whitespace().nth(2).unwrap().to_owned();
        let keys = ["access-key-id", "secret-access-key"].map(|key| {
            let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
            story.plain(&["get", "secret", "-n", "demo", "s3-writer", "-o", &template])
        });
        Self {
            forward,
            _words: words,
            address,
            keys,
        }
    }

    /// A program that finds the bucket's keys in its environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let [id, key] = &self.keys;
        command
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", key);
        command
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.forward.kill();
        let _ = self.forward.wait();
    }
}

/// Asks the bucket as `dev/demo/s3` does, and answers what it prints.
pub fn s3(story: &Story, args: &[&str], input: &[u8]) -> Vec<u8> {
    let bucket = Bucket::open(story);
    let mut child = bucket
        .command(concat!(env!("CARGO_MANIFEST_DIR"), "/dev/demo/s3"))
        .args(args)
        .env("S3_ENDPOINT", format!("http://{}", bucket.address))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output.stdout
}
