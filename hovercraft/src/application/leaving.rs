//! Long answers to plain clients: none of their packets leaves too late (design HC3c).
//!
//! A long answer leaves in bursts with gaps, after others that came before it. What was in time when it was executed may be too late
//! when its turn comes, so it is looked at again then.

use core::net::SocketAddr;

use r2p2::Instant;
use r2p2::fragment::Form;
use r2p2::pacing::LongSends;

/// Until when an answer may leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Until {
    /// By own time.
    pub own: Instant,
    /// By log time, in microseconds.
    pub log_us: u64,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    form: Form,
    to: SocketAddr,
    until: Until,
}

/// The long answers to plain clients of which packets are still to be sent; as many as are paced, at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaving {
    answers: Vec<Answer>,
}

impl Leaving {
    /// One more, in place of an earlier one under its id.
    pub(super) fn add(&mut self, form: Form, to: SocketAddr, until: Until) {
        self.answers.retain(|answer| (answer.form, answer.to) != (form, to));
        self.answers.push(Answer { form, to, until });
    }

    /// Gives up what is too late now; how many that were.
    pub(super) fn stop_late(&mut self, now: Instant, heard_us: u64, long: &mut LongSends) -> u64 {
        let mut late = 0;
        self.answers.retain(|Answer { form, to, until }| {
            let sending = long.is_sending(form, *to);
            let is_late = now > until.own || heard_us > until.log_us;
            if sending && is_late {
                long.forget(form, *to);
                late += 1;
            }
            sending && !is_late
        });
        late
    }
}
