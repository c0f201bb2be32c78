//! Packets under way: each is told apart once and then goes by its number.
//!
//! The network of the model is a set: a packet that was sent may arrive at any time, any number of times, or never. So loss,
//! duplication, reordering and delay need no events of their own.

use core::net::SocketAddr;

use hovercraft::wire::{self, Head, NodeMessage};
use raft_core::message::Message;

use crate::Map;
use crate::node::{Incoming, address};

/// Number of a packet.
pub type PacketId = u32;

/// A packet on its way.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The node that it goes to.
    pub to: u8,
    /// As it arrives.
    pub incoming: Incoming,
    fate: Fate,
}

/// When a packet cannot have any effect any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// It always may.
    Open,
    /// On a node whose term is at least this.
    At(u64),
    /// It speaks to a node without a cluster, or of one.
    Birth,
}

/// All packets that were ever sent.
#[derive(Debug, Default)]
pub struct Packets {
    all: Vec<Packet>,
    by_bytes: Map<(u8, SocketAddr, Vec<u8>), PacketId>,
}

impl Packets {
    /// A client's, to the group.
    pub fn of_client(&mut self, to: u8, incoming: Incoming) -> PacketId {
        self.add(Packet { to, incoming, fate: Fate::Open })
    }

    /// A node's; none of a kind that has no effect in this model.
    pub fn of_node(&mut self, from: u8, to: u8, mut bytes: Vec<u8>) -> Option<PacketId> {
        // Log time stands still; who answers is no matter of this model.
        clear(&mut bytes, LOG_TIME);
        clear(&mut bytes, APPLIED);
        let (_, message) = wire::parse(&bytes, None).ok()?;
        let (mut asks_for_vote, mut elects) = (false, false);
        let fate = match message {
            // It ends a node only when the client's copy has had its time, which does not pass here (HC1d).
            NodeMessage::NoBody { .. } => return None,
            NodeMessage::Raft(message) => {
                asks_for_vote = matches!(message, Message::RequestVote { .. });
                elects = matches!(message, Message::Vote { pre: false, granted: true, .. });
                fate_of(&message)
            }
            NodeMessage::Applied { term } | NodeMessage::HeldByAll { term, .. } => {
                Fate::At(term.to_wire() + 1)
            }
            NodeMessage::Question { .. } | NodeMessage::Report(_) => Fate::Birth,
            NodeMessage::BodyRequest { .. } => {
                // Its number would only matter for the answer that is left out.
                clear(&mut bytes, ROUND);
                Fate::Open
            }
            _ => Fate::Open,
        };
        let incoming = Incoming { from: address(from), group: false, asks_for_vote, elects, bytes };
        Some(self.add(Packet { to, incoming, fate }))
    }

    fn add(&mut self, packet: Packet) -> PacketId {
        let key = (packet.to, packet.incoming.from, packet.incoming.bytes.clone());
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        *self.by_bytes.entry(key).or_insert_with(|| {
            self.all.push(packet);
            next
        })
    }

    /// The packet of this number.
    #[must_use]
    pub fn get(&self, id: PacketId) -> &Packet {
        &self.all[id as usize]
    }

    /// How many different ones there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nothing was ever sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Packet {
    /// Whether it will never again have an effect on its receiver, whose term is `term`, or which belongs to no cluster.
    #[must_use]
    pub fn is_void(&self, term: u64, without_cluster: bool) -> bool {
        match self.fate {
            Fate::Birth => false,
            _ if without_cluster => true,
            Fate::Open => false,
            Fate::At(limit) => term >= limit,
        }
    }

    /// A node's, as parsed.
    #[must_use]
    pub fn message(&self) -> Option<(Head, NodeMessage<'_>)> {
        wire::parse(&self.incoming.bytes, None).ok()
    }
}

/// Answers of a term are void in the next (raft-core counts them as stale); a vote for the next term, in the next.
fn fate_of(message: &Message) -> Fate {
    match *message {
        Message::Ack { term, .. } | Message::Reject { term, .. } => Fate::At(term.to_wire() + 1),
        Message::TimeoutNow { term } => Fate::At(term.to_wire() + 1),
        Message::Vote { term, pre: false, granted: true } => Fate::At(term.to_wire() + 1),
        Message::Vote { term, .. } => Fate::At(term.to_wire()),
        _ => Fate::Open,
    }
}

/// Places in a message between nodes (ARCHITECTURE, messages between nodes).
const ROUND: usize = 72;
const LOG_TIME: usize = 80;
const APPLIED: usize = 96;

fn clear(bytes: &mut [u8], at: usize) {
    if let Some(word) = bytes.get_mut(at..at + 8) {
        word.fill(0);
    }
}
