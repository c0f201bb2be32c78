//! When writes were acknowledged: one bit per slot of time, so that many threads merge to one picture.
//!
//! The longest gap between acknowledged writes is the fail-over time as a client sees it. It cannot be had from any
//! thread alone, and averaging would hide it: the threads' timelines are united first (T2).
//!
//! Invariants:
//! - T1. Memory is taken at the start: a bit per [`SLOT`], so a minute costs 75 kB.
//! - T2. A slot is set in a union when it is set in one of them; a gap is counted in whole slots, and is therefore exact
//!   to one slot.
//! - T3. The ends of the span asked about count like acknowledgements: a service that never answers again has a gap that
//!   reaches to the end, not none.

use core::time::Duration;
use std::ops::Range;

/// Resolution.
pub const SLOT: Duration = Duration::from_micros(100);

const SLOT_NS: u64 = 100_000;

/// Slots of time since the start of the run in which a write was acknowledged.
#[derive(Clone, Debug)]
pub struct Timeline {
    words: Vec<u64>,
}

impl Timeline {
    /// An empty timeline that reaches to `end`.
    #[must_use]
    pub fn new(end: Duration) -> Self {
        Self { words: vec![0; slot_of(nanoseconds(end)) / 64 + 1] }
    }

    /// A write was acknowledged `at` nanoseconds after the start; what lies behind the end is not kept.
    pub fn mark(&mut self, at: u64) {
        let slot = slot_of(at);
        if let Some(word) = self.words.get_mut(slot / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// Unites another thread's timeline of the same run with this one (T2).
    pub fn merge(&mut self, other: &Self) {
        for (word, &theirs) in self.words.iter_mut().zip(&other.words) {
            *word |= theirs;
        }
    }

    /// The longest time within `span` in which no write was acknowledged (T3).
    #[must_use]
    pub fn longest_gap(&self, span: Range<Duration>) -> Duration {
        let (start, end) = (slot_of(nanoseconds(span.start)), slot_of(nanoseconds(span.end)));
        let mut longest = 0;
        let mut last = start;
        for slot in start..end {
            if self.is_marked(slot) {
                longest = longest.max(slot - last);
                last = slot;
            }
        }
        longest = longest.max(end.saturating_sub(last));
        SLOT * u32::try_from(longest).unwrap_or(u32::MAX)
    }

    fn is_marked(&self, slot: usize) -> bool {
        self.words.get(slot / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }
}

fn slot_of(at: u64) -> usize {
    usize::try_from(at / SLOT_NS).unwrap_or(usize::MAX)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn timeline(marks_ms: impl IntoIterator<Item = u64>) -> Timeline {
        let mut timeline = Timeline::new(ms(1_000));
        marks_ms.into_iter().for_each(|at| timeline.mark(at * 1_000_000));
        timeline
    }

    #[test]
    fn t2_a_gap_is_what_all_threads_together_left_open() {
        let mut whole = timeline((0..1_000).step_by(2).filter(|at| !(300..500).contains(at)));
        whole.merge(&timeline((1..1_000).step_by(2).filter(|at| !(350..600).contains(at))));
        // The even thread is silent from 298 to 500, the odd one from 349 to 601: together from 349 to 500.
        assert_eq!(whole.longest_gap(ms(0)..ms(1_000)), ms(151));
    }

    #[test]
    fn t3_a_service_that_never_answers_again_has_a_gap_to_the_end() {
        assert_eq!(timeline(0..400).longest_gap(ms(0)..ms(1_000)), ms(601));
        assert_eq!(timeline([]).longest_gap(ms(0)..ms(1_000)), ms(1_000));
        assert_eq!(timeline(700..1_000).longest_gap(ms(0)..ms(1_000)), ms(700));
    }

    #[test]
    fn a_phase_counts_its_own_part_of_a_gap() {
        let whole = timeline((0..1_000).filter(|at| !(300..500).contains(at)));
        assert_eq!(whole.longest_gap(ms(0)..ms(400)), ms(101));
        assert_eq!(whole.longest_gap(ms(400)..ms(1_000)), ms(100));
        assert_eq!(whole.longest_gap(ms(600)..ms(1_000)), ms(1));
    }

    #[test]
    fn moments_behind_the_end_are_not_kept() {
        let mut timeline = timeline([]);
        timeline.mark(u64::MAX);
        assert_eq!(timeline.longest_gap(ms(0)..ms(10)), ms(10));
    }
}
