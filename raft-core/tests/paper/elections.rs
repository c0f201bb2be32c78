//! Sections 5.1 and 5.2.

use raft_core::Role;
use raft_core::ids::{Incarnation, Member, Round, Term};
use raft_core::message::{Append, Message};

use crate::support::post::Post;
use crate::support::{Disk, Host, Packet, birth, index, member, ms, settings};

fn term(number: u64) -> Term {
    Term::from_wire(number)
}

/// A candidate's question, from a log as long as any here.
fn vote_request(number: u64) -> Message {
    Message::RequestVote {
        term: term(number),
        pre: false,
        transfer: false,
        last_index: index(99),
        last_term: term(99),
    }
}

fn heartbeat(number: u64, round: u64) -> Packet {
    let append = Append {
        term: term(number),
        first_of_term: index(1),
        round: Round::from_wire(round),
        answer: true,
        ..Append::default()
    };
    Packet::Append(append, Vec::new(), None)
}

fn says(post: &Post, from: usize, to: usize) -> Vec<Packet> {
    let between = post
        .mail
        .iter()
        .filter(|(sender, receiver, _)| sender.id == member(from).id && *receiver == member(to).id);
    between.map(|(.., packet)| packet.clone()).collect()
}

/// "If one server's current term is smaller than the other's, then it updates its current term to the larger value."
#[test]
fn s51_a_larger_term_is_taken_over() {
    let messages = [
        Packet::Message(vote_request(7)),
        Packet::Message(Message::Vote { term: term(7), pre: false, granted: false }),
        Packet::Message(Message::Reject {
            term: term(7),
            previous_index: index(0),
            hint: index(0),
            round: Round::ZERO,
        }),
        heartbeat(7, 1),
    ];
    for message in messages {
        let mut post = Post::new(3);
        post.step(0, |host, now| host.take(now, member(1), message, None));
        assert_eq!(post.hosts[0].raft.term(), term(7));
        assert_eq!(post.hosts[0].disk.stable.term, term(7));
    }
}

/// "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state."
#[test]
fn s51_who_is_out_of_date_follows() {
    let mut post = Post::new(3);
    post.elect(0, &[]);
    post.step(0, |host, now| host.take(now, member(1), heartbeat(2, 1), None));
    assert_eq!((post.hosts[0].raft.role(), post.hosts[0].raft.term()), (Role::Follower, term(2)));

    let mut post = Post::new(3);
    post.timeout(0);
    post.deliver(0, 1);
    post.deliver(1, 0);
    assert_eq!(post.hosts[0].raft.role(), Role::Candidate);
    let refusal = Message::Vote { term: term(2), pre: false, granted: false };
    post.step(0, |host, now| host.raft.receive(now, member(1), refusal));
    assert_eq!((post.hosts[0].raft.role(), post.hosts[0].raft.term()), (Role::Follower, term(2)));
}

/// "If a server receives a request with a stale term number, it rejects the request."
#[test]
fn s51_a_stale_request_is_rejected() {
    let mut post = Post::with_logs(&[&[1, 3], &[1, 3], &[1, 3]]);
    post.step(0, |host, now| host.raft.receive(now, member(1), vote_request(2)));
    let no = Message::Vote { term: term(3), pre: false, granted: false };
    assert_eq!(says(&post, 0, 1), [Packet::Message(no)]);
    post.mail.clear();
    post.step(0, |host, now| host.take(now, member(1), heartbeat(2, 9), None));
    let [Packet::Message(Message::Reject { term: newer, .. })] = says(&post, 0, 1)[..] else {
        panic!("{:?}", post.mail);
    };
    assert_eq!((newer, post.hosts[0].raft.leader()), (term(3), None));
}

/// "When servers start up, they begin as followers."
#[test]
fn s52_servers_start_as_followers() {
    let post = Post::new(3);
    assert!(post.hosts.iter().all(|host| host.raft.role() == Role::Follower));
    assert!(post.hosts.iter().all(|host| host.raft.leader().is_none()));
}

/// "A server remains in follower state as long as it receives valid RPCs from a leader", that is, rounds (HC9b).
#[test]
fn s52_a_follower_that_hears_a_leader_stays_one() {
    let mut post = Post::new(3);
    for round in 1..50 {
        post.pass(ms(99));
        post.step(0, |host, now| host.raft.tick(now));
        assert_eq!(post.hosts[0].raft.role(), Role::Follower, "round {round}");
        post.step(0, |host, now| host.take(now, member(1), heartbeat(1, round), None));
    }
}

/// "Leaders send periodic heartbeats … to all followers in order to maintain their authority."
#[test]
fn s52_leaders_send_heartbeats_to_all() {
    let mut post = Post::new(5);
    post.elect(0, &[]);
    for _ in 0..3 {
        post.timeout(0);
        let mut to: Vec<usize> = post.mail.iter().map(|(_, to, _)| to.place()).collect();
        to.sort_unstable();
        assert_eq!(to, [1, 2, 3, 4]);
        post.settle();
    }
}

/// "If a follower receives no communication over a period of time called the election timeout, then it … begins an
/// election", here by asking whether it would be elected.
#[test]
fn s52_a_follower_that_hears_nobody_stands() {
    let mut post = Post::new(3);
    let deadline = post.hosts[0].raft.deadline();
    post.now = deadline.saturating_sub(ms(1));
    post.step(0, |host, now| host.raft.tick(now));
    assert_eq!((post.hosts[0].raft.role(), post.mail.len()), (Role::Follower, 0));
    post.now = deadline;
    post.step(0, |host, now| host.raft.tick(now));
    assert_eq!((post.hosts[0].raft.role(), post.mail.len()), (Role::PreCandidate, 2));
}

/// "To begin an election, a follower increments its current term and transitions to candidate state. It then votes for
/// itself and issues `RequestVote` RPCs in parallel to each of the other servers."
#[test]
fn s52_a_candidate_opens_a_term_votes_for_itself_and_asks_all() {
    let mut post = Post::new(3);
    post.timeout(0);
    assert_eq!(post.hosts[0].raft.term(), term(0), "asking first moves no term");
    post.deliver(0, 1);
    post.mail.retain(|(from, ..)| from.id == member(1).id);
    post.deliver(1, 0);
    assert_eq!((post.hosts[0].raft.role(), post.hosts[0].raft.term()), (Role::Candidate, term(1)));
    assert_eq!(post.hosts[0].disk.stable.vote, Some(member(0)));
    assert_eq!((says(&post, 0, 1).len(), says(&post, 0, 2).len()), (1, 1));
}

/// "A candidate wins an election if it receives votes from a majority of the servers in the full cluster for the same
/// term."
#[test]
fn s52_a_majority_of_votes_of_the_same_term_wins() {
    for (nodes, needed) in [(2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)] {
        let mut post = Post::new(nodes);
        post.timeout(0);
        post.settle_without(&(0..nodes).filter(|&place| place > needed).collect::<Vec<_>>());
        assert_eq!(post.hosts[0].raft.role(), Role::Leader, "{needed} of {nodes}");

        let mut post = Post::new(nodes);
        post.timeout(0);
        post.settle_without(&(0..nodes).filter(|&place| place >= needed).collect::<Vec<_>>());
        assert_ne!(post.hosts[0].raft.role(), Role::Leader, "{needed} - 1 of {nodes}");
    }
}

/// The same member twice is no majority; nor is a yes of an earlier term, or one to the question before (faults.md R25).
#[test]
fn s52_votes_are_a_set_of_one_term() {
    let mut post = Post::new(5);
    post.timeout(0);
    post.settle_without(&[3, 4]);
    assert_eq!(post.hosts[0].raft.term(), term(1));

    let mut post = Post::new(5);
    post.timeout(0);
    let ask = Message::Vote { term: term(1), pre: true, granted: true };
    for voter in [1, 1, 2] {
        post.step(0, |host, now| host.raft.receive(now, member(voter), ask));
    }
    assert_eq!(post.hosts[0].raft.role(), Role::Candidate);
    let yes = |pre, number| Message::Vote { term: term(number), pre, granted: true };
    for (voter, pre, number) in [(1, false, 1), (1, false, 1), (2, false, 0), (3, true, 1)] {
        post.step(0, |host, now| host.raft.receive(now, member(voter), yes(pre, number)));
        assert_eq!(post.hosts[0].raft.role(), Role::Candidate);
    }
    post.step(0, |host, now| host.raft.receive(now, member(3), yes(false, 1)));
    assert_eq!(post.hosts[0].raft.role(), Role::Leader);
}

/// "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis", and after a
/// restart too.
#[test]
fn s52_one_vote_per_term_for_who_came_first() {
    let mut post = Post::new(3);
    for (candidate, granted) in [(1, true), (2, false), (1, true)] {
        post.step(0, |host, now| host.raft.receive(now, member(candidate), vote_request(5)));
        let answer = Message::Vote { term: term(5), pre: false, granted };
        assert_eq!(says(&post, 0, candidate), [Packet::Message(answer)]);
        post.mail.clear();
        post.restart(0, None);
    }
}

/// "Once a candidate wins an election, it becomes leader. It then sends heartbeat messages to all of the other servers to
/// establish its authority": its no-op.
#[test]
fn s52_a_winner_speaks_to_all_at_once() {
    let mut post = Post::new(3);
    post.timeout(0);
    post.settle_without(&[2]);
    assert_eq!(post.hosts[0].raft.role(), Role::Leader);
    let lines = post.drain_trace();
    let leads = lines.iter().position(|line| line == "n0 leads t1 from i1").unwrap();
    assert!(
        lines[leads..].contains(&"n0 -> n1 n2 Append t1 r1 after i0 t0: no-op/t1 commit i0".into())
    );
}

/// "If the leader's term … is at least as large as the candidate's current term, then the candidate recognizes the leader
/// as legitimate and returns to follower state. If the term in the RPC is smaller … then the candidate rejects the RPC and
/// continues in candidate state."
#[test]
fn s52_a_candidate_yields_to_a_leader_of_its_term_only() {
    let mut post = Post::with_logs(&[&[3], &[3], &[3]]);
    post.timeout(0);
    let ask = Message::Vote { term: term(4), pre: true, granted: true };
    post.step(0, |host, now| host.raft.receive(now, member(1), ask));
    assert_eq!(post.hosts[0].raft.role(), Role::Candidate);
    post.step(0, |host, now| host.take(now, member(1), heartbeat(3, 1), None));
    assert_eq!(post.hosts[0].raft.role(), Role::Candidate);
    post.step(0, |host, now| host.take(now, member(1), heartbeat(4, 1), None));
    assert_eq!(post.hosts[0].raft.role(), Role::Follower);
    assert_eq!(post.hosts[0].raft.leader(), Some(member(1).id));
}

/// "Each candidate will time out and start a new election by incrementing its term", once it would be elected.
#[test]
fn s52_a_split_vote_is_followed_by_another_election() {
    let mut post = Post::new(2);
    for at in [0, 1] {
        post.timeout(at);
    }
    // Both ask, both would be elected, both vote for themselves.
    post.deliver(0, 1);
    post.deliver(1, 0);
    post.deliver(0, 1);
    post.deliver(1, 0);
    assert!(post.hosts.iter().all(|host| host.raft.role() == Role::Candidate));
    post.settle();
    assert!(post.hosts.iter().all(|host| host.raft.role() == Role::Candidate));
    post.elect(0, &[]);
    assert_eq!(post.hosts[0].raft.term(), term(2));
}

/// "Raft uses randomized election timeouts … chosen randomly from a fixed interval (e.g., 150–300ms)."
#[test]
fn s52_election_timeouts_are_drawn_from_the_interval() {
    let mut post = Post::new(15);
    let mut timeouts: Vec<u128> = Vec::new();
    for _ in 0..20 {
        for at in 0..post.hosts.len() {
            let start = post.now;
            post.timeout(at);
            post.mail.clear();
            timeouts.push(post.hosts[at].raft.deadline().saturating_sub(post.now).as_millis());
            post.now = start;
        }
    }
    assert!(timeouts.iter().all(|timeout| (99..200).contains(timeout)), "{timeouts:?}");
    for tenth in 0..10 {
        let within = timeouts.iter().filter(|&&timeout| (timeout.max(100) - 100) / 10 == tenth);
        assert!(within.count() >= 10, "hardly any in {tenth} of {timeouts:?}");
    }
}

/// What is asked before an election moves nobody (I4).
#[test]
fn asking_first_moves_nobody() {
    let mut post = Post::with_logs(&[&[1, 1], &[1], &[1, 1]]);
    post.timeout(1);
    let before = post.hosts[0].clone();
    post.settle_without(&[2]);
    let (was, is) = (before.raft.protocol_state(), post.hosts[0].raft.protocol_state());
    assert_eq!((is, post.hosts[0].raft.deadline()), (was, before.raft.deadline()));
    assert_eq!(
        (post.hosts[1].raft.role(), post.hosts[1].raft.term()),
        (Role::PreCandidate, term(1))
    );
}

/// A leader that lives is left alone (I5), by candidates too whose term is higher, unless it hands over.
#[test]
fn a_leader_that_lives_is_left_alone() {
    let mut post = Post::new(3);
    post.elect(0, &[]);
    for place in [0, 2] {
        post.step(place, |host, now| host.raft.receive(now, member(1), vote_request(9)));
        let no = Message::Vote { term: term(1), pre: false, granted: false };
        assert_eq!(says(&post, place, 1), [Packet::Message(no)]);
        assert_eq!(post.hosts[place].raft.term(), term(1));
    }
    post.mail.clear();
    post.pass(ms(100));
    post.step(2, |host, now| host.raft.receive(now, member(1), vote_request(9)));
    assert_eq!(post.hosts[2].raft.term(), term(9));
    assert_eq!(post.hosts[2].raft.leader(), None);

    let Message::RequestVote { last_index, last_term, .. } = vote_request(9) else {
        unreachable!()
    };
    let (term, pre, transfer) = (term(9), false, true);
    let ordered = Message::RequestVote { term, pre, transfer, last_index, last_term };
    post.step(0, |host, now| host.raft.receive(now, member(1), ordered));
    assert_eq!((post.hosts[0].raft.role(), post.hosts[0].raft.term()), (Role::Follower, term));
}

/// "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to candidate"
/// (figure 2): who has just voted gives the candidate its time.
#[test]
fn s52_granting_a_vote_restarts_the_timer() {
    let mut post = Post::new(3);
    let due = post.hosts[0].raft.deadline();
    let just_before = due.saturating_sub(ms(1));
    post.hosts[0].raft.receive(just_before, member(1), vote_request(1));
    post.hosts[0].drain(just_before);
    assert!(post.hosts[0].raft.deadline() >= just_before + ms(100));

    // Who refuses goes on waiting as before.
    let due = post.hosts[0].raft.deadline();
    let just_before = due.saturating_sub(ms(1));
    post.hosts[0].raft.receive(just_before, member(2), vote_request(1));
    post.hosts[0].drain(just_before);
    assert_eq!(post.hosts[0].raft.deadline(), due);
}

/// HC13: terms at their limit are an error, not an overflow.
#[test]
fn hc13_after_the_last_term_nobody_stands() {
    let mut disk = Disk::default();
    disk.stable.term = term(u64::MAX);
    let mut host = Host::with(member(0), birth(1), settings(), disk, 1, ms(0));
    let due = host.raft.deadline();
    host.raft.tick(due);
    assert_eq!(host.drain(due), []);
    assert_eq!((host.raft.role(), host.raft.counters().term_at_limit), (Role::Follower, 1));
    assert!(host.raft.deadline() > due, "it waits again");
}

/// HC11b: an incarnation that no configuration names as a voter does not campaign.
#[test]
fn hc11b_who_is_no_voter_does_not_stand() {
    for (me, stands) in [(member(2), true), (member(5), false)] {
        let mut host = Host::new(me, birth(3), 1, ms(0));
        let due = host.raft.deadline();
        host.raft.tick(due);
        assert_eq!(host.drain(due).is_empty(), !stands, "{me:?}");
        assert_eq!(host.raft.role() == Role::PreCandidate, stands);
    }
}

/// HC11a: votes name id and incarnation and count for that incarnation only.
#[test]
fn hc11a_the_vote_of_another_life_does_not_count() {
    let mut host = Host::new(member(0), birth(3), 1, ms(0));
    let due = host.raft.deadline();
    host.raft.tick(due);
    host.drain(due);
    let yes = Packet::Message(Message::Vote { term: term(1), pre: true, granted: true });
    let reborn = Member { incarnation: Incarnation::from_wire(2), ..member(1) };
    host.receive(due, reborn, yes.clone());
    assert_eq!(host.raft.role(), Role::PreCandidate);
    host.receive(due, member(1), yes);
    assert_eq!(host.raft.role(), Role::Candidate);
}
