//! What every back end promises; `tests/backend_contract` asks each of them.
//!
//! Not promised: order of arrival, delivery, and whether a member of a group hears its own multicast.
//!
//! Invariants:
//! - D1. [`Arrival::not_before`] is never later than the packet's arrival: an age computed from it is never too small.
//! - D2. Each packet taken by [`Queue::send`] is counted once, as sent or as dropped; each one that was refused as dropped.
//! - D3. A warm queue allocates nothing.

use core::net::SocketAddr;
use core::time::Duration;

/// A moment: time since the back end's clock began (monotonic).
pub type Instant = Duration;

/// A packet that came, borrowed from the back end's receive buffers until the closure returns.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// The address it came to: own, or a group's (by its place in the configured groups).
    pub to: ArrivedAt,
    /// When the packet was surely not yet waiting here: the latest such moment known (design HC8, age).
    pub not_before: Instant,
    /// UDP payload.
    pub bytes: &'a [u8],
}

/// Which of our addresses a packet was sent to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ArrivedAt {
    /// This node's own address.
    Own,
    /// A multicast group's, by its place in the configuration.
    Group(u8),
}

/// What a back end lost or could not do. Totals since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BackendCounters {
    /// Packets handed up.
    pub received: u64,
    /// Packets handed to the network.
    pub sent: u64,
    /// Lost before we could read them (kernel or card).
    pub dropped_receive: u64,
    /// Could not be sent.
    pub dropped_send: u64,
}

/// One thread's way to the network.
pub trait Queue: Send {
    /// The time. Read once per turn by the driver.
    fn now(&self) -> Instant;

    /// Reads at most one burst and hands each packet to `take`; returns how many.
    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize;

    /// Takes a packet, gathered from `head` and `tail`, for the next flush. False when it could not be taken: counted.
    /// A queue that is full flushes by itself first.
    fn send(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool;

    /// Takes one packet for each of `to`: one payload, many destinations.
    fn send_all(&mut self, to: &[SocketAddr], head: &[u8], tail: &[u8]) -> usize {
        to.iter().filter(|&&to| self.send(to, head, tail)).count()
    }

    /// Hands what was taken to the network.
    fn flush(&mut self);

    /// Waits until a packet is there or `for_at_most` is over; a back end that cannot wait returns at once.
    fn wait(&mut self, for_at_most: Duration);

    /// Totals. May ask the operating system: for once in a while, not for every turn of a loop.
    fn counters(&self) -> BackendCounters;

    /// More numbers of this back end's own, for operators, most of them totals: always the same names, in the same order. As
    /// [`Self::counters`].
    fn details(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let _nothing = tell;
    }
}

/// A queue whose kind is chosen at run time.
impl<Q: Queue + ?Sized> Queue for Box<Q> {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize {
        (**self).receive(take)
    }

    fn send(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        (**self).send(to, head, tail)
    }

    fn send_all(&mut self, to: &[SocketAddr], head: &[u8], tail: &[u8]) -> usize {
        (**self).send_all(to, head, tail)
    }

    fn flush(&mut self) {
        (**self).flush();
    }

    fn wait(&mut self, for_at_most: Duration) {
        (**self).wait(for_at_most);
    }

    fn counters(&self) -> BackendCounters {
        (**self).counters()
    }

    fn details(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        (**self).details(tell);
    }
}
