//! The session extension behind the R2P2 header (wire.md 6).
//!
//! ```text
//!   0  R2P2 header, header size 32 or, in a RESPONSE, 40
//!   8  session         8   0 in an opening request and without a session
//!  16  number          8   from 1; in an opening request the client's nonce
//!  24  packets         2   in the message, in every packet
//!  26  above floor     2   number minus the lowest number neither answered nor given up
//!  28  version         1   1
//!  29  flags           1   1 opens, 2 closes, 4 packets wanted, 8 repeats
//!  30  reserved        2   0
//!  32  executed        8   only in a RESPONSE: log index of the execution; 0 = outside the log
//! ```
//!
//! Unknown flags and reserved bytes that are not zero are refused: what they change in the meaning is not known here.

use zerocopy::byteorder::network_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::header::HEADER_LEN;
use crate::packet::ParseError;

/// Version of the extension that this crate speaks.
pub const VERSION: u8 = 1;

/// Bytes of header and extension.
pub const EXTENDED_LEN: usize = HEADER_LEN + size_of::<RawExtension>();

/// Bytes of header and extension in a RESPONSE.
pub const EXTENDED_RESPONSE_LEN: usize = EXTENDED_LEN + size_of::<U64>();

/// Bytes of the longest header.
pub const HEAD_MAX: usize = EXTENDED_RESPONSE_LEN;

const FLAG_OPENS: u8 = 1;
const FLAG_CLOSES: u8 = 2;
const FLAG_WANTED: u8 = 4;
const FLAG_REPEATS: u8 = 8;

/// Bytes 8..32, named.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawExtension {
    session: U64,
    number: U64,
    packets: U16,
    above_floor: U16,
    version: u8,
    flags: u8,
    reserved: U16,
}

const _: () = assert!(EXTENDED_LEN == 32 && EXTENDED_RESPONSE_LEN == 40);

/// What a packet says beyond plain R2P2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Extension {
    /// The session; 0 in an opening request and in requests without a session.
    pub session: u64,
    /// Number of the request, from 1; in an opening request the client's nonce.
    pub number: u64,
    /// Packets in the message, 1 to [`crate::header::PACKETS_MAX`]; the same in each of them.
    pub packets: u16,
    /// `number` minus the lowest number neither answered nor given up (HC7b).
    pub above_floor: u16,
    /// What kind of request this is.
    pub flags: Flags,
    /// Log index at which the request was executed, 0 = outside the log. Only a RESPONSE has it; else 0.
    pub executed: u64,
}

/// The extension's flags.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags {
    /// Opens a session: `number` is a nonce.
    pub opens: bool,
    /// Closes the session.
    pub closes: bool,
    /// An ACK that names packets to repeat.
    pub wanted: bool,
    /// The client repeats this request; for counters only.
    pub repeats: bool,
}

impl Extension {
    /// The lowest number neither answered nor given up.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.number.saturating_sub(self.above_floor.into())
    }

    /// What bytes 8..32 mean, `executed` apart.
    #[inline]
    pub(crate) fn from_raw(raw: &RawExtension) -> Result<Self, ParseError> {
        if raw.version != VERSION {
            return Err(ParseError::Version(raw.version));
        }
        if raw.reserved.get() != 0 {
            return Err(ParseError::Reserved);
        }
        Ok(Self {
            session: raw.session.get(),
            number: raw.number.get(),
            packets: raw.packets.get(),
            above_floor: raw.above_floor.get(),
            flags: Flags::from_wire(raw.flags)?,
            executed: 0,
        })
    }

    pub(crate) fn to_raw(self) -> RawExtension {
        RawExtension {
            session: U64::new(self.session),
            number: U64::new(self.number),
            packets: U16::new(self.packets),
            above_floor: U16::new(self.above_floor),
            version: VERSION,
            flags: self.flags.to_wire(),
            reserved: U16::ZERO,
        }
    }
}

impl Flags {
    /// None set.
    pub const NONE: Self = Self { opens: false, closes: false, wanted: false, repeats: false };

    /// From the byte of a packet.
    ///
    /// # Errors
    ///
    /// [`ParseError::Reserved`] when a bit without a meaning is set.
    pub fn from_wire(bits: u8) -> Result<Self, ParseError> {
        let flags = Self {
            opens: bits & FLAG_OPENS != 0,
            closes: bits & FLAG_CLOSES != 0,
            wanted: bits & FLAG_WANTED != 0,
            repeats: bits & FLAG_REPEATS != 0,
        };
        if flags.to_wire() == bits { Ok(flags) } else { Err(ParseError::Reserved) }
    }

    /// As the byte of a packet.
    #[must_use]
    pub fn to_wire(self) -> u8 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.opens, FLAG_OPENS)
            | bit(self.closes, FLAG_CLOSES)
            | bit(self.wanted, FLAG_WANTED)
            | bit(self.repeats, FLAG_REPEATS)
    }
}
