//! What there is to know of a node, for the layer above and for those who watch.

use core::fmt::Debug;

use crate::counters::Counters;
use crate::election::Role;
use crate::entry::{Command, Configuration, Entry};
use crate::ids::{LogIndex, Member, NodeId, Term};
use crate::progress::Progress;
use crate::raft::Raft;

impl<E: Command, C: Clone + Eq + Debug> Raft<E, C> {
    /// This node, this life.
    #[must_use]
    pub const fn me(&self) -> Member {
        self.me
    }

    /// What it does in its term.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.election.role
    }

    /// Its term.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.election.term
    }

    /// Who leads its term, when known.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.election.leader.map(|leader| leader.id)
    }

    /// Who leads its term, id and incarnation, when known.
    #[must_use]
    pub const fn leader_member(&self) -> Option<Member> {
        self.election.leader
    }

    /// Entries up to here are committed.
    #[must_use]
    pub const fn commit(&self) -> LogIndex {
        self.commit.index()
    }

    /// How far entries are committed by the highest word of this term, the leader's or an aggregator's: an upper bound of
    /// [`Self::commit`], which is held back while this log is not known to reach so far (HC2b). `None` until it covers the
    /// term's first index: before, a new leader may not know of all that was committed. A node that has applied up to it
    /// has seen all that was committed when the word was given.
    #[must_use]
    pub fn word_of_commit(&self) -> Option<LogIndex> {
        self.commit.word_of_term()
    }

    /// The log is known to equal that of the term's leader up to here (verified(term), HC1b, HC2b).
    #[must_use]
    pub fn verified(&self) -> LogIndex {
        if self.election.role == Role::Leader { self.log.last() } else { self.commit.verified() }
    }

    /// Entries up to here are on stable storage (HC1c).
    #[must_use]
    pub const fn durable(&self) -> LogIndex {
        self.disk.index()
    }

    /// Index of the newest entry; zero when there never was one.
    #[must_use]
    pub const fn last_index(&self) -> LogIndex {
        self.log.last()
    }

    /// Term of the newest entry.
    #[must_use]
    pub const fn last_term(&self) -> Term {
        self.log.last_term()
    }

    /// Index of the oldest entry kept; `last_index + 1` when there is none.
    #[must_use]
    pub const fn first_index(&self) -> LogIndex {
        self.log.base().next()
    }

    /// Index of the term's no-op, once this node knows it (HC2a).
    #[must_use]
    pub const fn first_of_term(&self) -> Option<LogIndex> {
        self.commit.first_of_term()
    }

    /// The entry at `index`, when it is held.
    #[must_use]
    pub fn entry(&self, index: LogIndex) -> Option<&Entry<E>> {
        self.log.get(index)
    }

    /// The entries held from `from` to `to`, in order, in two runs of which the second is empty but where the ring begins
    /// again. Cheaper than one [`Self::entry`] after the other.
    #[must_use]
    pub fn entries(&self, from: LogIndex, to: LogIndex) -> (&[Entry<E>], &[Entry<E>]) {
        self.log.runs(from, to)
    }

    /// Term of the entry at `index`: known from the one before the first held on.
    #[must_use]
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.log.term_at(index)
    }

    /// How many entries the log can take, and how many of these are not for commands.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        (self.log.room(), self.config.log_reserve as usize)
    }

    /// The configuration in force: the newest in the log, committed or not.
    #[must_use]
    pub fn configuration(&self) -> &Configuration<C> {
        self.configurations.newest()
    }

    /// The configuration that decides for the entry at `index`.
    #[must_use]
    pub fn configuration_at(&self, index: LogIndex) -> &Configuration<C> {
        self.configurations.at(index)
    }

    /// The newest committed configuration.
    #[must_use]
    pub fn committed_configuration(&self) -> &Configuration<C> {
        self.configurations.at(self.commit.index())
    }

    /// How far the follower `id` is known to hold this leader's log; the leader's own is what is durable. `None` when
    /// this node does not lead or nobody has that id.
    #[must_use]
    pub fn match_index(&self, id: NodeId) -> Option<LogIndex> {
        if self.election.role != Role::Leader {
            return None;
        }
        if id == self.me.id {
            return Some(self.disk.index());
        }
        let mut all = self.leading.followers.iter();
        all.find(|progress| progress.member.id == id && progress.reachable)
            .map(|found| found.matched)
    }

    /// How far every member of the configuration in force is known to hold this leader's log; zero when this node does not lead.
    #[must_use]
    pub fn held_by_all(&self) -> LogIndex {
        if self.election.role != Role::Leader {
            return LogIndex::ZERO;
        }
        let reachable = self.leading.followers.iter().filter(|progress| progress.reachable);
        reachable.map(|progress| progress.matched).fold(self.disk.index(), LogIndex::min)
    }

    /// What the leader knows of its followers; empty when this node does not lead.
    #[must_use]
    pub fn followers(&self) -> &[Progress] {
        &self.leading.followers
    }

    /// Whether leadership is being handed over.
    #[must_use]
    pub const fn is_transferring(&self) -> bool {
        self.leading.transfer.is_some()
    }

    /// Whether this node votes: named as a voter, id and incarnation, by the configuration in force (HC11a).
    #[must_use]
    pub const fn is_voter(&self) -> bool {
        self.election.standing.voter
    }

    /// Whether this node answers candidates and leaders at all: named by the newest configuration, in the log, committed
    /// or adopted (HC11b).
    #[must_use]
    pub const fn is_named(&self) -> bool {
        self.election.standing.named
    }

    /// What happened how often.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}
