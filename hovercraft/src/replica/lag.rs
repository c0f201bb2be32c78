//! What a lagging application means: a leader hears how far others applied, lets bodies go, hands over (design HC1d, HC4, HC12).

use r2p2::Instant;
use raft_core::ids::{LogIndex, NodeId, NodeSet, Seq, Term};
use raft_core::progress::Progress;

use super::{Replica, is_leader};
use crate::wire::PACKET_MAX;

/// Entries after which, and time after which at the latest, a leader tells what everybody has.
const HELD_ENTRIES: u64 = 1_024;
const HELD_AFTER: Instant = Instant::from_millis(100);

/// How long news of an applied index may wait for an acknowledgement to ride on.
const TELL_AFTER: Instant = Instant::from_millis(2);

impl Replica {
    /// Hands leadership to the follower that has most of the log, if this node leads.
    pub fn hand_leadership_over(&mut self, now: Instant, to: Option<NodeId>) -> bool {
        let Some(core) = &mut self.core else { return false };
        let me = core.me().id;
        let voters = &core.configuration().voters;
        let newest = core.followers().iter().map(|one| one.answered.to_wire()).max();
        // Who is dead may hold as much of an idle log as anybody, but has not answered of late.
        let merit = |one: &&Progress| {
            let lives = Some(one.answered.to_wire() + 1) >= newest;
            (lives, one.matched, one.answered)
        };
        let others = core.followers().iter().filter(|one| one.member.id != me);
        let best = others.filter(|one| voters.contains(&one.member)).max_by_key(merit);
        let best = best.map(|one| one.member.id);
        let Some(to) = to.or(best) else { return false };
        let started = is_leader(core) && core.transfer(now, to).is_ok();
        self.settle(now, now);
        started
    }

    /// HC12: a log full of what is not applied here makes a poor candidate, and a poor leader; HC1d: what every member has
    /// acknowledged need not be kept for them.
    pub(super) fn mind_the_log(&mut self, now: Instant) {
        let applied = self.applied;
        let Some(core) = &mut self.core else { return };
        let (room, reserve) = core.room();
        // Requests are refused (HC10) long before the ring itself is full.
        let refuses = core.last_index().since(applied) >= self.settings.in_system_max.into();
        let is_full = (room <= reserve || refuses) && applied < core.commit();
        core.set_campaign_delay(is_full);
        if !is_leader(core) {
            return self.store.release(self.held_by_all.min(applied), &mut self.pool);
        }
        let held = core.held_by_all();
        self.held_by_all = self.held_by_all.max(held);
        self.store.release(held.min(applied), &mut self.pool);
        if !is_full || core.is_transferring() {
            return;
        }
        let last = core.last_index();
        let better = |id: &NodeId| {
            core.match_index(*id) == Some(last)
                && self.repliers.applied(*id).is_some_and(|theirs| theirs > applied)
        };
        let mut voters = core.configuration().voters.iter().map(|voter| voter.id);
        if let Some(to) = voters.find(better) {
            let started = self.hand_leadership_over(now, Some(to));
            self.counters.handed_over_full += u64::from(started);
        }
    }

    /// HC1d: followers keep bodies for laggards, too, and only the leader knows when there are none. A lost word is made good by
    /// the next one.
    pub(super) fn tell_held(&mut self, now: Instant) {
        let Some(core) = self.core.as_ref().filter(|core| is_leader(core)) else { return };
        let (told, at) = self.told_held;
        let news = self.held_by_all.since(told);
        let waited = now.saturating_sub(at) >= HELD_AFTER;
        if news < HELD_ENTRIES && (news == 0 || !waited) {
            return;
        }
        let mut others = core.configuration().everybody();
        others.remove(self.settings.me);
        let (term, index) = (core.term(), self.held_by_all);
        let mut packet = [0; PACKET_MAX];
        let len = self.encoder.held_by_all(&mut packet, &self.head(now), term, index);
        self.outbox.to_nodes(others, &packet[..len], Seq::ZERO);
        self.told_held = (index, now);
    }

    /// What is held by all and applied here is the same in every log for good, whoever leads later.
    pub(super) fn hear_held(&mut self, from: NodeId, term: Term, index: LogIndex) {
        let Some(core) = &self.core else { return };
        if core.term() == term && core.leader() == Some(from) && !is_leader(core) {
            self.held_by_all = self.held_by_all.max(index);
        } else {
            self.counters.unexpected_packets += 1;
        }
    }

    /// HC4: a follower whose applied index runs away from what its leader knows says so outside an acknowledgement.
    pub(super) fn tell_applied(&mut self, now: Instant) {
        let Some(core) = &self.core else { return };
        let behind = self.applied.since(self.told.0);
        let waited = now.saturating_sub(self.told.1) >= TELL_AFTER;
        let due = behind >= u64::from(self.settings.bound / 4).max(1) || (behind > 0 && waited);
        let Some(leader) = core.leader().filter(|_| due && !is_leader(core)) else { return };
        let mut packet = [0; PACKET_MAX];
        let len = self.encoder.applied(&mut packet, &self.head(now), core.term());
        self.outbox.to_nodes(NodeSet::only(leader), &packet[..len], Seq::ZERO);
        self.counters.reports_sent += 1;
        self.told = (self.applied, now);
    }

    /// When news of an applied index is due that no acknowledgement has carried.
    pub(super) fn tell_deadline(&self) -> Option<Instant> {
        let core = self.core.as_ref()?;
        let follows = core.leader().is_some() && !is_leader(core);
        (follows && self.applied > self.told.0).then_some(self.told.1 + TELL_AFTER)
    }
}
