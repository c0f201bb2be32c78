//! One node of the benchmark: both halves of a real replica on one thread, as `threads: inline` runs them, between an inbox
//! and whatever takes its packets.

use core::net::SocketAddr;
use std::collections::VecDeque;

use hovercraft::application::Application;
use hovercraft::command::Command;
use hovercraft::outbox::Output;
use hovercraft::replica::{Arrival, Replica};
use hovercraft::spans::Spans;
use r2p2::Instant;
use raft_core::ids::NodeSet;
use synthetic::Synthetic;

/// Datagrams that wait for a node or client, in one buffer that is emptied with them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    packets: Vec<Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    from: SocketAddr,
    group: bool,
    start: usize,
    end: usize,
}

/// A datagram that has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub from: SocketAddr,
    pub group: bool,
    pub bytes: &'a [u8],
}

/// Where a node's packets go.
pub(crate) trait Wire {
    /// To these members.
    fn to_nodes(&mut self, nodes: NodeSet, packet: &[u8]);
    /// To a client, from the network half.
    fn to_client(&mut self, to: SocketAddr, packet: &[u8]);
    /// To a client, from the application half, in two parts.
    fn answer(&mut self, to: SocketAddr, head: &[u8], payload: &[u8]);
    /// The network half has had its turn.
    fn network_done(&mut self) {}
}

/// A replica and its application half.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub replica: Replica,
    pub application: Application<Synthetic>,
    commands: VecDeque<Command>,
}

impl Inbox {
    pub(crate) fn push(&mut self, from: SocketAddr, group: bool, parts: &[&[u8]]) {
        let start = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.packets.push(Waiting { from, group, start, end: self.bytes.len() });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.packets.iter().map(|packet| Datagram {
            from: packet.from,
            group: packet.group,
            bytes: &self.bytes[packet.start..packet.end],
        })
    }
}

impl Machine {
    pub(crate) fn new(replica: Replica, application: Application<Synthetic>) -> Self {
        let mut machine = Self { replica, application, commands: VecDeque::with_capacity(1 << 12) };
        machine.count_spans();
        machine
    }

    /// As nodes do; a copy does not until it is told to.
    pub(crate) fn count_spans(&mut self) {
        self.replica.set_spans(Spans::new());
        self.application.set_spans(Spans::new());
    }

    /// When it next has something to do though nothing comes.
    pub(crate) fn deadline(&self) -> Instant {
        let application = self.application.deadline().unwrap_or(Instant::MAX);
        self.replica.deadline().min(application)
    }

    /// A turn of the network half, then one of the application half; what that did is told at once.
    pub(crate) fn turn(&mut self, now: Instant, inbox: &Inbox, wire: &mut impl Wire) {
        for datagram in inbox.iter() {
            self.take(now, datagram);
        }
        self.end_turn(now, wire);
    }

    /// The first part of a turn: one packet.
    #[inline]
    pub(crate) fn take(&mut self, now: Instant, datagram: Datagram<'_>) {
        let Datagram { from, group, bytes } = datagram;
        self.replica.receive(now, &Arrival { from, group, not_before: now, bytes });
    }

    /// The rest of it, when all packets were taken.
    pub(crate) fn end_turn(&mut self, now: Instant, wire: &mut impl Wire) {
        self.replica.end_burst(now);
        if self.replica.deadline() <= now {
            self.replica.tick(now);
        }
        self.perform(wire);
        wire.network_done();
        if self.commands.is_empty() && self.application.deadline().is_none() {
            return;
        }
        let heard = self.replica.heard_us();
        let mut transmit =
            |to: SocketAddr, head: &[u8], payload: &[u8]| wire.answer(to, head, payload);
        while let Some(command) = self.commands.pop_front() {
            self.application.handle(now, heard, command, &mut transmit);
            self.application.handled(now);
        }
        self.application.tick(now, heard, &mut transmit);
        let completion = self.application.take_completion();
        self.replica.completed(now, completion);
    }

    fn perform(&mut self, wire: &mut impl Wire) {
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::ToNodes { nodes, packet, needs: _ } => wire.to_nodes(nodes, packet),
                Output::ToClient { to, packet } => wire.to_client(to, packet),
                Output::Command(command) => self.commands.push_back(command),
            }
        }
    }
}
