//! What one thread measured, and how threads are added up.
//!
//! Invariants:
//! - M1. Every scheduled request ends in exactly one way, so that in every phase
//!   `scheduled = answered + refused + unknown + unsent` (checked by [`Counts::ended`] at the end of each run).
//! - M2. Requests are counted under the phase of their scheduled moment (P1). NACKs and repetitions, which are packets,
//!   are counted under the phase in which they were noticed; acknowledged writes are also kept by the moment of their
//!   answer, because gaps in time are asked of them.

use core::ops::AddAssign;
use core::time::Duration;

use serde::Serialize;

use crate::histogram::Latencies;
use crate::phases::Phases;
use crate::timeline::Timeline;

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ending {
    /// With a reply.
    Answered,
    /// With a refusal that repeating cannot change. Another copy may still have been executed (HC10).
    Refused,
    /// Without a word within the time-out: it may have been executed, or may yet be.
    Unknown,
    /// It was never sent: nobody can have executed it.
    Unsent,
}

/// Counts of requests, and of packets that speak of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Requests that the schedule asked for.
    pub scheduled: u64,
    /// Those that ended with a reply.
    pub answered: u64,
    /// Those that were refused for good.
    pub refused: u64,
    /// Those whose outcome nobody told us.
    pub unknown: u64,
    /// Those that never left.
    pub unsent: u64,
    /// Replies that are not what was asked for.
    pub bad_replies: u64,
    /// Refusals of a packet (HC10): the request was repeated.
    pub nacks: u64,
    /// Times that a request was sent again.
    pub retries: u64,
    /// Writes among the answered ones.
    pub writes: u64,
}

/// What was measured in one phase.
#[derive(Clone, Debug, Default)]
pub struct PhaseMeasures {
    /// How the requests ended.
    pub counts: Counts,
    /// From the scheduled moment to the answer: what a user would have waited.
    pub from_schedule: Latencies,
    /// From the first send to the answer: what the service and the network took.
    pub from_send: Latencies,
    /// From the scheduled moment to the first send: the load generator's own error.
    pub pacing: Latencies,
}

/// What was measured in a run, by one thread or by all.
#[derive(Clone, Debug)]
pub struct Measures {
    /// In the order of the phases.
    pub phases: Vec<PhaseMeasures>,
    /// When writes were acknowledged.
    pub writes: Timeline,
    /// What became of packets.
    pub packets: PacketCounts,
    /// When the run was asked to stop and the last thread did, in nanoseconds since the start; `None` when it went through.
    pub stopped_at: Option<u64>,
}

/// Packets that did not serve. Totals of a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct PacketCounts {
    /// Lost at our sockets, because we did not read them in time.
    pub lost_receiving: u64,
    /// Lost because the system would not send them.
    pub lost_sending: u64,
    /// Answers to requests that had their answer (HC3d).
    pub second_answers: u64,
    /// Others that had no effect: late, not ours, or broken.
    pub ignored: u64,
}

impl Counts {
    /// Requests that ended in one way or another (M1).
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.answered + self.refused + self.unknown + self.unsent
    }
}

impl AddAssign for PacketCounts {
    fn add_assign(&mut self, other: Self) {
        self.lost_receiving += other.lost_receiving;
        self.lost_sending += other.lost_sending;
        self.second_answers += other.second_answers;
        self.ignored += other.ignored;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.scheduled += other.scheduled;
        self.answered += other.answered;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.unsent += other.unsent;
        self.bad_replies += other.bad_replies;
        self.nacks += other.nacks;
        self.retries += other.retries;
        self.writes += other.writes;
    }
}

impl PhaseMeasures {
    /// Counts the end of a request.
    pub fn end(&mut self, ending: Ending) {
        let count = match ending {
            Ending::Answered => &mut self.counts.answered,
            Ending::Refused => &mut self.counts.refused,
            Ending::Unknown => &mut self.counts.unknown,
            Ending::Unsent => &mut self.counts.unsent,
        };
        *count += 1;
    }

    /// Adds another thread's share of the same phase.
    pub fn merge(&mut self, other: &Self) {
        self.counts += other.counts;
        self.from_schedule.merge(&other.from_schedule);
        self.from_send.merge(&other.from_send);
        self.pacing.merge(&other.pacing);
    }
}

impl Measures {
    /// Nothing yet, for a run of these phases whose last answers come at most `grace` after the last phase.
    #[must_use]
    pub fn new(phases: &Phases, grace: Duration) -> Self {
        Self {
            phases: phases.list().iter().map(|_| PhaseMeasures::default()).collect(),
            writes: Timeline::new(phases.duration() + grace),
            packets: PacketCounts::default(),
            stopped_at: None,
        }
    }

    /// Adds another thread's measures of the same run.
    pub fn merge(&mut self, other: &Self) {
        for (phase, theirs) in self.phases.iter_mut().zip(&other.phases) {
            phase.merge(theirs);
        }
        self.writes.merge(&other.writes);
        self.packets += other.packets;
        self.stopped_at = self.stopped_at.max(other.stopped_at);
    }

    /// All phases together.
    #[must_use]
    pub fn total(&self) -> PhaseMeasures {
        let mut total = PhaseMeasures::default();
        self.phases.iter().for_each(|phase| total.merge(phase));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m1_ends_add_up_over_threads_and_phases() {
        let phases = Phases::parse("a:1s,b:1s").unwrap();
        let thread = |factor: u64| {
            let mut measures = Measures::new(&phases, Duration::from_secs(1));
            let endings = [Ending::Answered, Ending::Refused, Ending::Unknown, Ending::Unsent];
            for (place, phase) in measures.phases.iter_mut().enumerate() {
                for (times, ending) in (1..).zip(endings) {
                    for _ in 0..times * factor * (place as u64 + 1) {
                        phase.counts.scheduled += 1;
                        phase.end(ending);
                    }
                }
                phase.from_schedule.record(1_000 * factor);
            }
            measures
        };
        let mut all = thread(1);
        all.merge(&thread(10));
        let total = all.total();
        assert_eq!(total.counts.scheduled, total.counts.ended());
        assert_eq!(all.phases[1].counts.unsent, 4 * 2 * 11);
        assert_eq!((total.counts.answered, total.counts.unknown), (33, 99));
        assert_eq!(total.from_schedule.len(), 4);
    }
}
