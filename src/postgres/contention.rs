//! What earlier tries of one run met: the tables that others lock, and how patient the next try is (G8, G9). Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::blocking::Waiter;
use super::coordinator::LockPatience;
use super::error::PgError;
use crate::api::Reason;

/// Tries in which nobody waits longer for us than [`GENTLE`].
const GENTLE_TRIES: u32 = 8;
/// How long somebody may wait for us in them.
const GENTLE: Duration = Duration::from_millis(400);
/// Or this part of the time that would be lost.
const PART: u32 = 10;
/// Most tables that are kept in mind.
const MOST: usize = 1_000;
/// Most busy tables.
const BUSY: usize = 16;
/// Most that a message names.
const NAMED: usize = 3;

/// What the tries so far met.
#[derive(Debug, Default)]
pub struct Contention {
    /// How often we let go of our locks for somebody.
    let_go: u32,
    /// How often a lock was not given.
    refused: u32,
    /// How often each table was locked by others when we wanted it, or wanted by others when we held it.
    tables: BTreeMap<String, u32>,
    last: Option<String>,
    patience: LockPatience,
    /// Nothing is held apart: a session more that keeps a place is one that a small pool has not.
    pooled: bool,
}

impl Contention {
    /// Nothing yet.
    #[must_use]
    pub fn new(patience: LockPatience) -> Self {
        Self {
            patience,
            ..Self::default()
        }
    }

    /// As it is behind a pooler.
    #[must_use]
    pub fn pooled(self, pooled: bool) -> Self {
        Self { pooled, ..self }
    }

    /// Tables that are held apart, for as short as can be.
    pub(super) fn busy(&self) -> Vec<String> {
        if self.pooled {
            return Vec::new();
        }
        let busiest = self.busiest(BUSY).into_iter();
        busiest.map(|(table, _)| table.to_owned()).collect()
    }

    pub(super) fn patience(&self) -> LockPatience {
        self.patience
    }

    /// We let go for a session. False: that was the last try.
    pub fn let_go(&mut self, waiter: &Waiter) -> bool {
        self.let_go = self.let_go.saturating_add(1);
        self.met(&waiter.table);
        self.last = Some(waiter.display());
        self.let_go < self.patience.tries
    }

    /// A lock was not given: the pause before the next try; `None` if that was the last.
    pub(super) fn again(&mut self) -> Option<Duration> {
        let pause = self.patience.first_pause * 2_u32.saturating_pow(self.refused.min(16));
        self.refused = self.refused.saturating_add(1);
        (self.refused < self.patience.tries).then_some(pause)
    }

    pub(super) fn met(&mut self, table: &str) {
        if let Some(times) = self.tables.get_mut(table) {
            *times = times.saturating_add(1);
        } else if self.tables.len() < MOST {
            self.tables.insert(table.to_owned(), 1);
        }
    }

    /// How often a table was in question.
    pub(super) fn times(&self, table: &str) -> u32 {
        self.tables.get(table).copied().unwrap_or_default()
    }

    /// The tables most in question, at most so many.
    pub(super) fn busiest(&self, most: usize) -> Vec<(&str, u32)> {
        let mut all: Vec<_> = self.tables.iter().map(|(t, n)| (t.as_str(), *n)).collect();
        all.sort_by_key(|(table, times)| (std::cmp::Reverse(*times), *table));
        all.truncate(most);
        all
    }

    /// How long somebody may wait for a try of this age; `None`: to its end. First as long as nobody notices, later longer and
    /// longer: a table that is locked again and again would else never be backed up.
    pub(super) fn allowed(&self, age: Duration) -> Option<Duration> {
        let doublings = self.let_go.saturating_sub(GENTLE_TRIES - 1);
        let gentle = GENTLE * 2_u32.saturating_pow(doublings.min(16));
        let allowed = gentle.max(age / PART);
        match self.patience.max_blocking {
            Some(most) => Some(allowed.min(most)),
            None if self.let_go + 1 >= self.patience.tries => None,
            None => Some(allowed),
        }
    }

    /// Why nothing came of it.
    #[must_use]
    pub fn error(&self) -> PgError {
        let named = self.busiest(NAMED);
        let named: Vec<String> = named
            .iter()
            .map(|(table, times)| format!("{table} ({times} of {} times)", self.let_go))
            .collect();
        PgError::later(
            Reason::BlockingOthers,
            format!(
                "others would have waited too long for the backup's locks, so it let go of them {} times; the tables are {}; last: {}. \
                 Back up when these are not truncated, altered or swapped, or allow a longer wait (spec.maxBlocking, --max-blocking)",
                self.let_go,
                named.join(", "),
                self.last.as_deref().unwrap_or_default()
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(table: &str) -> Waiter {
        Waiter {
            pid: 7,
            application: "ledger".to_owned(),
            user: "app".to_owned(),
            table: table.to_owned(),
            mode: "AccessExclusiveLock".to_owned(),
            only_us: true,
            before_dump: false,
        }
    }

    #[test]
    fn g9_patience_grows_with_every_try_and_with_what_would_be_lost() {
        let ms = Duration::from_millis;
        let mut met = Contention::new(LockPatience {
            max_blocking: Some(ms(60_000)),
            ..LockPatience::default()
        });
        let mut allowed = Vec::new();
        loop {
            allowed.push(met.allowed(ms(300)).unwrap().as_millis());
            if !met.let_go(&waiter("public.t")) {
                break;
            }
        }
        assert_eq!(
            allowed,
            [
                400, 400, 400, 400, 400, 400, 400, 400, 800, 1_600, 3_200, 6_400
            ]
        );
        let young = Contention::new(met.patience);
        assert_eq!(young.allowed(ms(50_000)), Some(ms(5_000)));
        assert_eq!(young.allowed(ms(6_000_000)), Some(ms(60_000)));
    }

    #[test]
    fn g9_without_a_bound_the_last_try_stays() {
        let mut met = Contention::new(LockPatience::default());
        while met.allowed(Duration::ZERO).is_some() {
            assert!(met.let_go(&waiter("public.t")), "the last");
        }
    }

    #[test]
    fn g9_the_tables_are_named_with_their_number_and_no_statement() {
        let mut met = Contention::new(LockPatience::default());
        for table in ["a", "b", "b"] {
            met.let_go(&waiter(table));
        }
        let error = met.error();
        let says = error.to_string();
        assert!(
            says.contains("b (2 of 3 times), a (1 of 3 times)"),
            "{says}"
        );
        assert!(
            says.contains("pid 7 (ledger, role app) waits for AccessExclusiveLock on b"),
            "{says}"
        );
    }
}
