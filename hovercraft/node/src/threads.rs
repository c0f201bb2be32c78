//! The threads that must not wait: which core each has, and what it does when a turn was empty (design, section 5).
//!
//! `idle: auto` is decided here, per thread: to poll without pause pays on a core of one's own, and where another thread
//! wants the core, too, it costs that thread, or a sibling node, a whole slice of the scheduler.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};

use crossbeam::channel::Sender;
use hovercraft_config::Idle;

use crate::ffi;

/// Where the kernel lists the cores that its scheduler leaves alone (`isolcpus`).
const ISOLATED: &str = "/sys/devices/system/cpu/isolated";

/// A thread that has started: what it was given and what it made of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Started {
    /// Its name, as `top -H` shows it.
    pub thread: &'static str,
    /// The core that it is pinned to.
    pub core: Option<usize>,
    /// What an empty turn does; never [`Idle::Auto`].
    pub idle: Idle,
}

/// A core that cannot be had.
pub(crate) type Refused = (usize, io::Error);

/// Starts a thread, pinned to `core` if there is one, and reports on `started` how that went.
///
/// # Errors
///
/// What the system says of the thread itself.
pub(crate) fn spawn(
    wanted: Started,
    started: Sender<Result<Started, Refused>>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(wanted.thread.to_owned()).spawn(move || {
        let pinned = wanted.core.map(|core| ffi::pin_to(core).map_err(|cause| (core, cause)));
        let refused = pinned.and_then(Result::err);
        let goes_on = refused.is_none();
        // Somebody waits for it, with room.
        let _ = started.send(refused.map_or(Ok(wanted), Err));
        if goes_on {
            body();
        }
    })
}

/// What the thread on `core` does after an empty turn, `others` being the cores of the node's other threads.
pub(crate) fn idle(policy: Idle, core: Option<usize>, others: &[usize]) -> Idle {
    match policy {
        Idle::Auto => choose(core, others, &isolated(Path::new(ISOLATED))),
        told => told,
    }
}

/// Spins on a core of one's own alone: pinned, no other thread of ours there, and none of anybody else's.
fn choose(core: Option<usize>, others: &[usize], isolated: &BTreeSet<usize>) -> Idle {
    match core {
        Some(core) if isolated.contains(&core) && !others.contains(&core) => Idle::Spin,
        _ => Idle::Yield,
    }
}

/// The cores of a list in a file of the kernel; none when there is no such file, or no such list in it.
fn isolated(file: &Path) -> BTreeSet<usize> {
    fs::read_to_string(file).ok().and_then(|text| parse_cores(&text)).unwrap_or_default()
}

/// A list of cores as the kernel writes and takes them: `0-3,8`. `None` when it is none.
pub(crate) fn parse_cores(list: &str) -> Option<BTreeSet<usize>> {
    let list = list.trim();
    if list.is_empty() {
        return Some(BTreeSet::new());
    }
    let mut cores = BTreeSet::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= ffi::CORES_MAX {
            return None;
        }
        cores.extend(first..=last);
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn lists_of_cores_are_read() {
        let cores = |list| parse_cores(list).map(|cores| cores.into_iter().collect::<Vec<_>>());
        assert_eq!(cores("\n"), Some(vec![]));
        assert_eq!(cores("2\n"), Some(vec![2]));
        assert_eq!(cores("0-2,5,1"), Some(vec![0, 1, 2, 5]));
        for wrong in ["3-1", "a", "1,", "1-", "-1", "0-18446744073709551615"] {
            assert_eq!(cores(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn auto_spins_on_a_core_of_ones_own_only() {
        let isolated = BTreeSet::from([2, 3]);
        assert_eq!(choose(Some(2), &[3], &isolated), Idle::Spin);
        assert_eq!(choose(Some(2), &[2], &isolated), Idle::Yield, "shared with our own");
        assert_eq!(choose(Some(1), &[3], &isolated), Idle::Yield, "shared with everybody");
        assert_eq!(choose(None, &[], &isolated), Idle::Yield, "on any core");
        assert_eq!(idle(Idle::Sleep, Some(2), &[]), Idle::Sleep, "told so");
        assert_ne!(idle(Idle::Auto, None, &[]), Idle::Auto);
    }

    #[test]
    fn a_kernel_that_says_nothing_isolates_nothing() {
        let scratch = Scratch::new("isolated");
        assert_eq!(isolated(&scratch.file("isolated", "1,3\n")), BTreeSet::from([1, 3]));
        assert_eq!(isolated(&scratch.file("isolated", "what\n")), BTreeSet::new());
        assert_eq!(isolated(&scratch.0.join("none")), BTreeSet::new());
    }
}
