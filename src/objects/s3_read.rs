//! How an object is read, and how it is made sure that it is not there.

use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::{Bytes, BytesMut};

use super::s3_error::Context;
use super::s3_tries::{Again, Failed};
use super::{Operation, S3, StoreError};
use crate::api::Reason;

impl S3 {
    /// Reads an object, or a range of it, bounded in size.
    pub(super) async fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> Result<Bytes, StoreError> {
        let place = self.place_text();
        let context = self.context(Operation::Get, &place, key);
        let full = self.full(key);
        let asked = range.as_ref();
        let asked = asked.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let late = range.is_some_and(|range| range.start > 0);
        let request = || async {
            let request = self.client.get_object().bucket(&self.bucket).key(&full);
            let call = request.set_range(asked.clone()).send();
            let answer = self.sent(&context, call).await?;
            if late && answer.content_range().is_none() {
                let what = "a part was asked for, and it sent the whole";
                return Err(Failed::new(context.not_understood(what), Again::Never));
            }
            body(&context, answer, max_bytes).await
        };
        self.call(&context, request).await
    }

    /// Whether a store that answered 404 to a HEAD means the key: an answer without a body may be any web
    /// server's, so S3's own code is asked for by a GET.
    pub(super) async fn surely_missing(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self.read(key, Some(0..1), 1).await {
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
            Ok(_) => {
                let place = self.place_text();
                let context = self.context(Operation::Head, &place, key);
                Err(context.not_understood("it is there for GET, and not for HEAD"))
            }
        }
    }
}

/// Reads an answer's body, bounded in size; the call that it belongs to bounds its time.
async fn body(
    context: &Context<'_>,
    answer: GetObjectOutput,
    max_bytes: u64,
) -> Result<Bytes, Failed> {
    let check = |bytes: u64| {
        super::check_size(bytes, max_bytes, context.place, context.key)
            .map_err(|error| Failed::new(error, Again::Never))
    };
    let length = answer.content_length();
    check(length.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))?;
    let mut body = answer.body;
    let mut whole = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| {
            let error = context.error(Reason::StoreUnreachable, "the connection was lost");
            Failed::new(error, Again::Line)
        })?;
        whole.extend_from_slice(&chunk);
        check(super::size(whole.len()))?;
    }
    Ok(whole.freeze())
}
