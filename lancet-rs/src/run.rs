//! A whole run: threads connected, started together, watched once per second, and added up.

use core::time::Duration;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use dataplane::backend::Instant;
use dataplane::clock::Clock;
use hovercraft_client::Options;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use thiserror::Error;

use crate::cli::Plan;
use crate::connections::{Connections, ConnectionsError};
use crate::history::{History, Recorder};
use crate::live::{Gauge, Snapshot};
use crate::load::Load;
use crate::measure::Measures;
use crate::phases::Phase;
use crate::progress::{Progress, Tick};
use crate::stop::Stop;

/// Time between the last thread's connecting and the first request.
const LEAD: Duration = Duration::from_millis(20);

/// How late a thread may find that a request is to be repeated.
const TICK: Duration = Duration::from_millis(1);

/// The same where requests take several packets, which are paced.
const TICK_OF_LONG: Duration = Duration::from_micros(200);

/// Longest request of one packet, in bytes (wire.md 6).
const SHORT_MAX: u64 = 1_440;

/// How long the cluster may take to open a session.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a run gave no result.
#[derive(Debug, Error)]
pub enum RunError {
    /// A thread could not reach the cluster.
    #[error("thread {thread}: {source}")]
    Connect {
        /// Which, from 0.
        thread: u32,
        /// Why not.
        source: ConnectionsError,
    },
    /// The history's file.
    #[error("{file}: {source}")]
    History {
        /// Which.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// No early end is possible.
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
    /// A thread stopped with a panic, which it has printed.
    #[error("a sending thread stopped; its message stands above")]
    Stopped,
}

/// The line that says that the load begins.
#[derive(Debug, Serialize)]
struct Begin<'a> {
    event: &'static str,
    /// The schedule's zero, `CLOCK_MONOTONIC`.
    monotonic_us: u64,
    seed: u64,
    phases: Vec<BeginPhase<'a>>,
}

#[derive(Debug, Serialize)]
struct BeginPhase<'a> {
    name: &'a str,
    start_seconds: f64,
    end_seconds: f64,
}

impl<'a> From<&'a Phase> for BeginPhase<'a> {
    fn from(phase: &'a Phase) -> Self {
        Self {
            name: &phase.name,
            start_seconds: phase.start.as_secs_f64(),
            end_seconds: phase.end.as_secs_f64(),
        }
    }
}

/// What a thread's connections are made with.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The run's.
    pub plan: &'a Plan,
    /// Which thread this is, from 0: the one that calls, and sends later.
    pub thread: u32,
    /// The clients', with the clock of the run.
    pub options: Options,
    /// How late a repetition may be.
    pub tick: Duration,
}

/// Makes a thread's connections.
pub type Connect<'a> = dyn Fn(Opening<'_>) -> Result<Connections, ConnectionsError> + Sync + 'a;

/// Runs `plan` over connections that `connect` makes ([`connect`] as the plan says), and adds up what its threads measured. Writes the history to a file when one is given, and shows progress
/// meanwhile. Asked to `stop`, it ends early, with what was done until then ([`Measures::stopped_at`]).
///
/// # Errors
///
/// [`RunError`]: there is then no result, or the history is not whole.
pub fn run(
    plan: &Plan,
    history: Option<&Path>,
    progress: Progress,
    stop: &Stop,
    connect: &Connect<'_>,
) -> Result<Measures, RunError> {
    let history_error = |source| RunError::History {
        file: history.map_or_else(String::new, |file| file.display().to_string()),
        source,
    };
    let threads = plan.threads;
    let (history, recorders) = match history {
        None => (None, (0..threads).map(|_| None).collect()),
        Some(file) => {
            let (history, recorders) = History::create(file, threads).map_err(history_error)?;
            (Some(history), recorders.into_iter().map(Some).collect())
        }
    };
    let measures = run_threads(plan, recorders, progress, stop, connect)?;
    if let Some(history) = history {
        history.finish().map_err(history_error)?;
    }
    Ok(measures)
}

fn run_threads(
    plan: &Plan,
    recorders: Vec<Option<Recorder>>,
    progress: Progress,
    stop: &Stop,
    connect: &Connect<'_>,
) -> Result<Measures, RunError> {
    let (clock, epoch_ns) = clock();
    let gauges: Vec<Gauge> = recorders.iter().map(|_| Gauge::new()).collect();
    thread::scope(|scope| {
        let (connected, connections) = channel();
        let (done, finished) = channel();
        let (mut starts, mut sending) = (Vec::new(), Vec::new());
        for ((thread, gauge), recorder) in (0..).zip(&gauges).zip(recorders) {
            let (start, started) = channel::<Instant>();
            starts.push(start);
            let (connected, done) = (connected.clone(), done.clone());
            sending.push(scope.spawn(move || {
                let connections = match connect(Opening::new(plan, clock, thread)) {
                    Ok(connections) => connections,
                    Err(source) => return report(&connected, Some((thread, source))),
                };
                report(&connected, None);
                drop(connected);
                // No start: another thread could not connect.
                let Ok(start) = started.recv() else { return };
                let load = Load { plan, thread, connections, stop, gauge, recorder, epoch_ns };
                report(&done, load.run(start));
            }));
        }
        drop((connected, done));
        if let Some((thread, source)) = connections.iter().flatten().next() {
            return Err(RunError::Connect { thread, source });
        }
        stop.arm().map_err(RunError::Signals)?;
        let start = clock.now() + LEAD;
        for thread in starts {
            report(&thread, start);
        }
        let watch = Watch { plan, gauges: &gauges, clock, start, progress, stop };
        watch.begin(epoch_ns);
        let measures = watch.until_finished(&finished);
        let stopped = sending.into_iter().filter_map(|thread| thread.join().err()).count();
        if stopped == 0 { measures } else { Err(RunError::Stopped) }
    })
}

impl<'a> Opening<'a> {
    fn new(plan: &'a Plan, clock: Clock, thread: u32) -> Self {
        let options = Options {
            group: plan.group,
            plain: plan.plain,
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: plan.timeout,
            retry_after: plan.retry_after,
            open_max: usize::try_from(plan.open_per_session()).unwrap_or(0),
            from: plan.from,
            clock,
            ..Options::default()
        };
        let tick = if plan.workload.request_max() > SHORT_MAX { TICK_OF_LONG } else { TICK };
        Self { plan, thread, options, tick }
    }
}

/// On the kernel's sockets or on DPDK, as the plan says.
///
/// # Errors
///
/// [`ConnectionsError`]: what was refused, or that nobody answers.
pub fn connect(opening: Opening<'_>) -> Result<Connections, ConnectionsError> {
    let Opening { plan, thread, options, tick } = opening;
    if let Some(wanted) = &plan.dpdk {
        return crate::dpdk::connect(plan, wanted, &options, tick);
    }
    let place = (plan.seed, thread);
    Connections::open(&plan.cluster, &options, place, plan.sessions_per_thread, tick)
}

/// Sends to a thread that may be gone: its end has been noticed elsewhere.
fn report<T>(to: &Sender<T>, message: T) {
    let _ = to.send(message);
}

/// A clock, and its epoch in nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine share.
fn clock() -> (Clock, u64) {
    let clock = Clock::start();
    let monotonic = clock_gettime(ClockId::Monotonic);
    let since = clock.now();
    let seconds = u64::try_from(monotonic.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(monotonic.tv_nsec).unwrap_or(0);
    let now = Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds);
    (clock, u64::try_from(now.saturating_sub(since).as_nanos()).unwrap_or(0))
}

/// Looks at the threads once per second.
struct Watch<'a> {
    plan: &'a Plan,
    gauges: &'a [Gauge],
    clock: Clock,
    start: Instant,
    progress: Progress,
    stop: &'a Stop,
}

impl Watch<'_> {
    fn begin(&self, epoch_ns: u64) {
        if self.progress != Progress::Json {
            return;
        }
        let start = u64::try_from(self.start.as_nanos()).unwrap_or(u64::MAX);
        print_json(&Begin {
            event: "begin",
            monotonic_us: (epoch_ns + start) / 1_000,
            seed: self.plan.seed,
            phases: self.plan.phases.list().iter().map(BeginPhase::from).collect(),
        });
    }

    /// Shows a line per second until every thread has sent its measures; adds them up.
    fn until_finished(&self, finished: &Receiver<Measures>) -> Result<Measures, RunError> {
        let mut sum = Measures::new(&self.plan.phases, 2 * self.plan.timeout);
        let mut left = self.gauges.len();
        let (mut seen, mut seen_at) = (Snapshot::of(self.gauges), self.start);
        while left > 0 {
            let next = seen_at + Duration::from_secs(1);
            match finished.recv_timeout(next.saturating_sub(self.clock.now())) {
                Ok(measures) => {
                    sum.merge(&measures);
                    left -= 1;
                }
                Err(RecvTimeoutError::Timeout) => (seen, seen_at) = self.show(&seen, seen_at),
                Err(RecvTimeoutError::Disconnected) => return Err(RunError::Stopped),
            }
        }
        if self.clock.now() > seen_at + Duration::from_millis(500) {
            self.show(&seen, seen_at);
        }
        Ok(sum)
    }

    /// Shows what happened since `seen` was taken; gives what is seen now, and when.
    fn show(&self, seen: &Snapshot, seen_at: Instant) -> (Snapshot, Instant) {
        let (now, now_at) = (Snapshot::of(self.gauges), self.clock.now());
        if self.progress != Progress::None {
            let (at, length) = (now_at.saturating_sub(self.start), now_at.saturating_sub(seen_at));
            let tick =
                Tick::new(at, length, self.phase_at(at.saturating_sub(length / 2)), seen, &now);
            eprintln!("{}", tick.text());
            if self.progress == Progress::Json {
                print_json(&tick);
            }
        }
        (now, now_at)
    }

    fn phase_at(&self, at: Duration) -> &str {
        let phases = &self.plan.phases;
        if self.stop.asked().is_some() {
            return "(interrupted: waiting for the last answers)";
        }
        if at > phases.duration() {
            return "(waiting for the last answers)";
        }
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        &phases.list()[phases.place_of(at)].name
    }
}

/// One line on standard output.
pub fn print_json(value: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        println!("{line}");
    }
}
