//! A node's own dump of what it decided, for the exact check of client histories (design, section 8).

use raft_core::ids::LogIndex;

use crate::entry::Request;

/// What became of an entry when it was applied.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Decided {
    /// It took effect; a read: at its replier.
    Executed,
    /// It had been executed before.
    Repetition,
    /// It never will be.
    Refused,
    /// Its client had given it up.
    Dropped,
}

/// One entry.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AuditEntry {
    /// Where it stands in the log.
    pub index: LogIndex,
    /// Log time by then, in microseconds.
    pub log_time_us: u64,
    /// As the leader ordered it; none for no-ops and configurations.
    pub request: Option<Request>,
    /// What was decided.
    pub decided: Decided,
}
