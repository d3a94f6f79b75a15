//! What is true and what a watch has shown of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// One kind: what is true, and what its watch has shown.
pub struct Kind<T> {
    pub truth: BTreeMap<String, T>,
    pub cache: BTreeMap<String, T>,
    late: VecDeque<(Timestamp, String, Option<T>)>,
}

impl<T: Clone> Kind<T> {
    pub fn new() -> Self {
        Self {
            truth: BTreeMap::new(),
            cache: BTreeMap::new(),
            late: VecDeque::new(),
        }
    }

    pub fn changed(&mut self, now: Timestamp, name: &str) {
        let object = self.truth.get(name).cloned();
        self.late.push_back((now, name.to_owned(), object));
    }

    /// Shows some of what happened; at least what is older than `oldest`.
    pub fn deliver(&mut self, some: usize, oldest: Timestamp) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        let mut count = 0;
        while let Some((when, ..)) = self.late.front() {
            if count >= some && *when > oldest {
                break;
            }
            if let Some((_, name, object)) = self.late.pop_front() {
                match object {
                    Some(object) => self.cache.insert(name.clone(), object),
                    None => self.cache.remove(&name),
                };
                shown.insert(name);
            }
            count += 1;
        }
        shown
    }

    pub fn relist(&mut self) {
        self.late.clear();
        self.cache = self.truth.clone();
    }

    pub fn is_current(&self) -> bool {
        self.late.is_empty()
    }
}

/// What the watches showed: names by kind.
#[derive(Default)]
pub struct Shown {
    pub stores: BTreeSet<String>,
    pub policies: BTreeSet<String>,
    pub backups: BTreeSet<String>,
    pub jobs: BTreeSet<String>,
}

/// Longest lag of a watch.
pub const LAG: SignedDuration = SignedDuration::from_secs(15);
