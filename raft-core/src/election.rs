//! Who leads: terms, votes and timeouts (Raft, section 5.2; pre-vote and check-quorum: Ongaro's thesis, 9.6 and 6.2).
//!
//! Invariants:
//! - I1. The term never falls.
//! - I2. In one term a node votes for one member at most, across restarts: its vote is durable before the answer leaves.
//! - I3. A node leads a term only with the votes of a majority (of both majorities while a change is under way), of the
//!   incarnations that the configuration in force names (HC11a).
//! - I4. Asking whether an election would be won (pre-vote) moves nobody's term, vote or timer.
//! - I5. The timer restarts when a leader of the term opens a round (HC9b), and with an own vote (Raft, 5.2). Who heard a
//!   leader within the shortest election timeout votes for nobody, unless that leader hands over.
//!
//! I2 and I3 give *Election Safety* (Raft, figure 3).

use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use crate::Instant;
use crate::entry::Command;
use crate::ids::{Member, Seq, Term};
use crate::message::Message;
use crate::output::Output;
use crate::quorum;
use crate::raft::Raft;
use planted::Plant;

/// What a node does in its term.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Role {
    /// Takes entries from a leader, or waits for one.
    #[default]
    Follower,
    /// Asks whether it would be elected.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// Term, vote, role and their timer.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    pub(crate) term: Term,
    pub(crate) vote: Option<Member>,
    pub(crate) role: Role,
    pub(crate) leader: Option<Member>,
    /// Who said yes to the present question.
    pub(crate) votes: Vec<Member>,
    pub(crate) standing: Standing,
    /// Set by the layer above: never take part.
    pub(crate) silent: bool,
    /// Set by the layer above: wait twice as long (HC12).
    pub(crate) delayed: bool,
    /// Term or vote changed and was not handed over yet.
    pub(crate) unsaved: bool,
    /// When the leader of this term last opened a round.
    heard: Option<Instant>,
    timer_from: Instant,
    timeout: Duration,
    random: u64,
}

/// What the configurations say of this node.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Standing {
    /// Votes, by the one in force.
    pub(crate) voter: bool,
    /// May stand: votes by the one in force, or did by the one before, which is not known to be replaced. Whoever is
    /// about to leave may be the only one who holds the entry that says so (Ongaro's thesis, 4.2.2).
    pub(crate) stands: bool,
    /// Takes part in some way, by one of these, the newest committed one, or one adopted.
    pub(crate) named: bool,
}

impl Election {
    pub(crate) fn new(term: Term, vote: Option<Member>, seed: u64, now: Instant) -> Self {
        Self {
            term,
            vote,
            role: Role::Follower,
            leader: None,
            votes: Vec::with_capacity(2 * quorum::VOTERS_MAX),
            standing: Standing::default(),
            silent: false,
            delayed: false,
            unsaved: false,
            heard: None,
            timer_from: now,
            timeout: Duration::ZERO,
            random: seed,
        }
    }

    /// Uniform below `span` (splitmix64).
    fn random_below(&mut self, span: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(mixed % span)
    }
}

impl<E: Command, C: Clone + Eq + Debug> Raft<E, C> {
    pub(crate) fn on_request_vote(&mut self, now: Instant, from: Member, question: Message) {
        let Message::RequestVote { term, pre, transfer, last_index, last_term } = question else {
            return;
        };
        // HC11b. A learner answers: the candidate's configuration, which may be newer, says whether it counts (HC11a), and a
        // voter that has not heard of its vote yet may be the one that is missing.
        if !self.election.standing.named {
            self.counters.stale += 1;
            return;
        }
        let sticky = !transfer && self.hears_a_leader(now); // I5
        if sticky && term > self.election.term {
            self.counters.votes_refused_for_leader += 1;
        }
        let as_new = (last_term, last_index) >= (self.log.last_term(), self.log.last());
        if pre {
            // I4
            let granted = !sticky && term > self.election.term && as_new;
            let term = if granted { term } else { self.election.term };
            self.send(from.id, Message::Vote { term, pre, granted }, Seq::ZERO);
            return;
        }
        if sticky || term < self.election.term {
            let refusal = Message::Vote { term: self.election.term, pre, granted: false };
            self.send(from.id, refusal, Seq::ZERO);
            return;
        }
        if term > self.election.term {
            self.become_follower(now, term, None);
        }
        let granted = as_new && self.election.vote.is_none_or(|vote| vote == from);
        if granted && self.election.vote.is_none() {
            self.election.vote = Some(from);
            self.election.unsaved = true;
            self.restart_election_timer(now);
        }
        self.save_vote();
        let needs = if granted { self.disk.needs_vote() } else { Seq::ZERO }; // I2
        self.send(from.id, Message::Vote { term, pre, granted }, needs);
    }

    pub(crate) fn on_vote(
        &mut self,
        now: Instant,
        from: Member,
        term: Term,
        pre: bool,
        granted: bool,
    ) {
        let asked = match self.election.role {
            Role::PreCandidate if pre => self.election.term.next(),
            Role::Candidate if !pre || planted::is(Plant::R25) => Some(self.election.term),
            _ => None,
        };
        let asked = if planted::is(Plant::R9) { asked.map(|_| term) } else { asked };
        if granted && asked == Some(term) {
            self.count_vote(now, from);
        } else if term > self.election.term && !(pre && granted) {
            self.become_follower(now, term, None);
        } else {
            self.counters.stale += 1;
        }
    }

    /// The leader hands over.
    pub(crate) fn on_timeout_now(&mut self, now: Instant, from: Member, term: Term) {
        let ordered = term == self.election.term
            && self.election.role == Role::Follower
            && self.election.leader == Some(from);
        if ordered && self.may_stand() {
            self.campaign(now, true);
        } else {
            self.counters.stale += 1;
        }
    }

    /// The election timer has run out.
    pub(crate) fn stand(&mut self, now: Instant) {
        self.restart_election_timer(now);
        self.election.role = Role::Follower;
        self.election.leader = None;
        if !self.may_stand() {
            return;
        }
        self.counters.pre_votes_started += 1;
        self.election.role = Role::PreCandidate;
        self.election.votes.clear();
        if let Some(term) = self.election.term.next() {
            self.ask_for_votes(term, true, false, Seq::ZERO);
        }
        self.count_vote(now, self.me);
    }

    /// One more yes to the present question.
    pub(crate) fn count_vote(&mut self, now: Instant, from: Member) {
        let configuration = self.configurations.newest();
        if !configuration.is_voter(from) || self.election.votes.contains(&from) {
            return;
        }
        self.election.votes.push(from);
        let votes = &self.election.votes;
        if !quorum::agrees(configuration, |member| votes.contains(&member)) {
            return; // I3
        }
        match self.election.role {
            Role::PreCandidate => self.campaign(now, false),
            Role::Candidate => self.become_leader(now),
            Role::Follower | Role::Leader => {}
        }
    }

    /// Opens a term and asks for votes. The own one counts once it is durable, by `persisted`.
    fn campaign(&mut self, now: Instant, transfer: bool) {
        let Some(term) = self.election.term.next() else {
            return;
        };
        self.counters.elections_started += 1;
        self.begin_term(term);
        self.election.vote = Some(self.me);
        self.election.role = Role::Candidate;
        self.election.leader = None;
        self.election.votes.clear();
        self.restart_election_timer(now);
        self.save_vote();
        let needs = self.disk.needs_vote();
        self.ask_for_votes(term, false, transfer, needs);
    }

    fn ask_for_votes(&mut self, term: Term, pre: bool, transfer: bool, needs: Seq) {
        let (last_index, last_term) = (self.log.last(), self.log.last_term());
        let question = Message::RequestVote { term, pre, transfer, last_index, last_term };
        let mut voters = self.configurations.newest().electorate();
        voters.remove(self.me.id);
        for to in voters.iter() {
            self.send(to, question, needs);
        }
    }

    /// Follows in `term`, which is the present one or later.
    pub(crate) fn become_follower(&mut self, now: Instant, term: Term, leader: Option<Member>) {
        assert!(term >= self.election.term, "I1: {term} after {}", self.election.term);
        let before = (self.election.term, self.election.role, self.election.leader);
        self.save_entries();
        if term > self.election.term {
            self.begin_term(term);
        }
        if self.election.role == Role::Leader {
            if term == before.0 {
                self.commit.verify(self.log.last()); // its own log was the leader's
            }
            self.leading.stop();
            self.restart_election_timer(now);
        }
        self.election.role = Role::Follower;
        self.election.leader = leader;
        self.election.votes.clear();
        if before != (term, Role::Follower, leader) {
            let leader = leader.map(|member| member.id);
            self.outputs.push(Output::BecameFollower { term, leader });
        }
    }

    fn begin_term(&mut self, term: Term) {
        self.election.term = term;
        self.election.vote = None;
        self.election.unsaved = true;
        self.election.heard = None;
        self.commit.begin_term();
        if planted::is(Plant::Hc2bVerified) {
            self.commit.verify(self.log.last());
        }
    }

    /// What the configurations, which changed, or of which another is committed, say of this node.
    pub(crate) fn reconsider_standing(&mut self) {
        let (me, commit) = (self.me, self.commit.index());
        let newest = self.configurations.newest();
        let before = (newest.epoch > commit).then(|| self.configurations.at(newest.epoch.prev()));
        let voter = newest.is_voter(me);
        let stands = voter || before.is_some_and(|before| before.is_voter(me));
        let named = stands
            || newest.names(me)
            || before.is_some_and(|before| before.names(me))
            || self.committed_configuration().names(me)
            || self.adopted.as_ref().is_some_and(|told| told.epoch > commit);
        let heard = !self.election.silent;
        self.election.standing =
            Standing { voter: voter && heard, stands: stands && heard, named: named && heard };
    }

    fn may_stand(&mut self) -> bool {
        if !self.election.standing.stands {
            return false; // HC11
        }
        if self.election.term.next().is_none() {
            self.counters.term_at_limit += 1;
            return false;
        }
        if self.log.room() == 0 {
            self.counters.log_full += 1;
            return false;
        }
        true
    }

    /// The leader of this term has opened a round that was not heard of before (HC9b).
    pub(crate) fn heard_leader(&mut self, now: Instant) {
        self.election.heard = Some(now);
        self.restart_election_timer(now);
    }

    fn hears_a_leader(&self, now: Instant) -> bool {
        let within = |heard| now.saturating_sub(heard) < self.config.election_timeout_min;
        self.election.role == Role::Leader || self.election.heard.is_some_and(within)
    }

    pub(crate) fn restart_election_timer(&mut self, now: Instant) {
        let (min, max) = (self.config.election_timeout_min, self.config.election_timeout_max);
        self.election.timer_from = now;
        self.election.timeout = min + self.election.random_below(max.saturating_sub(min));
    }

    pub(crate) fn election_deadline(&self) -> Instant {
        let patience = if self.election.delayed { 2 } else { 1 };
        self.election.timer_from + self.election.timeout * patience
    }
}
