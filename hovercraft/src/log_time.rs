//! Log time: the only clock of the replicated state (design HC7e).
//!
//! An entry's stamp is the last stamp in the log plus the leader's own monotonic time since it appended that entry. Never a
//! wall clock, never two machines' clocks compared.
//!
//! Invariants:
//! - T1. Stamps in a log never go back.
//! - T2. The first stamp of a term adds at most two plain windows for the time before this leader was elected, and all of its own time
//!   since: how long the cluster stood must not expire everything at once, and tables full of what has expired must not stay full.
//! - T3. A log without a stamp begins with 0, whatever this node's clock shows.
//! - T4. A stamp is one that a message can carry (W2 of [`crate::wire`]): time stands still at the greatest (HC13: without a key
//!   anybody may put that into a log).

use core::time::Duration;

use planted::Plant;
use r2p2::Instant;
use raft_core::ids::Term;

use crate::wire::NUMBER_MAX;

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

/// Own moments remembered with the log time passed by then.
const SAMPLES: usize = 512;
/// Own time between two of them, at least.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);

/// The highest log time heard of, and when; and what the leader of the newest term said last.
///
/// The two differ: after an idle hour the next leader's log time begins two plain windows above the last stamp at most (T2), while
/// everybody has heard from the one before how late it is. An entry's age is told by its own term's leader, or a later one. Waiting
/// requests age by what has passed by the word of each term's leader, added up: the hour is no reason to take the next one for none.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    now_us: u64,
    term: Term,
    term_us: u64,
    passed_us: u64,
    samples: Vec<(Instant, u64)>,
    next: usize,
}

impl LastStamp {
    /// The stamp that an entry appended at `now` by the leader of `term`, elected at `elected_at`, gets, in microseconds.
    #[must_use]
    pub(crate) fn stamp(
        &self,
        now: Instant,
        (term, elected_at): (Term, Instant),
        plain_window: Duration,
    ) -> u64 {
        if self.term == Term::ZERO {
            return 0; // T3
        }
        if self.term != term && planted::is(Plant::Hc7eStamp) {
            return micros(now);
        }
        let passed = if self.term == term {
            now.saturating_sub(self.appended_at)
        } else {
            let before = elected_at.saturating_sub(self.appended_at);
            before.min(plain_window * 2) + now.saturating_sub(elected_at) // T2
        };
        // T4
        self.stamp_us.saturating_add(micros(passed)).min(NUMBER_MAX - 1)
    }
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            now_us: 0,
            term: Term::ZERO,
            term_us: 0,
            passed_us: 0,
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
        if term < self.term {
            return self.hear(log_time_us);
        }
        // Whoever hears a leader for the first time does not know what has passed.
        if self.term > Term::ZERO {
            // HC13: without a key anybody may tell any time, in term after term.
            let more = log_time_us.saturating_sub(self.term_us);
            self.passed_us = self.passed_us.saturating_add(more);
        }
        self.term_us = if term > self.term { log_time_us } else { self.term_us.max(log_time_us) };
        self.term = term;
        self.hear(log_time_us);
    }

    /// What decides: log times are data, as the stamps in a log are; what has passed between two moments is the requests' age.
    pub(crate) fn protocol_state(&self) -> (u64, Term, u64) {
        (self.now_us, self.term, self.term_us)
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

    /// How much log time has passed by the word of leaders, in microseconds since some moment.
    pub(crate) fn passed_us(&self) -> u64 {
        self.passed_us
    }

    /// Remembers what has passed by `now`, for [`Self::passed_by`], so that the samples reach back to twice `expiry`. Called once
    /// per burst.
    pub(crate) fn sample(&mut self, now: Instant, expiry: Duration) {
        let every = SAMPLE_EVERY.max(expiry / 256);
        let newest = (self.next + SAMPLES - 1) % SAMPLES;
        if self.samples.get(newest).is_some_and(|&(at, _)| now < at + every) {
            return;
        }
        if self.samples.len() < SAMPLES {
            self.samples.push((now, self.passed_us));
        } else {
            self.samples[self.next] = (now, self.passed_us);
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    /// How much had passed by `moment`, or less: ages counted from it are never too small. What is older than the samples, and so
    /// than the expiry, gets zero.
    #[must_use]
    pub(crate) fn passed_by(&self, moment: Instant) -> u64 {
        let len = self.samples.len();
        let newest_first =
            (1..=len).map(|back| self.samples[(self.next + SAMPLES - back) % SAMPLES]);
        { newest_first }.find(|&(at, _)| at <= moment).map_or(0, |(_, us)| us)
    }
}

/// Whole microseconds.
#[must_use]
pub(crate) fn micros(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(duration.subsec_micros().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    fn elected(term: u64, at_s: u64) -> (Term, Instant) {
        (Term::from_wire(term), Duration::from_secs(at_s))
    }

    fn last(term: u64) -> LastStamp {
        LastStamp {
            stamp_us: 500,
            appended_at: Duration::from_secs(10),
            term: Term::from_wire(term),
        }
    }

    #[test]
    fn hc7e_a_stamp_is_the_last_one_plus_own_time() {
        let stamp = last(3).stamp(Duration::from_millis(10_002), elected(3, 1), WINDOW);
        assert_eq!(stamp, 2_500);
        let far = last(3).stamp(Duration::from_secs(100), elected(3, 1), WINDOW);
        assert_eq!(far, 90_000_500, "within a term no cap");
    }

    #[test]
    fn hc7e_an_empty_log_begins_with_zero() {
        let stamp = LastStamp::default().stamp(Duration::from_secs(9), elected(1, 1), WINDOW);
        assert_eq!(stamp, 0);
    }

    #[test]
    fn hc7e_the_first_stamp_of_a_term_adds_two_plain_windows_at_most() {
        let stamp = last(3).stamp(Duration::from_secs(100), elected(4, 100), WINDOW);
        assert_eq!(stamp, 2_000_500);
        let soon = last(3).stamp(Duration::from_millis(11_500), elected(4, 11), WINDOW);
        assert_eq!(soon, 1_500_500, "what has passed");
    }

    /// A session table full of sessions long idle would stay full for as long as nobody else's entry moved the log time.
    #[test]
    fn hc7e_while_it_leads_log_time_goes_on_without_an_entry() {
        let stamp = last(3).stamp(Duration::from_secs(160), elected(4, 100), WINDOW);
        assert_eq!(stamp, 62_000_500);
    }

    #[test]
    fn hc13_time_stands_still_at_the_greatest_that_a_message_carries() {
        let forged = LastStamp { stamp_us: NUMBER_MAX - 2, ..last(3) };
        let stamp = |at| forged.stamp(Duration::from_secs(at), elected(3, 1), WINDOW);
        assert_eq!((stamp(10), stamp(11)), (NUMBER_MAX - 2, NUMBER_MAX - 1));
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
    fn hc8_what_had_passed_by_a_moment_is_never_more_than_that() {
        let mut heard = Heard::default();
        let term = Term::from_wire(1);
        for ms in 0..2_000u64 {
            heard.hear_leader(term, 5_000_000 + ms * 10);
            heard.sample(Duration::from_millis(ms), Duration::from_millis(400));
        }
        assert_eq!(heard.passed_us(), 19_990, "since the first word");
        let newest = heard.passed_by(Duration::from_secs(9));
        assert!((19_970..=19_990).contains(&newest), "{newest}");
        let before = heard.passed_by(Duration::from_micros(1_500_700));
        assert!((14_980..=15_000).contains(&before), "{before}");
        assert_eq!(heard.passed_by(Duration::from_millis(3)), 0, "older than the samples");
    }

    #[test]
    fn hc8_the_samples_reach_back_to_the_expiry() {
        let mut heard = Heard::default();
        for ms in 1..20_000u64 {
            heard.hear_leader(Term::from_wire(1), ms * 1_000);
            heard.sample(Duration::from_millis(ms), Duration::from_secs(5));
        }
        let passed = heard.passed_us() - heard.passed_by(Duration::from_secs(15));
        assert!((4_999_000..5_030_000).contains(&passed), "{passed}");
    }

    #[test]
    fn hc8_requests_age_by_the_word_of_every_leader_in_its_own_term() {
        let mut heard = Heard::default();
        heard.hear_leader(Term::from_wire(1), 1_000);
        heard.hear_leader(Term::from_wire(1), 3_600_000_000);
        let hour = heard.passed_us();
        heard.hear_leader(Term::from_wire(2), 2_000_000);
        assert_eq!(heard.passed_us(), hour, "its log time is behind");
        heard.hear_leader(Term::from_wire(2), 2_500_000);
        heard.hear_leader(Term::from_wire(1), 3_700_000_000);
        assert_eq!(heard.passed_us(), hour + 500_000);
    }

    #[test]
    fn hc13_no_words_of_leaders_overflow_what_has_passed() {
        let mut heard = Heard::default();
        for term in 1..8 {
            heard.hear_leader(Term::from_wire(term), 0);
            heard.hear_leader(Term::from_wire(term), NUMBER_MAX - 1);
        }
        assert_eq!(heard.passed_us(), u64::MAX);
    }
}
