//! A node as a model checker sees it: what decides its answers, free of absolute times, counters and sequence numbers.

use core::fmt::Debug;
use core::hash::{Hash, Hasher};

use crate::commit::Commit;
use crate::election::{Role, Standing};
use crate::entry::{Command, Configuration};
use crate::ids::{LogIndex, Member, Round, Term};
use crate::log::Log;
use crate::progress::Progress;
use crate::raft::Raft;

/// A borrowed view that can be compared and hashed; by [`Raft::protocol_state`].
#[derive(Debug, Eq, Hash, PartialEq)]
pub struct ProtocolState<'a, E: Copy, C> {
    me: Member,
    term: Term,
    vote: Option<Member>,
    role: Role,
    leader: Option<Member>,
    votes: &'a [Member],
    standing: Standing,
    delayed: bool,
    log: LogState<'a, E>,
    configurations: &'a [Configuration<C>],
    adopted: Option<&'a Configuration<C>>,
    commit: &'a Commit,
    /// How far entries are handed over, and durable.
    stable: (LogIndex, LogIndex),
    vote_is_stable: bool,
    followers: &'a [Progress],
    /// The newest round, and the one from which on answers count.
    rounds: (Round, Round),
    /// To whom leadership goes, and whether the order has left.
    transfer: Option<(Member, Option<Round>)>,
}

#[derive(Debug)]
struct LogState<'a, E>(&'a Log<E>);

impl<E: Copy + PartialEq> PartialEq for LogState<'_, E> {
    fn eq(&self, other: &Self) -> bool {
        (self.0.base(), self.0.released()) == (other.0.base(), other.0.released())
            && self.0.iter().eq(other.0.iter())
    }
}

impl<E: Copy + Eq> Eq for LogState<'_, E> {}

impl<E: Copy + Hash> Hash for LogState<'_, E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.base(), self.0.released(), self.0.last()).hash(state);
        self.0.iter().for_each(|entry| entry.hash(state));
    }
}

impl<E: Command, C: Clone + Eq + Debug> Raft<E, C> {
    /// What decides this node's answers.
    #[must_use]
    pub fn protocol_state(&self) -> ProtocolState<'_, E, C> {
        let election = &self.election;
        let transfer = self.leading.transfer.as_ref();
        ProtocolState {
            me: self.me,
            term: election.term,
            vote: election.vote,
            role: election.role,
            leader: election.leader,
            votes: &election.votes,
            standing: election.standing,
            delayed: election.delayed,
            log: LogState(&self.log),
            configurations: self.configurations.as_slice(),
            adopted: self.adopted.as_ref(),
            commit: &self.commit,
            stable: (self.disk.written(), self.disk.index()),
            vote_is_stable: self.disk.needs_vote() == crate::ids::Seq::ZERO,
            followers: &self.leading.followers,
            rounds: (self.leading.round, self.leading.check_from),
            transfer: transfer.map(|transfer| (transfer.to, transfer.ordered)),
        }
    }
}
