//! Where backups are, as people write it: `s3://bucket/prefix?endpoint=…` or `file:///path`.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::{Bucket, Dir, ObjectStore, Operation, S3, StoreError};
use crate::api::Reason;
use crate::api::backup_store::Addressing;

/// A store, as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `s3://bucket/prefix?endpoint=https://…&region=…&addressing=path&ca=/path/ca.crt`
    S3(Bucket),
    /// `file:///path`
    Dir(PathBuf),
}

/// Why a location cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LocationError {
    /// Another scheme, or none.
    #[error("failed to read the location: write s3://bucket/prefix or file:///path")]
    Scheme,
    /// No bucket.
    #[error("failed to read the location: s3:// wants a bucket, s3://bucket/prefix")]
    NoBucket,
    /// Not absolute.
    #[error("failed to read the location: file:// wants an absolute path, file:///path")]
    NotAbsolute,
    /// A bucket's or folder's name that cannot be.
    #[error("failed to read the location: {0} cannot be part of it")]
    Name(&'static str),
    /// A credential stood in the URL. It is not repeated.
    #[error(
        "failed to read the location: {0} does not belong in a URL, where shells and logs keep it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )]
    Credential(&'static str),
    /// A parameter we do not know.
    #[error(
        "failed to read the location: unknown parameter {0}; known are endpoint, region, addressing, ca"
    )]
    Unknown(String),
    /// A parameter whose value cannot be.
    #[error("failed to read the location: {name} must be {wanted}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}

impl Location {
    /// Reads a location.
    ///
    /// # Errors
    /// [`LocationError`], which never repeats a credential.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if let Some(path) = text.strip_prefix("file://") {
            let path = decode(path);
            if !path.starts_with('/') {
                return Err(LocationError::NotAbsolute);
            }
            return Ok(Location::Dir(PathBuf::from(path)));
        }
        let rest = text.strip_prefix("s3://").ok_or(LocationError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.contains('@') {
            return Err(LocationError::Credential("user:password@"));
        }
        if bucket.is_empty() {
            return Err(LocationError::NoBucket);
        }
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if !bucket.chars().all(letter) {
            return Err(LocationError::Name("the bucket's name"));
        }
        let prefix = decode(prefix).trim_matches('/').to_owned();
        if prefix.split('/').any(|part| part == "." || part == "..") {
            return Err(LocationError::Name("`.` or `..`"));
        }
        let mut found = Bucket {
            name: bucket.to_owned(),
            prefix,
            ..Bucket::default()
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            set(&mut found, &decode(name), decode(value))?;
        }
        Ok(Location::S3(found))
    }

    /// Opens what is there. A folder that is not there is an error: a disk that is not mounted must not be taken
    /// for an empty one, and a slip of the pen not for a new place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_existing(&self) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let store = self.open().await?;
        match self {
            Location::Dir(path) if !path.is_dir() => Err(StoreError::new(
                Reason::BucketNotFound,
                Operation::Open,
                &store.place(),
                "",
                "there is no such folder; make it first if it is the right place",
            )),
            _ => Ok(store),
        }
    }

    /// Opens it. S3 takes credentials from AWS's own environment and profiles.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(&self) -> Result<Arc<dyn ObjectStore>, StoreError> {
        Ok(match self {
            Location::S3(bucket) => Arc::new(S3::from_environment(bucket).await?),
            Location::Dir(path) => Arc::new(Dir::new(path)),
        })
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn set(bucket: &mut Bucket, name: &str, value: String) -> Result<(), LocationError> {
    match name {
        "endpoint" => {
            let host = value
                .strip_prefix("https://")
                .or_else(|| value.strip_prefix("http://"));
            match host.map(|host| host.trim_end_matches('/')) {
                Some(host) if host.contains('@') => {
                    return Err(LocationError::Credential("user:password@"));
                }
                Some(host) if !host.is_empty() && !host.contains(['/', '?', '#']) => {}
                _ => {
                    let wanted = "a URL without a path, https://host:port";
                    return Err(LocationError::Value {
                        name: "endpoint",
                        wanted,
                    });
                }
            }
            bucket.endpoint = Some(value);
        }
        "region" if !value.is_empty() => bucket.region = Some(value),
        "region" => {
            let wanted = "a region such as eu-west-1";
            return Err(LocationError::Value {
                name: "region",
                wanted,
            });
        }
        "addressing" => {
            bucket.addressing = match value.to_ascii_lowercase().as_str() {
                "auto" => Addressing::Auto,
                "path" => Addressing::Path,
                "virtualhost" | "virtual" => Addressing::VirtualHost,
                _ => {
                    let wanted = "auto, path or virtualhost";
                    return Err(LocationError::Value {
                        name: "addressing",
                        wanted,
                    });
                }
            }
        }
        "ca" if !value.is_empty() => bucket.ca = Some(PathBuf::from(value)),
        "ca" => {
            let wanted = "the path of a PEM file";
            return Err(LocationError::Value { name: "ca", wanted });
        }
        other => {
            let lower = other.to_ascii_lowercase();
            let secret = [
                ("secret", "a secret key"),
                ("token", "a session token"),
                ("signature", "a signed URL"),
                ("credential", "a signed URL"),
                ("access", "an access key"),
                ("password", "a password"),
            ];
            if let Some((_, what)) = secret.iter().find(|(word, _)| lower.contains(word)) {
                return Err(LocationError::Credential(what));
            }
            return Err(LocationError::Unknown(other.chars().take(40).collect()));
        }
    }
    Ok(())
}

/// Undoes `%20`. What is not such a sequence stays.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = pair.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What a Backup's message tells to paste is read as what the task says.
    #[rstest]
    #[case(None, None, Addressing::Auto, "s3://shop/a/b")]
    #[case(
        Some("https://minio.example:9000"),
        None,
        Addressing::Path,
        "s3://shop/a/b?endpoint=https://minio.example:9000&addressing=path"
    )]
    #[case(
        None,
        Some("eu-west-1"),
        Addressing::VirtualHost,
        "s3://shop/a/b?region=eu-west-1&addressing=virtualhost"
    )]
    fn the_location_of_a_task_is_read_as_it_was_written(
        #[case] endpoint: Option<&str>,
        #[case] region: Option<&str>,
        #[case] addressing: Addressing,
        #[case] want: &str,
    ) {
        let task = crate::task::StoreTask {
            bucket: "shop".to_owned(),
            prefix: "a/b".to_owned(),
            region: region.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
            addressing,
            ca: None,
            secret_name: String::new(),
            dir: String::new(),
            encryption: crate::api::backup_store::EncryptionMode::None,
            recipients: Vec::new(),
        };
        assert_eq!(task.location(), want);
        let Ok(Location::S3(bucket)) = Location::parse(want) else {
            panic!("{want}");
        };
        assert_eq!(bucket.prefix, "a/b");
        assert_eq!(bucket.endpoint.as_deref(), endpoint);
        assert_eq!(bucket.region.as_deref(), region);
        assert_eq!(bucket.addressing, addressing);
    }

    #[test]
    fn a_bucket_with_everything_is_read() {
        let text = "s3://shop/a/b/?endpoint=https%3A%2F%2Fminio.example:9000&region=eu-west-1&addressing=path&ca=/ca.crt";
        let expected = Bucket {
            name: "shop".to_owned(),
            prefix: "a/b".to_owned(),
            endpoint: Some("https://minio.example:9000".to_owned()),
            region: Some("eu-west-1".to_owned()),
            addressing: Addressing::Path,
            ca: Some(PathBuf::from("/ca.crt")),
        };
        assert_eq!(Location::parse(text), Ok(Location::S3(expected)));
        assert_eq!(
            Location::parse("file:///a%20b"),
            Ok(Location::Dir(PathBuf::from("/a b")))
        );
    }

    #[rstest]
    #[case("s3://key:hunter2@shop/a")]
    #[case("s3://shop?secret-access-key=hunter2")]
    #[case("s3://shop?AWS_ACCESS_KEY_ID=hunter2")]
    #[case("s3://shop?X-Amz-Signature=hunter2")]
    #[case("s3://shop?endpoint=https://a:hunter2@host")]
    fn a_credential_in_a_location_is_refused_and_not_repeated(#[case] text: &str) {
        let error = Location::parse(text).unwrap_err();
        assert!(matches!(error, LocationError::Credential(_)), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[rstest]
    #[case("shop/a")]
    #[case("https://shop")]
    #[case("s3://")]
    #[case("s3://sh op")]
    #[case("s3://shop/../x")]
    #[case("s3://shop?endpoint=minio:9000")]
    #[case("s3://shop?endpoint=https://minio/path")]
    #[case("s3://shop?regio=x")]
    #[case("file://relative")]
    fn a_location_that_cannot_be_is_refused(#[case] text: &str) {
        assert!(Location::parse(text).is_err());
    }
}
