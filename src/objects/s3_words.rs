//! What a store's refusal means, in a sentence that sends people to the right place. Each stands in
//! docs/failure-modes.md too, and is tested there.

use aws_sdk_s3::config::http::HttpResponse;

use super::StoreError;
use super::s3_answer;
use super::s3_error::Context;
use crate::api::Reason;

/// Longest name of a region or host that is repeated.
const MAX_NAME: usize = 100;

/// An answer with an error in it.
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    /// S3's code; empty where there is none.
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    /// The region that the store wants.
    pub(super) region: Option<String>,
    /// Scheme and host that a redirect leads to.
    pub(super) leads_to: Option<String>,
    /// What answered speaks another language, of this type: no store of S3's kind.
    pub(super) foreign: Option<String>,
}

impl<'a> Refusal<'a> {
    /// Of an answer that has these.
    pub(super) fn read(
        answer: &'a HttpResponse,
        code: Option<&'a str>,
        message: Option<&'a str>,
    ) -> Self {
        let body = answer.body().bytes().unwrap_or_default();
        let header = |name: &str| answer.headers().get(name);
        let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
        let named = s3_answer::element(body, "Region").or(header("x-amz-bucket-region"));
        let own = answer
            .headers()
            .iter()
            .any(|(n, _)| n.starts_with("x-amz-"));
        let status = answer.status().as_u16();
        let redirect = (300..400).contains(&status);
        let foreign = match body.is_empty() {
            // Without a body the SDK makes a code of its own, whoever answered.
            true => !own && (redirect || status == 404),
            false => code.is_empty() || s3_answer::whole(body, "Error").is_err(),
        };
        let kind = header("content-type").unwrap_or("no type");
        Self {
            status,
            code,
            message,
            region: named.or(expected(message)).and_then(name),
            leads_to: header("location").and_then(host),
            foreign: foreign.then(|| kind.to_owned()),
        }
    }

    /// Of a success that is no XML: a page of whoever stands there instead of a store.
    pub(super) fn page(answer: &HttpResponse) -> Option<Self> {
        let kind = answer.headers().get("content-type").unwrap_or("no type");
        let body = answer.body().bytes().unwrap_or_default();
        let xml = kind.contains("xml") && !kind.contains("xhtml") || body.starts_with(b"<?xml");
        (!xml).then(|| Self {
            foreign: Some(kind.to_owned()),
            status: answer.status().as_u16(),
            ..Self::late("", "")
        })
    }

    /// Of an error that came as a success.
    pub(super) fn late(code: &'a str, message: &'a str) -> Self {
        Self {
            status: 500,
            code,
            message,
            region: None,
            leads_to: None,
            foreign: None,
        }
    }

    /// As the store said it.
    fn said(&self) -> String {
        let status = self.status;
        match (self.code, self.message) {
            ("", "") => format!("HTTP {status}"),
            (code, "") => code.to_owned(),
            ("", message) => format!("HTTP {status}: {message}"),
            (code, message) => format!("{code}: {message}"),
        }
    }

    /// Nobody who speaks S3 answered.
    fn strange(&self, kind: &str) -> String {
        let leads = self.leads_to.as_ref();
        let leads = leads.map_or(String::new(), |host| format!(" to {host}"));
        format!(
            "HTTP {}{leads} without a code of S3 ({kind}): the endpoint does not speak S3, or something stands before it",
            self.status
        )
    }

    fn is_full(&self) -> bool {
        let codes = [
            "XMinioStorageFull",
            "XMinioAdminBucketQuotaExceeded",
            "QuotaExceeded",
            "StorageQuotaExceeded",
            "InsufficientStorage",
            "StorageFull",
        ];
        let words = ["no space left", "quota exceeded", "storage cap"];
        let message = self.message.to_ascii_lowercase();
        let said = matches!(self.status, 400 | 403 | 413 | 500)
            && words.iter().any(|word| message.contains(word));
        self.status == 507 || said || codes.contains(&self.code)
    }

    /// Whether it may be the condition that the store does not take.
    fn may_be_the_condition(&self) -> bool {
        let codes = [
            "",
            "InvalidArgument",
            "InvalidRequest",
            "BadRequest",
            "InvalidHeader",
            "UnsupportedHeader",
            "NotSupported",
            "UnsupportedOperation",
        ];
        self.foreign.is_none() && self.status == 400 && codes.contains(&self.code)
    }
}

impl Context<'_> {
    /// The store said no.
    pub(super) fn answered(&self, refusal: &Refusal<'_>) -> StoreError {
        if let Some(kind) = &refusal.foreign {
            return self.strange(refusal, kind);
        }
        let said = refusal.said();
        let (reason, text) = match (refusal.code, refusal.status) {
            ("NoSuchKey" | "NoSuchUpload" | "NotFound", _) => {
                return StoreError::missing(self.operation, self.place, self.key);
            }
            _ if refusal.is_full() => (Reason::StoreFull, format!("the store is full ({said})")),
            _ => self
                .of_bucket(refusal, &said)
                .or_else(|| of_keys(refusal, &said))
                .or_else(|| self.of_operation(refusal, &said))
                .unwrap_or((Reason::StoreFailed, said)),
        };
        let error = self.error(reason, text);
        match refusal.status {
            500.. => error.or_done(),
            _ => error,
        }
    }

    /// There is none, or it is elsewhere.
    fn of_bucket(&self, refusal: &Refusal<'_>, said: &str) -> Option<(Reason, String)> {
        let bucket = self.bucket;
        let elsewhere = matches!(refusal.status, 301 | 307)
            || [
                "PermanentRedirect",
                "TemporaryRedirect",
                "IllegalLocationConstraintException",
            ]
            .contains(&refusal.code);
        let malformed = refusal.code == "AuthorizationHeaderMalformed";
        match (refusal.code, &refusal.region) {
            ("NoSuchBucket", _) => {
                let text = format!("there is no bucket {bucket}");
                Some((Reason::BucketNotFound, text))
            }
            ("InvalidBucketName", _) => {
                let text = format!("the store takes no bucket of the name {bucket} ({said})");
                Some((Reason::InvalidSpec, text))
            }
            (_, Some(region)) if elsewhere || malformed => {
                let text = format!("the region is wrong: set s3.region to {region} ({said})");
                Some((Reason::InvalidSpec, text))
            }
            _ if elsewhere => {
                let text = format!("the bucket is in another region: set s3.region ({said})");
                Some((Reason::InvalidSpec, text))
            }
            _ => None,
        }
    }

    /// What was asked may not be, or cannot.
    fn of_operation(&self, refusal: &Refusal<'_>, said: &str) -> Option<(Reason, String)> {
        Some(match (refusal.code, refusal.status) {
            ("PreconditionFailed", _) | (_, 412) => {
                (Reason::AlreadyExists, "the key is taken".to_owned())
            }
            ("ConditionalRequestConflict", _) => {
                let text = "the key is being written by another";
                (Reason::AlreadyExists, text.to_owned())
            }
            ("NotImplemented" | "MethodNotAllowed", _) | (_, 405 | 501) if !self.create => {
                let text = format!("the store does not support this ({said})");
                (Reason::NotSupportedByStore, text)
            }
            ("NotImplemented" | "MethodNotAllowed", _) | (_, 405 | 501) => no_condition(said),
            _ if self.create && refusal.may_be_the_condition() => no_condition(said),
            ("InvalidObjectState", _) => {
                let text = format!(
                    "the object lies in an archive class: restore it in the store first ({said})"
                );
                (Reason::StoreFailed, text)
            }
            ("AccessDenied" | "AllAccessDisabled" | "AccountProblem", _) | (_, 403) => {
                let text = format!("the store denies it to this access key ({said})");
                (Reason::StoreAccessDenied, text)
            }
            _ => return None,
        })
    }

    fn strange(&self, refusal: &Refusal<'_>, kind: &str) -> StoreError {
        let error = self.error(Reason::StoreFailed, refusal.strange(kind));
        match refusal.status {
            404 => error.nobodys(),
            500.. => error.or_done(),
            _ => error,
        }
    }
}

/// Who asks, and when by the store's clock.
fn of_keys(refusal: &Refusal<'_>, said: &str) -> Option<(Reason, String)> {
    let what = match (refusal.code, refusal.status) {
        (
            "InvalidAccessKeyId"
            | "UnrecognizedClientException"
            | "NotSignedUp"
            | "XAdminUserNotFound",
            _,
        )
        | ("", 401) => "the store does not know the access key",
        ("SignatureDoesNotMatch", _) => {
            "the secret access key does not belong to the access key, or the request was changed on its way"
        }
        ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired", _) => {
            "the session token has expired"
        }
        ("InvalidToken" | "InvalidSecurity" | "AuthorizationHeaderMalformed", _) => {
            "the store cannot use the credentials"
        }
        ("RequestTimeTooSkewed", _) => {
            let text = "the clocks of store and worker differ by more than 15 minutes";
            return Some((Reason::StoreFailed, text.to_owned()));
        }
        _ => return None,
    };
    Some((Reason::StoreCredentialsInvalid, format!("{what} ({said})")))
}

fn no_condition(said: &str) -> (Reason, String) {
    let text = format!("the store does not take If-None-Match ({said})");
    (Reason::NotSupportedByStore, text)
}

/// `the region 'us-east-1' is wrong; expecting 'eu-west-1'`
fn expected(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("expecting '")?;
    Some(rest.split_once('\'')?.0)
}

/// A region, if it can be one: it is shown as something to be set.
fn name(text: &str) -> Option<String> {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let fits = !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(letter);
    fits.then(|| text.to_owned())
}

/// Scheme and host of a URL: what follows may be a secret.
fn host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let fits = !host.is_empty() && host.len() <= MAX_NAME;
    fits.then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_store_says_only_names_are_shown_as_something_to_do() {
        assert_eq!(
            expected("is wrong; expecting 'eu-west-1'"),
            Some("eu-west-1")
        );
        assert_eq!(expected("expecting 'eu"), None);
        assert_eq!(name("eu-west-1").as_deref(), Some("eu-west-1"));
        assert_eq!(name("eu-west-1; rm -rf"), None);
        let signed = "https://user:pass@login.example/in?token=1";
        assert_eq!(host(signed).as_deref(), Some("https://login.example"));
        assert_eq!(host("/in"), None);
    }
}
