//! What an operator may ask of a replica.

use raft_core::ids::{LogIndex, NodeId, Term};

use super::{Mode, Replica, is_leader};
use crate::recovery::LostBody;

/// What a node does in its cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// In no cluster yet: asks the other members for their lives (HC11c).
    Joining,
    /// Its present life is not a member of the cluster that lives: it says nothing and waits (HC11b).
    Silent,
    /// Follows a leader, or waits for one.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
    /// Serves alone, mode `unreplicated`.
    Alone,
}

impl Role {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Joining, Self::Silent, Self::Follower, Self::Candidate, Self::Leader, Self::Alone];

    /// As tools print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Silent => "silent",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
            Self::Alone => "alone",
        }
    }
}

/// One moment of a replica.
#[derive(Clone, Debug)]
pub struct Status {
    /// This node.
    pub id: NodeId,
    /// This life.
    pub incarnation: u64,
    /// The cluster; 0 before it is known.
    pub cluster_id: u64,
    /// What it does.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Whom it follows.
    pub leader: Option<NodeId>,
    /// Committed up to here.
    pub commit: LogIndex,
    /// Applied up to here.
    pub applied: LogIndex,
    /// Last entry of the log.
    pub last: LogIndex,
    /// Requests that wait to be ordered.
    pub unordered: u32,
    /// Bodies missed.
    pub missing_bodies: usize,
    /// Appends that wait for a body.
    pub parked: usize,
    /// Sessions open.
    pub sessions: usize,
    /// A body that nobody has: this node has stopped, and only an operator can help (HC1d).
    pub lost_body: Option<LostBody>,
    /// Highest log time heard, in microseconds.
    pub log_time_us: u64,
    /// The leader's view: each member's applied index and queue, where it has reported in this term (HC4).
    pub queues: Vec<Queue>,
}

/// A member as its leader sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queue {
    /// Who.
    pub id: NodeId,
    /// Entries that it has yet to execute.
    pub depth: u64,
    /// How far it said it has applied.
    pub applied: LogIndex,
    /// How far its log is known to equal the leader's.
    pub matched: LogIndex,
}

impl Replica {
    /// As it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        let core = self.core.as_ref();
        Status {
            id: self.settings.me,
            incarnation: self.settings.incarnation.to_wire(),
            cluster_id: self.cluster_id,
            role: self.role(),
            term: core.map_or(Term::ZERO, super::Core::term),
            leader: core.and_then(super::Core::leader),
            commit: core.map_or(self.handed, super::Core::commit),
            applied: self.applied,
            last: core.map_or(self.handed, super::Core::last_index),
            unordered: self.store.unordered(),
            missing_bodies: self.recovery.len(),
            parked: self.parked.len(),
            sessions: self.table.sessions(),
            lost_body: self.lost_body,
            log_time_us: self.heard.us(),
            queues: self.queues(),
        }
    }

    pub(super) fn role(&self) -> Role {
        let Some(core) = &self.core else {
            return match self.settings.mode {
                Mode::Unreplicated => Role::Alone,
                _ if self.is_silent() => Role::Silent,
                _ => Role::Joining,
            };
        };
        match core.role() {
            raft_core::election::Role::Leader => Role::Leader,
            raft_core::election::Role::Follower => Role::Follower,
            _ => Role::Candidate,
        }
    }

    fn queues(&self) -> Vec<Queue> {
        let Some(core) = self.core.as_ref().filter(|core| is_leader(core)) else {
            return Vec::new();
        };
        core.configuration().everybody().iter().filter_map(|id| self.queue_of(id)).collect()
    }
}
