//! What a comparison of a database with a backup says.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::manifest::ACCEPTED;

/// Most that no dump holds and that are named one by one.
const NAMED: usize = 100;

/// One way in which a database is not what was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What kind of thing differs, for example `rows`, `content`, `FUNCTION`.
    pub what: String,
    /// Its name, for example `public.orders`.
    pub object: String,
    /// As it was backed up.
    pub expected: String,
    /// As it is.
    pub found: String,
}

impl Difference {
    pub(super) fn new(
        what: &str,
        object: String,
        expected: impl ToString,
        found: impl ToString,
    ) -> Self {
        Self {
            what: what.to_owned(),
            object,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// In a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "{} {}: {} instead of {}",
            self.what, self.object, self.found, self.expected
        )
    }
}

/// A definition that the server prints otherwise than it was recorded, and as it prints what was recorded when that is
/// restored by itself (G23): no sign of a fault, and no proof that it means the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Printed {
    /// The object and both texts.
    #[serde(flatten)]
    pub difference: Difference,
    /// What accepts it: 16 hex digits of both texts.
    pub fingerprint: String,
}

impl Printed {
    /// In a sentence, with what accepts it.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "{} (fingerprint {})",
            self.difference.sentence(),
            self.fingerprint
        )
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Every inequality, tables first.
    pub differences: Vec<Difference>,
    /// What is unequal because the server has another version of an extension, or may be: it cannot be told (G18).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undecided: Vec<Difference>,
    /// What the source had and no dump holds: a restore cannot give it back. Each is settled by [`Comparison::settle`] (G4).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Difference>,
    /// Definitions that the server prints otherwise than they were recorded: it cannot be told whether they mean the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub printed_otherwise: Vec<Printed>,
    /// What helps where something differs, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<String>,
    /// Worth knowing, and no inequality: another version of an extension, of a collation.
    pub notes: Vec<String>,
    /// What could not be compared because the backup does not say it; empty: everything was (G28).
    pub not_compared: Vec<String>,
    /// The server is of another major than the backup: definitions are among what was not compared.
    #[serde(skip)]
    pub other_major: bool,
    /// Tables whose rows were compared.
    pub tables: usize,
    /// Tables whose rows were equal.
    pub equal: usize,
    /// Rows in those.
    pub rows: i64,
}

/// Kinds whose name alone may mean their rows.
const RELATIONS: [&str; 5] = [
    "foreign table",
    "materialized view",
    "sequence",
    "table",
    "view",
];

impl Comparison {
    /// Everything was compared and is equal.
    #[must_use]
    pub fn proves(&self) -> bool {
        self.differences.is_empty()
            && self.undecided.is_empty()
            && self.lost.is_empty()
            && self.printed_otherwise.is_empty()
            && self.not_compared.is_empty()
    }

    /// What no dump holds is a note where somebody accepted it by name, with its kind in front or, but for
    /// relations, without it. Else nothing is proven.
    pub fn settle(&mut self, accepted: &BTreeSet<String>) {
        let lost = std::mem::take(&mut self.lost);
        // A table's name alone accepts that its rows are gone, not that the table is another.
        let by_name = |d: &Difference| !RELATIONS.contains(&d.what.as_str());
        let (known, open): (Vec<_>, Vec<_>) = lost.into_iter().partition(|d| {
            by_name(d) && accepted.contains(&d.object)
                || accepted.contains(&format!("{} {}", d.what, d.object))
        });
        let known = known.iter();
        self.notes
            .extend(known.map(|d| format!("{ACCEPTED}{}", d.sentence())));
        let more = open.len().saturating_sub(NAMED);
        let named = open.iter().take(NAMED);
        self.not_compared
            .extend(named.map(|d| format!("no dump holds it: {}", d.sentence())));
        if more > 0 {
            self.not_compared
                .push(format!("{more} more things that no dump holds"));
        }
    }

    pub(super) fn differs(
        &mut self,
        what: &str,
        object: String,
        expected: impl ToString,
        found: impl ToString,
    ) {
        self.differences
            .push(Difference::new(what, object, expected, found));
    }
}
