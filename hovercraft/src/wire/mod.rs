//! What nodes (and, later, the switch) tell each other, to the byte (design, section 5).
//!
//! Every message is one datagram of at most [`PACKET_MAX`] bytes, big endian throughout:
//!
//! ```text
//!   0  R2P2 header: cc 08, type 5, 6 or 7 with policy 1, c0, request id 0000, packet order 0001
//!   8  version = 1        9  kind            10  way of the answer (0 direct, 1 switch)     11  sender's id
//!  12  count (u16)                           14  flags (u16)
//!  16  cluster id                            24  epoch
//!  32  term                                  40  previous index
//!  48  previous term                         56  first index of the term
//!  64  commit index                          72  round
//!  80  log time, microseconds                88  sender's incarnation
//!  96  applied index of the sender          104  state hash (kept, 0 for now)
//! 112  entries of 64 bytes, or what the kind has instead; see below
//!  ..  MAC, 16 bytes, when the cluster has a key: SipHash-2-4-128 of everything before it
//! ```
//!
//! Bytes 10, 11, 16, 80, 88, 96 and 104 mean the same in every message: [`Head`]. The others are named for an append;
//! what a kind does not use is zero, and a packet in which it is not is refused.
//!
//! | kind | R2P2 type | uses | flags | after the head |
//! |---|---|---|---|---|
//! | 1 request vote | 5 | term; previous index and term: end of the candidate's log | 2 pre, 8 transfer | |
//! | 2 vote | 6 | term | 2 pre, 4 granted | |
//! | 3 append | 5 | all | 1 answer wanted, 16 configuration, 32 bodies | `count` entries; configuration; bodies |
//! | 4 ack | 6 | epoch, term, round; previous index: acknowledged up to here | | |
//! | 5 reject | 6 | term, previous index, round; commit: the hint | | |
//! | 6 timeout now | 7 | term | | |
//! | 7 aggregate | 7 | epoch, term, first, commit: the index; previous index: the set | | `count` applied indexes, u64 each |
//! | 8 body request | 5 | term; previous index: of the entry that names the first; round: the question | | `count` wanted of 56 bytes |
//! | 9 body chunk | 6 | | 64 plain | a chunk |
//! | 10 forward | 7 | | 64 plain | a chunk, with what R2P2's header said |
//! | 11 question | 5 | round: the nonce | | |
//! | 12 report | 6 | round: the nonce repeated | 16 configuration, 128 memory | `count` lives of 9 bytes; configuration |
//! | 13 applied | 7 | term | | |
//! | 14 no body | 6 | term, previous index and round of the request | | the wanted that the sender has not got |
//! | 15 held by all | 7 | term; previous index: every member acknowledged up to here | | |
//!
//! - *entry*: term 8, session 8, number 8, client's IP 16 and port 2, body's hash 8, kind and replier 1 (high nibble: 0 no-op,
//!   1 configuration, 2 write, 3 read, 4 open, 5 close, plus 8 for the plain wire form), length 3, number above the floor 2,
//!   stamp 8. Of a no-op and a configuration all but the term is zero.
//! - *configuration*: length u16, then as [`configuration`] says. In an append its entry is the last one.
//! - *bodies*: a u32 with bit `n` set when the body of entry `n` is here, then those bodies in order; their lengths are in the
//!   entries.
//! - *set*: bit `n` is the `n`-th voter of the epoch's configuration; applied indexes are in the same order. An aggregator is no
//!   member: its sender is 0 with incarnation 0, which nobody else has.
//! - *wanted*: session 8, number 8, client's IP 16 and port 2 (zero with a session), first chunk 2, body's length 4, hash 8,
//!   bitmap 8: bit `n` asks for chunk `first + n`.
//! - *chunk*: session 8, number 8, client's IP 16 and port 2, chunk's number 2, body's length 4, hash 8, then its bytes: 1,280,
//!   fewer in the last. A forward has between hash and bytes: policy 1, the extension's flags 1, number above the floor 2, and how
//!   long the request has waited, in microseconds, 4.
//! - *life*: id 1, incarnation 8; ascending by id; incarnation 0 = not known.
//!
//! Invariants:
//! - W1. [`parse()`] never panics and never allocates, whatever the bytes; what it accepts, [`Encoder`] writes the same way.
//! - W2. Indexes and log times are below 2^62, so that adding to them cannot overflow.
//! - W3. With a key nothing but the version is looked at before the MAC was found right (HC13).

use raft_core::ids::{LogIndex, Member, NodeSet, Term};
use raft_core::message::{Append, Message};
use thiserror::Error;

use crate::entry::ENTRY_LEN;

pub mod body;
pub mod configuration;
mod encode;
pub mod entries;
pub mod keys;
mod layout;
mod parse;
#[cfg(test)]
mod tests;

pub use body::{
    BodyQuestion, CHUNK_LEN, Chunk, Forward, Wanted, WantedList, chunk_range, chunks_of,
};
pub use configuration::{ConfigurationError, GroupConfig, MemberAddress};
pub use encode::{AppendWriter, Encoder};
pub use entries::{Bodies, Entries};
pub use keys::{BodyHashKey, MacKey, body_hash};
pub use parse::parse;

/// Version of this layout.
pub const VERSION: u8 = 1;

/// Longest UDP payload, in bytes.
pub const PACKET_MAX: usize = 1_472;

/// Bytes before the entries.
pub const HEAD_LEN: usize = 112;

/// Bytes of the MAC behind a message, when there is a key.
pub const MAC_LEN: usize = 16;

/// Entries that fit one append, with room for a MAC.
pub const ENTRIES_MAX: usize = (PACKET_MAX - HEAD_LEN - MAC_LEN) / ENTRY_LEN;

/// Indexes and log times are below this (W2).
pub const NUMBER_MAX: u64 = 1 << 62;

/// A buffer for one message.
pub type Packet = [u8; PACKET_MAX];

/// Which way the answer to an append goes (HC1b).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Way {
    /// To the leader.
    #[default]
    Direct,
    /// To the switch.
    Switch,
}

/// What stands in every message.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Head {
    /// Way of the answer.
    pub way: Way,
    /// Who sends, and in which life (HC11a).
    pub sender: Member,
    /// The sender's cluster; 0 while it has none.
    pub cluster_id: u64,
    /// The stamp that a request would get now, of a leader; else the latest one heard. Microseconds (HC3c).
    pub log_time_us: u64,
    /// The sender's applied index (HC4).
    pub applied: LogIndex,
    /// Kept; 0 for now.
    pub state_hash: u64,
}

/// A message as parsed; what is long stays in the packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NodeMessage<'a> {
    /// Request for a vote, vote, ack, reject, or timeout-now: raft-core's as they are.
    Raft(Message),
    /// Entries, or none: a heartbeat, or news of a commit.
    Append {
        /// The head of it.
        append: Append,
        /// `append.count` entries.
        entries: Entries<'a>,
        /// Bytes of the configuration, when the last entry is one; see [`GroupConfig`].
        configuration: Option<&'a [u8]>,
        /// Bodies that travel with their entries (mode `raft`).
        bodies: Bodies<'a>,
    },
    /// A majority acknowledged, as an aggregator saw it (HC9a).
    Aggregate(Aggregate<'a>),
    /// Recovery: which chunks of which bodies are wanted (HC6c).
    BodyRequest {
        /// Whether anybody has the first of them.
        question: BodyQuestion,
        /// What is wanted.
        list: WantedList<'a>,
    },
    /// The sender has not got the body that it was asked for (HC1d); whether it has applied it, its head says.
    NoBody {
        /// The request's.
        question: BodyQuestion,
        /// As it was asked.
        wanted: Wanted,
    },
    /// One chunk of a body, asked for or pushed ahead of its entry.
    BodyChunk(Chunk<'a>),
    /// One chunk of a request that a follower passes on to its leader (mode `raft`).
    Forward(Forward<'a>),
    /// Who are you? Counts as heard only with this nonce (HC11b).
    Question {
        /// Fresh and random.
        nonce: u64,
    },
    /// The answer.
    Report(Report<'a>),
    /// The sender's applied index (in the head), outside an ack (HC4).
    Applied {
        /// The term in which it is reported.
        term: Term,
    },
    /// A leader's word that every member acknowledged an index: bodies up to there need not be kept (HC1d).
    HeldByAll {
        /// The leader's.
        term: Term,
        /// Up to here.
        index: LogIndex,
    },
}

/// An aggregator's word that a quorum holds an index (HC9a, b).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aggregate<'a> {
    /// Epoch that it was configured with.
    pub epoch: LogIndex,
    /// Its term.
    pub term: Term,
    /// First index of that term.
    pub first_of_term: LogIndex,
    /// Acknowledged by every member of the set.
    pub index: LogIndex,
    /// Bit `n`: the `n`-th voter of the epoch's configuration; see [`Self::set_among`].
    pub voters: u16,
    /// Each voter's applied index, in the same order.
    pub applied: AppliedList<'a>,
}

/// Applied indexes in the order of the configured voters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AppliedList<'a> {
    bytes: &'a [u8],
}

/// Who answers a question, and whom it knows (HC11c).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report<'a> {
    /// The question's.
    pub nonce: u64,
    /// Whether the sender has memory of the cluster that its head names.
    pub memory: bool,
    /// The lives that it reports now.
    pub lives: Lives<'a>,
    /// The newest committed configuration of its cluster; see [`GroupConfig`].
    pub configuration: Option<&'a [u8]>,
}

/// Members with the lives that somebody knows of, ascending by id; incarnation 0 = not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lives<'a> {
    bytes: &'a [u8],
}

/// Why bytes are no message; the caller counts it and drops the packet.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
pub enum WireError {
    /// Shorter than the head and what must follow, or longer than a packet.
    #[error("{0} bytes: no such message")]
    Length(usize),
    /// Not R2P2, or not of types 5 to 7 in the one form that nodes send.
    #[error("not a message between nodes")]
    Header,
    /// Another version of this layout: counted, and named once per peer.
    #[error("version {0}: this node speaks {VERSION}")]
    Version(u8),
    /// The MAC is wrong or missing.
    #[error("bad MAC")]
    Mac,
    /// No such kind, or not under this R2P2 type.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// A field has a value that this kind does not allow.
    #[error("bad {0}")]
    Field(Field),
}

/// The part of a message that is wrong.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
pub enum Field {
    /// Way of the answer.
    #[error("way")]
    Way,
    /// Sender's id or incarnation.
    #[error("sender")]
    Sender,
    /// Count.
    #[error("count")]
    Count,
    /// Flags.
    #[error("flags")]
    Flags,
    /// A field that this kind does not use is not zero.
    #[error("unused field")]
    Unused,
    /// An index, or a log time, that no cluster reaches (W2).
    #[error("number")]
    Number,
    /// Set of voters.
    #[error("set")]
    Set,
    /// An entry.
    #[error("entry")]
    Entry,
    /// Configuration.
    #[error("configuration")]
    Configuration,
    /// Bodies behind the entries.
    #[error("bodies")]
    Bodies,
    /// A body's name, length or chunk.
    #[error("chunk")]
    Chunk,
    /// Lives.
    #[error("lives")]
    Lives,
}

impl Aggregate<'_> {
    /// The set by ids: `voters` are the epoch's, in the order of its configuration; `None` when the set names more than there are.
    #[must_use]
    pub fn set_among(&self, voters: &[Member]) -> Option<NodeSet> {
        let mut set = NodeSet::EMPTY;
        for place in (0..u16::BITS).filter(|place| self.voters & (1 << place) != 0) {
            set.insert(voters.get(usize::try_from(place).ok()?)?.id);
        }
        Some(set)
    }
}

impl<'a> AppliedList<'a> {
    /// Writes `indexes`, at most 16, into `buffer`.
    pub fn write(buffer: &'a mut [u8; 128], indexes: impl IntoIterator<Item = LogIndex>) -> Self {
        let mut len = 0;
        for (place, index) in buffer.as_chunks_mut().0.iter_mut().zip(indexes) {
            *place = index.to_wire().to_be_bytes();
            len += place.len();
        }
        Self { bytes: &buffer[..len] }
    }

    /// In the order of the configured voters.
    pub fn iter(&self) -> impl Iterator<Item = LogIndex> + '_ {
        self.bytes.as_chunks().0.iter().map(|bytes| LogIndex::from_wire(u64::from_be_bytes(*bytes)))
    }
}

impl Lives<'_> {
    /// Ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = Member> + '_ {
        self.bytes.as_chunks().0.iter().filter_map(layout::read_life)
    }
}
