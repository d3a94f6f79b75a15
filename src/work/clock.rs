//! The worker's clock: one place, so that everything else takes time as an argument.

use std::time::Duration;

use jiff::Timestamp;

use super::human;

/// So far may two clocks be from each other, and nothing is said: an answer may have been on its way for minutes.
const NEAR: Duration = Duration::from_secs(300);

/// Now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the worker's one clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// What is to be said if the store's clock, as it told it, is far from ours.
#[must_use]
pub fn apart(store: Option<Timestamp>, ours: Timestamp) -> Option<String> {
    let store = store?;
    let apart = ours.duration_since(store).unsigned_abs();
    (apart > NEAR).then(|| {
        let second = |t: Timestamp| Timestamp::from_second(t.as_second()).unwrap_or(t);
        let (store, ours) = (second(store), second(ours));
        format!(
            "the clocks differ by {}: the store says {store}, this machine {ours}; ages and due times go by this machine's, and beyond \
             15 minutes a store may refuse: set the wrong one",
            human::seconds(apart.as_secs())
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_far_apart_are_named_and_near_ones_are_not() {
        let ours: Timestamp = "2026-11-21T02:20:00Z".parse().unwrap();
        let store = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        for near in ["2026-11-21T02:16:00Z", "2026-11-21T02:24:00Z"] {
            assert_eq!(apart(store(near), ours), None);
        }
        assert_eq!(apart(None, ours), None);
        for far in ["2026-11-21T02:00:00Z", "2026-11-21T02:40:00Z"] {
            let said = apart(store(far), ours).unwrap();
            assert!(
                said.contains(far) && said.contains("2026-11-21T02:20:00Z"),
                "{said}"
            );
            assert!(said.contains("20 min"), "{said}");
        }
    }
}
