//! The crate `omnipaxos`, with the memory storage of `omnipaxos_storage`.
#![allow(clippy::expect_used, reason = "a comparison fails by panicking")]

use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;

use crate::{Applied, COMPACT_EVERY, Command, Core, NODES};

#[derive(Clone, Copy, Debug)]
struct Held(Command);

impl Entry for Held {
    type Snapshot = NoSnapshot;
}

type Node = OmniPaxos<Held, MemoryStorage<Held>>;

/// Three of its nodes.
pub struct Omni {
    nodes: Vec<Node>,
    mail: Vec<Vec<Message<Held>>>,
    outgoing: Vec<Message<Held>>,
    /// Entries that a node has applied.
    done: [usize; NODES],
    applied: [Applied; NODES],
    trimmed: usize,
}

impl Core for Omni {
    const NAME: &'static str = "omnipaxos";

    fn new(batch: usize) -> Self {
        let members: Vec<u64> = (1..=NODES as u64).collect();
        let node = |pid: &u64| -> Node {
            let cluster_config = ClusterConfig {
                configuration_id: 1,
                nodes: members.clone(),
                flexible_quorum: None,
            };
            let server_config =
                ServerConfig { pid: *pid, batch_size: batch, ..ServerConfig::default() };
            let config = OmniPaxosConfig { cluster_config, server_config };
            config.build(MemoryStorage::default()).expect("a sound configuration")
        };
        let mut cluster = Self {
            nodes: members.iter().map(node).collect(),
            mail: (0..NODES).map(|_| Vec::new()).collect(),
            outgoing: Vec::new(),
            done: [0; NODES],
            applied: [Applied::default(); NODES],
            trimmed: 0,
        };
        cluster.nodes[0].try_become_leader();
        cluster.finish(0);
        while cluster.mail.iter().any(|mail| !mail.is_empty()) {
            for node in 0..NODES {
                cluster.take_mail(node);
                cluster.finish(node);
            }
        }
        assert_eq!(cluster.nodes[0].get_current_leader(), Some((1, true)));
        cluster
    }

    /// The batch is appended first: what the answers decide then travels with it, and costs no messages of its own.
    #[inline(never)]
    fn lead(&mut self, commands: &[Command]) {
        for command in commands {
            self.nodes[0].append(Held(*command)).expect("it leads");
        }
        self.take_mail(0);
        self.finish(0);
        self.trim();
    }

    #[inline(never)]
    fn follow(&mut self, node: usize) {
        self.take_mail(node);
        self.finish(node);
    }

    fn applied(&self) -> [Applied; NODES] {
        self.applied
    }
}

impl Omni {
    fn take_mail(&mut self, node: usize) {
        for message in self.mail[node].drain(..) {
            self.nodes[node].handle_incoming(message);
        }
    }

    /// Applies what is decided, and hands messages out.
    fn finish(&mut self, node: usize) {
        let (done, decided) = (self.done[node], self.nodes[node].get_decided_idx());
        if decided > done {
            let entries = self.nodes[node].read_entries(done..decided).unwrap_or_default();
            for entry in entries {
                if let LogEntry::Decided(Held(command)) = entry {
                    self.applied[node].apply(&command);
                }
            }
            self.done[node] = decided;
        }
        self.nodes[node].take_outgoing_messages(&mut self.outgoing);
        for message in self.outgoing.drain(..) {
            let to = usize::try_from(message.get_receiver() - 1).expect("a member");
            self.mail[to].push(message);
        }
    }

    /// Lets go of what all have applied, on all nodes.
    fn trim(&mut self) {
        let all = self.done.into_iter().min().unwrap_or_default();
        let due = (all - self.trimmed) as u64 >= COMPACT_EVERY;
        if due && self.nodes[0].trim(Some(all)).is_ok() {
            self.trimmed = all;
        }
    }
}
