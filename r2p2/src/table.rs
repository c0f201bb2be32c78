//! A table of fixed size whose entries also stand in lists: what partial messages, long sends and open requests need.
//!
//! Lookup by key is open addressing under a seed, so that nobody who does not know the seed can choose keys that
//! collide. Every entry stands in one of the lists, which keep the order in which entries were put at their end: a
//! queue by age, or a bucket of a timer wheel. All operations but [`Table::new`] take constant time and no memory.
//!
//! Invariants:
//! - T1. At most `capacity` entries; each in exactly one list and found by exactly one key.
//! - T2. The index is at most half full, and from an entry's home place to its place there is no gap.

use alloc::vec;
use alloc::vec::Vec;

/// No slot.
const NONE: u32 = u32::MAX;

/// What can be a key: eight-byte words that tell keys apart.
pub(crate) trait Key: Copy + Eq {
    /// Folds all that makes the key into `mix`.
    fn mix(&self, mix: &mut Mix);
}

/// A hash under a seed.
pub(crate) struct Mix(u64);

/// Where an entry is, until it is removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place(u32);

#[derive(Clone, Debug)]
pub(crate) struct Table<K, V> {
    slots: Vec<Slot<K, V>>,
    /// Slot numbers by hash; a power of two, at least twice the capacity.
    index: Vec<u32>,
    lists: Vec<List>,
    /// First unused slot, chained by `next`.
    free: u32,
    len: usize,
    seed: u64,
}

#[derive(Clone, Debug)]
struct Slot<K, V> {
    entry: Option<(K, V)>,
    hash: u32,
    list: u32,
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

impl Mix {
    /// Folds one word in (a 64 by 64 bit multiplication, halves combined).
    pub(crate) fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9E37_79B9_7F4A_7C15;
        let [a, b, c, d, e, f, g, h, low @ ..] = product.to_be_bytes();
        self.0 = u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_be_bytes(low);
        self.0 = self.0.rotate_left(29).wrapping_add(word);
    }

    fn finish(mut self) -> u32 {
        self.word(0x94D0_49BB_1331_11EB);
        self.word(0xBF58_476D_1CE4_E5B9);
        let [a, b, c, d, ..] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

impl<K: Key, V> Table<K, V> {
    /// An empty table of `capacity` entries in `lists` lists.
    ///
    /// # Panics
    ///
    /// When the capacity is 2^30 or more, or there is no list.
    pub(crate) fn new(capacity: usize, lists: usize, seed: u64) -> Self {
        assert!(capacity < 1 << 30 && lists > 0, "capacity {capacity}, {lists} lists");
        let slots = (0..capacity)
            .map(|at| Slot {
                entry: None,
                hash: 0,
                list: 0,
                prev: NONE,
                next: u32::try_from(at + 1).unwrap_or(NONE),
            })
            .collect::<Vec<_>>();
        let mut table = Self {
            slots,
            index: vec![NONE; (2 * capacity.max(1)).next_power_of_two()],
            lists: vec![List { head: NONE, tail: NONE }; lists],
            free: if capacity == 0 { NONE } else { 0 },
            len: 0,
            seed,
        };
        if let Some(last) = table.slots.last_mut() {
            last.next = NONE;
        }
        table
    }

    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether no entry can be added.
    pub(crate) fn is_full(&self) -> bool {
        self.free == NONE
    }

    /// Where `key` is.
    pub(crate) fn find(&self, key: &K) -> Option<Place> {
        if self.len == 0 {
            return None;
        }
        let mut at = self.home(self.hash(key));
        while self.index[at] != NONE {
            let place = Place(self.index[at]);
            if self.slot(place).entry.as_ref().is_some_and(|(held, _)| held == key) {
                return Some(place);
            }
            at = self.after(at);
        }
        None
    }

    /// Adds an entry at the end of `list`; `None` when the table is full.
    ///
    /// # Panics
    ///
    /// When the key is there already (T1).
    pub(crate) fn insert(&mut self, key: K, value: V, list: usize) -> Option<Place> {
        assert!(self.find(&key).is_none(), "T1: one entry per key");
        if self.free == NONE {
            return None;
        }
        let place = Place(self.free);
        let hash = self.hash(&key);
        let slot = self.slot_mut(place);
        slot.entry = Some((key, value));
        slot.hash = hash;
        self.free = self.slot(place).next;
        self.len += 1;
        let mut at = self.home(hash);
        while self.index[at] != NONE {
            at = self.after(at);
        }
        self.index[at] = place.0;
        self.link(place, list);
        Some(place)
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, place: Place) -> (K, V) {
        self.unlink(place);
        let mut at = self.home(self.slot(place).hash);
        while self.index[at] != place.0 {
            at = self.after(at);
        }
        self.close_gap(at);
        let free = self.free;
        let slot = self.slot_mut(place);
        slot.next = free;
        let entry = slot.entry.take();
        self.free = place.0;
        self.len -= 1;
        let Some(entry) = entry else { panic!("T1: {place:?} holds no entry") };
        entry
    }

    /// Puts an entry at the end of `list`, out of the one where it is.
    pub(crate) fn move_to_end(&mut self, place: Place, list: usize) {
        self.unlink(place);
        self.link(place, list);
    }

    /// The first entry of `list`.
    pub(crate) fn first(&self, list: usize) -> Option<Place> {
        let head = self.lists[list].head;
        (head != NONE).then_some(Place(head))
    }

    /// The entry after `place` in its list.
    pub(crate) fn next(&self, place: Place) -> Option<Place> {
        let next = self.slot(place).next;
        (next != NONE).then_some(Place(next))
    }

    /// The key at `place`.
    pub(crate) fn key(&self, place: Place) -> &K {
        let Some((key, _)) = &self.slot(place).entry else {
            panic!("T1: {place:?} holds no entry")
        };
        key
    }

    /// The value at `place`.
    pub(crate) fn value(&self, place: Place) -> &V {
        let Some((_, value)) = &self.slot(place).entry else {
            panic!("T1: {place:?} holds no entry")
        };
        value
    }

    /// The value at `place`, to change it.
    pub(crate) fn value_mut(&mut self, place: Place) -> &mut V {
        let Some((_, value)) = &mut self.slot_mut(place).entry else {
            panic!("T1: {place:?} holds no entry")
        };
        value
    }

    fn slot(&self, place: Place) -> &Slot<K, V> {
        &self.slots[place.0 as usize]
    }

    fn slot_mut(&mut self, place: Place) -> &mut Slot<K, V> {
        &mut self.slots[place.0 as usize]
    }

    /// The hash of a key under this table's seed.
    pub(crate) fn hash(&self, key: &K) -> u32 {
        let mut mix = Mix(self.seed);
        key.mix(&mut mix);
        mix.finish()
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.index.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.index.len() - 1)
    }

    /// Empties the index at `gap` and moves later entries of the run down, so that T2 holds.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.index.len() - 1;
        let mut at = self.after(gap);
        while self.index[at] != NONE {
            let home = self.home(self.slots[self.index[at] as usize].hash);
            let from_home = at.wrapping_sub(home) & mask;
            if from_home >= (at.wrapping_sub(gap) & mask) {
                self.index[gap] = self.index[at];
                gap = at;
            }
            at = self.after(at);
        }
        self.index[gap] = NONE;
    }

    fn link(&mut self, place: Place, list: usize) {
        let tail = self.lists[list].tail;
        let slot = self.slot_mut(place);
        slot.prev = tail;
        slot.next = NONE;
        slot.list = u32::try_from(list).unwrap_or(NONE);
        match tail {
            NONE => self.lists[list].head = place.0,
            tail => self.slot_mut(Place(tail)).next = place.0,
        }
        self.lists[list].tail = place.0;
    }

    fn unlink(&mut self, place: Place) {
        let Slot { list, prev, next, .. } = *self.slot(place);
        let list = list as usize;
        match prev {
            NONE => self.lists[list].head = next,
            prev => self.slot_mut(Place(prev)).next = next,
        }
        match next {
            NONE => self.lists[list].tail = prev,
            next => self.slot_mut(Place(next)).prev = prev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    impl Key for u8 {
        /// Four values of a hash: runs and wraps are the rule.
        fn mix(&self, mix: &mut Mix) {
            mix.word(u64::from(*self & 3));
        }
    }

    /// The same by a map, and lists as vectors.
    #[derive(Default)]
    struct Slow {
        entries: BTreeMap<u8, u32>,
        lists: [Vec<u8>; 2],
    }

    fn contents(table: &Table<u8, u32>, list: usize) -> Vec<u8> {
        let mut at = table.first(list);
        let mut keys = Vec::new();
        while let Some(place) = at {
            keys.push(*table.key(place));
            at = table.next(place);
        }
        keys
    }

    proptest! {
        #[test]
        fn does_what_a_map_and_lists_do(
            operations in prop::collection::vec((0..3u8, 0..24u8, 0..2usize, any::<u32>()), 0..200),
            seed: u64,
        ) {
            let mut table = Table::<u8, u32>::new(12, 2, seed);
            let mut slow = Slow::default();
            for (operation, key, list, value) in operations {
                let place = table.find(&key);
                prop_assert_eq!(place.map(|at| *table.value(at)), slow.entries.get(&key).copied());
                match (operation, place) {
                    (0, None) => {
                        let added = table.insert(key, value, list).is_some();
                        prop_assert_eq!(added, slow.entries.len() < 12);
                        if added {
                            slow.entries.insert(key, value);
                            slow.lists[list].push(key);
                        }
                    }
                    (1, Some(place)) => {
                        prop_assert_eq!(table.remove(place), (key, slow.entries.remove(&key).unwrap()));
                        slow.lists.iter_mut().for_each(|keys| keys.retain(|&held| held != key));
                    }
                    (2, Some(place)) => {
                        table.move_to_end(place, list);
                        *table.value_mut(place) = value;
                        slow.entries.insert(key, value);
                        slow.lists.iter_mut().for_each(|keys| keys.retain(|&held| held != key));
                        slow.lists[list].push(key);
                    }
                    _ => {}
                }
                prop_assert_eq!(table.len(), slow.entries.len());
                prop_assert_eq!(table.is_full(), slow.entries.len() == 12);
                for list in 0..2 {
                    prop_assert_eq!(&contents(&table, list), &slow.lists[list]);
                }
            }
        }
    }
}
