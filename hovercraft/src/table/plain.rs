//! Ids without a session, and opening nonces, for one window of log time (HC7c).
//!
//! Ids stand in the order of their stamps, which is the order in which they go.

use std::collections::VecDeque;

use r2p2::request_id::ClientAddress;

use super::index::{Index, hash_words};
use super::slots::{Slot, Slots};
use super::{Asked, places};
use crate::entry::EntryKind;

/// What tells ids apart. Of an opening the nonce alone, whatever address and body it comes with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PlainKey {
    pub(super) opening: bool,
    pub(super) client: ClientAddress,
    pub(super) number: u64,
    pub(super) hash: u64,
}

/// An id, from its first entry on.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainId {
    pub(super) key: PlainKey,
    /// Of the first entry: later ones do not prolong it.
    pub(super) stamp_us: u64,
    pub(super) slot: Slot,
    /// The session opened; 0 = none.
    pub(super) session: u64,
}

#[derive(Clone, Debug)]
pub(super) struct PlainWindow {
    /// Oldest first.
    ids: VecDeque<PlainId>,
    /// Position of the oldest; positions count on from it, wrapping at [`POSITIONS`].
    first: u32,
    index: Index,
    seed: u64,
}

/// More than there can be ids at a time.
const POSITIONS: u32 = 1 << 31;

/// Ids for which memory is reserved at the start; the system gives it when first touched.
const RESERVED_MAX: usize = 1 << 20;

impl PlainWindow {
    pub(super) fn new(ids_max: u32, seed: u64) -> Self {
        let capacity = places(ids_max);
        Self {
            ids: VecDeque::with_capacity(capacity.min(RESERVED_MAX)),
            first: 0,
            index: Index::new(capacity),
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Slot and opened session of an id that is in the window at `now_us`.
    pub(super) fn find(
        &self,
        key: &PlainKey,
        now_us: u64,
        window_us: u64,
    ) -> Option<(Slot, Option<u64>)> {
        let hash = key.hash(self.seed);
        let position = self.index.find(hash, |position| self.at(position).key == *key)?;
        let id = self.at(position);
        let young = now_us.saturating_sub(id.stamp_us) <= window_us;
        young.then_some((id.slot, (id.session != 0).then_some(id.session)))
    }

    /// Adds an id that is not in the window.
    pub(super) fn insert(&mut self, key: PlainKey, stamp_us: u64, slot: Slot, session: u64) {
        if self.ids.len() == self.index.capacity() {
            self.grow();
        }
        let position = self.position(self.ids.len());
        self.index.insert(key.hash(self.seed), position);
        self.ids.push_back(PlainId { key, stamp_us, slot, session });
    }

    /// Forgets the ids whose window is over.
    pub(super) fn expire(&mut self, now_us: u64, window_us: u64, slots: &mut Slots) {
        while let Some(oldest) = self.ids.front().copied() {
            if now_us.saturating_sub(oldest.stamp_us) <= window_us {
                return;
            }
            let Self { ids, first, index, seed } = self;
            let hash_of = |position: u32| ids[distance(*first, position)].key.hash(*seed);
            index.remove(oldest.key.hash(*seed), *first, hash_of);
            self.ids.pop_front();
            self.first = self.position(1);
            slots.give_back(oldest.slot);
        }
    }

    /// Whether at `now_us` there is no room for one more besides `unapplied` others.
    pub(super) fn is_full(
        &self,
        now_us: u64,
        window_us: u64,
        unapplied: usize,
        ids_max: u32,
    ) -> bool {
        let wanted = self.ids.len().saturating_add(unapplied).saturating_add(1);
        let Some(last_to_go) = wanted.saturating_sub(places(ids_max)).checked_sub(1) else {
            return false;
        };
        // As many as are too many must have gone by then; the oldest go first.
        let id = self.ids.get(last_to_go);
        id.is_none_or(|id| now_us.saturating_sub(id.stamp_us) <= window_us)
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &PlainId> {
        self.ids.iter()
    }

    /// The window was widened by a configuration.
    fn grow(&mut self) {
        let mut index = Index::new(self.index.capacity() * 2);
        for (place, id) in self.ids.iter().enumerate() {
            index.insert(id.key.hash(self.seed), self.position(place));
        }
        self.index = index;
    }

    /// Position of the id at `place` from the oldest.
    fn position(&self, place: usize) -> u32 {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.first.wrapping_add(place) % POSITIONS
    }

    fn at(&self, position: u32) -> &PlainId {
        &self.ids[distance(self.first, position)]
    }
}

/// How far `position` is behind the oldest's.
fn distance(first: u32, position: u32) -> usize {
    usize::try_from(position.wrapping_sub(first) % POSITIONS).unwrap_or(usize::MAX)
}

impl PlainKey {
    fn hash(&self, seed: u64) -> u64 {
        let [high, low] = self.ip_words();
        let form = u64::from(self.client.port) << 1 | u64::from(self.opening);
        hash_words(seed, [high, low, form, self.number, self.hash])
    }

    /// The address as two numbers.
    pub(super) fn ip_words(&self) -> [u64; 2] {
        let ip = u128::from_be_bytes(self.client.ip);
        [ip >> 64, ip & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or(u64::MAX))
    }
}

impl From<&Asked> for PlainKey {
    fn from(asked: &Asked) -> Self {
        let number = asked.id.number;
        if asked.kind == EntryKind::Open {
            Self { opening: true, client: ClientAddress::default(), number, hash: 0 }
        } else {
            Self { opening: false, client: asked.id.client, number, hash: asked.hash }
        }
    }
}
