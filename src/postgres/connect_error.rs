//! Why a server was not reached, or did not let in: a reason for each way.

use std::io::ErrorKind;

use super::error::PgError;
use super::target::Target;
use super::tls;
use crate::api::Reason;
use crate::api::backup_policy::TlsMode;

pub(super) fn io_error(target: &Target, error: &std::io::Error) -> PgError {
    let (reason, what) = match error.kind() {
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            (Reason::ConnectTimeout, "cannot be reached")
        }
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
            (Reason::ConnectionLost, "closed the connection")
        }
        _ => (Reason::ConnectionRefused, "refuses connections"),
    };
    PgError::later(
        reason,
        format!("{}:{} {what} ({error})", target.host, target.port),
    )
}

pub(super) fn pg_error(target: &Target, error: &tokio_postgres::Error) -> PgError {
    if let Some(said) = error.as_db_error() {
        let text = format!("the server refused the connection to {}", target.display());
        return PgError::of_server(&text, said);
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return tls::handshake_error(target, tls);
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
                return tls::handshake_error(target, tls);
            }
            return io_error(target, io);
        }
        source = cause.source();
    }
    let text = error_chain(error);
    if target.tls_in_force() != TlsMode::Disable && text.contains("does not support TLS") {
        return PgError::never(
            Reason::ServerHasNoTls,
            format!(
                "{}:{} offers no TLS: switch it on there (ssl = on), or set tls.mode Disable (sslmode=disable) if the network is trusted",
                target.host, target.port
            ),
        );
    }
    if error.is_closed() {
        return PgError::later(
            Reason::ConnectionLost,
            format!("{}:{} closed the connection", target.host, target.port),
        );
    }
    if text.contains("password missing") || text.contains("authentication") {
        return PgError::never(
            Reason::AuthenticationFailed,
            format!("failed to log in to {}: {text}", target.display()),
        );
    }
    let reason = if text.contains("TLS") {
        Reason::TlsFailed
    } else {
        Reason::ConnectionLost
    };
    PgError::later(
        reason,
        format!("failed to connect to {}: {text}", target.display()),
    )
}

fn error_chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
