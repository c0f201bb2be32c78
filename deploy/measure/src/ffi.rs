//! The one door to libc: reading a clock. By libc and not by a crate that looks into the vDSO itself, which is not there
//! under valgrind.

use std::mem::MaybeUninit;
use std::time::Duration;

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let mut spent = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is to a `timespec` of ours, which the call writes or leaves alone.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, spent.as_mut_ptr()) };
    assert_eq!(status, 0, "Linux has the CPU clock of the own thread");
    // SAFETY: the call has succeeded, so it has written both fields.
    let spent = unsafe { spent.assume_init() };
    let seconds = u64::try_from(spent.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(spent.tv_nsec).unwrap_or(0))
}
