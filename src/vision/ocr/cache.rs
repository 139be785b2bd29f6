//! A small cache of two generations: when the young one is full, the old one is forgotten and takes its place.

use std::collections::HashMap;

use image::DynamicImage;
use sha2::{Digest, Sha256};

pub(super) struct Cache<T> {
    young: HashMap<String, T>,
    old: HashMap<String, T>,
    limit: usize,
}

impl<T: Clone> Cache<T> {
    /// Keeps between `limit` and twice `limit` entries.
    pub(super) fn new(limit: usize) -> Cache<T> {
        Cache {
            young: HashMap::new(),
            old: HashMap::new(),
            limit,
        }
    }

    pub(super) fn get(&mut self, key: &str) -> Option<T> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(key.to_string(), value.clone());
        Some(value)
    }

    pub(super) fn put(&mut self, key: String, value: T) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// The hash of a picture's size and pixels.
pub(super) fn picture_key(picture: &DynamicImage) -> String {
    let mut h = Sha256::new();
    h.update(picture.width().to_be_bytes());
    h.update(picture.as_bytes());
    hex::encode(h.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_size_is_bounded() {
        let mut cache = Cache::new(3);
        for i in 0..100 {
            cache.put(i.to_string(), i);
            cache.get("0");
        }
        assert_eq!(cache.get("0"), Some(0));
        assert_eq!(cache.get("50"), None);
        assert!(cache.young.len() <= 3 && cache.old.len() <= 3);
    }
}
