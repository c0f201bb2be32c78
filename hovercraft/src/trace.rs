//! The last steps of requests on their way through a thread, kept in a ring of 64-byte events (design, section 5).
//!
//! The pure halves write; whoever holds a [`TraceReader`] reads at any time and on any thread, also when the writing one
//! is stuck. An event costs its writer one line of the cache, and no other thread's. `hovercraft-ctl trace` puts the events
//! of all nodes together.
//!
//! Times are those that the halves are fed: a thread reads the clock once per burst, and before each command, so what
//! happens in one burst has one time, and an answer the time at which its execution began.
//!
//! Invariants:
//! - T1. One writer. An event that is being overwritten while it is read is left out, never half read.
//! - T2. No part of the protocol state: nothing reads it to decide, and a copy of a replica has its trace off.

use core::fmt;
use std::sync::Arc;

use r2p2::Instant;
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::ids::{LogIndex, NodeId};

use crate::spans::nanoseconds;
use crate::sync::{AtomicU64, Ordering, fence};

/// Eight words of 64 bits.
const WORDS: usize = 8;

/// A step of a request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Phase {
    /// Its first packet came from the client.
    Received,
    /// All its packets are here.
    Complete,
    /// A follower passed it on to its leader (mode `raft`).
    Forwarded,
    /// The leader appended it.
    Ordered,
    /// An append named its body, which is not here yet.
    Missed,
    /// Its body came of another node.
    Recovered,
    /// A follower has it in its log, and its body.
    Appended,
    /// The node knows that everything up to the index is committed; names no request.
    Committed,
    /// Handed to the application half.
    HandedOver,
    /// Executed as a write.
    Executed,
    /// Executed as a read, or asked outside the log.
    Queried,
    /// Answered to its client.
    Answered,
    /// Refused to its client; the detail is `r2p2::refusal::Reason`'s number.
    Refused,
}

/// One step, as it was kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceEvent {
    /// Events of this ring up to this one: from 1 without a gap.
    pub sequence: u64,
    /// The thread's time, in nanoseconds of its node's clock.
    pub at_ns: u64,
    /// Log index; 0 = not known yet, or none.
    pub index: u64,
    /// The request; all zero where the event does not know it.
    pub id: RequestId,
    /// What happened.
    pub phase: Phase,
    /// The node.
    pub node: u8,
    /// The thread: 0 network, 1 application.
    pub thread: u8,
    /// The node chosen to answer, or passed on to; 0 = none.
    pub replier: u8,
    /// More, as the phase says.
    pub detail: u16,
}

/// One event's place: a line of the cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot([AtomicU64; WORDS]);

// Loom's atomics are larger.
const _: () = assert!(
    size_of::<Slot>() == 64 || size_of::<AtomicU64>() > 8,
    "an event is one line of the cache"
);

/// The writing end, and the time that it is fed.
#[derive(Default)]
pub struct Trace {
    slots: Option<Arc<[Slot]>>,
    written: u64,
    now_ns: u64,
    node: u8,
    thread: u8,
}

/// The reading end.
#[derive(Clone)]
pub struct TraceReader(Arc<[Slot]>);

impl Phase {
    /// All of them, in the order of a request's way.
    pub const ALL: [Self; 13] = [
        Self::Received,
        Self::Complete,
        Self::Forwarded,
        Self::Ordered,
        Self::Missed,
        Self::Recovered,
        Self::Appended,
        Self::Committed,
        Self::HandedOver,
        Self::Executed,
        Self::Queried,
        Self::Answered,
        Self::Refused,
    ];

    /// As tools print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Complete => "complete",
            Self::Forwarded => "forwarded",
            Self::Ordered => "ordered",
            Self::Missed => "missed",
            Self::Recovered => "recovered",
            Self::Appended => "appended",
            Self::Committed => "committed",
            Self::HandedOver => "handed_over",
            Self::Executed => "executed",
            Self::Queried => "queried",
            Self::Answered => "answered",
            Self::Refused => "refused",
        }
    }
}

impl Trace {
    /// A ring of `events` (a power of two is made of it), for one thread (0 network, 1 application) of a node; 0 turns the
    /// trace off.
    #[must_use]
    pub fn new(events: usize, node: NodeId, thread: u8) -> Self {
        let slots = (0..events.next_power_of_two()).map(|_| Slot::default());
        let slots = (events > 0).then(|| slots.collect());
        Self { slots, node: node.number(), thread, ..Self::default() }
    }

    /// To read it; `None` when it is off.
    #[must_use]
    pub fn reader(&self) -> Option<TraceReader> {
        self.slots.as_ref().map(|slots| TraceReader(Arc::clone(slots)))
    }

    /// The time of the events that follow.
    pub(crate) fn at(&mut self, now: Instant) {
        self.now_ns = nanoseconds(now);
    }

    /// The time that was told last, in nanoseconds.
    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Keeps one event.
    pub(crate) fn record(&mut self, phase: Phase, index: LogIndex, id: &RequestId) {
        self.record_more(phase, index, id, NodeId::default(), 0);
    }

    /// Keeps one event, with a node and a number that belong to it.
    pub(crate) fn record_more(
        &mut self,
        phase: Phase,
        index: LogIndex,
        id: &RequestId,
        replier: NodeId,
        detail: u16,
    ) {
        let Some(slots) = &self.slots else { return };
        self.written += 1;
        let [low, high] = halves(id.client.ip);
        let flags = u64::from(id.client.port) << 48
            | u64::from(detail) << 32
            | u64::from(replier.number()) << 24
            | u64::from(self.thread) << 16
            | u64::from(self.node) << 8
            | phase as u64;
        let event = [self.now_ns, index.to_wire(), id.session, id.number, low, high, flags];
        #[expect(clippy::cast_possible_truncation, reason = "only low bits are wanted")]
        let place = self.written as usize & (slots.len() - 1);
        let [sequence, words @ ..] = &slots[place].0;
        // T1: nobody takes what follows for an event before its number is there.
        sequence.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, value) in words.iter().zip(event) {
            word.store(value, Ordering::Relaxed);
        }
        sequence.store(self.written, Ordering::Release);
    }
}

impl Clone for Trace {
    /// Off: a ring has one writer (T1, T2).
    fn clone(&self) -> Self {
        Self { node: self.node, thread: self.thread, ..Self::default() }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} written)", self.written)
    }
}

impl fmt::Debug for TraceReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceReader({} events)", self.0.len())
    }
}

impl TraceReader {
    /// What the ring holds now, oldest first.
    #[must_use]
    pub fn read(&self) -> Vec<TraceEvent> {
        let mut events: Vec<TraceEvent> = self.0.iter().filter_map(read_slot).collect();
        events.sort_unstable_by_key(|event| event.sequence);
        events
    }
}

/// The event in a place, if there is one and nobody is writing it.
fn read_slot(slot: &Slot) -> Option<TraceEvent> {
    let [sequence, words @ ..] = &slot.0;
    let before = sequence.load(Ordering::Acquire);
    let event: [u64; WORDS - 1] = core::array::from_fn(|word| words[word].load(Ordering::Relaxed));
    fence(Ordering::Acquire);
    if before == 0 || sequence.load(Ordering::Relaxed) != before {
        return None;
    }
    let [at_ns, index, session, number, low, high, flags] = event;
    let [phase, node, thread, replier, d0, d1, p0, p1] = flags.to_le_bytes();
    let mut ip = [0; 16];
    ip[..8].copy_from_slice(&low.to_le_bytes());
    ip[8..].copy_from_slice(&high.to_le_bytes());
    let client = ClientAddress { ip, port: u16::from_le_bytes([p0, p1]) };
    Some(TraceEvent {
        sequence: before,
        at_ns,
        index,
        id: RequestId { session, number, client },
        phase: *Phase::ALL.get(usize::from(phase))?,
        node,
        thread,
        replier,
        detail: u16::from_le_bytes([d0, d1]),
    })
}

fn halves(ip: [u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(ip);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = [both as u64, (both >> 64) as u64];
    halves
}

#[cfg(test)]
#[path = "trace/tests.rs"]
mod tests;
