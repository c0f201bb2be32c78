//! What a waking and a sleeping thread agree by (W1, W2 of [`super`]): one byte, changed by exchanges alone.

use crate::sync::{AtomicU8, Ordering};

/// The thread does something, and nobody has woken it since it last looked.
const AWAKE: u8 = 0;
/// It sleeps, or is about to.
const ASLEEP: u8 = 1;
/// It was woken, and has not looked yet.
const WOKEN: u8 = 2;

/// The state of one thread.
#[derive(Debug)]
pub(crate) struct State(AtomicU8);

impl State {
    /// Of a thread that does something.
    pub(crate) fn awake() -> Self {
        Self(AtomicU8::new(AWAKE))
    }

    /// Somebody wakes it; true when it sleeps, and the kernel must be asked.
    pub(crate) fn wakes(&self) -> bool {
        // What was handed over before is seen by whoever reads this exchange.
        self.0.swap(WOKEN, Ordering::AcqRel) == ASLEEP
    }

    /// It is about to sleep. False when it was woken already: it must look first, and is awake.
    pub(crate) fn sleeps(&self) -> bool {
        let sleeps = self.0.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        if sleeps.is_err() {
            self.is_awake();
        }
        sleeps.is_ok()
    }

    /// It has slept, or will not, and looks at all that was handed over before.
    pub(crate) fn is_awake(&self) {
        self.0.swap(AWAKE, Ordering::AcqRel);
    }
}
