//! What the threads of a node share: a ring of commands, numbers that one thread writes and others read, and mailboxes.
//!
//! ```text
//!                 commands (ring) ──►
//!   network half                       application half
//!                 ◄── Progress
//!        ▲        HeardTime ──►              ▲
//!        └── mailbox ── admin, control ── mailbox ──┘
//! ```
//!
//! Invariants:
//! - L1. Each shared number has one writer; nobody locks, and a look at an empty mailbox is one relaxed load.
//! - L2. The ring has room for every command that the replica may have under way (`commands_max`).
//! - L3. Who is asked through a mailbox never waits for the asker: answers go into channels with room for them.

use std::sync::Arc;

use crossbeam::utils::CachePadded;
use dataplane::udp::Waker;
use hovercraft::command::Completion;
use raft_core::ids::LogIndex;

use crate::sync::channel::{self, Receiver, Sender};
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Questions that may wait in one mailbox.
const MAILBOX: usize = 16;

/// What the two halves tell each other besides commands.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    progress: CachePadded<Progress>,
    heard: CachePadded<AtomicU64>,
}

/// Written by the application half alone.
#[derive(Debug, Default)]
struct Progress {
    /// Commands taken from the ring, in all.
    taken: AtomicU64,
    applied: AtomicU64,
    stopped: AtomicBool,
}

impl Shared {
    /// The application half did this.
    pub(crate) fn report(&self, completion: Completion) {
        let Progress { taken, applied, stopped } = &*self.progress;
        let total = taken.load(Ordering::Relaxed) + u64::from(completion.commands);
        applied.store(completion.applied.to_wire(), Ordering::Relaxed);
        stopped.store(completion.stopped, Ordering::Relaxed);
        // Last, and released: whoever sees the commands taken sees what became of them.
        taken.store(total, Ordering::Release);
    }

    /// What the application half did since `taken` commands were taken; moves `taken` on. `None` when nothing.
    pub(crate) fn completion(&self, seen: &mut u64) -> Option<Completion> {
        let Progress { taken, applied, stopped } = &*self.progress;
        let total = taken.load(Ordering::Acquire);
        let commands = u32::try_from(total - *seen).unwrap_or(u32::MAX);
        if commands == 0 {
            return None;
        }
        *seen += u64::from(commands);
        Some(Completion {
            commands,
            applied: LogIndex::from_wire(applied.load(Ordering::Relaxed)),
            stopped: stopped.load(Ordering::Relaxed),
        })
    }

    /// The network half has heard this log time.
    pub(crate) fn hear(&self, log_time_us: u64) {
        self.heard.store(log_time_us, Ordering::Relaxed);
    }

    /// The highest log time that the network half has heard, in microseconds.
    pub(crate) fn heard_us(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether a panic ended the service.
    pub(crate) fn is_stopped(&self) -> bool {
        self.progress.stopped.load(Ordering::Relaxed)
    }
}

/// Where questions for a thread are put.
#[derive(Debug)]
pub(crate) struct Asks<T> {
    filled: Arc<CachePadded<AtomicBool>>,
    questions: Sender<T>,
    waker: Option<Waker>,
}

/// The other end, looked at once per turn.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    filled: Arc<CachePadded<AtomicBool>>,
    questions: Receiver<T>,
}

/// A mailbox for a thread that `waker` wakes.
pub(crate) fn mailbox<T>(waker: Option<Waker>) -> (Asks<T>, Mailbox<T>) {
    let filled = Arc::new(CachePadded::new(AtomicBool::new(false)));
    let (sender, receiver) = channel::bounded(MAILBOX);
    let asks = Asks { filled: Arc::clone(&filled), questions: sender, waker };
    (asks, Mailbox { filled, questions: receiver })
}

impl<T> Asks<T> {
    /// Puts a question in; false when too many wait, or the thread is gone.
    pub(crate) fn put(&self, question: T) -> bool {
        let put = self.questions.try_send(question).is_ok();
        self.filled.store(true, Ordering::Release);
        if let Some(waker) = &self.waker {
            waker.wake();
        }
        put
    }
}

impl<T> Clone for Asks<T> {
    fn clone(&self) -> Self {
        let filled = Arc::clone(&self.filled);
        Self { filled, questions: self.questions.clone(), waker: self.waker.clone() }
    }
}

impl<T> Mailbox<T> {
    /// Hands every question to `answer`; returns how many.
    pub(crate) fn take(&self, mut answer: impl FnMut(T)) -> usize {
        // A question put in after the exchange sets the flag again.
        if !self.filled.load(Ordering::Relaxed) || !self.filled.swap(false, Ordering::AcqRel) {
            return 0;
        }
        self.questions.try_iter().map(&mut answer).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(commands: u32, applied: u64, stopped: bool) -> Completion {
        Completion { commands, applied: LogIndex::from_wire(applied), stopped }
    }

    #[test]
    fn what_was_done_in_between_is_reported_once() {
        let (shared, mut seen) = (Shared::default(), 0);
        assert_eq!(shared.completion(&mut seen), None);
        shared.report(completion(2, 7, false));
        shared.report(completion(1, 8, true));
        assert_eq!(shared.completion(&mut seen), Some(completion(3, 8, true)));
        assert_eq!(shared.completion(&mut seen), None);
        assert!(shared.is_stopped());
    }

    #[test]
    fn no_question_is_lost_between_two_threads() {
        const QUESTIONS: u32 = 20_000;
        let (asks, mailbox) = mailbox(None);
        let asker = std::thread::spawn(move || {
            for question in 0..QUESTIONS {
                while !asks.put(question) {
                    std::thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < QUESTIONS {
            let taken = mailbox.take(|question| {
                assert_eq!(question, next);
                next += 1;
            });
            if taken == 0 {
                std::thread::yield_now();
            }
        }
        asker.join().unwrap();
        assert_eq!(mailbox.take(|_| ()), 0);
    }

    #[test]
    fn a_full_mailbox_refuses() {
        let (asks, mailbox) = mailbox(None);
        let put = (0..100).filter(|&question| asks.put(question)).count();
        assert_eq!((put, mailbox.take(|_| ())), (MAILBOX, MAILBOX));
        drop(mailbox);
        assert!(!asks.put(0));
    }
}
