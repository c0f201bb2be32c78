//! The one thing that a waiting thread asks of libc.

use core::cell::Cell;

thread_local! {
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Has the kernel end the calling thread's sleeps when they are over, not up to 50 microseconds later. Asks once.
pub(super) fn wake_on_time() {
    if !ASKED.replace(true) {
        // SAFETY: no pointer goes in; it concerns this thread's timers only, and cannot fail with these arguments.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
    }
}
