//! Waking a thread that sleeps on its sockets.
//!
//! Invariants:
//! - W1. A wake that comes before a sleep or during it ends that sleep: the state is changed by exchanges alone, so one of
//!   the two sides sees the other.
//! - W2. System calls are made for a thread that sleeps, and for no other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::ffi;
use state::State;

mod state;

/// Ends the wait of the queue that it came from, the present one or the next.
///
/// Hand over first, then wake; the woken thread looks at what was handed over after its wait. Waking a thread that does
/// not sleep costs one atomic exchange.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    counter: OwnedFd,
    state: State,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let counter = ffi::event_counter()?;
        Ok(Self(Arc::new(Shared { counter, state: State::awake() })))
    }

    /// Wakes.
    pub fn wake(&self) {
        if self.0.state.wakes() {
            ffi::raise(self.0.counter.as_fd());
        }
    }

    /// Sleeps until it is woken, or for `at_most`; true when the counter is raised.
    #[cfg(feature = "dpdk")]
    pub(crate) fn sleep(&self, at_most: core::time::Duration) -> bool {
        let counter = core::iter::once(self.counter());
        ffi::wait_for(counter, ffi::Readiness::Readable, at_most) == Some(1)
    }

    /// What the waiting thread polls.
    pub(super) fn counter(&self) -> BorrowedFd<'_> {
        self.0.counter.as_fd()
    }

    /// The thread is about to sleep. False when it was woken already: it must look first, and is awake.
    pub(crate) fn sleeps(&self) -> bool {
        self.0.state.sleeps()
    }

    /// The thread has slept, and will look at all that was handed over before this call; `raised` if it found the counter
    /// readable.
    pub(crate) fn is_awake(&self, raised: bool) {
        if raised {
            ffi::lower(self.0.counter.as_fd());
        }
        // Woken by a packet, while somebody has set the state and not yet raised the counter: it ends the next sleep
        // without need, and is lowered then.
        self.0.state.is_awake();
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU64, Ordering};
    use core::time::Duration;
    use std::thread;

    use super::*;
    use crate::udp::ffi::Readiness;

    const ENDLESS: Duration = Duration::from_secs(30);

    /// Whether the counter is readable.
    fn is_raised(waker: &Waker) -> bool {
        let counter = core::iter::once(waker.counter());
        ffi::wait_for(counter, Readiness::Readable, Duration::ZERO) == Some(1)
    }

    #[test]
    fn w2_a_thread_that_does_not_sleep_is_woken_without_the_kernel() {
        let waker = Waker::new().unwrap();
        waker.wake();
        waker.wake();
        assert!(!is_raised(&waker));
        assert!(!waker.sleeps(), "W1: woken before");
        assert!(waker.sleeps());
        waker.wake();
        assert!(is_raised(&waker));
        waker.is_awake(true);
        assert!(!is_raised(&waker));
    }

    #[test]
    fn a_late_raise_ends_one_sleep_more() {
        let waker = Waker::new().unwrap();
        assert!(waker.sleeps());
        waker.wake();
        // It had looked at the counter just before.
        waker.is_awake(false);
        assert!(waker.sleeps() && is_raised(&waker));
        waker.is_awake(true);
        assert!(waker.sleeps() && !is_raised(&waker));
    }

    /// Two threads hand a number to and fro; a lost wake would leave both asleep.
    #[test]
    fn w1_no_wake_is_lost() {
        const TURNS: u64 = 20_000;
        let (mine, yours) = (Waker::new().unwrap(), Waker::new().unwrap());
        let value = AtomicU64::new(0);
        let play = |own: &Waker, other: &Waker, parity: u64| {
            loop {
                let seen = value.load(Ordering::Acquire);
                if seen >= TURNS {
                    other.wake();
                    return;
                }
                if seen % 2 == parity {
                    value.store(seen + 1, Ordering::Release);
                    other.wake();
                    continue;
                }
                if own.sleeps() {
                    let counter = core::iter::once(own.counter());
                    let ready = ffi::wait_for(counter, Readiness::Readable, ENDLESS);
                    assert_ne!(ready, Some(0), "nobody woke it");
                    own.is_awake(ready == Some(1));
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| play(&mine, &yours, 0));
            scope.spawn(|| play(&yours, &mine, 1));
        });
        assert!(value.load(Ordering::Acquire) >= TURNS);
    }
}
