//! What happened on the network: a running hash of everything, and the last events for a human.

use std::collections::VecDeque;

use super::network::EndpointId;
use crate::backend::Instant;

/// Leading bytes of a packet that an event shows.
const SHOWN: usize = 24;

/// One thing that happened to one copy of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// Who sent it.
    pub from: EndpointId,
    /// For whom this copy was; none where the packet had no destination.
    pub to: Option<EndpointId>,
    /// What happened.
    pub fate: Fate,
    /// Length of the payload, in bytes.
    pub len: usize,
    /// The payload's first bytes, zeroes behind.
    pub start: [u8; SHOWN],
}

/// What can happen to a copy of a packet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Fate {
    /// It is under way.
    Sent,
    /// It is under way a second time.
    Duplicated,
    /// The weather lost it.
    Lost,
    /// A partition, or a deaf member, stopped it.
    Blocked,
    /// Nobody has the address, or it is in no group.
    Unroutable,
    /// The inbox was full.
    Overflowed,
    /// It was handed to the endpoint.
    Delivered,
}

/// Hash and last events.
#[derive(Clone, Debug)]
pub(super) struct Capture {
    hash: u64,
    last: VecDeque<Event>,
    keep: usize,
}

impl Capture {
    pub(super) fn new() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, last: VecDeque::new(), keep: 0 }
    }

    /// Keeps the last `events`.
    pub(super) fn keep(&mut self, events: usize) {
        self.keep = events;
        self.last.truncate(0);
        self.last.reserve(events);
    }

    pub(super) fn note(
        &mut self,
        at: Instant,
        (from, to): (EndpointId, Option<EndpointId>),
        fate: Fate,
        bytes: &[u8],
    ) {
        let to_place = to.map_or(u64::MAX, |to| to.place() as u64);
        let nanoseconds = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        for word in [nanoseconds, from.place() as u64, to_place, fate as u64] {
            self.fold(&word.to_be_bytes());
        }
        self.fold(&(bytes.len() as u64).to_be_bytes());
        self.fold(bytes);
        if self.keep == 0 {
            return;
        }
        if self.last.len() == self.keep {
            self.last.pop_front();
        }
        let mut start = [0; SHOWN];
        let shown = bytes.len().min(SHOWN);
        start[..shown].copy_from_slice(&bytes[..shown]);
        self.last.push_back(Event { at, from, to, fate, len: bytes.len(), start });
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn last(&self) -> impl Iterator<Item = &Event> {
        self.last.iter()
    }

    /// FNV-1a.
    fn fold(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
