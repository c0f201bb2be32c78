//! What a leader was fed, to be fed again: a replica is pure, so a copy of the leader that is given the same packets at the same
//! times does the same work, and can be measured alone.

use core::hint::black_box;
use core::net::SocketAddr;

use r2p2::Instant;
use raft_core::ids::NodeSet;

use crate::machine::{Inbox, Machine, Wire};

/// The turns of one node.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    turns: Vec<(Instant, Inbox)>,
}

/// What a replay sent: packets are copied once, as on the way to a network, and forgotten.
#[derive(Debug, Default)]
struct Sink {
    packets: u64,
    last: Vec<u8>,
}

impl Tape {
    pub(crate) fn record(&mut self, now: Instant, inbox: Inbox) {
        self.turns.push((now, inbox));
    }

    /// When each turn was, and what came.
    #[cfg(feature = "dpdk")]
    pub(crate) fn turns(&self) -> impl Iterator<Item = (Instant, &Inbox)> {
        self.turns.iter().map(|(now, inbox)| (*now, inbox))
    }

    /// The turns again, on a copy of the machine that made them.
    pub(crate) fn replay(&self, machine: &mut Machine) -> u64 {
        let mut sink = Sink::default();
        for (now, inbox) in &self.turns {
            machine.turn(*now, inbox, &mut sink);
        }
        sink.packets
    }

    /// [`Self::replay`] under a name of its own, by which callgrind tells the part that counts.
    #[inline(never)]
    pub(crate) fn replay_counted(&self, machine: &mut Machine) -> u64 {
        self.replay(machine)
    }
}

impl Sink {
    fn take(&mut self, parts: [&[u8]; 2]) {
        self.packets += 1;
        self.last.clear();
        for part in parts {
            self.last.extend_from_slice(part);
        }
        black_box(&self.last);
    }
}

impl Wire for Sink {
    fn to_nodes(&mut self, nodes: NodeSet, packet: &[u8]) {
        for _ in nodes.iter() {
            self.take([packet, &[]]);
        }
    }

    fn to_client(&mut self, _to: SocketAddr, packet: &[u8]) {
        self.take([packet, &[]]);
    }

    fn answer(&mut self, _to: SocketAddr, head: &[u8], payload: &[u8]) {
        self.take([head, payload]);
    }
}
