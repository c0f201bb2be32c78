//! Mode `raft`: requests that clients sent to a follower, on their way to its leader (design, section 2).

use core::time::Duration;

use r2p2::Instant;
use r2p2::extension::Flags;
use r2p2::header::Policy;
use r2p2::reassembly::Request as Incoming;
use r2p2::refusal::Reason;
use raft_core::ids::{LogIndex, NodeId, NodeSet, Seq};

use super::{Mode, Replica};
use crate::command::AnswerTo;
use crate::log_time::micros;
use crate::store::BodyKey;
use crate::trace::Phase;
use crate::wire::{self, Chunk, PACKET_MAX, body_hash};

impl Replica {
    /// Mode `raft`: a follower passes a whole request on, once, to its leader. What waited here too long is not: the way to the
    /// leader and the wait have to stay within a packet's life, which the plain window allows for (HC8).
    pub(super) fn forward(
        &mut self,
        now: Instant,
        request: Incoming,
        key: &BodyKey,
        asker: AnswerTo,
    ) {
        let leader = self.core.as_ref().and_then(|core| core.leader());
        let late = now.saturating_sub(request.age_from) > self.limits.packet_life / 2;
        if let Some(leader) = leader.filter(|_| !late) {
            self.send_forward(now, leader, &request, key);
        } else if leader.is_none() {
            self.refuse_asker(&asker, Reason::NoLeader);
        } else {
            self.counters.forwards_too_late += 1;
        }
        self.pool.give_back(request.body);
    }

    fn send_forward(&mut self, now: Instant, leader: NodeId, request: &Incoming, key: &BodyKey) {
        self.counters.forwarded += 1;
        self.trace.record_more(Phase::Forwarded, LogIndex::ZERO, &key.id, leader, 0);
        let head = self.head(now);
        let mut packet = [0; PACKET_MAX];
        let len = u32::try_from(request.body.len()).unwrap_or(u32::MAX);
        let waited = micros(now.saturating_sub(request.age_from));
        let age_us = u32::try_from(waited).unwrap_or(u32::MAX);
        for chunk in 0..wire::chunks_of(len) {
            let (client, plain) = (request.client, request.plain);
            let chunk = Chunk::of(key.id, client, plain, key.hash, &request.body, chunk);
            let Some(body) = chunk else { return };
            let forward = wire::Forward {
                body,
                policy: request.policy as u8,
                flags: request.flags.to_wire(),
                above_floor: request.above_floor,
                age_us,
            };
            let len = self.encoder.forward(&mut packet, &head, &forward);
            self.outbox.to_nodes(NodeSet::only(leader), &packet[..len], Seq::ZERO);
        }
    }

    /// The leader in mode `raft`: a request that a follower passed on, whole when its last chunk is here.
    pub(super) fn on_forward(
        &mut self,
        now: Instant,
        not_before: Instant,
        forward: &wire::Forward<'_>,
    ) {
        if !self.leads() || self.settings.mode != Mode::Raft {
            return self.counters.unexpected_packets += 1;
        }
        if forward.body.chunk == 0 && self.is_overloaded() {
            self.counters.refused_overload += 1;
            let Chunk { id, client, plain, .. } = forward.body;
            let (session, number) = (id.session, id.number);
            let asker = AnswerTo { client, plain, session, number, asked: now };
            return self.refuse_asker(&asker, Reason::Overload);
        }
        self.counters.request_packets += 1;
        self.counters.body_bytes_copied += forward.body.bytes.len() as u64;
        let key = BodyKey { id: forward.body.id, hash: forward.body.hash };
        let hash_key = &self.hash_key;
        let hash = |bytes: &[u8]| body_hash(hash_key, bytes);
        // HC8: it waited at the follower, by that one's clock, and then here, by ours.
        let age_from = not_before.saturating_sub(Duration::from_micros(forward.age_us.into()));
        let pool = &mut self.pool;
        let whole = self.forwards.chunk(now, age_from, &key, &forward.body, pool, hash);
        let Some((body, age_from)) = whole else { return };
        let (policy, flags) =
            (Policy::from_nibble(forward.policy), Flags::from_wire(forward.flags));
        let (Ok(policy), Ok(flags)) = (policy, flags) else {
            self.counters.bad_packets += 1;
            return self.pool.give_back(body);
        };
        let request = Incoming {
            id: key.id,
            client: forward.body.client,
            plain: forward.body.plain,
            policy,
            flags,
            above_floor: forward.above_floor,
            body,
            age_from,
        };
        self.on_request(now, request, false);
    }
}
