//! Who wants a backup kept: written and read in the store, where whoever sweeps looks for it.

use bytes::Bytes;

use super::failure::Failure;
use crate::api::Reason;
use crate::manifest::{FORMAT_VERSION, MAX_PIN_BYTES, Pin, pins_of};
use crate::objects::{Depth, ObjectStore, put_new};

/// Most pins of one backup that are read.
const MAX_PINS: usize = 1_000;

/// Writes a pin. One that stands already is the same: its name says whose and which.
///
/// # Errors
/// Those of the store.
pub async fn pin(store: &dyn ObjectStore, pin: &Pin) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(pin)
        .map_err(|e| Failure::Internal(format!("failed to write a pin: {e}")))?;
    text.push(b'\n');
    match put_new(store, &pin.key(), Bytes::from(text)).await {
        Err(error) if error.reason() != Reason::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// All pins of a backup. One that cannot be read is an error: it may be the one that keeps it.
///
/// # Errors
/// Those of the store; `StoreFailed` where one is no pin of format 1.
pub async fn pins(store: &dyn ObjectStore, prefix: &str) -> Result<Vec<Pin>, Failure> {
    let folder = pins_of(prefix);
    let most = u64::try_from(MAX_PIN_BYTES).unwrap_or(u64::MAX);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&folder, Depth::All, after.as_deref()).await?;
        for object in page.objects {
            let bytes = store.get(&object.key, most).await?;
            let read: Option<Pin> = serde_json::from_slice(&bytes).ok();
            let Some(pin) = read.filter(|pin| pin.format == FORMAT_VERSION) else {
                let text = format!("{} is no pin of format {FORMAT_VERSION}", object.key);
                return Err(Failure::Internal(text));
            };
            all.push(pin);
        }
        if page.next.is_none() || all.len() >= MAX_PINS {
            return Ok(all);
        }
        after = page.next;
    }
}
