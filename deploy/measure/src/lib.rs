//! What benchmarks and guards measure with: the CPU clock of a thread, and instruction counts by callgrind.
//!
//! Times compare only within one run on a shared machine; instruction counts of code that runs in one thread are the same
//! to within a few on every run, so that tests can hold bounds on them.
//!
//! ```no_run
//! use std::path::Path;
//!
//! let program = Path::new("target/release/some-program");
//! let run = |length: &str| measure::callgrind::instructions(program, &["--length", length], None);
//! let per_step = run("3000")?.minus(&run("1000")?).total / 2000; // without what setting up costs
//! # Ok::<(), measure::callgrind::Error>(())
//! ```
#![deny(unsafe_code)]

pub mod callgrind;
#[allow(unsafe_code, reason = "the one door to libc; see its header")]
mod ffi;

use std::time::Duration;

/// CPU time that the calling thread has used, user and system. One system call; works under valgrind, too.
#[must_use]
pub fn thread_cpu() -> Duration {
    ffi::thread_cpu()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works until this thread has used `time` more.
    fn work_for(time: Duration) {
        let until = thread_cpu() + time;
        while thread_cpu() < until {
            std::hint::black_box(until);
        }
    }

    #[test]
    fn a_thread_is_charged_for_its_own_work_only() {
        let before = thread_cpu();
        work_for(Duration::from_millis(20));
        let worked = thread_cpu();
        assert!(worked >= before + Duration::from_millis(20));
        let other = std::thread::spawn(|| {
            work_for(Duration::from_millis(200));
            thread_cpu()
        });
        assert!(other.join().unwrap() >= Duration::from_millis(200));
        // This thread slept meanwhile.
        assert!(thread_cpu() < worked + Duration::from_millis(100));
    }
}
