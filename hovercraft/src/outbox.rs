//! What a replica wants done, until the driver has done it: packets in order, then commands in order.
//!
//! Packets stand in one arena that is emptied with the queue: sending allocates nothing. A full arena drops the packet and counts
//! it: a lost packet is an ordinary event here.

use core::net::SocketAddr;
use core::ops::Range;
use std::collections::VecDeque;

use raft_core::ids::{NodeSet, Seq};

use crate::command::Command;

/// One effect.
#[derive(Clone, Debug)]
pub enum Output<'a> {
    /// Send the packet once to each of these nodes; loss is fine. Not before `needs` is durable.
    ToNodes {
        /// Destinations.
        nodes: NodeSet,
        /// UDP payload.
        packet: &'a [u8],
        /// Zero = nothing.
        needs: Seq,
    },
    /// Send the packet once.
    ToClient {
        /// Destination.
        to: SocketAddr,
        /// UDP payload.
        packet: &'a [u8],
    },
    /// For the application half.
    Command(Command),
}

/// A packet.
#[derive(Clone, Debug)]
enum Item {
    ToNodes { nodes: NodeSet, packet: Range<usize>, needs: Seq },
    ToClient { to: SocketAddr, packet: Range<usize> },
}

/// The queue of one replica.
#[derive(Clone, Debug)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// A copy's buffer starts without room, and still has this bound.
    bytes_max: usize,
    items: VecDeque<Item>,
    commands: VecDeque<Command>,
    /// Packets dropped because the arena was full. Total.
    pub dropped: u64,
    /// Bytes of packets copied in. Total.
    pub copied: u64,
}

impl Outbox {
    /// Room for `bytes` of packets between two drains.
    #[must_use]
    pub fn new(bytes: usize, items: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            bytes_max: bytes,
            items: VecDeque::with_capacity(items),
            commands: VecDeque::with_capacity(items),
            dropped: 0,
            copied: 0,
        }
    }

    /// Queues a packet for nodes.
    pub fn to_nodes(&mut self, nodes: NodeSet, packet: &[u8], needs: Seq) {
        if let Some(packet) = self.keep(&[packet]) {
            self.items.push_back(Item::ToNodes { nodes, packet, needs });
        }
    }

    /// Queues a packet for a client.
    pub fn to_client(&mut self, to: SocketAddr, parts: &[&[u8]]) {
        if let Some(packet) = self.keep(parts) {
            self.items.push_back(Item::ToClient { to, packet });
        }
    }

    /// Queues a command.
    #[inline]
    pub fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// The next effect.
    #[inline]
    pub fn poll(&mut self) -> Option<Output<'_>> {
        let Some(item) = self.items.pop_front() else {
            self.bytes.clear();
            return self.commands.pop_front().map(Output::Command);
        };
        Some(match item {
            Item::ToNodes { nodes, packet, needs } => {
                Output::ToNodes { nodes, packet: &self.bytes[packet], needs }
            }
            Item::ToClient { to, packet } => Output::ToClient { to, packet: &self.bytes[packet] },
        })
    }

    fn keep(&mut self, parts: &[&[u8]]) -> Option<Range<usize>> {
        let from = self.bytes.len();
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if from + len > self.bytes_max {
            self.dropped += 1;
            return None;
        }
        self.copied += len as u64;
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        Some(from..from + len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_sends_as_much_as_the_original_and_no_more() {
        let mut copy = Outbox::new(8, 4).clone();
        let node = NodeSet::only(raft_core::ids::NodeId::default());
        copy.to_nodes(node, &[1; 5], Seq::ZERO);
        copy.to_nodes(node, &[2; 5], Seq::ZERO);
        assert!(matches!(copy.poll(), Some(Output::ToNodes { packet: [1, 1, 1, 1, 1], .. })));
        assert!(copy.poll().is_none());
        assert_eq!(copy.dropped, 1);
    }
}
