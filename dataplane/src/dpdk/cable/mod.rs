//! Cables between ports of one process: for tests, labs in one process and benchmarks.
//!
//! A [`Wire`] joins any number of ports. Each stands on rings of DPDK's driver `net_ring`, so that queues run as on any
//! device; the wire takes frames out of the transmit rings, *copies* them for each receiver and puts them into the receive
//! rings. The driver by itself would pass the pointers, and two receivers of one packet would share its memory.
//!
//! ```text
//!   port 1: transmit rings ─┐              ┌─> receive ring: port 1
//!   port 2: transmit rings ─┼─ Wire::step ─┼─> receive ring: port 2
//!   port 3: transmit rings ─┘              └─> receive ring: port 3
//! ```
//!
//! Invariants:
//! - C1. Where a frame goes, [`Bridge`] says: to the port where its address was heard last, or to all others. Nothing ages.
//! - C2. Every frame taken from a transmit ring is freed; each copy is delivered or counted as lost at its receiver.

#[allow(unsafe_code, reason = "calls DPDK; see its header")]
mod ffi;

use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::sync::Arc;

use self::ffi::{Ring, RingPort};
use super::packet::{Burst, Mbuf, Pool};
use crate::backend::Instant;
use crate::net::{Bridge, Way};

/// Joins ports. Whoever steps it moves the frames.
#[derive(Debug)]
pub struct Wire {
    pool: Pool,
    ends: Vec<End>,
    bridge: Bridge,
    burst: Burst,
}

/// A port's end of the wire.
#[derive(Debug)]
struct End {
    port: Arc<RingPort>,
    lost: Arc<AtomicU64>,
}

/// A port on a wire, to be opened as [`Device::Plugged`](super::port::Device::Plugged). Copies are the same port; it is
/// taken off the wire when the last one, and the open port, are dropped.
#[derive(Clone, Debug)]
pub struct Plug {
    port: Arc<RingPort>,
    lost: Arc<AtomicU64>,
    pool: Pool,
}

/// How many frames fit on the way.
#[derive(Clone, Copy, Debug)]
pub struct PlugConfig {
    /// Frames that wait at the receiver.
    pub inbox: u32,
    /// Frames of each transmit queue that wait for the wire.
    pub outbox: u32,
    /// Transmit queues.
    pub tx_queues: u16,
}

impl Default for PlugConfig {
    fn default() -> Self {
        Self { inbox: 2_047, outbox: 2_047, tx_queues: 2 }
    }
}

impl Wire {
    /// A wire whose copies come from `pool`, which needs a packet for each place in a receive ring.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { pool, ends: Vec::new(), bridge: Bridge::default(), burst: Burst::default() }
    }

    /// Makes a port and joins it.
    ///
    /// # Errors
    ///
    /// DPDK has no memory for the rings, or no port left (it has 32).
    pub fn plug_in(&mut self, config: PlugConfig) -> io::Result<Plug> {
        self.unplug();
        let eal = self.pool.eal();
        let inbox = Arc::new(Ring::new(eal, config.inbox)?);
        let outboxes: io::Result<Vec<_>> =
            (0..config.tx_queues).map(|_| Ring::new(eal, config.outbox).map(Arc::new)).collect();
        let port = Arc::new(RingPort::new(inbox, outboxes?)?);
        let lost = Arc::new(AtomicU64::new(0));
        self.ends.push(End { port: Arc::clone(&port), lost: Arc::clone(&lost) });
        self.bridge.add_end();
        Ok(Plug { port, lost, pool: self.pool.clone() })
    }

    /// Moves what waits at the moment, a burst of each transmit queue; returns how many frames.
    pub fn step(&mut self) -> usize {
        let mut moved = 0;
        for from in 0..self.ends.len() {
            for queue in 0..self.ends[from].port.outboxes.len() {
                moved += self.ends[from].port.outboxes[queue].take(&mut self.burst);
                while let Some(frame) = self.burst.pop() {
                    self.carry(from, &frame);
                }
            }
        }
        moved
    }

    /// Takes ports off the wire that nobody holds any more.
    fn unplug(&mut self) {
        for place in (0..self.ends.len()).rev() {
            if Arc::strong_count(&self.ends[place].port) == 1 {
                self.ends.remove(place);
                self.bridge.remove_end(place);
            }
        }
    }

    /// Moves until nothing waits.
    pub fn settle(&mut self) -> usize {
        self.unplug();
        core::iter::repeat_with(|| self.step()).take_while(|&moved| moved > 0).sum()
    }

    fn carry(&mut self, from: usize, frame: &Mbuf) {
        match self.bridge.way(from, frame.first(), Instant::ZERO) {
            Way::Nowhere(_) => {}
            Way::One(to) => deliver(&self.pool, &self.ends[to], frame),
            Way::Others => {
                for (_, end) in self.ends.iter().enumerate().filter(|&(to, _)| to != from) {
                    deliver(&self.pool, end, frame);
                }
            }
        }
    }
}

fn deliver(pool: &Pool, end: &End, frame: &Mbuf) {
    let mut copy = Burst::default();
    let is_there = pool.copy(frame).is_some_and(|frame| copy.push(frame).is_ok());
    if !is_there || end.port.inbox.put(&mut copy) == 0 {
        end.lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl Plug {
    /// The port's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.port.name
    }

    /// Frames that the wire lost at this port, because its receive ring was full or the wire's pool empty.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Puts a frame into the port's receive ring, past the wire; false when it does not fit.
    #[must_use]
    pub fn put(&self, frame: &[u8]) -> bool {
        let Some(mut packet) = self.pool.take() else { return false };
        let mut burst = Burst::default();
        packet.append(frame) && burst.push(packet).is_ok() && self.port.inbox.put(&mut burst) == 1
    }

    /// Takes a frame out of the port's transmit rings, past the wire.
    #[must_use]
    pub fn take(&self) -> Option<Mbuf> {
        self.port.outboxes.iter().find_map(|outbox| outbox.take_one())
    }
}
