//! The scenes, each a few steps of two threads.

use core::time::Duration;
use std::sync::Arc;

use hovercraft::command::Completion;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::ids::{LogIndex, NodeId};

use crate::net::{asked, neighbours};
use crate::node::link::{Shared, mailbox};
use crate::sync::{AtomicBool, Ordering};
use crate::trace::{Phase, Trace};
use crate::waker::state::State;

/// A scene by its name.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// The algorithm.
    pub name: &'static str,
    /// Plays it in every order, and says how many these are; panics at a broken promise.
    pub play: fn() -> u64,
}

/// All of them.
pub const SCENES: &[Scene] = &[
    Scene { name: "neighbours", play: neighbours },
    Scene { name: "asked", play: asked },
    Scene { name: "trace", play: trace },
    Scene { name: "completion", play: completion },
    Scene { name: "mailbox", play: one_mailbox },
    Scene { name: "waker", play: waker },
];

/// Every order of steps with at most so many changes of thread against the running one's will.
pub(crate) fn model(preemptions: Option<usize>, scene: impl Fn() + Send + Sync + 'static) -> u64 {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    let played = Arc::new(core::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&played);
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        scene();
    });
    // A scene of which one order is played proves nothing.
    let played = played.load(Ordering::Relaxed);
    assert!(played > 3, "{played} orders");
    played
}

/// A ring of one place, written over while it is read: an event is one that was written, whole.
fn trace() -> u64 {
    model(Some(1), || {
        let mut trace = Trace::new(1, NodeId::default(), 0);
        let Some(reader) = trace.reader() else { return };
        let id = |n: u8| {
            let client = ClientAddress { ip: [n; 16], port: u16::from(n) };
            RequestId { session: u64::from(n), number: u64::from(n), client }
        };
        let reading = thread::spawn(move || {
            for event in reader.read() {
                let n = u8::try_from(event.sequence).unwrap_or_default();
                assert_eq!((event.id, event.index), (id(n), u64::from(n)));
                assert_eq!(event.at_ns, u64::from(n));
            }
        });
        for n in 1..=2_u8 {
            trace.at(Duration::from_nanos(n.into()));
            trace.record(Phase::Received, LogIndex::from_wire(n.into()), &id(n));
        }
        assert!(reading.join().is_ok());
    })
}

/// Commands that are seen taken have been applied, and a stop is seen with them.
fn completion() -> u64 {
    model(Some(3), || {
        let shared = Arc::new(Shared::default());
        let network = Arc::clone(&shared);
        let reading = thread::spawn(move || {
            let mut seen = 0;
            for _ in 0..2 {
                let Some(done) = network.completion(&mut seen) else { continue };
                let applied = done.applied.to_wire();
                assert!(applied >= seen, "{seen} commands taken, {applied} applied");
                assert!(done.stopped || seen < 2, "2 commands taken, and no stop");
            }
            seen
        });
        for n in 1..=2 {
            let applied = LogIndex::from_wire(n);
            shared.report(Completion { commands: 1, applied, stopped: n == 2 });
        }
        let Ok(mut seen) = reading.join() else { unreachable!("a panic ends the model") };
        shared.completion(&mut seen);
        assert_eq!(seen, 2);
    })
}

/// Two askers and a thread that looks twice, the second time when both have asked: no question is left lying.
fn one_mailbox() -> u64 {
    model(Some(3), || {
        let (asks, mailbox) = mailbox(None);
        let others = asks.clone();
        let asking = thread::spawn(move || assert!(others.put(1)));
        assert!(asks.put(2));
        let mut sum = 0;
        mailbox.take(|question| sum += question);
        assert!(asking.join().is_ok());
        mailbox.take(|question| sum += question);
        assert_eq!(sum, 3, "a question was left lying");
    })
}

/// A thread that sleeps until something is handed over: a lost wake is a sleep without end, which loom tells.
fn waker() -> u64 {
    model(None, || {
        let shared = Arc::new((State::awake(), AtomicBool::new(false)));
        // Stands for the counter in the kernel.
        let counter = Arc::new((Mutex::new(false), Condvar::new()));
        let (others, raised) = (Arc::clone(&shared), Arc::clone(&counter));
        let waking = thread::spawn(move || {
            let (state, handed_over) = &*others;
            handed_over.store(true, Ordering::Relaxed);
            if state.wakes()
                && let Ok(mut is_raised) = raised.0.lock()
            {
                *is_raised = true;
                raised.1.notify_one();
            }
        });
        let (state, handed_over) = &*shared;
        while !handed_over.load(Ordering::Relaxed) {
            if state.sleeps() {
                let Ok(mut is_raised) = counter.0.lock() else { return };
                while !*is_raised {
                    let Ok(again) = counter.1.wait(is_raised) else { return };
                    is_raised = again;
                }
                *is_raised = false;
                state.is_awake();
                assert!(handed_over.load(Ordering::Relaxed), "woken, and nothing is to be seen");
            } else {
                assert!(handed_over.load(Ordering::Relaxed), "woken, and nothing is to be seen");
            }
        }
        assert!(waking.join().is_ok());
    })
}
