//! What a log entry of the replica holds: all that decides, and the name of its body (design HC6).
//!
//! A [`Request`] is the command of `raft_core::entry::Payload::Command`. The body stands elsewhere, under id and hash; the
//! entry is fixed by the leader that appended it and never changes, so every node decides alike when it applies it.

use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::entry::Command;
use raft_core::ids::NodeId;

/// Bytes of an entry on the wire (design, section 5: at most 64).
pub const ENTRY_LEN: usize = 64;

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EntryKind {
    /// Changes state: every node executes it.
    Write,
    /// Changes nothing: its replier alone executes it (HC5).
    Read,
    /// Opens a session (HC7b).
    Open,
    /// Closes one.
    Close,
}

/// A client's request as the leader ordered it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Request {
    /// Session and number, or address and number. An opening has session 0 and its nonce for a number.
    pub id: RequestId,
    /// Where the answer goes; without a session it is `id.client`.
    pub client: ClientAddress,
    /// The wire form of the request and of its answer: plain R2P2, without the session extension.
    pub plain: bool,
    /// What is to be done.
    pub kind: EntryKind,
    /// Of the body, under the cluster's key (HC6b).
    pub hash: u64,
    /// Of the body, in bytes; below 2^24.
    pub len: u32,
    /// The client's floor is `id.number - above_floor`: the lowest number neither answered nor given up (wire.md 6).
    pub above_floor: u16,
    /// Log time of this entry in microseconds (HC7e).
    pub stamp_us: u64,
    /// The node that answers (HC3).
    pub replier: NodeId,
    /// Its body travels inside the appends that carry it (mode `raft`); follows from `len`, not on the wire.
    pub inline: bool,
}

impl Request {
    /// The lowest number of the session that the client may still ask about.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.id.number.saturating_sub(self.above_floor.into())
    }

    /// Whether every node executes it: all but reads.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.kind != EntryKind::Read
    }
}

impl Command for Request {
    fn wire_len(&self) -> usize {
        let body = if self.inline { self.len as usize } else { 0 };
        ENTRY_LEN + body
    }
}
