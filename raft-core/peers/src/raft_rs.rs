//! The crate `raft` (raft-rs, of TiKV), with its own memory storage.
#![allow(clippy::expect_used, reason = "a comparison fails by panicking")]

use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode};

use crate::{Applied, COMPACT_EVERY, Command, Core, NODES};

/// Three of its nodes.
pub struct RaftRs {
    nodes: Vec<RawNode<MemStorage>>,
    mail: Vec<Vec<Message>>,
    applied: [Applied; NODES],
}

impl Core for RaftRs {
    const NAME: &'static str = "raft";

    fn new(_batch: usize) -> Self {
        let members: Vec<u64> = (1..=NODES as u64).collect();
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = |id: &u64| {
            let storage = MemStorage::new_with_conf_state((members.clone(), Vec::new()));
            // One append takes the whole batch, and the commit index goes with the next one, as in the others.
            let config = Config {
                id: *id,
                max_size_per_msg: raft::NO_LIMIT,
                skip_bcast_commit: true,
                ..Config::default()
            };
            RawNode::new(&config, storage, &logger).expect("a sound configuration")
        };
        let nodes = members.iter().map(node).collect();
        let mail = vec![Vec::new(); NODES];
        let mut cluster = Self { nodes, mail, applied: [Applied::default(); NODES] };
        cluster.nodes[0].campaign().expect("a voter may stand");
        cluster.perform(0);
        while cluster.mail.iter().any(|mail| !mail.is_empty()) {
            (0..NODES).for_each(|node| cluster.turn(node));
        }
        cluster
    }

    #[inline(never)]
    fn lead(&mut self, commands: &[Command]) {
        self.step(0);
        if !commands.is_empty() {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgPropose);
            message.from = 1;
            message.entries = commands.iter().map(entry).collect();
            self.nodes[0].step(message).expect("it leads");
        }
        self.perform(0);
    }

    #[inline(never)]
    fn follow(&mut self, node: usize) {
        self.turn(node);
    }

    fn tell_of_commit(&mut self) {
        self.nodes[0].ping();
        self.perform(0);
    }

    fn applied(&self) -> [Applied; NODES] {
        self.applied
    }
}

fn entry(command: &Command) -> Entry {
    Entry { data: command.map(u64::to_le_bytes).concat().into(), ..Entry::default() }
}

impl RaftRs {
    fn turn(&mut self, node: usize) {
        self.step(node);
        self.perform(node);
    }

    fn step(&mut self, node: usize) {
        for message in std::mem::take(&mut self.mail[node]) {
            self.nodes[node].step(message).expect("a message of a member");
        }
    }

    /// What the node wants done, as its documentation says.
    fn perform(&mut self, node: usize) {
        if !self.nodes[node].has_ready() {
            return;
        }
        let mut ready = self.nodes[node].ready();
        self.post(ready.take_messages());
        self.apply(node, &ready.take_committed_entries());
        {
            let mut storage = self.nodes[node].raft.raft_log.store.wl();
            storage.append(ready.entries()).expect("entries follow each other");
            if let Some(state) = ready.hs() {
                storage.set_hardstate(state.clone());
            }
        }
        self.post(ready.take_persisted_messages());
        let mut rest = self.nodes[node].advance(ready);
        if let Some(commit) = rest.commit_index() {
            self.nodes[node].raft.raft_log.store.wl().mut_hard_state().set_commit(commit);
        }
        self.post(rest.take_messages());
        self.apply(node, &rest.take_committed_entries());
        self.nodes[node].advance_apply();
    }

    fn post(&mut self, messages: Vec<Message>) {
        for message in messages {
            let to = usize::try_from(message.to - 1).expect("a member");
            self.mail[to].push(message);
        }
    }

    fn apply(&mut self, node: usize, entries: &[Entry]) {
        let mut compact = None;
        for entry in entries {
            let (words, rest) = entry.data.as_chunks::<8>();
            if let ([first, second, third], []) = (words, rest) {
                self.applied[node]
                    .apply(&[first, second, third].map(|word| u64::from_le_bytes(*word)));
            }
            if entry.index % COMPACT_EVERY == 0 {
                compact = Some(entry.index);
            }
        }
        // What was applied here may still be on its way to the others: a whole period is kept.
        if let Some(index) = compact.and_then(|index| index.checked_sub(COMPACT_EVERY)) {
            self.nodes[node].mut_store().wl().compact(index).expect("an index in the log");
        }
    }
}
