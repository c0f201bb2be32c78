//! One node's Raft: fed with messages and time, drained of outputs. This file dispatches; the work is done in
//! `election`, `follow`, `replicate`, `rounds` and `membership`.
//!
//! Use: call an input, then [`Raft::poll_output`] until it is empty, and act on each output in order. After all that
//! arrived together, [`Raft::end_burst`]. When [`Raft::deadline`] has come, [`Raft::tick`]. When what a
//! [`Output::Persist`] named is durable, [`Raft::persisted`]; it alone may be called while outputs are drained, so that
//! memory mode reports each at once.

use alloc::vec::Vec;
use core::fmt::Debug;

use planted::Plant;

use crate::Instant;
use crate::commit::Commit;
use crate::config::Config;
use crate::configurations::Configurations;
use crate::counters::Counters;
use crate::durability::Durability;
use crate::election::{Election, Role};
use crate::entry::{Command, Configuration, Entry};
use crate::ids::{LogIndex, Member, NodeId, Seq, Term};
use crate::log::Log;
use crate::message::Message;
use crate::output::{Output, Outputs, Persist};
use crate::rounds::Leading;

/// What an earlier run of this node left on stable storage; the default in memory mode.
#[derive(Clone, Debug)]
pub struct Start<E, C> {
    /// Its term.
    pub term: Term,
    /// Its vote in that term.
    pub vote: Option<Member>,
    /// Index before the first entry found: what a snapshot covers, and so committed.
    pub base: LogIndex,
    /// Term of that entry.
    pub base_term: Term,
    /// Entries `base + 1 ..`, at most the ring's capacity.
    pub entries: Vec<Entry<E>>,
    /// Configurations after the birth list, by epoch: the newest at or below `base` and all later ones.
    pub configurations: Vec<Configuration<C>>,
}

impl<E, C> Default for Start<E, C> {
    fn default() -> Self {
        Self {
            term: Term::ZERO,
            vote: None,
            base: LogIndex::ZERO,
            base_term: Term::ZERO,
            entries: Vec::new(),
            configurations: Vec::new(),
        }
    }
}

/// Why a command or configuration was not appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProposeError {
    /// Ask [`Raft::leader`].
    #[error("this node does not lead")]
    NotLeader,
    /// The layer above has to apply and release entries first (HC12).
    #[error("the log has no free place for a command")]
    Full,
    /// Leadership is being handed over.
    #[error("leadership is being handed over")]
    Transferring,
    /// One change at a time: the newest configuration is not committed yet.
    #[error("the newest configuration is not committed yet")]
    Pending,
    /// Nothing of this term is committed yet (faults.md R15).
    #[error("nothing of this term is committed yet")]
    TooEarly,
    /// Not a step that joint consensus allows from the configuration in force, or malformed.
    #[error("not a step from the configuration in force: voters change by way of a joint one")]
    NotAStep,
}

/// Why leadership is not handed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransferError {
    /// Only the leader can.
    #[error("this node does not lead")]
    NotLeader,
    /// The other node has no vote, or is this one.
    #[error("no other voter has this id")]
    NotAVoter,
    /// One hand-over at a time.
    #[error("leadership is being handed over already")]
    Transferring,
}

/// One node's Raft. `E` is what the entries hold, `C` the layer above's part of a configuration.
#[derive(Clone, Debug)]
pub struct Raft<E, C> {
    pub(crate) me: Member,
    pub(crate) config: Config,
    pub(crate) election: Election,
    pub(crate) log: Log<E>,
    pub(crate) configurations: Configurations<C>,
    /// A later configuration of which a member told this node, and which names it (HC11c).
    pub(crate) adopted: Option<Configuration<C>>,
    pub(crate) commit: Commit,
    pub(crate) disk: Durability,
    pub(crate) leading: Leading,
    pub(crate) outputs: Outputs,
    pub(crate) counters: Counters,
}

impl<E: Command, C: Clone + Eq + Debug> Raft<E, C> {
    /// A follower named `me`. `birth` is in force until the log has a configuration.
    ///
    /// # Panics
    ///
    /// When `birth` or `start` is not sound: no voters, more entries than places, terms that fall or pass the node's.
    #[must_use]
    pub fn new(
        me: Member,
        config: Config,
        birth: Configuration<C>,
        start: Start<E, C>,
        seed: u64,
        now: Instant,
    ) -> Self {
        assert!(birth.is_sound(), "birth list without voters, or with two lives of one voter");
        let mut log = Log::new(config.log_capacity, start.base, start.base_term);
        for entry in &start.entries {
            log.push(*entry);
        }
        let Start { term, vote, .. } = start;
        assert!(term >= log.last_term(), "found entries of {} in {term}", log.last_term());
        let outputs = 16 * (usize::from(config.inflight_max) + 3) + 32;
        let mut raft = Self {
            me,
            election: Election::new(term, vote, seed, now),
            configurations: Configurations::new(birth, start.configurations),
            adopted: None,
            commit: Commit::new(start.base),
            disk: Durability::new(log.last()),
            leading: Leading::new(),
            outputs: Outputs::with_capacity(outputs),
            counters: Counters::default(),
            log,
            config,
        };
        raft.reconsider_standing();
        raft.restart_election_timer(now);
        raft
    }

    /// A message has arrived; `from` is what its header names, id and incarnation.
    ///
    /// # Panics
    ///
    /// When outputs of the input before are left, or for [`Message::Append`], which goes to [`Self::append`].
    pub fn receive(&mut self, now: Instant, from: Member, message: Message) {
        self.assert_drained();
        if from.id == self.me.id && !matches!(message, Message::QuorumAck { .. }) {
            self.counters.impossible += 1;
            return;
        }
        match message {
            Message::RequestVote { .. } => self.on_request_vote(now, from, message),
            Message::Vote { term, pre, granted } => self.on_vote(now, from, term, pre, granted),
            Message::Append(_) => unreachable!("appends come with their entries, by `append`"),
            Message::Ack { epoch: _, term, index, round } => {
                self.on_ack(now, from, term, index, round);
            }
            Message::Reject { .. } => self.on_reject(now, from, message),
            Message::TimeoutNow { term } => self.on_timeout_now(now, from, term),
            Message::QuorumAck { epoch, term, index, set } => {
                self.on_quorum_ack(epoch, term, index, set);
            }
        }
        self.save_vote();
    }

    /// Appends `command` when this node leads; it leaves with [`Self::end_burst`].
    ///
    /// # Errors
    ///
    /// [`ProposeError::NotLeader`], [`ProposeError::Full`] or [`ProposeError::Transferring`].
    ///
    /// # Panics
    ///
    /// When outputs of the input before are left.
    pub fn propose(&mut self, _now: Instant, command: E) -> Result<LogIndex, ProposeError> {
        self.assert_drained();
        self.append_command(command)
    }

    /// Time has passed. Harmless when nothing is due.
    ///
    /// # Panics
    ///
    /// When outputs of the input before are left.
    pub fn tick(&mut self, now: Instant) {
        self.assert_drained();
        if self.election.role == Role::Leader {
            self.on_leader_time(now);
        } else if now >= self.election_deadline() {
            self.stand(now);
        }
        self.save_vote();
        self.send_due();
        self.leave_when_removed(now);
    }

    /// Nothing more has arrived: appends for the whole burst leave now.
    ///
    /// # Panics
    ///
    /// When outputs of the input before are left.
    pub fn end_burst(&mut self, now: Instant) {
        self.assert_drained();
        self.send_due();
        self.leave_when_removed(now);
    }

    /// Everything up to `seq` is durable. The one input that may come while outputs are drained.
    ///
    /// # Panics
    ///
    /// When `seq` was never handed out.
    pub fn persisted(&mut self, now: Instant, seq: Seq) {
        self.disk.persisted(seq);
        match self.election.role {
            Role::Candidate if self.disk.needs_vote() == Seq::ZERO => {
                self.count_vote(now, self.me);
            }
            Role::Leader => self.count_own(),
            _ => {}
        }
    }

    /// Entries up to `index` are applied here: their places may be used again once the ring is full.
    ///
    /// # Panics
    ///
    /// When they are not committed.
    pub fn release(&mut self, index: LogIndex) {
        assert!(index <= self.commit.index(), "{index} applied before it was committed");
        self.log.release(index);
    }

    /// The next thing to do, oldest first.
    #[must_use]
    #[inline]
    pub fn poll_output(&mut self) -> Option<&Output> {
        self.outputs.take()
    }

    /// When [`Self::tick`] next has something to do; zero when something waits to be sent.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        if self.election.role != Role::Leader {
            self.election_deadline()
        } else if self.leading.due {
            Instant::ZERO
        } else {
            self.leading.deadline()
        }
    }

    /// A node whose application lags stands for election only after twice its timeout (HC12).
    pub fn set_campaign_delay(&mut self, delayed: bool) {
        self.election.delayed = delayed;
    }

    /// From now on this node neither campaigns, votes nor acknowledges, whatever the configuration says.
    pub fn stop_voting(&mut self) {
        self.election.silent = true;
        self.reconsider_standing();
    }

    /// A member told, in answer to a fresh question, of `configuration`, which names this node (HC11c): it may
    /// acknowledge before its own log says so. In a durable mode it is kept, and told again after a restart (HC11d).
    pub fn adopt(&mut self, configuration: Configuration<C>) {
        if configuration.names(self.me) {
            self.adopted = Some(configuration);
            self.reconsider_standing();
        }
    }

    pub(crate) fn assert_drained(&self) {
        assert!(self.outputs.is_empty(), "drain poll_output before the next input");
    }

    /// Hands term and vote over to be made durable, once per input.
    pub(crate) fn save_vote(&mut self) {
        if self.election.unsaved {
            self.election.unsaved = false;
            let seq = self.disk.hand_over_vote();
            let what = Persist::Vote { term: self.election.term, vote: self.election.vote };
            self.outputs.push(Output::Persist { seq, what });
        }
    }

    /// Hands entries over that were appended and not handed over yet, after the term in which that happened.
    pub(crate) fn save_entries(&mut self) {
        self.save_vote();
        let (from, to) = (self.disk.written().next(), self.log.last());
        if from <= to {
            let seq = self.disk.hand_over_entries(to);
            self.outputs.push(Output::Persist { seq, what: Persist::Entries { from, to } });
        }
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message, needs: Seq) {
        self.outputs.push(Output::Send { to, message, needs });
    }

    /// Moves the commit index as far as word and knowledge allow.
    pub(crate) fn advance_commit(&mut self) {
        let before = self.commit.index();
        let advanced = if planted::is(Plant::R4) {
            self.commit.advance_within(self.log.last())
        } else {
            self.commit.advance()
        };
        if let Some(index) = advanced {
            self.outputs.push(Output::Committed(index));
            self.leading.due = true;
            if self.configurations.newest().epoch > before || self.adopted.is_some() {
                self.reconsider_standing();
            }
        }
    }
}
