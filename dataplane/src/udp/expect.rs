//! Which sockets are worth a system call: what is known of a socket's queue without asking it.
//!
//! A driver that sleeps in [`Queue::wait`](crate::backend::Queue::wait) asks each socket after each wait, and again until a
//! turn finds nothing; with few packets on their way most of these calls come back empty. Two of them need not be made:
//! the wait itself has told which queues were empty, and a burst that came back short has emptied its own.
//!
//! Invariants:
//! - E1. A socket is passed over only where it was seen empty, twice at most, and not at all by a driver that does not wait.
//! - E2. Where packets do come while the driver handles a short burst, the socket is asked again after it, until one such
//!   question finds nothing.

use core::time::Duration;

/// A wait this short did not sleep: the packet had come before it.
const AT_ONCE: Duration = Duration::from_micros(4);

/// What is known of one socket.
#[derive(Debug, Default)]
pub(super) struct Expect {
    /// How many more times the socket is not asked.
    passes: u8,
    /// The driver has just slept, and this socket was not read since.
    after_wait: bool,
    /// The last read was a short burst.
    emptied: bool,
    /// Packets come faster than a turn is over (E2).
    hot: bool,
}

impl Expect {
    /// Whether the socket is to be asked now.
    pub(super) fn asks(&mut self) -> bool {
        let asks = self.passes == 0;
        self.passes = self.passes.saturating_sub(1);
        asks
    }

    /// A wait of this length ended with news, of this socket or of something else.
    pub(super) fn waited(&mut self, length: Duration, readable: bool) {
        if readable && self.emptied {
            self.hot = length < AT_ONCE;
        }
        // The turn that handles the news, and the one that finds nothing more.
        self.passes = if readable { 0 } else { 2 };
        self.after_wait = readable;
    }

    /// The socket was asked, and gave nothing.
    pub(super) fn was_empty(&mut self) {
        if self.emptied {
            self.hot = false;
        }
        (self.after_wait, self.emptied) = (false, false);
    }

    /// The socket was asked, and gave packets; `short`: fewer than it was asked for.
    pub(super) fn gave(&mut self, short: bool) {
        if short && self.after_wait && !self.hot {
            self.passes = 1;
        }
        (self.after_wait, self.emptied) = (false, short);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(1);
    const SHORT: Duration = Duration::from_micros(1);

    fn asked(expect: &mut Expect, times: usize) -> Vec<bool> {
        (0..times).map(|_| expect.asks()).collect()
    }

    #[test]
    fn e1_who_does_not_wait_asks_always() {
        let mut expect = Expect::default();
        for _ in 0..5 {
            assert!(expect.asks());
            expect.gave(true);
            assert!(expect.asks());
            expect.was_empty();
        }
    }

    #[test]
    fn e1_what_the_wait_saw_empty_is_passed_over_twice() {
        let mut expect = Expect::default();
        expect.waited(LONG, false);
        assert_eq!(asked(&mut expect, 4), [false, false, true, true]);
    }

    #[test]
    fn e1_what_a_short_burst_emptied_is_passed_over_once() {
        let mut expect = Expect::default();
        expect.waited(LONG, true);
        assert!(expect.asks());
        expect.gave(true);
        assert_eq!(asked(&mut expect, 3), [false, true, true]);
        expect.waited(LONG, true);
        assert!(expect.asks());
        expect.gave(false);
        assert!(expect.asks(), "a full burst has emptied nothing");
    }

    #[test]
    fn e2_where_packets_come_meanwhile_the_socket_is_asked_again() {
        let mut expect = Expect::default();
        expect.waited(LONG, true);
        expect.gave(true);
        // The next wait was over before it began.
        assert!(!expect.asks());
        expect.waited(SHORT, true);
        expect.gave(true);
        assert!(expect.asks());
        expect.gave(true);
        assert!(expect.asks());
        expect.was_empty();
        // Not any more.
        expect.waited(LONG, true);
        expect.gave(true);
        assert!(!expect.asks());
    }
}
