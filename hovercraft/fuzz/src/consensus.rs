//! The consensus core alone (HC13): whatever numbers messages carry, whoever sends them, a node neither dies nor loses a promise
//! that it made to itself. Forged messages without a key may disturb consensus; they crash nothing.

use core::time::Duration;

use raft_core::entry::{Configuration, Entry, Payload};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeSet, Round, Term};
use raft_core::message::{Append, Message};
use raft_core::output::Output;

use crate::draw::Draw;

/// A node with its disk, as the tests of `raft-core` drive it.
#[path = "../../../raft-core/tests/support/mod.rs"]
mod support;

use support::{Event, Host, Number, birth, id, member};

/// Events of one run, at most.
const EVENTS_MAX: usize = 200;
/// What one event may cause, at most.
const DOINGS_MAX: usize = 100;

/// The body of fuzz target `consensus`: a voter of three, and what it is told. True when it committed something.
///
/// # Panics
///
/// When it breaks a promise of its own.
#[must_use]
pub fn consensus(bytes: &[u8]) -> bool {
    let mut draw = Draw::new(bytes);
    let mut now = Duration::ZERO;
    let mut host = Host::new(member(0), birth(3), draw.u8().into(), now);
    for _ in 0..EVENTS_MAX {
        if draw.is_empty() {
            break;
        }
        let before = (host.raft.term(), host.raft.commit());
        feed(&mut draw, &mut host, &mut now);
        let events = host.drain(now);
        assert!(events.len() <= DOINGS_MAX, "{} doings", events.len());
        let raft = &host.raft;
        assert!(raft.term() >= before.0, "the term fell from {}", before.0);
        assert!(raft.commit() >= before.1, "HC2b: the commit index fell from {}", before.1);
        assert!(raft.commit() <= raft.verified() && raft.verified() <= raft.last_index());
        for event in events {
            if let Event::Did(Output::Truncated { from }) = event {
                assert!(from > before.1, "{from} was committed");
            }
        }
    }
    host.raft.commit() > LogIndex::ZERO
}

fn feed(draw: &mut Draw<'_>, host: &mut Host, now: &mut Duration) {
    let near = numbers(host);
    let raft = &mut host.raft;
    match draw.u8() % 32 {
        0..=7 => raft.receive(*now, sender(draw), message(draw, near)),
        8..=15 => {
            let entries: Vec<Entry<Number>> =
                (0..draw.below(5)).map(|_| entry(draw, near)).collect();
            let configuration = draw.one_in(2).then(|| configuration(draw, near));
            let count = u16::try_from(entries.len()).unwrap_or_default();
            let append = Append { count, ..append(draw, near) };
            raft.append(*now, sender(draw), append, &entries, configuration.as_ref());
        }
        16 => raft.append_parked(*now, sender(draw), append(draw, near)),
        17..=19 => _ = raft.propose(*now, Number(1)),
        20 => {
            let outgoing = raft.configuration().voters.clone();
            let voters = (0..draw.below(5)).map(|_| member(draw.below(5))).collect();
            let next = Configuration { voters, outgoing, ..Configuration::default() };
            _ = raft.propose_configuration(*now, next);
        }
        21 => _ = raft.transfer(*now, id(draw.below(5))),
        22 => raft.release(raft.commit()),
        23..=26 => raft.end_burst(*now),
        27 => {
            *now = raft.deadline().clamp(*now, *now + Duration::from_secs(1));
            raft.tick(*now);
        }
        _ => {
            *now += Duration::from_millis(draw.u8().into());
            raft.tick(*now);
        }
    }
}

/// Term, then indexes, near which the numbers of messages are drawn.
fn numbers(host: &Host) -> [u64; 4] {
    let raft = &host.raft;
    let indexes = [raft.commit(), raft.verified(), raft.last_index()].map(LogIndex::to_wire);
    [raft.term().to_wire(), indexes[0], indexes[1], indexes[2]]
}

fn term(draw: &mut Draw<'_>, near: [u64; 4]) -> Term {
    Term::from_wire(if draw.u8() < 180 { near[0] } else { draw.number(&near[..1]) })
}

fn index(draw: &mut Draw<'_>, near: [u64; 4]) -> LogIndex {
    LogIndex::from_wire(draw.number(&near[1..]))
}

fn round(draw: &mut Draw<'_>) -> Round {
    Round::from_wire(draw.number(&[0, 4]))
}

fn sender(draw: &mut Draw<'_>) -> Member {
    let life = if draw.one_in(10) { draw.u8() % 3 } else { 1 };
    Member { id: id(draw.below(5)), incarnation: Incarnation::from_wire(life.into()) }
}

fn append(draw: &mut Draw<'_>, near: [u64; 4]) -> Append {
    Append {
        epoch: if draw.one_in(4) { index(draw, near) } else { LogIndex::ZERO },
        term: term(draw, near),
        previous_index: index(draw, near),
        previous_term: term(draw, near),
        first_of_term: index(draw, near),
        commit: index(draw, near),
        round: round(draw),
        count: 0,
        answer: draw.one_in(2),
    }
}

fn message(draw: &mut Draw<'_>, near: [u64; 4]) -> Message {
    let (term, round) = (term(draw, near), round(draw));
    match draw.u8() % 6 {
        0 => {
            let (last_index, last_term) = (index(draw, near), self::term(draw, near));
            let (pre, transfer) = (draw.one_in(2), draw.one_in(4));
            Message::RequestVote { term, pre, transfer, last_index, last_term }
        }
        1 => Message::Vote { term, pre: draw.one_in(2), granted: draw.u8() < 200 },
        2 => Message::Ack { epoch: index(draw, near), term, index: index(draw, near), round },
        3 => {
            let (previous_index, hint) = (index(draw, near), index(draw, near));
            Message::Reject { term, previous_index, hint, round }
        }
        4 => Message::TimeoutNow { term },
        _ => {
            let (epoch, index) = (index(draw, near), index(draw, near));
            Message::QuorumAck { epoch, term, index, set: NodeSet::from_wire(draw.u16()) }
        }
    }
}

fn configuration(draw: &mut Draw<'_>, near: [u64; 4]) -> Configuration<()> {
    let mut half = || (0..draw.below(4)).map(|_| sender(draw)).collect();
    let (voters, outgoing, learners) = (half(), half(), half());
    Configuration { epoch: index(draw, near), voters, outgoing, learners, data: () }
}

fn entry(draw: &mut Draw<'_>, near: [u64; 4]) -> Entry<Number> {
    let payload = match draw.u8() % 8 {
        0 => Payload::NoOp,
        1 => Payload::Configuration,
        _ => Payload::Command(Number(draw.u8().into())),
    };
    Entry { term: term(draw, near), payload }
}
