//! The Internet checksum (RFC 1071): the ones' complement sum of 16-bit words.
//!
//! Words are added eight bytes at a time in whatever order the machine has them, which the sum permits (RFC 1071, 2 B);
//! the bytes of the result are put in order at the end.

use core::net::Ipv4Addr;

use super::wire::PROTOCOL_UDP;

/// A sum of 16-bit words that is not yet complemented; sums add up to the sum of everything.
///
/// Carries are kept above 16 bits until the sum is asked for: there is room for 2^48 words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// Of nothing.
    pub const ZERO: Self = Self(0);

    /// Of bytes that begin at an even place of what is summed; behind an odd last byte stands a zero.
    #[inline]
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        // 32-bit halves in 64-bit lanes: no carry to look after for 4 billion of them, and the compiler uses vectors.
        let (mut low, mut high) = (0_u64, 0_u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for &word in words {
            let word = u64::from_le_bytes(word);
            low = low.wrapping_add(word & 0xffff_ffff);
            high = high.wrapping_add(word >> 32);
        }
        // What is left, without a copy of unknown length: it would cost more than the sum of a header.
        let (four, rest) = rest.split_first_chunk::<4>().unwrap_or((&[0; 4], rest));
        let (two, rest) = rest.split_first_chunk::<2>().unwrap_or((&[0; 2], rest));
        let one = rest.first().copied().unwrap_or(0);
        let last = u64::from(u32::from_le_bytes(*four)) + u64::from(u16::from_le_bytes(*two));
        let sum = fold(low + high + last + u64::from(one));
        Self(u64::from(sum.swap_bytes()))
    }

    /// Of two byte strings, one behind the other.
    #[inline]
    #[must_use]
    pub fn of_both(head: &[u8], tail: &[u8]) -> Self {
        let behind = Self::of(tail);
        let behind = if head.len().is_multiple_of(2) {
            behind
        } else {
            // Each of its bytes stands in the other half of a word (RFC 1071, 2 B).
            Self(u64::from(behind.value().swap_bytes()))
        };
        Self::of(head).and(behind)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// With one word more.
    #[must_use]
    pub fn and_word(self, word: u16) -> Self {
        self.and(Self(u64::from(word)))
    }

    /// With an address more.
    #[must_use]
    pub fn and_address(self, address: Ipv4Addr) -> Self {
        let bits = u64::from(address.to_bits());
        self.and(Self((bits >> 16) + (bits & 0xffff)))
    }

    /// The sum itself, which a device that ends the checksum wants in its place.
    #[must_use]
    pub fn value(self) -> u16 {
        fold(self.0)
    }

    /// The checksum.
    #[must_use]
    pub fn checksum(self) -> u16 {
        !self.value()
    }

    /// UDP's checksum: a computed zero is sent as all ones, for zero says that there is none (RFC 768).
    #[must_use]
    pub fn udp_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            sum => sum,
        }
    }

    /// Whether bytes with their checksum among them, summed up to this, are as they were sent.
    #[must_use]
    pub fn is_intact(self) -> bool {
        self.value() == 0xffff
    }
}

/// UDP's pseudo-header (RFC 768); `len` is that of header and payload.
pub(super) fn udp_pseudo_header(from: Ipv4Addr, to: Ipv4Addr, len: u16) -> Sum {
    Sum::ZERO.and_address(from).and_address(to).and_word(u16::from(PROTOCOL_UDP)).and_word(len)
}

/// To 16 bits, carries added back in: a value and itself with its halves exchanged have the folded sum, carry included, in
/// their upper half.
#[inline]
fn fold(sum: u64) -> u16 {
    let [a, b, c, d, ..] = sum.wrapping_add(sum.rotate_left(32)).to_be_bytes();
    let sum = u32::from_be_bytes([a, b, c, d]);
    let [a, b, ..] = sum.wrapping_add(sum.rotate_left(16)).to_be_bytes();
    u16::from_be_bytes([a, b])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the definition has it, a word at a time.
    fn slow(bytes: &[u8]) -> u16 {
        let mut sum = 0_u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        u16::try_from(sum).unwrap()
    }

    /// RFC 1071, section 3: the sum of these bytes is ddf2.
    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).value(), 0xddf2);
        assert_eq!(Sum::of(&bytes).checksum(), 0x220d);
        // "Byte-by-byte" with an odd boundary: 0001 f203 f4 | f5 f6f7.
        assert_eq!(Sum::of_both(&bytes[..5], &bytes[5..]).value(), 0xddf2);
    }

    /// RFC 1624, section 4 corrects what an update may give: a sum of all ones is intact, and checksum 0.
    #[test]
    fn all_ones_is_intact() {
        assert!(Sum::of(&[0xff; 1500]).is_intact());
        assert_eq!(Sum::of(&[0xff; 1500]).checksum(), 0);
        assert_eq!(Sum::of(&[0xff; 1500]).udp_checksum(), 0xffff);
        assert!(!Sum::of(&[0; 20]).is_intact());
    }

    proptest! {
        #[test]
        fn fast_is_slow(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(Sum::of(&bytes).value(), slow(&bytes));
            prop_assert_eq!(Sum::of_both(&bytes[..cut], &bytes[cut..]).value(), slow(&bytes));
        }

        #[test]
        fn fast_is_slow_where_all_words_are_large(len in 0_usize..20_000, byte in 0xf0_u8..) {
            let bytes = vec![byte; len];
            prop_assert_eq!(Sum::of(&bytes).value(), slow(&bytes));
        }
    }
}
