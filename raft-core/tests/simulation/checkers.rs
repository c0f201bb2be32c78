//! Raft's promises (figure 3 of the paper), asked from outside, after every step of every node.

use std::collections::BTreeMap;

use raft_core::Role;
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{LogIndex, Member, NodeId, Term};
use raft_core::message::Message;
use raft_core::output::{Output, Persist};

use crate::support::{Event, Host, Number, Packet};

/// What was ever seen.
#[derive(Clone, Debug, Default)]
pub struct Checkers {
    /// Who led.
    leaders: BTreeMap<Term, Member>,
    /// Who voted for whom.
    votes: BTreeMap<(Member, Term), NodeId>,
    /// Every entry that ever stood in a log, and the term of the one before it.
    written: BTreeMap<(LogIndex, Term), (Payload<Number>, Term)>,
    /// What is committed, and the term in which somebody first said so.
    committed: BTreeMap<LogIndex, (Entry<Number>, Term)>,
    /// What a term's leader holds at an index, by its own log and everybody's acknowledgements.
    acknowledged: BTreeMap<(Term, LogIndex), Entry<Number>>,
    /// Term and commit index of each life.
    lives: BTreeMap<Member, (Term, LogIndex)>,
    pub seen: Seen,
}

/// How often what the simulation is for came to pass: what never does is not tested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub restarts: u64,
    pub leaders: u64,
    pub truncations: u64,
    /// Commits that an aggregator's word moved.
    pub by_aggregator: u64,
    /// Leaders that the order of another made.
    pub handed_over: u64,
    /// Voters changed and the change was finished.
    pub changes: u64,
    /// A majority fell silent and its leader noticed.
    pub quorums_lost: u64,
    /// Followers that only a snapshot could have helped.
    pub left_behind: u64,
    pub refused_for_room: u64,
}

impl Checkers {
    /// Looks at what `host` just did.
    pub fn look(&mut self, host: &Host, events: &[Event]) {
        let me = host.raft.me();
        for event in events {
            match event {
                Event::Did(Output::BecameLeader { term, first }) => {
                    self.seen.leaders += 1;
                    // A cluster of one asks nobody.
                    self.votes_for_itself(me, *term);
                    self.leads(host, *term);
                    // Its no-op opens the term (HC2a).
                    let no_op = Entry { term: *term, payload: Payload::NoOp };
                    assert_eq!(host.raft.entry(*first), Some(&no_op), "{me:?}");
                }
                Event::Did(Output::Committed(index)) => self.commits(host, *index),
                Event::Did(Output::Truncated { from }) => {
                    self.seen.truncations += 1;
                    let kept = self.lives.get(&me).map_or(LogIndex::ZERO, |&(_, commit)| commit);
                    assert!(*from > kept, "{me:?} cut {from}, committed {kept}");
                }
                Event::Did(Output::Persist { what: Persist::Entries { from, to }, .. }) => {
                    self.writes(host, *from, *to);
                }
                Event::Sent(to, Packet::Message(message)) => self.says(host, *to, message),
                _ => {}
            }
        }
        self.lives_on(host);
    }

    /// A durable node is back with what its disk held.
    pub fn restarted(&mut self, host: &Host) {
        self.seen.restarts += 1;
        let life = self.lives.entry(host.raft.me()).or_default();
        *life = (host.raft.term(), host.raft.commit());
    }

    pub fn committed_commands(&self) -> usize {
        let command =
            |(entry, _): &&(Entry<Number>, Term)| matches!(entry.payload, Payload::Command(_));
        self.committed.values().filter(command).count()
    }

    /// *Election Safety* and *Leader Completeness*.
    fn leads(&mut self, host: &Host, term: Term) {
        let me = host.raft.me();
        assert_eq!(*self.leaders.entry(term).or_insert(me), me, "two leaders in {term}");
        // I3: by a majority, or both, of the lives that its configuration names.
        let configuration = host.raft.configuration();
        let voted = |voter: &&Member| self.votes.get(&(**voter, term)) == Some(&me.id);
        let majority = |half: &[Member]| half.iter().filter(voted).count() * 2 > half.len();
        assert!(majority(&configuration.voters), "{me:?} leads {term} without votes");
        let outgoing = !configuration.is_joint() || majority(&configuration.outgoing);
        assert!(outgoing, "{me:?} leads {term} without the votes of who leaves");
        for (&index, (entry, said)) in &self.committed {
            if *said < term {
                let held = host.raft.entry(index);
                let gone = index < host.raft.first_index();
                assert!(gone || held == Some(entry), "leader {me:?} of {term} lacks {index}");
            }
        }
    }

    /// *State Machine Safety*.
    fn commits(&mut self, host: &Host, index: LogIndex) {
        let (me, term) = (host.raft.me(), host.raft.term());
        let before = self.lives.get(&me).map_or(LogIndex::ZERO, |&(_, commit)| commit);
        assert!(index > before, "commit of {me:?} went from {before} to {index} (R5)");
        assert!(index <= host.raft.verified(), "HC2b: {me:?} committed {index}");
        if host.raft.role() == Role::Leader {
            assert!(Some(index) >= host.raft.first_of_term(), "HC2a: {me:?} committed {index}");
        }
        let mut at = before;
        while at < index {
            at = at.next();
            let entry = *host.raft.entry(at).expect("what is committed is held");
            let chosen = self.committed.entry(at).or_insert((entry, term));
            assert_eq!(chosen.0, entry, "{me:?} committed another entry at {at}");
        }
        self.lives.entry(me).or_default().1 = index;
        let epoch = host.raft.configuration_at(index).epoch;
        let finished = epoch > before && !host.raft.configuration_at(index).is_joint();
        self.seen.changes +=
            u64::from(finished && host.raft.configuration_at(epoch.prev()).is_joint());
    }

    /// What a node counted in the life that ends now.
    pub fn count(&mut self, host: &Host) {
        let counters = host.raft.counters();
        self.seen.by_aggregator += counters.quorum_acks;
        self.seen.quorums_lost += counters.quorums_lost;
        self.seen.refused_for_room += counters.entries_refused;
        let behind = host.raft.followers().iter().filter(|one| one.needs_snapshot).count();
        self.seen.left_behind += behind as u64;
    }

    /// *Log Matching*: index and term decide the entry and, by induction, all before it.
    fn writes(&mut self, host: &Host, from: LogIndex, to: LogIndex) {
        let mut at = from;
        while at <= to {
            let entry = *host.raft.entry(at).expect("what is to be persisted is held");
            let before = host.raft.term_at(at.prev()).expect("so is the term before it");
            let seen = self.written.entry((at, entry.term)).or_insert((entry.payload, before));
            assert_eq!(*seen, (entry.payload, before), "two entries at {at} of {}", entry.term);
            if host.raft.role() == Role::Leader {
                let said = self.acknowledged.entry((host.raft.term(), at)).or_insert(entry);
                assert_eq!(*said, entry, "HC1b: somebody acknowledged another entry at {at}");
            }
            at = at.next();
        }
    }

    fn says(&mut self, host: &Host, to: NodeId, message: &Message) {
        let me = host.raft.me();
        match *message {
            Message::Vote { term, pre: false, granted: true } => {
                let vote = *self.votes.entry((me, term)).or_insert(to);
                assert_eq!(vote, to, "{me:?} voted twice in {term}");
                assert!(host.disk.stable.term >= term, "R1: a vote that is not durable");
            }
            Message::RequestVote { term, pre: false, transfer, .. } => {
                self.seen.handed_over += u64::from(transfer);
                assert!(host.disk.stable.term >= term, "R1: a candidacy that is not durable");
                self.votes_for_itself(me, term);
            }
            Message::Ack { term, index, .. } => self.acknowledges(host, term, index),
            _ => {}
        }
    }

    fn votes_for_itself(&mut self, me: Member, term: Term) {
        let vote = *self.votes.entry((me, term)).or_insert(me.id);
        assert_eq!(vote, me.id, "{me:?} voted twice in {term}");
    }

    /// HC1b and HC1c: what is acknowledged is durable, and is the leader's.
    fn acknowledges(&mut self, host: &Host, term: Term, index: LogIndex) {
        let me = host.raft.me();
        let stable = &host.disk.stable;
        assert!(stable.term >= term, "HC1c: {me:?} acknowledged in a term that is not durable");
        let Ok(count) = usize::try_from(index.to_wire()) else {
            panic!("{me:?} acknowledged {index}")
        };
        if count > 0 && stable.term == term {
            let entry = stable.entries.get(count - 1);
            let entry = entry.unwrap_or_else(|| panic!("HC1c: {index} is not durable on {me:?}"));
            let said = self.acknowledged.entry((term, index)).or_insert(*entry);
            assert_eq!(said, entry, "HC1b: {me:?} acknowledged another entry at {index} of {term}");
        }
    }

    fn lives_on(&mut self, host: &Host) {
        let life = self.lives.entry(host.raft.me()).or_default();
        assert!(host.raft.term() >= life.0, "I1: the term of {:?} fell", host.raft.me());
        assert_eq!(host.raft.commit(), life.1, "a commit index moves with an output");
        life.0 = host.raft.term();
    }
}
