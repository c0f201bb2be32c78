//! What the network half tells the application half, in order, through one ring, and what comes back.
//!
//! Each command is moved several times on its way: what is rare ([`Command::Also`]) has a command of its own.

use r2p2::Instant;
use r2p2::buffer::Body;
use r2p2::refusal::Reason;
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::ids::LogIndex;

use crate::table::Slot;

/// Where and in which form to answer a request.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct AnswerTo {
    /// The client.
    pub client: ClientAddress,
    /// Plain R2P2, or with the session extension.
    pub plain: bool,
    /// The request's session; 0 = none.
    pub session: u64,
    /// The request's number; for a plain one its 16-bit id.
    pub number: u64,
    /// When the asking packet was surely not yet here: a plain client's repetition is answered only while it is younger
    /// than `answer_ttl` (HC3c).
    pub asked: Instant,
}

/// One thing for the application half to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Execute a committed entry at its place.
    Execute(Execute),
    /// A committed entry that only the replicated tables decide.
    Tell(Tell),
    /// Answer the entry of the command before to somebody who asked again meanwhile, too (HC7d).
    Also(AnswerTo),
    /// Answer a repetition from the kept reply; everything before it in the ring is applied by then (HC7d).
    Kept {
        /// Where the reply is kept.
        slot: Slot,
        /// Log index of the entry whose reply it must be.
        index: LogIndex,
        /// Whom to answer.
        to: AnswerTo,
    },
    /// Answer outside the log, from a state that may be stale.
    Query {
        /// The request.
        body: Body,
        /// Whom to answer.
        to: AnswerTo,
        /// Whether this node says no when the service does: the asked one, or for the group the leader.
        refuse: bool,
    },
    /// Send packets of a long answer again, to the asker.
    Wanted {
        /// The asker.
        client: ClientAddress,
        /// The request's session.
        session: u64,
        /// The request's number.
        number: u64,
        /// First packet and count, up to eight holes; a count of zero ends the list.
        ranges: [(u16, u16); WANTED_MAX],
    },
    /// Refuse at once, outside the log.
    Refuse {
        /// Whom.
        to: AnswerTo,
        /// Why.
        reason: Reason,
    },
}

/// Holes that one [`Command::Wanted`] carries.
pub const WANTED_MAX: usize = 8;

/// A committed entry to execute.
#[derive(Clone, Debug)]
pub struct Execute {
    /// Its place in the log; in mode `unreplicated` a count, of which clients are not told.
    pub index: LogIndex,
    /// The index is one of a log.
    pub replicated: bool,
    /// Its log time in microseconds.
    pub stamp_us: u64,
    /// By `query`, here alone; else by `execute`.
    pub read: bool,
    /// The request.
    pub body: Body,
    /// Where to keep the reply for repetitions.
    pub keep: Option<Slot>,
    /// The longest reply to keep, from the configuration at the index (HC7a).
    pub reply_keep_max: u32,
    /// The longest reply.
    pub reply_max: u32,
    /// This node is the replier; counted as asked when the entry came (HC3c).
    pub answer: Option<AnswerTo>,
}

/// A committed entry decided by the tables alone.
#[derive(Clone, Debug)]
pub struct Tell {
    /// Its place in the log.
    pub index: LogIndex,
    /// Its log time in microseconds.
    pub stamp_us: u64,
    /// What was decided.
    pub what: Told,
    /// This node is the replier; counted as asked when the entry came (HC3c).
    pub answer: Option<AnswerTo>,
}

/// What the tables decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// A session is open.
    Opened {
        /// Its number.
        session: u64,
        /// Numbers above the floor that may be in use.
        window: u32,
        /// Log time without an entry after which it is forgotten, in milliseconds.
        expiry_ms: u32,
        /// Where this reply is kept.
        keep: Slot,
    },
    /// A session is closed.
    Closed,
    /// Executed before: the kept reply is the answer.
    Repetition {
        /// Where it is kept.
        slot: Slot,
        /// Log index of the first entry.
        first: LogIndex,
    },
    /// Not executed, and never will be.
    Refused(Reason),
}

/// What the application half reports.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Completion {
    /// Commands taken from the ring since the last report.
    pub commands: u32,
    /// Everything handed over up to this index is applied.
    pub applied: LogIndex,
    /// The service panicked and its state does not stand: nothing more is executed.
    pub stopped: bool,
}

// As long as what is moved without a call.
const _: () = assert!(size_of::<Command>() <= 112);

impl Execute {
    /// The index that clients are told: 0 in mode `unreplicated`.
    #[must_use]
    pub fn reported_index(&self) -> u64 {
        if self.replicated { self.index.to_wire() } else { 0 }
    }
}

impl AnswerTo {
    /// The request's id, as the tables know it.
    #[must_use]
    pub fn id(&self) -> RequestId {
        RequestId::new(self.client, self.session, self.number)
    }
}
