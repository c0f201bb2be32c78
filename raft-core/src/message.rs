//! What nodes tell each other. Entries and a configuration travel beside an [`Append`]; see [`crate::output`].

use crate::ids::{LogIndex, NodeSet, Round, Term};

/// Everything but the entries themselves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Message {
    /// A candidate asks for a vote (Raft, section 5.2), or, `pre`, whether it would get one (pre-vote).
    RequestVote {
        /// The candidate's term; for a pre-vote the term it would open.
        term: Term,
        /// Asks only.
        pre: bool,
        /// Ordered by the leader to stand (leadership transfer): stickiness does not apply.
        transfer: bool,
        /// End of the candidate's log.
        last_index: LogIndex,
        /// Term of that entry.
        last_term: Term,
    },
    /// The answer.
    Vote {
        /// The voter's term; when a pre-vote is granted, the term asked about.
        term: Term,
        /// Answers a pre-vote.
        pre: bool,
        /// Yes or no.
        granted: bool,
    },
    /// Entries `previous_index + 1 ..= previous_index + count` follow; with `count` 0 a heartbeat or news of a commit.
    Append(Append),
    /// The answer to an append: `index` is the lower of verified(term) and the append's last index (HC1b).
    Ack {
        /// Epoch of the append.
        epoch: LogIndex,
        /// Term of the append.
        term: Term,
        /// Known to equal the leader's log up to here.
        index: LogIndex,
        /// Round of the append.
        round: Round,
    },
    /// The append does not fit this log, or is of an older term.
    Reject {
        /// The refusing node's term.
        term: Term,
        /// The append's previous index, so that a late refusal is told apart.
        previous_index: LogIndex,
        /// The leader may try after this index: the refusing log ends here, or disagrees above it. When it is
        /// `previous_index` itself, the entry there is of an older term than the append's.
        hint: LogIndex,
        /// Round of the append: a refusal, too, shows that the node follows.
        round: Round,
    },
    /// The leader hands over: stand for election at once.
    TimeoutNow {
        /// The leader's term.
        term: Term,
    },
    /// Majority acknowledged, as an aggregator saw it (HC2, HC9a); never raises commit above verified(term).
    QuorumAck {
        /// Epoch that the aggregator was configured with.
        epoch: LogIndex,
        /// Its term.
        term: Term,
        /// The index that every member of `set` acknowledged.
        index: LogIndex,
        /// Who acknowledged it.
        set: NodeSet,
    },
}

/// The head of an append.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Append {
    /// Epoch of the configuration in force at the append's last index.
    pub epoch: LogIndex,
    /// The leader's term.
    pub term: Term,
    /// Index before the first entry carried.
    pub previous_index: LogIndex,
    /// Term of that entry.
    pub previous_term: Term,
    /// First index of the leader's term: its no-op (HC2a).
    pub first_of_term: LogIndex,
    /// The leader's commit index, an upper bound (HC2b).
    pub commit: LogIndex,
    /// The leader's present round (HC9b).
    pub round: Round,
    /// Entries carried.
    pub count: u16,
    /// Whether an answer is wanted: not for news of a commit.
    pub answer: bool,
}

impl Append {
    /// Index of the last entry carried; `previous_index` when there is none.
    #[must_use]
    pub const fn last_index(&self) -> LogIndex {
        self.previous_index.plus(self.count as u64)
    }
}
