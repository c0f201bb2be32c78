//! One sending thread: sends what is due (pace.rs), takes what comes back, and counts both.
//!
//! ```text
//! loop: send all that is due ── take a turn on the connections (waiting, if nothing is due soon)
//! ```
//!
//! Invariants:
//! - S1. A schedule never waits for an answer. What is due and finds no room in any session's window is sent as soon as
//!   there is some, and its latency runs from its scheduled moment all the same; after the time-out it ends as `Unsent`.
//! - S2. Lateness that the generator causes itself ([`PhaseMeasures::pacing`](crate::measure::PhaseMeasures)) is measured
//!   apart from lateness for want of room: only of requests whose turn came while there was room.
//! - S3. Every request ends once (M1): the thread returns when nothing will be due and nothing is under way. Asked to stop,
//!   it sends no more, and what was due and found no room ends as `Unsent`.

use core::num::NonZeroU64;
use core::time::Duration;

use dataplane::backend::Instant;
use history_checker::history::{Operation, OperationKind, OperationOutcome};
use hovercraft_client::{CallError, Completion};
use rustix::thread::set_current_timer_slack;

use crate::cli::{Idle, Plan};
use crate::connections::Connections;
use crate::history::Recorder;
use crate::live::{Count, Gauge};
use crate::measure::{Ending, Measures};
use crate::pace::Turns;
use crate::pending::{Pending, PendingSet};
use crate::stop::Stop;
use crate::workload::{Check, Kind, Requests};

/// Requests sent between two looks at what has come.
const BURST: usize = 64;

/// A wait shorter than this is not worth a system call that may last longer.
const WAIT_MIN: Duration = Duration::from_micros(100);

/// How much earlier than needed a wait ends: waking up takes time, too.
const WAIT_MARGIN: Duration = Duration::from_micros(40);

/// How late the system may end a wait, in nanoseconds.
const TIMER_SLACK: NonZeroU64 = NonZeroU64::MIN.saturating_add(999);

/// Longest wait in one go.
const WAIT_MAX: Duration = Duration::from_millis(1);

/// What a thread starts with.
pub struct Load<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// Which thread this is, from 0.
    pub thread: u32,
    /// Over which connections.
    pub connections: Connections,
    /// Whether to end early.
    pub stop: &'a Stop,
    /// Where the printing thread looks.
    pub gauge: &'a Gauge,
    /// Where operations are recorded, if they are.
    pub recorder: Option<Recorder>,
    /// The clock's epoch on the system's monotonic clock, in nanoseconds.
    pub epoch_ns: u64,
}

/// A thread at work.
struct Sender<'a> {
    load: Load<'a>,
    /// The schedule's zero, by the connections' clock.
    start: Instant,
    turns: Turns,
    requests: Requests,
    /// The request that is due and found no room yet; its bytes are in `body`.
    drawn: Option<Drawn>,
    body: Vec<u8>,
    pending: PendingSet,
    measures: Measures,
    /// When there was last no room, in nanoseconds since the start (S2).
    full_at: Option<u64>,
    /// Completions of this turn, with their connections' places; empty between turns.
    ended: Vec<(usize, Completion)>,
}

/// A request whose turn has come.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    /// When it was due, in nanoseconds since the start.
    scheduled: u64,
    /// Place of the phase that this lies in.
    phase: usize,
    kind: Kind,
    check: Check,
}

impl<'a> Load<'a> {
    /// Sends the thread's share of the load, whose zero is `start`; returns when all of it has ended.
    #[must_use]
    pub fn run(self, start: Instant) -> Measures {
        let (plan, thread) = (self.plan, self.thread);
        let open_max = 1_024 * usize::try_from(plan.sessions_per_thread).unwrap_or(1);
        let mut sender = Sender {
            start,
            turns: plan.pace.of_thread(thread),
            requests: plan.workload.requests(plan.seed, thread),
            drawn: None,
            body: Vec::new(),
            pending: PendingSet::with_capacity(open_max.min(1 << 16)),
            measures: Measures::new(&plan.phases, 2 * plan.timeout),
            full_at: None,
            ended: Vec::new(),
            load: self,
        };
        // Waits end when they should, not up to 50 us later. A system that does not allow it is only less exact.
        let _ = set_current_timer_slack(Some(TIMER_SLACK));
        sender.load.connections.rest_until(start);
        sender.run();
        sender.finish()
    }
}

impl Sender<'_> {
    fn run(&mut self) {
        while !self.is_done() {
            self.send_due();
            self.load.connections.flush();
            self.take_turn();
        }
    }

    /// S3.
    fn is_done(&mut self) -> bool {
        let now = self.elapsed();
        if self.measures.stopped_at.is_none() && self.load.stop.asked().is_some() {
            self.measures.stopped_at = Some(now);
            self.turns.stop();
        }
        let over = self.turns.is_over(now);
        if over && let Some(drawn) = self.drawn.take() {
            self.end_unsent(drawn);
        }
        over && self.pending.is_empty()
    }

    fn end_unsent(&mut self, drawn: Drawn) {
        self.measures.phases[drawn.phase].end(Ending::Unsent);
        self.load.gauge.add(Count::Unsent, 1);
    }

    fn finish(mut self) -> Measures {
        self.measures.packets = self.load.connections.packet_counts();
        let total = self.measures.total().counts;
        assert!(total.scheduled == total.ended(), "M1: {total:?}");
        if let Some(recorder) = self.load.recorder {
            recorder.finish();
        }
        self.load.connections.close(CLOSE_TIMEOUT);
        self.measures
    }

    fn elapsed(&self) -> u64 {
        nanoseconds(self.load.connections.client(0).now().saturating_sub(self.start))
    }

    /// Sends what is due, a burst at most (S1).
    fn send_due(&mut self) {
        for _ in 0..BURST {
            let now = self.elapsed();
            let Some(due) = self.turns.due(now, self.pending.len()) else { return };
            let drawn = match self.drawn {
                Some(drawn) => drawn,
                None => self.reach(due, now),
            };
            let Drawn { scheduled, phase, kind, check } = drawn;
            let tag = self.pending.next_tag();
            if self.load.connections.submit(kind, &self.body, tag).is_some() {
                let pending =
                    Pending { scheduled, sent: now, phase, kind, check, body: Vec::new() };
                let kept = if self.load.recorder.is_some() { self.body.as_slice() } else { &[] };
                self.pending.insert(pending, kept);
                self.load.gauge.add(Count::Sent, 1);
            } else {
                self.full_at = Some(now);
                if now.saturating_sub(scheduled) < nanoseconds(self.load.plan.timeout) {
                    return;
                }
                self.end_unsent(drawn);
            }
            self.drawn = None;
            self.turns.taken();
        }
    }

    /// The request's turn has come: draws it and counts how late that is (S2).
    fn reach(&mut self, scheduled: u64, now: u64) -> Drawn {
        let phase = self.load.plan.phases.place_of(scheduled);
        let measures = &mut self.measures.phases[phase];
        measures.counts.scheduled += 1;
        let has_schedule = matches!(self.turns, Turns::Open(_));
        if has_schedule && self.full_at.is_none_or(|full_at| scheduled > full_at) {
            measures.pacing.record(now - scheduled);
        }
        let (kind, check) = self.requests.draw(&mut self.body);
        let drawn = Drawn { scheduled, phase, kind, check };
        self.drawn = Some(drawn);
        drawn
    }

    fn take_turn(&mut self) {
        let wait = self.wait();
        let mut ended = core::mem::take(&mut self.ended);
        let connections = &mut self.load.connections;
        let ticked = connections.turn(wait, |place, completion| ended.push((place, completion)));
        for (place, completion) in ended.drain(..) {
            self.on_completion(place, &completion);
        }
        self.ended = ended;
        self.load.gauge.set_open(self.pending.len());
        if ticked {
            let packets = self.load.connections.new_packets();
            let phase = self.load.plan.phases.place_of(self.elapsed());
            let counts = &mut self.measures.phases[phase].counts;
            counts.nacks += packets.nacks;
            counts.retries += packets.retries;
            self.load.gauge.add(Count::Nacks, packets.nacks);
            self.load.gauge.add(Count::Retries, packets.retries);
        }
    }

    fn on_completion(&mut self, place: usize, completion: &Completion) {
        let Some(request) = self.pending.remove(completion.tag) else { return };
        let at = nanoseconds(completion.at.saturating_sub(self.start));
        let ending = count_end(&mut self.measures, self.load.gauge, &request, completion, at);
        // What was never sent is no operation: nobody can have executed it.
        if ending != Ending::Unsent
            && let Some(recorder) = &mut self.load.recorder
        {
            let (plan, thread) = (self.load.plan, u64::from(self.load.thread));
            let address = self.load.connections.client(place).address();
            let start = self.load.epoch_ns + nanoseconds(self.start);
            recorder.record(|operation| {
                operation.client = thread * u64::from(plan.sessions_per_thread) + place as u64;
                operation.address = (completion.session == 0).then_some(address);
                describe(operation, &request, completion, start, at);
            });
        }
        self.pending.give_back(completion.tag, request);
    }

    /// How long nothing needs to be sent.
    fn wait(&mut self) -> Duration {
        let now = self.elapsed();
        let next = match self.turns.coming() {
            // Room comes with a packet.
            _ if self.drawn.is_some() => WAIT_MAX,
            Some(at) => Duration::from_nanos(at.saturating_sub(now)),
            None => WAIT_MAX,
        };
        match self.load.plan.idle {
            Idle::Spin => Duration::ZERO,
            Idle::Wait if next < WAIT_MIN => Duration::ZERO,
            Idle::Wait => next.saturating_sub(WAIT_MARGIN).min(WAIT_MAX),
            Idle::Sleep => next.min(WAIT_MAX),
        }
    }
}

/// Counts how a request ended, `at` nanoseconds after the start.
fn count_end(
    measures: &mut Measures,
    gauge: &Gauge,
    request: &Pending,
    completion: &Completion,
    at: u64,
) -> Ending {
    let ending = match &completion.result {
        Ok(_) => Ending::Answered,
        Err(CallError::Refused(_)) => Ending::Refused,
        Err(CallError::Unknown) => Ending::Unknown,
        Err(CallError::NotSent | CallError::Submit(_)) => Ending::Unsent,
    };
    let phase = &mut measures.phases[request.phase];
    phase.end(ending);
    let count = match ending {
        Ending::Answered => Count::Answered,
        Ending::Refused => Count::Refused,
        Ending::Unknown => Count::Unknown,
        Ending::Unsent => Count::Unsent,
    };
    gauge.add(count, 1);
    if let Ok(answer) = &completion.result {
        let latency = at.saturating_sub(request.scheduled);
        phase.from_schedule.record(latency);
        phase.from_send.record(at.saturating_sub(request.sent));
        gauge.record(latency);
        if !request.check.accepts(&answer.body) {
            phase.counts.bad_replies += 1;
        }
        if request.kind == Kind::Write {
            phase.counts.writes += 1;
            measures.writes.mark(at);
        }
    }
    ending
}

/// Writes an operation down; `start` is the schedule's zero on the system's monotonic clock, in nanoseconds. Moments are
/// rounded outwards, so that no operation seems to have been shorter than it was.
fn describe(
    operation: &mut Operation,
    request: &Pending,
    completion: &Completion,
    start: u64,
    at: u64,
) {
    operation.session = completion.session;
    operation.number = completion.number;
    operation.kind = match request.kind {
        Kind::Write => OperationKind::Write,
        Kind::Read => OperationKind::Read,
    };
    operation.invoked_us = (start + request.sent) / 1_000;
    operation.request.extend_from_slice(&request.body);
    operation.index = 0;
    operation.completed_us = Some((start + at).div_ceil(1_000));
    operation.outcome = match &completion.result {
        Ok(answer) => {
            operation.index = answer.index;
            operation.reply.extend_from_slice(&answer.body);
            OperationOutcome::Answered
        }
        Err(error) if error.may_have_been_executed() => {
            operation.completed_us = None;
            OperationOutcome::Unknown
        }
        Err(_) => OperationOutcome::Refused,
    };
}

/// How long closing a session may take at the end of a run.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
