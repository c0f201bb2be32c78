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
#![forbid(unsafe_code)]

pub mod callgrind;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that the calling thread has used, user and system. One system call.
#[must_use]
pub fn thread_cpu() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(spent.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(spent.tv_nsec).unwrap_or(0))
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
