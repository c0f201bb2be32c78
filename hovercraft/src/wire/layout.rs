//! Where the fields are: raw structs, offsets as in the figure of [`super`], and the table of kinds.

use raft_core::ids::{Incarnation, Member, NodeId};
use zerocopy::byteorder::network_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Field, HEAD_LEN, NUMBER_MAX, WireError};
use crate::entry::ENTRY_LEN;

pub(super) const ANSWER: u16 = 1;
pub(super) const PRE: u16 = 2;
pub(super) const GRANTED: u16 = 4;
pub(super) const TRANSFER: u16 = 8;
pub(super) const CONFIGURATION: u16 = 16;
pub(super) const BODIES: u16 = 32;
pub(super) const PLAIN: u16 = 64;
pub(super) const MEMORY: u16 = 128;

/// Bytes of one applied index behind an aggregate.
pub(super) const APPLIED_LEN: usize = 8;
/// Bytes of one life in a report.
pub(super) const LIFE_LEN: usize = 9;
/// Bytes of one wanted body in a request for them.
pub(super) const WANTED_LEN: usize = size_of::<RawWanted>();

/// The first 112 bytes. Any bytes are one.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawHead {
    pub(super) r2p2: [u8; 8],
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) way: u8,
    pub(super) sender: u8,
    pub(super) count: U16,
    pub(super) flags: U16,
    pub(super) cluster_id: U64,
    pub(super) epoch: U64,
    pub(super) term: U64,
    pub(super) previous_index: U64,
    pub(super) previous_term: U64,
    pub(super) first_of_term: U64,
    pub(super) commit: U64,
    pub(super) round: U64,
    pub(super) log_time: U64,
    pub(super) incarnation: U64,
    pub(super) applied: U64,
    pub(super) state_hash: U64,
}

const _: () = assert!(size_of::<RawHead>() == HEAD_LEN);

#[derive(Clone, Copy, Default, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawEntry {
    pub(super) term: U64,
    pub(super) session: U64,
    pub(super) number: U64,
    pub(super) ip: [u8; 16],
    pub(super) port: U16,
    pub(super) hash: U64,
    pub(super) kind_replier: u8,
    pub(super) len: [u8; 3],
    pub(super) above_floor: U16,
    pub(super) stamp: U64,
}

const _: () = assert!(size_of::<RawEntry>() == ENTRY_LEN);

/// Names a body and one place in it: common to what is wanted, chunks and forwards.
#[derive(Clone, Copy, Default, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawChunk {
    pub(super) session: U64,
    pub(super) number: U64,
    pub(super) ip: [u8; 16],
    pub(super) port: U16,
    pub(super) chunk: U16,
    pub(super) len: U32,
    pub(super) hash: U64,
}

#[derive(Clone, Copy, Default, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawWanted {
    pub(super) body: RawChunk,
    pub(super) chunks: U64,
}

#[derive(Clone, Copy, Default, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawForward {
    pub(super) body: RawChunk,
    pub(super) policy: u8,
    pub(super) flags: u8,
    pub(super) above_floor: U16,
    pub(super) age_us: U32,
}

const _: () = assert!(size_of::<RawChunk>() == 48 && WANTED_LEN == 56);
const _: () = assert!(size_of::<RawForward>() == 56);

/// What a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Kind {
    RequestVote = 1,
    Vote = 2,
    Append = 3,
    Ack = 4,
    Reject = 5,
    TimeoutNow = 6,
    Aggregate = 7,
    BodyRequest = 8,
    BodyChunk = 9,
    Forward = 10,
    Question = 11,
    Report = 12,
    Applied = 13,
    NoBody = 14,
    HeldByAll = 15,
}

const REQUEST: u8 = 5;
const REPLY: u8 = 6;
const ONE_WAY: u8 = 7;

/// Which of the head's own fields a kind uses, one bit each.
mod uses {
    pub(super) const COUNT: u8 = 1;
    pub(super) const EPOCH: u8 = 2;
    pub(super) const TERM: u8 = 4;
    pub(super) const PREVIOUS_INDEX: u8 = 8;
    pub(super) const PREVIOUS_TERM: u8 = 16;
    pub(super) const FIRST: u8 = 32;
    pub(super) const COMMIT: u8 = 64;
    pub(super) const ROUND: u8 = 128;
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::RequestVote,
        Self::Vote,
        Self::Append,
        Self::Ack,
        Self::Reject,
        Self::TimeoutNow,
        Self::Aggregate,
        Self::BodyRequest,
        Self::BodyChunk,
        Self::Forward,
        Self::Question,
        Self::Report,
        Self::Applied,
        Self::NoBody,
        Self::HeldByAll,
    ];

    /// The kind with this number.
    pub(super) fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// R2P2 type, allowed flags and used fields, as the table in [`super`] says.
    const fn shape(self) -> (u8, u16, u8) {
        use uses::{COMMIT, COUNT, EPOCH, FIRST, PREVIOUS_INDEX, PREVIOUS_TERM, ROUND, TERM};
        match self {
            Self::RequestVote => (REQUEST, PRE | TRANSFER, TERM | PREVIOUS_INDEX | PREVIOUS_TERM),
            Self::Vote => (REPLY, PRE | GRANTED, TERM),
            Self::Append => (REQUEST, ANSWER | CONFIGURATION | BODIES, u8::MAX),
            Self::Ack => (REPLY, 0, EPOCH | TERM | PREVIOUS_INDEX | ROUND),
            Self::Reject => (REPLY, 0, TERM | PREVIOUS_INDEX | COMMIT | ROUND),
            Self::TimeoutNow | Self::Applied => (ONE_WAY, 0, TERM),
            Self::HeldByAll => (ONE_WAY, 0, TERM | PREVIOUS_INDEX),
            Self::Aggregate => (ONE_WAY, 0, COUNT | EPOCH | TERM | PREVIOUS_INDEX | FIRST | COMMIT),
            Self::BodyRequest => (REQUEST, 0, COUNT | TERM | PREVIOUS_INDEX | ROUND),
            Self::BodyChunk => (REPLY, PLAIN, 0),
            Self::Forward => (ONE_WAY, PLAIN, 0),
            Self::Question => (REQUEST, 0, ROUND),
            Self::NoBody => (REPLY, 0, TERM | PREVIOUS_INDEX | ROUND),
            Self::Report => (REPLY, CONFIGURATION | MEMORY, COUNT | ROUND),
        }
    }

    /// The R2P2 header in front of this kind.
    pub(super) const fn r2p2(self) -> [u8; 8] {
        [0xCC, 8, self.shape().0 << 4 | 1, 0xC0, 0, 0, 0, 1]
    }

    /// Whether `raw` uses only the flags and fields that this kind has, with numbers in range (W2).
    pub(super) fn check(self, raw: &RawHead) -> Result<(), WireError> {
        let (_, flags, fields) = self.shape();
        if raw.flags.get() & !flags != 0 {
            return Err(WireError::Field(Field::Flags));
        }
        let values = [
            u64::from(raw.count.get()),
            raw.epoch.get(),
            raw.term.get(),
            raw.previous_index.get(),
            raw.previous_term.get(),
            raw.first_of_term.get(),
            raw.commit.get(),
            raw.round.get(),
        ];
        let unused = |bit: usize| if fields >> bit & 1 == 0 { u64::MAX } else { 0 };
        let set = (0..8).zip(values).fold(0, |set, (bit, value)| set | (value & unused(bit)));
        if set != 0 {
            return Err(WireError::Field(Field::Unused));
        }
        let bounded = [
            raw.epoch,
            raw.previous_index,
            raw.first_of_term,
            raw.commit,
            raw.log_time,
            raw.applied,
        ];
        // A power of two: numbers below it are so together.
        if bounded.iter().fold(0, |all, number| all | number.get()) >= NUMBER_MAX {
            return Err(WireError::Field(Field::Number));
        }
        let nobody = raw.incarnation.get() == 0;
        if raw.sender >= NodeId::MAX_NODES
            || nobody != (self == Self::Aggregate)
            || (nobody && raw.sender != 0)
        {
            return Err(WireError::Field(Field::Sender));
        }
        Ok(())
    }
}

/// One life of a report; `None` for an id that no node has.
pub(super) fn read_life(bytes: &[u8; LIFE_LEN]) -> Option<Member> {
    let (id, incarnation) = bytes.split_first()?;
    let incarnation = u64::from_be_bytes(incarnation.try_into().ok()?);
    Some(Member { id: NodeId::new(*id)?, incarnation: Incarnation::from_wire(incarnation) })
}

/// The bytes of a life.
pub(super) fn write_life(member: Member) -> [u8; LIFE_LEN] {
    let mut bytes = [0; LIFE_LEN];
    bytes[0] = member.id.number();
    bytes[1..].copy_from_slice(&member.incarnation.to_wire().to_be_bytes());
    bytes
}
