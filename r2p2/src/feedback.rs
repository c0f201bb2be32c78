//! FEEDBACK: a node tells the router or middlebox that a request left the system (wire.md 1.6 and 6; HC10).
//!
//! ```text
//!   0  0xCC
//!   1  8             garbage from the originals
//!   2  0x20
//!   3  0xC0          garbage from the originals
//!   4  count     4   requests that this node finished, wrapping; garbage from the originals
//!   8  id        2   of the finished request
//!  10  port      2   of the client
//!  12  address   4   of the client, IPv4
//! ```
//!
//! All big endian. A client with an IPv6 address is reported as 0.0.0.0: only the count matters then.

use core::net::Ipv4Addr;

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::header::{HEADER_LEN, MAGIC, MessageKind};
use crate::packet::ParseError;
use crate::request_id::ClientAddress;

/// Bytes of a FEEDBACK packet.
pub const FEEDBACK_LEN: usize = size_of::<RawFeedback>();

const OWN_SIZE: u8 = 8;
const OWN_FLAGS: u8 = 0xC0;

#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawFeedback {
    magic: u8,
    header_size: u8,
    type_policy: u8,
    flags: u8,
    count: U32,
    request_id: U16,
    client_port: U16,
    client_ip: [u8; 4],
}

const _: () = assert!(FEEDBACK_LEN == 16 && OWN_SIZE as usize == HEADER_LEN);

/// One request left the system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Feedback {
    /// Requests that the sender finished so far, wrapping; `None` from one that does not count (the originals; garbage
    /// of theirs may look like a count: an error that lasts until the next resync).
    pub count: Option<u32>,
    /// Id of the request.
    pub request_id: u16,
    /// The client's UDP port.
    pub client_port: u16,
    /// The client's address.
    pub client_ip: Ipv4Addr,
}

impl Feedback {
    /// Feedback about a request of `client`.
    #[must_use]
    pub fn new(count: u32, request_id: u16, client: ClientAddress) -> Self {
        let ip = core::net::Ipv6Addr::from(client.ip).to_ipv4_mapped();
        Self {
            count: Some(count),
            request_id,
            client_port: client.port,
            client_ip: ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
        }
    }

    /// Reads a whole datagram.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when it is no FEEDBACK packet.
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        let Ok((raw, _)) = RawFeedback::read_from_prefix(datagram) else {
            return Err(ParseError::Truncated(datagram.len()));
        };
        if raw.magic != MAGIC {
            return Err(ParseError::Magic(raw.magic));
        }
        if MessageKind::from_nibble(raw.type_policy >> 4)? != MessageKind::Feedback {
            return Err(ParseError::Kind(raw.type_policy >> 4));
        }
        let ours = raw.header_size == OWN_SIZE && raw.flags == OWN_FLAGS;
        Ok(Self {
            count: ours.then(|| raw.count.get()),
            request_id: raw.request_id.get(),
            client_port: raw.client_port.get(),
            client_ip: Ipv4Addr::from(raw.client_ip),
        })
    }

    /// The datagram.
    #[must_use]
    pub fn emit(&self) -> [u8; FEEDBACK_LEN] {
        let ours = self.count.is_some();
        zerocopy::transmute!(RawFeedback {
            magic: MAGIC,
            header_size: if ours { OWN_SIZE } else { 0 },
            type_policy: (MessageKind::Feedback as u8) << 4,
            flags: if ours { OWN_FLAGS } else { 0 },
            count: U32::new(self.count.unwrap_or(0)),
            request_id: U16::new(self.request_id),
            client_port: U16::new(self.client_port),
            client_ip: self.client_ip.octets(),
        })
    }
}
