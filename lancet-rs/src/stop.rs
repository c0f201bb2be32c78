//! An early end of a run: asked for by a signal, seen by every thread at its next turn.
//!
//! Invariants:
//! - E1. Asking makes no thread stop dead: each sends no more, waits for what is under way, and hands in its measures.
//! - E2. Whoever asks twice does not want to wait: a second signal ends the process as if nobody caught it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether to stop, shared by all threads of a run.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// The signal; 0 = none.
    asked: Arc<AtomicUsize>,
    by_signals: bool,
}

impl Stop {
    /// Asked for by nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asked for by a `SIGINT`, `SIGTERM` or `SIGHUP` that comes while the run goes on (E2).
    #[must_use]
    pub fn on_signals() -> Self {
        Self { by_signals: true, ..Self::default() }
    }

    /// The run begins: from now on signals mean us. Until then they end the process, for there is nothing to report.
    ///
    /// # Errors
    ///
    /// When the system lets us catch no signals.
    pub fn arm(&self) -> io::Result<()> {
        if !self.by_signals {
            return Ok(());
        }
        let armed = Arc::new(AtomicBool::new(false));
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15), (SIGHUP, 1)] {
            // In the order in which they act: the first signal finds the switch open, and closes it.
            flag::register_conditional_default(signal, Arc::clone(&armed))?;
            flag::register(signal, Arc::clone(&armed))?;
            flag::register_usize(signal, Arc::clone(&self.asked), number)?;
        }
        Ok(())
    }

    /// Asks for the end, as this signal would.
    pub fn ask(&self, signal: u8) {
        self.asked.store(signal.into(), Relaxed);
    }

    /// The signal that asked.
    #[must_use]
    pub fn asked(&self) -> Option<u8> {
        u8::try_from(self.asked.load(Relaxed)).ok().filter(|&signal| signal != 0)
    }
}
