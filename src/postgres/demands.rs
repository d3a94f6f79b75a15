//! What a connection has to bring, or to have, besides a server's certificate: a client's own, channel binding.

use std::fmt;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};

use super::error::PgError;
use crate::api::Reason;

/// Demands on a connection beyond TLS itself.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// What the server is shown where it asks for a certificate.
    pub client: Option<ClientCertificate>,
    /// Whether the login is bound to the TLS session.
    pub channel_binding: ChannelBinding,
}

/// `channel_binding` of libpq.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server can.
    #[default]
    Prefer,
    /// Or there is no login.
    Require,
}

impl ChannelBinding {
    /// Reads libpq's word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Disable, Self::Prefer, Self::Require];
        all.into_iter().find(|binding| binding.as_str() == text)
    }

    /// As libpq calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

impl From<ChannelBinding> for tokio_postgres::config::ChannelBinding {
    fn from(binding: ChannelBinding) -> Self {
        match binding {
            ChannelBinding::Disable => Self::Disable,
            ChannelBinding::Prefer => Self::Prefer,
            ChannelBinding::Require => Self::Require,
        }
    }
}

/// A client's certificate and its key, as PEM. Printing it shows no key.
#[derive(Clone)]
pub struct ClientCertificate {
    certificate: Vec<u8>,
    key: SecretString,
    source: String,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({})", self.source)
    }
}

impl ClientCertificate {
    /// Of two PEM texts; `source` names where they came from.
    ///
    /// # Errors
    /// `SecretInvalid` where they cannot be used.
    pub fn new(certificate: &[u8], key: SecretString, source: &str) -> Result<Self, PgError> {
        let client = Self {
            certificate: certificate.to_vec(),
            key,
            source: source.to_owned(),
        };
        client.parsed()?;
        Ok(client)
    }

    /// Where it came from, for messages.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The two files that libpq reads.
    pub(super) fn pem(&self) -> (&[u8], &[u8]) {
        (&self.certificate, self.key.expose_secret().as_bytes())
    }

    pub(super) fn invalid(&self, what: &str) -> PgError {
        let text = format!("the client certificate of {} {what}", self.source);
        PgError::never(Reason::SecretInvalid, text)
    }

    pub(super) fn parsed(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PgError> {
        let (certificate, key) = self.pem();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| self.invalid("is not PEM"))?;
        if chain.is_empty() {
            return Err(self.invalid("holds no certificate (-----BEGIN CERTIFICATE-----)"));
        }
        let text = self.key.expose_secret();
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(
                self.invalid("has an encrypted key: store it without a passphrase (openssl pkey)")
            );
        }
        let key = PrivateKeyDer::from_pem_slice(key);
        let key = key.map_err(|_| self.invalid("has no key (-----BEGIN PRIVATE KEY-----)"))?;
        Ok((chain, key))
    }
}
