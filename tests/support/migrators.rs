//! MigrationRuns, approvals and the people who write them, on the API server of a test.

#![allow(dead_code)]

use std::time::{Duration, Instant};

use lifeboat::cluster::SystemClock;

use crate::apiserver::shared;

pub const ROBOT: &str = "system:serviceaccount:ci:deploy";

pub fn run_yaml(name: &str, by: &str, rest: &str) -> String {
    format!(
        "apiVersion: lifeboat.dev/v1alpha1
kind: MigrationRun
metadata: {{name: {name}}}
spec:
  policyRef: {{name: orders}}
  drillRef: {{name: nightly}}
  credentials: {{secretRef: {{name: migrator}}}}
  requestedBy: {by}
  source: {{configMapRef: {{name: files}}}}
  target: {{version: '7'}}
  window: {{notAfter: '2099-12-01T00:00:00Z'}}
  {rest}
"
    )
}

pub fn approval_yaml(name: &str, run: &str, uid: &str, by: &str) -> String {
    let (plan, evidence) = ("a".repeat(64), "b".repeat(64));
    let expires = jiff::Timestamp::from_second(seconds() + 86_400).unwrap();
    format!(
        "apiVersion: lifeboat.dev/v1alpha1
kind: MigrationApproval
metadata: {{name: {name}}}
spec: {{runRef: {{name: {run}}}, runUid: '{uid}', planHash: {plan}, evidenceHash: {evidence}, approver: '{by}', requestedBy: ada, expires: '{expires}'}}
"
    )
}

pub fn seconds() -> i64 {
    use lifeboat::cluster::Clock;
    SystemClock.now().as_second()
}

/// As that user, who may do what the ClusterRoles of migrators and approvers say in this namespace.
pub fn create(namespace: &str, who: &str, yaml: &str) -> Result<String, String> {
    let user = format!("--as={who}");
    let mut args = vec!["-n", namespace, "create", "-f", "-"];
    if who != "admin" {
        args.extend([user.as_str(), "--as-group=system:authenticated"]);
    }
    shared().try_kubectl(&args, yaml)
}

pub fn namespace(name: &str) -> String {
    let namespace = shared().namespace(name);
    for (role, user) in [
        ("lifeboat-migrator", "ada"),
        ("lifeboat-approver", "grace"),
        ("lifeboat-approver", ROBOT),
    ] {
        let binding = format!("{role}-{}", user.replace(':', "-"));
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
        let args = [
            "-n",
            &namespace,
            "create",
            "rolebinding",
            &binding,
            &role,
            &user,
        ];
        shared().kubectl(&args);
    }
    namespace
}

/// Refused with this, when the admission policies have begun to hold: some time after they were made.
#[track_caller]
pub fn refused(namespace: &str, who: &str, yaml: &str, message: &str) {
    let begun = Instant::now();
    loop {
        match create(namespace, who, yaml) {
            Err(text) => return assert!(text.contains(message), "{text}"),
            Ok(text) if begun.elapsed() > Duration::from_secs(30) => panic!("accepted: {text}"),
            Ok(_) => {
                let _ = shared().try_kubectl(&["-n", namespace, "delete", "-f", "-"], yaml);
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}
