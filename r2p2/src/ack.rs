//! Payloads of ACK: the plain handshake's (wire.md 1.4), and packets wanted (wire.md 6).
//!
//! Packets wanted is a list of (first index u16, count u16), big endian: which packets of a long message its sender
//! should repeat, to the asker alone.

use core::ops::Range;

use crate::packet::ParseError;

/// Payload of the ACK to the first packet of a long plain request.
pub const ACK_PAYLOAD: [u8; 3] = *b"ACK";

/// Bytes of one pair.
const PAIR_LEN: usize = 4;

/// Pairs in one packet, at most.
pub const PAIRS_MAX: usize = 360;

/// The list in the payload of an ACK with the flag "packets wanted".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wanted<'a> {
    payload: &'a [u8],
}

impl<'a> Wanted<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`ParseError::Payload`] when it is empty, longer than [`PAIRS_MAX`] pairs, or not made of whole pairs.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let whole = payload.len().is_multiple_of(PAIR_LEN);
        if payload.is_empty() || payload.len() > PAIRS_MAX * PAIR_LEN || !whole {
            return Err(ParseError::Payload(payload.len()));
        }
        Ok(Self { payload })
    }

    /// The ranges of packet indexes, cut to a message of `packets` packets; an empty one is left out.
    pub fn ranges(self, packets: u16) -> impl Iterator<Item = Range<u16>> + 'a {
        self.payload.chunks_exact(PAIR_LEN).filter_map(move |pair| {
            let &[a, b, c, d] = pair else { return None };
            let first = u16::from_be_bytes([a, b]);
            let count = u16::from_be_bytes([c, d]);
            let range = first..first.saturating_add(count).min(packets);
            (!range.is_empty()).then_some(range)
        })
    }
}

/// Writes a list of wanted packets to the front of `payload`; returns how many bytes that took. What does not fit is
/// left out: it is asked for another time.
pub fn emit_wanted(holes: impl Iterator<Item = Range<u16>>, payload: &mut [u8]) -> usize {
    let mut len = 0;
    for (hole, pair) in holes.zip(payload.chunks_exact_mut(PAIR_LEN).take(PAIRS_MAX)) {
        let [a, b] = hole.start.to_be_bytes();
        let [c, d] = (hole.end - hole.start).to_be_bytes();
        pair.copy_from_slice(&[a, b, c, d]);
        len += PAIR_LEN;
    }
    len
}
