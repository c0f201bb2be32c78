//! Mode `unreplicated`: one server, no log. The same tables keep it from executing a repetition twice within the plain window;
//! an own count stands for the index, and own time for log time.

use r2p2::Instant;
use r2p2::buffer::Body;
use r2p2::header::Policy;
use r2p2::reassembly::Request as Incoming;
use r2p2::refusal::Reason;
use raft_core::ids::LogIndex;

use super::Replica;
use crate::command::{AnswerTo, Command, Execute};
use crate::entry::{EntryKind, Request};
use crate::log_time::micros;
use crate::table::{Decision, Slot};
use crate::trace::Phase;
use crate::wire::body_hash;

impl Replica {
    /// A whole request: decided and handed over at once.
    pub(super) fn execute_alone(&mut self, now: Instant, request: Incoming, asker: AnswerTo) {
        let session = request.id.session != 0 || request.flags.opens || request.flags.closes;
        if session || self.stopped || self.outstanding >= self.settings.commands_max {
            let reason = match session {
                true => Reason::UnknownSession,
                false if self.stopped => Reason::Failed,
                false => Reason::Overload,
            };
            self.pool.give_back(request.body);
            return self.refuse_asker(&asker, reason);
        }
        let read = request.policy == Policy::ReplicatedRead;
        let index = self.handed.next();
        let entry = Request {
            id: request.id,
            client: request.client,
            plain: request.plain,
            kind: if read { EntryKind::Read } else { EntryKind::Write },
            hash: body_hash(&self.hash_key, &request.body),
            len: u32::try_from(request.body.len()).unwrap_or(u32::MAX),
            above_floor: 0,
            stamp_us: micros(now),
            replier: self.settings.me,
            inline: false,
        };
        let body = request.body.clone();
        self.pool.give_back(request.body);
        match self.table.decide(index, &entry, &self.limits, 0) {
            Decision::Execute { slot } => self.run_alone(index, entry, body, Some(slot), asker),
            Decision::ExecuteRead => self.run_alone(index, entry, body, None, asker),
            Decision::Repetition(kept) => {
                self.counters.repetitions_answered += 1;
                self.command(Command::Kept { slot: kept.slot, index: kept.index, to: asker });
            }
            Decision::Refused(reason) => self.refuse_asker(&asker, reason),
            Decision::Opened { .. } | Decision::Closed | Decision::Dropped => {}
        }
    }

    fn run_alone(
        &mut self,
        index: LogIndex,
        entry: Request,
        body: Body,
        keep: Option<Slot>,
        asker: AnswerTo,
    ) {
        self.counters.ordered += 1;
        let replier = self.settings.me;
        self.trace.record_more(Phase::HandedOver, index, &entry.id, replier, 0);
        self.handed = index;
        let execute = Execute {
            index,
            replicated: false,
            stamp_us: entry.stamp_us,
            read: entry.kind == EntryKind::Read,
            body,
            keep,
            reply_keep_max: self.keep_max(keep),
            reply_max: self.limits.reply_max,
            answer: Some(asker),
        };
        self.pending.push_back(index);
        self.command(Command::Execute(execute));
    }
}
