//! How an [`S3`] is opened, and small parts of it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use jiff::Timestamp;

use super::s3_connect::{self, Keys, Target};
use super::s3_tries::{Known, Patience};
use super::{Operation, S3, StoreError};
use crate::api::Reason;
use crate::api::backup_store::Addressing;
use crate::task::StoreTask;

/// Credentials, to blank them wherever a store echoes one. Never printed.
pub(super) struct Secrets(pub(super) Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// Which bucket, for [`S3::from_environment`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Folder in it, without slashes at its ends; empty for the root.
    pub prefix: String,
    /// URL of an S3-compatible store; else `AWS_ENDPOINT_URL`, else AWS.
    pub endpoint: Option<String>,
    /// Region; else what the environment says.
    pub region: Option<String>,
    /// How it is addressed.
    pub addressing: Addressing,
    /// PEM file with the authority of the endpoint's certificate.
    pub ca: Option<std::path::PathBuf>,
}

impl S3 {
    /// Opens the store of a task: credentials are files in `task.dir`. Sends nothing yet.
    ///
    /// # Errors
    /// [`Reason::SecretMissing`], [`Reason::KeyMissing`] or [`Reason::SecretInvalid`], naming Secret and key.
    pub fn from_task(task: &StoreTask) -> Result<Self, StoreError> {
        let place = place(&task.bucket, &task.prefix);
        let keys = Keys::read(task, &place)?;
        let authority = match &task.ca {
            Some(ca) => Some(s3_connect::read_authority(ca, &place)?),
            None => None,
        };
        let http = s3_connect::http_client(authority.as_deref())
            .map_err(|what| open_error(Reason::InvalidSpec, &place, what))?;
        let target = Target {
            endpoint: task.endpoint.as_deref(),
            region: task.region.as_deref(),
            addressing: task.addressing,
        };
        Ok(Self {
            client: s3_connect::client(&target, &keys, http),
            bucket: task.bucket.clone(),
            prefix: task.prefix.trim_matches('/').to_owned(),
            secrets: Secrets(keys.all()),
            patience: Patience::default(),
            known: Known::default(),
        })
    }

    /// Opens a store for the command line, with the credentials of AWS's own environment and profiles
    /// (`AWS_ACCESS_KEY_ID` …, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, `AWS_REGION`). Sends nothing to the store yet.
    ///
    /// # Errors
    /// [`Reason::InvalidSpec`] when the CA file cannot be used.
    pub async fn from_environment(bucket: &Bucket) -> Result<Self, StoreError> {
        let place = place(&bucket.name, &bucket.prefix);
        let bad = |what: String| open_error(Reason::InvalidSpec, &place, what);
        let authority = match &bucket.ca {
            Some(path) => Some(
                s3_connect::read_bounded(path)
                    .map_err(|error| bad(format!("{}: {error}", path.display())))?,
            ),
            None => None,
        };
        if let Some(pem) = &authority {
            s3_connect::check_authority(pem).map_err(|what| bad(format!("the CA file {what}")))?;
        }
        let http = s3_connect::http_client(authority.as_deref()).map_err(bad)?;
        let target = Target {
            endpoint: bucket.endpoint.as_deref(),
            region: bucket.region.as_deref(),
            addressing: bucket.addressing,
        };
        let (client, _) = s3_connect::client_from_environment(&target, http).await;
        Ok(Self {
            client,
            bucket: bucket.name.clone(),
            prefix: bucket.prefix.trim_matches('/').to_owned(),
            secrets: Secrets(Vec::new()),
            patience: Patience::default(),
            known: Known::default(),
        })
    }
}

/// As messages name it.
pub(super) fn place(bucket: &str, prefix: &str) -> String {
    format!("s3://{}", super::join(bucket, prefix.trim_matches('/')))
        .trim_end_matches('/')
        .to_owned()
}

fn open_error(reason: Reason, place: &str, what: impl AsRef<str>) -> StoreError {
    StoreError::new(reason, Operation::Open, place, "", what)
}

/// Takes the store's clock from the answer (K2): the SDK's output has no headers.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerDate(Arc<Mutex<Option<Timestamp>>>);

impl ServerDate {
    pub(super) fn read(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "ServerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context
            .response()
            .headers()
            .get("date")
            .and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok())
            .and_then(|date| Timestamp::from_second(date.secs()).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}
