//! `postgresql://` URIs, as libpq reads them, with what Lifeboat refuses. Pure.

use secrecy::SecretString;
use thiserror::Error;

use super::demands::ChannelBinding;
use crate::api::backup_policy::TlsMode;

/// What a URI says; all of it optional.
#[derive(Debug, Default)]
pub struct Uri {
    /// Host, or folder of a Unix socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<SecretString>,
    /// Database.
    pub dbname: Option<String>,
    /// From `sslmode`.
    pub tls: Option<TlsMode>,
    /// From `sslrootcert`: a file, or `system`.
    pub sslrootcert: Option<String>,
    /// From `sslcert`: a file.
    pub sslcert: Option<String>,
    /// From `sslkey`: a file.
    pub sslkey: Option<String>,
    /// From `channel_binding`.
    pub channel_binding: Option<ChannelBinding>,
}

/// Why a URI cannot be used. No part of its value is repeated but names of parameters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UriError {
    /// Not `postgres://` or `postgresql://`.
    #[error("it does not begin with postgresql://")]
    Scheme,
    /// A `%` not followed by two hex digits, or bytes that are not UTF-8.
    #[error("its percent-encoding is broken: write % as %25, @ as %40, : as %3A, / as %2F")]
    Encoding,
    /// Several hosts.
    #[error("it names several hosts; name one")]
    SeveralHosts,
    /// Not a port.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// An unclosed `[`.
    #[error("its IPv6 address lacks the closing ]")]
    Bracket,
    /// Only libpq knows it.
    #[error("its parameter {0} is not followed, so it is refused; remove it{1}")]
    Libpq(String, &'static str),
    /// Nobody knows it.
    #[error("its parameter {0} is not a connection parameter of PostgreSQL; remove it")]
    Unknown(String),
    /// It was split within user or password: what stands behind may be a part of a password.
    #[error(
        "an @ stands behind its first / or ?: in user and password write / as %2F, ? as %3F, @ as %40, : as %3A and % as %25; \
         elsewhere write @ as %40"
    )]
    Split,
    /// It was split at an & within a password: what stands behind may be a part of it.
    #[error(
        "behind its password stands what is no connection parameter: in the password write & as %26, = as %3D and % as %25"
    )]
    SplitParameter,
    /// No such word.
    #[error("its channel_binding is none of disable, prefer, require")]
    ChannelBinding,
    /// No such mode.
    #[error("its sslmode is none of disable, require, verify-ca, verify-full")]
    SslMode,
}

/// Parameters that change nothing for us: Lifeboat sets its own.
const IGNORED: [&str; 9] = [
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// Parameters of libpq that Lifeboat does not follow: each would make its own connection differ
/// from pg_dump's, or read a file that is not there.
const LIBPQ: [&str; 33] = [
    "service",
    "servicefile",
    "passfile",
    "sslpassword",
    "sslkeylogfile",
    "requiressl",
    "sslcrl",
    "sslcrldir",
    "sslcertmode",
    "sslsni",
    "sslcompression",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "hostaddr",
    "options",
    "replication",
    "requirepeer",
    "require_auth",
    "krbsrvname",
    "gssencmode",
    "gsslib",
    "gssdelegation",
    "target_session_attrs",
    "load_balance_hosts",
    "min_protocol_version",
    "max_protocol_version",
    "oauth_issuer",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_scope",
    "scram_client_key",
    "scram_server_key",
];

impl Uri {
    /// Reads a URI.
    ///
    /// # Errors
    /// [`UriError`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let rest = text
            .strip_prefix("postgresql://")
            .or_else(|| text.strip_prefix("postgres://"))
            .ok_or(UriError::Scheme)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, query),
            None => (rest, ""),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        if path.is_some_and(|path| path.contains('@')) || strange_at(query) {
            return Err(UriError::Split);
        }
        let mut uri = Uri::default();
        let hostport = match authority.rsplit_once('@') {
            Some((credentials, hostport)) => {
                let (user, password) = match credentials.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (credentials, None),
                };
                uri.user = some(decode(user)?);
                uri.password = password
                    .map(decode)
                    .transpose()?
                    .and_then(some)
                    .map(SecretString::from);
                hostport
            }
            None => authority,
        };
        uri.take_host(hostport)?;
        uri.dbname = path.map(decode).transpose()?.and_then(some);
        let mut secret = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = decode(key)?;
            uri.take_parameter(&key, decode(value)?)
                .map_err(|error| match error {
                    UriError::Unknown(_) if secret => UriError::SplitParameter,
                    error => error,
                })?;
            secret |= key == "password";
        }
        Ok(uri)
    }

    fn take_host(&mut self, hostport: &str) -> Result<(), UriError> {
        if hostport.contains(',') {
            return Err(UriError::SeveralHosts);
        }
        let (host, port) = match hostport.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(UriError::Bracket)?;
                (host, after.strip_prefix(':').unwrap_or(after))
            }
            None => hostport.split_once(':').unwrap_or((hostport, "")),
        };
        self.host = some(decode(host)?);
        if !port.is_empty() {
            self.port = Some(parse_port(port)?);
        }
        Ok(())
    }

    /// What this leaves open, as another says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            host: self.host.or(other.host),
            port: self.port.or(other.port),
            user: self.user.or(other.user),
            password: self.password.or(other.password),
            dbname: self.dbname.or(other.dbname),
            tls: self.tls.or(other.tls),
            sslrootcert: self.sslrootcert.or(other.sslrootcert),
            sslcert: self.sslcert.or(other.sslcert),
            sslkey: self.sslkey.or(other.sslkey),
            channel_binding: self.channel_binding.or(other.channel_binding),
        }
    }

    /// A parameter, of a URI or of a service file.
    ///
    /// # Errors
    /// [`UriError`].
    pub(super) fn take_parameter(&mut self, key: &str, value: String) -> Result<(), UriError> {
        match key {
            "host" if value.contains(',') => return Err(UriError::SeveralHosts),
            "host" => self.host = some(value),
            "port" => self.port = Some(parse_port(&value)?),
            "user" => self.user = some(value),
            "password" => self.password = some(value).map(SecretString::from),
            "dbname" => self.dbname = some(value),
            "sslmode" => self.tls = Some(parse_sslmode(&value)?),
            "sslrootcert" => self.sslrootcert = some(value),
            "sslcert" => self.sslcert = some(value),
            "sslkey" => self.sslkey = some(value),
            "channel_binding" => {
                let binding = ChannelBinding::parse(&value).ok_or(UriError::ChannelBinding)?;
                self.channel_binding = Some(binding);
            }
            "sslpassword" => {
                return Err(UriError::Libpq(
                    key.to_owned(),
                    " and store the key without a passphrase (openssl pkey)",
                ));
            }
            "service" => {
                return Err(UriError::Libpq(
                    key.to_owned(),
                    " and name the service in PGSERVICE",
                ));
            }
            "passfile" => {
                return Err(UriError::Libpq(
                    key.to_owned(),
                    " and name the file in PGPASSFILE",
                ));
            }
            key if LIBPQ.contains(&key) => return Err(UriError::Libpq(key.to_owned(), "")),
            key if IGNORED.contains(&key) => {}
            key => return Err(UriError::Unknown(key.chars().take(40).collect())),
        }
        Ok(())
    }
}

/// Whether an @ stands where only a URI that was split within its password has one: values of users and passwords may.
fn strange_at(query: &str) -> bool {
    let mut pairs = query.split('&').filter(|pair| pair.contains('@'));
    pairs.any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        !["user", "password", "application_name", "options"].contains(&name)
    })
}

/// `sslmode` of libpq. `allow` and `prefer` would fall back to plain text in silence: they count
/// as `require`.
///
/// # Errors
/// [`UriError::SslMode`].
pub fn parse_sslmode(text: &str) -> Result<TlsMode, UriError> {
    match text {
        "disable" => Ok(TlsMode::Disable),
        "allow" | "prefer" | "require" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        _ => Err(UriError::SslMode),
    }
}

/// A port from 1 to 65535.
///
/// # Errors
/// [`UriError::Port`].
pub fn parse_port(text: &str) -> Result<u16, UriError> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(UriError::Port),
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn decode(text: &str) -> Result<String, UriError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || {
            bytes
                .next()
                .and_then(|b| char::from(b).to_digit(16))
                .and_then(|d| u8::try_from(d).ok())
        };
        match (digit(), digit()) {
            (Some(high), Some(low)) if high + low > 0 => out.push(high * 16 + low),
            _ => return Err(UriError::Encoding),
        }
    }
    String::from_utf8(out).map_err(|_| UriError::Encoding)
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
