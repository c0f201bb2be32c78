//! Many seeds, over the cores of this machine.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::coverage::Coverage;
use crate::run::{Outcome, run};

/// What a batch came to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Seeds run.
    pub seeds: u64,
    /// Requests of clients.
    pub operations: u64,
    /// Virtual time of the clusters.
    pub virtual_time: Duration,
    /// Histories that could not be decided.
    pub undecided: u64,
    /// What was reached.
    pub coverage: Coverage,
    /// Seeds that failed, lowest first, with what was found.
    pub failures: Vec<(u64, Outcome)>,
}

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// First seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Threads.
    pub threads: usize,
    /// Ends when as many have failed.
    pub failures_max: usize,
    /// Ends when this has passed.
    pub time_max: Option<Duration>,
}

impl Totals {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.operations += outcome.operations;
        self.virtual_time += Duration::from_micros(outcome.virtual_us);
        self.undecided += u64::from(outcome.undecided);
        self.coverage.merge(&outcome.coverage);
        if outcome.found.is_err() {
            self.failures.push((seed, outcome));
        }
    }
}

/// Runs the seeds of `extent`; `progress` is told the totals about every five seconds.
pub fn run_all(extent: &Extent, mut progress: impl FnMut(&Totals)) -> Totals {
    let next = AtomicU64::new(extent.from);
    let stop = AtomicBool::new(false);
    let totals = Mutex::new(Totals::default());
    let end = extent.from.saturating_add(extent.seeds);
    let began = Instant::now();
    thread::scope(|scope| {
        let worker = || {
            while !stop.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end || extent.time_max.is_some_and(|most| began.elapsed() >= most) {
                    return;
                }
                let outcome = run(seed);
                let mut totals = totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                totals.add(seed, outcome);
                if totals.failures.len() >= extent.failures_max {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        };
        let workers: Vec<_> = (0..extent.threads).map(|_| scope.spawn(worker)).collect();
        let mut told = Instant::now();
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(20));
            if told.elapsed() >= Duration::from_secs(5) {
                told = Instant::now();
                progress(&totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            }
        }
    });
    let mut totals = totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    totals.failures.sort_by_key(|(seed, _)| *seed);
    totals
}
