//! When a packet that was read now was surely not yet waiting in a socket's queue (design HC8, age).
//!
//! The kernel stamps packets with the wall clock only, which may be set while a packet waits: an age computed from it
//! could come out too small, and a plain client's request be executed twice. So the moment is found without stamps, as
//! HC8 allows: it is the later of
//!
//! - the last *empty poll* before the packet was read: whatever is read later came after it, and
//! - the reading of the packet *one full receive queue* before it: had this packet been there then, the queue would
//!   have held more than it can.
//!
//! A burst that comes back short has seen the queue empty too, behind its own packets. Only a socket with a full burst
//! waiting at every read gets to the second rule, so under any load that the node keeps up with, packets are stamped to
//! within one turn of the driver's loop.
//!
//! Invariants:
//! - N1. [`NotBefore::of_burst`] is never later than the arrival of any packet of the burst: a poll counts from the time
//!   taken *before* its system call.
//! - N2. A short burst counts as an empty poll only once the next call has shown that no error ended it (see
//!   [`super::ffi::Inbox::receive`]).
//! - N3. The memory is fixed by the size of the receive queue.

use super::ffi::BURST;
use crate::backend::Instant;

/// Least kernel memory that a queued packet is charged: `sk_buff`, `skb_shared_info` and the data (Linux, 64 bits).
const PACKET_CHARGE_MIN: usize = 512;

/// Times over which a queue may exceed its limit for a moment, while several processors add to it.
const OVERSHOOT: usize = 2;

/// The moments of one socket.
#[derive(Debug)]
pub(super) struct NotBefore {
    /// The latest moment at which the queue was surely empty.
    empty_at: Instant,
    /// A short burst's moment, to be believed when the next read shows no error (N2).
    short_at: Option<Instant>,
    /// Full bursts since the queue was last seen empty; entry `n % len` has the time of the newest burst `n` of its
    /// kind. `len` full bursts hold at least as many packets as the queue can.
    full_bursts: Box<[Instant]>,
    /// How many of them.
    count: usize,
}

/// What one read of the socket gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Read {
    /// This many packets, at least one.
    Packets(usize),
    /// None: the queue is empty.
    Empty,
    /// Neither: an error.
    Failed,
}

impl NotBefore {
    /// For a socket made after `now`, with `queue_bytes` of receive buffer as the kernel counts them.
    pub(super) fn new(now: Instant, queue_bytes: usize) -> Self {
        let packets = OVERSHOOT * queue_bytes / PACKET_CHARGE_MIN;
        let bursts = packets.div_ceil(BURST).max(1);
        let full_bursts = vec![Instant::ZERO; bursts].into_boxed_slice();
        Self { empty_at: now, short_at: None, full_bursts, count: 0 }
    }

    /// The socket was read; `before` is a time from before the call. Gives the moment for the packets read.
    pub(super) fn of_burst(&mut self, before: Instant, read: Read) -> Instant {
        let short_at = self.short_at.take();
        if read != Read::Failed {
            self.empty_at = short_at.unwrap_or(self.empty_at);
        }
        match read {
            Read::Failed => self.empty_at,
            Read::Empty => {
                self.empty_at = before;
                self.count = 0;
                before
            }
            Read::Packets(BURST) => {
                let place = self.count % self.full_bursts.len();
                let one_queue_ago = core::mem::replace(&mut self.full_bursts[place], before);
                let wrapped = self.count >= self.full_bursts.len();
                self.count += 1;
                if wrapped { self.empty_at.max(one_queue_ago) } else { self.empty_at }
            }
            Read::Packets(_) => self.of_short_burst(before),
        }
    }

    fn of_short_burst(&mut self, before: Instant) -> Instant {
        let oldest = self.count % self.full_bursts.len();
        let wrapped = self.count >= self.full_bursts.len();
        let moment =
            if wrapped { self.empty_at.max(self.full_bursts[oldest]) } else { self.empty_at };
        self.short_at = Some(before);
        self.count = 0;
        moment
    }

    /// Packets that fit in the queue, at most: what the second rule counts on.
    #[cfg(test)]
    pub(super) fn queue_packets(&self) -> usize {
        self.full_bursts.len() * BURST
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
        let moments = NotBefore::new(at(1), 4 * BURST * PACKET_CHARGE_MIN / OVERSHOOT);
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

    /// N1 against a queue that is simulated packet by packet: any mix of arrivals, drops, reads, errors.
    #[test]
    fn n1_no_packet_is_said_to_have_come_later_than_it_did() {
        let mut random = 7_u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let mut moments = four_bursts();
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
            let failed = error || (count == cut && cut < BURST);
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
