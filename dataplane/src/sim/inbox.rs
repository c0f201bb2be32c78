//! An endpoint, and the packets that wait there.

use core::net::SocketAddr;
use std::collections::VecDeque;

use super::network::EndpointId;
use crate::backend::{Arrival, ArrivedAt, BackendCounters, Instant};

/// One copy of a packet, under way or delivered.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) sender: EndpointId,
    pub(super) from: SocketAddr,
    pub(super) at: ArrivedAt,
    pub(super) to: EndpointId,
    pub(super) due: Instant,
    /// Sending order: unique.
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

/// One address on the network.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) own: SocketAddr,
    /// Group addresses that it is a member of, in the order of [`ArrivedAt::Group`].
    pub(super) groups: Vec<SocketAddr>,
    /// Does not read: what is due waits.
    pub(super) paused: bool,
    /// Hears no multicast.
    pub(super) deaf: bool,
    /// Due and not yet read, oldest first.
    pub(super) inbox: VecDeque<Packet>,
    pub(super) inbox_max: usize,
    pub(super) counters: BackendCounters,
}

impl Packet {
    pub(super) fn arrival(&self) -> Arrival<'_> {
        Arrival { from: self.from, to: self.at, not_before: self.due, bytes: &self.bytes }
    }

    /// Earlier first; equal times in the order of sending (S2).
    pub(super) fn order(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Packet {}

impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Packet {
    /// The greatest is the next one due: what a [`std::collections::BinaryHeap`] gives first.
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        other.order().cmp(&self.order())
    }
}

impl Endpoint {
    pub(super) fn new(own: SocketAddr, groups: &[SocketAddr]) -> Self {
        Self {
            own,
            groups: groups.to_vec(),
            paused: false,
            deaf: false,
            inbox: VecDeque::new(),
            inbox_max: 4_096,
            counters: BackendCounters::default(),
        }
    }

    /// Where a packet to `group` arrives here; none when it is no member.
    pub(super) fn membership(&self, group: SocketAddr) -> Option<ArrivedAt> {
        (0_u8..)
            .zip(&self.groups)
            .find(|(_, own)| **own == group)
            .map(|(at, _)| ArrivedAt::Group(at))
    }

    /// The oldest packet that a running endpoint has not read.
    pub(super) fn waiting(&self) -> Option<(Instant, u64)> {
        if self.paused { None } else { self.inbox.front().map(Packet::order) }
    }
}
