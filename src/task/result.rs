//! What a worker answers.

use serde::{Deserialize, Serialize};

use crate::api::Reason;
use crate::api::backup_policy::DatabaseFacts;

/// Longest result in bytes: what the kubelet leaves to a pod of six containers (K14).
pub const MAX_RESULT_BYTES: usize = 2_048;
/// Longest message in characters.
pub const MAX_RESULT_MESSAGE: usize = 600;

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retry {
    /// Not before something was changed by a person.
    Never,
    /// Later.
    Later,
}

/// The answer of a worker. Untrusted: the image that ran it may be anybody's (K14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskResult {
    /// One sentence for people, first so that a cut document still says it.
    pub message: String,
    /// [`super::TASK_VERSION`].
    pub version: u32,
    /// `Succeeded`, or why not.
    pub reason: Reason,
    /// Whether trying again can help.
    pub retry: Retry,
    /// On a complete backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupResult>,
    /// On a probe that reached the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeResult>,
    /// What a drill found, whatever its verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<super::DrillResult>,
    /// What a step of a migration found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<super::MigrationResult>,
    /// Major version that was found, also when the attempt failed with `WrongMajor` (K20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_major: Option<i32>,
    /// What was learnt of the database, as far as it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseFacts>,
}

/// A complete backup, in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupResult {
    /// Uid of the pod, whose first 12 hex digits end the prefix.
    pub pod_uid: String,
    /// Bytes that pg_dump wrote.
    pub raw_bytes: i64,
    /// Bytes in the bucket.
    pub stored_bytes: i64,
    /// Tables.
    pub tables: i64,
    /// Rows.
    pub rows: i64,
    /// The recovery point; absent from workers of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_at: Option<jiff::Timestamp>,
    /// Position before the locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
    /// For example `17.2`.
    pub server_version: String,
    /// Name of the database.
    pub database_name: String,
}

/// What a store can do. `None`: not found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeResult {
    /// The credentials were accepted.
    pub credentials_valid: Option<bool>,
    /// Put and multipart work.
    pub writable: Option<bool>,
    /// A second conditional put was refused.
    pub conditional_writes: Option<bool>,
    /// Listing is allowed. Noted only (K34).
    pub list: Option<bool>,
    /// Deleting is allowed. Noted only (K34).
    pub delete: Option<bool>,
}

/// The list of facts that can be cut first.
fn spare(facts: &mut DatabaseFacts) -> Option<&mut Vec<String>> {
    if !facts.extensions.is_empty() {
        Some(&mut facts.extensions)
    } else if facts.not_dumped.len() > 1 {
        Some(&mut facts.not_dumped)
    } else {
        Some(&mut facts.extension_data).filter(|list| list.len() > 1)
    }
}

impl TaskResult {
    /// A success without figures.
    #[must_use]
    pub fn succeeded(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            version: super::TASK_VERSION,
            reason: Reason::Succeeded,
            retry: Retry::Never,
            backup: None,
            probe: None,
            drill: None,
            migration: None,
            found_major: None,
            database: None,
        }
    }

    /// A failure.
    #[must_use]
    pub fn failed(reason: Reason, retry: Retry, message: impl Into<String>) -> Self {
        Self {
            reason,
            retry,
            ..Self::succeeded(message)
        }
    }

    /// As it stands in the termination message: at most [`MAX_RESULT_BYTES`], shortened where it
    /// must be (extensions first, then what no dump holds, of which one is enough to be told, then the message).
    #[must_use]
    pub fn to_message(&self) -> String {
        let mut cut = self.clone();
        cut.message = cut.message.chars().take(MAX_RESULT_MESSAGE).collect();
        loop {
            let text = serde_json::to_string(&cut).unwrap_or_default();
            if text.len() <= MAX_RESULT_BYTES {
                return text;
            }
            let mismatches = cut.drill.as_mut().map(|d| &mut d.mismatches);
            let migration = cut.migration.as_mut();
            let shown = migration.and_then(super::MigrationResult::shown);
            let mismatches = mismatches.or(shown);
            let facts = cut.database.as_mut().and_then(spare);
            match mismatches.filter(|list| !list.is_empty()).or(facts) {
                Some(list) if !list.is_empty() => {
                    list.pop();
                }
                _ if cut.message.len() > 100 => {
                    let keep = cut.message.chars().count() / 2;
                    cut.message = cut.message.chars().take(keep).collect();
                }
                _ => cut.database = None,
            }
            if cut.database.is_none() && cut.message.len() <= 100 {
                cut.backup = cut.backup.map(|b| BackupResult {
                    database_name: String::new(),
                    ..b
                });
                return serde_json::to_string(&cut).unwrap_or_default();
            }
        }
    }

    /// Reads a termination message. `None` if it is not a result of ours: too long, not JSON,
    /// another version, an unknown reason. Control characters are blanked.
    #[must_use]
    pub fn from_message(text: &str) -> Option<Self> {
        if text.len() > 2 * MAX_RESULT_BYTES {
            return None;
        }
        let mut result: TaskResult = serde_json::from_str(text.trim()).ok()?;
        if result.version != super::TASK_VERSION {
            return None;
        }
        result.message = result
            .message
            .chars()
            .take(MAX_RESULT_MESSAGE)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_always_fits_and_comes_back() {
        let mut result = TaskResult::failed(
            Reason::PermissionDenied,
            Retry::Never,
            "ü\u{1}".repeat(2_000),
        );
        result.database = Some(DatabaseFacts {
            major: 17,
            extensions: (0..100).map(|i| format!("extension_{i} 1.0.{i}")).collect(),
            not_dumped: (0..100)
                .map(|i| format!("index {i}{}", "x".repeat(200)))
                .collect(),
            extension_data: (0..100)
                .map(|i| format!("table {i}{}", "x".repeat(200)))
                .collect(),
            ..DatabaseFacts::default()
        });
        let text = result.to_message();
        assert!(text.len() <= MAX_RESULT_BYTES, "{}", text.len());
        let back = TaskResult::from_message(&text).unwrap();
        let facts = back.database.unwrap();
        assert!(!facts.not_dumped.is_empty() && !facts.extension_data.is_empty());
        assert_eq!(back.reason, Reason::PermissionDenied);
        assert!(!back.message.contains('\u{1}'));
    }

    #[test]
    fn what_is_not_a_result_is_none() {
        for text in [
            "",
            "{}",
            "not json",
            r#"{"message":"x","version":9,"reason":"Succeeded","retry":"Never"}"#,
            r#"{"message":"x","version":1,"reason":"Lies","retry":"Never"}"#,
        ] {
            assert_eq!(TaskResult::from_message(text), None, "{text}");
        }
    }
}
