//! A leader's time: rounds, check-quorum, handing over (design HC9b).
//!
//! Invariants:
//! - T1. A leader that no majority answered, in the longest election timeout, in rounds opened within it, leads no more.
//! - T2. While it hands over, and until that has failed for an election timeout, it takes no commands (faults.md R27).

use alloc::vec::Vec;
use core::fmt::Debug;

use crate::Instant;
use crate::config::Config;
use crate::election::Role;
use crate::entry::Command;
use crate::ids::{Member, NodeId, Round, Seq};
use crate::message::Message;
use crate::progress::Progress;
use crate::quorum;
use crate::raft::{Raft, TransferError};

/// What only a leader has.
#[derive(Clone, Debug)]
pub(crate) struct Leading {
    /// Everybody else whom the configuration in force names.
    pub(crate) followers: Vec<Progress>,
    /// Whether this leader votes, and whether it is one of those that a change leaves behind.
    pub(crate) votes: bool,
    pub(crate) outgoing: bool,
    /// Nobody else votes.
    pub(crate) alone: bool,
    /// The newest round opened.
    pub(crate) round: Round,
    /// Something waits to be sent.
    pub(crate) due: bool,
    pub(crate) transfer: Option<Transfer>,
    heartbeat_at: Instant,
    check_at: Instant,
    /// Answers count from this round on.
    pub(crate) check_from: Round,
}

/// Leadership on its way to another node.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) to: Member,
    /// The order has left, in this round.
    pub(crate) ordered: Option<Round>,
    until: Instant,
}

impl Leading {
    pub(crate) fn new() -> Self {
        Self {
            followers: Vec::with_capacity(2 * quorum::VOTERS_MAX),
            votes: false,
            outgoing: false,
            alone: false,
            round: Round::ZERO,
            due: false,
            transfer: None,
            heartbeat_at: Instant::ZERO,
            check_at: Instant::ZERO,
            check_from: Round::ZERO,
        }
    }

    pub(crate) fn start(&mut self, now: Instant, config: &Config) {
        self.followers.clear();
        self.round = Round::ZERO.next();
        self.check_from = self.round;
        self.heartbeat_at = now + config.heartbeat_interval;
        self.check_at = now + config.election_timeout_max;
        self.transfer = None;
        self.due = true;
    }

    pub(crate) fn stop(&mut self) {
        self.followers.clear();
        self.transfer = None;
        self.due = false;
    }

    pub(crate) fn follower(&mut self, member: Member) -> Option<&mut Progress> {
        self.followers.iter_mut().find(|progress| progress.member == member)
    }

    pub(crate) fn deadline(&self) -> Instant {
        let next = self.heartbeat_at.min(self.check_at);
        self.transfer.as_ref().map_or(next, |transfer| next.min(transfer.until))
    }
}

impl<E: Command, C: Clone + Eq + Debug> Raft<E, C> {
    pub(crate) fn on_leader_time(&mut self, now: Instant) {
        if self.leading.transfer.as_ref().is_some_and(|transfer| now >= transfer.until) {
            self.leading.transfer = None; // T2
        }
        if now >= self.leading.check_at && !self.keeps_quorum(now) {
            self.counters.quorums_lost += 1;
            self.become_follower(now, self.election.term, None);
            return;
        }
        if now >= self.leading.heartbeat_at {
            self.leading.heartbeat_at = now + self.config.heartbeat_interval;
            self.leading.round = self.leading.round.next();
            self.send_heartbeats();
            self.leading.due = true;
        }
    }

    /// The newest round that this node opened as leader, and when: the first answer to it tells a follower's round trip.
    #[must_use]
    pub fn newest_round(&self) -> (Round, Instant) {
        let opened = self.leading.heartbeat_at.saturating_sub(self.config.heartbeat_interval);
        (self.leading.round, opened)
    }

    /// T1; opens the next period.
    fn keeps_quorum(&mut self, now: Instant) -> bool {
        let (me, from) = (self.me, self.leading.check_from);
        let followers = &self.leading.followers;
        let answered = |member| {
            let mut all = followers.iter();
            all.any(|progress| progress.member == member && progress.answered >= from)
        };
        let kept =
            quorum::agrees(self.configurations.newest(), |member| member == me || answered(member));
        self.leading.check_at = now + self.config.election_timeout_max;
        self.leading.check_from = self.leading.round.next();
        kept
    }

    /// Hands leadership over to `to`: once it holds the whole log it is told to stand. Commands are refused meanwhile, for
    /// an election timeout at most.
    ///
    /// # Errors
    ///
    /// [`TransferError`].
    ///
    /// # Panics
    ///
    /// When outputs of the input before are left.
    pub fn transfer(&mut self, now: Instant, to: NodeId) -> Result<(), TransferError> {
        self.assert_drained();
        if self.election.role != Role::Leader {
            return Err(TransferError::NotLeader);
        }
        if self.leading.transfer.is_some() {
            return Err(TransferError::Transferring);
        }
        let mut all = self.leading.followers.iter();
        let target = all.find(|one| one.member.id == to && one.reachable && one.votes);
        let to = target.ok_or(TransferError::NotAVoter)?.member;
        let until = now + self.config.election_timeout_max;
        self.leading.transfer = Some(Transfer { to, ordered: None, until });
        self.leading.due = true;
        Ok(())
    }

    /// Tells the successor to stand, once it holds everything; again in each round, since the order may be lost.
    pub(crate) fn continue_transfer(&mut self) {
        let (last, round) = (self.log.last(), self.leading.round);
        let Some(Transfer { to, ordered, .. }) = &mut self.leading.transfer else {
            return;
        };
        let to = *to;
        let holds = |progress: &Progress| progress.member == to && progress.matched == last;
        if *ordered != Some(round) && self.leading.followers.iter().any(holds) {
            *ordered = Some(round);
            self.send(to.id, Message::TimeoutNow { term: self.election.term }, Seq::ZERO);
        }
    }
}
