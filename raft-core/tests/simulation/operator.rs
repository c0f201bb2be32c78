//! What operators do to a living cluster: hand leadership over, let members come and go.

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
        } else if next.learners.contains(&other) {
            // It takes its earlier life's place, or one more seat, or somebody's.
            let old = next.voters.clone();
            next.voters.retain(|voter| voter.id != other.id);
            if next.voters.len() > 2 && self.random.chance(300) {
                next.voters.swap_remove(0);
            }
            next.voters.push(other);
            next.learners.retain(|learner| learner.id != other.id);
            next.outgoing = old;
        } else if next.voters.len() > 2 {
            next.outgoing = next.voters.clone();
            next.voters.retain(|voter| *voter != other);
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
