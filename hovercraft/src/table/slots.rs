//! Places for kept replies.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use raft_core::ids::LogIndex;

/// Where the application half keeps one reply.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slot(u32);

/// All slots ever in use; those free now are given out again, the lowest first: what is kept stands low, where there is room for
/// replies.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    /// Log index of the entry whose reply is there; zero = free.
    indexes: Vec<LogIndex>,
    free: BinaryHeap<Reverse<Slot>>,
}

impl Slot {
    /// Its place in an array.
    #[must_use]
    pub fn place(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    pub(super) fn to_u32(self) -> u32 {
        self.0
    }

    pub(super) fn from_u32(number: u32) -> Self {
        Self(number)
    }
}

impl Slots {
    /// A slot for the entry at `index`.
    pub(super) fn take(&mut self, index: LogIndex) -> Slot {
        assert_ne!(index, LogIndex::ZERO, "an entry has an index");
        if let Some(Reverse(slot)) = self.free.pop() {
            self.indexes[slot.place()] = index;
            return slot;
        }
        let number = u32::try_from(self.indexes.len());
        let slot = Slot(number.unwrap_or_else(|_| panic!("limits allow fewer than 2^32 slots")));
        self.indexes.push(index);
        // Giving slots back never allocates.
        self.free.reserve(self.indexes.capacity() - self.free.len());
        slot
    }

    pub(super) fn give_back(&mut self, slot: Slot) {
        let index = core::mem::replace(&mut self.indexes[slot.place()], LogIndex::ZERO);
        assert_ne!(index, LogIndex::ZERO, "T4: {slot:?} was free");
        self.free.push(Reverse(slot));
    }

    pub(super) fn index(&self, slot: Slot) -> LogIndex {
        self.indexes[slot.place()]
    }

    /// In use and free.
    pub(super) fn len(&self) -> usize {
        self.indexes.len()
    }

    pub(super) fn indexes(&self) -> &[LogIndex] {
        &self.indexes
    }

    /// As [`Self::indexes`] were.
    pub(super) fn restore(indexes: Vec<LogIndex>) -> Self {
        let mut free = BinaryHeap::with_capacity(indexes.capacity());
        let numbered = indexes.iter().zip(0..);
        let empty = numbered.filter(|(index, _)| **index == LogIndex::ZERO);
        free.extend(empty.map(|(_, number)| Reverse(Slot(number))));
        Self { indexes, free }
    }
}
