//! A map that forgets the oldest: what is kept by the uid of an object must not grow with all objects that ever were.

use std::collections::{HashMap, VecDeque};

/// As many as fail or cannot be read at one time.
const MOST: usize = 4_096;

/// At most 4,096 values; one more, and the oldest goes.
#[derive(Debug)]
pub struct Bounded<V> {
    values: HashMap<String, V>,
    order: VecDeque<String>,
}

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<V> Bounded<V> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        self.values.get(key)
    }

    /// Sets it, and gives the one that was there.
    pub fn insert(&mut self, key: &str, value: V) -> Option<V> {
        let old = self.values.insert(key.to_owned(), value);
        if old.is_none() {
            self.order.push_back(key.to_owned());
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.values.remove(&oldest);
            }
        }
        old
    }

    /// Forgets one.
    pub fn remove(&mut self, key: &str) {
        if self.values.remove(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_what_is_removed_makes_room() {
        let mut map = Bounded::default();
        for n in 0..MOST {
            assert_eq!(map.insert(&n.to_string(), n), None);
        }
        assert_eq!(map.insert("0", 7), Some(0));
        map.remove("1");
        map.insert("a", 1);
        assert_eq!(map.get("0"), Some(&7));
        map.insert("b", 1);
        assert_eq!((map.get("0"), map.get("2")), (None, Some(&2)));
    }
}
