//! What a checker looks at: the simulator's and the model's. Nothing of it is for the hot path.

use core::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use raft_core::ids::LogIndex;

use super::{Core, Replica};

impl Replica {
    /// The consensus core, once this life stands in a cluster.
    #[must_use]
    pub fn core(&self) -> Option<&Core> {
        self.core.as_ref()
    }

    /// The body bound to the entry at `index`; none where it has none, or is applied here.
    #[must_use]
    pub fn body_at(&self, index: LogIndex) -> Option<&[u8]> {
        self.meta.get(index)?.body.map(|at| &self.store.body(at)[..])
    }

    /// The index up to which the tables have decided, and a hash of them: equal on every node at the same index (HC7a).
    #[must_use]
    pub fn tables(&self) -> (LogIndex, u64) {
        let mut hasher = FixedState::with_seed(7).build_hasher();
        self.table.hash_protocol_state(&mut hasher);
        (self.handed, hasher.finish())
    }
}
