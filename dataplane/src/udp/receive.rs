//! One socket's packets, read in bursts into buffers that all sockets of a queue share.

use core::cell::Cell;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;

use super::expect::Expect;
use super::ffi::{self, BURST, Received};
use crate::backend::{Arrival, ArrivedAt, Instant};
use crate::clock::Clock;
use crate::not_before::{NotBefore, Read, Short};

/// Least kernel memory that a queued packet is charged: `sk_buff`, `skb_shared_info` and the data (Linux, 64 bits).
const PACKET_CHARGE_MIN: usize = 512;

/// Times over which a queue may exceed its limit for a moment, while several processors add to it.
const OVERSHOOT: usize = 2;

/// The moments of a socket made after `now`, with `bytes` of receive buffer as the kernel counts them.
pub(super) fn moments(now: Instant, bytes: usize) -> NotBefore {
    NotBefore::new(now, OVERSHOOT * bytes / PACKET_CHARGE_MIN, Short::Emptied)
}

/// A socket that is read.
#[derive(Debug)]
pub(super) struct Receiver {
    socket: Socket,
    address: ArrivedAt,
    moments: NotBefore,
    expect: Expect,
    drops: Cell<Drops>,
}

/// The kernel's count, which wraps, and ours, which does not.
#[derive(Clone, Copy, Debug)]
struct Drops {
    last_seen: u32,
    total: u64,
}

/// Memory for one burst, used again for the next.
#[derive(Debug)]
pub(super) struct Inbox {
    memory: ffi::Inbox,
    described: Box<[Received; BURST]>,
    received: u64,
    truncated: u64,
}

impl Receiver {
    /// `moments` began before the socket was bound.
    pub(super) fn new(socket: Socket, address: ArrivedAt, moments: NotBefore) -> Self {
        let expect = Expect::default();
        Self {
            socket,
            address,
            moments,
            expect,
            drops: Cell::new(Drops { last_seen: 0, total: 0 }),
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// A wait that began at `before` and took `length` ended with news, `readable` if of this socket.
    pub(super) fn waited(&mut self, before: Instant, length: Duration, readable: bool) {
        if !readable {
            // The wait looked at the queue after `before`, and saw neither packet nor error.
            self.moments.of_burst(before, Read::Empty);
        }
        self.expect.waited(length, readable);
    }

    /// Reads one burst and hands it up, unless nothing can be there; returns how many were handed up.
    pub(super) fn receive(
        &mut self,
        clock: Clock,
        inbox: &mut Inbox,
        take: &mut dyn FnMut(Arrival<'_>),
    ) -> usize {
        if !self.expect.asks() {
            return 0;
        }
        let before = clock.now();
        let result = inbox.memory.receive(self.socket.as_fd(), &mut inbox.described);
        let read = match result {
            Ok(0) => Read::Failed,
            Ok(count) => Read::Packets(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Empty,
            // News of a packet that we sent, or the like: the call has cleared it.
            Err(_) => Read::Failed,
        };
        let not_before = self.moments.of_burst(before, read);
        let Read::Packets(count) = read else {
            self.expect.was_empty();
            return 0;
        };
        self.expect.gave(count < BURST);
        let mut handed_up = 0;
        for (place, described) in inbox.described.iter().enumerate().take(count) {
            if described.truncated {
                inbox.truncated += 1;
                continue;
            }
            handed_up += 1;
            let bytes = &inbox.memory.buffer(place)[..described.len];
            take(Arrival { from: described.from, to: self.address, not_before, bytes });
        }
        inbox.received += handed_up as u64;
        handed_up
    }

    /// Packets that the kernel dropped because this socket's queue was full (or their checksum was wrong).
    pub(super) fn kernel_drops(&self) -> u64 {
        let mut drops = self.drops.get();
        // A kernel without SO_MEMINFO (before 4.12) leaves the total where it is.
        let seen = ffi::drops(self.socket.as_fd()).unwrap_or(drops.last_seen);
        drops.total += u64::from(seen.wrapping_sub(drops.last_seen));
        drops.last_seen = seen;
        self.drops.set(drops);
        drops.total
    }
}

impl Inbox {
    pub(super) fn new() -> Self {
        let nobody = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let nothing = Received { from: nobody, len: 0, truncated: false };
        Self {
            memory: ffi::Inbox::new(),
            described: Box::new([nothing; BURST]),
            received: 0,
            truncated: 0,
        }
    }

    /// Packets handed up.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Packets longer than a buffer, and not handed up.
    pub(super) fn truncated(&self) -> u64 {
        self.truncated
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use crate::backend::Queue;
    use crate::udp::{Udp, UdpConfig};

    /// The second rule of `NotBefore` stands on it, on the kernel that runs this test.
    #[test]
    fn a_receive_queue_holds_no_more_packets_than_not_before_counts_on() {
        for bytes in [8_192, 212_992, 1 << 20] {
            let own = "127.79.0.7:0".parse().unwrap();
            let mut queue =
                Udp::open(UdpConfig { receive_buffer: bytes, ..UdpConfig::new(own) }).unwrap();
            let counted_on = queue.receivers[0].moments.queue_packets();
            let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..2 * counted_on {
                stranger.send_to(&[], queue.own()).unwrap();
            }
            let mut waited = 0;
            while let count @ 1.. = queue.receive(&mut |_| ()) {
                waited += count;
            }
            assert!(queue.counters().dropped_receive > 0, "the queue was full");
            assert!(waited <= counted_on, "{waited} waited, not {counted_on} at most");
            assert!(waited * 8 >= counted_on, "{waited} waited: {counted_on} is not close");
        }
    }
}
