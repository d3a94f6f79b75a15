//! `<directory>/pins/<folder>/<holder>-<order>.json`: who wants a backup kept, and until when. Each is written once.
//!
//! Of one holder the pin with the highest order counts, so that nothing is ever written over: who wants less than before says so
//! in another pin. A backup is kept as long as one holder wants it kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Folder of the pins below a policy's own.
pub const PINS: &str = "pins";
/// Largest pin that is read, in bytes.
pub const MAX_PIN_BYTES: usize = 16 * 1024;

/// Somebody's wish that a backup is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// [`super::FORMAT_VERSION`].
    pub format: u32,
    /// Name of the Backup.
    pub backup: String,
    /// Its folder, below the store's prefix.
    pub prefix: String,
    /// Whose wish it is.
    pub holder: PinHolder,
    /// Of one holder's pins the one with the highest order counts.
    pub order: i64,
    /// Why, in a sentence.
    pub why: String,
    /// When it was written.
    pub since: Timestamp,
    /// Kept until then; absent: until the holder says something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// An object of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinHolder {
    /// `Backup` or `MigrationRun`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// How long a backup is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Until then at least.
    Until(Timestamp),
    /// Until somebody says something else.
    Open,
}

impl Pin {
    /// Where it stands, below the store's prefix.
    #[must_use]
    pub fn key(&self) -> String {
        let folder = pins_of(&self.prefix);
        format!("{folder}{}-{}.json", self.holder.uid, self.order)
    }
}

/// Folder of a backup's pins, with a slash at its end: beside the backups and not in them, for a backup is never changed (P2).
#[must_use]
pub fn pins_of(prefix: &str) -> String {
    let prefix = prefix.trim_matches('/');
    match prefix.rsplit_once('/') {
        Some((directory, folder)) => format!("{directory}/{PINS}/{folder}/"),
        None => format!("{PINS}/{prefix}/"),
    }
}

/// Whether somebody wants it kept, of all pins of one backup.
#[must_use]
pub fn kept<'a>(pins: impl IntoIterator<Item = &'a Pin>, now: Timestamp) -> Option<Kept> {
    let mut last: BTreeMap<&str, &Pin> = BTreeMap::new();
    for pin in pins {
        let known = last.entry(&pin.holder.uid).or_insert(pin);
        if pin.order > known.order {
            *known = pin;
        }
    }
    let wishes = last.values().map(|pin| pin.until);
    wishes
        .map(|until| until.map_or(Kept::Open, Kept::Until))
        .filter(|kept| !matches!(kept, Kept::Until(until) if *until <= now))
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(uid: &str, order: i64, until: Option<&str>) -> Pin {
        Pin {
            format: 1,
            backup: "nightly".to_owned(),
            prefix: "shop.orders/20261121T020000Z-0123456789ab".to_owned(),
            holder: PinHolder {
                kind: "MigrationRun".to_owned(),
                namespace: "shop".to_owned(),
                name: "notes".to_owned(),
                uid: uid.to_owned(),
            },
            order,
            why: String::new(),
            since: Timestamp::UNIX_EPOCH,
            until: until.map(|t| t.parse().unwrap()),
        }
    }

    #[test]
    fn it_stands_beside_the_backup_and_no_two_are_one() {
        let one = pin("u", 2, None);
        assert_eq!(
            one.key(),
            "shop.orders/pins/20261121T020000Z-0123456789ab/u-2.json"
        );
        assert_ne!(one.key(), pin("u", 3, None).key());
        assert_ne!(one.key(), pin("w", 2, None).key());
        assert_eq!(pins_of("alone"), "pins/alone/");
    }

    #[test]
    fn of_one_holder_the_last_wish_counts_and_of_several_the_longest() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let soon: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let (past, soon_text) = (Some("2026-11-21T00:00:00Z"), Some("2026-11-23T00:00:00Z"));
        assert_eq!(kept(&[], now), None);
        assert_eq!(kept(&[pin("a", 1, past)], now), None);
        assert_eq!(kept(&[pin("a", 2, None), pin("a", 3, past)], now), None);
        assert_eq!(kept(&[pin("a", 3, past), pin("a", 2, None)], now), None);
        let begun = [pin("a", 1, past), pin("a", 2, None)];
        assert_eq!(kept(&begun, now), Some(Kept::Open));
        let two = [pin("a", 3, soon_text), pin("b", 1, past)];
        assert_eq!(kept(&two, now), Some(Kept::Until(soon)));
        let two = [pin("a", 3, soon_text), pin("b", 1, None)];
        assert_eq!(kept(&two, now), Some(Kept::Open));
    }
}
