//! Log time: the only clock of the replicated state (design HC7e).
//!
//! An entry's stamp is the last stamp in the log plus the leader's own monotonic time since it appended that entry. Never a
//! wall clock, never two machines' clocks compared.
//!
//! Invariants:
//! - T1. Stamps in a log never go back.
//! - T2. The first stamp of a term adds at most two plain windows: how long this node was asleep must not expire
//!   everything at once.
//! - T3. A log without a stamp begins with 0, whatever this node's clock shows.

use core::time::Duration;

use r2p2::Instant;
use raft_core::ids::Term;

/// When a node's last command entry was stamped and appended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LastStamp {
    /// Its stamp, in microseconds.
    pub stamp_us: u64,
    /// Own time at which this node appended it.
    pub appended_at: Instant,
    /// Term in which it was appended.
    pub term: Term,
}

/// Own moments remembered with the log time heard by then.
const SAMPLES: usize = 512;
/// Own time between two of them.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);

/// The highest log time heard of, and when; and what the leader of the newest term said last.
///
/// The two differ: after an idle hour the next leader's first stamp is two plain windows above the last one at most (T2), while
/// everybody has heard from the one before how late it is. An entry's age is told by its own term's leader, or a later one.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    now_us: u64,
    term: Term,
    term_us: u64,
    samples: Vec<(Instant, u64)>,
    next: usize,
}

impl LastStamp {
    /// The stamp that an entry appended at `now` by the leader of `term` gets, in microseconds.
    #[must_use]
    pub(crate) fn stamp(&self, now: Instant, term: Term, plain_window: Duration) -> u64 {
        if self.term == Term::ZERO {
            return 0; // T3
        }
        let mut passed = now.saturating_sub(self.appended_at);
        if self.term != term {
            passed = passed.min(plain_window * 2); // T2
        }
        self.stamp_us.saturating_add(micros(passed))
    }
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            now_us: 0,
            term: Term::ZERO,
            term_us: 0,
            samples: Vec::with_capacity(SAMPLES),
            next: 0,
        }
    }
}

impl Heard {
    /// The highest log time heard, in microseconds.
    #[must_use]
    pub(crate) fn us(&self) -> u64 {
        self.now_us
    }

    /// Another word of it, by the leader of `term`.
    pub(crate) fn hear_leader(&mut self, term: Term, log_time_us: u64) {
        if term > self.term {
            (self.term, self.term_us) = (term, log_time_us);
        } else if term == self.term {
            self.term_us = self.term_us.max(log_time_us);
        }
        self.hear(log_time_us);
    }

    /// The newest term whose leader was heard.
    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// The highest log time that the leader of this term told, in microseconds.
    pub(crate) fn in_term_us(&self) -> u64 {
        self.term_us
    }

    /// Another word of it.
    pub(crate) fn hear(&mut self, log_time_us: u64) {
        self.now_us = self.now_us.max(log_time_us);
    }

    /// Remembers what was heard by `now`, for [`Self::by`]. Called once per burst.
    pub(crate) fn sample(&mut self, now: Instant) {
        let newest = (self.next + SAMPLES - 1) % SAMPLES;
        if self.samples.get(newest).is_some_and(|&(at, _)| now < at + SAMPLE_EVERY) {
            return;
        }
        if self.samples.len() < SAMPLES {
            self.samples.push((now, self.now_us));
        } else {
            self.samples[self.next] = (now, self.now_us);
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    /// A log time heard by `moment`, never a later one: ages counted from it are never too small. What is older than the
    /// samples gets zero.
    #[must_use]
    pub(crate) fn by(&self, moment: Instant) -> u64 {
        let len = self.samples.len();
        let newest_first =
            (1..=len).map(|back| self.samples[(self.next + SAMPLES - back) % SAMPLES]);
        { newest_first }.find(|&(at, _)| at <= moment).map_or(0, |(_, us)| us)
    }
}

/// Whole microseconds.
#[must_use]
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    fn last(term: u64) -> LastStamp {
        LastStamp {
            stamp_us: 500,
            appended_at: Duration::from_secs(10),
            term: Term::from_wire(term),
        }
    }

    #[test]
    fn hc7e_a_stamp_is_the_last_one_plus_own_time() {
        let stamp = last(3).stamp(Duration::from_millis(10_002), Term::from_wire(3), WINDOW);
        assert_eq!(stamp, 2_500);
        let far = last(3).stamp(Duration::from_secs(100), Term::from_wire(3), WINDOW);
        assert_eq!(far, 90_000_500, "within a term no cap");
    }

    #[test]
    fn hc7e_an_empty_log_begins_with_zero() {
        let stamp = LastStamp::default().stamp(Duration::from_secs(9), Term::from_wire(1), WINDOW);
        assert_eq!(stamp, 0);
    }

    #[test]
    fn hc7e_the_first_stamp_of_a_term_adds_two_plain_windows_at_most() {
        let stamp = last(3).stamp(Duration::from_secs(100), Term::from_wire(4), WINDOW);
        assert_eq!(stamp, 2_000_500);
    }

    #[test]
    fn hc3c_a_new_leader_whose_log_time_is_behind_is_believed() {
        let mut heard = Heard::default();
        heard.hear_leader(Term::from_wire(1), 3_600_000_000);
        heard.hear_leader(Term::from_wire(2), 2_000_000);
        heard.hear_leader(Term::from_wire(1), 3_600_000_001);
        assert_eq!((heard.in_term_us(), heard.us()), (2_000_000, 3_600_000_001));
    }

    #[test]
    fn hc8_log_time_by_a_moment_is_never_later_than_it() {
        let mut heard = Heard::default();
        for ms in 0..2_000u64 {
            heard.hear(ms * 10);
            heard.sample(Duration::from_millis(ms));
        }
        assert_eq!(heard.by(Duration::from_micros(1_990_700)), 19_900);
        assert_eq!(heard.by(Duration::from_secs(9)), 19_990);
        assert_eq!(heard.by(Duration::from_millis(3)), 0, "older than the samples");
    }
}
