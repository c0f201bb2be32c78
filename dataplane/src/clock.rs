//! The monotonic clock of a process.
//!
//! One [`Clock`] is started first and copied to every thread and back end, so that all of them mean the same moment by
//! the same [`Instant`]. It is never set, never runs backwards, and two machines' clocks are never compared (design
//! HC7e).

use crate::backend::Instant;

/// Time since an epoch: the moment at which this clock, or the one it is a copy of, was started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: std::time::Instant,
}

impl Clock {
    /// A clock whose epoch is now.
    #[must_use]
    pub fn start() -> Self {
        Self { epoch: std::time::Instant::now() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.epoch.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_the_epoch_and_time_goes_on() {
        let clock = Clock::start();
        let copy = clock;
        let first = clock.now();
        let second = std::thread::spawn(move || copy.now()).join().unwrap();
        assert!(first <= second);
        assert!(second <= clock.now());
    }
}
