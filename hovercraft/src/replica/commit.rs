//! From committed entries to commands for the application half, and back (design HC3, HC5, HC7).
//!
//! The tables decide here, in the order of the log; the application half executes what was decided. Both see the same order, so
//! the decision belongs to the replicated state though it is taken on the network thread.

use planted::Plant;
use r2p2::Instant;
use raft_core::entry::Payload;
use raft_core::ids::{LogIndex, Term};

use super::{Core, Replica, is_leader};
use crate::audit::{AuditEntry, Decided};
use crate::command::{AnswerTo, Command, Completion, Execute, Tell, Told};
use crate::entry::{EntryKind, Request};
use crate::log_meta::EntryMeta;
use crate::log_time::micros;
use crate::spans::Span;
use crate::table::{Decision, Slot, Table};
use crate::trace::Phase;

impl Replica {
    /// Hands committed entries over, as long as the ring to the application half has room: for an entry, and for whoever
    /// asked for it again.
    pub(super) fn hand_over(&mut self) {
        // After a service ended, nothing is applied any more: nothing more is decided either.
        while !self.stopped && self.outstanding + 1 < self.settings.commands_max {
            let Some(core) = &self.core else { return };
            let index = self.handed.next();
            if index > core.commit() {
                return;
            }
            let entry = core.entry(index).expect("HC1a: a committed entry is in the log");
            let term = entry.term;
            match entry.payload {
                Payload::NoOp => self.record(index, None, Decided::Executed),
                Payload::Configuration => {
                    self.adopt_limits(index);
                    self.record(index, None, Decided::Executed);
                }
                Payload::Command(request) => {
                    let answers =
                        answers_here(core, index, &request) && !self.is_late(term, &request);
                    self.decide(index, &request, answers);
                    // Reads that others answer are not handed over.
                    if self.pending.back() == Some(&index) {
                        let (id, replier) = (&request.id, request.replier);
                        self.trace.record_more(Phase::HandedOver, index, id, replier, 0);
                    }
                }
            }
            self.handed = index;
            if self.pending.is_empty() {
                self.set_applied(index);
            }
        }
    }

    /// HC3c for a plain client's entry, by what was heard until now: in its own term by that term's leader, and of an earlier term
    /// by anybody. What passes from now on the application half sees by its own clock, and by the leader it hears then, whose log
    /// time may begin behind this one.
    fn is_late(&self, term: Term, request: &Request) -> bool {
        let earlier = term < self.heard.term();
        let heard_us = if earlier { self.heard.us() } else { self.heard.in_term_us() };
        let age_us = heard_us.saturating_sub(request.stamp_us);
        request.plain && age_us > micros(self.limits.answer_ttl)
    }

    /// HC7a: the limits at an entry's index decide for it.
    fn adopt_limits(&mut self, index: LogIndex) {
        let Some(core) = &self.core else { return };
        let configuration = core.configuration_at(index);
        self.limits = configuration.data.limits;
    }

    /// Decides one entry and queues what the application half has to do for it, if anything.
    fn decide(&mut self, index: LogIndex, request: &Request, answers: bool) {
        let meta = self.meta.get(index).expect("an unapplied entry has its meta");
        let EntryMeta { body, arrived, adds, asked_again, .. } = *meta;
        let answer = answers.then_some(AnswerTo {
            client: request.client,
            plain: request.plain,
            session: request.id.session,
            number: request.id.number,
            asked: arrived,
        });
        self.took(Span::Committed, arrived);
        self.unapplied.subtract(adds);
        let misread;
        let mut request = request;
        if let Some(body) = body.filter(|_| planted::is(Plant::Hc6aFloor)) {
            misread = Request { above_floor: self.store.origin(body).above_floor, ..*request };
            request = &misread;
        } else if planted::is(Plant::Hc7aOwn) {
            misread = Request { stamp_us: request.stamp_us.max(self.heard.us()), ..*request };
            request = &misread;
        }
        let mut decision = self.table.decide(index, request, &self.limits, self.cluster_id);
        if let Decision::Repetition(kept) = decision
            && planted::is(Plant::R32)
            && body.is_some()
            && request.kind == EntryKind::Write
        {
            decision = Decision::Execute { slot: kept.slot };
        }
        self.record(index, Some(request), decided(&decision));
        let (keep, read) = match decision {
            Decision::Execute { slot } => (Some(slot), false),
            Decision::ExecuteRead if planted::is(Plant::H13) => return,
            Decision::ExecuteRead if answer.is_some() || asked_again.is_some() => (None, true),
            Decision::ExecuteRead | Decision::Dropped => return,
            decision => {
                let what = self.told(decision);
                let tell = Tell { index, stamp_us: request.stamp_us, what, answer };
                return self.give(index, Command::Tell(tell), asked_again);
            }
        };
        let execute = Execute {
            index,
            replicated: true,
            stamp_us: request.stamp_us,
            read,
            body: self.store.body(body.expect("HC1a")).clone(),
            keep,
            reply_keep_max: self.keep_max(keep),
            reply_max: self.limits.reply_max,
            answer,
        };
        self.give(index, Command::Execute(execute), asked_again);
    }

    /// What the application half is told of a decision that executes nothing.
    fn told(&mut self, decision: Decision) -> Told {
        match decision {
            Decision::Opened { session, slot } => {
                let expiry = self.limits.session_expiry.as_millis();
                Told::Opened {
                    session,
                    window: self.limits.session_window,
                    expiry_ms: u32::try_from(expiry).unwrap_or(u32::MAX),
                    keep: slot,
                }
            }
            Decision::Closed => Told::Closed,
            Decision::Repetition(kept) => {
                self.counters.repetitions_applied += 1;
                Told::Repetition { slot: kept.slot, first: kept.index }
            }
            Decision::Refused(reason) => Told::Refused(reason),
            Decision::Execute { .. } | Decision::ExecuteRead | Decision::Dropped => {
                unreachable!("{decision:?} is no news")
            }
        }
    }

    /// Longest reply that is kept in `slot`. HC12: beyond the room for replies none is but an empty one, on every node alike.
    pub(super) fn keep_max(&mut self, slot: Option<Slot>) -> u32 {
        if slot.is_none_or(|slot| Table::keeps_reply(slot, &self.limits)) {
            return self.limits.reply_keep_max;
        }
        self.counters.replies_without_room += 1;
        0
    }

    /// Queues the command of an entry, and the answer to whoever asked again meanwhile (HC7d).
    #[inline]
    fn give(&mut self, index: LogIndex, command: Command, asked_again: Option<AnswerTo>) {
        self.pending.push_back(index);
        self.command(command);
        if let Some(to) = asked_again {
            self.command(Command::Also(to));
        }
    }

    /// Queues any command.
    #[inline]
    pub(super) fn command(&mut self, command: Command) {
        self.outstanding += 1;
        self.outbox.command(command);
    }

    /// The application half took commands and applied entries.
    pub fn completed(&mut self, now: Instant, completion: Completion) {
        self.trace.at(now);
        self.outstanding = self.outstanding.saturating_sub(completion.commands);
        self.stopped |= completion.stopped;
        while self.pending.front().is_some_and(|&index| index <= completion.applied) {
            self.pending.pop_front();
        }
        let applied = self.pending.front().map_or(self.handed, |index| index.prev());
        self.set_applied(applied);
        self.hand_over();
        self.hear_own(now);
        self.spans.flush();
    }

    /// Everything up to `index` is applied here.
    fn set_applied(&mut self, index: LogIndex) {
        if index <= self.applied {
            return;
        }
        let mut at = self.applied;
        while let Some(meta) = self.meta.pop_applied(index) {
            at = at.next();
            if let Some(body) = meta.body {
                self.store.applied(body, at);
            }
        }
        self.applied = index;
        if planted::is(Plant::Hc1dEvicted) {
            self.store.release(index, &mut self.pool);
        }
        let Some(core) = &mut self.core else { return };
        core.release(index);
        // The own commit index would not do: it waits for what this log lacks (HC2b).
        self.caught_up |= core.word_of_commit().is_some_and(|word| index >= word);
    }

    /// Keeps the dump that a history check wants.
    fn record(&mut self, index: LogIndex, request: Option<&Request>, decided: Decided) {
        let max = self.settings.audit_max as usize;
        if max > 0 {
            if self.audit.len() >= max {
                self.audit.pop_front();
                self.counters.audit_lost += 1;
            }
            let log_time_us = self.table.log_time_us();
            let request = request.copied();
            self.audit.push_back(AuditEntry { index, log_time_us, request, decided });
        }
    }
}

fn decided(decision: &Decision) -> Decided {
    match decision {
        Decision::Execute { .. } | Decision::ExecuteRead => Decided::Executed,
        Decision::Opened { .. } | Decision::Closed => Decided::Executed,
        Decision::Repetition(_) => Decided::Repetition,
        Decision::Refused(_) => Decided::Refused,
        Decision::Dropped => Decided::Dropped,
    }
}

/// Whether this node answers the entry unasked: the incarnation that the configuration at its index gives to its replier (HC3a).
fn answers_here(core: &Core, index: LogIndex, request: &Request) -> bool {
    let found = core.first_of_term().is_some_and(|first| index < first);
    if planted::is(Plant::H12) && is_leader(core) && found {
        return true;
    }
    core.configuration_at(index).incarnation_of(request.replier) == Some(core.me())
}
