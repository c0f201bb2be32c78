//! The log: entries in a ring of fixed size (design HC12).
//!
//! Index `i` lives in place `i & mask`; the memory is taken in [`Log::new`] and never again. When the ring is full, the oldest entry that the layer above released gives its place to the newest; until then released entries stay,
//! for followers that lag.
//!
//! Invariants:
//! - L1. Indexes `base + 1 ..= last` are held, without a gap, and `last - base` is at most the capacity.
//! - L2. `base <= released <= last`: nothing is overwritten before it is released.
//! - L3. Terms never decrease along the log.

use alloc::boxed::Box;
use alloc::vec;

use crate::entry::{Entry, Payload};
use crate::ids::{LogIndex, Term};

/// The entries.
#[derive(Clone, Debug)]
pub(crate) struct Log<E> {
    ring: Box<[Entry<E>]>,
    /// One less than the capacity, a power of two.
    mask: usize,
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
        let unused = Entry { term: Term::ZERO, payload: Payload::NoOp };
        Self {
            ring: vec![unused; capacity].into_boxed_slice(),
            mask: capacity - 1,
            base,
            base_term,
            last: base,
            last_term: base_term,
            released: base,
        }
    }

    /// Adds `entry`; there must be room.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry<E>) -> LogIndex {
        assert!(entry.term >= self.last_term, "L3: {} after {}", entry.term, self.last_term);
        let index = self.last.next();
        let place = self.place(index);
        if self.held() == self.ring.len() {
            // The oldest entry stands where this one goes.
            assert!(self.base < self.released, "L2: no room after {}", self.last);
            self.base = self.base.next();
            self.base_term = self.ring[place].term;
        }
        self.ring[place] = entry;
        self.last = index;
        self.last_term = entry.term;
        index
    }

    /// Adds `entries`; there must be room for all.
    pub(crate) fn extend(&mut self, entries: &[Entry<E>]) {
        let newest = match entries {
            [] => return,
            [one] => {
                self.push(*one);
                return;
            }
            [.., newest] => newest,
        };
        let rises = entries.is_sorted_by_key(|entry| entry.term);
        assert!(rises && entries[0].term >= self.last_term, "L3: terms after {}", self.last_term);
        assert!(entries.len() <= self.room(), "L2: {} entries after {}", entries.len(), self.last);
        let dropped = (self.held() + entries.len()).saturating_sub(self.ring.len());
        if dropped > 0 {
            let base = self.base.plus(dropped as u64);
            self.base_term = self.term_at(base).unwrap_or(self.base_term);
            self.base = base;
        }
        let first = self.place(self.last.next());
        let to_the_end = entries.len().min(self.ring.len() - first);
        let (here, wrapped) = entries.split_at(to_the_end);
        self.ring[first..first + here.len()].copy_from_slice(here);
        if !wrapped.is_empty() {
            self.ring[..wrapped.len()].copy_from_slice(wrapped);
        }
        self.last = self.last.plus(entries.len() as u64);
        self.last_term = newest.term;
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
        let capacity = self.ring.len();
        capacity - usize::try_from(self.last.since(self.released)).unwrap_or(capacity)
    }

    /// The entry at `index`, when held.
    pub(crate) fn get(&self, index: LogIndex) -> Option<&Entry<E>> {
        if index <= self.base || index > self.last {
            None
        } else {
            Some(&self.ring[self.place(index)])
        }
    }

    /// The entries held from `from` to `to`, in two runs: the second begins where the ring does.
    #[inline]
    pub(crate) fn runs(&self, from: LogIndex, to: LogIndex) -> (&[Entry<E>], &[Entry<E>]) {
        let (from, to) = (from.max(self.base.next()), to.min(self.last));
        if from > to {
            return (&[], &[]);
        }
        let (first, end) = (self.place(from), self.place(to) + 1);
        if first < end {
            (&self.ring[first..end], &[])
        } else {
            (&self.ring[first..], &self.ring[..end])
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
        let (first, second) = self.runs(self.base.next(), self.last);
        first.iter().chain(second)
    }

    fn held(&self) -> usize {
        usize::try_from(self.last.since(self.base)).unwrap_or(usize::MAX)
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "masked by a capacity that fits in 32 bits just after"
    )]
    const fn place(&self, index: LogIndex) -> usize {
        index.to_wire() as usize & self.mask
    }
}

#[cfg(test)]
mod tests;
