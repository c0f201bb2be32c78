//! What the core wants done: packets of elections and appends, entries that are new in the log or cut off it, a new role.

use planted::Plant;
use r2p2::Instant;
use r2p2::request_id::RequestId;
use raft_core::entry::Payload;
use raft_core::ids::{LogIndex, NodeSet, Seq, Term};
use raft_core::message::{Append, Message};
use raft_core::output::Output as CoreOutput;

use super::{Core, Mode, Replica, is_leader, nodes};
use crate::command::{AnswerTo, Command, Execute};
use crate::entry::{EntryKind, Request};
use crate::log_meta::{EntryMeta, LogMeta, Unapplied};
use crate::log_time::LastStamp;
use crate::store::BodyRef;
use crate::trace::Phase;

impl Replica {
    /// Does what the core wants, until it wants nothing more. Entries that are new in the log came at `arrived`.
    pub(super) fn settle(&mut self, now: Instant, arrived: Instant) {
        loop {
            let mut durable = Seq::ZERO;
            while let Some(output) = self.core.as_mut().and_then(Core::poll_output) {
                match *output {
                    CoreOutput::Persist { seq, .. } => durable = durable.max(seq),
                    CoreOutput::Truncated { from } => self.on_truncated(from),
                    CoreOutput::BecameLeader { .. } => self.on_leading(now),
                    CoreOutput::BecameFollower { term, .. } => {
                        self.forget_unordered();
                        self.repliers.reset();
                        self.enter(term);
                    }
                    CoreOutput::Committed(index) => {
                        self.trace.record(Phase::Committed, index, &RequestId::default());
                    }
                    CoreOutput::Send { to, message, needs } => {
                        let head = self.head(now);
                        let len = self.encoder.raft(&mut self.packet, &head, &message);
                        self.outbox.to_nodes(NodeSet::only(to), &self.packet[..len], needs);
                        if matches!(message, Message::Ack { .. } | Message::Reject { .. }) {
                            self.told = (self.applied, now);
                        }
                    }
                    CoreOutput::Append { to, append, needs } => {
                        self.sync_meta(arrived);
                        self.send_append(now, to, append, needs);
                    }
                }
            }
            self.sync_meta(arrived);
            let Some(core) = &mut self.core else { return };
            if durable > Seq::ZERO {
                // Memory mode: what stands in memory is as durable as it gets (HC1c).
                core.persisted(now, durable);
            } else if core::mem::take(&mut self.wants_configuration) {
                self.propose_configuration(now);
            } else {
                break;
            }
        }
        self.hand_over();
    }

    /// Gives every entry that is new in the log its meta, and pins its body (HC1a, S1).
    fn sync_meta(&mut self, arrived: Instant) {
        let Self { core: Some(core), meta, store, unapplied, trace, .. } = self else { return };
        let mut early = Vec::new();
        let phase = if is_leader(core) { Phase::Ordered } else { Phase::Appended };
        while meta.last() < core.last_index() {
            let index = meta.last().next();
            let entry = core.entry(index).expect("the log has every entry up to its last");
            if let Payload::Command(request) = &entry.payload {
                let key = nodes::key_of(entry).expect("a command names a body");
                let body = store.find_to_bind(&key).expect("HC1a: no entry without its body");
                trace.record_more(phase, index, &request.id, request.replier, 0);
                store.pin(body, index);
                bind(meta, unapplied, request, body, core.term(), arrived);
                let early_read = planted::is(Plant::H13) && request.kind == EntryKind::Read;
                early.extend(early_read.then_some((index, *request, body)));
            } else {
                let stamp = meta.last_stamp();
                meta.push(EntryMeta { arrived, stamp, ..EntryMeta::default() });
            }
        }
        for (index, request, body) in early {
            self.read_early(index, &request, body, arrived);
        }
    }

    /// The entry at `index`, which this leader has just appended, is this request, with this body.
    pub(super) fn bind_own(
        &mut self,
        index: LogIndex,
        request: &Request,
        body: BodyRef,
        term: Term,
        now: Instant,
    ) {
        self.trace.record_more(Phase::Ordered, index, &request.id, request.replier, 0);
        self.store.pin(body, index);
        bind(&mut self.meta, &mut self.unapplied, request, body, term, now);
    }

    /// HC8: truncation returns bodies to the unordered set, with their age.
    fn on_truncated(&mut self, from: LogIndex) {
        while let Some(meta) = self.meta.pop_from(from) {
            self.unapplied.subtract(meta.adds);
            if let Some(body) = meta.body {
                self.store.unpin_truncated(body);
            }
        }
    }

    /// A planted bug: the replier executes a read that has come, and not again at its place.
    fn read_early(&mut self, index: LogIndex, request: &Request, body: BodyRef, now: Instant) {
        let mine = request.replier == self.settings.me;
        if !mine || self.outstanding + 1 >= self.settings.commands_max {
            return;
        }
        self.command(Command::Execute(Execute {
            index,
            replicated: true,
            stamp_us: request.stamp_us,
            read: true,
            body: self.store.body(body).clone(),
            keep: None,
            reply_keep_max: 0,
            reply_max: self.limits.reply_max,
            answer: Some(AnswerTo {
                client: request.client,
                plain: request.plain,
                session: request.id.session,
                number: request.id.number,
                asked: now,
            }),
        }));
    }

    /// A planted bug.
    fn forget_unordered(&mut self) {
        while planted::is(Plant::H6)
            && let Some(at) = self.store.next_waiting(None)
        {
            self.store.drop_waiting(at, &mut self.pool);
        }
    }

    fn on_leading(&mut self, now: Instant) {
        self.counters.elections_won += 1;
        self.elected_at = now;
        self.told_held.0 = LogIndex::ZERO;
        self.forget_unordered();
        self.repliers.reset();
        self.parked.clear();
        self.report_own();
        let unborn = |core: &Core| core.configuration().epoch == LogIndex::ZERO;
        self.wants_configuration = self.core.as_ref().is_some_and(unborn);
    }

    fn send_append(&mut self, now: Instant, to: NodeSet, append: Append, needs: Seq) {
        let head = self.head(now);
        let Some(core) = &self.core else { return };
        let mut writer = self.encoder.append(&mut self.packet, &head, &append);
        let places = 0..usize::from(append.count);
        let indexes = places.map(|place| append.previous_index.plus(1 + place as u64));
        let mut configures = false;
        for index in indexes.clone() {
            let entry = core.entry(index).expect("an append's entries are in the log");
            configures = entry.payload == Payload::Configuration;
            writer.entry(entry);
        }
        if configures {
            let configuration = core.configuration_at(append.last_index());
            self.configuration_bytes.clear();
            let encoded =
                crate::wire::configuration::encode(configuration, &mut self.configuration_bytes);
            encoded.expect("a configuration in the log was checked");
            writer.configuration(&self.configuration_bytes);
        }
        if self.settings.mode == Mode::Raft {
            for (place, index) in indexes.enumerate() {
                let entry = core.entry(index).expect("an append's entries are in the log");
                if !matches!(entry.payload, Payload::Command(request) if request.inline) {
                    continue;
                }
                let key = nodes::key_of(entry).expect("a command names a body");
                // A body that was let go is recovered by whoever needs it.
                if let Some(body) = self.store.find(&key) {
                    writer.body(place, self.store.body(body));
                }
            }
        }
        let len = writer.finish();
        self.outbox.to_nodes(to, &self.packet[..len], needs);
        if append.count > 0 {
            self.counters.appends_sent += u64::from(to.len());
        } else {
            self.counters.empty_appends_sent += u64::from(to.len());
        }
    }

    /// Appends of earlier terms are void, and with them what they missed.
    pub(super) fn enter(&mut self, term: Term) {
        if self.parked.enter(term) {
            self.recovery.clear(&mut self.pool);
        }
    }
}

/// The next entry of the log is this request, with this body, which is pinned.
fn bind(
    meta: &mut LogMeta,
    unapplied: &mut Unapplied,
    request: &Request,
    body: BodyRef,
    term: Term,
    arrived: Instant,
) {
    let adds = Unapplied::of(request);
    unapplied.add(adds);
    let stamp = LastStamp { stamp_us: request.stamp_us, appended_at: arrived, term };
    meta.push(EntryMeta { arrived, stamp, body: Some(body), adds, ..EntryMeta::default() });
}
