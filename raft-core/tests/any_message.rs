//! HC13 at the core: whatever numbers messages carry, whoever sends them, a node neither dies nor loses a promise that it
//! made to itself. (Forged messages without a key may disturb consensus; they crash nothing.)
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use proptest::prelude::*;

use raft_core::entry::{Configuration, Entry, Payload};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeSet, Round, Term};
use raft_core::message::{Append, Message};
use raft_core::output::Output;
use support::{Event, Host, Number, birth, id, member, ms};

#[derive(Clone, Debug)]
enum Input {
    Message(Member, Message),
    Append(Member, Append, Vec<Entry<Number>>, Option<Configuration<()>>),
    Parked(Member, Append),
    Propose,
    Reconfigure(Vec<usize>),
    Transfer(usize),
    Pass(u64),
    EndBurst,
    Release,
}

/// Small numbers that meet, and those at the edges.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..12, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()]
}

fn term() -> impl Strategy<Value = Term> {
    prop_oneof![20 => 0u64..6, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1)]
        .prop_map(Term::from_wire)
}

fn index() -> impl Strategy<Value = LogIndex> {
    number().prop_map(LogIndex::from_wire)
}

fn sender() -> impl Strategy<Value = Member> {
    let sender =
        |(place, life)| Member { id: id(place), incarnation: Incarnation::from_wire(life) };
    (0usize..5, prop_oneof![9 => Just(1u64), 1 => 0u64..3]).prop_map(sender)
}

fn append() -> impl Strategy<Value = Append> {
    let numbers = (index(), term(), index(), term(), index(), index());
    (numbers, number(), any::<bool>()).prop_map(|(numbers, round, answer)| {
        let (epoch, term, previous_index, previous_term, first_of_term, commit) = numbers;
        let round = Round::from_wire(round);
        Append {
            epoch,
            term,
            previous_index,
            previous_term,
            first_of_term,
            commit,
            round,
            count: 0,
            answer,
        }
    })
}

fn message() -> impl Strategy<Value = Message> {
    let vote = || (term(), any::<bool>(), any::<bool>());
    prop_oneof![
        (vote(), index(), term()).prop_map(|((term, pre, transfer), last_index, last_term)| {
            Message::RequestVote { term, pre, transfer, last_index, last_term }
        }),
        vote().prop_map(|(term, pre, granted)| Message::Vote { term, pre, granted }),
        (index(), term(), index(), number()).prop_map(|(epoch, term, index, round)| {
            Message::Ack { epoch, term, index, round: Round::from_wire(round) }
        }),
        (term(), index(), index(), number()).prop_map(|(term, previous_index, hint, round)| {
            Message::Reject { term, previous_index, hint, round: Round::from_wire(round) }
        }),
        term().prop_map(|term| Message::TimeoutNow { term }),
        (index(), term(), index(), any::<u16>()).prop_map(|(epoch, term, index, set)| {
            Message::QuorumAck { epoch, term, index, set: NodeSet::from_wire(set) }
        }),
    ]
}

fn configuration() -> impl Strategy<Value = Configuration<()>> {
    let half = || prop::collection::vec(sender(), 0..4);
    (index(), half(), half(), half()).prop_map(|(epoch, voters, outgoing, learners)| {
        Configuration { epoch, voters, outgoing, learners, data: () }
    })
}

fn entry() -> impl Strategy<Value = Entry<Number>> {
    let payload = prop_oneof![
        6 => any::<u64>().prop_map(|number| Payload::Command(Number(number))),
        1 => Just(Payload::NoOp),
        1 => Just(Payload::Configuration),
    ];
    (term(), payload).prop_map(|(term, payload)| Entry { term, payload })
}

fn input() -> impl Strategy<Value = Input> {
    let entries = prop::collection::vec(entry(), 0..5);
    let configuration = prop::option::of(configuration());
    prop_oneof![
        8 => (sender(), message()).prop_map(|(from, message)| Input::Message(from, message)),
        8 => (sender(), append(), entries, configuration).prop_map(|(from, append, entries, value)| {
            let append = Append { count: u16::try_from(entries.len()).unwrap(), ..append };
            Input::Append(from, append, entries, value)
        }),
        1 => (sender(), append()).prop_map(|(from, append)| Input::Parked(from, append)),
        3 => Just(Input::Propose),
        1 => prop::collection::vec(0usize..5, 0..5).prop_map(Input::Reconfigure),
        1 => (0usize..5).prop_map(Input::Transfer),
        4 => (0u64..250).prop_map(Input::Pass),
        4 => Just(Input::EndBurst),
        1 => Just(Input::Release),
    ]
}

fn feed(host: &mut Host, now: &mut std::time::Duration, input: Input) -> Vec<Event> {
    let raft = &mut host.raft;
    match input {
        Input::Message(from, message) => raft.receive(*now, from, message),
        Input::Append(from, append, entries, configuration) => {
            raft.append(*now, from, append, &entries, configuration.as_ref());
        }
        Input::Parked(from, append) => raft.append_parked(*now, from, append),
        Input::Propose => _ = raft.propose(*now, Number(1)),
        Input::Reconfigure(voters) => {
            let outgoing = raft.configuration().voters.clone();
            let voters = voters.into_iter().map(member).collect();
            let next = Configuration { voters, outgoing, ..Configuration::default() };
            _ = raft.propose_configuration(*now, next);
        }
        Input::Transfer(to) => _ = raft.transfer(*now, id(to)),
        Input::Pass(span) => {
            *now += ms(span);
            raft.tick(*now);
        }
        Input::EndBurst => raft.end_burst(*now),
        Input::Release => raft.release(raft.commit()),
    }
    host.drain(*now)
}

fn play(inputs: Vec<Input>, seed: u64) {
    let mut host = Host::new(member(0), birth(3), seed, ms(0));
    let mut now = ms(0);
    for input in inputs {
        let before = (host.raft.term(), host.raft.commit());
        let events = feed(&mut host, &mut now, input);
        assert!(events.len() <= 100, "{} doings", events.len());
        let raft = &host.raft;
        assert!(raft.term() >= before.0 && raft.commit() >= before.1);
        assert!(raft.commit() <= raft.verified() && raft.verified() <= raft.last_index());
        for event in events {
            if let Event::Did(Output::Truncated { from }) = event {
                assert!(from > before.1, "{from} was committed");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_message_harms_a_node(inputs in prop::collection::vec(input(), 0..80), seed in any::<u64>()) {
        play(inputs, seed);
    }
}

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
