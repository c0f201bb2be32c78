//! Packets that wait until their next hop is known, in memory taken once; in order per destination.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use super::addressing::HEADERS_MAX;
use crate::backend::Instant;

/// Packets kept, at most,
const PACKETS: usize = 32;
/// and for one next hop: a neighbour that is not there does not take all the room.
const PACKETS_PER_HOP: usize = 8;

/// The first `count` packets are kept, in the order in which they came.
#[derive(Debug)]
pub(super) struct Held {
    packets: Box<[Packet]>,
    count: usize,
    /// How long each is kept.
    hold_for: Duration,
}

/// A packet that waits.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) hop: Ipv4Addr,
    pub(super) to: SocketAddrV4,
    /// When it is given up.
    pub(super) until: Instant,
    /// Whether its next hop has been asked for.
    pub(super) is_asked: bool,
    /// Room for headers, then the payload.
    buffer: Box<[u8]>,
    len: usize,
}

impl Held {
    pub(super) fn new(payload_max: usize, hold_for: Duration) -> Self {
        let packet = || Packet {
            hop: Ipv4Addr::UNSPECIFIED,
            to: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
            until: Instant::ZERO,
            is_asked: false,
            buffer: vec![0; HEADERS_MAX + payload_max].into_boxed_slice(),
            len: 0,
        };
        Self { packets: (0..PACKETS).map(|_| packet()).collect(), count: 0, hold_for }
    }

    /// Copies a packet; none when there is no room, or it is too long.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        hop: Ipv4Addr,
        to: SocketAddrV4,
        head: &[u8],
        tail: &[u8],
    ) -> Option<&mut Packet> {
        let (kept, free) = self.packets.split_at_mut(self.count);
        if kept.iter().filter(|packet| packet.hop == hop).count() == PACKETS_PER_HOP {
            return None;
        }
        let packet = free.first_mut()?;
        let len = head.len() + tail.len();
        let room = packet.buffer.get_mut(HEADERS_MAX..HEADERS_MAX + len)?;
        room[..head.len()].copy_from_slice(head);
        room[head.len()..].copy_from_slice(tail);
        (packet.hop, packet.to, packet.len) = (hop, to, len);
        packet.until = now + self.hold_for;
        packet.is_asked = false;
        self.count += 1;
        Some(packet)
    }

    /// Goes on keeping those for which `stays` says so.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&mut Packet) -> bool) {
        let mut kept = 0;
        for place in 0..self.count {
            if stays(&mut self.packets[place]) {
                // Behind the kept ones stand free ones: what is swapped back is one of them.
                self.packets.swap(kept, place);
                kept += 1;
            }
        }
        self.count = kept;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// When the first is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.packets[..self.count].iter().map(|packet| packet.until).min()
    }
}

impl Packet {
    pub(super) fn payload(&self) -> &[u8] {
        &self.buffer[HEADERS_MAX..HEADERS_MAX + self.len]
    }

    /// The payload behind these headers.
    pub(super) fn frame(&mut self, headers: &[u8]) -> &[u8] {
        let start = HEADERS_MAX - headers.len();
        self.buffer[start..HEADERS_MAX].copy_from_slice(headers);
        &self.buffer[start..HEADERS_MAX + self.len]
    }
}
