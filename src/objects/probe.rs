//! What a store can do (K34): found out by doing what a backup will do.

use bytes::Bytes;

use super::{Depth, ObjectStore, PutMode, StoreError};
use crate::api::Reason;
use crate::task::ProbeResult;

/// The one key that is ever overwritten (P2).
pub const PROBE_KEY: &str = ".lifeboat/probe/key";
/// Begun and aborted, so never visible.
pub const PROBE_UPLOAD: &str = ".lifeboat/probe/multipart";
/// Content of both.
const CONTENT: &[u8] =
    b"Lifeboat wrote this to find out what the store can do. It may be deleted.\n";

/// Looks what a store can do: put, conditional put, multipart and abort; list and delete are only noted.
///
/// The result holds what was found out, also when an error ends the probe.
pub async fn probe(store: &dyn ObjectStore) -> (ProbeResult, Result<(), StoreError>) {
    let mut found = ProbeResult::default();
    let outcome = writes(store, &mut found).await;
    if let Err(error) = &outcome {
        let (valid, writable) = match error.reason() {
            Reason::StoreCredentialsInvalid => (Some(false), None),
            // The store knew who asks before it said no.
            Reason::StoreAccessDenied | Reason::BucketNotFound => {
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
    (found, Ok(()))
}

/// Whether a backup could be begun here: an upload is begun and aborted, and nothing becomes visible.
///
/// # Errors
/// [`StoreError`].
pub async fn writable(store: &dyn ObjectStore) -> Result<(), StoreError> {
    let upload = store
        .begin(PROBE_UPLOAD, super::size(CONTENT.len()))
        .await?;
    store.abort(&upload).await
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
    let upload = store.begin(PROBE_UPLOAD, super::size(body.len())).await?;
    let part = store.upload_part(&upload, 1, body).await;
    // Abort whatever became of the part: an upload left open costs money.
    let aborted = store.abort(&upload).await;
    part?;
    aborted?;
    found.writable = Some(true);
    Ok(())
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
    use crate::objects::{Fault, Flaky, Memory, Operation, When};

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

    #[tokio::test]
    async fn a_part_that_fails_leaves_no_upload_open() {
        let memory = Arc::new(Memory::new());
        let fault = Fault {
            operation: Operation::UploadPart,
            call: 0,
            when: When::Before,
            reason: Reason::StoreAccessDenied,
        };
        let (found, outcome) = probe(&Flaky::new(memory.clone(), vec![fault])).await;
        assert!(outcome.is_err());
        assert_eq!(found.writable, Some(false));
        assert_eq!(memory.open_uploads(), 0);
    }
}
