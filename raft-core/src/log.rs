//! The log: entries in a ring of fixed size (design HC12).
//!
//! Index `i` lives in place `(i - origin) & mask`; the memory is taken in [`Log::new`] and never again. When the ring is
//! full, the oldest entry that the layer above released gives its place to the newest; until then released entries stay,
//! for followers that lag.
//!
//! Invariants:
//! - L1. Indexes `base + 1 ..= last` are held, without a gap, and `last - base` is at most the capacity.
//! - L2. `base <= released <= last`: nothing is overwritten before it is released.
//! - L3. Terms never decrease along the log.

use alloc::vec::Vec;

use crate::entry::Entry;
use crate::ids::{LogIndex, Term};

/// The entries.
#[derive(Clone, Debug)]
pub(crate) struct Log<E> {
    ring: Vec<Entry<E>>,
    capacity: usize,
    /// Index whose place is 0.
    origin: LogIndex,
    /// Before the first entry held.
    base: LogIndex,
    base_term: Term,
    last: LogIndex,
    last_term: Term,
    released: LogIndex,
}

impl<E: Copy> Log<E> {
    /// An empty log that starts after `base`; `capacity` is a power of two.
    pub(crate) fn new(capacity: u32, base: LogIndex, base_term: Term) -> Self {
        assert!(capacity.is_power_of_two(), "a ring of {capacity} entries");
        let capacity = capacity as usize;
        Self {
            ring: Vec::with_capacity(capacity),
            capacity,
            origin: base.next(),
            base,
            base_term,
            last: base,
            last_term: base_term,
            released: base,
        }
    }

    /// Adds `entry`; there must be room.
    pub(crate) fn push(&mut self, entry: Entry<E>) -> LogIndex {
        assert!(entry.term >= self.last_term, "L3: {} after {}", entry.term, self.last_term);
        if self.held() == self.capacity {
            self.drop_oldest();
        }
        let index = self.last.next();
        let place = self.place(index);
        if place == self.ring.len() {
            self.ring.push(entry);
        } else {
            self.ring[place] = entry;
        }
        self.last = index;
        self.last_term = entry.term;
        index
    }

    /// Cuts off `from` and what follows it.
    pub(crate) fn truncate(&mut self, from: LogIndex) {
        assert!(from > self.released && from <= self.last, "L2: cut at {from}");
        let last = from.prev();
        // The term of the new last entry, before `last` moves.
        self.last_term = self.term_at(last).unwrap_or(self.base_term);
        self.last = last;
    }

    /// Places up to `index` may be used again once the ring is full.
    pub(crate) fn release(&mut self, index: LogIndex) {
        assert!(index <= self.last, "L2: {index} released beyond {}", self.last);
        self.released = self.released.max(index);
    }

    /// How many entries can be added now.
    pub(crate) fn room(&self) -> usize {
        // At most the capacity, a u32, by L1 and L2.
        self.capacity - usize::try_from(self.last.since(self.released)).unwrap_or(self.capacity)
    }

    /// The entry at `index`, when held.
    pub(crate) fn get(&self, index: LogIndex) -> Option<&Entry<E>> {
        if index <= self.base || index > self.last {
            None
        } else {
            Some(&self.ring[self.place(index)])
        }
    }

    /// Term of the entry at `index`: known from the one before the first held on.
    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.last {
            Some(self.last_term)
        } else if index == self.base {
            Some(self.base_term)
        } else {
            self.get(index).map(|entry| entry.term)
        }
    }

    /// The highest index at or below `limit` whose term is early enough, by a test that no later term passes after one that
    /// fails it; the base when none held is.
    pub(crate) fn newest(&self, limit: LogIndex, early: impl Fn(Term) -> bool) -> LogIndex {
        let (mut fits, mut above) = (self.base, limit.min(self.last).next());
        // L3: everything up to `fits` is early enough (or the base), nothing from `above` on.
        while above.since(fits) > 1 {
            let middle = fits.plus(above.since(fits) / 2);
            if self.term_at(middle).is_some_and(&early) {
                fits = middle;
            } else {
                above = middle;
            }
        }
        fits
    }

    pub(crate) const fn base(&self) -> LogIndex {
        self.base
    }

    pub(crate) const fn last(&self) -> LogIndex {
        self.last
    }

    pub(crate) const fn last_term(&self) -> Term {
        self.last_term
    }

    pub(crate) const fn released(&self) -> LogIndex {
        self.released
    }

    /// The entries held, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<E>> {
        (1..=self.last.since(self.base)).filter_map(|nth| self.get(self.base.plus(nth)))
    }

    fn held(&self) -> usize {
        usize::try_from(self.last.since(self.base)).unwrap_or(usize::MAX)
    }

    fn drop_oldest(&mut self) {
        assert!(self.base < self.released, "L2: no room after {}", self.last);
        let oldest = self.base.next();
        self.base_term = self.ring[self.place(oldest)].term;
        self.base = oldest;
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "masked by a capacity that fits in 32 bits just after"
    )]
    fn place(&self, index: LogIndex) -> usize {
        index.since(self.origin) as usize & (self.capacity - 1)
    }
}

#[cfg(test)]
mod tests;
