//! Numbers that a thread publishes of itself, for anybody to read at any time, also when the thread is stuck (design,
//! section 5).
//!
//! Invariants:
//! - B1. One writer, relaxed stores, lines of the cache that nobody else writes: publishing waits for nobody.
//! - B2. Each number is one that the thread had; two of them may be of different publications.
//! - B3. Publishing allocates nothing: names and places are settled when the board is made.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use crossbeam::utils::CachePadded;
use dataplane::backend::{BackendCounters, Instant, Queue};

/// Time between two publications.
const PUBLISH_EVERY: Duration = Duration::from_millis(1);

/// The same for the back end's totals, which cost system calls.
const BACKEND_EVERY: Duration = Duration::from_millis(100);

/// Numbers in one line.
const LINE: usize = 16;

/// Each total of a back end with its name, always in the same order: what stands first on every board.
pub(crate) fn queue_totals(queue: &impl Queue, tell: &mut dyn FnMut(&'static str, u64)) {
    let BackendCounters { received, sent, dropped_receive, dropped_send } = queue.counters();
    tell("received", received);
    tell("sent", sent);
    tell("dropped_receive", dropped_receive);
    tell("dropped_send", dropped_send);
    queue.details(tell);
}

/// What one thread publishes.
#[derive(Debug)]
pub(crate) struct Board {
    /// Nanoseconds of the node's clock at the begin of the last turn.
    beat: CachePadded<AtomicU64>,
    /// How many of the numbers, the first, are the back end's.
    backend: usize,
    names: Box<[&'static str]>,
    numbers: Box<[CachePadded<[AtomicU64; LINE]>]>,
}

/// All numbers of a board as they were read.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    names: Box<[&'static str]>,
    values: Vec<u64>,
}

impl Board {
    /// For a queue's totals and the numbers of these names; the thread begins at the queue's present moment.
    pub(crate) fn new(queue: &impl Queue, names: impl Iterator<Item = &'static str>) -> Arc<Self> {
        let mut first = Vec::new();
        queue_totals(queue, &mut |name, _| first.push(name));
        Self::with(first, names, queue.now())
    }

    /// For numbers of these names, the back end's first.
    pub(crate) fn with(
        backend: Vec<&'static str>,
        names: impl Iterator<Item = &'static str>,
        now: Instant,
    ) -> Arc<Self> {
        let first = backend.len();
        let names: Box<[&str]> = backend.into_iter().chain(names).collect();
        let lines = names.len().div_ceil(LINE);
        let board = Self {
            beat: CachePadded::default(),
            backend: first,
            names,
            numbers: (0..lines).map(|_| CachePadded::default()).collect(),
        };
        board.beat(now);
        Arc::new(board)
    }

    /// The thread goes on, at `now`.
    pub(crate) fn beat(&self, now: Instant) {
        self.beat.store(nanoseconds(now), Ordering::Relaxed);
    }

    /// The begin of the thread's last turn.
    pub(crate) fn last_beat(&self) -> Instant {
        Duration::from_nanos(self.beat.load(Ordering::Relaxed))
    }

    /// As they are now.
    pub(crate) fn read(&self) -> Numbers {
        let values = self.numbers.iter().flat_map(|line| line.iter());
        let values = values.map(|number| number.load(Ordering::Relaxed));
        Numbers { names: self.names.clone(), values: values.take(self.names.len()).collect() }
    }

    fn put(&self, from: usize, values: impl Iterator<Item = u64>) {
        let places = self.numbers.iter().flat_map(|line| line.iter()).skip(from);
        for (place, value) in places.zip(values) {
            place.store(value, Ordering::Relaxed);
        }
    }
}

impl Numbers {
    /// The number of this name, and 0 when there is none.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| value)
    }

    /// Each with its name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.names.iter().copied().zip(self.values.iter().copied())
    }
}

/// The writing end of a board.
#[derive(Debug)]
pub(crate) struct Publisher {
    board: Arc<Board>,
    next: Instant,
    next_backend: Instant,
    /// Something happened since the last publication.
    stale: bool,
}

impl Publisher {
    pub(crate) fn new(board: Arc<Board>) -> Self {
        Self { board, next: Duration::ZERO, next_backend: Duration::ZERO, stale: true }
    }

    /// What it writes on.
    pub(crate) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// The thread goes on, in the middle of a turn.
    pub(crate) fn beat(&self, now: Instant) {
        self.board.beat(now);
    }

    /// At the end of a turn that began at `now`: publishes when it is time to.
    pub(crate) fn turn<I: Iterator<Item = u64>>(
        &mut self,
        now: Instant,
        busy: bool,
        backend: impl FnOnce(&mut dyn FnMut(&'static str, u64)),
        numbers: impl FnOnce() -> I,
    ) {
        self.board.beat(now);
        self.stale |= busy;
        if now < self.next {
            return;
        }
        if now >= self.next_backend {
            let mut place = 0;
            backend(&mut |_, value| {
                self.board.put(place, core::iter::once(value));
                place += 1;
            });
            assert!(place == self.board.backend, "a back end's totals are always the same");
            self.next_backend = now + BACKEND_EVERY;
        }
        self.board.put(self.board.backend, numbers());
        (self.next, self.stale) = (now + PUBLISH_EVERY, false);
    }

    /// Before a sleep: what happened since the last time, without the back end's totals.
    pub(crate) fn before_sleep<I: Iterator<Item = u64>>(&mut self, numbers: impl FnOnce() -> I) {
        if core::mem::take(&mut self.stale) {
            self.board.put(self.board.backend, numbers());
        }
    }
}

fn nanoseconds(time: Instant) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 40] = ["some"; 40];

    fn board() -> Arc<Board> {
        let names = NAMES.into_iter().take(20).chain(["last"]);
        Board::with(vec!["received", "sent", "dropped_send"], names, Duration::from_nanos(7))
    }

    #[test]
    fn what_is_published_is_read_by_name() {
        let (board, ms) = (board(), Duration::from_millis);
        let mut publisher = Publisher::new(Arc::clone(&board));
        let backend = |received| {
            move |tell: &mut dyn FnMut(&'static str, u64)| {
                tell("received", received);
                tell("sent", 0);
                tell("dropped_send", 4);
            }
        };
        publisher.turn(ms(1), true, backend(1), || 100..121);
        let numbers = board.read();
        assert_eq!(numbers.iter().count(), 24);
        let named = ["received", "dropped_send", "some", "last", "other"];
        assert_eq!(named.map(|name| numbers.get(name)), [1, 4, 100, 120, 0]);
        publisher.turn(ms(100), true, backend(2), || 200..221);
        let numbers = board.read();
        assert_eq!(named.map(|name| numbers.get(name)), [1, 4, 200, 220, 0], "costly: later");
        publisher.turn(ms(101), true, backend(2), || 300..321);
        assert_eq!(board.read().get("received"), 2);
    }

    #[test]
    fn it_is_published_every_millisecond_and_before_a_sleep_when_something_happened() {
        let us = Duration::from_micros;
        let board = Board::with(Vec::new(), NAMES.into_iter(), us(0));
        let mut publisher = Publisher::new(Arc::clone(&board));
        let mut turn = |at, busy, value: u64, sleeps: bool| {
            publisher.turn(us(at), busy, |_| (), || [value].into_iter());
            if sleeps {
                publisher.before_sleep(|| [value].into_iter());
            }
            (board.read().get("some"), board.last_beat())
        };
        assert_eq!(turn(10, true, 1, false), (1, us(10)));
        assert_eq!(turn(1_009, true, 2, false), (1, us(1_009)), "too early");
        assert_eq!(turn(1_009, false, 2, true), (2, us(1_009)));
        assert_eq!(turn(1_009, false, 3, true), (2, us(1_009)), "nothing happened");
        assert_eq!(turn(1_010, false, 4, false), (4, us(1_010)));
    }
}
