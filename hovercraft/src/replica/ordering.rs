//! The leader: from unordered requests to entries of the log (HovercRaft, "ordering"; design HC4, HC6, HC7).

use r2p2::Instant;
use r2p2::refusal::Reason;
use raft_core::entry::Payload;
use raft_core::ids::{LogIndex, NodeId, NodeSet, Term};
use raft_core::raft::ProposeError;

use super::client::Judged;
use super::{Core, Mode, Replica, is_leader};
use crate::command::AnswerTo;
use crate::entry::{EntryKind, Request};
use crate::log_time::micros;
use crate::replier::Work;
use crate::spans::Span;
use crate::store::BodyRef;

/// A body up to this length travels inside its append in mode `raft`; a longer one is recovered from the leader.
pub(crate) const INLINE_MAX: usize = 1_200;

impl Replica {
    /// Appends what waits, oldest first, as long as somebody has room to answer it (HC4).
    pub(super) fn order(&mut self, now: Instant) {
        let Some(core) = &self.core else { return };
        // HC7a: nothing is ordered before this leader's log has a configuration.
        if !is_leader(core) || core.configuration().epoch == LogIndex::ZERO {
            return;
        }
        let expiry = self.limits.unordered_expiry;
        self.store.expire(now, self.heard.passed_us(), expiry, &mut self.pool);
        let eligible = self.eligible();
        let mut next = self.store.next_waiting(None);
        let before = self.counters.ordered;
        while let Some(at) = next {
            next = self.store.next_waiting(Some(at));
            let origin = self.store.origin(at);
            let is_old = origin.age(now, self.heard.passed_us()) >= expiry;
            if !self.store.is_orderable(at) || is_old || !self.is_admitted(now, at) {
                continue;
            }
            if !self.append_entry(now, at, eligible) {
                break;
            }
        }
        // A follower's word of what it applied comes with its acknowledgement, one append late. The leader's own counts from the
        // same moment, or it would always have the shortest queue.
        if self.counters.ordered > before {
            self.report_own();
        }
    }

    /// HC7c: judged again, at the stamp that it would get now: other requests came between, and time passed while it waited. What
    /// has no place in the log waits no more.
    fn is_admitted(&mut self, now: Instant, at: BodyRef) -> bool {
        let (key, origin) = (self.store.key(at), self.store.origin(at));
        // Judged in this burst, and its session's fullness is no matter of others.
        if key.id.session != 0 && self.store.is_fresh(at) {
            return true;
        }
        let asker = AnswerTo {
            client: origin.client,
            plain: origin.plain,
            session: key.id.session,
            number: key.id.number,
            asked: origin.age_from,
        };
        match self.judge(self.log_time_us(now), &key, &origin) {
            Judged::Orderable => return true,
            Judged::Applied(kept) => self.answer_from_kept(kept, asker),
            Judged::Forgotten => {}
            Judged::Full => {
                self.counters.refused_plain_full += 1;
                self.refuse_asker(&asker, Reason::Overload);
            }
        }
        self.store.drop_waiting(at, &mut self.pool);
        false
    }

    /// The leader's own applied index, as if it had acknowledged this append to itself.
    pub(super) fn report_own(&mut self) {
        let (me, applied) = (self.settings.me, self.applied);
        self.report_applied(me, applied);
    }

    /// False when the log or every replier's queue is full.
    fn append_entry(&mut self, now: Instant, at: BodyRef, eligible: NodeSet) -> bool {
        let me = self.settings.me;
        let mut chosen = self.repliers.choose(eligible, me);
        if chosen.is_none() {
            self.report_own();
            chosen = self.repliers.choose(eligible, me);
        }
        let (Some(replier), Some(core)) = (chosen, &mut self.core) else { return false };
        let (key, origin) = (self.store.key(at), self.store.origin(at));
        let len = self.store.body(at).len();
        let last = self.meta.last_stamp();
        let request = Request {
            id: key.id,
            client: origin.client,
            plain: origin.plain,
            kind: origin.kind,
            hash: key.hash,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            above_floor: origin.above_floor,
            stamp_us: last.stamp(now, (core.term(), self.elected_at), self.limits.plain_window),
            replier,
            inline: self.settings.mode == Mode::Raft && len <= INLINE_MAX,
        };
        let term = core.term();
        let index = match core.propose(now, request) {
            Ok(index) => index,
            Err(error) => {
                self.counters.log_full += u64::from(error == ProposeError::Full);
                return false;
            }
        };
        assert!(index == self.meta.last().next(), "HC1a: every entry before has its body");
        self.bind_own(index, &request, at, term, now);
        self.counters.ordered += 1;
        self.took(Span::Ordered, origin.age_from);
        self.repliers.appended(work_of(&request));
        true
    }

    /// Voters of the configuration in force whose answers can count: one incarnation each (HC3a, HC4).
    fn eligible(&self) -> NodeSet {
        let Some(core) = &self.core else { return NodeSet::EMPTY };
        let configuration = core.configuration();
        let mut set = NodeSet::EMPTY;
        for member in &configuration.voters {
            if configuration.incarnation_of(member.id) == Some(*member) {
                set.insert(member.id);
            }
        }
        set
    }

    /// A node says how far it applied, in this term of this leader.
    pub(super) fn report_applied(&mut self, node: NodeId, applied: LogIndex) {
        let Some(core) = &self.core else { return };
        if is_leader(core) {
            let held = (core.first_index().prev(), core.last_index());
            self.repliers.report(node, applied, held, |index| work_at(core, index));
        }
    }

    /// The stamp that a request would get now; for a follower the latest one heard (HC3c).
    pub(super) fn log_time_us(&self, now: Instant) -> u64 {
        match &self.core {
            Some(core) if is_leader(core) => {
                let last = self.meta.last_stamp();
                last.stamp(now, (core.term(), self.elected_at), self.limits.plain_window)
            }
            None if self.settings.mode == Mode::Unreplicated => micros(now),
            _ => self.heard.in_term_us(),
        }
    }

    /// Who gives stamps tells the time by itself.
    pub(super) fn hear_own(&mut self, now: Instant) {
        let term = match &self.core {
            Some(core) if is_leader(core) => core.term(),
            None if self.settings.mode == Mode::Unreplicated => Term::ZERO,
            _ => return,
        };
        self.heard.hear_leader(term, self.log_time_us(now));
    }
}

/// What the entry at `index` costs its nodes.
pub(super) fn work_at(core: &Core, index: LogIndex) -> Work {
    match core.entry(index).map(|entry| entry.payload) {
        Some(Payload::Command(request)) => work_of(&request),
        _ => Work::Nothing,
    }
}

fn work_of(request: &Request) -> Work {
    match request.kind {
        EntryKind::Read => Work::Read(request.replier),
        EntryKind::Write | EntryKind::Open | EntryKind::Close => Work::Write,
    }
}
