//! The R2P2 packet header (R2P2, USENIX ATC '19, "packet format"; wire.md 1.1).
//!
//! ```text
//!  0        1        2        3        4                 6                 8
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! | magic  | header | type/4 | flags  |    request id   |  packet order   |
//! |  0xCC  |  size  | plcy/4 | F L    |   (big endian)  |   (big endian)  |
//! +--------+--------+--------+--------+--------+--------+--------+--------+
//! ```
//!
//! `RawHeader` is the bytes: any eight are a valid one. [`Header`] is the meaning; the rest of the workspace sees only
//! it. Packet order is the number of packets in the first packet of a message, the packet's index in the others:
//! [`Place`] says which.
//!
//! Invariants:
//! - W1. Parsing what was emitted gives the same value (tested in `tests/round_trips.rs`).
//! - W2. Parsing never panics, whatever the bytes (fuzz target `codecs`).

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::packet::ParseError;

/// First byte of every R2P2 packet.
pub const MAGIC: u8 = 0xCC;

/// Bytes of the header alone.
pub const HEADER_LEN: usize = size_of::<RawHeader>();

/// Packets of one message, at most. The field has 16 bits; longer messages serve nobody.
pub const PACKETS_MAX: u16 = 1_024;

/// Longest UDP payload, in bytes: an MTU of 1,500 without the IPv4 and UDP headers.
pub const DATAGRAM_MAX: usize = 1_472;

/// First packet of the message.
const FLAG_FIRST: u8 = 0x80;
/// Last packet of the message.
const FLAG_LAST: u8 = 0x40;

/// The eight bytes, named. No judgement about their values.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawHeader {
    pub(crate) magic: u8,
    pub(crate) header_size: u8,
    pub(crate) type_policy: u8,
    pub(crate) flags: u8,
    pub(crate) request_id: U16,
    pub(crate) packet_order: U16,
}

// The C peers and the switch's parser assume this size.
const _: () = assert!(HEADER_LEN == 8);

/// A header that makes sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// What the packet carries.
    pub kind: MessageKind,
    /// Who may serve the request; everything but a request carries [`Policy::Fixed`].
    pub policy: Policy,
    /// Number of the request: all of it for a plain client, the low 16 bits with the extension.
    pub request_id: u16,
    /// Which packet of its message this is.
    pub place: Place,
}

/// Which packet of its message a packet is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The first one (index 0); it names how many there are, from 1 to [`PACKETS_MAX`].
    First {
        /// Packets in the message.
        packets: u16,
    },
    /// A later one.
    Later {
        /// From 1 to [`PACKETS_MAX`] - 1.
        index: u16,
        /// Whether it ends the message.
        last: bool,
    },
}

/// The upper nibble of `type_policy`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum MessageKind {
    /// Client to server, router or group.
    Request = 0,
    /// Server to client.
    Response = 1,
    /// Server to router or middlebox: a request left the system.
    Feedback = 2,
    /// Server to client: go on with a long request; with the extension: packets wanted.
    Ack = 3,
    /// Refusal (NACK) of one packet.
    Drop = 4,
    /// Node to node or switch: asks.
    RaftRequest = 5,
    /// The answer to that.
    RaftReply = 6,
    /// One way, between nodes and switch.
    RaftMessage = 7,
}

/// The lower nibble of `type_policy`: who may serve a request.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Policy {
    /// The router may pick the server (`LB_ROUTE`).
    Unrestricted = 0,
    /// The server it was sent to (`FIXED_ROUTE`).
    #[default]
    Fixed = 1,
    /// Ordered; may change state (`REPLICATED_REQ`).
    Replicated = 2,
    /// Ordered; reads only, executed by the replier alone (`REPLICATED_REQ_R`).
    ReplicatedRead = 3,
}

impl Header {
    /// The header of a message of one packet.
    #[must_use]
    pub const fn single(kind: MessageKind, policy: Policy, request_id: u16) -> Self {
        Self { kind, policy, request_id, place: Place::First { packets: 1 } }
    }

    /// What the bytes mean, the header size apart.
    pub(crate) fn from_raw(raw: &RawHeader) -> Result<Self, ParseError> {
        let kind = MessageKind::from_nibble(raw.type_policy >> 4)?;
        if kind == MessageKind::Feedback {
            // The originals leave every other field uninitialised (wire.md 1.6).
            return Ok(Self::single(kind, Policy::Unrestricted, 0));
        }
        let policy = Policy::from_nibble(raw.type_policy & 0x0F)?;
        let place = Place::from_wire(
            raw.flags & FLAG_FIRST != 0,
            raw.flags & FLAG_LAST != 0,
            raw.packet_order.get(),
        )?;
        Ok(Self { kind, policy, request_id: raw.request_id.get(), place })
    }

    /// The eight bytes, in front of an extension that makes the header `header_size` bytes long.
    pub(crate) fn to_raw(self, header_size: u8) -> RawHeader {
        let (flags, order) = self.place.to_wire();
        RawHeader {
            magic: MAGIC,
            header_size,
            type_policy: (self.kind as u8) << 4 | self.policy as u8,
            flags,
            request_id: U16::new(self.request_id),
            packet_order: U16::new(order),
        }
    }
}

impl Place {
    /// The place of packet `index` of `packets`.
    #[must_use]
    pub const fn of(index: u16, packets: u16) -> Self {
        match index {
            0 => Self::First { packets },
            index => Self::Later { index, last: index + 1 == packets },
        }
    }

    /// Index within the message; 0 is the first.
    #[must_use]
    pub const fn index(self) -> u16 {
        match self {
            Self::First { .. } => 0,
            Self::Later { index, .. } => index,
        }
    }

    /// Whether no packet follows.
    #[must_use]
    pub const fn is_last(self) -> bool {
        match self {
            Self::First { packets } => packets == 1,
            Self::Later { last, .. } => last,
        }
    }

    /// Whether this is a whole message.
    #[must_use]
    pub const fn is_single(self) -> bool {
        matches!(self, Self::First { packets: 1 })
    }

    fn from_wire(first: bool, last: bool, order: u16) -> Result<Self, ParseError> {
        let place =
            if first { Self::First { packets: order } } else { Self::Later { index: order, last } };
        let within = if first { order <= PACKETS_MAX } else { order < PACKETS_MAX };
        if order == 0 || !within || place.is_last() != last {
            return Err(ParseError::Order(order));
        }
        Ok(place)
    }

    fn to_wire(self) -> (u8, u16) {
        let last = if self.is_last() { FLAG_LAST } else { 0 };
        match self {
            Self::First { packets } => (FLAG_FIRST | last, packets),
            Self::Later { index, .. } => (last, index),
        }
    }
}

impl MessageKind {
    pub(crate) fn from_nibble(nibble: u8) -> Result<Self, ParseError> {
        Ok(match nibble {
            0 => Self::Request,
            1 => Self::Response,
            2 => Self::Feedback,
            3 => Self::Ack,
            4 => Self::Drop,
            5 => Self::RaftRequest,
            6 => Self::RaftReply,
            7 => Self::RaftMessage,
            other => return Err(ParseError::Kind(other)),
        })
    }
}

impl Policy {
    /// Whether the request is to be ordered.
    #[must_use]
    pub const fn is_replicated(self) -> bool {
        matches!(self, Self::Replicated | Self::ReplicatedRead)
    }

    /// From the lower nibble of `type_policy`.
    ///
    /// # Errors
    ///
    /// [`ParseError::Policy`] above 3.
    pub fn from_nibble(nibble: u8) -> Result<Self, ParseError> {
        Ok(match nibble {
            0 => Self::Unrestricted,
            1 => Self::Fixed,
            2 => Self::Replicated,
            3 => Self::ReplicatedRead,
            other => return Err(ParseError::Policy(other)),
        })
    }
}
