//! From a key's hash to its position in some array: open addressing, linear probing, no tombstones.
//!
//! The array's owner knows the keys; here are only positions. Twice as many places as keys, so that a search ends soon.

use core::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

/// Positions by hash.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// Position + 1; 0 = empty. A power of two of them.
    places: Vec<u32>,
    len: usize,
}

impl Index {
    /// Room for `capacity` keys.
    pub(super) fn new(capacity: usize) -> Self {
        Self { places: vec![0; (capacity.max(4) * 2).next_power_of_two()], len: 0 }
    }

    /// Keys that fit without growing.
    pub(super) fn capacity(&self) -> usize {
        self.places.len() / 2
    }

    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut place = self.home(hash);
        loop {
            let position = self.places[place].checked_sub(1)?;
            if is_it(position) {
                return Some(position);
            }
            place = self.after(place);
        }
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, hash: u64, position: u32) {
        assert!(self.len < self.capacity(), "an index of {} places is full", self.places.len());
        let mut place = self.home(hash);
        while self.places[place] != 0 {
            place = self.after(place);
        }
        self.places[place] = position + 1;
        self.len += 1;
    }

    /// Takes the key at `position` out; `hash_of` gives the hash of any key that is in.
    pub(super) fn remove(&mut self, hash: u64, position: u32, hash_of: impl Fn(u32) -> u64) {
        let mut hole = self.home(hash);
        while self.places[hole] != position + 1 {
            assert_ne!(self.places[hole], 0, "position {position} is not in the index");
            hole = self.after(hole);
        }
        // Whoever would no longer be found across the hole moves into it.
        let mut place = self.after(hole);
        while let Some(other) = self.places[place].checked_sub(1) {
            let home = self.home(hash_of(other));
            let mask = self.places.len() - 1;
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(hole) & mask {
                self.places[hole] = self.places[place];
                hole = place;
            }
            place = self.after(place);
        }
        self.places[hole] = 0;
        self.len -= 1;
    }

    fn home(&self, hash: u64) -> usize {
        let mask = self.places.len() - 1;
        usize::try_from(hash & (u64::MAX >> 1)).unwrap_or(usize::MAX) & mask
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }
}

/// Hash of a key under a node's own seed, which clients do not know: they cannot aim at one place.
pub(super) fn hash_words<const N: usize>(seed: u64, words: [u64; N]) -> u64 {
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    for word in words {
        hasher.write_u64(word);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain list, with hashes that collide and wrap around the end.
    #[test]
    fn finds_what_is_in_and_nothing_else() {
        let mut random = 1u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let hash_of = |position: u32| u64::from(position) * 7 % 5 + 13;
        let mut index = Index::new(8);
        let mut model: Vec<u32> = Vec::new();
        for _ in 0..20_000 {
            let position = u32::try_from(next(24)).unwrap();
            let found = index.find(hash_of(position), |other| other == position);
            assert_eq!(found.is_some(), model.contains(&position));
            if found.is_some() {
                index.remove(hash_of(position), position, hash_of);
                model.retain(|&other| other != position);
            } else if model.len() < 8 {
                index.insert(hash_of(position), position);
                model.push(position);
            }
        }
    }
}
