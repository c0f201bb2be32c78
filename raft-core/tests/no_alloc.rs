//! A warm node allocates nothing (design HC12), and sends no more than Table 1 of the paper says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "no_alloc/ffi.rs"]
mod ffi;
mod support;

use ffi::allocations_in;
use raft_core::entry::Entry;
use raft_core::ids::{LogIndex, NodeSet, Seq, Term};
use raft_core::message::Append;
use raft_core::output::{Output, Persist};
use raft_core::{Config, Counters, Raft, Role, Settings, Start};
use std::time::Duration;
use support::{Node, Number, birth, id, member, ms, settings};

/// Nodes whose messages are handed over without a queue that could grow.
struct Warm {
    nodes: Vec<Node>,
    mail: Vec<(usize, usize, Output)>,
    entries: Vec<Entry<Number>>,
    now: Duration,
    persists: u64,
}

impl Warm {
    fn new(count: usize) -> Self {
        let node = |place| {
            let settings = Settings { log_capacity: 1_024, ..settings() };
            let config = Config::try_from(settings).unwrap();
            let start = Start { term: Term::ZERO, ..Start::default() };
            Raft::new(member(place), config, birth(count), start, place as u64, ms(0))
        };
        let nodes = (0..count).map(node).collect();
        let (mail, entries) = (Vec::with_capacity(1_024), Vec::with_capacity(64));
        let mut warm = Self { nodes, mail, entries, now: ms(0), persists: 0 };
        warm.now = warm.nodes[0].deadline();
        warm.nodes[0].tick(warm.now);
        warm.drain(0);
        warm.settle();
        assert_eq!(warm.nodes[0].role(), Role::Leader);
        warm
    }

    /// One request, its append, its answers, the news of its commit.
    fn request(&mut self, number: u64) {
        let index = self.nodes[0].propose(self.now, Number(number)).unwrap();
        self.nodes[0].end_burst(self.now);
        self.drain(0);
        self.settle();
        for node in &mut self.nodes {
            assert_eq!(node.commit(), index);
            node.release(index);
        }
    }

    fn heartbeat(&mut self) {
        self.now += ms(10);
        for place in 0..self.nodes.len() {
            self.nodes[place].tick(self.now);
            self.drain(place);
        }
        self.settle();
    }

    fn drain(&mut self, place: usize) {
        while let Some(&output) = self.nodes[place].poll_output() {
            match output {
                Output::Persist { seq, what } => {
                    self.persists += u64::from(matches!(what, Persist::Entries { .. }));
                    self.nodes[place].persisted(self.now, seq);
                }
                Output::Send { to, .. } => self.mail.push((place, to.place(), output)),
                Output::Append { to, .. } => {
                    self.mail.extend(to.iter().map(|one| (place, one.place(), output)));
                }
                _ => {}
            }
        }
    }

    fn settle(&mut self) {
        let mut at = 0;
        while at < self.mail.len() {
            let (from, to, output) = self.mail[at];
            match output {
                Output::Send { message, .. } => {
                    self.nodes[to].receive(self.now, member(from), message);
                }
                Output::Append { append, .. } => self.hand_over(from, to, append),
                _ => {}
            }
            self.drain(to);
            self.nodes[to].end_burst(self.now);
            self.drain(to);
            at += 1;
        }
        self.mail.clear();
    }

    fn hand_over(&mut self, from: usize, to: usize, append: Append) {
        self.entries.clear();
        for nth in 1..=u64::from(append.count) {
            self.entries.push(*self.nodes[from].entry(append.previous_index.plus(nth)).unwrap());
        }
        self.nodes[to].append(self.now, member(from), append, &self.entries, None);
    }
}

#[test]
fn a_warm_cluster_allocates_nothing() {
    let mut warm = Warm::new(5);
    // The ring goes round once: what grows, grows now.
    for number in 0..2_000 {
        warm.request(number);
    }
    warm.heartbeat();
    let requests = || {
        for number in 0..2_000 {
            warm.request(number);
            if number % 10 == 0 {
                warm.heartbeat();
            }
        }
    };
    assert_eq!(allocations_in(requests), 0);

    // The counter does count.
    assert_eq!(allocations_in(|| drop(std::hint::black_box(Box::new(1u8)))), 1);
}

#[test]
fn a_request_costs_one_append_and_one_acknowledgement_per_follower() {
    for count in [3, 5, 7, 9] {
        let mut warm = Warm::new(count);
        warm.request(0);
        let (before, persists) = (*warm.nodes[0].counters(), warm.persists);
        for number in 1..=100 {
            warm.request(number);
        }
        let followers = count as u64 - 1;
        let Counters { appends_sent, entries_sent, acks_received, commit_only_sent, .. } = before;
        let after = warm.nodes[0].counters();
        assert_eq!(after.appends_sent - appends_sent, 100 * followers, "{count} nodes");
        assert_eq!(after.entries_sent - entries_sent, 100 * followers);
        assert_eq!(after.acks_received - acks_received, 100 * followers);
        assert_eq!(after.commit_only_sent - commit_only_sent, 100 * followers);
        assert_eq!(after.heartbeats_sent, before.heartbeats_sent);
        assert_eq!(warm.persists - persists, 100 * count as u64, "one write per node");
    }
}

#[test]
fn an_append_to_all_is_one_output() {
    let mut warm = Warm::new(9);
    warm.request(0);
    warm.nodes[0].propose(warm.now, Number(1)).unwrap();
    warm.nodes[0].end_burst(warm.now);
    let mut all = NodeSet::EMPTY;
    (1..9).for_each(|place| all.insert(id(place)));
    let outputs: Vec<Output> =
        std::iter::from_fn(|| warm.nodes[0].poll_output().copied()).collect();
    let [Output::Persist { .. }, Output::Append { to, append, needs }] = outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!((to, append.count, needs), (all, 1, Seq::ZERO));
    assert_eq!(append.previous_index, LogIndex::from_wire(2));
}
