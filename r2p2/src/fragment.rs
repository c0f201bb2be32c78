//! One message into packets (wire.md 1.2 and 6).
//!
//! A [`Form`] says how a message travels; with the length of its body it gives every packet by index, so that a packet
//! can be repeated as easily as sent:
//!
//! | form | payload per packet | first packet of several |
//! |---|---|---|
//! | plain request | 1,464 | 14 bytes (a frame of 64) |
//! | plain response | 1,464 | full |
//! | request with the extension | 1,440 | full |
//! | response with the extension | 1,432 | full |
//!
//! Invariant F1: the ranges of a message's packets follow each other without gap or overlap and make up its body; only
//! the last is shorter than the form says (tested in `tests/round_trips.rs`).

use core::ops::{Deref, Range};

use crate::extension::{EXTENDED_LEN, EXTENDED_RESPONSE_LEN, Extension, Flags, HEAD_MAX};
use crate::header::{DATAGRAM_MAX, HEADER_LEN, Header, MessageKind, PACKETS_MAX, Place, Policy};
use crate::packet::emit_head;

/// Payload bytes of the small first packet of a long plain request.
pub const SMALL_FIRST: usize = 14;

/// Payload bytes of a plain packet, at most.
pub const PLAIN_PAYLOAD: usize = DATAGRAM_MAX - HEADER_LEN;

/// Payload bytes of a packet with the extension that is no response, at most.
pub const EXTENDED_PAYLOAD: usize = DATAGRAM_MAX - EXTENDED_LEN;

/// Payload bytes of a response with the extension, at most.
pub const EXTENDED_RESPONSE_PAYLOAD: usize = DATAGRAM_MAX - EXTENDED_RESPONSE_LEN;

const _: () = assert!(
    PLAIN_PAYLOAD == 1_464 && EXTENDED_PAYLOAD == 1_440 && EXTENDED_RESPONSE_PAYLOAD == 1_432
);

/// How a message travels: all of its packets' headers but the place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A plain client's request.
    PlainRequest {
        /// Its 16-bit id.
        request_id: u16,
        /// Who may serve it.
        policy: Policy,
    },
    /// The answer to a plain client.
    PlainResponse {
        /// Id of the request.
        request_id: u16,
    },
    /// A request with the extension.
    Request {
        /// The session; 0 for an opening request and without a session.
        session: u64,
        /// Number of the request, or the nonce of an opening.
        number: u64,
        /// Number minus floor.
        above_floor: u16,
        /// Who may serve it.
        policy: Policy,
        /// What it is.
        flags: Flags,
    },
    /// The answer to a request with the extension.
    Response {
        /// The request's session; in the answer to an opening the new one.
        session: u64,
        /// Number of the request.
        number: u64,
        /// Log index of the execution; 0 = outside the log.
        executed: u64,
    },
}

/// Header bytes of one packet: 8, 32 or 40.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    bytes: [u8; HEAD_MAX],
    len: u8,
}

/// One packet of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fragment {
    /// Its header bytes.
    pub head: Head,
    /// Where its payload lies in the body.
    pub range: Range<usize>,
}

/// The packets of a message, in order.
#[derive(Clone, Debug)]
pub struct Fragments {
    form: Form,
    len: usize,
    packets: u16,
    next: u16,
}

impl Head {
    /// The bytes of `header` and `extension`.
    #[must_use]
    pub fn new(header: &Header, extension: Option<&Extension>) -> Self {
        let mut bytes = [0; HEAD_MAX];
        let len = emit_head(header, extension, &mut bytes);
        Self { bytes, len: u8::try_from(len).unwrap_or(0) }
    }
}

impl Deref for Head {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Form {
    /// Payload bytes of a full packet.
    #[must_use]
    pub const fn payload_max(&self) -> usize {
        match self {
            Self::PlainRequest { .. } | Self::PlainResponse { .. } => PLAIN_PAYLOAD,
            Self::Request { .. } => EXTENDED_PAYLOAD,
            Self::Response { .. } => EXTENDED_RESPONSE_PAYLOAD,
        }
    }

    /// The longest body that [`PACKETS_MAX`] packets hold, in bytes.
    #[must_use]
    pub const fn body_max(&self) -> usize {
        self.small_first() + (PACKETS_MAX as usize - self.has_small_first()) * self.payload_max()
    }

    /// Packets that a body of `len` bytes takes; `None` above [`PACKETS_MAX`].
    #[must_use]
    pub fn packets(&self, len: usize) -> Option<u16> {
        let max = self.payload_max();
        let packets = if len <= max {
            1
        } else {
            self.has_small_first() + (len - self.small_first()).div_ceil(max)
        };
        u16::try_from(packets).ok().filter(|&packets| packets <= PACKETS_MAX)
    }

    /// Packet `index` of a message of `len` bytes; `None` when it has no such packet, or too many.
    #[must_use]
    pub fn fragment(&self, index: u16, len: usize) -> Option<Fragment> {
        let packets = self.packets(len).filter(|&packets| index < packets)?;
        Some(self.cut(index, packets, len))
    }

    /// Every packet of a message of `len` bytes; `None` when they would be more than [`PACKETS_MAX`].
    #[must_use]
    pub fn fragments(&self, len: usize) -> Option<Fragments> {
        let packets = self.packets(len)?;
        Some(Fragments { form: *self, len, packets, next: 0 })
    }

    fn cut(&self, index: u16, packets: u16, len: usize) -> Fragment {
        let max = self.payload_max();
        let small = if packets > 1 { self.small_first() } else { 0 };
        let start_of = |index: usize| match (index, small) {
            (index, 0) => index * max,
            (0, _) => 0,
            (index, small) => small + (index - 1) * max,
        };
        let start = start_of(index.into()).min(len);
        let end = start_of(usize::from(index) + 1).min(len);
        Fragment { head: self.head(index, packets), range: start..end }
    }

    fn head(&self, index: u16, packets: u16) -> Head {
        let place = Place::of(index, packets);
        match *self {
            Self::PlainRequest { request_id, policy } => {
                let kind = MessageKind::Request;
                Head::new(&Header { kind, policy, request_id, place }, None)
            }
            Self::PlainResponse { request_id } => {
                let (kind, policy) = (MessageKind::Response, Policy::Fixed);
                Head::new(&Header { kind, policy, request_id, place }, None)
            }
            Self::Request { session, number, above_floor, policy, flags } => {
                let kind = MessageKind::Request;
                let request_id = low_16(number);
                let extension =
                    Extension { session, number, packets, above_floor, flags, executed: 0 };
                Head::new(&Header { kind, policy, request_id, place }, Some(&extension))
            }
            Self::Response { session, number, executed } => {
                let (kind, policy) = (MessageKind::Response, Policy::Fixed);
                let request_id = low_16(number);
                let extension =
                    Extension { session, number, packets, executed, ..Extension::default() };
                Head::new(&Header { kind, policy, request_id, place }, Some(&extension))
            }
        }
    }

    const fn small_first(&self) -> usize {
        match self {
            Self::PlainRequest { .. } => SMALL_FIRST,
            _ => 0,
        }
    }

    const fn has_small_first(&self) -> usize {
        match self {
            Self::PlainRequest { .. } => 1,
            _ => 0,
        }
    }
}

impl Iterator for Fragments {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        if self.next == self.packets {
            return None;
        }
        self.next += 1;
        Some(self.form.cut(self.next - 1, self.packets, self.len))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.packets - self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Fragments {}

/// The request id of a packet with the extension.
pub(crate) fn low_16(number: u64) -> u16 {
    let [.., high, low] = number.to_be_bytes();
    u16::from_be_bytes([high, low])
}
