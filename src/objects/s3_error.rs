//! From what the SDK reports to a [`StoreError`]: the service's code first, then the cause of the failed call.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::s3_answer;
use super::s3_tries::{Again, Failed};
use super::s3_words::Refusal;
use super::{Operation, StoreError, proxy};
use crate::api::Reason;

/// How many causes are followed.
const MAX_CAUSES: usize = 16;

/// The innermost cause, without what the SDK makes of it: the store is to blame.
fn their_words(error: &(dyn Error + 'static)) -> String {
    let last = causes(error).last().map(ToString::to_string);
    let last = last.unwrap_or_default();
    let words = last.split(". This is likely a bug in the SDK").next();
    words.unwrap_or_default().to_owned()
}

/// What failed and where, for the message.
pub(super) struct Context<'a> {
    pub(super) operation: Operation,
    pub(super) place: &'a str,
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    /// It must not replace anything.
    pub(super) create: bool,
}

impl Context<'_> {
    pub(super) fn error(&self, reason: Reason, detail: impl AsRef<str>) -> StoreError {
        StoreError::new(reason, self.operation, self.place, self.key, detail)
    }

    pub(super) fn timed_out(&self) -> StoreError {
        self.error(Reason::StoreUnreachable, "no answer in time")
            .or_done()
    }

    /// The store answered, and it makes no sense: an error, never "there is nothing" (P13).
    pub(super) fn not_understood(&self, what: &str) -> StoreError {
        let text = format!("the store's answer cannot be understood: {what}");
        self.error(Reason::StoreFailed, text).or_done()
    }

    /// Translates what a try ended with.
    pub(super) fn explain<E>(&self, error: &SdkError<E, HttpResponse>) -> Failed
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::TimeoutError(_) => Failed::new(self.timed_out(), Again::Line),
            SdkError::ServiceError(service) => {
                let error = service.err();
                let (code, message) = (error.code(), error.message());
                self.refused(service.raw(), code, message, error)
            }
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                let detail = format!("the answer cannot be read (HTTP {status}): not an S3 store?");
                let error = self.error(Reason::StoreFailed, detail).or_done();
                Failed::new(error, Again::Line)
            }
            SdkError::DispatchFailure(dispatch) => {
                let failed = dispatch.as_connector_error().map_or_else(
                    || Failed::new(self.unknown(), Again::Never),
                    |connector| self.unreachable(connector),
                );
                // A line that breaks before the answer is none of the SDK's kinds "timeout" and "io".
                if dispatch.is_user() {
                    return Failed {
                        again: Again::Never,
                        ..failed
                    };
                }
                Failed {
                    error: failed.error.or_done(),
                    ..failed
                }
            }
            other => other.source().map_or_else(
                || Failed::new(self.unknown(), Again::Never),
                |source| self.unreachable(source),
            ),
        }
    }

    /// An answer with an error in it, whatever its status.
    fn refused(
        &self,
        answer: &HttpResponse,
        code: Option<&str>,
        message: Option<&str>,
        error: &(dyn Error + 'static),
    ) -> Failed {
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            // Completing an upload may take long: S3 says 200 first, and how it ended in the body.
            let body = answer.body().bytes().unwrap_or_default();
            let Some((code, message)) = s3_answer::error_in(body) else {
                let error = match Refusal::page(answer) {
                    Some(page) => self.answered(&page).or_done(),
                    None => self.not_understood(&their_words(error)),
                };
                return Failed::new(error, Again::Brief);
            };
            let error = self.answered(&Refusal::late(&code, &message));
            // What is denied or gone stays so, whatever the status said.
            return Failed::new(error, again(status, &code));
        }
        let refusal = Refusal::read(answer, code, message);
        let error = self.answered(&refusal);
        let again = match refusal.foreign {
            Some(_) if status == 404 => Again::Never,
            // What is full is not emptied within minutes.
            _ if error.reason() == Reason::StoreFull => Again::Never,
            _ => again(status, refusal.code),
        };
        Failed {
            error,
            again,
            after: wait(answer.headers().get("retry-after")),
            maybe_sum: matches!(status, 400 | 501) && !damaged(refusal.code),
        }
    }

    fn unknown(&self) -> StoreError {
        self.error(Reason::StoreFailed, "the call failed without a reason")
    }

    /// The store was not reached, or its certificate was refused.
    fn unreachable(&self, error: &(dyn Error + 'static)) -> Failed {
        let line = |error| Failed::new(error, Again::Line);
        for cause in causes(error) {
            if let Some(tls) = tls_error(cause) {
                let (reason, text) = certificate(tls);
                return Failed::new(self.error(reason, text), Again::Never);
            }
            if let Some(found) = cause.downcast_ref::<io::Error>() {
                match found.kind() {
                    io::ErrorKind::ConnectionRefused => {
                        let text = by_proxy("connection refused");
                        return line(self.error(Reason::StoreUnreachable, text));
                    }
                    io::ErrorKind::TimedOut => return line(self.timed_out()),
                    _ => {}
                }
            }
            if cause.is::<aws_credential_types::provider::error::CredentialsError>() {
                let text = "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to the name of a profile that has them";
                let error = self.error(Reason::StoreCredentialsInvalid, text);
                return Failed::new(error, Again::Never);
            }
        }
        let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
        let dns = texts
            .iter()
            .any(|t| t.contains("dns error") || t.contains("failed to lookup"));
        if dns {
            let text = by_proxy("the host of the endpoint does not resolve");
            return line(self.error(Reason::StoreUnreachable, text));
        }
        // The innermost cause says most; the outer ones say "dispatch failure".
        let text = texts.last().cloned().unwrap_or_default();
        let tunnel = texts.iter().find(|t| t.contains("tunnel"));
        if let (Some(tunnel), Ok(Some(proxy))) = (tunnel, proxy::installed()) {
            let asks = tunnel.contains("authorization required");
            let what = match (asks, proxy.has_login()) {
                (true, true) => "does not take its user and password",
                (true, false) => {
                    "asks for a user and a password: write http://USER:PASSWORD@HOST:PORT"
                }
                // Some answer a wrong password as they answer a host that nobody may reach.
                (false, true) => "does not let it through, or does not take its user and password",
                (false, false) => "does not let it through",
            };
            let text = format!("the proxy {} (HTTPS_PROXY) {what}", proxy.shown());
            return line(self.error(Reason::StoreUnreachable, text));
        }
        line(self.error(Reason::StoreUnreachable, text))
    }
}

/// What kept us from the host that was asked first: for https that is the proxy's, where there is one.
fn by_proxy(text: &str) -> String {
    match proxy::installed() {
        Ok(Some(proxy)) => format!(
            "{text}; stores over https are reached through {} (HTTPS_PROXY)",
            proxy.shown()
        ),
        _ => text.to_owned(),
    }
}

/// Whether the store would have it tried again.
fn again(status: u16, code: &str) -> Again {
    let busy = matches!(
        code,
        "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "TooManyRequestsException"
            | "ServiceUnavailable"
            | "InternalError"
            | "RequestTimeout"
            | "RequestTimeoutException"
    );
    match status {
        408 | 429 | 500 | 502 | 503 | 504 => Again::Busy,
        _ if busy || damaged(code) => Again::Busy,
        // The next try is signed by the clock that this answer told of.
        _ if code == "RequestTimeTooSkewed" => Again::Brief,
        _ => Again::Never,
    }
}

/// What arrived is not what was sent: once more.
fn damaged(code: &str) -> bool {
    matches!(
        code,
        "BadDigest"
            | "XAmzContentSHA256Mismatch"
            | "IncompleteBody"
            | "XAmzContentChecksumMismatch"
    )
}

/// `Retry-After`, in seconds. One that is a date is left to our own pauses.
fn wait(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

/// The error and what caused it. An `io::Error` hides what it wraps from `source`, so look inside too.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source()).take(MAX_CAUSES)
}

fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    let mut inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    for _ in 0..MAX_CAUSES {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        inner = inner.downcast_ref::<io::Error>()?.get_ref()?;
    }
    None
}

/// What is wrong with the store's certificate.
fn certificate(error: &rustls::Error) -> (Reason, String) {
    use rustls::CertificateError as Bad;
    // What came was no record of TLS.
    if matches!(
        error,
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)
    ) {
        let text =
            "the endpoint answers without TLS: write http://, or the port where it speaks https";
        return (Reason::TlsFailed, text.to_owned());
    }
    let rustls::Error::InvalidCertificate(bad) = error else {
        return (Reason::TlsFailed, format!("TLS failed: {error}"));
    };
    match bad {
        Bad::UnknownIssuer => (
            Reason::UntrustedIssuer,
            "the store's certificate was signed by an authority that is not trusted: name it in s3.ca"
                .to_owned(),
        ),
        Bad::Expired | Bad::ExpiredContext { .. } => (
            Reason::CertificateExpired,
            "the store's certificate has expired".to_owned(),
        ),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => (
            Reason::HostnameMismatch,
            "the store's certificate is for another name than the endpoint's".to_owned(),
        ),
        // webpki says this of a self-signed certificate that is its own authority.
        Bad::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => (
            Reason::UntrustedIssuer,
            "the store's certificate is an authority's own: name a server certificate's authority in s3.ca"
                .to_owned(),
        ),
        other => (
            Reason::TlsFailed,
            format!("the store's certificate was refused: {other}"),
        ),
    }
}
