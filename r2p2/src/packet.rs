//! One datagram: header, extension, payload; parsed once, at the edge, into values that hold together.
//!
//! Invariants of a parsed [`Packet`] (FEEDBACK apart, of which only the kind is read here, see [`crate::feedback`]):
//! - P1. The place is possible: 1 to 1,024 packets, an index below that, the last flag where it belongs.
//! - P2. With the extension, request id and place agree with its number and count.
//! - P3. The extension is on kinds that may have it; a RESPONSE with it names the index of its execution.
//! - P4. A request in a session has a number from 1 and a floor from 1.

use thiserror::Error;
use zerocopy::byteorder::network_endian::U64;
use zerocopy::{FromBytes, IntoBytes};

use crate::extension::{EXTENDED_LEN, EXTENDED_RESPONSE_LEN, Extension, HEAD_MAX, RawExtension};
use crate::header::{HEADER_LEN, Header, MAGIC, MessageKind, PACKETS_MAX, Place, RawHeader};

/// A packet that makes sense, borrowed from a receive buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// The first eight bytes.
    pub header: Header,
    /// The session extension, if it is there.
    pub extension: Option<Extension>,
    /// What follows.
    pub payload: &'a [u8],
}

/// Why bytes are no R2P2 packet; the first thing found wrong.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseError {
    /// Shorter than its header.
    #[error("truncated: {0} bytes")]
    Truncated(usize),
    /// Not R2P2 at all.
    #[error("bad magic {0:#04x}")]
    Magic(u8),
    /// Not 8, 32 or 40, or not on this kind of message.
    #[error("bad header size {0}")]
    HeaderSize(u8),
    /// A kind of message that nobody knows.
    #[error("unknown kind of message {0}")]
    Kind(u8),
    /// A policy that nobody knows.
    #[error("unknown policy {0}")]
    Policy(u8),
    /// A count or index of packets that cannot be, or that contradicts the flags or the extension.
    #[error("impossible packet order {0}")]
    Order(u16),
    /// Another version of the extension.
    #[error("unknown version {0} of the extension")]
    Version(u8),
    /// Bits are set that this version does not know.
    #[error("reserved bits of the extension are set")]
    Reserved,
    /// The request id is not the low 16 bits of the number, or a session's number or floor is not from 1.
    #[error("number {0} of the request contradicts its other fields")]
    Number(u64),
    /// The payload is not what this kind of message carries.
    #[error("bad payload of {0} bytes")]
    Payload(usize),
}

impl<'a> Packet<'a> {
    /// Splits a datagram into header, extension and payload.
    ///
    /// # Errors
    ///
    /// [`ParseError`] names the first thing wrong; the caller counts it and drops the packet.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let Ok((raw, payload)) = RawHeader::read_from_prefix(datagram) else {
            return Err(ParseError::Truncated(datagram.len()));
        };
        if raw.magic != MAGIC {
            return Err(ParseError::Magic(raw.magic));
        }
        let header = Header::from_raw(&raw)?;
        if header.kind == MessageKind::Feedback || usize::from(raw.header_size) == HEADER_LEN {
            return Ok(Self { header, extension: None, payload });
        }
        if extended_len(header.kind) != Some(usize::from(raw.header_size)) {
            return Err(ParseError::HeaderSize(raw.header_size));
        }
        let truncated = ParseError::Truncated(datagram.len());
        let (raw, rest) = RawExtension::read_from_prefix(payload).map_err(|_| truncated)?;
        let mut extension = Extension::from_raw(&raw)?;
        let mut payload = rest;
        if header.kind == MessageKind::Response {
            let (executed, rest) = U64::read_from_prefix(rest).map_err(|_| truncated)?;
            extension.executed = executed.get();
            payload = rest;
        }
        agree(&header, &extension)?;
        Ok(Self { header, extension: Some(extension), payload })
    }
}

/// Writes header and extension to the front of `head`; returns how many bytes that took: 8, 32 or 40.
///
/// # Panics
///
/// When an extension is given for a kind of message that has none.
pub fn emit_head(
    header: &Header,
    extension: Option<&Extension>,
    head: &mut [u8; HEAD_MAX],
) -> usize {
    let len = match extension {
        None => HEADER_LEN,
        Some(_) => extended_len(header.kind).unwrap_or(0),
    };
    assert!(len >= HEADER_LEN, "{:?} has no extension", header.kind);
    let size = u8::try_from(len).unwrap_or(0);
    head[..HEADER_LEN].copy_from_slice(header.to_raw(size).as_bytes());
    if let Some(extension) = extension {
        head[HEADER_LEN..EXTENDED_LEN].copy_from_slice(extension.to_raw().as_bytes());
        head[EXTENDED_LEN..].copy_from_slice(U64::new(extension.executed).as_bytes());
    }
    len
}

/// Bytes of header and extension on a kind of message, if it may have the extension.
fn extended_len(kind: MessageKind) -> Option<usize> {
    match kind {
        MessageKind::Request | MessageKind::Ack | MessageKind::Drop => Some(EXTENDED_LEN),
        MessageKind::Response => Some(EXTENDED_RESPONSE_LEN),
        _ => None,
    }
}

/// P2 and P4.
#[inline]
fn agree(header: &Header, extension: &Extension) -> Result<(), ParseError> {
    let order = match header.place {
        Place::First { packets } => (packets, packets == extension.packets),
        Place::Later { index, last } => {
            let within = index < extension.packets && extension.packets <= PACKETS_MAX;
            (index, within && last == (index + 1 == extension.packets))
        }
    };
    if !order.1 {
        return Err(ParseError::Order(order.0));
    }
    let [.., high, low] = extension.number.to_be_bytes();
    let in_session = header.kind == MessageKind::Request && extension.session != 0;
    if header.request_id != u16::from_be_bytes([high, low])
        || (in_session && extension.number <= extension.above_floor.into())
    {
        return Err(ParseError::Number(extension.number));
    }
    Ok(())
}
