//! Places for kept replies.

use raft_core::ids::LogIndex;

/// Where the application half keeps one reply.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slot(u32);

/// All slots ever in use; those free now are given out again, the latest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    /// Log index of the entry whose reply is there; zero = free.
    indexes: Vec<LogIndex>,
    free: Vec<Slot>,
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
        if let Some(slot) = self.free.pop() {
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
        self.free.push(slot);
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

    /// Free ones, the next to be given out last.
    pub(super) fn free(&self) -> &[Slot] {
        &self.free
    }

    /// As [`Self::indexes`] and [`Self::free`] were; `None` unless exactly the slots without an index are free, once each.
    pub(super) fn restore(indexes: Vec<LogIndex>, mut free: Vec<Slot>) -> Option<Self> {
        let mut sorted: Vec<usize> = free.iter().map(|slot| slot.place()).collect();
        sorted.sort_unstable();
        let without = indexes.iter().enumerate().filter(|(_, index)| **index == LogIndex::ZERO);
        if !without.map(|(place, _)| place).eq(sorted) {
            return None;
        }
        free.reserve(indexes.capacity() - free.len());
        Some(Self { indexes, free })
    }
}
