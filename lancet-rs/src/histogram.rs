//! Latencies: one histogram per thread and phase, merged and never averaged.
//!
//! The mean of the agents' percentiles, which the original reports, is no percentile of anything; counts of equal buckets
//! added up are the counts of the whole (High Dynamic Range histograms).
//!
//! Invariants:
//! - L1. Merging keeps every count: a percentile of the merged histogram is that of the merged samples, to three digits.
//! - L2. Recording allocates nothing; what is above [`LATENCY_MAX`] is kept as that.

use core::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency told apart from longer ones.
pub const LATENCY_MAX: Duration = Duration::from_secs(600);

const LATENCY_MAX_NS: u64 = 600_000_000_000;

/// Significant decimal digits of a value.
const DIGITS: u8 = 3;

/// A distribution of times, kept in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

impl Latencies {
    /// Empty.
    #[must_use]
    #[allow(clippy::expect_used, reason = "the bounds are constants that the crate accepts")]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_NS, DIGITS);
        Self { histogram: histogram.expect("1 to 600 s at three digits is a valid histogram") }
    }

    /// Counts a time of `ns` nanoseconds.
    pub fn record(&mut self, ns: u64) {
        self.histogram.saturating_record(ns.min(LATENCY_MAX_NS));
    }

    /// Adds another thread's counts (L1).
    ///
    /// # Panics
    ///
    /// Never: both have the same bounds.
    #[allow(clippy::expect_used, reason = "equal bounds always add")]
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("histograms of the same bounds add");
    }

    /// Samples.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// The value that `percent` of the samples do not exceed, in microseconds; `None` without samples.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "values have three significant digits")]
    pub fn percentile_us(&self, percent: f64) -> Option<f64> {
        let value = || self.histogram.value_at_percentile(percent) as f64 / 1e3;
        (!self.is_empty()).then(value)
    }

    /// The greatest value, in microseconds; `None` without samples.
    #[must_use]
    pub fn max_us(&self) -> Option<f64> {
        self.percentile_us(100.0)
    }

    /// The share of samples above `limit`, 0 without samples.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    pub fn share_above(&self, limit: Duration) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(LATENCY_MAX_NS);
        let first_above = self.histogram.next_non_equivalent(limit.min(LATENCY_MAX_NS));
        let above = self.histogram.count_between(first_above, u64::MAX);
        above as f64 / self.len() as f64
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        values.into_iter().for_each(|value| latencies.record(value));
        latencies
    }

    fn within(value: Option<f64>, wanted: f64) -> bool {
        value.is_some_and(|value| (value / wanted - 1.0).abs() < 0.002)
    }

    #[test]
    fn l1_merged_percentiles_are_those_of_all_samples_and_not_a_mean() {
        // A fast thread with 99 samples in 100, and a slow one: the mean of their medians would be 5 ms.
        let mut merged = of((0..9_900).map(|_| 10_000));
        merged.merge(&of((0..100).map(|_| 10_000_000)));
        assert_eq!(merged.len(), 10_000);
        assert!(within(merged.percentile_us(50.0), 10.0));
        assert!(within(merged.percentile_us(99.0), 10.0));
        assert!(within(merged.percentile_us(99.1), 10_000.0));
        assert!(within(merged.max_us(), 10_000.0));
    }

    #[test]
    fn l1_merging_equals_recording_in_one() {
        let values = |thread: u64| (1..5_000).map(move |n| n * n * (thread + 1));
        let mut merged = of(values(0));
        merged.merge(&of(values(1)));
        let one = of(values(0).chain(values(1)));
        for percent in [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            assert_eq!(merged.percentile_us(percent), one.percentile_us(percent));
        }
    }

    #[test]
    fn l2_what_is_too_long_is_kept_as_the_longest() {
        assert!(within(of([u64::MAX]).max_us(), 600e6));
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Latencies::new().percentile_us(50.0), None);
    }

    #[test]
    fn the_share_above_a_limit() {
        let latencies = of((1..=100).map(|n| n * 10_000));
        let share = latencies.share_above(Duration::from_micros(900));
        assert!((share - 0.1).abs() < 0.001, "{share}");
    }
}
