//! What a leader pays per entry at batch 1: propose, end of burst, an acknowledgement of each follower, the news of the
//! commit, with every output drained. `cargo bench -p raft-core`; for instructions per entry, under
//! `perf stat -e instructions:u`, the difference of two counts of entries, given as the argument, by their difference.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a bench looks at the clock")]

use std::time::{Duration, Instant};
use std::{env, hint};

use raft_core::entry::{Command, Configuration};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Round, Term};
use raft_core::message::Message;
use raft_core::output::Output;
use raft_core::{Config, Raft, Settings, Start};

/// As large as an entry of the replica may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry([u64; 8]);

impl Command for Entry {
    fn wire_len(&self) -> usize {
        64
    }
}

fn member(number: u8) -> Member {
    Member { id: NodeId::new(number).unwrap(), incarnation: Incarnation::from_wire(1) }
}

struct Leader {
    raft: Raft<Entry, ()>,
    followers: u8,
    now: Duration,
}

impl Leader {
    fn new(nodes: u8) -> Self {
        let voters = (0..nodes).map(member).collect();
        let birth = Configuration { voters, ..Configuration::default() };
        let config = Config::try_from(Settings::default()).unwrap();
        let now = Duration::ZERO;
        let raft = Raft::new(member(0), config, birth, Start::default(), 1, now);
        let mut leader = Self { raft, followers: nodes - 1, now };
        leader.now = leader.raft.deadline();
        leader.raft.tick(leader.now);
        leader.drain();
        for pre in [true, false] {
            let yes = Message::Vote { term: Term::from_wire(1), pre, granted: true };
            for voter in 1..nodes {
                leader.raft.receive(leader.now, member(voter), yes);
                leader.drain();
            }
        }
        leader.finish(LogIndex::from_wire(1));
        leader
    }

    fn drain(&mut self) {
        while let Some(output) = self.raft.poll_output() {
            if let Output::Persist { seq, .. } = output {
                self.raft.persisted(self.now, seq);
            }
            hint::black_box(output);
        }
    }

    fn entry(&mut self, number: u64) {
        let index = self.raft.propose(self.now, Entry([number; 8])).unwrap();
        self.finish(index);
    }

    fn finish(&mut self, index: LogIndex) {
        self.raft.end_burst(self.now);
        self.drain();
        for follower in 1..=self.followers {
            let (term, round) = (Term::from_wire(1), Round::from_wire(1));
            let ack = Message::Ack { epoch: LogIndex::ZERO, term, index, round };
            self.raft.receive(self.now, member(follower), ack);
            self.drain();
            self.raft.end_burst(self.now);
            self.drain();
        }
        assert_eq!(self.raft.commit(), index);
        self.raft.release(index);
    }
}

fn main() {
    let count = env::args().find_map(|argument| argument.parse().ok()).unwrap_or(2_000_000);
    let nodes = env::var("NODES").map_or(3, |nodes| nodes.parse().unwrap());
    let mut leader = Leader::new(nodes);
    let start = Instant::now();
    (0..count).for_each(|number| leader.entry(number));
    let took = start.elapsed().as_nanos() / u128::from(count.max(1));
    println!("{nodes} nodes: {took} ns per entry, {count} entries, batch 1");
}
