//! System calls that std does not have: network namespaces, process handles, signals.
//!
//! What leaves this file cannot be misused by safe code: descriptors are owned, commands are changed only by calls that a
//! forked child may make, and the signal handler does nothing but store a number.
#![allow(unsafe_code, reason = "the one file with system calls; every block says why it holds")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::time::Duration;

/// The last signal that asked us to stop; 0 = none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

/// Turns C's "-1 and errno" into a result.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Whether we have the rights of root.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The user's number.
#[must_use]
pub fn user() -> u32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::geteuid() }
}

/// The monotonic clock, which all processes of the machine share.
#[must_use]
pub fn monotonic() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` lives during the call, and the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What all threads of a process have run, user and system time together.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let no_process = || io::Error::from_raw_os_error(libc::ESRCH);
    let pid = libc::pid_t::try_from(pid).map_err(|_| no_process())?;
    let mut clock: libc::clockid_t = 0;
    // SAFETY: `clock` lives during the call. It returns an error number, not -1.
    if unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) } != 0 {
        return Err(no_process());
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives during the call.
    checked(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Ok(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// Moves the calling thread into a fresh network namespace and returns a handle to it.
///
/// # Errors
///
/// Without the right to do so (`EPERM`), or where the kernel has no namespaces.
pub fn new_network() -> io::Result<File> {
    // SAFETY: changes the calling thread's network namespace; no memory is involved.
    checked(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    File::open("/proc/thread-self/ns/net")
}

/// Moves the calling thread into a network namespace.
///
/// # Errors
///
/// Without the right to do so, or when `network` is none.
pub fn enter_network(network: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open for the length of the call; no memory is involved.
    checked(unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Makes `command` start in a network namespace, and, if wanted, end with the thread that starts it.
pub fn prepare(command: &mut Command, network: Option<File>, ends_with_us: bool) {
    let parent = std::process::id();
    let in_child = move || {
        if let Some(network) = &network {
            // SAFETY: as in `enter_network`; setns may be called in a forked child.
            checked(unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) })?;
        }
        if ends_with_us {
            // SAFETY: sets a number of the calling process; prctl may be called in a forked child.
            checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
            // SAFETY: takes nothing, cannot fail. When the parent ended before the call above, nobody will tell us.
            if u32::try_from(unsafe { libc::getppid() }) != Ok(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only: it allocates nothing and takes no lock between fork and exec.
    unsafe { command.pre_exec(in_child) };
}

/// Makes `command` inherit no descriptor but its standard input and output, whatever our own caller left open.
pub fn inherit_nothing(command: &mut Command) {
    let in_child = || {
        // Marked, not closed: the channel over which std reports a failed exec is among them.
        let flags = libc::CLOSE_RANGE_CLOEXEC;
        // SAFETY: takes three numbers and changes the child's table of descriptors only; may be called in a forked child.
        let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the closure makes a system call only: it allocates nothing and takes no lock between fork and exec.
    unsafe { command.pre_exec(in_child) };
}

/// A handle to a process, which stays with it even when the number is given away again.
///
/// # Errors
///
/// When there is no such process (`ESRCH`).
pub fn open_process(pid: u32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    // SAFETY: takes two numbers and returns a descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = libc::c_int::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    checked(fd)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process of a handle.
///
/// # Errors
///
/// When it has ended (`ESRCH`), or may not be signalled by us.
pub fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_info = core::ptr::null::<libc::siginfo_t>();
    let fd = process.as_raw_fd();
    // SAFETY: the descriptor is open for the length of the call; a null info is allowed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, no_info, 0) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

extern "C" fn remember(signal: libc::c_int) {
    CAUGHT.store(signal, Relaxed);
}

/// From now on, `SIGINT`, `SIGTERM` and `SIGHUP` are remembered for [`caught`] and end nothing by themselves.
///
/// # Errors
///
/// None in practice: the signals exist and may be caught.
pub fn catch_signals() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: all-zero is a valid sigaction: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        action.sa_sigaction = remember as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: `action` lives during the call, the old one is not asked for, and the handler only stores a number.
        checked(unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) })?;
    }
    Ok(())
}

/// The last signal that asked us to stop.
#[must_use]
pub fn caught() -> Option<i32> {
    Some(CAUGHT.load(Relaxed)).filter(|&signal| signal != 0)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_handle_signals_the_process_it_was_opened_for() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let handle = open_process(child.id()).unwrap();
        send_signal(handle.as_fd(), libc::SIGKILL).unwrap();
        child.wait().unwrap();
        let gone = send_signal(handle.as_fd(), 0).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn a_process_that_works_uses_time_and_one_that_sleeps_does_not() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "while :; do :; done"]);
        let mut busy = busy.stdin(Stdio::null()).spawn().unwrap();
        let mut idle = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while cpu_time(busy.id()).unwrap() < Duration::from_millis(100) {
            assert!(std::time::Instant::now() < deadline, "no time is counted");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(cpu_time(idle.id()).unwrap() < Duration::from_millis(50));
        for child in [&mut busy, &mut idle] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(cpu_time(busy.id()).is_err());
    }

    #[test]
    fn no_process_no_handle() {
        assert!(open_process(u32::MAX).is_err());
    }

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let mut child = std::thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("60").stdin(Stdio::null());
            prepare(&mut command, None, true);
            command.spawn().unwrap()
        })
        .join()
        .unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
