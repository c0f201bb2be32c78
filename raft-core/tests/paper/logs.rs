//! Sections 5.3, 5.4 and 5.5. Figures 7 and 8 are scripts.

use raft_core::entry::{Configuration, Entry, Payload};
use raft_core::ids::{Round, Term};
use raft_core::message::{Append, Message};
use raft_core::{Instant, Role};

use crate::support::post::Post;
use crate::support::{Disk, Event, Host, Number, Packet, birth, index, member, ms, settings};

fn term(number: u64) -> Term {
    Term::from_wire(number)
}

fn commits(post: &Post) -> Vec<u64> {
    post.hosts.iter().map(|host| host.raft.commit().to_wire()).collect()
}

/// "The leader appends the command to its log as a new entry, then issues `AppendEntries` RPCs in parallel to each of the
/// other servers to replicate the entry."
#[test]
fn s53_a_command_is_appended_and_sent_to_all_at_once() {
    let mut post = Post::new(3);
    post.elect(0, &[]);
    post.drain_trace();
    assert_eq!(post.propose(0, 7), index(2));
    let lines = ["n0 writes i2 to i2", "n0 -> n1 n2 Append t1 r1 after i1 t1: 7/t1 commit i1"];
    assert_eq!(post.drain_trace(), lines);
}

/// "If followers crash or run slowly, or if network packets are lost, the leader retries `AppendEntries` RPCs indefinitely
/// (even after it has responded to the client) until all followers eventually store all log entries."
#[test]
fn s53_the_leader_retries_until_all_hold_everything() {
    let mut post = Post::new(3);
    post.elect(0, &[2]);
    for number in 0..12 {
        post.propose(0, number);
        post.settle_without(&[2]);
    }
    for _ in 0..30 {
        post.timeout(0);
        post.settle_without(&[2]);
    }
    assert_eq!(commits(&post), [13, 13, 0]);
    post.timeout(0);
    post.settle();
    post.timeout(0);
    post.settle();
    assert_eq!(commits(&post), [13, 13, 13]);
    assert_eq!(post.hosts[2].entries(), post.hosts[0].entries());
}

/// "A log entry is committed once the leader that created the entry has replicated it on a majority of the servers."
#[test]
fn s53_what_a_majority_holds_is_committed() {
    for (nodes, needed) in [(3, 1), (4, 2), (5, 2), (7, 3)] {
        let mut post = Post::new(nodes);
        post.elect(0, &[]);
        post.propose(0, 1);
        let away = |from: usize| (from..nodes).collect::<Vec<_>>();
        post.settle_without(&away(needed));
        assert_eq!(commits(&post)[0], 1, "{} of {nodes}", needed);
        post.timeout(0);
        post.settle_without(&away(needed + 1));
        assert_eq!(commits(&post)[0], 2, "{} of {nodes}", needed + 1);
    }
}

/// "This also commits all preceding entries in the leader's log, including entries created by previous leaders."
#[test]
fn s53_a_commit_takes_all_preceding_entries_along() {
    let mut post = Post::with_logs(&[&[1, 1, 2], &[1, 1], &[1]]);
    post.elect(0, &[]);
    assert_eq!(commits(&post), [4, 4, 4]);
    assert_eq!(post.hosts[2].terms(), [1, 1, 2, 3]);
}

/// "The leader keeps track of the highest index it knows to be committed, and it includes that index in future
/// `AppendEntries` RPCs (including heartbeats) so that the other servers eventually find out."
#[test]
fn s53_heartbeats_bring_the_commit_index_too() {
    let mut post = Post::new(3);
    post.elect(0, &[]);
    post.propose(0, 1);
    post.settle_without(&[2]);
    post.propose(0, 2);
    post.mail.retain(|(_, to, _)| *to != member(2).id);
    post.settle_without(&[2]);
    assert_eq!(commits(&post), [3, 3, 1]);
    post.timeout(0);
    post.settle();
    assert_eq!(commits(&post), [3, 3, 3]);
}

/// With nothing to append, news of a commit goes out at once and wants no answer (design 2).
#[test]
fn news_of_a_commit_waits_for_no_heartbeat() {
    let mut post = Post::new(3);
    post.elect(0, &[]);
    post.propose(0, 1);
    post.drain_trace();
    post.settle();
    let lines = post.drain_trace();
    assert!(lines.contains(&"n0 -> n1 n2 Append t1 r1 after i2 t1: commit i2 no-answer".into()));
    assert_eq!(commits(&post), [2, 2, 2]);
    assert_eq!(lines.iter().filter(|line| line.contains("Ack")).count(), 2);
}

/// "If the follower does not find an entry in its log with the same index and term, then it refuses the new entries."
#[test]
fn s53_a_follower_refuses_what_does_not_follow() {
    for (previous, previous_term, fits) in
        [(2, 1, true), (2, 2, false), (3, 1, false), (1, 1, true)]
    {
        let mut post = Post::with_logs(&[&[1, 1], &[1, 1], &[1, 1]]);
        let append = Append {
            term: term(5),
            previous_index: index(previous),
            previous_term: term(previous_term),
            first_of_term: index(3),
            round: Round::from_wire(1),
            answer: true,
            ..Append::default()
        };
        post.step(0, |host, now| host.raft.append(now, member(1), append, &[], None));
        let (.., packet) = &post.mail[0];
        let acknowledged = matches!(packet, Packet::Message(Message::Ack { .. }));
        assert_eq!(acknowledged, fits, "after {previous} of {previous_term}: {packet:?}");
        assert_eq!(post.hosts[0].terms(), [1, 1]);
    }
}

/// "A leader never overwrites or deletes entries in its own log (the *Leader Append-Only Property*)."
#[test]
fn s53_a_leader_only_appends() {
    let mut post = Post::with_logs(&[&[1, 1, 1], &[1, 1, 1], &[1, 1, 1]]);
    post.elect(0, &[1]);
    let before = post.hosts[0].entries();
    let usurper = Append { term: term(2), first_of_term: index(1), ..Append::default() };
    post.step(0, |host, now| host.raft.append(now, member(1), usurper, &[], None));
    post.settle();
    assert_eq!((post.hosts[0].raft.role(), post.hosts[0].entries()), (Role::Leader, before));
    assert!(!post.drain_trace().iter().any(|line| line.contains("cuts")));
}

/// "If desired, the protocol can be optimized to reduce the number of rejected `AppendEntries` RPCs": a term at a time.
#[test]
fn s53_the_leader_goes_back_a_term_at_a_time() {
    let mut post = Post::with_logs(&[
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    ]);
    post.elect(0, &[]);
    let refusals = post.drain_trace();
    let refusals: Vec<_> = refusals.iter().filter(|line| line.contains("Reject")).collect();
    assert_eq!(refusals.len(), 3, "{refusals:?}");
    assert_eq!(post.hosts[1].entries(), post.hosts[0].entries());
}

/// "The voter denies its vote if its own log is more up-to-date than that of the candidate": by the term of the last entry,
/// and by length when that is the same.
#[test]
fn s541_a_voter_denies_its_vote_to_the_older_log() {
    let cases: [(&[u64], &[u64], bool); 6] = [
        (&[1, 1], &[1, 1], true),
        (&[1, 1, 1], &[1, 1], true),
        (&[1], &[1, 1], false),
        (&[1, 2], &[1, 1, 1, 1], true),
        (&[1, 1, 1, 1], &[1, 2], false),
        (&[2], &[], true),
    ];
    for (candidate, voter, elected) in cases {
        let mut post = Post::with_logs(&[candidate, voter, &[]]);
        post.timeout(0);
        post.settle_without(&[2]);
        let leads = post.hosts[0].raft.role() == Role::Leader;
        assert_eq!(leads, elected, "{candidate:?} asks {voter:?}");
    }
}

/// "Raft never commits log entries from previous terms by counting replicas" (and figure 8, a script).
#[test]
fn s542_entries_of_earlier_terms_are_not_counted() {
    let mut post = Post::with_logs(&[&[1, 2], &[1, 2], &[1, 2]]);
    post.timeout(0);
    post.settle_without(&[2]);
    assert_eq!(commits(&post)[0], 3);

    // Everybody acknowledges what was there before the no-op, nobody the no-op.
    let mut post = Post::with_logs(&[&[1, 2], &[1, 2], &[1, 2]]);
    post.timeout(0);
    for _ in 0..2 {
        post.deliver(0, 1);
        post.deliver(1, 0);
    }
    assert_eq!(post.hosts[0].raft.role(), Role::Leader);
    for voter in [1, 2] {
        let (term, round) = (term(3), Round::from_wire(1));
        let ack = Message::Ack { epoch: index(0), term, index: index(2), round };
        post.step(0, |host, now| host.raft.receive(now, member(voter), ack));
    }
    assert_eq!(commits(&post)[0], 0);
}

/// "Raft RPCs are idempotent, so this causes no harm": everything twice.
#[test]
fn s55_everything_may_come_twice() {
    let mut post = Post::new(3);
    post.elect(0, &[]);
    for number in 0..4 {
        post.hosts[0].raft.propose(post.now, Number(number)).unwrap();
        post.step(0, |_, _| ());
        for follower in [1, 2] {
            post.duplicate(0, follower);
            post.deliver(0, follower);
            post.duplicate(follower, 0);
            post.deliver(follower, 0);
        }
        post.settle();
    }
    assert_eq!(commits(&post), [5, 5, 5]);
    assert!(post.hosts.iter().all(|host| host.terms() == [1, 1, 1, 1, 1]));
    assert!(!post.drain_trace().iter().any(|line| line.contains("cuts")));
}

/// HC11b: an incarnation that no configuration names neither acknowledges nor refuses, though it follows.
#[test]
fn hc11b_who_is_not_named_says_nothing_to_an_append() {
    for (me, answers) in [(member(2), 1), (member(5), 0)] {
        let mut host = Host::new(me, birth(3), 1, ms(0));
        for previous in [0, 9] {
            let append = Append {
                term: term(1),
                first_of_term: index(1),
                previous_index: index(previous),
                round: Round::from_wire(1),
                answer: true,
                ..Append::default()
            };
            host.raft.append(ms(1), member(0), append, &[], None);
            let sent = host.drain(ms(1)).into_iter();
            let sent = sent.filter(|event| matches!(event, Event::Sent(..))).count();
            assert_eq!(sent, answers, "{me:?} after {previous}");
        }
        assert_eq!(host.raft.leader(), Some(member(0).id));
    }
}

/// The first of three, elected at the moment returned; its no-op is sent and not yet acknowledged.
fn leader_of_term_1() -> (Host, Instant) {
    let mut host = Host::new(member(0), birth(3), 1, ms(0));
    let now = host.raft.deadline();
    host.raft.tick(now);
    host.drain(now);
    for pre in [true, false] {
        let yes = Message::Vote { term: term(1), pre, granted: true };
        host.receive(now, member(1), Packet::Message(yes));
    }
    host.raft.end_burst(now);
    host.drain(now);
    (host, now)
}

/// Section 6: during a change, "agreement requires separate majorities from both the old and new configurations".
#[test]
fn s6_a_joint_configuration_commits_by_both_majorities() {
    let ack = |at| Message::Ack {
        epoch: index(0),
        term: term(1),
        index: index(at),
        round: Round::from_wire(1),
    };
    for [first, second] in [[3, 1], [1, 3]] {
        let (mut host, now) = leader_of_term_1();
        host.receive(now, member(1), Packet::Message(ack(1)));
        let joint = Configuration {
            voters: [0, 3, 4].map(member).into(),
            outgoing: [0, 1, 2].map(member).into(),
            ..Configuration::default()
        };
        assert_eq!(host.raft.propose_configuration(now, joint), Ok(index(2)));
        host.raft.end_burst(now);
        host.drain(now);
        host.receive(now, member(first), Packet::Message(ack(2)));
        assert_eq!(host.raft.commit(), index(1), "n{first} is of one half only");
        host.receive(now, member(second), Packet::Message(ack(2)));
        assert_eq!(host.raft.commit(), index(2));
    }
}

/// HC1b: entries of an earlier leader, which this term's may not have, are not acknowledged to it, however far its append
/// reaches.
#[test]
fn hc1b_what_is_not_verified_is_not_acknowledged() {
    let mut disk = Disk::default();
    disk.stable.term = term(1);
    disk.stable.entries = vec![Entry { term: term(1), payload: Payload::NoOp }; 3];
    let mut host = Host::with(member(0), birth(3), settings(), disk, 1, ms(0));
    let append = Append {
        term: term(2),
        first_of_term: index(6),
        previous_index: index(5),
        previous_term: term(1),
        round: Round::from_wire(1),
        count: 1,
        answer: true,
        ..Append::default()
    };
    host.raft.append_parked(ms(1), member(1), append);
    let sent = host.drain(ms(1));
    let acks: Vec<_> = sent
        .iter()
        .filter_map(|event| match event {
            Event::Sent(_, Packet::Message(Message::Ack { index, .. })) => Some(index.to_wire()),
            _ => None,
        })
        .collect();
    assert_eq!(acks, [0]);
}

/// Who gets no entries in a burst, for its window is full, hears of the commit all the same.
#[test]
fn news_of_a_commit_reaches_whom_an_append_left_out() {
    let ack = |at| {
        let round = Round::from_wire(1);
        Packet::Message(Message::Ack { epoch: index(0), term: term(1), index: index(at), round })
    };
    let (mut host, now) = leader_of_term_1();
    host.receive(now, member(1), ack(1));
    host.receive(now, member(2), ack(1));
    for number in 0..5 {
        host.raft.propose(now, Number(number)).unwrap();
        host.raft.end_burst(now);
        host.drain(now);
    }
    host.receive(now, member(1), ack(5));
    host.raft.end_burst(now);
    let told: Vec<_> = host
        .drain(now)
        .into_iter()
        .filter_map(|event| match event {
            Event::SentAll(to, Packet::Append(append, ..)) => {
                Some((to, append.count, append.commit))
            }
            _ => None,
        })
        .collect();
    let [one, two] = [1, 2].map(|place| vec![member(place).id]);
    assert_eq!(told, [(one, 1, index(5)), (two, 0, index(5))]);
}
