//! Which node answers (HovercRaft, "load balancing replies"; design HC4).
//!
//! queue(n) is the number of entries in (applied index of n, last appended] that n must execute: every write, and the reads
//! whose replier n is. Nodes report the applied *index*; the rest is counted from the leader's own log, so that terms,
//! restarts and snapshots cannot skew it.
//!
//! Invariants:
//! - R1. A node whose queue is at the bound, or that has not reported in this term, is not chosen.
//! - R2. With nobody to choose, the request waits unordered; it is not dropped here.
//!
//! Cost: one addition per entry appended, one look at each candidate to choose one, one visit per entry and node when it reports.

use planted::Plant;
use raft_core::ids::{LogIndex, NodeId, NodeSet};

/// How a replier is chosen among those with room.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReplierPolicy {
    /// The shortest bounded queue, ties by rotation (join bounded shortest queue).
    Jbsq,
    /// Any.
    Random,
    /// The leader.
    Leader,
}

/// What an entry costs its nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// No node executes it.
    Nothing,
    /// Every node does.
    Write,
    /// This node alone does.
    Read(NodeId),
}

const NODES: usize = NodeId::MAX_NODES as usize;

/// The leader's view of every node's queue.
#[derive(Clone, Debug)]
pub struct Repliers {
    policy: ReplierPolicy,
    bound: u64,
    /// Writes appended. Total: each is one more for everybody.
    writes: u64,
    /// What `writes` was, or would have been, with each node's queue empty.
    emptied_at: [u64; NODES],
    applied: [Option<LogIndex>; NODES],
    rotation: u8,
    random: u64,
}

impl Repliers {
    /// Nobody has reported yet.
    #[must_use]
    pub fn new(policy: ReplierPolicy, bound: u32, seed: u64) -> Self {
        Self {
            policy,
            bound: bound.into(),
            writes: 0,
            emptied_at: [0; NODES],
            applied: [None; NODES],
            rotation: 0,
            random: seed | 1,
        }
    }

    /// A new term: reports of earlier ones do not count (R1).
    pub fn reset(&mut self) {
        self.applied = [None; NODES];
        if planted::is(Plant::H11) {
            self.applied = [Some(LogIndex::ZERO); NODES];
            self.emptied_at = [self.writes; NODES];
        }
    }

    /// The leader appended an entry.
    pub fn appended(&mut self, work: Work) {
        match work {
            Work::Nothing => {}
            Work::Write => self.writes += 1,
            Work::Read(node) => self.set_queue(node, self.queue(node) + 1),
        }
    }

    /// Of a node that has reported in this term; without a meaning for another.
    fn queue(&self, node: NodeId) -> u64 {
        self.writes.wrapping_sub(self.emptied_at[node.place()])
    }

    fn set_queue(&mut self, node: NodeId, queue: u64) {
        // Who has more to execute than was ever written here has reads, or entries of earlier terms.
        self.emptied_at[node.place()] = self.writes.wrapping_sub(queue);
    }

    /// `node` has applied everything up to `applied`; `work` tells what an index of the leader's log costs. `held` are the indexes
    /// before the first and of the last entry of it that can still be looked at.
    ///
    /// What the log holds no more counts as a write: a laggard never looks emptier than it is.
    pub fn report(
        &mut self,
        node: NodeId,
        applied: LogIndex,
        held: (LogIndex, LogIndex),
        work: impl Fn(LogIndex) -> Work,
    ) {
        let mine = |index| match work(index) {
            Work::Write => 1,
            Work::Read(replier) => u64::from(replier == node),
            Work::Nothing => 0,
        };
        let (base, last) = held;
        let applied = applied.min(last);
        let at = node.place();
        let before = self.applied[at];
        if before.is_some_and(|before| applied <= before) {
            return;
        }
        self.applied[at] = Some(applied);
        let queue = match before {
            _ if applied < base => last.since(applied),
            Some(before) if before >= base => {
                let done = count(before, applied, mine);
                let given = self.queue(node);
                assert!(done <= given, "R1: a node applied more than it was given");
                given - done
            }
            _ => count(applied, last, mine),
        };
        self.set_queue(node, queue);
    }

    /// The node to answer the next entry, of `eligible` ones, or `None` when none has room (R2).
    pub fn choose(&mut self, eligible: NodeSet, leader: NodeId) -> Option<NodeId> {
        let candidates = match self.policy {
            ReplierPolicy::Leader => eligible.and(NodeSet::only(leader)),
            ReplierPolicy::Jbsq | ReplierPolicy::Random => eligible,
        };
        let chosen = match self.policy {
            ReplierPolicy::Random => {
                let count = candidates.iter().filter(|node| self.has_room(*node)).count();
                let nth = self.draw(count)?;
                candidates.iter().filter(|node| self.has_room(*node)).nth(nth)
            }
            ReplierPolicy::Jbsq | ReplierPolicy::Leader => {
                let turn = |node: NodeId| {
                    (node.number() + NodeId::MAX_NODES - self.rotation) % NodeId::MAX_NODES
                };
                // The bound has 32 bits: queue and turn are one number.
                let open = candidates.iter().filter(|node| self.has_room(*node));
                open.min_by_key(|&node| self.queue(node) << 8 | u64::from(turn(node)))
            }
        }?;
        self.rotation = (chosen.number() + 1) % NodeId::MAX_NODES;
        Some(chosen)
    }

    /// R1.
    fn has_room(&self, node: NodeId) -> bool {
        let reported = self.applied[node.place()].is_some();
        let has_room = self.queue(node) < self.bound || planted::is(Plant::Hc4Bound);
        (reported && has_room) || planted::is(Plant::H10)
    }

    /// Depth of a node's queue; `None` before it reported in this term.
    #[must_use]
    pub fn depth(&self, node: NodeId) -> Option<u64> {
        self.applied[node.place()].map(|_| self.queue(node))
    }

    /// The applied index that a node reported in this term.
    #[must_use]
    pub fn applied(&self, node: NodeId) -> Option<LogIndex> {
        self.applied[node.place()]
    }

    /// What decides of the next choice, chance apart: queues, applied indexes, whose turn it is.
    pub(crate) fn protocol_state(&self) -> (Vec<u64>, Vec<Option<LogIndex>>, u8) {
        let queues = NodeId::all().map(|node| self.depth(node).unwrap_or(0)).collect();
        (queues, self.applied.to_vec(), self.rotation)
    }

    /// A number below `count`; `None` when there is none (xorshift).
    fn draw(&mut self, count: usize) -> Option<usize> {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let drawn = self.random.checked_rem(u64::try_from(count).ok()?)?;
        usize::try_from(drawn).ok()
    }
}

/// How much of (`from`, `to`] is `mine`.
fn count(from: LogIndex, to: LogIndex, mine: impl Fn(LogIndex) -> u64) -> u64 {
    let mut sum = 0;
    let mut index = from;
    while index < to {
        index = index.next();
        sum += mine(index);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn index(number: u64) -> LogIndex {
        LogIndex::from_wire(number)
    }

    fn held(base: u64, last: u64) -> (LogIndex, LogIndex) {
        (index(base), index(last))
    }

    const ALL: NodeSet = NodeSet::from_wire(0b1110);

    fn three(policy: ReplierPolicy, bound: u32) -> Repliers {
        let mut repliers = Repliers::new(policy, bound, 7);
        for n in 1..=3 {
            repliers.report(node(n), LogIndex::ZERO, held(0, 0), |_| Work::Nothing);
        }
        repliers
    }

    #[test]
    fn jbsq_rotates_among_equals() {
        let mut repliers = three(ReplierPolicy::Jbsq, 100);
        let mut chosen = Vec::new();
        for _ in 0..6 {
            chosen.push(repliers.choose(ALL, node(1)).unwrap().number());
            repliers.appended(Work::Write);
        }
        assert_eq!(chosen, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn jbsq_prefers_the_shortest_queue() {
        let mut repliers = three(ReplierPolicy::Jbsq, 100);
        repliers.appended(Work::Read(node(1)));
        repliers.appended(Work::Read(node(2)));
        assert_eq!(repliers.choose(ALL, node(1)), Some(node(3)));
    }

    #[test]
    fn hc4_a_node_at_its_bound_or_silent_in_this_term_gets_nothing_new() {
        let mut repliers = three(ReplierPolicy::Jbsq, 2);
        repliers.appended(Work::Write);
        repliers.appended(Work::Write);
        assert_eq!(repliers.choose(ALL, node(1)), None, "all full: the request waits");
        repliers.report(node(2), index(2), held(0, 2), |_| Work::Write);
        assert_eq!(repliers.choose(ALL, node(1)), Some(node(2)));
        repliers.reset();
        assert_eq!(repliers.choose(ALL, node(1)), None, "nobody has reported in this term");
    }

    #[test]
    fn hc4_a_first_report_counts_what_the_node_has_left_from_the_log() {
        let mut repliers = Repliers::new(ReplierPolicy::Jbsq, 10, 1);
        let work = |at: LogIndex| match at.to_wire() % 3 {
            0 => Work::Nothing,
            1 => Work::Write,
            _ => Work::Read(node(2)),
        };
        repliers.report(node(1), index(3), held(0, 9), work);
        repliers.report(node(2), index(3), held(0, 9), work);
        assert_eq!((repliers.depth(node(1)), repliers.depth(node(2))), (Some(2), Some(4)));
        repliers.report(node(2), index(9), held(0, 9), work);
        assert_eq!(repliers.depth(node(2)), Some(0));
        repliers.report(node(2), index(5), held(0, 9), work);
        assert_eq!(repliers.depth(node(2)), Some(0), "a late report changes nothing");
    }

    /// The log ring holds the last six of twenty entries, then the last four of twenty-one.
    #[test]
    fn hc4_what_fell_out_of_the_log_counts_against_a_laggard() {
        let mut repliers = Repliers::new(ReplierPolicy::Jbsq, 100, 1);
        let work = |base: u64| {
            move |at: LogIndex| match at.to_wire() {
                at if at <= base => Work::Nothing,
                at if at % 2 == 0 => Work::Write,
                _ => Work::Read(node(2)),
            }
        };
        repliers.report(node(1), index(3), held(14, 20), work(14));
        assert_eq!(repliers.depth(node(1)), Some(17), "each of them, at most");
        repliers.report(node(1), index(8), held(14, 20), work(14));
        assert_eq!(repliers.depth(node(1)), Some(12), "it made way, and nobody knows how far");
        repliers.report(node(1), index(15), held(14, 20), work(14));
        assert_eq!(repliers.depth(node(1)), Some(3), "16, 18 and 20: as the log says");
        repliers.appended(Work::Write);
        repliers.report(node(1), index(19), held(17, 21), |_| Work::Write);
        assert_eq!(repliers.depth(node(1)), Some(2), "counted anew: 15 is no more in the log");
    }

    #[test]
    fn leader_and_random_choose_among_the_eligible_only() {
        let mut repliers = three(ReplierPolicy::Leader, 1);
        assert_eq!(repliers.choose(ALL, node(2)), Some(node(2)));
        repliers.appended(Work::Write);
        assert_eq!(repliers.choose(ALL, node(2)), None);
        let mut repliers = three(ReplierPolicy::Random, 1_000);
        let mut seen = NodeSet::EMPTY;
        for _ in 0..100 {
            seen.insert(repliers.choose(NodeSet::from_wire(0b1010), node(1)).unwrap());
        }
        assert_eq!(seen, NodeSet::from_wire(0b1010));
    }
}
