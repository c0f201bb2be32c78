//! Processes that outlive the command that started them: known by number and start time.
//!
//! Invariants:
//! 1. A signal goes only to a process whose start time is the one recorded: a number that was given away again is left
//!    alone. The handle is opened before the check, so the number cannot change hands between check and signal.
//! 2. A process that has ended and was not yet waited for counts as ended.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::ffi;

/// A process for good: the kernel gives no two processes of one boot the same pair.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

impl Identity {
    /// The process that has this number now.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, start) = state_and_start(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pid, start })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let found = state_and_start(&stat);
        found.is_some_and(|(state, start)| start == self.start && !matches!(state, 'Z' | 'X'))
    }

    /// Sends a signal; false when the process has ended already.
    ///
    /// # Errors
    ///
    /// When it may not be signalled by us.
    pub fn signal(&self, signal: i32) -> io::Result<bool> {
        let ended = |error: io::Error| {
            if error.raw_os_error() == Some(libc::ESRCH) { Ok(false) } else { Err(error) }
        };
        let handle = match ffi::open_process(self.pid) {
            Ok(handle) => handle,
            Err(error) => return ended(error),
        };
        if !self.is_alive() {
            return Ok(false);
        }
        ffi::send_signal(handle.as_fd(), signal).map(|()| true).or_else(ended)
    }
}

/// Waits until all have ended; those that have not after `patience`.
#[must_use]
pub fn wait_for_end(processes: &[Identity], patience: Duration) -> Vec<Identity> {
    let deadline = Instant::now() + patience;
    loop {
        let alive: Vec<Identity> = processes.iter().copied().filter(Identity::is_alive).collect();
        if alive.is_empty() || Instant::now() >= deadline {
            return alive;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks all to end, then makes them. Those that could not be ended are returned.
#[must_use]
pub fn end_all(processes: &[Identity], patience: Duration) -> Vec<Identity> {
    let each = |processes: &[Identity], signal| {
        for process in processes {
            // Who may not be signalled is found alive below.
            let _ = process.signal(signal);
        }
    };
    if !patience.is_zero() {
        each(processes, libc::SIGTERM);
    }
    let alive = wait_for_end(processes, patience);
    each(&alive, libc::SIGKILL);
    wait_for_end(&alive, Duration::from_secs(5))
}

/// Processes that were started with `variable=value` in their environment.
///
/// # Errors
///
/// When there is no /proc.
pub fn find_by_environment(variable: &str, value: &Path) -> io::Result<Vec<Identity>> {
    let mut wanted = format!("{variable}=").into_bytes();
    wanted.extend_from_slice(value.as_os_str().as_encoded_bytes());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Processes come and go, and others' environments are not ours to read.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        if pid != std::process::id()
            && environment.split(|&byte| byte == 0).any(|pair| pair == wanted)
        {
            found.extend(Identity::of(pid));
        }
    }
    Ok(found)
}

/// Name of this boot: process numbers and start times mean nothing in another.
#[must_use]
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// State and start time out of /proc/PID/stat; the name in parentheses may hold anything.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let after_name = stat.get(stat.rfind(')')? + 1..)?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn sleeper() -> (Child, Identity) {
        let mut command = Command::new("sleep");
        let child =
            command.arg("60").env("HC_TEST_MARK", "/x y").stdin(Stdio::null()).spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        (child, identity)
    }

    #[test]
    fn a_name_with_parentheses_is_no_obstacle() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(state_and_start(stat), Some(('S', 777)));
        assert_eq!(state_and_start("7 (a"), None);
        assert_eq!(state_and_start(""), None);
    }

    #[test]
    fn a_number_given_away_is_left_alone() {
        let (mut child, identity) = sleeper();
        let other = Identity { start: identity.start + 1, ..identity };
        assert!(!other.is_alive());
        assert!(!other.signal(libc::SIGKILL).unwrap());
        assert!(identity.is_alive(), "a signal meant for another process ended this one");
        assert!(identity.signal(libc::SIGKILL).unwrap());
        child.wait().unwrap();
        assert!(!identity.signal(libc::SIGKILL).unwrap());
    }

    #[test]
    fn who_ended_and_was_not_waited_for_has_ended() {
        let (mut child, identity) = sleeper();
        child.kill().unwrap();
        assert_eq!(wait_for_end(&[identity], Duration::from_secs(5)), []);
        child.wait().unwrap();
    }

    #[test]
    fn who_does_not_listen_is_made_to_end() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0_u8; 6];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert_eq!(end_all(&[identity], Duration::from_millis(200)), []);
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn processes_are_found_by_what_they_were_started_with() {
        let (mut child, identity) = sleeper();
        // A process that is just beginning its program has no environment for a moment.
        let deadline = Instant::now() + Duration::from_secs(5);
        let found = || find_by_environment("HC_TEST_MARK", Path::new("/x y")).unwrap();
        while !found().contains(&identity) {
            assert!(Instant::now() < deadline, "not found");
        }
        assert!(find_by_environment("HC_TEST_MARK", Path::new("/x")).unwrap().is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
