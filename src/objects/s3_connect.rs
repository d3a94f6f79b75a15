//! How an S3 client comes to be: credentials, authority, endpoint, bounds.

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Operation, StoreError, proxy};
use crate::api::Reason;
use crate::api::backup_store::Addressing;
use crate::task::{CaTask, StoreTask};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// One try of one request, body included: 16 MiB in a minute is 2.3 Mbit/s.
const ATTEMPT: Duration = Duration::from_secs(60);
/// Largest file with a credential or an authority.
const MAX_FILE: u64 = 1024 * 1024;
/// What AWS and every store we know accept when none is named.
const DEFAULT_REGION: &str = "us-east-1";

/// Where a client points.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    pub(super) endpoint: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) addressing: Addressing,
}

/// Secrets of a task, as read from the mounted folder.
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl Keys {
    /// Reads the writer's Secret (K6: mounted whole and optional, so that we can say what is missing).
    pub(super) fn read(task: &StoreTask, place: &str) -> Result<Self, StoreError> {
        let dir = Path::new(&task.dir);
        let name = &task.secret_name;
        let open = |reason, text: String| StoreError::new(reason, Operation::Open, place, "", text);
        // A mounted Secret that is missing is an empty folder.
        let empty = std::fs::read_dir(dir).map_or(true, |mut files| files.next().is_none());
        if empty {
            return Err(open(
                Reason::SecretMissing,
                format!("Secret {name} does not exist or is empty"),
            ));
        }
        let read = |key: &str| -> Result<Option<String>, StoreError> {
            let bytes = match read_bounded(&dir.join(key)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    let text =
                        format!("Secret {name}, key {key}, cannot be read: {}", error.kind());
                    return Err(open(Reason::SecretInvalid, text));
                }
            };
            let invalid = |what: &str| {
                open(
                    Reason::SecretInvalid,
                    format!("Secret {name}, key {key}, {what}"),
                )
            };
            let text = String::from_utf8(bytes).map_err(|_| invalid("is not text"))?;
            let text = text.trim();
            if text.is_empty() {
                return Err(invalid("is empty"));
            }
            if text
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii())
            {
                return Err(invalid("has characters that no key has"));
            }
            Ok(Some(text.to_owned()))
        };
        let need = |key: &str| -> Result<String, StoreError> {
            read(key)?.ok_or_else(|| {
                open(
                    Reason::KeyMissing,
                    format!("Secret {name} has no key {key}"),
                )
            })
        };
        Ok(Self {
            id: need("access-key-id")?,
            secret: need("secret-access-key")?,
            token: read("session-token")?,
        })
    }

    pub(super) fn credentials(&self) -> Credentials {
        Credentials::new(
            self.id.clone(),
            self.secret.clone(),
            self.token.clone(),
            None,
            "lifeboat",
        )
    }

    pub(super) fn all(&self) -> Vec<String> {
        let mut all = vec![self.id.clone(), self.secret.clone()];
        all.extend(self.token.clone());
        all
    }
}

/// Reads the authority that a task names.
pub(super) fn read_authority(ca: &CaTask, place: &str) -> Result<Vec<u8>, StoreError> {
    let open = |reason, text: String| StoreError::new(reason, Operation::Open, place, "", text);
    let dir = Path::new(&ca.dir);
    let source = &ca.source;
    let key = &ca.key;
    if std::fs::read_dir(dir).map_or(true, |mut files| files.next().is_none()) {
        let text = format!("{source} does not exist or is empty");
        return Err(open(Reason::SecretMissing, text));
    }
    let pem = match read_bounded(&dir.join(key)) {
        Ok(pem) => pem,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(open(
                Reason::KeyMissing,
                format!("{source} has no key {key}"),
            ));
        }
        Err(error) => {
            let text = format!("{source}, key {key}, cannot be read: {}", error.kind());
            return Err(open(Reason::SecretInvalid, text));
        }
    };
    check_authority(&pem).map_err(|what| {
        open(
            Reason::SecretInvalid,
            format!("{source}, key {key}, {what}"),
        )
    })?;
    Ok(pem)
}

/// Holds a PEM file against what the HTTP client would otherwise panic over.
pub(super) fn check_authority(pem: &[u8]) -> Result<(), &'static str> {
    let mut roots = rustls::RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem) {
        let cert = cert.map_err(|_| "is not PEM")?;
        roots
            .add(cert)
            .map_err(|_| "holds a certificate that cannot be an authority")?;
    }
    if roots.is_empty() {
        return Err("holds no certificate (PEM, -----BEGIN CERTIFICATE-----)");
    }
    Ok(())
}

/// An HTTP client that trusts `authority`, or what browsers trust; over https through the proxy that the environment names.
///
/// Never the image's own store: the worker runs in the user's PostgreSQL image.
pub(super) fn http_client(authority: Option<&[u8]>) -> Result<SharedHttpClient, String> {
    let mut trust = TrustStore::empty();
    match authority {
        Some(pem) => {
            check_authority(pem).map_err(str::to_owned)?;
            trust.add_pem_certificate(pem);
        }
        None => {
            for cert in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
                trust.add_pem_certificate(to_pem(cert));
            }
        }
    }
    let context = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| error.to_string())?;
    let tls = Provider::rustls(CryptoMode::AwsLc);
    let Some(proxy) = proxy::installed()? else {
        let client = Builder::new().tls_provider(tls).tls_context(context);
        return Ok(client.build_https());
    };
    let through = proxy.config()?;
    Ok(
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector = Connector::builder().proxy_config(through.clone());
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(|c| c.sleep_impl()));
            connector
                .tls_provider(tls.clone())
                .tls_context(context.clone())
                .build()
        }),
    )
}

fn to_pem(der: &CertificateDer<'_>) -> Vec<u8> {
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut column = 0;
    for letter in aws_smithy_types::base64::encode(der).chars() {
        pem.push(letter);
        column += 1;
        if column % 64 == 0 {
            pem.push('\n');
        }
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem.into_bytes()
}

/// Bounds, addressing and checksums, the same for tasks and for the command line.
pub(super) fn bounded(
    builder: aws_sdk_s3::config::Builder,
    target: &Target<'_>,
) -> aws_sdk_s3::config::Builder {
    let path_style = match target.addressing {
        Addressing::Auto => target.endpoint.is_some(),
        Addressing::Path => true,
        Addressing::VirtualHost => false,
    };
    let mut builder = builder
        .force_path_style(path_style)
        // We try again ourselves: the SDK counts tries instead of time, and does not know `Retry-After`.
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ATTEMPT)
                .build(),
        )
        // Each attempt is bounded anyway; on a throttled line this one gives up too early.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = target.endpoint {
        // Our bodies are in memory, so that their checksums are headers. Trailers break other stores (R2 501,
        // B2 400, OSS, Ceph). Who refuses headers too gets none (`summed`).
        builder = builder
            .endpoint_url(endpoint)
            .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    builder
}

/// A client for a task: its credentials and nothing from the environment.
pub(super) fn client(target: &Target<'_>, keys: &Keys, http: SharedHttpClient) -> Client {
    let region = target.region.unwrap_or(DEFAULT_REGION).to_owned();
    let builder = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(keys.credentials())
        .http_client(http);
    Client::from_conf(bounded(builder, target).build())
}

/// A client for the command line: AWS's own environment and profiles. Returns the endpoint in force.
pub(super) async fn client_from_environment(
    target: &Target<'_>,
    http: SharedHttpClient,
) -> (Client, Option<String>) {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(region) = target.region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let shared = loader.load().await;
    let endpoint = target.endpoint.or_else(|| shared.endpoint_url());
    let target = Target {
        endpoint,
        ..target.clone()
    };
    let mut builder = aws_sdk_s3::config::Builder::from(&shared);
    if shared.region().is_none() {
        builder = builder.region(Region::new(DEFAULT_REGION));
    }
    let client = Client::from_conf(bounded(builder, &target).build());
    (client, target.endpoint.map(str::to_owned))
}

/// Reads a small file.
pub(super) fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
