//! Heads of the history in the store (M6): after each file the store is told what the database says was applied. Neither can be set
//! back alone without the other knowing (M5).
//!
//! The store comes second. What is committed stands, and a run that stopped between two files for want of a bucket would leave
//! the application with half of its schema: so a head that cannot be written is owed, written at the end or by the next worker of
//! the run, and told where it is not. A head that is there and says something else is no fault of the store, and ends the run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::documents::{FrozenPlan, json, read};
use crate::api::Reason;
use crate::manifest::FORMAT_VERSION;
use crate::objects::{Depth, ObjectStore, join, put_new};
use crate::plan::History;
use crate::postgres::migrate::{Stop, Whole};
use crate::task::{MIGRATIONS, MigrationTask};
use crate::work::failure::Failure;

/// Largest head that is read, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Pages of a run's folder that are read: heads, rehearsals, and a note of each worker that applied.
const MOST_PAGES: usize = 20;
/// So often a head is tried, the first time that the store does not take one.
const TRIES: u32 = 2;
/// One try.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two.
const PAUSE: Duration = Duration::from_secs(1);
/// All that is owed at the end: a pod that was told to stop has 120 s in all (M24).
const LAST: Duration = Duration::from_secs(20);

/// `migrations/<run uid>/<n>.json`: a file is applied. Of the same file in the same history it is the same to the byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    /// [`FORMAT_VERSION`].
    format: u32,
    namespace: String,
    run: String,
    run_uid: String,
    version: String,
    /// `up` or `down`.
    direction: String,
    head: String,
    /// By the server's clock.
    head_at: Option<Timestamp>,
    plan_hash: String,
    system_identifier: String,
    database: String,
}

/// The heads of one run.
#[derive(Debug)]
pub(super) struct Heads {
    store: Arc<dyn ObjectStore>,
    /// What all of them say.
    about: Head,
    /// Those that were there when this worker began, by the place of their files.
    kept: BTreeMap<usize, Head>,
    /// Those that the store has not taken, with the reason.
    owed: Mutex<BTreeMap<usize, (Head, String)>>,
    patience: Duration,
    pause: Duration,
}

/// What became of a head.
enum Put {
    Kept,
    /// Another stands there.
    Other,
    Failed(String),
}

fn stop(reason: Reason, message: String) -> Stop {
    Stop {
        reason,
        message,
        server: None,
        sqlstate: None,
        tries: 0,
    }
}

impl Heads {
    /// Reads those that are there. Before the history: whatever they know was committed by then.
    pub(super) async fn read(
        store: Arc<dyn ObjectStore>,
        task: &MigrationTask,
        frozen: &FrozenPlan,
        plan_hash: &str,
    ) -> Result<Self, Failure> {
        let folder = format!("{}/", join(MIGRATIONS, &task.run_uid));
        let place = |key: &str| -> Option<usize> {
            let name = key.strip_prefix(&folder)?.strip_suffix(".json")?;
            name.parse().ok()
        };
        let mut kept = BTreeMap::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = store.list(&folder, Depth::Folder, after.as_deref()).await?;
            for object in page.objects {
                if let Some(at) = place(&object.key) {
                    let head: Head = read(store.as_ref(), &object.key, MAX_HEAD).await?;
                    kept.insert(at, head);
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Self {
            store,
            about: Head {
                format: FORMAT_VERSION,
                namespace: task.namespace.clone(),
                run: task.run.clone(),
                run_uid: task.run_uid.clone(),
                version: String::new(),
                direction: frozen.plan.direction.as_str().to_owned(),
                head: String::new(),
                head_at: None,
                plan_hash: plan_hash.to_owned(),
                system_identifier: frozen.system_identifier.clone(),
                database: frozen.database.clone(),
            },
            kept,
            owed: Mutex::default(),
            patience: PATIENCE,
            pause: PAUSE,
        })
    }

    fn key(&self, place: usize) -> String {
        let folder = join(MIGRATIONS, &self.about.run_uid);
        join(&folder, &format!("{place}.json"))
    }

    /// The history knows every head that the store has: the database was not set back since (M5).
    pub(super) fn stand_in(&self, history: &History) -> Result<(), Stop> {
        let lost = self.kept.iter().find(|(_, h)| !history.had(&h.head));
        let Some((place, head)) = lost else {
            return Ok(());
        };
        let at = head.head_at.map_or(String::new(), |at| format!(" at {at}"));
        Err(stop(
            Reason::HistoryRewound,
            format!(
                "version {} was applied{at}, says {} in the store, and the history in the database does not know of it: the database \
                 was set back to an earlier state, or its history was written anew; nothing was begun: look what of it is missing, \
                 then plan a new run",
                head.version,
                self.key(*place)
            ),
        ))
    }

    /// Keeps the head of a file that is through.
    ///
    /// # Errors
    /// `HistoryTouched` if the store has another one.
    pub(super) async fn keep(&self, whole: &Whole) -> Result<(), Stop> {
        let head = Head {
            version: whole.version.clone(),
            head: whole.head.clone(),
            head_at: whole.at,
            ..self.about.clone()
        };
        let place = whole.place;
        let other = || {
            let what = format!(
                "the history after {} is not what {} in the store says it was: somebody has written into one of them; what is \
                 applied stands, and the rest is not begun",
                whole.name,
                self.key(place)
            );
            stop(Reason::HistoryTouched, what)
        };
        if let Some(kept) = self.kept.get(&place) {
            return match *kept == head {
                true => Ok(()),
                false => Err(other()),
            };
        }
        // A store that did not take one is not asked for each: nobody is to wait for it again and again.
        let tries = if self.owes() { 0 } else { TRIES };
        let mut why = "the store did not take an earlier one".to_owned();
        for n in 0..tries {
            if n > 0 {
                tokio::time::sleep(self.pause).await;
            }
            match self.put(place, &head).await {
                Put::Kept => return Ok(()),
                Put::Other => return Err(other()),
                Put::Failed(text) => why = text,
            }
        }
        tracing::warn!(
            "the head of the history after {} is not kept yet: {why}",
            whole.name
        );
        self.owed().insert(place, (head, why));
        Ok(())
    }

    /// Tries the rest once more. Answers a sentence if something is still owed: nothing that is applied is in doubt for it.
    pub(super) async fn settle(&self) -> Vec<String> {
        let all = self.owed().clone();
        let pay = async {
            for (place, (head, _)) in &all {
                match self.put(*place, head).await {
                    Put::Kept => drop(self.owed().remove(place)),
                    Put::Other => self.still(*place, "another one stands there"),
                    Put::Failed(why) => {
                        self.still(*place, &why);
                        return;
                    }
                }
            }
        };
        let _ = tokio::time::timeout(LAST, pay).await;
        let owed = self.owed();
        let Some((place, (_, why))) = owed.first_key_value() else {
            return Vec::new();
        };
        vec![format!(
            "{} of the history's heads could not be kept in the store, first {}: {why}",
            owed.len(),
            self.key(*place)
        )]
    }

    async fn put(&self, place: usize, head: &Head) -> Put {
        let (store, key) = (self.store.as_ref(), self.key(place));
        let put = async {
            match put_new(store, &key, Bytes::from(json(head)?)).await {
                Ok(_) => return Ok(Put::Kept),
                Err(error) if error.reason() == Reason::AlreadyExists => {}
                Err(error) => return Err(Failure::from(error)),
            }
            // An answer that was lost, or another worker.
            let there: Head = read(store, &key, MAX_HEAD).await?;
            Ok(if there == *head {
                Put::Kept
            } else {
                Put::Other
            })
        };
        match tokio::time::timeout(self.patience, put).await {
            Ok(Ok(put)) => put,
            Ok(Err(failure)) => Put::Failed(failure.to_string()),
            Err(_) => Put::Failed(format!(
                "{} did not answer within {} s",
                store.place(),
                self.patience.as_secs()
            )),
        }
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, (Head, String)>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owes(&self) -> bool {
        !self.owed().is_empty()
    }

    fn still(&self, place: usize, why: &str) {
        if let Some((_, old)) = self.owed().get_mut(&place) {
            why.clone_into(old);
        }
    }
}

#[cfg(test)]
#[path = "heads_tests.rs"]
mod tests;
