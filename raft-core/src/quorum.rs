//! Majorities of members, by id and incarnation (design HC11a); of both halves while a change is under way.

use crate::entry::Configuration;
use crate::ids::{LogIndex, Member, NodeId};
use planted::Plant;

/// Members of one half of a configuration, at most.
pub(crate) const VOTERS_MAX: usize = NodeId::MAX_NODES as usize;

/// Whether the members for which `holds` is true are a majority of the voters, and of the outgoing ones too.
pub(crate) fn agrees<C>(configuration: &Configuration<C>, holds: impl Fn(Member) -> bool) -> bool {
    let majority = |members: &[Member]| {
        members.iter().filter(|&&member| holds(member)).count() * 2 > members.len()
    };
    majority(&configuration.voters)
        && (configuration.outgoing.is_empty() || majority(&configuration.outgoing))
}

/// Match indexes of one half of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Matches {
    sorted: [LogIndex; VOTERS_MAX],
    len: usize,
}

impl Matches {
    pub(crate) const fn new() -> Self {
        Self { sorted: [LogIndex::ZERO; VOTERS_MAX], len: 0 }
    }

    /// Adds one voter's; they stay sorted, highest first.
    pub(crate) fn add(&mut self, index: LogIndex) {
        assert!(self.len < VOTERS_MAX, "more voters than there are ids");
        let mut place = self.len;
        while place > 0 && self.sorted[place - 1] < index {
            self.sorted[place] = self.sorted[place - 1];
            place -= 1;
        }
        self.sorted[place] = index;
        self.len += 1;
    }

    /// The highest index that more than half of them reach; `None` of nobody.
    pub(crate) fn majority(&self) -> Option<LogIndex> {
        if planted::is(Plant::Hc2Half) {
            return self.len.checked_sub(1).map(|last| self.sorted[last / 2]);
        }
        (self.len > 0).then(|| self.sorted[self.len / 2])
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::Incarnation;

    fn member(id: u8, incarnation: u64) -> Member {
        let id = NodeId::new(id).unwrap();
        Member { id, incarnation: Incarnation::from_wire(incarnation) }
    }

    #[test]
    fn hc11a_a_fresh_incarnation_does_not_count_for_the_old_one() {
        let configuration = Configuration {
            voters: [member(0, 1), member(1, 1), member(2, 2)].into(),
            outgoing: [member(0, 1), member(1, 1), member(2, 1)].into(),
            ..Configuration::<()>::default()
        };
        let quorum = |set: &[Member]| agrees(&configuration, |member| set.contains(&member));
        assert!(!quorum(&[member(0, 1), member(2, 2)]));
        assert!(quorum(&[member(0, 1), member(2, 2), member(2, 1)]));
        assert!(quorum(&[member(0, 1), member(1, 1)]));
    }

    proptest! {
        #[test]
        fn the_majority_index_is_the_slow_and_obvious_one(matched in prop::collection::vec(0u64..20, 0..=16)) {
            let mut fast = Matches::new();
            matched.iter().for_each(|&index| fast.add(LogIndex::from_wire(index)));
            let reached = |index: u64| matched.iter().filter(|&&other| other >= index).count();
            let reaching: Vec<u64> =
                (0..20).filter(|&index| reached(index) * 2 > matched.len()).collect();
            let slow = reaching.last().map(|&index| LogIndex::from_wire(index));
            prop_assert_eq!(fast.majority(), slow);
        }
    }
}
