//! Ethernet addresses.

use core::fmt;
use core::net::Ipv4Addr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The address of an Ethernet interface, or of a group of them.
#[derive(
    Clone, Copy, Debug, Eq, FromBytes, Hash, Immutable, IntoBytes, KnownLayout, PartialEq, Unaligned,
)]
#[repr(transparent)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Everybody on the segment.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// Nobody: what an ARP request has where the answer is to stand.
    pub const NOBODY: Self = Self([0; 6]);

    /// Where frames to a multicast group go: 01:00:5e and the low 23 bits of the address (RFC 1112, 6.4).
    #[must_use]
    pub const fn of_group(group: Ipv4Addr) -> Self {
        let [_, b, c, d] = group.octets();
        Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
    }

    /// Whether it stands for many (multicast, broadcast).
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether one interface can have it.
    #[must_use]
    pub fn is_one_interface(self) -> bool {
        !self.is_group() && self != Self::NOBODY
    }

    /// In the low 48 bits.
    pub(super) fn to_bits(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// From the low 48 bits.
    pub(super) fn from_bits(bits: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = bits.to_be_bytes();
        Self([a, b, c, d, e, f])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each octet of its own value: a mapping that takes one octet twice, or 24 bits, fails.
    #[test]
    fn a_groups_address_has_its_low_23_bits() {
        for (group, mac) in [
            ("224.0.0.1", "01:00:5e:00:00:01"),
            ("224.0.0.22", "01:00:5e:00:00:16"),
            ("239.1.2.3", "01:00:5e:01:02:03"),
            ("239.129.2.3", "01:00:5e:01:02:03"),
            ("224.123.45.6", "01:00:5e:7b:2d:06"),
            ("239.255.254.253", "01:00:5e:7f:fe:fd"),
        ] {
            assert_eq!(MacAddress::of_group(group.parse().unwrap()).to_string(), mac, "{group}");
        }
    }

    #[test]
    fn bits_go_there_and_back() {
        let mac = MacAddress([2, 3, 4, 5, 6, 7]);
        assert_eq!(MacAddress::from_bits(mac.to_bits()), mac);
        assert!(mac.is_one_interface());
        assert!(!MacAddress::BROADCAST.is_one_interface());
        assert!(!MacAddress::NOBODY.is_one_interface());
    }
}
