//! HC1c: what is handed over to be made durable is in the log when it is read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use raft_core::entry::{Entry, Payload};
use raft_core::ids::Term;
use raft_core::message::{Append, Message};
use raft_core::output::{Output, Persist};
use support::{Event, Host, birth, index, member, ms};

/// A leader that has not ended its burst hears of the next one, whose log has something else in that place: in one input its own
/// entries are to be made durable, and are cut off. (Found by fuzz target `consensus`.)
#[test]
fn hc1c_entries_cut_off_in_the_same_input_are_not_handed_over() {
    let mut host = Host::new(member(0), birth(3), 1, ms(0));
    let now = host.raft.deadline();
    host.raft.tick(now);
    host.drain(now);
    for pre in [true, false] {
        let vote = Message::Vote { term: Term::from_wire(1), pre, granted: true };
        host.raft.receive(now, member(1), vote);
        let _ = host.drain(now);
    }
    assert_eq!(host.raft.last_index(), index(1), "it leads");
    let term = Term::from_wire(2);
    let append =
        Append { term, first_of_term: index(1), count: 1, answer: true, ..Append::default() };
    host.raft.append(now, member(1), append, &[Entry { term, payload: Payload::NoOp }], None);
    let written: Vec<Persist> = host
        .drain(now)
        .into_iter()
        .filter_map(|event| match event {
            Event::Did(Output::Persist { what, .. }) => Some(what),
            _ => None,
        })
        .collect();
    let vote = Persist::Vote { term, vote: None };
    assert_eq!(written, [vote, Persist::Entries { from: index(1), to: index(1) }]);
    assert_eq!((host.terms(), host.raft.durable()), (vec![2], index(1)));
}
