//! HC13: the greatest term that a message can carry is the end of elections, and no overflow. Arbitrary messages are the fuzz target
//! `consensus`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use raft_core::ids::Term;
use raft_core::message::Message;
use support::{Host, birth, member, ms};

#[test]
fn hc13_a_term_at_its_limit_is_an_error_and_no_overflow() {
    let mut host = Host::new(member(0), birth(3), 1, ms(0));
    let last = Term::from_wire(u64::MAX);
    let forged = Message::Vote { term: last, pre: false, granted: false };
    host.raft.receive(ms(0), member(1), forged);
    host.drain(ms(0));
    for _ in 0..3 {
        let now = host.raft.deadline();
        host.raft.tick(now);
        assert_eq!(host.drain(now), []);
    }
    assert_eq!((host.raft.term(), host.raft.counters().term_at_limit), (last, 3));
}
