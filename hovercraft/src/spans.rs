//! How long requests take from one step to another, counted in histograms that any thread may read at any time.
//!
//! The pure halves write, with the times that they are fed (as for [`crate::trace`]): no clock is read for this. A duration costs
//! its writer two additions in lines of the cache that no other thread writes.
//!
//! | span | from | to | counted |
//! |---|---|---|---|
//! | complete | surely nothing of the request here yet (HC8) | all its packets here | requests of several packets, on each node |
//! | ordered | the same | appended | all others too, on the leader |
//! | committed | in this node's log | known to be committed, and decided | on every node |
//! | answered | in the replier's log (mode `unreplicated`: complete) | executed, its answer made | on the replier |
//! | applied | taken by the application half | executed, its answer made | where it is executed |
//! | round trip | a round opened by the leader (HC9b) | the first answer to it | on the leader, for each member |
//!
//! Invariants:
//! - W1. One writer for each set of histograms; relaxed stores, nothing allocated or locked.
//! - W2. No part of the protocol state: nothing reads it to decide, and a copy of a half measures nothing.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use r2p2::Instant;
use raft_core::ids::NodeId;

/// Bounds of histograms: this many, and one place more for what is longer.
pub const BOUNDS: usize = 2 * (LONGEST - SHORTEST) as usize + 1;

/// Powers of two, in units: the first bound, 128 ns, and the last, 8.6 s.
const SHORTEST: u32 = 1;
const LONGEST: u32 = 27;

/// Nanoseconds of a unit, as a power of two.
const UNIT: u32 = 6;

/// The place, as it is written, of durations up to the first bound; those before are counted there, too, when it is read.
const FIRST: usize = 2 * SHORTEST as usize + 1;

/// Places of a histogram as it is written: two to each power of two of 33 bits.
const PLACES: usize = 66;

/// Spans that are no round trip, and all.
const OWN: usize = 5;
const SPANS: usize = OWN + NodeId::MAX_NODES as usize;

/// From one step to another; see the module.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Span {
    /// Until all packets are here.
    Complete,
    /// Until the leader appended it.
    Ordered,
    /// From log to commit.
    Committed,
    /// From log to answer.
    Answered,
    /// The execution alone.
    Applied,
    /// From this leader to a member and back.
    RoundTrip(NodeId),
}

/// Counts by duration.
#[derive(Debug)]
#[repr(align(64))]
struct Counts {
    places: [AtomicU64; PLACES],
    /// In units.
    sum: AtomicU64,
}

/// The writing end: a histogram for each span. Off by default.
#[derive(Default)]
pub struct Spans {
    counts: Option<Arc<[Counts; SPANS]>>,
    run: Run,
}

/// The reading end.
#[derive(Clone)]
pub struct SpansReader(Arc<[Counts; SPANS]>);

/// Spans that are alike and not yet counted: the requests of a burst often have the same times.
#[derive(Clone, Copy, Default)]
struct Run {
    place: usize,
    since: Instant,
    now_ns: u64,
    times: u32,
}

/// One histogram, as it was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Histogram {
    /// How many durations were up to [`bound`] of the place and above the one before; at last, those above all bounds.
    pub counts: [u64; BOUNDS + 1],
    /// All durations together.
    pub sum: Duration,
}

/// A moment of a thread's time in few bits, for spans of at most four minutes: in units of 64 ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u32);

impl Span {
    fn place(self) -> usize {
        match self {
            Self::Complete => 0,
            Self::Ordered => 1,
            Self::Committed => 2,
            Self::Answered => 3,
            Self::Applied => 4,
            Self::RoundTrip(node) => OWN + node.place(),
        }
    }
}

impl Spans {
    /// Measures from now on.
    #[must_use]
    pub fn new() -> Self {
        let counts = Arc::new(core::array::from_fn(|_| Counts::default()));
        Self { counts: Some(counts), run: Run::default() }
    }

    /// To read it; `None` when it is off.
    #[must_use]
    pub fn reader(&self) -> Option<SpansReader> {
        self.counts.as_ref().map(|counts| SpansReader(Arc::clone(counts)))
    }

    /// A span from one moment to another.
    pub(crate) fn record(&self, span: Span, from: Moment, to: Moment) {
        if let Some(counts) = &self.counts {
            counts[span.place()].add(to.0.wrapping_sub(from.0), 1);
        }
    }

    /// A span from a time to another one in nanoseconds; counted by [`Self::flush`] at the latest.
    #[inline]
    pub(crate) fn took(&mut self, span: Span, since: Instant, now_ns: u64) {
        let (place, run) = (span.place(), &self.run);
        if run.since != since || run.place != place || run.now_ns != now_ns {
            self.begin_run(place, since, now_ns);
        }
        self.run.times += 1;
    }

    #[inline(never)]
    fn begin_run(&mut self, place: usize, since: Instant, now_ns: u64) {
        self.flush();
        self.run = Run { place, since, now_ns, times: 0 };
    }

    /// Counts what waits to be counted.
    pub(crate) fn flush(&mut self) {
        if self.run.times == 0 {
            return;
        }
        let Run { place, since, now_ns, times } = core::mem::take(&mut self.run);
        if let Some(counts) = &self.counts {
            let span = Moment::of_ns(now_ns).0.wrapping_sub(Moment::of(since).0);
            counts[place].add(span, times);
        }
    }
}

impl Clone for Spans {
    /// Off: a histogram has one writer (W1, W2).
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.counts.is_some() { "Spans(on)" } else { "Spans(off)" })
    }
}

impl SpansReader {
    /// What was counted for a span.
    #[must_use]
    pub fn read(&self, span: Span) -> Histogram {
        let Counts { places, sum } = &self.0[span.place()];
        let mut counts = [0; BOUNDS + 1];
        for (place, written) in places.iter().enumerate() {
            counts[place.saturating_sub(FIRST).min(BOUNDS)] += written.load(Ordering::Relaxed);
        }
        let sum = Duration::from_nanos(sum.load(Ordering::Relaxed) << UNIT);
        Histogram { counts, sum }
    }
}

impl fmt::Debug for SpansReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpansReader")
    }
}

impl Histogram {
    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let counts = core::array::from_fn(|place| self.counts[place] + other.counts[place]);
        Self { counts, sum: self.sum + other.sum }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BOUNDS + 1], sum: Duration::ZERO }
    }
}

/// Up to which duration is counted at this place.
#[must_use]
pub const fn bound(place: usize) -> Duration {
    assert!(place < BOUNDS, "what is longer than all bounds has none");
    let octave = 1 << (SHORTEST as usize + place / 2);
    let half = if place.is_multiple_of(2) { 0 } else { octave / 2 };
    Duration::from_nanos((octave + half) << UNIT)
}

/// Where a duration of so many units is counted: below the next bound, to within a unit.
fn place_of(units: u32) -> usize {
    let halves = u64::from(units) << 1 | 1;
    let octave = halves.ilog2();
    let is_upper = halves << 1 >> octave & 1;
    2 * octave as usize + usize::from(is_upper == 1)
}

impl Counts {
    fn add(&self, units: u32, times: u32) {
        let add = |to: &AtomicU64, more| {
            // W1: nobody else writes between the two.
            to.store(to.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        let times = u64::from(times);
        add(&self.places[place_of(units)], times);
        add(&self.sum, u64::from(units).wrapping_mul(times));
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self { places: [const { AtomicU64::new(0) }; PLACES], sum: AtomicU64::new(0) }
    }
}

impl Moment {
    /// Of a time.
    pub(crate) fn of(time: Instant) -> Self {
        Self::of_ns(nanoseconds(time))
    }

    /// Of a time in nanoseconds.
    pub(crate) fn of_ns(ns: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "it goes round")]
        let units = (ns >> UNIT) as u32;
        Self(units)
    }
}

/// A time as a number; a node's clock does not run for centuries.
pub(crate) fn nanoseconds(time: Instant) -> u64 {
    time.as_secs().wrapping_mul(1_000_000_000).wrapping_add(time.subsec_nanos().into())
}

#[cfg(test)]
mod tests;
