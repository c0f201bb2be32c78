//! What was handed over to be made durable, and what is (design HC1c, HC11d).
//!
//! Invariants:
//! - D1. Sequence numbers are given out in order, and `persisted(seq)` speaks for all up to `seq`.
//! - D2. `index` is never above what is durable, nor above `written`: an entry cut off and replaced counts again only by its own number.

use alloc::collections::VecDeque;

use crate::ids::{LogIndex, Seq};

/// Writes of entries that may be on their way one by one; beyond it they count together, with the last of them.
const PENDING_MAX: usize = 64;

/// The books of what is on stable storage.
#[derive(Clone, Debug)]
pub(crate) struct Durability {
    issued: Seq,
    durable: Seq,
    /// Number of the newest term and vote.
    vote: Seq,
    /// Number of the newest entries.
    entries: Seq,
    /// Entries up to here were handed over.
    written: LogIndex,
    /// Entries up to here are durable.
    index: LogIndex,
    /// Entries on their way: with this number, up to this index are durable.
    pending: VecDeque<(Seq, LogIndex)>,
}

impl Durability {
    /// Everything up to `found` was on stable storage at the start.
    pub(crate) fn new(found: LogIndex) -> Self {
        Self {
            issued: Seq::ZERO,
            durable: Seq::ZERO,
            vote: Seq::ZERO,
            entries: Seq::ZERO,
            written: found,
            index: found,
            pending: VecDeque::with_capacity(PENDING_MAX),
        }
    }

    /// The number under which a term and vote are handed over.
    pub(crate) fn hand_over_vote(&mut self) -> Seq {
        self.issued = self.issued.next();
        self.vote = self.issued;
        self.vote
    }

    /// The number under which entries up to `to` are handed over.
    pub(crate) fn hand_over_entries(&mut self, to: LogIndex) -> Seq {
        self.issued = self.issued.next();
        self.entries = self.issued;
        self.written = to;
        if self.pending.len() == PENDING_MAX {
            self.pending.pop_back();
        }
        self.pending.push_back((self.entries, to));
        self.entries
    }

    /// Everything up to `seq` is durable.
    pub(crate) fn persisted(&mut self, seq: Seq) {
        assert!(seq <= self.issued, "D1: {seq:?} was never handed over");
        self.durable = self.durable.max(seq);
        if seq == self.issued {
            // As in memory mode, always: nothing is on its way any more.
            self.index = self.written;
            self.pending.clear();
            return;
        }
        while let Some((_, to)) = self.pending.pop_front_if(|(number, _)| *number <= seq) {
            self.index = self.index.max(to);
        }
    }

    /// Entries from `from` on are gone.
    pub(crate) fn truncate(&mut self, from: LogIndex) {
        let last = from.prev();
        self.written = self.written.min(last);
        self.index = self.index.min(last);
        for (_, to) in &mut self.pending {
            *to = (*to).min(last); // D2
        }
    }

    pub(crate) const fn written(&self) -> LogIndex {
        self.written
    }

    pub(crate) const fn index(&self) -> LogIndex {
        self.index
    }

    /// What a message waits for that rests on term and vote.
    pub(crate) fn needs_vote(&self) -> Seq {
        if self.vote > self.durable { self.vote } else { Seq::ZERO }
    }

    /// What an acknowledgement of `index` waits for: the entries, and the term in which they were accepted.
    pub(crate) fn needs_entries(&self, index: LogIndex) -> Seq {
        if index > self.index { self.needs_vote().max(self.entries) } else { self.needs_vote() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(number: u64) -> LogIndex {
        LogIndex::from_wire(number)
    }

    #[test]
    fn hc1c_an_acknowledgement_waits_for_its_entries_and_its_term() {
        let mut disk = Durability::new(index(5));
        assert_eq!(disk.needs_entries(index(5)), Seq::ZERO);
        let term = disk.hand_over_vote();
        assert_eq!(disk.needs_entries(index(5)), term);
        let entries = disk.hand_over_entries(index(7));
        assert_eq!(disk.needs_entries(index(6)), entries);
        disk.persisted(term);
        assert_eq!((disk.index(), disk.needs_vote()), (index(5), Seq::ZERO));
        disk.persisted(entries);
        assert_eq!((disk.index(), disk.needs_entries(index(7))), (index(7), Seq::ZERO));
    }

    #[test]
    fn d2_an_entry_cut_off_and_replaced_counts_only_by_its_own_number() {
        let mut disk = Durability::new(index(0));
        let old = disk.hand_over_entries(index(9));
        disk.truncate(index(4));
        let new = disk.hand_over_entries(index(6));
        disk.persisted(old);
        assert_eq!(disk.index(), index(3));
        assert_eq!(disk.needs_entries(index(4)), new);
        disk.persisted(new);
        assert_eq!(disk.index(), index(6));
        disk.truncate(index(5));
        let newer = disk.hand_over_entries(index(5));
        assert_eq!((disk.index(), disk.needs_entries(index(5))), (index(4), newer));
    }

    #[test]
    fn more_writes_on_their_way_than_are_told_apart_count_with_the_last() {
        let mut disk = Durability::new(index(0));
        let numbers: [Seq; 100] =
            core::array::from_fn(|nth| disk.hand_over_entries(index(nth as u64 + 1)));
        disk.persisted(numbers[62]);
        assert_eq!(disk.index(), index(63));
        disk.persisted(numbers[98]);
        assert_eq!(disk.index(), index(63));
        disk.persisted(numbers[99]);
        assert_eq!(disk.index(), index(100));
    }
}
