//! What can go wrong with a store, in words for people and never with a credential (P8).

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::api::Reason;

/// Longest detail in characters: the text may come from a server we do not know.
const MAX_DETAIL: usize = 300;

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Opening the store: credentials, authority, endpoint.
    Open,
    /// [`super::ObjectStore::put`]
    Put,
    /// [`super::ObjectStore::begin`]
    Begin,
    /// [`super::ObjectStore::upload_part`]
    UploadPart,
    /// [`super::ObjectStore::complete`]
    Complete,
    /// [`super::ObjectStore::abort`]
    Abort,
    /// [`super::ObjectStore::get`]
    Get,
    /// [`super::ObjectStore::head`]
    Head,
    /// [`super::ObjectStore::list`]
    List,
    /// [`super::ObjectStore::delete`]
    Delete,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Open => "open",
            Operation::Put => "write",
            Operation::Begin => "begin the upload of",
            Operation::UploadPart => "upload a part of",
            Operation::Complete => "complete the upload of",
            Operation::Abort => "abort the upload of",
            Operation::Get => "read",
            Operation::Head => "look up",
            Operation::List => "list",
            Operation::Delete => "delete",
        })
    }
}

/// Why a store did not do as asked: operation, place, key and one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("failed to {operation} {}: {detail}", where_to(.place, .key))]
pub struct StoreError {
    reason: Reason,
    operation: Operation,
    place: String,
    key: String,
    detail: String,
    missing: bool,
    ambiguous: bool,
    nobodys: bool,
}

fn where_to(place: &str, key: &str) -> String {
    if key.is_empty() {
        return place.to_owned();
    }
    format!("{}/{key}", place.trim_end_matches('/'))
}

impl StoreError {
    /// A failure of `operation` on `key` at `place` (`s3://bucket/prefix`).
    #[must_use]
    pub fn new(
        reason: Reason,
        operation: Operation,
        place: &str,
        key: &str,
        detail: impl AsRef<str>,
    ) -> Self {
        Self {
            reason,
            operation,
            place: place.to_owned(),
            key: key.to_owned(),
            detail: clean(detail.as_ref()),
            missing: false,
            ambiguous: false,
            nobodys: false,
        }
    }

    /// There is no such object.
    #[must_use]
    pub fn missing(operation: Operation, place: &str, key: &str) -> Self {
        Self {
            missing: true,
            ..Self::new(
                Reason::StoreFailed,
                operation,
                place,
                key,
                "there is no such object",
            )
        }
    }

    /// Marks that the store may have done it all the same: the answer was lost.
    #[must_use]
    pub(crate) fn or_done(mut self) -> Self {
        self.ambiguous = true;
        self
    }

    /// Marks that whoever answered may be no store at all.
    #[must_use]
    pub(crate) fn nobodys(mut self) -> Self {
        self.nobodys = true;
        self
    }

    /// Whether whoever answered may be no store at all.
    pub(crate) fn is_nobodys(&self) -> bool {
        self.nobodys
    }

    /// Says how often and how long it was tried, if it was more than once.
    #[must_use]
    pub(crate) fn after(mut self, times: u32, spent: Duration) -> Self {
        if times > 1 {
            let seconds = spent.as_secs();
            self.detail = format!("{} (tried {times} times in {seconds} s)", self.detail);
        }
        self
    }

    /// Blanks these words in the text, should a server have echoed one of them.
    #[must_use]
    pub(crate) fn without(mut self, secrets: &[String]) -> Self {
        for secret in secrets.iter().filter(|s| s.len() >= 4) {
            self.detail = self.detail.replace(secret.as_str(), "…");
        }
        self
    }

    /// What happened, of the closed set.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What was tried.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Whether the object or upload was not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.missing
    }

    /// Whether the store may have done it although no answer came.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        self.ambiguous
    }

    /// Whether the same call again cannot help before somebody changed something.
    #[must_use]
    pub fn permanent(&self) -> bool {
        self.missing
            || matches!(
                self.reason,
                Reason::BucketNotFound
                    | Reason::StoreCredentialsInvalid
                    | Reason::StoreAccessDenied
                    | Reason::NotSupportedByStore
                    | Reason::AlreadyExists
                    | Reason::SecretMissing
                    | Reason::KeyMissing
                    | Reason::SecretInvalid
                    | Reason::InvalidSpec
                    | Reason::UntrustedIssuer
                    | Reason::CertificateExpired
                    | Reason::HostnameMismatch
                    | Reason::NoSubjectAltName
            )
    }
}

/// One line, bounded, and without what follows a `?` in a URL: signatures stand there.
fn clean(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .map(|word| match (word.find("://"), word.find('?')) {
            (Some(scheme), Some(query)) if scheme < query => {
                format!("{}?…", word.get(..query).unwrap_or_default())
            }
            _ => word.to_owned(),
        })
        .collect();
    let line = words.join(" ");
    if line.chars().count() <= MAX_DETAIL {
        return line;
    }
    let mut cut: String = line.chars().take(MAX_DETAIL).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_operation_place_and_key_in_one_line() {
        let error = StoreError::new(
            Reason::StoreAccessDenied,
            Operation::Put,
            "s3://shop/prod",
            "a/b",
            "AccessDenied:\n  go\u{7}away",
        );
        assert_eq!(
            error.to_string(),
            "failed to write s3://shop/prod/a/b: AccessDenied: go away"
        );
        assert!(error.permanent());
    }

    #[test]
    fn a_signed_url_and_an_echoed_credential_are_blanked() {
        let error = StoreError::new(
            Reason::StoreFailed,
            Operation::Get,
            "s3://shop",
            "k",
            "at https://shop.s3/k?X-Amz-Signature=abcdef for AKIAEXAMPLE",
        )
        .without(&["AKIAEXAMPLE".to_owned()]);
        let text = error.to_string();
        assert!(
            !text.contains("abcdef") && !text.contains("AKIAEXAMPLE"),
            "{text}"
        );
    }

    #[test]
    fn a_long_answer_is_cut() {
        let long = "x".repeat(10_000);
        let error = StoreError::new(Reason::StoreFailed, Operation::Get, "s3://shop", "k", long);
        assert!(error.to_string().chars().count() < 400);
    }
}
