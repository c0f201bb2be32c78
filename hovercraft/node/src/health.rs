//! Whether a node lives, and whether clients are served here: judged from what its threads publish, so that a stuck thread
//! is found out without asking it.

use core::time::Duration;

use dataplane::backend::Instant;
use hovercraft::replica::Role;
use hovercraft_config::Idle;

use crate::board::Board;
use crate::handle::Handle;

/// A thread that begins no turn for so long, over the pauses that it may make, is stuck. An execution of the service that
/// lasts longer counts as that.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// What is wrong.
    pub(crate) trouble: Option<String>,
}

impl Check {
    pub(crate) fn new(name: &'static str, is_good: bool, trouble: impl FnOnce() -> String) -> Self {
        Self { name, trouble: (!is_good).then(trouble) }
    }
}

impl Handle {
    /// Whether its threads turn.
    pub(crate) fn live_checks(&self) -> Vec<Check> {
        let check = |(name, age): (&'static str, Duration)| {
            Check::new(name, age <= self.pause_max() + STUCK_AFTER, || {
                format!("no turn for {:.1} s: stuck, or ended", age.as_secs_f64())
            })
        };
        self.threads().into_iter().map(check).collect()
    }

    /// The threads, and how long ago each began its last turn.
    pub(crate) fn threads(&self) -> Vec<(&'static str, Duration)> {
        let now: Instant = self.plan().udp.clock.now();
        let age = |board: &Board| now.saturating_sub(board.last_beat());
        let (network, application) = (age(&self.boards().network), age(&self.boards().application));
        if self.plan().is_inline() {
            return vec![("inline-thread", network.min(application))];
        }
        vec![("network-thread", network), ("application-thread", application)]
    }

    /// Whether clients are served here: born, caught up, a leader known, room, an application that serves. Tools get the same from
    /// `GET /readyz`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready_checks().iter().all(|check| check.trouble.is_none())
    }

    /// Whether its threads turn, it is in a cluster with a leader, executes what was committed, and takes requests.
    pub(crate) fn ready_checks(&self) -> Vec<Check> {
        let board = self.boards().network.read();
        let get = |name| board.get(name);
        let place = usize::try_from(get("role")).unwrap_or(usize::MAX);
        let role = Role::ALL.get(place).copied().unwrap_or(Role::Joining);
        let alone = role == Role::Alone;
        let behind = get("commit").saturating_sub(get("applied"));
        let in_system_max = self.plan().group.node.resources.in_system_max as u64;
        let mut checks = self.live_checks();
        checks.extend([
            Check::new("born", role != Role::Joining, || {
                "in no cluster yet: it waits for the other members, or for a majority of them"
                    .to_owned()
            }),
            Check::new("member", role != Role::Silent, || {
                "this life of its memory is not a member of the cluster that lives".to_owned()
            }),
            Check::new("leader", alone || get("leader") != 0, || "no leader is known".to_owned()),
            Check::new("caught-up", get("caught_up") != 0 && behind < in_system_max, || {
                format!("has yet to apply {behind} entries that it knows, or has not heard of all")
            }),
            Check::new("service", self.is_serving(), || {
                "a panic of the service ended it: restart this node".to_owned()
            }),
            Check::new("bodies", get("body_lost") == 0, || {
                "nobody has a body that the log names: its log says which".to_owned()
            }),
            Check::new("room", get("overloaded") == 0, || {
                format!("requests are refused: {} of the log are free", get("log_room"))
            }),
        ]);
        checks
    }

    /// The longest pause between turns of a healthy thread.
    fn pause_max(&self) -> Duration {
        let group = &self.plan().group;
        let sleeps = group.node.idle == Idle::Sleep;
        if sleeps { crate::turn::longest_sleep(group.limits.plain_window) } else { Duration::ZERO }
    }
}

/// The lines of a verbose answer, as Kubernetes' components give them, or without `verbose` what failed.
pub(crate) fn report(name: &str, checks: &[Check], verbose: bool) -> (bool, String) {
    let good = checks.iter().all(|check| check.trouble.is_none());
    if good && !verbose {
        return (true, "ok".to_owned());
    }
    let mut lines = Vec::new();
    for Check { name, trouble } in checks {
        match trouble {
            Some(trouble) => lines.push(format!("[-]{name} failed: {trouble}")),
            None if verbose => lines.push(format!("[+]{name} ok")),
            None => {}
        }
    }
    lines.push(format!("{name} check {}", if good { "passed" } else { "failed" }));
    (good, lines.join("\n"))
}

#[cfg(test)]
mod tests;
