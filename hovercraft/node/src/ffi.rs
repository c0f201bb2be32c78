//! The only file that calls libc: cores and signals, which the standard library does not offer.
//!
//! Rules of this file: C structs are built for one call, on the stack; no pointer is kept.

use core::mem::zeroed;
use core::ptr::null_mut;
use core::time::Duration;
use std::io;

/// Cores that a set of the kernel's has places for.
pub(crate) const CORES_MAX: usize = 8 * size_of::<libc::cpu_set_t>();

/// Keeps the calling thread on one core.
///
/// # Errors
///
/// What the system says: no such core, or not one that this process may use.
pub(crate) fn pin_to(core: usize) -> io::Result<()> {
    if core >= CORES_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: a set of cores is an array of integers: all zero is the empty set. `core` is below the set's size.
    let set = unsafe {
        let mut set = zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(core, &mut set);
        set
    };
    // SAFETY: thread 0 is the calling one; `set` lives through the call and has the size that we say.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The signals that end a node: `SIGTERM` and `SIGINT`, blocked and taken one by one.
#[derive(Clone, Copy)]
pub(crate) struct EndSignals(libc::sigset_t);

impl EndSignals {
    /// Blocks them in the calling thread and in all threads that it starts from now on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn block() -> io::Result<Self> {
        // SAFETY: a set of signals is an array of integers; `sigemptyset` makes it valid, both signals exist.
        let set = unsafe {
            let mut set = zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            set
        };
        // SAFETY: `set` lives through the call; the old mask is not asked for.
        let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, null_mut()) };
        if result == 0 { Ok(Self(set)) } else { Err(io::Error::from_raw_os_error(result)) }
    }

    /// Waits for one of them: whether one came in time.
    pub(crate) fn wait(&self, for_at_most: Duration) -> bool {
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(for_at_most.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: for_at_most.subsec_nanos().into(),
        };
        // SAFETY: set and time live through the call; nothing is told about the signal but its number.
        let signal =
            unsafe { libc::sigtimedwait(&raw const self.0, null_mut(), &raw const timeout) };
        signal > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_on_its_core_and_a_core_that_is_not_there_is_refused() {
        std::thread::spawn(|| {
            pin_to(0).unwrap();
            assert_eq!(std::thread::available_parallelism().unwrap().get(), 1);
            assert!(pin_to(1_023).is_err());
            assert!(pin_to(usize::MAX).is_err());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_blocked_signal_is_taken_once() {
        std::thread::spawn(|| {
            let signals = EndSignals::block().unwrap();
            assert!(!signals.wait(Duration::from_millis(1)));
            // SAFETY: raises a signal that this thread has just blocked, in this thread.
            unsafe { libc::raise(libc::SIGTERM) };
            assert!(signals.wait(Duration::from_secs(5)));
            assert!(!signals.wait(Duration::from_millis(1)));
        })
        .join()
        .unwrap();
    }
}
