//! Names of children: a pure function of owner and due time that people can read (K26).

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Longest name of a Job of ours. Pods get six characters more and must stay within 63.
pub const MAX_JOB_NAME: usize = 52;

/// The first `n` hex digits of SHA-256 over the parts, each ended by a zero byte.
#[must_use]
pub fn hash_hex(parts: &[&str], n: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest: String = hasher
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    digest.chars().take(n).collect()
}

/// `name` if it has at most `max` characters; else cut, with `-` and 8 hex digits of its hash.
#[must_use]
pub fn fit(name: &str, max: usize) -> String {
    if name.chars().count() <= max {
        return name.to_owned();
    }
    let hash = hash_hex(&[name], 8);
    let head: String = name.chars().take(max.saturating_sub(9)).collect();
    format!("{}-{hash}", head.trim_end_matches(['-', '.']))
}

/// Due time as it stands in names: `20261121t0200z`.
#[must_use]
pub fn due_in_name(due: Timestamp) -> String {
    due.strftime("%Y%m%dt%H%Mz").to_string()
}

/// Due time as it stands in the bucket: `20261121T020000Z`.
#[must_use]
pub fn due_in_bucket(due: Timestamp) -> String {
    due.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Name of a scheduled Backup: `<policy>-<due time>`, at most 52 characters.
#[must_use]
pub fn backup(policy: &str, due: Timestamp) -> String {
    fit(&format!("{policy}-{}", due_in_name(due)), MAX_JOB_NAME)
}

/// Name of an attempt's Job: `<backup>-a<attempt>`.
#[must_use]
pub fn backup_job(backup: &str, attempt: i32) -> String {
    fit_job(&format!("{backup}-a{attempt}"))
}

/// Name of the Job that tells the store of a pin: `<backup>-p<generation>-<try>`.
#[must_use]
pub fn pin_job(backup: &str, generation: i64, failed_tries: i32) -> String {
    fit_job(&format!("{backup}-p{generation}-{failed_tries}"))
}

/// Name of a drill's run: `<drill>-<due time>`, with seconds where they are not zero (a run that a person asked
/// for, or a drill without schedule): two runs never share a proof. At most 52 characters.
#[must_use]
pub fn drill_run(drill: &str, due: Timestamp) -> String {
    let whole_minute = due.as_second() % 60 == 0;
    let time = match whole_minute {
        true => due_in_name(due),
        false => due.strftime("%Y%m%dt%H%M%Sz").to_string(),
    };
    fit(&format!("{drill}-{time}"), MAX_JOB_NAME)
}

/// Name of the Job of a run's attempt: `<run>-d<attempt>`. Not `-a`: a drill may have the name of its policy, and be due with it.
#[must_use]
pub fn drill_job(run: &str, attempt: i32) -> String {
    fit_job(&format!("{run}-d{attempt}"))
}

/// Name of the Job of a step of a MigrationRun: `<run>-<step>-<attempt>`.
#[must_use]
pub fn migration_job(run: &str, step: &str, attempt: i32) -> String {
    fit_job(&format!("{run}-{step}-{attempt}"))
}

/// Name of the Backup and of the RestoreDrill that a run asks for: `<run>-gate`, later ones with their number.
#[must_use]
pub fn gate(run: &str, round: i32) -> String {
    match round {
        ..=1 => fit(&format!("{run}-gate"), MAX_JOB_NAME),
        _ => fit(&format!("{run}-gate-{round}"), MAX_JOB_NAME),
    }
}

/// Name of a probe's or check's Job: `<object>-<task>-<8 hex of uid, generation, requestedAt, try>`.
#[must_use]
pub fn upkeep_job(
    object: &str,
    task: &str,
    uid: &str,
    generation: i64,
    requested_at: &str,
    round: &str,
) -> String {
    let hash = hash_hex(&[uid, &generation.to_string(), requested_at, round], 8);
    let suffix = format!("-{task}-{hash}");
    let head = fit_job(object);
    if head.len() + suffix.len() <= MAX_JOB_NAME {
        return format!("{head}{suffix}");
    }
    let head = fit(&head, MAX_JOB_NAME.saturating_sub(suffix.len()));
    format!("{head}{suffix}")
}

/// A Job's name is a DNS label where it matters (pod host names), so dots become dashes.
fn fit_job(name: &str) -> String {
    if name.contains('.') {
        let hash = hash_hex(&[name], 8);
        let head: String = name
            .replace('.', "-")
            .chars()
            .take(MAX_JOB_NAME - 9)
            .collect();
        return format!("{}-{hash}", head.trim_end_matches('-'));
    }
    fit(name, MAX_JOB_NAME)
}

/// Longest default directory. Stores on a file system take no longer name of a folder than 255 bytes.
const MAX_DIRECTORY: usize = 200;

/// Default directory of a policy in its store.
#[must_use]
pub fn default_directory(namespace: &str, policy: &str) -> String {
    fit(&format!("{namespace}.{policy}"), MAX_DIRECTORY)
}

/// Folder of one pod's backup under the store's prefix: `<directory>/<due>-<12 hex of the pod's uid>` (K1).
#[must_use]
pub fn run_prefix(directory: &str, due: Timestamp, pod_uid: &str) -> String {
    let uid: String = pod_uid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    format!("{directory}/{}-{uid}", due_in_bucket(due))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_fit() {
        let due: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        assert_eq!(backup("shop", due), "shop-20261121t0200z");
        assert_eq!(
            backup_job("shop-20261121t0200z", 1),
            "shop-20261121t0200z-a1"
        );
        let long = "p".repeat(253);
        for name in [
            backup(&long, due),
            backup_job(&long, 3),
            backup_job(&"a.".repeat(120), 3),
            upkeep_job(&long, "check", "u", 1, "", "0"),
            drill_run(&long, due),
            drill_job(&drill_run(&long, due), 3),
        ] {
            assert!(name.len() <= MAX_JOB_NAME, "{name}");
            assert!(!name.ends_with('-') && !name.ends_with('.'));
        }
        assert_ne!(backup_job(&long, 1), backup_job(&long, 2));
        assert_eq!(drill_run("shop", due), "shop-20261121t0200z");
        let asked = "2026-11-21T02:00:07Z".parse().unwrap();
        assert_eq!(drill_run("shop", asked), "shop-20261121t020007z");
        assert_eq!(
            drill_job("shop-20261121t0200z", 2),
            "shop-20261121t0200z-d2"
        );
        assert_ne!(backup_job("a.b", 1), backup_job("a-b", 1));
        assert_eq!(
            run_prefix("d.p", due, "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"),
            "d.p/20261121T020000Z-0a1b2c3d4e5f"
        );
    }
}
