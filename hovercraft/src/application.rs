//! The application half of a node: executes committed entries in order and answers (design, section 5; HC3, HC5, HC7d).
//!
//! It is fed with [`Command`]s, in the order of the log, and hands packets to the caller's `transmit`: replies leave from here,
//! on the application thread's own queue. Kept replies stand in an array by [`Slot`], written only in log order, so the tables
//! of the network half and this array agree without a lock.
//!
//! Invariants:
//! - A1. Nothing is answered from an entry that is not applied (HC7d): commands are handled in order, one by one.
//! - A2. A plain client is not answered later than `answer_ttl`, by log time and by own time (HC3c).
//! - A3. After a panic of a service whose state does not survive it nothing is executed any more, and no entry answered (A1).

use core::net::SocketAddr;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use r2p2::Instant;
use r2p2::ack::{Wanted, emit_wanted};
use r2p2::buffer::Pool;
use r2p2::opening::OpeningReply;
use r2p2::pacing::{self, LongSends};
use r2p2::refusal::Reason;
use r2p2::service::{ChangesState, Context, Reply, Service};
use raft_core::ids::LogIndex;

use crate::command::{AnswerTo, Command, Completion, Execute, Tell, Told};
use crate::spans::Spans;
use crate::table::Slot;
use crate::totals::Refusals;
use crate::trace::{Phase, Trace};

mod answers;
mod counters;
mod leaving;
mod timing;

use answers::Done;
pub use counters::ApplicationCounters;
use leaving::{Leaving, Until};
use timing::Begun;

/// Where packets go: destination, head, payload.
pub type Transmit<'a> = dyn FnMut(SocketAddr, &[u8], &[u8]) + 'a;

/// Bounds of the application half.
#[derive(Clone, Copy, Debug)]
pub struct ApplicationSettings {
    /// How late a plain client may be answered, and how long a long answer is kept (HC3c).
    pub answer_ttl: Duration,
    /// Bytes of long answers being sent or kept.
    pub long_answer_bytes: usize,
    /// Longest reply to a query.
    pub reply_max: u32,
    /// Seed of its tables.
    pub seed: u64,
}

/// What stands in a slot.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// The entry whose reply it is; zero before any.
    index: LogIndex,
    /// What the client is told of it: 0 in mode `unreplicated`.
    reported: u64,
    result: KeptResult,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum KeptResult {
    #[default]
    Reply,
    /// Longer than `reply_keep_max`.
    NotKept,
    Failed,
    Opened(u64),
}

/// How an execution ended, its reply in the buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Reply,
    Refused(Reason),
}

/// The application half, around a service.
#[derive(Clone, Debug)]
pub struct Application<S> {
    service: S,
    settings: ApplicationSettings,
    kept: Vec<Kept>,
    reply: Vec<u8>,
    /// Of the last entry.
    done: Done,
    pool: Pool,
    long: LongSends,
    leaving: Leaving,
    applied: LogIndex,
    log_time_us: u64,
    heard_us: u64,
    commands: u32,
    stopped: bool,
    /// Totals.
    pub counters: ApplicationCounters,
    /// Refusals sent.
    pub refusals: Refusals,
    trace: Trace,
    spans: Spans,
    begun: Begun,
}

impl<S: Service> Application<S> {
    /// Around a service with an empty state.
    #[must_use]
    pub fn new(service: S, settings: ApplicationSettings) -> Self {
        let long = pacing::Settings {
            bytes_max: settings.long_answer_bytes,
            keep_for: settings.answer_ttl,
            ..pacing::Settings::default()
        };
        Self {
            service,
            kept: Vec::new(),
            reply: Vec::with_capacity(64 << 10),
            done: Done::Nothing,
            pool: Pool::new(2 * settings.long_answer_bytes),
            long: LongSends::new(long, settings.seed),
            leaving: Leaving::default(),
            applied: LogIndex::ZERO,
            log_time_us: 0,
            heard_us: 0,
            commands: 0,
            stopped: false,
            counters: ApplicationCounters::default(),
            refusals: Refusals::default(),
            trace: Trace::default(),
            spans: Spans::default(),
            begun: Begun::default(),
            settings,
        }
    }

    /// Does one command. `heard_us` is the highest log time that the network half has heard from the newest leader.
    pub fn handle(
        &mut self,
        now: Instant,
        heard_us: u64,
        command: Command,
        transmit: &mut Transmit<'_>,
    ) {
        self.trace.at(now);
        self.commands += 1;
        self.heard_us = heard_us;
        match command {
            Command::Execute(execute) => self.execute(now, &execute, transmit),
            Command::Tell(tell) => self.tell(now, &tell, transmit),
            Command::Also(to) => {
                if self.is_young(now, &to) {
                    self.answer_done(now, &to, self.until(&to), transmit);
                }
            }
            Command::Kept { slot, index, to } => {
                if self.is_young(now, &to) {
                    self.answer_kept(now, slot, index, &to, self.until(&to), transmit);
                }
            }
            Command::Query { body, to, refuse } => self.query(now, &body, &to, refuse, transmit),
            Command::Wanted { client, session, number, ranges } => {
                let mut payload = [0; 4 * crate::command::WANTED_MAX];
                let holes = ranges.iter().take_while(|range| range.1 > 0);
                let holes = holes.map(|&(first, count)| first..first.saturating_add(count));
                let len = emit_wanted(holes, &mut payload);
                if let Ok(wanted) = Wanted::parse(&payload[..len]) {
                    self.long.wanted(now, client.socket(), session, number, wanted);
                }
            }
            Command::Refuse { to, reason } => self.send_refusal(&to, reason, transmit),
        }
    }

    /// Keeps what happens to requests from now on; off before.
    pub fn set_trace(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// Sends packets of long answers that are due. `heard_us` as in [`Self::handle`].
    pub fn tick(&mut self, now: Instant, heard_us: u64, transmit: &mut Transmit<'_>) {
        self.heard_us = heard_us;
        self.send_long(now, transmit);
    }

    fn send_long(&mut self, now: Instant, transmit: &mut Transmit<'_>) {
        self.counters.too_late += self.leaving.stop_late(now, self.heard_us, &mut self.long);
        while let Some(paced) = self.long.poll(now) {
            transmit(paced.to, &paced.head, paced.payload);
        }
        self.long.expire(now);
    }

    /// When [`Self::tick`] next has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.long.deadline()
    }

    /// What to report to the network half; resets the count of commands.
    pub fn take_completion(&mut self) -> Completion {
        let commands = core::mem::take(&mut self.commands);
        Completion { commands, applied: self.applied, stopped: self.stopped }
    }

    /// The service, to look at.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Where the service stands: what a query outside the log is given.
    #[must_use]
    pub fn context(&self) -> Context {
        Context { index: self.applied.to_wire(), log_time_us: self.log_time_us }
    }

    /// The last index executed here, or told of.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// Every total with its name, always in the same order.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> + use<S> {
        self.counters.iter().chain(self.refusals.iter())
    }

    /// Whether a panic ended the service (A3).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn execute(&mut self, now: Instant, execute: &Execute, transmit: &mut Transmit<'_>) {
        self.done = Done::Nothing;
        if self.stopped {
            return; // A3
        }
        self.applied = execute.index;
        self.log_time_us = execute.stamp_us;
        let ended = self.run(execute);
        let phase = if execute.read { Phase::Queried } else { Phase::Executed };
        let id = execute.answer.map(|to| to.id()).unwrap_or_default();
        self.trace.record(phase, execute.index, &id);
        if let Some(slot) = execute.keep {
            self.keep(slot, execute, ended);
        }
        self.done = Done::Ran { ended, executed: execute.reported_index() };
        let answer = execute.answer.as_ref();
        let is_answered = self.answer_unasked(now, answer, execute.stamp_us, transmit);
        let logged = answer.filter(|_| is_answered).map(|to| to.asked);
        self.begun = logged.map_or(Begun::Execution, Begun::Answer);
    }

    /// Runs the service; its reply is in the buffer.
    fn run(&mut self, execute: &Execute) -> Ended {
        let context = Context { index: execute.index.to_wire(), log_time_us: execute.stamp_us };
        if execute.read {
            self.counters.reads += 1;
            return self.read(&context, &execute.body, execute.reply_max);
        }
        let mut reply = Reply::new(&mut self.reply, execute.reply_max as usize);
        self.counters.executed += 1;
        let service = &mut self.service;
        let run = AssertUnwindSafe(|| service.execute(&context, &execute.body, &mut reply));
        if catch_unwind(run).is_err() {
            // It happens on every node alike (design, section 3): the entry is answered "failed".
            self.counters.panics += 1;
            self.stopped |= !self.service.survives_panic();
            return Ended::Refused(Reason::Failed);
        }
        if reply.overflowed() { Ended::Refused(Reason::Failed) } else { Ended::Reply }
    }

    /// Asks the service; its reply is in the buffer. A read executes on one node only: its panic ends that answer, and must not
    /// end one replier after the other (HC13). It has changed nothing, so the state stands.
    fn read(&mut self, context: &Context, body: &[u8], reply_max: u32) -> Ended {
        let mut reply = Reply::new(&mut self.reply, reply_max as usize);
        let service = &self.service;
        match catch_unwind(AssertUnwindSafe(|| service.query(context, body, &mut reply))) {
            Ok(Ok(_)) if !reply.overflowed() => Ended::Reply,
            Ok(Ok(_)) => Ended::Refused(Reason::Failed),
            Ok(Err(ChangesState)) => Ended::Refused(Reason::ChangesState),
            Err(_) => {
                self.counters.panics += 1;
                Ended::Refused(Reason::Failed)
            }
        }
    }

    fn keep(&mut self, slot: Slot, execute: &Execute, ended: Ended) {
        let keep_max = execute.reply_keep_max as usize;
        let kept = slot_of(&mut self.kept, slot);
        kept.index = execute.index;
        kept.reported = execute.reported_index();
        kept.bytes.clear();
        kept.result = match ended {
            Ended::Refused(_) => KeptResult::Failed,
            Ended::Reply if self.reply.len() > keep_max => {
                if keep_max == 0 {
                    kept.bytes = Vec::new();
                }
                KeptResult::NotKept
            }
            Ended::Reply => {
                // Never more than the longest reply that is kept: the limit in bytes rests on it.
                kept.bytes.reserve_exact(self.reply.len());
                kept.bytes.extend_from_slice(&self.reply);
                self.counters.reply_bytes_copied += self.reply.len() as u64;
                KeptResult::Reply
            }
        };
    }

    fn tell(&mut self, now: Instant, tell: &Tell, transmit: &mut Transmit<'_>) {
        self.done = Done::Nothing;
        if self.stopped {
            return; // A3
        }
        self.applied = tell.index;
        self.log_time_us = tell.stamp_us;
        if let Told::Opened { session, window, expiry_ms, keep } = tell.what {
            let kept = slot_of(&mut self.kept, keep);
            kept.index = tell.index;
            kept.reported = tell.index.to_wire();
            kept.result = KeptResult::Opened(session);
            kept.bytes.clear();
            kept.bytes.extend_from_slice(&OpeningReply { window, expiry_ms }.emit());
        }
        self.done = Done::Told { index: tell.index, what: tell.what };
        self.answer_unasked(now, tell.answer.as_ref(), tell.stamp_us, transmit);
    }

    fn query(
        &mut self,
        now: Instant,
        body: &[u8],
        to: &AnswerTo,
        refuse: bool,
        transmit: &mut Transmit<'_>,
    ) {
        self.counters.queries += 1;
        self.trace.record(Phase::Queried, LogIndex::ZERO, &to.id());
        let context = self.context();
        let ended = if self.stopped {
            Ended::Refused(Reason::Failed)
        } else {
            self.read(&context, body, self.settings.reply_max)
        };
        if refuse || ended != Ended::Refused(Reason::ChangesState) {
            self.send(now, to, self.until(to), ended, 0, transmit);
        }
    }
}

fn slot_of(kept: &mut Vec<Kept>, slot: Slot) -> &mut Kept {
    let place = slot.place();
    if kept.len() <= place {
        kept.resize_with(place + 1, Kept::default);
    }
    &mut kept[place]
}

#[cfg(test)]
mod tests;
