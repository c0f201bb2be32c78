//! When to send: a schedule that no answer can move (open loop).
//!
//! Each thread walks its own [`Arrivals`]: moments in nanoseconds since the run began, drawn from a seeded stream and
//! from nothing else. A late sender therefore cannot thin out the load, and latency counted from the scheduled moment
//! includes the time a request waited for the sender (the original counts from the actual send; wire.md 5.4).
//!
//! Invariants:
//! - A1. Moments never decrease, and all lie before the end of the run.
//! - A2. The same rate, seed and thread give the same moments, whatever was sent or answered.
//! - A3. The threads' schedules together have the run's rate: exponential gaps stay exponential when merged, and fixed
//!   schedules interleave evenly, thread `k` of `n` starting `k` gaps of the whole late.

use core::time::Duration;

use clap::ValueEnum;
use rand::RngExt;

use crate::random::{Purpose, Stream, stream};

/// How gaps between requests are distributed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Gaps {
    /// Memoryless: a Poisson process, as of many independent users.
    Exponential,
    /// All equal.
    Fixed,
}

/// The whole run's schedule, before it is divided among threads.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Distribution of the gaps.
    pub gaps: Gaps,
    /// Requests per second, all threads together; above zero.
    pub rate: f64,
    /// How long requests are scheduled.
    pub duration: Duration,
    /// Seed of the run.
    pub seed: u64,
    /// Threads that share the rate; at least 1.
    pub threads: u32,
}

/// One thread's part of the schedule: moments in nanoseconds since the start.
#[derive(Clone, Debug)]
pub struct Arrivals {
    gaps: Gaps,
    /// Mean gap of this thread, in nanoseconds.
    gap_ns: f64,
    /// The last moment given out, in nanoseconds; a fraction is kept so that rounding does not add up.
    at_ns: f64,
    end_ns: f64,
    random: Stream,
}

impl Schedule {
    /// The part of `thread`, counted from 0.
    ///
    /// # Panics
    ///
    /// When the schedule has no threads or no rate, or `thread` is none of them.
    #[must_use]
    pub fn of_thread(&self, thread: u32) -> Arrivals {
        assert!(self.rate > 0.0 && self.rate.is_finite(), "a schedule has a rate");
        assert!(thread < self.threads, "a schedule is divided among its threads");
        let whole_gap_ns = 1e9 / self.rate;
        let gap_ns = whole_gap_ns * f64::from(self.threads);
        // The first fixed moment is the start plus the thread's offset, so one gap is taken off in advance.
        let at_ns = match self.gaps {
            Gaps::Exponential => 0.0,
            Gaps::Fixed => whole_gap_ns * f64::from(thread) - gap_ns,
        };
        let end_ns = self.duration.as_secs_f64() * 1e9;
        let random = stream(self.seed, thread, Purpose::Arrivals);
        Arrivals { gaps: self.gaps, gap_ns, at_ns, end_ns, random }
    }
}

impl Arrivals {
    fn gap(&mut self) -> f64 {
        match self.gaps {
            Gaps::Fixed => self.gap_ns,
            Gaps::Exponential => {
                // 1 - u lies in (0, 1]: its logarithm is finite.
                let uniform: f64 = self.random.random();
                -(1.0 - uniform).ln() * self.gap_ns
            }
        }
    }
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.at_ns += self.gap();
        // Half a nanosecond forgives the rounding of a sum of equal gaps.
        (self.at_ns + 0.5 < self.end_ns).then(|| nanoseconds(self.at_ns))
    }
}

/// Rounds to whole nanoseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and schedules are far below 2^63 ns"
)]
fn nanoseconds(at_ns: f64) -> u64 {
    at_ns.round() as u64
}

#[cfg(test)]
mod tests;
