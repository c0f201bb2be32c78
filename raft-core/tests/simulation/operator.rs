//! What operators do to a living cluster: hand leadership over, let members come and go.

use std::mem;

use raft_core::Role;
use raft_core::entry::Configuration;

use crate::cluster::Cluster;
use crate::support::id;

impl Cluster {
    /// One step, at some node that leads.
    pub fn operate(&mut self) {
        let place = self.random.place(self.hosts.len());
        if !self.random.chance(self.weather.operator)
            || self.hosts[place].raft.role() != Role::Leader
        {
            return;
        }
        if self.random.chance(300) {
            let to = id(self.random.place(self.hosts.len()));
            self.step(place, |host, now| {
                // Refused when it makes no sense: that is part of what is tried.
                let _refused = host.raft.transfer(now, to);
            });
        } else if self.membership {
            let next = self.next_configuration(place);
            self.step(place, |host, now| {
                let _refused = host.raft.propose_configuration(now, next);
            });
        }
        self.step(place, |host, now| host.raft.end_burst(now));
    }

    /// A change under way is finished; otherwise somebody becomes a learner, or voters change.
    fn next_configuration(&mut self, place: usize) -> Configuration<()> {
        let mut next = self.hosts[place].raft.configuration().clone();
        if next.is_joint() {
            next.outgoing.clear();
            return next;
        }
        let other = self.random.place(self.hosts.len());
        let other = self.hosts[other].raft.me();
        if !next.names(other) {
            next.learners.retain(|learner| learner.id != other.id);
            next.learners.push(other);
            return next;
        }
        // Learners take a seat, or that of their earlier life; voters leave theirs: several at once.
        next.outgoing = next.voters.clone();
        let leaving = self.random.one_of(&[0, 300, 700]);
        next.voters.retain(|_| !self.random.chance(leaving));
        for learner in mem::take(&mut next.learners) {
            if next.voters.is_empty() || self.random.chance(700) {
                next.voters.retain(|voter| voter.id != learner.id);
                next.voters.push(learner);
            } else {
                next.learners.push(learner);
            }
        }
        if next.voters.is_empty() {
            next.voters = mem::take(&mut next.outgoing);
        }
        next
    }

    /// Members answer the questions of those whom their committed configuration names (HC11c).
    pub fn tell(&mut self) {
        for asking in 0..self.hosts.len() {
            let me = self.hosts[asking].raft.me();
            if self.hosts[asking].raft.is_named() {
                continue;
            }
            let committed = self.hosts.iter().map(|host| host.raft.committed_configuration());
            let newest = committed.filter(|one| one.names(me)).max_by_key(|one| one.epoch);
            if let Some(configuration) = newest.cloned() {
                self.hosts[asking].disk.stable.adopted = Some(configuration.clone());
                self.hosts[asking].raft.adopt(configuration);
            }
        }
    }
}
