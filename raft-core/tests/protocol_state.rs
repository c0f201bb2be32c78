//! What a model checker sees of a node: what decides its answers, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::hash::{DefaultHasher, Hash, Hasher};

use raft_core::ids::{Round, Term};
use raft_core::message::{Append, Message};
use raft_core::{Instant, Role};
use support::{Host, Node, Number, birth, index, member, ms};

fn hash(node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.protocol_state().hash(&mut hasher);
    hasher.finish()
}

fn same(one: &Node, other: &Node) -> bool {
    let same = one.protocol_state() == other.protocol_state();
    assert_eq!(same, hash(one) == hash(other));
    same
}

/// n0 leads term 1 and has appended a number, all of it `later`.
fn leader(later: Instant) -> Host {
    let mut host = Host::new(member(0), birth(3), 1, later);
    let now = host.raft.deadline();
    host.raft.tick(now);
    host.drain(now);
    for pre in [true, false] {
        let yes = Message::Vote { term: Term::from_wire(1), pre, granted: true };
        host.raft.receive(now, member(1), yes);
        host.drain(now);
    }
    assert_eq!(host.raft.role(), Role::Leader);
    host.raft.propose(now, Number(7)).unwrap();
    host.raft.end_burst(now);
    host.drain(now);
    host
}

fn ack(last: u64) -> Message {
    let (term, round) = (Term::from_wire(1), Round::from_wire(1));
    Message::Ack { epoch: index(0), term, index: index(last), round }
}

#[test]
fn absolute_times_and_counters_are_no_part_of_it() {
    let (mut early, mut late) = (leader(ms(0)), leader(ms(86_400_000)));
    assert!(same(&early.raft, &late.raft));
    assert_ne!(early.raft.deadline(), late.raft.deadline());
    for (host, now) in [(&mut early, ms(500)), (&mut late, ms(86_400_500))] {
        host.raft.receive(now, member(1), ack(2));
        host.drain(now);
    }
    // Somebody unknown, and a message of an older term, are counted only.
    early.raft.receive(ms(500), member(9), ack(2));
    early.raft.receive(ms(500), member(2), Message::TimeoutNow { term: Term::ZERO });
    assert_ne!(early.raft.counters(), late.raft.counters());
    assert!(same(&early.raft, &late.raft));
}

#[test]
fn whatever_changes_an_answer_is_part_of_it() {
    let now = ms(500);
    let before = leader(ms(0));
    let after = |input: &dyn Fn(&mut Node)| {
        let mut host = before.clone();
        input(&mut host.raft);
        host.drain(now);
        host
    };
    let append = Append {
        term: Term::from_wire(2),
        first_of_term: index(1),
        round: Round::from_wire(1),
        ..Append::default()
    };
    let changes: [&dyn Fn(&mut Node); 8] = [
        &|node| node.receive(now, member(1), ack(1)),
        &|node| node.receive(now, member(1), ack(2)),
        &|node| _ = node.propose(now, Number(8)),
        &|node| node.transfer(now, member(1).id).unwrap(),
        &|node| node.append(now, member(1), append, &[], None),
        &|node| node.stop_voting(),
        &|node| node.set_campaign_delay(true),
        &|node| node.tick(node.deadline()),
    ];
    let hosts: Vec<Host> = changes.iter().map(|change| after(change)).collect();
    for (at, host) in hosts.iter().enumerate() {
        assert!(!same(&host.raft, &before.raft), "change {at} is not seen");
        for other in &hosts[..at] {
            assert!(!same(&host.raft, &other.raft), "change {at} looks like another");
        }
    }
}

#[test]
fn from_which_round_on_answers_count_is_part_of_it() {
    // Both open their third round; one of them began to count in the second, the other in the third.
    let opened = |moments: [u64; 2]| {
        let mut host = leader(ms(0));
        let elected = host.raft.deadline().saturating_sub(ms(10));
        host.raft.receive(elected, member(1), ack(2));
        host.drain(elected);
        for after in moments {
            host.raft.tick(elected + ms(after));
            host.drain(elected + ms(after));
        }
        assert_eq!((host.raft.role(), host.raft.counters().heartbeats_sent), (Role::Leader, 4));
        host
    };
    assert!(!same(&opened([205, 216]).raft, &opened([15, 205]).raft));
    assert!(same(&opened([15, 205]).raft, &opened([16, 206]).raft));
}

#[test]
fn a_vote_is_part_of_it() {
    let voted_for = |candidate: usize| {
        let mut host = Host::new(member(0), birth(3), 1, ms(0));
        let ask = Message::RequestVote {
            term: Term::from_wire(1),
            pre: false,
            transfer: false,
            last_index: index(0),
            last_term: Term::ZERO,
        };
        host.raft.receive(ms(1), member(candidate), ask);
        host.drain(ms(1));
        host
    };
    assert!(!same(&voted_for(1).raft, &voted_for(2).raft));
    assert!(same(&voted_for(1).raft, &voted_for(1).raft));
}
