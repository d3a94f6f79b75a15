//! What a store can do (K34): found out by doing what a backup will do.

use bytes::Bytes;

use super::{Depth, ObjectStore, Operation, Part, PutMode, StoreError, Upload};
use crate::api::Reason;
use crate::task::ProbeResult;

/// This and [`PROBE_UPLOAD`] are the keys that are ever overwritten (P2).
pub const PROBE_KEY: &str = ".lifeboat/probe/key";
/// What is uploaded in parts, as large backups are.
pub const PROBE_UPLOAD: &str = ".lifeboat/probe/multipart";
/// Content of both.
const CONTENT: &[u8] =
    b"Lifeboat wrote this to find out what the store can do. It may be deleted.\n";

/// Looks what a store can do: put, conditional put, an upload in parts from its beginning to its end, and
/// what is given up; list and delete are only noted.
///
/// The result holds what was found out, also when an error ends the probe.
pub async fn probe(store: &dyn ObjectStore) -> (ProbeResult, Result<(), StoreError>) {
    let mut found = ProbeResult::default();
    let outcome = writes(store, &mut found).await;
    if let Err(error) = &outcome {
        let (valid, writable) = match error.reason() {
            Reason::StoreCredentialsInvalid => (Some(false), None),
            // The store knew who asks before it said no.
            Reason::StoreAccessDenied | Reason::BucketNotFound | Reason::StoreFull => {
                (found.credentials_valid, Some(false))
            }
            _ => (found.credentials_valid, None),
        };
        found.credentials_valid = valid;
        found.writable = writable;
        return (found, outcome);
    }
    found.list = noted(store.list(".lifeboat/probe/", Depth::All, None).await);
    found.delete = noted(store.delete(PROBE_KEY).await);
    if found.delete == Some(true) {
        found.delete = noted(store.delete(PROBE_UPLOAD).await);
    }
    (found, Ok(()))
}

async fn writes(store: &dyn ObjectStore, found: &mut ProbeResult) -> Result<(), StoreError> {
    let body = Bytes::from_static(CONTENT);
    store
        .put(PROBE_KEY, body.clone(), PutMode::Overwrite)
        .await?;
    found.credentials_valid = Some(true);
    found.conditional_writes = match store
        .put(PROBE_KEY, body.clone(), PutMode::CreateOnly)
        .await
    {
        Ok(_) => Some(false),
        Err(error) => match error.reason() {
            Reason::AlreadyExists => Some(true),
            Reason::NotSupportedByStore => Some(false),
            _ => return Err(error),
        },
    };
    in_parts(store, body).await?;
    found.writable = Some(true);
    Ok(())
}

/// Uploads in parts and gives it up, then once more to the end: some stores can begin and not complete, and
/// a backup would find that out when all its bytes are there.
async fn in_parts(store: &dyn ObjectStore, body: Bytes) -> Result<(), StoreError> {
    let (upload, _) = begun(store, body.clone()).await?;
    store.abort(&upload).await?;
    let (upload, part) = begun(store, body.clone()).await?;
    if let Err(error) = store.complete(&upload, &[part]).await {
        // The first failure is what is told.
        let _ = store.abort(&upload).await;
        return Err(error);
    }
    match store.get(PROBE_UPLOAD, 2 * super::size(body.len())).await {
        Ok(found) if found == body => Ok(()),
        // Who writes backups need not read them (P7).
        Err(error) if error.reason() == Reason::StoreAccessDenied => Ok(()),
        Err(error) if !error.is_missing() => Err(error),
        _ => Err(StoreError::new(
            Reason::StoreFailed,
            Operation::Complete,
            &store.place(),
            PROBE_UPLOAD,
            "the store said that the upload is complete, and gives something else back",
        )),
    }
}

/// An upload with its only part. One whose part fails is given up: left open it would cost money.
async fn begun(store: &dyn ObjectStore, body: Bytes) -> Result<(Upload, Part), StoreError> {
    let upload = store.begin(PROBE_UPLOAD, super::size(body.len())).await?;
    match store.upload_part(&upload, 1, body).await {
        Ok(part) => Ok((upload, part)),
        Err(error) => {
            let _ = store.abort(&upload).await;
            Err(error)
        }
    }
}

fn noted<T>(answer: Result<T, StoreError>) -> Option<bool> {
    match answer {
        Ok(_) => Some(true),
        Err(error) if error.reason() == Reason::StoreAccessDenied => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::objects::memory::Conditional;
    use crate::objects::{Fault, Flaky, Memory, When};

    fn denied(operation: Operation, reason: Reason) -> Flaky {
        let fault = Fault {
            operation,
            call: 0,
            when: When::Before,
            reason,
        };
        Flaky::new(Arc::new(Memory::new()), vec![fault])
    }

    #[tokio::test]
    async fn a_whole_store_can_everything_and_nothing_stays_open() {
        let store = Memory::new();
        for _ in 0..2 {
            let (found, outcome) = probe(&store).await;
            outcome.unwrap();
            let all = Some(true);
            assert_eq!(
                (found.writable, found.conditional_writes, found.list),
                (all, all, all)
            );
        }
        assert_eq!(store.open_uploads(), 0);
    }

    #[tokio::test]
    async fn a_store_without_conditional_writes_is_noted_and_ready() {
        for kind in [Conditional::Ignored, Conditional::Refused] {
            let (found, outcome) = probe(&Memory::with_conditional(kind)).await;
            outcome.unwrap();
            assert_eq!(found.conditional_writes, Some(false), "{kind:?}");
            assert_eq!(found.writable, Some(true), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_denied_list_or_delete_never_makes_the_store_unready() {
        for operation in [Operation::List, Operation::Delete] {
            let (found, outcome) = probe(&denied(operation, Reason::StoreAccessDenied)).await;
            outcome.unwrap();
            assert_eq!(found.writable, Some(true));
            assert!(found.list == Some(false) || found.delete == Some(false));
        }
    }

    #[tokio::test]
    async fn a_denied_write_says_not_writable_and_bad_credentials_say_so() {
        let (found, outcome) = probe(&denied(Operation::Put, Reason::StoreAccessDenied)).await;
        assert_eq!(outcome.unwrap_err().reason(), Reason::StoreAccessDenied);
        assert_eq!(
            (found.writable, found.credentials_valid),
            (Some(false), None)
        );
        let (found, outcome) =
            probe(&denied(Operation::Put, Reason::StoreCredentialsInvalid)).await;
        assert!(outcome.is_err());
        assert_eq!(
            (found.writable, found.credentials_valid),
            (None, Some(false))
        );
    }

    #[rstest::rstest]
    #[case(Operation::UploadPart)]
    #[case(Operation::Complete)]
    #[tokio::test]
    async fn a_store_that_cannot_end_an_upload_is_found_and_no_upload_stays_open(
        #[case] operation: Operation,
    ) {
        let memory = Arc::new(Memory::new());
        let fault = Fault {
            operation,
            call: 0,
            when: When::Before,
            reason: Reason::StoreAccessDenied,
        };
        let (found, outcome) = probe(&Flaky::new(memory.clone(), vec![fault])).await;
        assert_eq!(outcome.unwrap_err().operation(), operation);
        assert_eq!(found.writable, Some(false));
        assert_eq!(memory.open_uploads(), 0);
    }

    #[tokio::test]
    async fn nothing_of_a_probe_stays_where_it_may_delete_and_reading_need_not_be_allowed() {
        let memory = Memory::new();
        probe(&memory).await.1.unwrap();
        let left = memory.list(".lifeboat/", Depth::All, None).await.unwrap();
        assert_eq!(left.objects, []);
        let (found, outcome) = probe(&denied(Operation::Get, Reason::StoreAccessDenied)).await;
        outcome.unwrap();
        assert_eq!(found.writable, Some(true));
    }
}
