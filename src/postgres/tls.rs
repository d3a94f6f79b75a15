//! Trust: one set of roots for our own connections and for pg_dump, and verifiers for the four modes.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::error::PgError;
use super::target::Target;
use crate::api::Reason;
use crate::api::backup_policy::TlsMode;

/// How TLS is spoken with a target; `None` where it is not.
///
/// # Errors
/// `SecretInvalid` if the authority holds no certificate.
pub fn client_config(target: &Target) -> Result<Option<ClientConfig>, PgError> {
    let mode = target.tls_in_force();
    if mode == TlsMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier {
        mode,
        roots: roots(target)?,
        provider: Arc::clone(&provider),
    };
    let wanted = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| PgError::never(Reason::InternalError, format!("failed to set up TLS: {e}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(client) = &target.demands.client else {
        return Ok(Some(wanted.with_no_client_auth()));
    };
    let (chain, key) = client.parsed()?;
    let config = wanted.with_client_auth_cert(chain, key);
    let config = config.map_err(|e| client.invalid(&unfit(&e)))?;
    Ok(Some(config))
}

/// Why a certificate of ours cannot be shown.
fn unfit(error: &rustls::Error) -> String {
    let text = error.to_string();
    match text.contains("UnsupportedCertVersion") {
        // As `openssl x509 -req` without extensions makes it.
        true => "is of X.509 version 1: make one of version 3, with an extension (openssl x509 -extfile)".to_owned(),
        false => format!("does not fit its key: {text}"),
    }
}

fn roots(target: &Target) -> Result<RootCertStore, PgError> {
    let mut store = RootCertStore::empty();
    let Some(pem) = &target.ca_pem else {
        store.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        return Ok(store);
    };
    let source = target.ca_source.as_deref().unwrap_or("the given authority");
    let invalid = |what: String| PgError::never(Reason::SecretInvalid, format!("{source} {what}"));
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate
            .map_err(|e| invalid(format!("is not a PEM bundle of certificates: {e}")))?;
        store
            .add(certificate)
            .map_err(|e| invalid(format!("holds a certificate that cannot be used: {e}")))?;
    }
    if store.is_empty() {
        return Err(invalid(
            "holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned(),
        ));
    }
    Ok(store)
}

/// The same trust as PEM, for libpq (K37).
#[must_use]
pub fn trust_pem(target: &Target) -> Vec<u8> {
    match &target.ca_pem {
        Some(pem) => pem.clone(),
        None => webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .flat_map(|der| pem_of(der))
            .collect(),
    }
}

fn pem_of(der: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let word = (0..3).fold(0u32, |word, i| {
                (word << 8) | u32::from(group.get(i).copied().unwrap_or(0))
            });
            for i in 0..4usize {
                let digit = usize::try_from((word >> (18 - 6 * i)) & 63).unwrap_or(0);
                out.push(if i > group.len() {
                    b'='
                } else {
                    ALPHABET.get(digit).copied().unwrap_or(b'=')
                });
            }
        }
        out.push(b'\n');
    }
    out.extend_from_slice(b"-----END CERTIFICATE-----\n");
    out
}

/// `Require` asks nothing of the certificate, `VerifyCa` its chain, `VerifyFull` its name too.
#[derive(Debug)]
struct Verifier {
    mode: TlsMode,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.mode == TlsMode::Require {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        if self.mode == TlsMode::VerifyFull {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Why a handshake failed, and what to do (K37).
#[must_use]
pub fn handshake_error(target: &Target, error: &rustls::Error) -> PgError {
    let host = &target.host;
    let (reason, text) = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => (
                Reason::UntrustedIssuer,
                format!(
                    "the certificate of {host} was not signed by {}: give its authority in spec.database.tls.ca",
                    target
                        .ca_source
                        .as_deref()
                        .unwrap_or("any of the public authorities")
                ),
            ),
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => (
                Reason::NoSubjectAltName,
                format!(
                    "the certificate of {host} names no host: its subject alternative name is missing (a common name does \
                     not count); have it issued with the name {host}, or set tls.mode VerifyCa"
                ),
            ),
            CertificateError::NotValidForName => {
                (Reason::HostnameMismatch, mismatch(host, "other names"))
            }
            CertificateError::NotValidForNameContext { presented, .. } => (
                Reason::HostnameMismatch,
                mismatch(
                    host,
                    &presented
                        .iter()
                        .take(5)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", "),
                ),
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                Reason::CertificateExpired,
                format!(
                    "the certificate of {host}, or of an authority that signed it, has expired: renew it"
                ),
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                Reason::TlsFailed,
                format!("the certificate of {host} is not valid yet: compare the clocks"),
            ),
            other => (
                Reason::TlsFailed,
                format!("the certificate of {host} cannot be used: {other}"),
            ),
        },
        rustls::Error::AlertReceived(alert) if target.demands.client.is_some() => {
            let source = target.demands.client.as_ref().map_or("", |c| c.source());
            let text = format!(
                "{host}:{} refuses the client certificate of {source} ({alert:?}): have it issued by an authority that the \
                 server trusts (ssl_ca_file)",
                target.port
            );
            (Reason::AuthenticationFailed, text)
        }
        other => (
            Reason::TlsFailed,
            format!("TLS with {host}:{} failed: {other}", target.port),
        ),
    };
    match reason {
        Reason::TlsFailed => PgError::later(reason, text),
        _ => PgError::never(reason, text),
    }
}

fn mismatch(host: &str, names: &str) -> String {
    format!(
        "the certificate is not for {host} but for {names}: use a host that stands in it, or set tls.mode VerifyCa"
    )
}
