//! Bodies that are missed, here and elsewhere (design HC1d, HC6c).

use r2p2::Instant;
use r2p2::buffer::Body;
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{LogIndex, Member, NodeSet, Seq};

use super::nodes::{is_inline, key_of};
use super::{Mode, Replica, is_leader};
use crate::entry::{EntryKind, Request};
use crate::recovery::LostBody;
use crate::store::{BodyKey, Origin};
use crate::trace::Phase;
use crate::wire::{BodyQuestion, Chunk, Head, PACKET_MAX, Wanted, body_hash};

/// Requests for bodies sent per turn, at most.
const ASKS_PER_BURST: usize = 32;

impl Replica {
    /// Of the entries after `previous`, the bodies that are not here are asked for.
    pub(super) fn want_missing(
        &mut self,
        now: Instant,
        from: Member,
        previous: LogIndex,
        entries: &[Entry<Request>],
    ) {
        let mut index = previous;
        for entry in entries {
            index = index.next();
            let Payload::Command(request) = entry.payload else { continue };
            let key = BodyKey { id: request.id, hash: request.hash };
            if self.store.find(&key).is_none() {
                let pool = &mut self.pool;
                let pulled = self.settings.mode == Mode::Raft && !is_inline(request.len);
                if self.recovery.want(now, key, request.len, from.id, index, pool) {
                    self.trace.record(Phase::Missed, index, &request.id);
                    self.counters.bodies_pulled += u64::from(pulled);
                    self.counters.bodies_missed += u64::from(!pulled);
                }
            }
        }
    }

    /// A body from another node: bound by appends only (S3).
    pub(super) fn take_body(&mut self, now: Instant, key: BodyKey, body: Body) {
        let origin = Origin {
            client: key.id.client,
            plain: false,
            kind: EntryKind::Write,
            above_floor: 0,
            age_from: now,
            age_log_us: self.heard.passed_us(),
        };
        let _ = self.store.insert(key, origin, body, false, &mut self.pool);
    }

    pub(super) fn on_chunk(&mut self, now: Instant, chunk: &Chunk<'_>) {
        let key = BodyKey { id: chunk.id, hash: chunk.hash };
        let hash_key = &self.hash_key;
        let hash = |bytes: &[u8]| body_hash(hash_key, bytes);
        let (number, bytes) = (chunk.chunk, chunk.bytes);
        let body = self.recovery.chunk(now, &key, number, bytes, &mut self.pool, hash);
        self.counters.body_bytes_copied += bytes.len() as u64;
        if let Some(body) = body {
            self.trace.record(Phase::Recovered, LogIndex::ZERO, &key.id);
            if self.store.find(&key).is_none() {
                self.take_body(now, key, body);
            } else {
                self.pool.give_back(body);
            }
            self.unpark_due = true;
        }
    }

    /// Another node misses a body: its chunks, as far as this burst's budget goes (HC6c).
    pub(super) fn give_body(
        &mut self,
        now: Instant,
        to: Member,
        question: &BodyQuestion,
        wanted: &Wanted,
    ) {
        let key = BodyKey { id: wanted.id, hash: wanted.hash };
        let Some(at) = self.store.find(&key) else {
            return self.tell_no_body(now, to, question, wanted);
        };
        let head = self.head(now);
        let (origin, body) = (self.store.origin(at), self.store.body(at));
        let mut packet = [0; PACKET_MAX];
        for chunk in wanted.iter() {
            if self.chunks_left == 0 {
                return self.counters.recovery_throttled += 1;
            }
            let client = if key.id.session == 0 { key.id.client } else { origin.client };
            let plain = origin.plain && key.id.session == 0;
            let chunk = Chunk::of(key.id, client, plain, key.hash, body, chunk);
            let Some(chunk) = chunk.filter(|chunk| chunk.len == wanted.len) else { return };
            let len = self.encoder.body_chunk(&mut packet, &head, &chunk);
            self.outbox.to_nodes(NodeSet::only(to.id), &packet[..len], Seq::ZERO);
            self.chunks_left -= 1;
            self.counters.chunks_sent += 1;
        }
    }

    /// HC1d: this node has not got a body; whether it has applied it, every message says. Who is in another term says nothing: the
    /// append that named it may be void. Nor does a leader whose own log does not name it: nobody may end a node by an append
    /// that the leader never sent.
    fn tell_no_body(&mut self, now: Instant, to: Member, question: &BodyQuestion, wanted: &Wanted) {
        self.counters.bodies_not_here += 1;
        let Some(core) = &self.core else { return };
        let key = BodyKey { id: wanted.id, hash: wanted.hash };
        let named = || core.entry(question.index).and_then(key_of) == Some(key);
        let applied = question.index <= self.applied;
        if core.term() != question.term || (is_leader(core) && !applied && !named()) {
            return;
        }
        let mut packet = [0; PACKET_MAX];
        let len = self.encoder.no_body(&mut packet, &self.head(now), question, wanted);
        self.outbox.to_nodes(NodeSet::only(to.id), &packet[..len], Seq::ZERO);
    }

    /// HC1d: a member has not got a body that is missed here. When none has it, or has applied it, this node cannot go on.
    pub(super) fn on_no_body(&mut self, head: &Head, question: &BodyQuestion, wanted: &Wanted) {
        let Some(core) = &self.core else { return };
        let configuration = core.configuration();
        let counts = core.term() == question.term
            && configuration.names(head.sender)
            && head.applied < question.index;
        if !counts {
            return;
        }
        let mut others = configuration.everybody();
        others.remove(self.settings.me);
        let key = BodyKey { id: wanted.id, hash: wanted.hash };
        let from = head.sender.id;
        if self.recovery.lacks(&key, question.number, configuration.epoch, from, others) {
            self.lost_body = Some(LostBody { index: question.index, key });
        }
    }

    /// Sends due requests for missing bodies.
    pub(super) fn ask_for_bodies(&mut self, now: Instant) {
        let Some(core) = &self.core else { return };
        let (epoch, term) = (core.configuration().epoch, core.term());
        let mut peers = core.configuration().everybody();
        peers.remove(self.settings.me);
        let patience = self.limits.unordered_expiry + self.limits.packet_life;
        let mut packet = [0; PACKET_MAX];
        for _ in 0..ASKS_PER_BURST {
            let Some(ask) = self.recovery.poll(now, peers, epoch, patience) else { return };
            let head = self.head(now);
            let question = BodyQuestion { term, index: ask.index, number: ask.question };
            let len = self.encoder.body_request(&mut packet, &head, &question, [ask.wanted]);
            self.outbox.to_nodes(NodeSet::only(ask.to), &packet[..len], Seq::ZERO);
        }
    }
}
