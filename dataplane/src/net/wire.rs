//! The headers, byte for byte. What they mean is decided where they are used.
//!
//! Any bytes are a valid value of each; fields are big endian.

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::mac::MacAddress;

pub(super) const TYPE_IPV4: u16 = 0x0800;
pub(super) const TYPE_ARP: u16 = 0x0806;
/// A tag of IEEE 802.1Q.
pub(super) const TYPE_VLAN: u16 = 0x8100;

pub(super) const PROTOCOL_ICMP: u8 = 1;
pub(super) const PROTOCOL_IGMP: u8 = 2;
pub(super) const PROTOCOL_UDP: u8 = 17;

/// IPv4's flags and fragment offset: do not fragment.
pub(super) const DO_NOT_FRAGMENT: u16 = 0x4000;
/// More fragments, or an offset: part of a longer packet.
pub(super) const FRAGMENT: u16 = 0x3fff;

/// Priority bits of a VLAN tag, above the 12 of its number.
pub(super) const VLAN_NUMBER: u16 = 0x0fff;

/// The shortest frame of an Ethernet, without its check sequence.
pub(super) const FRAME_MIN: usize = 60;

/// Ethernet II.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Ethernet {
    pub(super) to: MacAddress,
    pub(super) from: MacAddress,
    pub(super) kind: U16,
}

/// What follows [`TYPE_VLAN`].
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Vlan {
    pub(super) tag: U16,
    pub(super) kind: U16,
}

/// IPv4 without options (RFC 791).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Ipv4 {
    /// High nibble: version. Low: length of the header in words of 32 bits.
    pub(super) version_len: u8,
    pub(super) service: u8,
    /// Header and payload; what is behind is padding.
    pub(super) len: U16,
    pub(super) identification: U16,
    pub(super) fragment: U16,
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) checksum: U16,
    pub(super) from: U32,
    pub(super) to: U32,
}

/// UDP (RFC 768).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Udp {
    pub(super) from: U16,
    pub(super) to: U16,
    /// Header and payload.
    pub(super) len: U16,
    pub(super) checksum: U16,
}

/// ARP for IPv4 on Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Arp {
    pub(super) hardware: U16,
    pub(super) protocol: U16,
    pub(super) hardware_len: u8,
    pub(super) protocol_len: u8,
    pub(super) operation: U16,
    pub(super) sender_mac: MacAddress,
    pub(super) sender: U32,
    pub(super) target_mac: MacAddress,
    pub(super) target: U32,
}

/// ICMP's first words (RFC 792); of an echo, the last two are its number and sequence.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Icmp {
    pub(super) kind: u8,
    pub(super) code: u8,
    pub(super) checksum: U16,
    pub(super) rest: U32,
}

/// IGMPv1 and v2 (RFC 1112, RFC 2236), and what a query and a report of v3 (RFC 3376) begin with.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Igmp {
    pub(super) kind: u8,
    /// Longest time to an answer, in tenths of a second; v3 codes long ones.
    pub(super) max_response: u8,
    pub(super) checksum: U16,
    /// In a report of v3: nothing, and the number of records.
    pub(super) group: U32,
}

/// A record of a report of IGMPv3 that names no sources (RFC 3376, 4.2.4).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct GroupRecord {
    pub(super) kind: u8,
    pub(super) auxiliary_len: u8,
    pub(super) sources: U16,
    pub(super) group: U32,
}

pub(super) const ETHERNET_LEN: usize = size_of::<Ethernet>();
pub(super) const VLAN_LEN: usize = size_of::<Vlan>();
pub(super) const IPV4_LEN: usize = size_of::<Ipv4>();
pub(super) const UDP_LEN: usize = size_of::<Udp>();

const _: () = assert!(
    ETHERNET_LEN == 14
        && VLAN_LEN == 4
        && IPV4_LEN == 20
        && UDP_LEN == 8
        && size_of::<Arp>() == 28
        && size_of::<Icmp>() == 8
        && size_of::<Igmp>() == 8
        && size_of::<GroupRecord>() == 8
);
