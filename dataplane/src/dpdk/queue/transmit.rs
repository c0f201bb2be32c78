//! Packets out of one thread: headers in front of payloads, until the flush.
//!
//! Invariants:
//! - T1. No packet is sent twice; each one taken is counted once, as sent or as dropped. One whose neighbour is being looked
//!   for is counted when it leaves, or when it is given up.
//! - T2. A flush ends: it asks the device [`TRIES`] times more, at most, without progress.
//! - T3. A buffer has one owner on every path: what the device did not take is freed here.

use core::net::SocketAddr;
use std::thread;

use rtrb::Producer;

use crate::backend::Instant;
use crate::capture::{Direction, Tap};
use crate::clock::Clock;
use crate::dpdk::packet::{Burst, Mbuf, Payload, Pool};
use crate::dpdk::port::TxQueue;
use crate::net::{self, Addressing, AddressingEvent, HEADERS_MAX, IPV4_HEADER_LEN, Refused};

/// How often a device that took nothing is asked again: some microseconds on a card that drains, and a few turns for whoever
/// drains a ring on the same processor.
const TRIES: u32 = 16;

/// Of these, tries before the processor is offered to others in between.
const TRIES_SPINNING: u32 = 8;

/// Payloads at least this long go to many destinations as one buffer behind a header each, where the device takes packets
/// of several segments. Measured per destination: header and reference 14 ns; a copy of 64 to 512 bytes 17 to 26, of 1,024
/// 35, with one descriptor on a card instead of two.
const SHARED_MIN: usize = 512;

/// Where frames go.
#[derive(Debug)]
pub(super) enum Outlet {
    /// A queue of the thread's own.
    Device(TxQueue),
    /// The device has too few: through the network thread.
    Handed(Producer<Mbuf>),
}

/// What a sender is made of.
#[derive(Debug)]
pub(super) struct SenderParts {
    pub(super) outlet: Outlet,
    pub(super) pool: Pool,
    pub(super) addressing: Addressing,
    /// The device's part of the checksums: IPv4, UDP.
    pub(super) offload: (bool, bool),
    /// The device takes packets of several segments.
    pub(super) shares: bool,
    pub(super) clock: Clock,
}

/// One thread's way out.
#[derive(Debug)]
pub(super) struct Sender {
    way: Way,
    addressing: Addressing,
    offload: (bool, bool),
    shares: bool,
    /// Taken, and not yet flushed.
    burst: Burst,
    clock: Clock,
    sent: u64,
    dropped: u64,
}

/// What a whole frame needs to leave.
#[derive(Debug)]
struct Way {
    outlet: Outlet,
    pool: Pool,
    /// For frames that do not wait for the flush.
    at_once: Burst,
    tap: Option<Tap>,
}

impl Sender {
    pub(super) fn new(parts: SenderParts) -> Self {
        let SenderParts { outlet, pool, addressing, offload, shares, clock } = parts;
        let way = Way { outlet, pool, at_once: Burst::default(), tap: None };
        let burst = Burst::default();
        Self { way, addressing, offload, shares, burst, clock, sent: 0, dropped: 0 }
    }

    /// Takes one packet for each of `to`; returns how many were taken.
    pub(super) fn take(&mut self, to: &[SocketAddr], head: &[u8], tail: &[u8]) -> usize {
        let Some(payload) = self.addressing.payload(head, tail, to.len()) else {
            self.dropped += to.len() as u64;
            return 0;
        };
        let pays = to.len() > 1 && head.len() + tail.len() >= SHARED_MIN;
        let shared = if self.shares && pays { self.shared(head, tail) } else { None };
        to.iter().filter(|&&to| self.take_one(to, payload, shared.as_ref(), (head, tail))).count()
    }

    fn take_one(
        &mut self,
        to: SocketAddr,
        payload: net::Payload,
        shared: Option<&Payload>,
        (head, tail): (&[u8], &[u8]),
    ) -> bool {
        let mut headers = [0; HEADERS_MAX];
        let built = match self.addressing.write(to, payload, &mut headers) {
            Ok(len) => self.build(&headers[..len], shared, head, tail),
            Err(Refused::Unresolved) => {
                let is_held = self.addressing.hold(self.clock.now(), to, head, tail);
                self.dropped += u64::from(!is_held);
                return is_held;
            }
            Err(Refused::Unreachable) => None,
        };
        let Some(packet) = built else {
            self.dropped += 1;
            return false;
        };
        if let Some(tap) = &mut self.way.tap {
            let behind = shared.map_or(&[][..], Payload::bytes);
            tap.frame(self.clock.now(), Direction::Out, &[packet.first(), behind]);
        }
        if let Err(packet) = self.burst.push(packet) {
            self.flush();
            let pushed = self.burst.push(packet);
            assert!(pushed.is_ok(), "a flush leaves nothing behind");
        }
        true
    }

    /// A frame, or none when the pool is empty or its buffers are too small.
    #[inline]
    fn build(
        &self,
        headers: &[u8],
        shared: Option<&Payload>,
        head: &[u8],
        tail: &[u8],
    ) -> Option<Mbuf> {
        let mut packet = self.way.pool.take()?;
        if !packet.append(headers) {
            return None;
        }
        match shared {
            Some(shared) => packet.attach(shared),
            None if packet.append(head) && packet.append(tail) => {}
            None => return None,
        }
        if self.offload.0 || self.offload.1 {
            let l2 = u8::try_from(self.addressing.ethernet_len()).unwrap_or(u8::MAX);
            packet.ask_checksums(self.offload, l2, IPV4_HEADER_BYTES);
        }
        Some(packet)
    }

    fn shared(&self, head: &[u8], tail: &[u8]) -> Option<Payload> {
        let mut packet = self.way.pool.take()?;
        (packet.append(head) && packet.append(tail)).then(|| packet.share())
    }

    /// Hands all that was taken to the device; what it does not take is dropped.
    pub(super) fn flush(&mut self) {
        if !self.burst.is_empty() {
            self.sent += transmit(&mut self.way.outlet, &mut self.burst);
            self.dropped += self.burst.clear() as u64;
        }
    }

    /// Sends packets whose neighbour was found since; free when none waits.
    pub(super) fn release(&mut self, now: Instant) {
        if self.addressing.held() == 0 {
            return;
        }
        let Self { way, addressing, sent, dropped, .. } = self;
        addressing.release(now, &mut |frame| {
            let is_sent = way.send(now, frame);
            *sent += u64::from(is_sent);
            *dropped += u64::from(!is_sent);
        });
    }

    /// Packets that wait for their neighbour.
    pub(super) fn held(&self) -> usize {
        self.addressing.held()
    }

    /// Sends a whole frame at once; false when it is lost. Not counted.
    pub(super) fn send_frame(&mut self, now: Instant, frame: &[u8]) -> bool {
        self.way.send(now, frame)
    }

    /// Sends frames that another thread built, as many as the device takes now; the others stay in the burst.
    pub(super) fn send_handed(&mut self, burst: &mut Burst) -> usize {
        match &mut self.way.outlet {
            Outlet::Device(queue) => queue.transmit(burst),
            Outlet::Handed(ring) => hand(ring, burst),
        }
    }

    /// Where frames are copied to, if anywhere.
    pub(super) fn tap(&mut self) -> &mut Option<Tap> {
        &mut self.way.tap
    }

    /// Packets that were sent, and that were dropped.
    pub(super) fn totals(&self) -> (u64, u64) {
        let given_up = self.addressing.counters().of(AddressingEvent::HeldExpired);
        (self.sent, self.dropped + given_up)
    }

    /// The device's part of the checksums: IPv4, UDP.
    pub(super) fn offload(&self) -> (bool, bool) {
        self.offload
    }

    /// How each packet fared.
    pub(super) fn addressing(&self) -> &Addressing {
        &self.addressing
    }

    /// The same for another thread, with its own way out.
    pub(super) fn sibling(&self, outlet: Outlet, addressing: Addressing) -> Self {
        Self::new(SenderParts {
            outlet,
            pool: self.way.pool.clone(),
            addressing,
            offload: self.offload,
            shares: self.shares,
            clock: self.clock,
        })
    }
}

impl Way {
    fn send(&mut self, now: Instant, frame: &[u8]) -> bool {
        let Some(mut packet) = self.pool.take() else { return false };
        if !packet.append(frame) || self.at_once.push(packet).is_err() {
            return false;
        }
        if let Some(tap) = &mut self.tap {
            tap.frame(now, Direction::Out, &[frame]);
        }
        let sent = transmit(&mut self.outlet, &mut self.at_once) == 1;
        self.at_once.clear();
        sent
    }
}

/// [`IPV4_HEADER_LEN`], as a device is told.
#[allow(clippy::cast_possible_truncation, reason = "20")]
const IPV4_HEADER_BYTES: u8 = IPV4_HEADER_LEN as u8;

/// Hands a burst over, with some patience (T2); returns how many were taken.
fn transmit(outlet: &mut Outlet, burst: &mut Burst) -> u64 {
    let (mut taken, mut tries) = (0, 0);
    while !burst.is_empty() && tries <= TRIES {
        let count = match outlet {
            Outlet::Device(queue) => queue.transmit(burst),
            Outlet::Handed(ring) => hand(ring, burst),
        };
        taken += count as u64;
        tries = if count > 0 { 0 } else { tries + 1 };
        if tries > TRIES_SPINNING {
            thread::yield_now();
        }
    }
    taken
}

/// Hands frames to the network thread.
fn hand(ring: &mut Producer<Mbuf>, burst: &mut Burst) -> usize {
    let mut count = 0;
    while ring.slots() > 0 {
        let Some(frame) = burst.pop() else { break };
        let pushed = ring.push(frame);
        assert!(pushed.is_ok(), "a free slot takes a frame: nobody else fills it");
        count += 1;
    }
    count
}
