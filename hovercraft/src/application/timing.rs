//! How long executions take, by the clock that the driver reads between commands anyway.

use r2p2::Instant;
use r2p2::service::Service;

use super::Application;
use crate::spans::{Moment, Span, Spans};

/// What the command that was done last had behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Begun {
    /// Nothing that is counted.
    #[default]
    Nothing,
    /// An execution.
    Execution,
    /// One that is answered; since when it was in this node's log.
    Answer(Instant),
}

impl<S: Service> Application<S> {
    /// Counts from now on how long executions take; off before.
    pub fn set_spans(&mut self, spans: Spans) {
        self.spans = spans;
    }

    /// The time after [`Self::handle`], for those who count spans: what ended with the command is counted.
    pub fn handled(&mut self, now: Instant) {
        let begun = core::mem::take(&mut self.begun);
        if matches!(begun, Begun::Nothing) {
            return;
        }
        let (begin, now) = (Moment::of_ns(self.trace.now_ns()), Moment::of(now));
        self.spans.record(Span::Applied, begin, now);
        if let Begun::Answer(logged) = begun {
            self.spans.record(Span::Answered, Moment::of(logged), now);
        }
    }
}
