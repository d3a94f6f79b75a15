//! What the history's head may be when it is read again (M6).

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Heads that the history may have when it is read again: the last one seen, and those that our own commits would make.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<Vec<String>>);

impl Heads {
    fn all(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a commit that is about to be sent makes of it.
    pub(super) fn add(&self, head: String) {
        self.all().push(head);
    }

    /// It is committed: no other one counts from now on.
    pub(super) fn settle(&self, head: String) {
        *self.all() = vec![head];
    }

    /// Whether nobody else has written. From now on this one counts.
    pub(super) fn meets(&self, head: &str) -> bool {
        let mut all = self.all();
        let known = all.is_empty() || all.iter().any(|h| h == head);
        *all = vec![head.to_owned()];
        known
    }
}
