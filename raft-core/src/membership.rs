//! Who takes part, and the change of it by way of a joint configuration (Raft, section 6; design HC11).
//!
//! Invariants:
//! - M1. One configuration at a time is uncommitted, and the leader changes it only once an entry of its own term is
//!   committed (faults.md R15). The first one of a cluster, which changes no voter, may come before (HC7a).
//! - M2. Voters change only from the old ones to both and from both to the new ones.
//! - M3. A leader that the committed configuration leaves out leads no more (R17).

use core::fmt::Debug;

use crate::Instant;
use crate::election::Role;
use crate::entry::{Command, Configuration, Entry, Payload};
use crate::ids::{LogIndex, Member, Seq};
use crate::message::Message;
use crate::progress::Progress;
use crate::raft::{ProposeError, Raft};

impl<E: Command, C: Clone + Eq + Debug> Raft<E, C> {
    /// Appends `configuration`, whose epoch is filled in; it is in force at once and leaves with [`Raft::end_burst`].
    ///
    /// # Errors
    ///
    /// [`ProposeError::NotLeader`], [`ProposeError::Transferring`]; [`ProposeError::Pending`] and
    /// [`ProposeError::TooEarly`] (M1); [`ProposeError::NotAStep`] (M2); [`ProposeError::Full`].
    ///
    /// # Panics
    ///
    /// When outputs of the input before are left.
    pub fn propose_configuration(
        &mut self,
        _now: Instant,
        mut configuration: Configuration<C>,
    ) -> Result<LogIndex, ProposeError> {
        self.assert_drained();
        if self.election.role != Role::Leader {
            return Err(ProposeError::NotLeader);
        }
        if self.leading.transfer.is_some() {
            return Err(ProposeError::Transferring);
        }
        let newest = self.configurations.newest();
        let first = newest.epoch == LogIndex::ZERO && keeps_voters(newest, &configuration);
        if newest.epoch > self.commit.index() {
            return Err(ProposeError::Pending);
        }
        if !first && self.commit.first_of_term().is_none_or(|no_op| self.commit.index() < no_op) {
            return Err(ProposeError::TooEarly);
        }
        if !configuration.is_sound() || !is_step(newest, &configuration) {
            return Err(ProposeError::NotAStep);
        }
        if self.log.room() == 0 {
            return Err(ProposeError::Full);
        }
        let entry = Entry { term: self.election.term, payload: Payload::Configuration };
        let epoch = self.log.push(entry);
        configuration.epoch = epoch;
        self.configurations.push(configuration);
        self.configurations.prune(self.log.base());
        self.reconsider_standing();
        self.follow_configuration();
        self.leading.due = true;
        Ok(epoch)
    }

    /// Brings what the leader knows of its followers in line with the configuration in force.
    pub(crate) fn follow_configuration(&mut self) {
        let newest = self.configurations.newest();
        let (me, next, inflight) = (self.me, self.log.last(), self.config.inflight_max);
        let followers = &mut self.leading.followers;
        followers.retain(|progress| newest.names(progress.member));
        let everybody = newest.voters.iter().chain(&newest.outgoing).chain(&newest.learners);
        for &member in everybody.filter(|&&member| member != me) {
            if followers.iter().all(|progress| progress.member != member) {
                followers.push(Progress::new(member, next, inflight));
            }
        }
        for at in 0..followers.len() {
            let Member { id, incarnation } = followers[at].member;
            let reborn =
                |other: &Progress| other.member.id == id && other.member.incarnation > incarnation;
            followers[at].reachable = id != me.id && !followers.iter().any(reborn);
            followers[at].votes = newest.voters.contains(&followers[at].member);
            followers[at].outgoing = newest.outgoing.contains(&followers[at].member);
        }
        self.leading.alone = !followers.iter().any(|one| one.votes || one.outgoing);
        self.leading.votes = newest.voters.contains(&me);
        self.leading.outgoing = newest.outgoing.contains(&me);
    }

    /// M3: after everybody was told of the commit. Whoever holds most is told to stand.
    pub(crate) fn leave_when_removed(&mut self, now: Instant) {
        let stays = self.leading.votes || self.leading.outgoing;
        if stays || self.election.role != Role::Leader {
            return;
        }
        if self.configurations.newest().epoch > self.commit.index() {
            return;
        }
        let voters = self.leading.followers.iter().filter(|one| one.votes && one.reachable);
        let successor = voters.max_by_key(|one| one.matched).map(|one| one.member.id);
        let term = self.election.term;
        if let Some(to) = successor {
            self.send(to, Message::TimeoutNow { term }, Seq::ZERO);
        }
        self.become_follower(now, term, None);
    }
}

fn keeps_voters<C>(old: &Configuration<C>, new: &Configuration<C>) -> bool {
    same(&old.voters, &new.voters) && same(&old.outgoing, &new.outgoing)
}

/// M2.
fn is_step<C>(old: &Configuration<C>, new: &Configuration<C>) -> bool {
    let joins = !old.is_joint() && same(&old.voters, &new.outgoing);
    let leaves = old.is_joint() && !new.is_joint() && same(&old.voters, &new.voters);
    keeps_voters(old, new) || joins || leaves
}

/// Whether these are the same members, in whatever order.
fn same(some: &[Member], others: &[Member]) -> bool {
    some.len() == others.len() && some.iter().all(|member| others.contains(member))
}
