//! S3 and what is compatible with it.

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::s3_answer::Whole;
use super::s3_error::Context;
use super::s3_open::{Secrets, ServerDate, place};
use super::s3_tries::{Again, Failed, Known, Patience};
use super::{
    CALL_LIMIT, Depth, ObjectStore, Operation, Page, Part, Put, PutMode, StoreError, Upload,
};
use crate::api::Reason;

/// A bucket, and a folder in it.
#[derive(Debug)]
pub struct S3 {
    pub(super) client: Client,
    pub(super) bucket: String,
    pub(super) prefix: String,
    /// Blanked in every message.
    pub(super) secrets: Secrets,
    pub(super) patience: Patience,
    pub(super) known: Known,
}

impl S3 {
    /// Gives up a call after `whole` instead of 190 s.
    #[must_use]
    pub fn patient(mut self, whole: Duration) -> Self {
        self.patience = Patience(whole);
        self
    }

    /// What the store's clock said when it last took something.
    #[must_use]
    pub fn clock(&self) -> Option<jiff::Timestamp> {
        self.known.clock()
    }

    pub(super) fn full(&self, key: &str) -> String {
        super::join(&self.prefix, key)
    }

    /// A key of the bucket as the rest of the program knows it.
    pub(super) fn relative(&self, full: &str) -> String {
        if self.prefix.is_empty() {
            return full.to_owned();
        }
        full.strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(full)
            .to_owned()
    }

    pub(super) fn place_text(&self) -> String {
        place(&self.bucket, &self.prefix)
    }

    pub(super) fn context<'a>(
        &'a self,
        operation: Operation,
        place: &'a str,
        key: &'a str,
    ) -> Context<'a> {
        Context {
            operation,
            place,
            bucket: &self.bucket,
            key,
            create: false,
        }
    }

    /// One try of one request, its failure translated.
    pub(super) async fn sent<T, E>(
        &self,
        context: &Context<'_>,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, Failed>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let answer = call.await;
        if matches!(answer, Ok(_) | Err(SdkError::ServiceError(_))) {
            self.known.answered();
        }
        answer.map_err(|error| {
            let failed = context.explain(&error);
            Failed {
                error: failed.error.without(&self.secrets.0),
                ..failed
            }
        })
    }

    /// One `If-None-Match: *`, tried as long as others.
    ///
    /// A 412 may come after a try of ours whose answer was lost, and mean our own object: then what is there
    /// is read and compared. If it is ours the put has succeeded; if it differs, or we may not read (P7), it
    /// is `AlreadyExists`: what could not be seen is never called good (P13).
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError> {
        match self.put_once(key, bytes.clone(), PutMode::CreateOnly).await {
            Ok(put) => Ok(put),
            Err((error, true)) if error.reason() == Reason::AlreadyExists => {
                match self.get(key, super::size(bytes.len())).await {
                    Ok(found) if found == bytes => Ok(Put::default()),
                    _ => Err(error),
                }
            }
            Err((error, _)) => Err(error),
        }
    }

    async fn put_once(
        &self,
        key: &str,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<Put, (StoreError, bool)> {
        let place = self.place_text();
        let context = self.context(Operation::Put, &place, key);
        let context = Context {
            create: mode == PutMode::CreateOnly,
            ..context
        };
        let full = self.full(key);
        let (bytes, full, context) = (&bytes, &full, &context);
        let request = |sum: bool| async move {
            let date = ServerDate::default();
            let request = self.client.put_object().bucket(&self.bucket).key(full);
            let request = request.body(ByteStream::from(bytes.clone()));
            let request = match mode {
                PutMode::Overwrite => request,
                PutMode::CreateOnly => request.if_none_match("*"),
            };
            let request = request.customize().interceptor(date.clone());
            let call = request.config_override(sums(sum)).send();
            let answer = self.sent(context, call).await?;
            named(context, answer.e_tag())?;
            let server_date = date.read();
            self.known.heard(server_date);
            Ok(Put { server_date })
        };
        self.tried(context, || self.summed(&request)).await
    }

    /// After a `complete` whose answer was lost the next try finds no upload: is the object there?
    async fn completed(&self, upload: &Upload, parts: &[Part]) -> bool {
        let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        matches!(self.head(&upload.key).await, Ok(Some(found)) if found == bytes)
    }
}

#[async_trait]
impl ObjectStore for S3 {
    fn place(&self) -> String {
        self.place_text()
    }

    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<Put, StoreError> {
        match mode {
            PutMode::Overwrite => {
                let put = self.put_once(key, body, mode).await;
                put.map_err(|(error, _)| error)
            }
            PutMode::CreateOnly => {
                let place = self.place_text();
                let late = |_| self.context(Operation::Put, &place, key).timed_out();
                let all = self.create(key, body);
                tokio::time::timeout(CALL_LIMIT, all).await.map_err(late)?
            }
        }
    }

    async fn begin(&self, key: &str, part_bytes: u64) -> Result<Upload, StoreError> {
        let place = self.place_text();
        let context = self.context(Operation::Begin, &place, key);
        let full = self.full(key);
        let request = || async {
            let whole = Whole::new("InitiateMultipartUploadResult");
            let request = self.client.create_multipart_upload();
            let request = request.bucket(&self.bucket).key(&full).customize();
            let call = request.interceptor(whole.clone()).send();
            let answer = self.sent(&context, call).await?;
            understood(&context, &whole)?;
            match answer.upload_id() {
                Some(id) if !id.is_empty() => Ok(id.to_owned()),
                _ => {
                    let what = "it gives the upload no id";
                    Err(Failed::new(context.not_understood(what), Again::Never))
                }
            }
        };
        Ok(Upload {
            key: key.to_owned(),
            id: self.call(&context, request).await?,
            part_bytes,
        })
    }

    async fn upload_part(
        &self,
        upload: &Upload,
        number: u32,
        body: Bytes,
    ) -> Result<Part, StoreError> {
        let place = self.place_text();
        let context = self.context(Operation::UploadPart, &place, &upload.key);
        let full = self.full(&upload.key);
        let (bytes, full, context) = (&body, &full, &context);
        let request = |sum: bool| async move {
            let request = self.client.upload_part().bucket(&self.bucket).key(full);
            let request = request
                .upload_id(&upload.id)
                .part_number(i32::try_from(number).unwrap_or(i32::MAX))
                .body(ByteStream::from(bytes.clone()));
            let call = request.customize().config_override(sums(sum)).send();
            let answer = self.sent(context, call).await?;
            named(context, answer.e_tag())
        };
        let etag = self.call(context, || self.summed(&request)).await?;
        Ok(Part {
            number,
            bytes: super::size(body.len()),
            etag,
        })
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<(), StoreError> {
        let listed = parts
            .iter()
            .map(|part| {
                CompletedPart::builder()
                    .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
                    .e_tag(&part.etag)
                    .build()
            })
            .collect();
        let listed = CompletedMultipartUpload::builder().set_parts(Some(listed));
        let listed = listed.build();
        let place = self.place_text();
        let context = self.context(Operation::Complete, &place, &upload.key);
        let full = self.full(&upload.key);
        let request = || async {
            let whole = Whole::new("CompleteMultipartUploadResult");
            let request = self.client.complete_multipart_upload();
            let request = request.bucket(&self.bucket).key(&full);
            let request = request.upload_id(&upload.id);
            let request = request.multipart_upload(listed.clone()).customize();
            let call = request.interceptor(whole.clone()).send();
            self.sent(&context, call).await?;
            understood(&context, &whole)
        };
        match self.call(&context, request).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_missing() && self.completed(upload, parts).await => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn abort(&self, upload: &Upload) -> Result<(), StoreError> {
        let place = self.place_text();
        let context = self.context(Operation::Abort, &place, &upload.key);
        let full = self.full(&upload.key);
        let request = || async {
            let request = self.client.abort_multipart_upload();
            let request = request.bucket(&self.bucket).key(&full);
            let call = request.upload_id(&upload.id).send();
            self.sent(&context, call).await
        };
        match self.call(&context, request).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, StoreError> {
        self.read(key, None, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let length = range.end.saturating_sub(range.start);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let start = range.start;
        match self.read(key, Some(range), length).await {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.is_missing() => Err(error),
            // A range that begins behind the object's end is refused; elsewhere it is empty.
            Err(error) => match self.head(key).await {
                Ok(Some(size)) if size <= start => Ok(Bytes::new()),
                _ => Err(error),
            },
        }
    }

    async fn head(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let place = self.place_text();
        let context = self.context(Operation::Head, &place, key);
        let full = self.full(key);
        let request = || async {
            let request = self.client.head_object().bucket(&self.bucket).key(&full);
            self.sent(&context, request.send()).await
        };
        match self.call(&context, request).await {
            Ok(answer) => Ok(answer
                .content_length()
                .and_then(|bytes| u64::try_from(bytes).ok())),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) if error.is_nobodys() => self.surely_missing(key).await,
            Err(error) => Err(error),
        }
    }

    async fn list(
        &self,
        prefix: &str,
        depth: Depth,
        after: Option<&str>,
    ) -> Result<Page, StoreError> {
        self.page(prefix, depth, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let place = self.place_text();
        let context = self.context(Operation::Delete, &place, key);
        let full = self.full(key);
        let request = || async {
            let request = self.client.delete_object().bucket(&self.bucket).key(&full);
            self.sent(&context, request.send()).await
        };
        match self.call(&context, request).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// With a checksum of the body, or without.
fn sums(with: bool) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().request_checksum_calculation(match with {
        true => RequestChecksumCalculation::WhenSupported,
        false => RequestChecksumCalculation::WhenRequired,
    })
}

/// Every S3 store names what it took; a web server that says yes to anything does not.
fn named(context: &Context<'_>, etag: Option<&str>) -> Result<String, Failed> {
    match etag {
        Some(etag) if !etag.is_empty() => Ok(etag.to_owned()),
        _ => {
            let what = "it has no ETag; does the endpoint speak S3?";
            Err(Failed::new(context.not_understood(what), Again::Never))
        }
    }
}

fn understood(context: &Context<'_>, whole: &Whole) -> Result<(), Failed> {
    match whole.fault() {
        None => Ok(()),
        Some(what) => Err(Failed::new(context.not_understood(&what), Again::Brief)),
    }
}
