//! What is going on, once per second: counters that the sending threads write and the printing thread reads.
//!
//! Each thread has a [`Gauge`] of its own. Only that thread writes it, with relaxed loads and stores on a line of cache
//! that no other thread writes, so that looking costs the sender nothing. The printer takes [`Snapshot`]s, adds them up
//! over the threads and prints differences.
//!
//! The buckets of the latency counts are coarse (a 32nd of their value): the final report has its own histograms.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Parts that each power of two is divided into.
const PARTS: usize = 32;
const PART_BITS: u32 = PARTS.trailing_zeros();
/// Buckets: values below 32 ns, then 32 parts for each power of two up to 2^40 ns (18 minutes).
const BUCKETS: usize = PARTS * 36;

/// What is counted, each since the start of the run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Count {
    /// Handed to the network, first tries only.
    Sent,
    /// Answered.
    Answered,
    /// Ended without an answer: refused.
    Refused,
    /// Ended without an answer: outcome unknown.
    Unknown,
    /// Never sent, for want of a free number within the time-out.
    Unsent,
    /// Refusals of single packets.
    Nacks,
    /// Repetitions sent.
    Retries,
}

const COUNTS: usize = 7;

/// One thread's counters.
#[derive(Debug)]
#[repr(align(128))]
pub struct Gauge {
    counts: [AtomicU64; COUNTS],
    open: AtomicU64,
    latencies: Box<[AtomicU64]>,
}

/// The counters of all threads at one moment, or the difference of two such.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    counts: [u64; COUNTS],
    open: u64,
    latencies: Vec<u64>,
}

impl Gauge {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: core::array::from_fn(|_| AtomicU64::new(0)),
            open: AtomicU64::new(0),
            latencies: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Adds to a counter. For the owning thread alone: two writers would lose counts.
    pub fn add(&self, count: Count, more: u64) {
        raise(&self.counts[count as usize], more);
    }

    /// How many requests are under way now. For the owning thread alone.
    pub fn set_open(&self, open: usize) {
        self.open.store(open as u64, Relaxed);
    }

    /// Counts an answer's latency, in nanoseconds. For the owning thread alone.
    pub fn record(&self, latency: u64) {
        raise(&self.latencies[bucket_of(latency)], 1);
    }
}

impl Default for Gauge {
    fn default() -> Self {
        Self::new()
    }
}

impl Snapshot {
    /// Reads and adds up the counters of all threads.
    pub fn of<'a>(gauges: impl IntoIterator<Item = &'a Gauge>) -> Self {
        let mut sum = Self { counts: [0; COUNTS], open: 0, latencies: vec![0; BUCKETS] };
        for gauge in gauges {
            sum.open += gauge.open.load(Relaxed);
            let counts = sum.counts.iter_mut().zip(&gauge.counts);
            let latencies = sum.latencies.iter_mut().zip(&gauge.latencies);
            counts.chain(latencies).for_each(|(sum, count)| *sum += count.load(Relaxed));
        }
        sum
    }

    /// What was added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        let counts = difference.counts.iter_mut().zip(&earlier.counts);
        let latencies = difference.latencies.iter_mut().zip(&earlier.latencies);
        counts.chain(latencies).for_each(|(now, then)| *now = now.saturating_sub(*then));
        difference
    }

    /// A counter.
    #[must_use]
    pub fn count(&self, count: Count) -> u64 {
        self.counts[count as usize]
    }

    /// Requests under way at the moment of the snapshot; of a difference, at its end.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open
    }

    /// The latency that `share` (0 to 1) of the answers do not exceed, in microseconds; 0 without answers.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, saturating"
    )]
    pub fn quantile_us(&self, share: f64) -> f64 {
        let total: u64 = self.latencies.iter().sum();
        let wanted = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.latencies.iter().position(|&count| {
            seen += count;
            seen >= wanted
        });
        reached.map_or(0.0, |bucket| upper_bound(bucket) as f64 / 1e3)
    }
}

fn raise(counter: &AtomicU64, more: u64) {
    // One writer: no read-modify-write is needed.
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

fn bucket_of(ns: u64) -> usize {
    let power = ns.max(1).ilog2();
    let Some(shift) = power.checked_sub(PART_BITS) else {
        return usize::try_from(ns).unwrap_or(0);
    };
    // The top bit and the five behind it: 32 to 63 in steps of 2^shift.
    let part = usize::try_from(ns >> shift).unwrap_or(PARTS);
    let row = usize::try_from(shift).unwrap_or(0);
    (row * PARTS + part).min(BUCKETS - 1)
}

/// The greatest value of a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let Some(row) = (bucket / PARTS).checked_sub(1) else {
        return bucket as u64;
    };
    let part = (bucket % PARTS + PARTS) as u64;
    ((part + 1) << row) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        let mut values: Vec<u64> = (0..40).map(|power| 1 << power).collect();
        values.extend((0..40).map(|power| (1_u64 << power) - 1));
        values.extend((0..10_000).map(|n| n * n * 7 + n));
        for value in values {
            let bucket = bucket_of(value);
            let low = bucket.checked_sub(1).map_or(0, |before| upper_bound(before) + 1);
            assert!((low..=upper_bound(bucket)).contains(&value), "{value} in bucket {bucket}");
            assert!((upper_bound(bucket) - low) as f64 <= value as f64 / 32.0 + 1.0);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_snapshot_adds_threads_and_differences_are_the_last_second() {
        let gauges = [Gauge::new(), Gauge::new()];
        gauges[0].add(Count::Sent, 10);
        gauges[1].add(Count::Sent, 5);
        gauges[0].add(Count::Answered, 9);
        gauges[0].record(1_000_000);
        gauges[0].set_open(4);
        gauges[1].set_open(2);
        let first = Snapshot::of(&gauges);
        assert_eq!((first.count(Count::Sent), first.open()), (15, 6));
        gauges[1].add(Count::Answered, 3);
        gauges[1].add(Count::Unknown, 1);
        (0..99).for_each(|_| gauges[1].record(1_000));
        gauges[1].record(50_000);
        gauges[0].set_open(0);
        let second = Snapshot::of(&gauges);
        let last = second.since(&first);
        assert_eq!((last.count(Count::Sent), last.count(Count::Answered)), (0, 3));
        assert_eq!(second.open(), 2);
        let close = |value: f64, wanted: f64| (value / wanted - 1.0).abs() < 0.04;
        assert!(close(last.quantile_us(0.5), 1.0));
        assert!(close(last.quantile_us(1.0), 50.0));
        assert!(close(second.quantile_us(1.0), 1_000.0));
    }
}
