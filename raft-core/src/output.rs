//! What the core wants done, in order.

use alloc::vec::Vec;

use crate::ids::{LogIndex, Member, NodeId, NodeSet, Seq, Term};
use crate::message::{Append, Message};

/// Effects, as values. Order is the contract; durability is in `needs`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Output {
    /// Make this durable, then report `persisted(seq)`. In memory mode: at once.
    Persist {
        /// To be reported.
        seq: Seq,
        /// What changed.
        what: Persist,
    },
    /// Send, once; loss is fine. Not before `needs` is durable.
    Send {
        /// Destination.
        to: NodeId,
        /// What.
        message: Message,
        /// Zero = nothing.
        needs: Seq,
    },
    /// Send the same append to each of `to`: its entries are in the log, its configuration beside it.
    Append {
        /// Destinations.
        to: NodeSet,
        /// The head; entries are `log[previous_index + 1 ..= previous_index + count]`. An append whose last entry is a
        /// configuration carries it; a configuration is always an append's last entry.
        append: Append,
        /// Zero: direct appends need nothing.
        needs: Seq,
    },
    /// Entries from `from` on were cut off: the layer above takes back what they held.
    Truncated {
        /// First entry that is gone.
        from: LogIndex,
    },
    /// Entries up to here are committed.
    Committed(LogIndex),
    /// This node leads `term`; its no-op is at `first`.
    BecameLeader {
        /// The term.
        term: Term,
        /// Its first index.
        first: LogIndex,
    },
    /// This node follows in `term`; `leader` when known.
    BecameFollower {
        /// The term.
        term: Term,
        /// Whom.
        leader: Option<NodeId>,
    },
}

/// What must survive a restart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Persist {
    /// Term and vote.
    Vote {
        /// The term.
        term: Term,
        /// For whom this node voted in it.
        vote: Option<Member>,
    },
    /// Entries from `from` to `to`, replacing what stood there.
    Entries {
        /// First.
        from: LogIndex,
        /// Last.
        to: LogIndex,
    },
}

/// Outputs in order. Each input's are all taken before the next one comes, so nothing ever wraps around.
#[derive(Clone, Debug)]
pub(crate) struct Outputs {
    list: Vec<Output>,
    /// How many of them are taken.
    taken: usize,
}

impl Outputs {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { list: Vec::with_capacity(capacity), taken: 0 }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.list.push(output);
    }

    /// Entries from `from` on are gone: what was to be made durable of them in this very input is not any more.
    pub(crate) fn forget_entries(&mut self, from: LogIndex) {
        let (taken, mut place) = (self.taken, 0);
        self.list.retain_mut(|output| {
            place += 1;
            match output {
                Output::Persist { what: Persist::Entries { from: first, to }, .. }
                    if place > taken =>
                {
                    *to = (*to).min(from.prev());
                    first <= to
                }
                _ => true,
            }
        });
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Option<&Output> {
        if self.is_empty() {
            self.list.clear();
            self.taken = 0;
            return None;
        }
        self.taken += 1;
        self.list.get(self.taken - 1)
    }

    /// Whether all are taken.
    pub(crate) const fn is_empty(&self) -> bool {
        self.taken == self.list.len()
    }
}
