//! Requests that have been sent and have not ended.
//!
//! A slot's place is the tag that its completion brings back. Slots and the buffers in them are used again: a warm run
//! allocates nothing here.

use crate::workload::{Check, Kind};

/// A request under way.
#[derive(Clone, Debug)]
pub struct Pending {
    /// When it was to be sent, in nanoseconds since the start.
    pub scheduled: u64,
    /// Just before it was sent, in nanoseconds since the start.
    pub sent: u64,
    /// Place of the phase that it belongs to.
    pub phase: usize,
    /// Its tag.
    pub kind: Kind,
    /// What its reply must look like.
    pub check: Check,
    /// Its bytes, when a history is kept.
    pub body: Vec<u8>,
}

/// The requests under way, by tag.
#[derive(Clone, Debug, Default)]
pub struct PendingSet {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Slot {
    pending: Option<Pending>,
    /// The buffer of an earlier request.
    buffer: Vec<u8>,
}

impl PendingSet {
    /// Room for `capacity` requests without allocating.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { slots: Vec::with_capacity(capacity), free: Vec::with_capacity(capacity) }
    }

    /// The tag that the next request will have.
    #[must_use]
    pub fn next_tag(&self) -> u64 {
        self.free.last().copied().unwrap_or(self.slots.len()) as u64
    }

    /// Keeps a request under [`Self::next_tag`]. `pending.body` is replaced by a copy of `body`.
    pub fn insert(&mut self, pending: Pending, body: &[u8]) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { pending: None, buffer: Vec::new() });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[place];
        let mut buffer = core::mem::take(&mut slot.buffer);
        buffer.clear();
        buffer.extend_from_slice(body);
        slot.pending = Some(Pending { body: buffer, ..pending });
    }

    /// Takes the request with this tag out; `None` when there is none. Its body comes back with
    /// [`Self::give_back`].
    pub fn remove(&mut self, tag: u64) -> Option<Pending> {
        let place = usize::try_from(tag).ok()?;
        let pending = self.slots.get_mut(place)?.pending.take()?;
        self.free.push(place);
        Some(pending)
    }

    /// Takes the buffer of a request that was removed from `tag`.
    pub fn give_back(&mut self, tag: u64, pending: Pending) {
        let slot = usize::try_from(tag).ok().and_then(|place| self.slots.get_mut(place));
        if let Some(slot) = slot {
            slot.buffer = pending.body;
        }
    }

    /// Requests under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether none is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(scheduled: u64) -> Pending {
        let (kind, check) = (Kind::Write, Check::Synthetic(0));
        Pending { scheduled, sent: 0, phase: 0, kind, check, body: Vec::new() }
    }

    #[test]
    fn tags_are_used_again_and_find_their_request() {
        let mut set = PendingSet::with_capacity(2);
        let tags: Vec<u64> = (0..3)
            .map(|scheduled| {
                let tag = set.next_tag();
                set.insert(pending(scheduled), &[b'a'; 4]);
                tag
            })
            .collect();
        assert_eq!(tags, [0, 1, 2]);
        let second = set.remove(1).unwrap();
        assert_eq!((second.scheduled, second.body.as_slice(), set.len()), (1, &b"aaaa"[..], 2));
        let buffer = second.body.as_ptr();
        set.give_back(1, second);
        assert!(set.remove(1).is_none(), "a second completion finds nothing");
        assert!(set.remove(99).is_none());
        assert_eq!(set.next_tag(), 1);
        set.insert(pending(9), b"b");
        let again = set.remove(1).unwrap();
        assert_eq!((again.scheduled, again.body.as_slice()), (9, &b"b"[..]));
        assert_eq!(again.body.as_ptr(), buffer, "the buffer is used again");
    }
}
