//! Waking a thread that sleeps on its sockets.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::ffi;

/// Ends the wait of the queue that it came from, the present one or the next.
///
/// Hand over first, then wake; the woken thread looks at what was handed over after its wait. Between two waits only
/// the first call makes a system call, so waking a thread that spins costs one atomic exchange.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    counter: OwnedFd,
    /// Raised and not yet seen by the waiting thread.
    raised: AtomicBool,
}

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let counter = ffi::event_counter()?;
        Ok(Self(Arc::new(Shared { counter, raised: AtomicBool::new(false) })))
    }

    /// Wakes.
    pub fn wake(&self) {
        if !self.0.raised.swap(true, Ordering::AcqRel) {
            ffi::raise(self.0.counter.as_fd());
        }
    }

    /// What the waiting thread polls.
    pub(super) fn counter(&self) -> BorrowedFd<'_> {
        self.0.counter.as_fd()
    }

    /// The waiting thread is awake, and will look at all that was handed over before this call.
    pub(super) fn seen(&self) {
        // In this order: whoever wakes between the two lines writes nothing, but has handed over already, and the
        // exchange makes that visible here; whoever wakes after them writes again.
        ffi::lower(self.0.counter.as_fd());
        self.0.raised.swap(false, Ordering::AcqRel);
    }
}
