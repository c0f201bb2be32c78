//! What the leader knows of each follower, and what it may send to it.
//!
//! A follower is probed until it has answered: one append with entries per round is under way, from `next` on. Then
//! entries go out without waiting, up to a window of appends in flight. Nothing is sent again by a clock of its own: each
//! round's heartbeat names the entry before `next` as its previous one, so that its answer either confirms everything
//! sent, or refuses it and says where to go back to.
//!
//! Invariants:
//! - P1. `matched` never falls while the leader leads (faults.md R6).
//! - P2. `next > matched` (R7).
//! - P3. At most `inflight_max` appends with entries are unanswered.

use alloc::collections::VecDeque;

use crate::ids::{LogIndex, Member, Round};
use planted::Plant;

/// One follower.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Progress {
    /// Who.
    pub member: Member,
    /// Known to equal the leader's log up to here.
    pub matched: LogIndex,
    /// The next entry to be sent.
    pub next: LogIndex,
    /// Whether entries flow, or one append at a time feels its way.
    pub flow: Flow,
    /// The newest round that it answered.
    pub answered: Round,
    /// It needs entries that the ring has let go: only a snapshot helps.
    pub needs_snapshot: bool,
    /// The highest commit index that was sent to it.
    pub(crate) commit_sent: LogIndex,
    /// Whether it is a voter of the configuration in force.
    pub(crate) votes: bool,
    /// Whether it is one of the voters that a change under way leaves behind.
    pub(crate) outgoing: bool,
    /// Whether messages to its id reach it: not so for an earlier life, nor for one of the leader's own.
    pub(crate) reachable: bool,
    inflight: Inflight,
}

/// How entries go to a follower.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Flow {
    /// Where its log agrees is not known yet, or it takes nothing.
    Probe {
        /// The append with entries that is under way: up to which index, and in which round it left.
        sent: Option<(LogIndex, Round)>,
    },
    /// It keeps up.
    Replicate {
        /// Round in which this began: refusals of earlier ones are old news.
        since: Round,
    },
}

impl Progress {
    /// A member of whom nothing is known; entries from `next` on are tried first.
    pub(crate) fn new(member: Member, next: LogIndex, inflight_max: u16) -> Self {
        Self {
            member,
            matched: LogIndex::ZERO,
            next,
            flow: Flow::Probe { sent: None },
            answered: Round::ZERO,
            needs_snapshot: false,
            commit_sent: LogIndex::ZERO,
            votes: false,
            outgoing: false,
            reachable: true,
            inflight: Inflight::new(inflight_max),
        }
    }

    /// Appends with entries that are unanswered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.inflight.ends.len()
    }

    /// Whether an append with entries may go to it now.
    pub(crate) fn may_send(&self) -> bool {
        let open = match self.flow {
            Flow::Probe { sent } => sent.is_none(),
            Flow::Replicate { .. } => !self.inflight.is_full(),
        };
        open && self.reachable && !self.needs_snapshot
    }

    /// Whether `commit`, of entries that it was sent, is news to be told at once: it takes entries without being asked
    /// for each.
    pub(crate) fn lacks_news_of(&self, commit: LogIndex) -> bool {
        let keeps_up = matches!(self.flow, Flow::Replicate { .. });
        self.commit_sent < commit && self.next > commit && keeps_up && self.reachable
    }

    /// An append with entries up to `last` leaves in `round`.
    pub(crate) fn sent(&mut self, last: LogIndex, commit: LogIndex, round: Round) {
        match &mut self.flow {
            Flow::Probe { sent } => *sent = Some((last, round)),
            Flow::Replicate { .. } => {
                self.inflight.push(last);
                self.next = last.next();
            }
        }
        self.commit_sent = self.commit_sent.max(commit);
    }

    /// An answer to `round`, which the leader has opened.
    pub(crate) fn answered(&mut self, round: Round) {
        self.answered = self.answered.max(round);
    }

    /// It holds the leader's log up to `index`; whether that is news. `now_at` is the leader's round.
    pub(crate) fn acknowledged(&mut self, index: LogIndex, round: Round, now_at: Round) -> bool {
        let news = index > self.matched;
        self.matched = if planted::is(Plant::R6) { index } else { self.matched.max(index) }; // P1
        self.inflight.free(self.matched);
        if let Flow::Probe { sent } = self.flow {
            let carried = sent.map_or(LogIndex::ZERO, |(last, _)| last);
            if self.matched >= self.next || (index.next() == self.next && sent.is_none()) {
                // It took entries, or agrees that its log ends where the next one begins.
                self.flow = Flow::Replicate { since: now_at };
                self.next = self.next.max(carried.next());
                if carried > self.matched {
                    self.inflight.push(carried);
                }
            } else if index.next() == self.next && sent.is_some_and(|(_, left)| round > left) {
                // It agrees and lives, but took none of what was sent: once more, in this round.
                self.flow = Flow::Probe { sent: None };
            }
        }
        self.next = self.next.max(self.matched.next()); // P2
        news
    }

    /// It refused an append that followed `previous`, and may agree at `hint`; whether that was news.
    pub(crate) fn refused(&mut self, previous: LogIndex, hint: LogIndex, round: Round) -> bool {
        let stale = match self.flow {
            // Only the refusal of what is tried now says where to try next.
            Flow::Probe { .. } => previous.next() != self.next,
            Flow::Replicate { since } => previous >= self.next || round < since,
        };
        if stale || previous <= self.matched {
            return false;
        }
        self.next = hint.min(previous.prev()).max(self.matched).next(); // P2
        self.flow = Flow::Probe { sent: None };
        self.inflight.ends.clear();
        true
    }
}

/// Last indexes of the appends that are unanswered, oldest first.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Inflight {
    ends: VecDeque<LogIndex>,
    max: usize,
}

impl Inflight {
    fn new(max: u16) -> Self {
        Self { ends: VecDeque::with_capacity(max.into()), max: max.into() }
    }

    fn is_full(&self) -> bool {
        self.ends.len() >= self.max
    }

    fn push(&mut self, last: LogIndex) {
        assert!(!self.is_full(), "P3: {} appends in flight", self.max);
        self.ends.push_back(last);
    }

    fn free(&mut self, index: LogIndex) {
        while self.ends.front().is_some_and(|&last| last <= index) {
            self.ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Incarnation, NodeId};

    fn index(number: u64) -> LogIndex {
        LogIndex::from_wire(number)
    }

    fn round(number: u64) -> Round {
        Round::from_wire(number)
    }

    /// A follower that has answered the probe of index 5, in a leader's round 1, and may have four appends in flight.
    fn keeping_up() -> Progress {
        let member = Member { id: NodeId::new(1).unwrap(), incarnation: Incarnation::from_wire(1) };
        let mut progress = Progress::new(member, index(5), 4);
        progress.sent(index(5), index(0), round(1));
        assert!(progress.acknowledged(index(5), round(1), round(1)));
        progress
    }

    #[test]
    fn a_probe_waits_for_its_answer_and_is_repeated_once_per_round() {
        let mut progress = keeping_up();
        assert!(!progress.refused(index(5), index(5), round(1)) && progress.may_send());
        progress.sent(index(6), index(0), round(1));
        assert!(progress.refused(index(6), index(5), round(1)));
        progress.sent(index(8), index(0), round(2));
        assert!(!progress.may_send());
        // It agrees with what was before, in the same round: it took nothing.
        progress.acknowledged(index(5), round(2), round(2));
        assert!(!progress.may_send());
        progress.acknowledged(index(5), round(3), round(3));
        assert!(progress.may_send() && !progress.lacks_news_of(index(3)));
    }

    #[test]
    fn r6_r7_acknowledgements_out_of_order_take_nothing_back() {
        let mut progress = keeping_up();
        for last in [6, 7, 8] {
            progress.sent(index(last), index(0), round(1));
        }
        assert!(progress.acknowledged(index(8), round(1), round(1)));
        for late in [6, 7, 5, 0] {
            assert!(!progress.acknowledged(index(late), round(1), round(1)));
            assert!(!progress.refused(index(late), index(0), round(1)));
            assert_eq!((progress.matched, progress.next), (index(8), index(9)));
        }
        assert_eq!(progress.in_flight(), 0);
    }

    #[test]
    fn p2_an_acknowledgement_that_was_overtaken_by_a_refusal_counts() {
        let mut progress = keeping_up();
        for last in [6, 7, 8] {
            progress.sent(index(last), index(0), round(1));
        }
        assert!(progress.refused(index(7), index(5), round(1)));
        assert_eq!(progress.next, index(6));
        assert!(progress.acknowledged(index(8), round(1), round(1)));
        assert_eq!((progress.matched, progress.next), (index(8), index(9)));
    }

    #[test]
    fn p3_a_window_closes_and_opens_with_each_answer() {
        let mut progress = keeping_up();
        for last in [6, 7, 8, 9] {
            assert!(progress.may_send());
            progress.sent(index(last), index(0), round(1));
        }
        assert!(!progress.may_send());
        progress.acknowledged(index(7), round(1), round(1));
        assert_eq!((progress.may_send(), progress.in_flight()), (true, 2));
    }

    #[test]
    fn a_refusal_of_an_earlier_round_or_of_what_matched_is_old_news() {
        let mut progress = keeping_up();
        progress.sent(index(9), index(0), round(4));
        assert!(progress.refused(index(9), index(5), round(4)));
        assert_eq!((progress.next, progress.in_flight()), (index(6), 0));
        assert!(!progress.refused(index(9), index(5), round(4)), "probing 6 now");
        progress.sent(index(9), index(0), round(4));
        progress.acknowledged(index(9), round(4), round(5));
        assert!(!progress.refused(index(9), index(0), round(5)), "it matched");
        progress.sent(index(11), index(0), round(6));
        assert!(!progress.refused(index(10), index(0), round(4)), "before it kept up");
        assert!(progress.refused(index(11), index(3), round(6)));
        assert_eq!((progress.matched, progress.next), (index(9), index(10)), "P2");
    }

    #[test]
    fn a_prefix_taken_of_a_probe_is_followed_by_what_was_not_sent_yet() {
        let mut progress = keeping_up();
        progress.sent(index(6), index(0), round(1));
        assert!(progress.refused(index(6), index(5), round(1)));
        progress.sent(index(9), index(0), round(1));
        // The rest waits at the follower for its bodies (HC1a): it is not sent twice.
        progress.acknowledged(index(7), round(1), round(1));
        assert_eq!(
            (progress.matched, progress.next, progress.in_flight()),
            (index(7), index(10), 1)
        );
    }
}
