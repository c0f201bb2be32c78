//! What the log holds: entries of a fixed size, and configurations beside them.

use alloc::vec::Vec;

use crate::ids::{LogIndex, Member, NodeId, NodeSet, Term};

/// What the layer above replicates: small, copied freely.
pub trait Command: Copy + Eq + core::fmt::Debug {
    /// Bytes that this entry takes in an append, for [`crate::ids`]-independent packet budgets.
    fn wire_len(&self) -> usize;
}

/// One place in the log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Entry<E> {
    /// Term of the leader that appended it.
    pub term: Term,
    /// What it holds.
    pub payload: Payload<E>,
}

/// What an entry holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Payload<E> {
    /// Opens a term (Raft, section 8).
    NoOp,
    /// A configuration; its value stands beside the log, see [`Configuration`].
    Configuration,
    /// The layer above's.
    Command(E),
}

/// Who takes part, from the entry at `epoch` on. A value in the log; in force from the moment it is appended.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Configuration<C> {
    /// Log index of its entry; zero = the birth list (design HC7a: voters and nothing else).
    pub epoch: LogIndex,
    /// Who votes.
    pub voters: Vec<Member>,
    /// While a change is under way (joint consensus), who voted before; empty otherwise.
    pub outgoing: Vec<Member>,
    /// Who gets the log without a vote.
    pub learners: Vec<Member>,
    /// The layer above's part: limits, addresses, hash key.
    pub data: C,
}

impl<C> Configuration<C> {
    /// Whether a change is under way.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `member`, id and incarnation, votes.
    #[must_use]
    pub fn is_voter(&self, member: Member) -> bool {
        self.voters.contains(&member) || self.outgoing.contains(&member)
    }

    /// Whether `member`, id and incarnation, takes part in any way.
    #[must_use]
    pub fn names(&self, member: Member) -> bool {
        self.is_voter(member) || self.learners.contains(&member)
    }

    /// The one incarnation that this configuration gives to `id`; `None` when it gives none, or two (HC3a).
    #[must_use]
    pub fn incarnation_of(&self, id: NodeId) -> Option<Member> {
        let mut found = None;
        for part in [&self.voters, &self.outgoing, &self.learners] {
            for member in part {
                if member.id == id && *found.get_or_insert(*member) != *member {
                    return None;
                }
            }
        }
        found
    }

    /// Everybody named, by id.
    #[must_use]
    pub fn everybody(&self) -> NodeSet {
        let mut set = NodeSet::EMPTY;
        for member in self.voters.iter().chain(&self.outgoing).chain(&self.learners) {
            set.insert(member.id);
        }
        set
    }

    /// Everybody with a vote, by id.
    #[must_use]
    pub fn electorate(&self) -> NodeSet {
        let mut set = NodeSet::EMPTY;
        for member in self.voters.iter().chain(&self.outgoing) {
            set.insert(member.id);
        }
        set
    }

    /// Whether there are voters, no half gives one id two lives, and no learner votes.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let distinct = |members: &[Member]| {
            let mut seen = NodeSet::EMPTY;
            members.iter().all(|member| {
                let fresh = !seen.contains(member.id);
                seen.insert(member.id);
                fresh
            })
        };
        !self.voters.is_empty()
            && distinct(&self.voters)
            && distinct(&self.outgoing)
            && distinct(&self.learners)
            && !self.learners.iter().any(|&learner| self.is_voter(learner))
    }

    /// Whether `set`, of members of this configuration, is a majority of the voters, and of the outgoing ones too.
    #[must_use]
    pub fn is_quorum(&self, set: NodeSet) -> bool {
        let majority = |members: &[Member]| {
            members.iter().filter(|member| set.contains(member.id)).count() * 2 > members.len()
        };
        majority(&self.voters) && (self.outgoing.is_empty() || majority(&self.outgoing))
    }
}
