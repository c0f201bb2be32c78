//! A node's own clock: an epoch of its own, a rate of its own, and it may stand still.
//!
//! - K1. It never runs backwards.
//! - K2. `when(own)` is the earliest cluster time at which the clock shows `own` or more.

use core::time::Duration;
use std::collections::VecDeque;

/// Parts per million of the true rate.
pub const TRUE_RATE: u64 = 1_000_000;
/// Changes of rate that are remembered: what arrived before is judged by the oldest.
const KEPT: usize = 16;

/// Piecewise linear.
#[derive(Clone, Debug)]
pub struct Clock {
    segments: VecDeque<Segment>,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Cluster time at which it begins.
    from: Duration,
    /// What the clock shows then.
    own: Duration,
    rate_ppm: u64,
}

impl Clock {
    /// A clock that shows `own` at cluster time `from`.
    #[must_use]
    pub fn new(from: Duration, own: Duration, rate_ppm: u64) -> Self {
        Self { segments: VecDeque::from([Segment { from, own, rate_ppm }]) }
    }

    /// What it shows at a cluster time, the past included.
    #[must_use]
    pub fn own(&self, at: Duration) -> Duration {
        let covering = self.segments.iter().rev().find(|segment| segment.from <= at);
        let segment = covering.unwrap_or(&self.segments[0]);
        segment.own + scaled(at.saturating_sub(segment.from), segment.rate_ppm, TRUE_RATE)
    }

    /// When it will show `own`: never, if it stands still.
    #[must_use]
    pub fn when(&self, own: Duration) -> Duration {
        let segment = self.newest();
        if own <= segment.own {
            return segment.from;
        }
        if segment.rate_ppm == 0 || own == Duration::MAX {
            return Duration::MAX;
        }
        // One nanosecond more than the division gives: rounded down twice, it would be too early.
        let to_go = scaled(own.saturating_sub(segment.own), TRUE_RATE, segment.rate_ppm);
        segment.from.saturating_add(to_go).saturating_add(Duration::from_nanos(1))
    }

    /// From `at` on it runs at another rate.
    pub fn set_rate(&mut self, at: Duration, rate_ppm: u64) {
        let own = self.own(at);
        self.segments.push_back(Segment { from: at, own, rate_ppm });
        if self.segments.len() > KEPT {
            self.segments.pop_front();
        }
    }

    fn newest(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }
}

/// `span * by / of`, rounded down.
fn scaled(span: Duration, by: u64, of: u64) -> Duration {
    let nanos = span.as_nanos().saturating_mul(by.into()) / u128::from(of);
    u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_runs_at_its_rate_and_knows_when() {
        let mut clock = Clock::new(ms(10), ms(1_000), 900_000);
        assert_eq!(clock.own(ms(110)), ms(1_090));
        clock.set_rate(ms(110), 0);
        assert_eq!((clock.own(ms(500)), clock.when(ms(1_091))), (ms(1_090), Duration::MAX));
        clock.set_rate(ms(500), 1_100_000);
        assert_eq!(clock.own(ms(600)), ms(1_200));
        assert_eq!(clock.own(ms(60)), ms(1_045), "the past is as it was");
        for own in (1_091..1_300).map(ms) {
            let when = clock.when(own);
            assert!(clock.own(when) >= own, "K2 {own:?}");
            assert!(clock.own(when.saturating_sub(Duration::from_nanos(10))) < own, "K2 {own:?}");
        }
    }
}
