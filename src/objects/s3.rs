//! S3 and what is compatible with it.

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};

use super::s3_connect::{ATTEMPTS, retries};
use super::s3_error::Context;
use super::s3_open::{Secrets, ServerDate, place};
use super::{
    CALL_LIMIT, Depth, Listed, ObjectStore, Operation, PAGE_ENTRIES, Page, Part, Put, PutMode,
    StoreError, Upload,
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
}

impl S3 {
    fn full(&self, key: &str) -> String {
        super::join(&self.prefix, key)
    }

    /// A key of the bucket as the rest of the program knows it.
    fn relative(&self, full: &str) -> String {
        if self.prefix.is_empty() {
            return full.to_owned();
        }
        full.strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(full)
            .to_owned()
    }

    /// Reads an answer's body, bounded in size and time.
    async fn body(
        &self,
        key: &str,
        answer: GetObjectOutput,
        max_bytes: u64,
    ) -> Result<Bytes, StoreError> {
        let place = self.place();
        let length = answer
            .content_length()
            .and_then(|bytes| u64::try_from(bytes).ok());
        super::check_size(length.unwrap_or(0), max_bytes, &place, key)?;
        let mut body = answer.body;
        let read = async {
            let mut whole = BytesMut::new();
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|_| {
                    let text = "the connection was lost";
                    StoreError::new(Reason::StoreUnreachable, Operation::Get, &place, key, text)
                })?;
                whole.extend_from_slice(&chunk);
                super::check_size(super::size(whole.len()), max_bytes, &place, key)?;
            }
            Ok(whole.freeze())
        };
        let late = |_| {
            let text = "no answer in time";
            StoreError::new(Reason::StoreUnreachable, Operation::Get, &place, key, text)
        };
        tokio::time::timeout(CALL_LIMIT, read).await.map_err(late)?
    }

    /// Runs one call, bounded in time, its failure translated.
    async fn call<T, E>(
        &self,
        operation: Operation,
        key: &str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let place = self.place();
        let context = Context {
            operation,
            place: &place,
            bucket: &self.bucket,
            key,
        };
        match tokio::time::timeout(CALL_LIMIT, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(context.explain(&error).without(&self.secrets.0)),
            Err(_) => Err(context.timed_out()),
        }
    }

    /// One `If-None-Match: *`, tried several times.
    ///
    /// We repeat it ourselves, because the SDK would hide that a 412 came after a try of ours whose answer
    /// was lost. Such a 412 may mean our own object: then what is there is read and compared. If it is
    /// ours the put has succeeded; if it differs, or we may not read (P7), it is `AlreadyExists`: what
    /// could not be seen is never called good (P13).
    async fn create(&self, key: &str, body: Bytes) -> Result<Put, StoreError> {
        let mut lost = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.put_once(key, body.clone(), PutMode::CreateOnly).await {
                Ok(put) => return Ok(put),
                Err(error) => error,
            };
            if error.reason() == Reason::AlreadyExists && lost {
                let there = self.get(key, super::size(body.len())).await;
                return match there {
                    Ok(found) if found == body => Ok(Put::default()),
                    _ => Err(error),
                };
            }
            lost |= error.may_have_happened();
            if error.permanent() || tries >= ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(300 * u64::from(tries))).await;
        }
    }

    async fn put_once(&self, key: &str, body: Bytes, mode: PutMode) -> Result<Put, StoreError> {
        let date = ServerDate::default();
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .body(ByteStream::from(body));
        let (request, tries) = match mode {
            PutMode::Overwrite => (request, ATTEMPTS),
            PutMode::CreateOnly => (request.if_none_match("*"), 1),
        };
        let own = aws_sdk_s3::Config::builder().retry_config(retries(tries));
        let call = request
            .customize()
            .interceptor(date.clone())
            .config_override(own)
            .send();
        self.call(Operation::Put, key, call).await?;
        Ok(Put {
            server_date: date.read(),
        })
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
        place(&self.bucket, &self.prefix)
    }

    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<Put, StoreError> {
        match mode {
            PutMode::Overwrite => self.put_once(key, body, mode).await,
            PutMode::CreateOnly => {
                let late = |_| {
                    let text = "no answer in time";
                    StoreError::new(
                        Reason::StoreUnreachable,
                        Operation::Put,
                        &self.place(),
                        key,
                        text,
                    )
                };
                let all = self.create(key, body);
                tokio::time::timeout(CALL_LIMIT, all).await.map_err(late)?
            }
        }
    }

    async fn begin(&self, key: &str, part_bytes: u64) -> Result<Upload, StoreError> {
        let call = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(key))
            .send();
        let answer = self.call(Operation::Begin, key, call).await?;
        let id = answer.upload_id().ok_or_else(|| {
            let text = "the store gave the upload no id";
            StoreError::new(
                Reason::StoreFailed,
                Operation::Begin,
                &self.place(),
                key,
                text,
            )
        })?;
        Ok(Upload {
            key: key.to_owned(),
            id: id.to_owned(),
            part_bytes,
        })
    }

    async fn upload_part(
        &self,
        upload: &Upload,
        number: u32,
        body: Bytes,
    ) -> Result<Part, StoreError> {
        let bytes = super::size(body.len());
        let call = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(self.full(&upload.key))
            .upload_id(&upload.id)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .body(ByteStream::from(body))
            .send();
        let answer = self.call(Operation::UploadPart, &upload.key, call).await?;
        Ok(Part {
            number,
            bytes,
            etag: answer.e_tag().unwrap_or_default().to_owned(),
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
        let call = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(&upload.key))
            .upload_id(&upload.id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(listed))
                    .build(),
            )
            .send();
        match self.call(Operation::Complete, &upload.key, call).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() && self.completed(upload, parts).await => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn abort(&self, upload: &Upload) -> Result<(), StoreError> {
        let call = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(&upload.key))
            .upload_id(&upload.id)
            .send();
        match self.call(Operation::Abort, &upload.key, call).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, StoreError> {
        let call = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .send();
        let answer = self.call(Operation::Get, key, call).await?;
        self.body(key, answer, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let length = range.end.saturating_sub(range.start);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let call = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .send();
        match self.call(Operation::Get, key, call).await {
            Ok(answer) => self.body(key, answer, length).await,
            Err(error) if error.is_missing() => Err(error),
            // A range that begins behind the object's end is refused; elsewhere it is empty.
            Err(error) => match self.head(key).await {
                Ok(Some(size)) if size <= range.start => Ok(Bytes::new()),
                _ => Err(error),
            },
        }
    }

    async fn head(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let call = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .send();
        match self.call(Operation::Head, key, call).await {
            Ok(answer) => Ok(answer
                .content_length()
                .and_then(|bytes| u64::try_from(bytes).ok())),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(
        &self,
        prefix: &str,
        depth: Depth,
        after: Option<&str>,
    ) -> Result<Page, StoreError> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.full(prefix))
            .max_keys(i32::try_from(PAGE_ENTRIES).unwrap_or(i32::MAX))
            .set_continuation_token(after.map(str::to_owned));
        let request = match depth {
            Depth::All => request,
            Depth::Folder => request.delimiter("/"),
        };
        let answer = self.call(Operation::List, prefix, request.send()).await?;
        let objects = answer.contents().iter().filter_map(|object| {
            Some(Listed {
                key: self.relative(object.key()?),
                bytes: object
                    .size()
                    .and_then(|bytes| u64::try_from(bytes).ok())
                    .unwrap_or(0),
            })
        });
        let folders = answer
            .common_prefixes()
            .iter()
            .filter_map(|folder| Some(self.relative(folder.prefix()?)));
        Ok(Page {
            objects: objects.collect(),
            folders: folders.collect(),
            next: answer.next_continuation_token().map(str::to_owned),
        })
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let call = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(self.full(key))
            .send();
        match self.call(Operation::Delete, key, call).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
