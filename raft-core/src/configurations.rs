//! The configurations of the log, beside it (design HC7a, HC11).
//!
//! Invariants:
//! - G1. There is always one, and epochs rise along the list.
//! - G2. The newest in the log is in force, committed or not (Raft, section 6); truncation brings the one before it back.
//! - G3. All that decide for an entry still held are kept: the newest at or below the log's base, and every later one.

use alloc::vec::Vec;

use crate::entry::Configuration;
use crate::ids::LogIndex;

/// All configurations that an entry held may ask for, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Configurations<C> {
    list: Vec<Configuration<C>>,
}

impl<C> Configurations<C> {
    /// The oldest, and those that follow it by epoch.
    pub(crate) fn new(oldest: Configuration<C>, later: Vec<Configuration<C>>) -> Self {
        let mut all = Self { list: alloc::vec![oldest] };
        for configuration in later {
            all.push(configuration);
        }
        all
    }

    pub(crate) fn push(&mut self, configuration: Configuration<C>) {
        let epoch = configuration.epoch;
        assert!(epoch > self.newest().epoch, "G1: {epoch} after {}", self.newest().epoch);
        self.list.push(configuration);
    }

    /// Takes back those from `from` on; whether there were any.
    pub(crate) fn truncate(&mut self, from: LogIndex) -> bool {
        let before = self.list.len();
        self.list.retain(|configuration| configuration.epoch < from);
        assert!(!self.list.is_empty(), "G1: cut at {from}");
        self.list.len() < before
    }

    /// Forgets what decides for entries at or below `base` only.
    pub(crate) fn prune(&mut self, base: LogIndex) {
        while self.list.get(1).is_some_and(|next| next.epoch <= base) {
            self.list.remove(0);
        }
    }

    /// The one in force.
    pub(crate) fn newest(&self) -> &Configuration<C> {
        &self.list[self.list.len() - 1]
    }

    /// The one that decides for the entry at `index`; the oldest known for anything older.
    pub(crate) fn at(&self, index: LogIndex) -> &Configuration<C> {
        self.list.iter().rev().find(|known| known.epoch <= index).unwrap_or(&self.list[0])
    }

    pub(crate) fn as_slice(&self) -> &[Configuration<C>] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64) -> Configuration<()> {
        Configuration { epoch: LogIndex::from_wire(epoch), ..Configuration::default() }
    }

    #[test]
    fn g2_truncation_brings_the_one_before_back() {
        let mut all = Configurations::new(at(0), alloc::vec![at(3), at(9)]);
        assert_eq!(*all.newest(), at(9));
        assert!(!all.truncate(LogIndex::from_wire(10)));
        assert!(all.truncate(LogIndex::from_wire(9)));
        assert_eq!(*all.newest(), at(3));
    }

    #[test]
    fn g3_the_one_at_an_index_decides_for_it_and_is_kept_while_it_may() {
        let mut all = Configurations::new(at(0), alloc::vec![at(3), at(9)]);
        let epochs = |all: &Configurations<()>| {
            [0, 2, 3, 8, 9, 99].map(|i| all.at(LogIndex::from_wire(i)).epoch.to_wire())
        };
        assert_eq!(epochs(&all), [0, 0, 3, 3, 9, 9]);
        all.prune(LogIndex::from_wire(2));
        assert_eq!(all.as_slice().len(), 3);
        all.prune(LogIndex::from_wire(8));
        assert_eq!(epochs(&all), [3, 3, 3, 3, 9, 9]);
    }
}
