//! One message of which packets are missing: where each goes, and which are there.

use core::ops::Range;

use crate::Instant;
use crate::buffer::{Body, BodyMut};
use crate::drops::DropReason;
use crate::extension::Flags;
use crate::header::{PACKETS_MAX, Place, Policy};
use crate::packet::Packet;

const WORDS: usize = PACKETS_MAX as usize / 64;

/// A set of packet indexes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct PacketSet([u64; WORDS]);

/// A message being put together.
#[derive(Clone, Debug)]
pub(super) struct Partial {
    /// Packets in the message.
    pub(super) packets: u16,
    /// Packets held.
    pub(super) held: u16,
    /// Payload of a full packet.
    payload_max: usize,
    /// Payload of the first packet; only a plain message's may be less than full.
    first_len: usize,
    pub(super) set: PacketSet,
    buffer: BodyMut,
    /// Known once the last packet is held.
    len: usize,
    pub(super) policy: Policy,
    pub(super) flags: Flags,
    /// The least seen: the floor only rises.
    pub(super) above_floor: u16,
    pub(super) age_from: Instant,
    pub(super) started_at: Instant,
    /// Last time that a packet was new, or that the sender was asked for packets.
    pub(super) active_at: Instant,
    /// How often the sender may still be asked before a packet comes.
    pub(super) tries_left: u8,
}

impl PacketSet {
    /// Adds an index below [`PACKETS_MAX`]; false when it is there already.
    pub(crate) fn insert(&mut self, index: u16) -> bool {
        let (word, bit) = (usize::from(index / 64), 1u64 << (index % 64));
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    pub(crate) fn remove(&mut self, index: u16) {
        self.0[usize::from(index / 64)] &= !(1 << (index % 64));
    }

    pub(crate) fn contains(&self, index: u16) -> bool {
        self.0[usize::from(index / 64)] & (1 << (index % 64)) != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// The lowest index in the set.
    pub(crate) fn first(&self) -> Option<u16> {
        self.next(0, true)
    }

    /// Runs of indexes below `packets` that are not in the set, lowest first.
    pub(crate) fn holes(&self, packets: u16) -> impl Iterator<Item = Range<u16>> + '_ {
        let mut at = 0;
        core::iter::from_fn(move || {
            let start = self.next(at, false).filter(|&start| start < packets)?;
            let end = self.next(start, true).map_or(packets, |end| end.min(packets));
            at = end;
            Some(start..end)
        })
    }

    /// The lowest index from `from` on that is, or is not, in the set.
    fn next(&self, from: u16, present: bool) -> Option<u16> {
        let mut below = (1u64 << (from % 64)) - 1;
        for (word, &bits) in self.0.iter().enumerate().skip(usize::from(from / 64)) {
            let left = if present { bits } else { !bits } & !below;
            below = 0;
            if left != 0 {
                let bit = u16::try_from(left.trailing_zeros()).ok()?;
                return Some(u16::try_from(word).ok()? * 64 + bit);
            }
        }
        None
    }
}

impl Partial {
    /// The bytes that a message of `packets` packets may have, at most and at least, whose first packet, if `plain`, is
    /// `packet`.
    pub(super) fn sizes(packet: &Packet<'_>, packets: u16, payload_max: usize) -> (usize, usize) {
        let first = if packet.extension.is_some() { payload_max } else { packet.payload.len() };
        let most = first + usize::from(packets - 1) * payload_max;
        (most, most - payload_max + 1)
    }

    /// An empty message; its first packet, if `packet` is it, is not yet added.
    pub(super) fn new(
        packet: &Packet<'_>,
        packets: u16,
        payload_max: usize,
        buffer: BodyMut,
        (now, age_from): (Instant, Instant),
    ) -> Self {
        let extension = packet.extension.unwrap_or_default();
        Self {
            packets,
            held: 0,
            payload_max,
            first_len: if packet.extension.is_some() { payload_max } else { packet.payload.len() },
            set: PacketSet::default(),
            buffer,
            len: 0,
            policy: packet.header.policy,
            flags: extension.flags,
            above_floor: extension.above_floor,
            age_from,
            started_at: now,
            active_at: now,
            tries_left: 0,
        }
    }

    /// Whether the first packet is held.
    pub(super) fn has_first(&self) -> bool {
        self.set.contains(0)
    }

    pub(super) fn holes(&self) -> impl Iterator<Item = Range<u16>> + '_ {
        self.set.holes(self.packets)
    }

    /// Whether `packet` is of this message, as far as can be told (HC6d).
    pub(super) fn fits(&self, packet: &Packet<'_>) -> bool {
        let header = &packet.header;
        let same_kind = header.policy == self.policy
            && packet.extension.is_none_or(|extension| {
                extension.packets == self.packets
                    && extension.flags.opens == self.flags.opens
                    && extension.flags.closes == self.flags.closes
            });
        same_kind
            && match header.place {
                Place::First { packets } => {
                    packets == self.packets
                        && (!self.has_first() || self.bytes_at(0) == Some(packet.payload))
                }
                Place::Later { index, last } => {
                    index < self.packets && last == (index + 1 == self.packets)
                }
            }
    }

    /// Copies a packet in that [`Self::fits`]. False when it is held already.
    ///
    /// # Errors
    ///
    /// [`DropReason::TooLong`] when the message turns out longer than its buffer.
    pub(super) fn add(&mut self, packet: &Packet<'_>) -> Result<bool, DropReason> {
        let index = packet.header.place.index();
        if let Some(extension) = packet.extension {
            self.above_floor = self.above_floor.min(extension.above_floor);
        }
        if self.set.contains(index) {
            return Ok(false);
        }
        let start = self.start_of(index);
        let end = start + packet.payload.len();
        let room = self.buffer.as_mut_slice().get_mut(start..end).ok_or(DropReason::TooLong)?;
        room.copy_from_slice(packet.payload);
        if packet.header.place.is_last() {
            self.len = end;
        }
        self.set.insert(index);
        self.held += 1;
        Ok(true)
    }

    /// Whether nothing is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.held == self.packets
    }

    /// Bytes of the buffer asked for.
    pub(super) fn charge(&self) -> usize {
        self.buffer.as_slice().len()
    }

    /// The message.
    pub(super) fn into_body(self) -> Body {
        let mut buffer = self.buffer;
        buffer.truncate(self.len);
        buffer.freeze()
    }

    /// The buffer of a message given up.
    pub(super) fn into_buffer(self) -> BodyMut {
        self.buffer
    }

    fn start_of(&self, index: u16) -> usize {
        match index {
            0 => 0,
            index => self.first_len + usize::from(index - 1) * self.payload_max,
        }
    }

    fn bytes_at(&self, index: u16) -> Option<&[u8]> {
        let start = self.start_of(index);
        self.buffer.as_slice().get(start..self.start_of(index + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn holes_are_what_is_not_there(
            held in prop::collection::btree_set(0..PACKETS_MAX, 0..60),
            runs in prop::collection::vec((0..PACKETS_MAX, 0..200u16), 0..6),
            packets in 1..=PACKETS_MAX,
        ) {
            let mut set = PacketSet::default();
            let runs = runs.into_iter().flat_map(|(start, len)| start..(start + len).min(PACKETS_MAX));
            for index in held.into_iter().chain(runs) {
                set.insert(index);
            }
            let slow: Vec<u16> = (0..packets).filter(|&index| !set.contains(index)).collect();
            let holes: Vec<Range<u16>> = set.holes(packets).collect();
            prop_assert!(holes.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert_eq!(holes.into_iter().flatten().collect::<Vec<_>>(), slow);
            let first = (0..PACKETS_MAX).find(|&index| set.contains(index));
            prop_assert_eq!(set.first(), first);
            prop_assert_eq!(set.is_empty(), first.is_none());
        }
    }
}
