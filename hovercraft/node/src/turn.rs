//! Running the halves on threads: turns, and what happens between them (design, section 5).
//!
//! `threads: split` gives each half a thread; `threads: inline` lets one thread take their turns one after the other,
//! over the same ring. An empty turn is followed by what `idle` says: poll again, let others run, or wait for a packet.

use core::time::Duration;
use std::thread;

use dataplane::backend::{Instant, Queue};
use hovercraft_config::Idle;
use r2p2::service::Service;

use crate::application::ApplicationHalf;
use crate::network::Network;

/// How a turn went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// The clock at its begin.
    pub(crate) now: Instant,
    /// It found something to do.
    pub(crate) busy: bool,
    /// The thread is to end.
    pub(crate) stop: bool,
}

/// The longest sleep between two turns (HC8).
pub(crate) fn longest_sleep(plain_window: Duration) -> Duration {
    plain_window / 20
}

/// What an empty turn does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idling {
    policy: Idle,
    /// The longest sleep.
    longest: Duration,
}

impl Idling {
    /// By the policy, which is not [`Idle::Auto`] any more; a sleeping loop wakes at least every twentieth of the plain window (HC8).
    pub(crate) fn new(policy: Idle, plain_window: Duration) -> Self {
        Self { policy, longest: longest_sleep(plain_window) }
    }

    /// After an empty turn. `wait` sleeps on what the thread waits for.
    fn pause(self, turn: Turn, deadline: Instant, wait: impl FnOnce(Duration)) {
        match self.policy {
            Idle::Spin => core::hint::spin_loop(),
            Idle::Yield | Idle::Auto => thread::yield_now(),
            Idle::Sleep => {
                let until = deadline.saturating_sub(turn.now).min(self.longest);
                if until > Duration::ZERO {
                    wait(until);
                }
            }
        }
    }
}

/// `threads: split`, the network's thread.
pub(crate) fn run_network<Q: Queue>(mut network: Network<Q>, idling: Idling) {
    loop {
        let turn = network.turn();
        if turn.stop {
            return;
        }
        if !turn.busy {
            let deadline = network.deadline();
            idling.pause(turn, deadline, |time| network.wait(time));
        }
    }
}

/// `threads: split`, the application's thread.
pub(crate) fn run_application<S: Service, Q: Queue>(
    mut application: ApplicationHalf<S, Q>,
    idling: Idling,
) {
    loop {
        let turn = application.turn();
        if turn.stop {
            return;
        }
        if !turn.busy {
            let deadline = application.deadline();
            idling.pause(turn, deadline, |time| application.wait(time));
        }
    }
}

/// `threads: inline`: ends when either half is told to.
pub(crate) fn run_inline<S: Service, Q: Queue>(
    mut network: Network<Q>,
    mut application: ApplicationHalf<S, Q>,
    idling: Idling,
) {
    loop {
        let (first, second) = (network.turn(), application.turn());
        if first.stop || second.stop {
            return;
        }
        if !first.busy && !second.busy {
            let deadline = network.deadline().min(application.deadline());
            idling.pause(first, deadline, |time| {
                application.before_sleep();
                network.wait(time);
            });
        }
    }
}
