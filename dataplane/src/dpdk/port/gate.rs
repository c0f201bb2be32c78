//! Keeps queues out of a port while it is stopped, removed or brought back, without a lock on their side.
//!
//! Invariants:
//! - G1. Between [`Visitor::enter`] and the drop of [`Inside`], [`Gate::shut`] does not return.
//! - G2. After [`Gate::shut`] nobody enters before [`Gate::open`].
//! - G3. An entry costs one exchange on a cache line of the visitor's own, and one load.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// No port: the gate is shut.
const SHUT: u32 = u32::MAX;

/// Where all queues of a port go through.
#[derive(Debug)]
pub(super) struct Gate {
    /// The port's number, or [`SHUT`].
    port: AtomicU32,
    visitors: Mutex<Vec<Arc<Presence>>>,
}

/// Whether a visitor is inside; on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Presence(AtomicBool);

/// One queue's pass.
#[derive(Debug)]
pub(super) struct Visitor {
    gate: Arc<Gate>,
    present: Arc<Presence>,
}

/// The port may be used until this is dropped.
pub(super) struct Inside<'a> {
    present: &'a Presence,
    port: u16,
}

impl Gate {
    pub(super) fn new(port: u16) -> Arc<Self> {
        Arc::new(Self { port: AtomicU32::new(port.into()), visitors: Mutex::default() })
    }

    pub(super) fn visitor(gate: &Arc<Self>) -> Visitor {
        let present = Arc::new(Presence::default());
        gate.visitors().push(Arc::clone(&present));
        Visitor { gate: Arc::clone(gate), present }
    }

    /// The port's number, or none while the gate is shut.
    pub(super) fn port(&self) -> Option<u16> {
        u16::try_from(self.port.load(Ordering::Acquire)).ok()
    }

    /// Lets nobody in any more, and waits until the last one is out; gives the port's number, if it was open.
    pub(super) fn shut(&self) -> Option<u16> {
        // In one order with the visitors' stores: either they see the gate shut, or we see them inside.
        let port = self.port.swap(SHUT, Ordering::SeqCst);
        for visitor in self.visitors().iter() {
            while visitor.0.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
        u16::try_from(port).ok()
    }

    /// Lets all in again, to a port that is started.
    pub(super) fn open(&self, port: u16) {
        self.port.store(port.into(), Ordering::SeqCst);
    }

    fn visitors(&self) -> MutexGuard<'_, Vec<Arc<Presence>>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor {
    /// Goes in, if the gate is open.
    #[inline]
    pub(super) fn enter(&mut self) -> Option<Inside<'_>> {
        self.present.0.store(true, Ordering::SeqCst);
        // Dropped, and so out again, where the gate is shut.
        let mut inside = Inside { present: &self.present, port: 0 };
        inside.port = u16::try_from(self.gate.port.load(Ordering::SeqCst)).ok()?;
        Some(inside)
    }
}

impl Inside<'_> {
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.present.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g2_nobody_enters_a_shut_gate() {
        let gate = Gate::new(3);
        let mut visitor = Gate::visitor(&gate);
        assert_eq!(visitor.enter().map(|inside| inside.port()), Some(3));
        assert_eq!((gate.shut(), gate.shut(), gate.port()), (Some(3), None, None));
        assert!(visitor.enter().is_none());
        gate.open(4);
        assert_eq!(visitor.enter().map(|inside| inside.port()), Some(4));
    }

    /// G1: a thread goes in and out; while the gate is shut, it is out.
    #[test]
    fn g1_shut_waits_until_all_are_out() {
        let gate = Gate::new(1);
        let (inside, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (mut visitor, inside, stop) =
                    (Gate::visitor(&gate), Arc::clone(&inside), Arc::clone(&stop));
                std::thread::spawn(move || {
                    let mut entered = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        if let Some(_pass) = visitor.enter() {
                            inside.fetch_add(1, Ordering::Relaxed);
                            (0..500).for_each(|_| core::hint::spin_loop());
                            entered += 1;
                            inside.fetch_sub(1, Ordering::Relaxed);
                        }
                        // Outside, so that it is not stopped inside where processors are few.
                        std::thread::yield_now();
                    }
                    entered
                })
            })
            .collect();
        for _ in 0..3_000 {
            assert_eq!(gate.shut(), Some(1));
            assert_eq!(inside.load(Ordering::Relaxed), 0);
            gate.open(1);
            std::thread::yield_now();
        }
        // Both have been in once at least before the end.
        std::thread::sleep(core::time::Duration::from_millis(20));
        stop.store(true, Ordering::Relaxed);
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() > 0));
    }
}
