//! Numbers for the control thread: how things stand, and what happened how often. Nothing here allocates, so that the
//! network thread can publish them every millisecond.

use raft_core::ids::NodeId;

use super::{Core, Queue, Replica, is_leader};
use crate::totals::totals;

totals! {
    /// How things stand; yes is 1, no is 0.
    pub Gauges {
        /// Place of [`Role`](super::Role) in [`Role::ALL`](super::Role::ALL).
        role,
        /// Its term.
        term,
        /// Number of the node that leads; 0 = not known.
        leader,
        /// Committed up to here.
        commit,
        /// Applied up to here.
        applied,
        /// Last entry of the log.
        last,
        /// Whether it once applied all that it had heard to be committed.
        caught_up,
        /// Whether new requests would be refused for too much in the system (HC10).
        overloaded,
        /// Entries that the log can still take.
        log_room,
        /// How many of these are not for requests (HC12).
        log_reserve,
        /// Requests that wait to be ordered.
        unordered,
        /// Bodies missed.
        missing_bodies,
        /// Whether nobody has a body that the log names: this node has stopped (HC1d).
        body_lost,
        /// Appends that wait for a body.
        parked,
        /// Commands handed over and not reported done.
        outstanding,
        /// Sessions open.
        sessions,
        /// Ids in the plain window.
        plain_ids,
        /// Places of kept replies.
        kept_replies,
        /// Bytes of bodies held, in whole buffers.
        body_bytes,
        /// Messages of earlier lives of members, heard while looking for a cluster (HC11).
        older_lives,
        /// Highest log time heard, in microseconds.
        log_time_us,
    }
}

impl Replica {
    /// How things stand.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let core = self.core.as_ref();
        let handed = self.handed;
        let (log_room, log_reserve) = core.map_or((0, 0), Core::room);
        Gauges {
            role: self.role() as u64,
            term: core.map_or(0, |core| core.term().to_wire()),
            leader: core.and_then(Core::leader).map_or(0, |leader| leader.number().into()),
            commit: core.map_or(handed, Core::commit).to_wire(),
            applied: self.applied.to_wire(),
            last: core.map_or(handed, Core::last_index).to_wire(),
            caught_up: self.caught_up.into(),
            overloaded: self.is_overloaded().into(),
            log_room: log_room as u64,
            log_reserve: log_reserve as u64,
            unordered: self.store.unordered().into(),
            missing_bodies: self.recovery.len() as u64,
            body_lost: self.lost_body.is_some().into(),
            parked: self.parked.len() as u64,
            outstanding: self.outstanding.into(),
            sessions: self.table.sessions() as u64,
            plain_ids: self.table.plain_ids() as u64,
            kept_replies: self.table.slots() as u64,
            body_bytes: self.pool.used() as u64,
            older_lives: self.birth.older_lives(),
            log_time_us: self.heard.us(),
        }
    }

    /// Every total of this replica and its parts with its name, always in the same order.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let core = self.core.as_ref().map(|core| *core.counters()).unwrap_or_default();
        let own = self.counters.iter().chain(self.refusals.iter());
        let parts = own.chain(self.recovery.counters.iter()).chain(self.store.counters.iter());
        parts.chain([
            ("acks_sent", core.acks_sent),
            ("rejects_sent", core.rejects_sent),
            ("rejects_received", core.rejects_received),
            ("pre_votes_started", core.pre_votes_started),
            ("elections_started", core.elections_started),
            ("quorums_lost", core.quorums_lost),
            ("truncations", core.truncations),
            ("terms_at_limit", core.term_at_limit),
            ("impossible_messages", core.impossible),
            ("parked_dropped", self.parked.dropped),
            ("forwards_dropped", self.forwards.dropped),
            ("outbox_dropped", self.outbox.dropped),
            ("packet_bytes_copied", self.outbox.copied),
        ])
    }

    /// The leader's view of a member that has reported in this term (HC4).
    #[must_use]
    pub fn queue_of(&self, id: NodeId) -> Option<Queue> {
        let core = self.core.as_ref().filter(|core| is_leader(core))?;
        Some(Queue {
            id,
            depth: self.repliers.depth(id)?,
            applied: self.repliers.applied(id)?,
            matched: core.match_index(id)?,
        })
    }
}
