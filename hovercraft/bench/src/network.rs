//! What lies between the machines and the client: packets sent in one step arrive in the next.
//!
//! [`Memory`] is vectors, so that costs are those of the machines alone; `ports.rs` has DPDK.

use core::net::SocketAddr;
use core::time::Duration;

use anyhow::Result;
use r2p2::Instant;
use raft_core::ids::NodeSet;

use crate::machine::{Inbox, Machine, Wire};
use crate::tape::Tape;
use crate::world::{CLIENT, GROUP, Shape, address};

/// Packets that a machine got and sent in a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    pub came: u64,
    pub left: u64,
}

/// A machine's life, to be lived again by copies of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rerun<'a> {
    /// As it was at the begin of `warm`.
    pub first: &'a Machine,
    /// The turns before those that are measured.
    pub warm: &'a Tape,
    /// Those that are measured.
    pub measured: &'a Tape,
}

/// Carries packets between machines and a client.
pub(crate) trait Network: Sized {
    /// The function in which callgrind counts during [`Self::count`].
    const COUNTED: &str;

    /// For so many nodes; everybody can be reached.
    ///
    /// # Errors
    ///
    /// DPDK's.
    fn open(shape: Shape) -> Result<Self>;
    /// What was sent is there.
    fn deliver(&mut self);
    /// Nothing is on its way.
    fn is_idle(&self) -> bool;
    /// Whether there is something for this node.
    fn waits_for(&self, place: usize) -> bool;
    /// A machine takes what is there, and does what is to be done.
    fn turn(
        &mut self,
        place: usize,
        machine: &mut Machine,
        now: Instant,
        tape: Option<&mut Tape>,
    ) -> Passed;
    /// The client takes what is there.
    fn client_takes(&mut self, take: &mut impl FnMut(SocketAddr, &[u8]));
    /// The client sends a packet, in two parts.
    fn client_sends(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]);
    /// It has sent all.
    fn client_done(&mut self) {}
    /// Time of the measured part, the best of so many reruns of the node of this place.
    fn time(&mut self, place: usize, rerun: Rerun<'_>, rounds: u32) -> Duration;
    /// One rerun, with the measured part in the function [`Self::COUNTED`].
    fn count(&mut self, place: usize, rerun: Rerun<'_>);
}

/// Datagrams in vectors.
#[derive(Debug)]
pub(crate) struct Memory {
    /// What arrives in this step, and what was sent meanwhile.
    inboxes: Vec<Inbox>,
    sent: Vec<Inbox>,
    client_inbox: Inbox,
    client_sent: Inbox,
}

/// Carries what one node sends.
struct Links<'a> {
    from: SocketAddr,
    sent: &'a mut [Inbox],
    client: &'a mut Inbox,
    packets: u64,
}

impl Wire for Links<'_> {
    fn to_nodes(&mut self, nodes: NodeSet, packet: &[u8]) {
        for node in nodes.iter() {
            self.packets += 1;
            self.sent[usize::from(node.number()) - 1].push(self.from, false, &[packet]);
        }
    }

    fn to_client(&mut self, to: SocketAddr, packet: &[u8]) {
        self.answer(to, packet, &[]);
    }

    fn answer(&mut self, _to: SocketAddr, head: &[u8], payload: &[u8]) {
        self.packets += 1;
        self.client.push(self.from, false, &[head, payload]);
    }
}

impl Network for Memory {
    const COUNTED: &str = "*Tape::replay_counted*";

    fn open(shape: Shape) -> Result<Self> {
        let inboxes = vec![Inbox::default(); shape.nodes.into()];
        Ok(Self {
            sent: inboxes.clone(),
            inboxes,
            client_inbox: Inbox::default(),
            client_sent: Inbox::default(),
        })
    }

    fn deliver(&mut self) {
        core::mem::swap(&mut self.inboxes, &mut self.sent);
        core::mem::swap(&mut self.client_inbox, &mut self.client_sent);
    }

    fn is_idle(&self) -> bool {
        self.sent.iter().all(Inbox::is_empty) && self.client_sent.is_empty()
    }

    fn waits_for(&self, place: usize) -> bool {
        !self.inboxes[place].is_empty()
    }

    fn turn(
        &mut self,
        place: usize,
        machine: &mut Machine,
        now: Instant,
        tape: Option<&mut Tape>,
    ) -> Passed {
        let inbox = &mut self.inboxes[place];
        if let Some(tape) = tape {
            tape.record(now, inbox.clone());
        }
        let mut links = Links {
            from: address(place),
            sent: &mut self.sent,
            client: &mut self.client_sent,
            packets: 0,
        };
        machine.turn(now, inbox, &mut links);
        let passed = Passed { came: inbox.len() as u64, left: links.packets };
        inbox.clear();
        passed
    }

    fn client_takes(&mut self, take: &mut impl FnMut(SocketAddr, &[u8])) {
        for datagram in self.client_inbox.iter() {
            take(datagram.from, datagram.bytes);
        }
        self.client_inbox.clear();
    }

    fn client_sends(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) {
        let group = to == GROUP;
        for (place, inbox) in self.sent.iter_mut().enumerate() {
            if group || to == address(place) {
                inbox.push(CLIENT, group, &[head, tail]);
            }
        }
    }

    fn time(&mut self, _place: usize, rerun: Rerun<'_>, rounds: u32) -> Duration {
        let mut best = Duration::MAX;
        for _ in 0..rounds {
            let mut machine = rerun.machine();
            rerun.warm.replay(&mut machine);
            let begin = measure::thread_cpu();
            rerun.measured.replay(&mut machine);
            best = best.min(measure::thread_cpu().saturating_sub(begin));
        }
        best
    }

    fn count(&mut self, _place: usize, rerun: Rerun<'_>) {
        let mut machine = rerun.machine();
        rerun.warm.replay(&mut machine);
        rerun.measured.replay_counted(&mut machine);
    }
}

impl Rerun<'_> {
    /// A copy of the machine at its begin.
    pub(crate) fn machine(&self) -> Machine {
        let mut machine = self.first.clone();
        machine.count_spans();
        machine
    }
}
