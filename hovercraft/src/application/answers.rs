//! Answers of the application half: to the replier's client, to who asked again, from what is kept (design HC3c, HC7d).

use planted::Plant;
use r2p2::Instant;
use r2p2::answer::{self, AnswerForm};
use r2p2::opening::OpeningReply;
use r2p2::refusal::{Reason, Refusal};
use r2p2::service::Service;
use raft_core::ids::{LogIndex, NodeId};

use super::{Application, Ended, KeptResult, Transmit, Until, slot_of};
use crate::command::{AnswerTo, Told};
use crate::log_time::micros;
use crate::table::Slot;
use crate::trace::Phase;

/// What became of an entry, for those who asked again meanwhile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Done {
    /// Nothing to answer.
    Nothing,
    /// The reply is in the buffer, and names this index.
    Ran {
        ended: Ended,
        executed: u64,
    },
    Told {
        index: LogIndex,
        what: Told,
    },
}

impl<S: Service> Application<S> {
    /// The replier's answer to the entry that was done last (A2); whether there is one.
    pub(super) fn answer_unasked(
        &mut self,
        now: Instant,
        to: Option<&AnswerTo>,
        stamp_us: u64,
        transmit: &mut Transmit<'_>,
    ) -> bool {
        let Some(to) = to.filter(|to| self.is_in_time(now, to, stamp_us)) else { return false };
        self.answer_done(now, to, self.until_unasked(to, stamp_us), transmit);
        true
    }

    /// Answers the entry that was done last.
    pub(super) fn answer_done(
        &mut self,
        now: Instant,
        to: &AnswerTo,
        until: Until,
        transmit: &mut Transmit<'_>,
    ) {
        match self.done {
            Done::Nothing => {}
            Done::Ran { ended, executed } => self.send(now, to, until, ended, executed, transmit),
            Done::Told { index, what } => match what {
                Told::Opened { keep, .. } => {
                    self.answer_kept(now, keep, index, to, until, transmit);
                }
                Told::Repetition { slot, first } => {
                    self.answer_kept(now, slot, first, to, until, transmit);
                }
                Told::Closed => {
                    self.reply.clear();
                    self.send(now, to, until, Ended::Reply, index.to_wire(), transmit);
                }
                Told::Refused(reason) => self.send_refusal(to, reason, transmit),
            },
        }
    }

    /// HC7d: from the kept reply, naming the index at which the request was executed.
    pub(super) fn answer_kept(
        &mut self,
        now: Instant,
        slot: Slot,
        index: LogIndex,
        to: &AnswerTo,
        until: Until,
        transmit: &mut Transmit<'_>,
    ) {
        let kept = slot_of(&mut self.kept, slot);
        if kept.index != index {
            return; // let go since the question was asked
        }
        let executed = kept.reported;
        self.counters.repetitions_answered += 1;
        match kept.result {
            KeptResult::Opened(session) => {
                if let Ok(reply) = OpeningReply::parse(&kept.bytes) {
                    self.counters.answers += 1;
                    self.trace.record(Phase::Answered, LogIndex::from_wire(executed), &to.id());
                    let packet = answer::opened(session, to.number, executed, reply);
                    transmit(to.client.socket(), &packet, &[]);
                }
            }
            KeptResult::Reply => {
                self.reply.clear();
                self.reply.extend_from_slice(&kept.bytes);
                self.counters.reply_bytes_copied += kept.bytes.len() as u64;
                self.send(now, to, until, Ended::Reply, executed, transmit);
            }
            KeptResult::Failed => self.send_refusal(to, Reason::Failed, transmit),
            // A plain client has no word for it: silence, on every node alike (HC7d).
            KeptResult::NotKept if to.plain => {}
            KeptResult::NotKept => self.send_refusal(to, Reason::NotKept, transmit),
        }
    }

    pub(super) fn send(
        &mut self,
        now: Instant,
        to: &AnswerTo,
        until: Until,
        ended: Ended,
        executed: u64,
        transmit: &mut Transmit<'_>,
    ) {
        if let Ended::Refused(reason) = ended {
            return self.send_refusal(to, reason, transmit);
        }
        self.counters.answers += 1;
        self.trace.record(Phase::Answered, LogIndex::from_wire(executed), &to.id());
        let form = AnswerForm::new(&to.id(), to.plain).response(executed);
        let address = to.client.socket();
        if form.packets(self.reply.len()) == Some(1)
            && let Some(fragment) = form.fragment(0, self.reply.len())
        {
            return transmit(address, &fragment.head, &self.reply);
        }
        let body = self.pool.copy(&self.reply);
        self.counters.reply_bytes_copied += self.reply.len() as u64;
        let sent = body.is_some_and(|body| {
            let pushed = self.long.push(now, address, form, body.clone(), 0).is_ok();
            self.pool.give_back(body);
            pushed
        });
        if !sent {
            self.counters.long_answers_dropped += 1;
        } else if to.plain {
            self.leaving.add(form, address, until);
        }
        self.send_long(now, transmit);
    }

    pub(super) fn send_refusal(
        &mut self,
        to: &AnswerTo,
        reason: Reason,
        transmit: &mut Transmit<'_>,
    ) {
        self.counters.answers += 1;
        self.refusals.count(reason);
        let (none, nobody) = (LogIndex::ZERO, NodeId::default());
        self.trace.record_more(Phase::Refused, none, &to.id(), nobody, reason as u16);
        let packet = AnswerForm::new(&to.id(), to.plain).refusal(Refusal::new(reason));
        transmit(to.client.socket(), &packet, &[]);
    }

    /// A2: until when an answer may leave that nobody asked for again.
    fn until_unasked(&self, to: &AnswerTo, stamp_us: u64) -> Until {
        let ttl = self.settings.answer_ttl;
        Until { own: to.asked + ttl, log_us: stamp_us.saturating_add(micros(ttl)) }
    }

    /// A2: until when a repetition may be answered.
    pub(super) fn until(&self, to: &AnswerTo) -> Until {
        Until { own: to.asked + self.settings.answer_ttl, log_us: u64::MAX }
    }

    /// A2, for an answer that nobody asked for again.
    fn is_in_time(&mut self, now: Instant, to: &AnswerTo, stamp_us: u64) -> bool {
        let ttl = self.settings.answer_ttl;
        let in_time = !to.plain
            || planted::is(Plant::Hc3cLate)
            || (now.saturating_sub(to.asked) <= ttl
                && self.heard_us.saturating_sub(stamp_us) <= micros(ttl));
        self.counters.too_late += u64::from(!in_time);
        in_time
    }

    /// A2, for a repetition: it is itself young enough.
    pub(super) fn is_young(&mut self, now: Instant, to: &AnswerTo) -> bool {
        let young = !to.plain || now.saturating_sub(to.asked) < self.settings.answer_ttl;
        self.counters.too_late += u64::from(!young);
        young
    }
}
