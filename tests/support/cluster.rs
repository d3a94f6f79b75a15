//! The real cluster that `make test` brought up, through kubectl, and looked at from within this process.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::looks;

/// Between two looks at an object.
const LOOK: Duration = Duration::from_millis(500);

/// What stands in `target/cluster.env`.
pub fn environment() -> BTreeMap<String, String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/cluster.env");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| {
        panic!(
            "{}: {e}; these tests need a cluster: run `make test`",
            file.display()
        )
    });
    text.lines()
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// A namespace of one story. It is deleted when the story ends well, and kept to be looked at when it fails.
pub struct Story {
    environment: BTreeMap<String, String>,
    pub namespace: String,
}

impl Story {
    /// Makes a fresh namespace under restricted Pod Security.
    pub fn begin(name: &str) -> Self {
        let namespace = format!("e2e-{name}");
        let story = Self {
            environment: environment(),
            namespace,
        };
        story.plain(&[
            "delete",
            "namespace",
            &story.namespace,
            "--ignore-not-found",
            "--wait",
            "--timeout=600s",
        ]);
        story.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {}, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}\n", story.namespace));
        story
    }

    /// kubectl, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.environment["KUBECTL"]);
        command
            .args(args)
            .env("KUBECONFIG", &self.environment["CLUSTER_KUBECONFIG"]);
        command
    }

    /// Where kubectl finds the cluster.
    pub fn kubeconfig(&self) -> &str {
        &self.environment["CLUSTER_KUBECONFIG"]
    }

    fn run(&self, args: &[&str], input: Option<&str>) -> Output {
        let mut child = self
            .command(args)
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        if let Some(text) = input {
            child
                .stdin
                .take()
                .expect("stdin")
                .write_all(text.as_bytes())
                .expect("kubectl reads");
        }
        child.wait_with_output().expect("kubectl ends")
    }

    /// kubectl outside the namespace; panics when it fails.
    pub fn plain(&self, args: &[&str]) -> String {
        let output = self.run(args, None);
        assert!(
            output.status.success(),
            "kubectl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// kubectl in the story's namespace; panics when it fails.
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.plain(&[&["-n", &self.namespace], args].concat())
    }

    /// Applies a manifest in the story's namespace.
    pub fn apply(&self, manifest: &str) {
        self.try_apply(manifest)
            .unwrap_or_else(|e| panic!("{e}\n{manifest}"));
    }

    /// Applies a manifest, or says why the API server refused it.
    pub fn try_apply(&self, manifest: &str) -> Result<(), String> {
        let namespaced = !manifest.contains("kind: Namespace");
        let mut args = vec!["apply", "-f", "-"];
        if namespaced {
            args.splice(0..0, ["-n", &self.namespace]);
        }
        self.attempt(&args, manifest)
    }

    /// kubectl in the story's namespace as a person who has no right but those that the story gave him.
    pub fn kubectl_as(&self, who: &str, args: &[&str], input: &str) -> Result<(), String> {
        let user = format!("--as={who}");
        let person = [
            "-n",
            &self.namespace,
            &user,
            "--as-group=system:authenticated",
        ];
        self.attempt(&[&person[..], args].concat(), input)
    }

    fn attempt(&self, args: &[&str], input: &str) -> Result<(), String> {
        let output = self.run(args, Some(input));
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// An object as JSON; `None` if it is not there.
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        looks::object(self.kubeconfig(), &self.namespace, kind, name)
    }

    /// Copies a Secret of the demo into the story, with some keys replaced (`None` leaves a key out).
    pub fn copy_secret(&self, from: &str, to: &str, replace: &[(&str, Option<&str>)]) {
        let text = self.plain(&["-n", "demo", "get", "secret", from, "-o", "json"]);
        let source: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
        let mut data = source["data"].as_object().cloned().unwrap_or_default();
        let mut plain = serde_json::Map::new();
        for (key, value) in replace {
            data.remove(*key);
            if let Some(value) = value {
                plain.insert((*key).to_owned(), Value::String((*value).to_owned()));
            }
        }
        let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": to}, "data": data, "stringData": plain});
        self.apply(&secret.to_string());
    }

    /// Waits until `done` says so of the object. Bounded; when it does not come, everything one would ask is printed.
    pub fn await_object(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        limit: Duration,
        done: impl Fn(&Value) -> bool,
    ) -> Value {
        let began = Instant::now();
        loop {
            if let Some(object) = self.get(kind, name)
                && done(&object)
            {
                return object;
            }
            if began.elapsed() > limit {
                self.explain(kind, name);
                panic!(
                    "{kind}/{name} in {}: not within {limit:?}: {what}",
                    self.namespace
                );
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until a condition has this status and reason.
    pub fn await_condition(
        &self,
        kind: &str,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
        limit: Duration,
    ) -> Value {
        let what = format!("{type_}={status} {reason}");
        self.await_object(kind, name, &what, limit, |object| {
            condition(object, type_).is_some_and(|c| {
                c["status"] == status && (reason.is_empty() || c["reason"] == reason)
            })
        })
    }

    /// Waits until there is no such object.
    pub fn await_gone(&self, kind: &str, name: &str, limit: Duration) {
        let began = Instant::now();
        while self.get(kind, name).is_some() {
            if began.elapsed() > limit {
                self.explain(kind, name);
                panic!("{kind}/{name} is still there after {limit:?}");
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until no object of this kind has the label.
    pub fn await_none(&self, kind: &str, label: &str, limit: Duration) {
        let began = Instant::now();
        loop {
            let left = looks::labelled(self.kubeconfig(), &self.namespace, kind, label);
            if left.is_empty() {
                return;
            }
            assert!(
                began.elapsed() < limit,
                "still there after {limit:?}: {left:#?}"
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Prints everything one would ask about an object, or about all of a kind.
    pub fn explain(&self, kind: &str, name: &str) {
        for args in [
            vec!["get", kind, name, "-o", "yaml"],
            vec!["get", "lifeboat,jobs,pods", "-o", "wide"],
            vec!["get", "events", "--sort-by=.lastTimestamp"],
            vec![
                "logs",
                "--selector",
                "lifeboat.dev/task",
                "--all-containers",
                "--tail=20",
                "--prefix",
            ],
        ] {
            let mut all = [vec!["-n", &self.namespace], args.clone()].concat();
            all.retain(|arg| !arg.is_empty());
            let output = self.run(&all, None);
            eprintln!(
                "--- kubectl {args:?}\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let output = self.run(
            &[
                "-n",
                "lifeboat-system",
                "logs",
                "deployment/lifeboat",
                "--tail=40",
            ],
            None,
        );
        eprintln!("--- operator\n{}", String::from_utf8_lossy(&output.stdout));
    }

    /// What kstatus says of an object: `Current`, `InProgress`, `Failed` …
    pub fn kstatus(&self, object: &Value) -> String {
        let mut child = Command::new(&self.environment["KSTATUS"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("kstatus starts");
        child
            .stdin
            .take()
            .expect("stdin")
            .write_all(object.to_string().as_bytes())
            .expect("kstatus reads");
        let output = child.wait_with_output().expect("kstatus ends");
        String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// Ends the story well.
    pub fn end(self) {
        self.plain(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

/// A condition of an object.
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|c| c["type"] == type_)
}
