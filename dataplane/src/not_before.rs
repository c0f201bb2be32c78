//! When a packet that was read now was surely not yet waiting in a receive queue (design HC8, age).
//!
//! The kernel stamps packets with the wall clock only, which may be set while a packet waits, and most network cards not at
//! all: an age computed from such a stamp could come out too small, and a plain client's request be executed twice. So the
//! moment is found without stamps, as HC8 allows: it is the later of
//!
//! - the last *empty poll* before the packet was read: whatever is read later came after it, and
//! - the reading of the packet *one full receive queue* before it: had this packet been there then, the queue would
//!   have held more than it can.
//!
//! A burst of the kernel's that comes back short has seen the queue empty too, behind its own packets; one of a network
//! card's driver may have looked at a part of the queue only. So only a socket with a full burst waiting at every read gets
//! to the second rule, and a card whose driver never finds its queue empty. Under any load that the node keeps up with,
//! packets are stamped to within a few turns of the driver's loop.
//!
//! Invariants:
//! - N1. [`NotBefore::of_burst`] is never later than the arrival of any packet of the burst: a poll counts from the time
//!   taken *before* its call.
//! - N2. A short burst counts as an empty poll only where [`Short::Emptied`] says so, and only once the next call has shown
//!   that no error ended it (see `udp::ffi::Inbox::receive`).
//! - N3. The memory is fixed by the size of the receive queue.

use crate::backend::Instant;

/// Packets of one read, at most.
pub(crate) const BURST: usize = 32;

/// What a burst of fewer than [`BURST`] packets says of the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Short {
    /// It is empty behind them, unless an error ended the burst.
    Emptied,
    /// Nothing.
    #[cfg_attr(
        not(any(feature = "dpdk", test)),
        expect(dead_code, reason = "as cards' drivers do")
    )]
    Unknown,
}

/// The moments of one receive queue.
#[derive(Debug)]
pub(crate) struct NotBefore {
    /// The latest moment at which the queue was surely empty.
    empty_at: Instant,
    /// A short burst's moment, to be believed when the next read shows no error (N2).
    short_at: Option<Instant>,
    short: Short,
    /// When groups of bursts began since the queue was last seen empty: each group has [`BURST`] packets at least. Entry
    /// `n % len` has the newest group `n` of its kind. `len` whole groups hold at least as many packets as the queue can.
    groups: Box<[Instant]>,
    /// How many groups were begun.
    begun: usize,
    /// Packets of the last one, while they are fewer than [`BURST`].
    in_group: usize,
    /// Beginning of the group that is one full queue before the last one; zero while there is none.
    one_queue_ago: Instant,
}

/// What one read of the queue gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Read {
    /// This many packets, at least one.
    Packets(usize),
    /// None: the queue is empty.
    Empty,
    /// Neither: an error.
    Failed,
}

impl NotBefore {
    /// For a queue made after `now` that holds at most `packets`.
    pub(crate) fn new(now: Instant, packets: usize, short: Short) -> Self {
        let groups = packets.div_ceil(BURST).max(1);
        Self {
            empty_at: now,
            short_at: None,
            short,
            groups: vec![Instant::ZERO; groups].into_boxed_slice(),
            begun: 0,
            in_group: 0,
            one_queue_ago: Instant::ZERO,
        }
    }

    /// The queue was read; `before` is a time from before the call. Gives the moment for the packets read.
    #[inline]
    pub(crate) fn of_burst(&mut self, before: Instant, read: Read) -> Instant {
        let short_at = self.short_at.take();
        if read != Read::Failed {
            self.empty_at = short_at.unwrap_or(self.empty_at);
        }
        match read {
            Read::Failed => self.empty_at,
            Read::Empty => {
                self.empty_at = before;
                self.forget_groups();
                before
            }
            Read::Packets(count) => {
                let moment = self.empty_at.max(self.group(before, count));
                if count < BURST && self.short == Short::Emptied {
                    self.short_at = Some(before);
                    self.forget_groups();
                }
                moment
            }
        }
    }

    /// Adds a burst to the last group, or begins one; gives the moment one full queue before it.
    fn group(&mut self, before: Instant, count: usize) -> Instant {
        if self.in_group == 0 {
            let len = self.groups.len();
            let replaced = core::mem::replace(&mut self.groups[self.begun % len], before);
            if self.begun >= len {
                self.one_queue_ago = replaced;
            }
            self.begun += 1;
        }
        self.in_group += count;
        if self.in_group >= BURST {
            self.in_group = 0;
        }
        self.one_queue_ago
    }

    fn forget_groups(&mut self) {
        (self.begun, self.in_group, self.one_queue_ago) = (0, 0, Instant::ZERO);
    }

    /// Packets that fit in the queue, at most: what the second rule counts on.
    #[cfg(test)]
    pub(crate) fn queue_packets(&self) -> usize {
        self.groups.len() * BURST
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn at(us: u64) -> Instant {
        Duration::from_micros(us)
    }

    /// A queue of four bursts.
    fn four_bursts() -> NotBefore {
        let moments = NotBefore::new(at(1), 4 * BURST, Short::Emptied);
        assert_eq!(moments.queue_packets(), 4 * BURST);
        moments
    }

    #[test]
    fn hc8_a_packet_came_after_the_last_empty_poll() {
        let mut moments = four_bursts();
        assert_eq!(moments.of_burst(at(10), Read::Packets(3)), at(1), "nothing waits unbound");
        moments.of_burst(at(20), Read::Empty);
        assert_eq!(moments.of_burst(at(30), Read::Packets(1)), at(20));
    }

    #[test]
    fn hc8_a_short_burst_saw_the_queue_empty_behind_it() {
        let mut moments = four_bursts();
        moments.of_burst(at(10), Read::Packets(3));
        assert_eq!(moments.of_burst(at(20), Read::Packets(BURST)), at(10));
        assert_eq!(moments.of_burst(at(30), Read::Packets(BURST)), at(10), "no news of emptiness");
    }

    #[test]
    fn hc8_a_burst_cut_short_by_an_error_saw_nothing() {
        let mut moments = four_bursts();
        moments.of_burst(at(10), Read::Packets(3));
        moments.of_burst(at(20), Read::Failed);
        assert_eq!(moments.of_burst(at(30), Read::Packets(2)), at(1), "N2");
    }

    #[test]
    fn hc8_under_overload_a_packet_came_after_the_one_a_queue_before_it() {
        let mut moments = four_bursts();
        for burst in 1..=4 {
            assert_eq!(moments.of_burst(at(burst * 10), Read::Packets(BURST)), at(1));
        }
        assert_eq!(moments.of_burst(at(50), Read::Packets(BURST)), at(10));
        assert_eq!(moments.of_burst(at(60), Read::Packets(5)), at(20), "the rest of a burst too");
        assert_eq!(moments.of_burst(at(70), Read::Packets(BURST)), at(60));
        for burst in 8..11 {
            assert_eq!(moments.of_burst(at(burst * 10), Read::Packets(BURST)), at(60));
        }
        assert_eq!(moments.of_burst(at(110), Read::Packets(BURST)), at(70), "older ones are gone");
    }

    #[test]
    fn hc8_short_bursts_that_tell_nothing_make_groups() {
        let mut moments = NotBefore::new(at(1), 2 * BURST, Short::Unknown);
        moments.of_burst(at(5), Read::Empty);
        let mut time = 10;
        let mut read = |packets| {
            time += 10;
            moments.of_burst(at(time), Read::Packets(packets))
        };
        // Two groups: 20, 30, 40 and 50, 60; the third has the first one's beginning, all of it.
        assert_eq!([16, 15, 1, 30, 2].map(&mut read), [at(5); 5]);
        assert_eq!([1, 31, 32].map(&mut read), [at(20), at(20), at(50)]);
        assert_eq!(moments.of_burst(at(200), Read::Empty), at(200));
        assert_eq!(moments.of_burst(at(210), Read::Packets(1)), at(200));
    }

    /// N1 against a queue that is simulated packet by packet: any mix of arrivals, drops, reads, errors.
    #[test]
    fn n1_no_packet_is_said_to_have_come_later_than_it_did() {
        for short in [Short::Emptied, Short::Unknown] {
            never_later(short);
        }
    }

    fn never_later(short: Short) {
        let mut random = 7_u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let mut moments = NotBefore::new(at(1), 4 * BURST, short);
        let (mut queue, mut error) = (std::collections::VecDeque::new(), false);
        let (mut now, mut tight) = (1, 0_u64);
        for _ in 0..200_000 {
            let load = if draw(50) == 0 { 40 } else { 20 };
            for _ in 0..draw(load) {
                now += 1;
                if queue.len() < 4 * BURST {
                    queue.push_back(at(now));
                }
            }
            now += 1;
            let before = at(now);
            let cut = if draw(30) == 0 { usize::try_from(draw(40)).unwrap() } else { BURST };
            let count = if error { 0 } else { queue.len().min(BURST).min(cut) };
            // A driver that looks at a part of its queue only fails never.
            let cut_short = count == cut && cut < BURST;
            let failed = short == Short::Emptied && (error || cut_short);
            if short == Short::Unknown && cut_short && count == 0 {
                continue;
            }
            error = failed && count > 0;
            let read = match count {
                0 if failed => Read::Failed,
                0 => Read::Empty,
                _ => Read::Packets(count),
            };
            let moment = moments.of_burst(before, read);
            for arrived in queue.drain(..count) {
                assert!(moment <= arrived, "{moment:?} is later than {arrived:?}");
                tight += u64::from(arrived.saturating_sub(moment) < at(200));
            }
        }
        assert!(tight > 1_000_000, "and it is close to the truth: {tight}");
    }
}
