//! What makes a request due: the schedule (open loop), or that another has ended (closed loop).
//!
//! Invariants:
//! - C1. In a closed loop no more than `open` requests are under way, and as many as that whenever the thread has had its
//!   turn, until the end.
//! - C2. In a closed loop a request is due at the moment at which it is asked for: its latency has no waiting in it that
//!   another request caused. That is why it knows nothing of coordinated omission.

use core::time::Duration;
use std::iter::Peekable;

use crate::arrivals::{Arrivals, Schedule};

/// When requests are sent, all threads together.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// By a schedule.
    Open(Schedule),
    /// Whenever fewer than `open` are under way.
    Closed {
        /// Requests under way; at least one for each thread.
        open: u32,
        /// Threads that share them.
        threads: u32,
        /// How long new ones are sent.
        duration: Duration,
    },
}

/// When one thread's requests are due, in nanoseconds since the start.
#[derive(Clone, Debug)]
pub enum Turns {
    /// By the thread's part of a schedule.
    Open(Box<Peekable<Arrivals>>),
    /// As others end.
    Closed {
        /// This thread's share.
        open: usize,
        /// From here on nothing is due.
        end: u64,
    },
    /// Never again.
    Over,
}

impl Pace {
    /// The part of `thread`, counted from 0.
    #[must_use]
    pub fn of_thread(&self, thread: u32) -> Turns {
        match *self {
            Self::Open(schedule) => Turns::Open(Box::new(schedule.of_thread(thread).peekable())),
            Self::Closed { open, threads, duration } => {
                let share = open / threads + u32::from(thread < open % threads);
                Turns::Closed {
                    open: usize::try_from(share).unwrap_or(usize::MAX),
                    end: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
                }
            }
        }
    }

    /// Requests kept open in a closed loop.
    #[must_use]
    pub fn open(&self) -> Option<u32> {
        match self {
            Self::Open(_) => None,
            Self::Closed { open, .. } => Some(*open),
        }
    }
}

impl Turns {
    /// The moment of the request that is due at `now`, `under_way` others being so; the same one until [`Self::taken`].
    pub fn due(&mut self, now: u64, under_way: usize) -> Option<u64> {
        match self {
            Self::Open(arrivals) => arrivals.peek().copied().filter(|&at| at <= now),
            Self::Closed { open, end } => (under_way < *open && now < *end).then_some(now),
            Self::Over => None,
        }
    }

    /// The request that was due has been sent, or given up.
    pub fn taken(&mut self) {
        if let Self::Open(arrivals) = self {
            arrivals.next();
        }
    }

    /// The moment of the next request; `None` when only an answer, or nothing, can bring one.
    pub fn coming(&mut self) -> Option<u64> {
        match self {
            Self::Open(arrivals) => arrivals.peek().copied(),
            Self::Closed { .. } | Self::Over => None,
        }
    }

    /// Whether nothing will be due any more.
    pub fn is_over(&mut self, now: u64) -> bool {
        match self {
            Self::Open(arrivals) => arrivals.peek().is_none(),
            Self::Closed { end, .. } => now >= *end,
            Self::Over => true,
        }
    }

    /// Nothing is to be due from here on.
    pub fn stop(&mut self) {
        *self = Self::Over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::Gaps;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn c1_the_threads_share_what_is_open() {
        let pace = Pace::Closed { open: 7, threads: 3, duration: SECOND };
        let shares = (0..3).map(|thread| {
            let mut turns = pace.of_thread(thread);
            (0..).take_while(|&under_way| turns.due(0, under_way).is_some()).count()
        });
        assert_eq!(shares.collect::<Vec<_>>(), [3, 2, 2]);
        assert_eq!(pace.open(), Some(7));
    }

    #[test]
    fn c2_a_closed_loop_has_no_moments_of_its_own_and_ends() {
        let mut turns = Pace::Closed { open: 2, threads: 1, duration: SECOND }.of_thread(0);
        assert_eq!((turns.due(5, 0), turns.due(9, 1), turns.due(9, 2)), (Some(5), Some(9), None));
        turns.taken();
        assert_eq!((turns.due(999_999_999, 1), turns.coming()), (Some(999_999_999), None));
        assert!(!turns.is_over(999_999_999) && turns.is_over(1_000_000_000));
        assert_eq!(turns.due(1_000_000_000, 0), None);
    }

    #[test]
    fn a_schedule_waits_for_nobody_until_it_is_stopped() {
        let schedule =
            Schedule { gaps: Gaps::Fixed, rate: 10.0, duration: SECOND, seed: 1, threads: 1 };
        let mut turns = Pace::Open(schedule).of_thread(0);
        assert_eq!(turns.due(0, 1_000_000), Some(0));
        assert_eq!(turns.due(150_000_000, 0), Some(0), "the same until it is taken");
        turns.taken();
        assert_eq!((turns.due(99_999_999, 0), turns.coming()), (None, Some(100_000_000)));
        assert!(!turns.is_over(2_000_000_000));
        turns.stop();
        assert!(
            turns.is_over(0) && turns.due(500_000_000, 0).is_none() && turns.coming().is_none()
        );
    }
}
