//! Three nodes of this crate, driven as its documentation says, in memory mode.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use raft_core::entry::{self, Configuration, Entry, Payload};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId};
use raft_core::message::{Append, Message};
use raft_core::output::Output;
use raft_core::{Config, Instant, Raft, Role, Settings, Start};
use raft_core_peers::{Applied, Command, Core, NODES};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Held(Command);

impl entry::Command for Held {
    fn wire_len(&self) -> usize {
        24
    }
}

type Node = Raft<Held, ()>;

/// What waits for a follower: heads in order, and the entries of all of them.
#[derive(Default)]
struct Inbox {
    appends: Vec<Append>,
    entries: Vec<Entry<Held>>,
}

/// The cluster.
pub(crate) struct Ours {
    nodes: [Node; NODES],
    inboxes: [Inbox; NODES],
    /// What waits for any node but appends, and from whom.
    messages: [Vec<(Member, Message)>; NODES],
    done: [LogIndex; NODES],
    applied: [Applied; NODES],
    now: Instant,
}

fn member(place: usize) -> Member {
    let id = NodeId::new(u8::try_from(place).unwrap()).unwrap();
    Member { id, incarnation: Incarnation::from_wire(1) }
}

impl Core for Ours {
    const NAME: &'static str = "raft-core";

    fn new(_batch: usize) -> Self {
        let node = |place| {
            let voters = (0..NODES).map(member).collect();
            let birth = Configuration { voters, ..Configuration::default() };
            // One append takes the largest batch; the ring has gone round when the work begins.
            let settings =
                Settings { append_bytes: 64 * 24, log_capacity: 1 << 12, ..Settings::default() };
            let config = Config::try_from(settings).unwrap();
            Raft::new(member(place), config, birth, Start::default(), place as u64, Instant::ZERO)
        };
        let mut cluster = Self {
            nodes: std::array::from_fn(node),
            inboxes: Default::default(),
            messages: Default::default(),
            done: [LogIndex::ZERO; NODES],
            applied: [Applied::default(); NODES],
            now: Instant::ZERO,
        };
        cluster.now = cluster.nodes[0].deadline();
        cluster.nodes[0].tick(cluster.now);
        cluster.perform(0);
        for _ in 0..4 {
            (1..NODES).for_each(|node| cluster.follow(node));
            cluster.lead(&[]);
        }
        assert_eq!(cluster.nodes[0].role(), Role::Leader);
        cluster
    }

    #[inline(never)]
    fn lead(&mut self, commands: &[Command]) {
        self.take_messages(0);
        for command in commands {
            self.nodes[0].propose(self.now, Held(*command)).unwrap();
        }
        self.nodes[0].end_burst(self.now);
        self.perform(0);
    }

    #[inline(never)]
    fn follow(&mut self, node: usize) {
        self.take_messages(node);
        let mut inbox = std::mem::take(&mut self.inboxes[node]);
        let mut entries = &inbox.entries[..];
        for append in inbox.appends.drain(..) {
            let (carried, rest) = entries.split_at(append.count.into());
            entries = rest;
            self.nodes[node].append(self.now, member(0), append, carried, None);
            self.perform(node);
        }
        inbox.entries.clear();
        self.inboxes[node] = inbox;
        self.nodes[node].end_burst(self.now);
        self.perform(node);
    }

    fn applied(&self) -> [Applied; NODES] {
        self.applied
    }
}

impl Ours {
    fn take_messages(&mut self, node: usize) {
        let mut messages = std::mem::take(&mut self.messages[node]);
        for (from, message) in messages.drain(..) {
            self.nodes[node].receive(self.now, from, message);
            self.perform(node);
        }
        self.messages[node] = messages;
    }

    fn perform(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].poll_output() {
            match *output {
                Output::Persist { seq, .. } => self.nodes[node].persisted(self.now, seq),
                Output::Send { to, message, .. } => {
                    self.messages[to.place()].push((member(node), message));
                }
                Output::Append { to, append, .. } => {
                    for to in to.iter() {
                        let inbox = &mut self.inboxes[to.place()];
                        inbox.appends.push(append);
                        let (from, to) = (append.previous_index.next(), append.last_index());
                        let (first, second) = self.nodes[node].entries(from, to);
                        inbox.entries.extend(first.iter().copied());
                        inbox.entries.extend(second.iter().copied());
                    }
                }
                Output::Committed(index) => self.apply(node, index),
                _ => {}
            }
        }
    }

    fn apply(&mut self, node: usize, to: LogIndex) {
        let (first, second) = self.nodes[node].entries(self.done[node].next(), to);
        for entry in [first, second].into_iter().flatten() {
            if let Payload::Command(Held(command)) = &entry.payload {
                self.applied[node].apply(command);
            }
        }
        self.done[node] = to;
        self.nodes[node].release(to);
    }
}
