//! A received frame, taken apart: each header is judged once, where it stands, and what is behind it is a slice of the
//! frame.

use core::net::Ipv4Addr;

use zerocopy::FromBytes;

use super::checksum::{Sum, udp_pseudo_header};
use super::config::is_one_host;
use super::counters::StackEvent;
use super::mac::MacAddress;
use super::wire::{
    Arp, Ethernet, FRAGMENT, IPV4_LEN, Ipv4, PROTOCOL_ICMP, PROTOCOL_IGMP, PROTOCOL_UDP, TYPE_ARP,
    TYPE_IPV4, TYPE_VLAN, UDP_LEN, Udp, VLAN_NUMBER, Vlan,
};

/// What the device says of a checksum of a received frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Checksum {
    /// It is right, or the frame never left this machine: taken at its word.
    Good,
    /// It is wrong. Computed once more: cards are known that say so of UDP packets without a checksum.
    Bad,
    /// Not looked at: computed here.
    #[default]
    Unknown,
}

/// What the device says of a received frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DeviceSays {
    /// Of the IPv4 header's checksum.
    pub ipv4: Checksum,
    /// Of UDP's. Those of ICMP and IGMP are always computed.
    pub udp: Checksum,
    /// The tag of the VLAN that it has taken out of the frame, priority bits and all.
    pub vlan: Option<u16>,
}

/// A frame's Ethernet header and tag, and what is behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) to: &'a MacAddress,
    pub(super) from: &'a MacAddress,
    pub(super) kind: Kind,
    pub(super) payload: &'a [u8],
}

/// The protocols that are spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Arp,
    Ipv4,
}

/// An IPv4 packet that is whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) protocol: Protocol,
    /// As long as the header says; padding is cut off.
    pub(super) payload: &'a [u8],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Icmp,
    Igmp,
    Udp,
}

/// A UDP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct UdpPacket<'a> {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) bytes: &'a [u8],
}

/// An ARP packet of IPv4 on Ethernet.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArpPacket {
    pub(super) is_reply: bool,
    pub(super) sender_mac: MacAddress,
    pub(super) sender: Ipv4Addr,
    pub(super) target: Ipv4Addr,
}

impl<'a> Frame<'a> {
    /// Of the VLAN `wanted`, or of none.
    #[inline]
    pub(super) fn parse(
        frame: &'a [u8],
        stripped: Option<u16>,
        wanted: Option<u16>,
    ) -> Result<Self, StackEvent> {
        let Ok((ethernet, mut payload)) = Ethernet::ref_from_prefix(frame) else {
            return Err(StackEvent::Short);
        };
        let mut kind = ethernet.kind.get();
        let mut tag = stripped;
        if kind == TYPE_VLAN {
            if tag.is_some() {
                // A tag within a tag: another network's.
                return Err(StackEvent::OtherVlan);
            }
            let Ok((vlan, rest)) = Vlan::ref_from_prefix(payload) else {
                return Err(StackEvent::Short);
            };
            (kind, tag, payload) = (vlan.kind.get(), Some(vlan.tag.get()), rest);
        }
        // VLAN 0 is none: the tag is for its priority only (IEEE 802.1Q, 9.6).
        let number = tag.map(|tag| tag & VLAN_NUMBER).filter(|&number| number != 0);
        if number != wanted {
            return Err(StackEvent::OtherVlan);
        }
        let kind = match kind {
            TYPE_IPV4 => Kind::Ipv4,
            TYPE_ARP => Kind::Arp,
            TYPE_VLAN => return Err(StackEvent::OtherVlan),
            _ => return Err(StackEvent::OtherProtocol),
        };
        Ok(Self { to: &ethernet.to, from: &ethernet.from, kind, payload })
    }
}

impl<'a> Packet<'a> {
    /// Options are skipped; fragments are refused.
    #[inline]
    pub(super) fn parse(bytes: &'a [u8], device: Checksum) -> Result<Self, StackEvent> {
        let Ok((header, _)) = Ipv4::ref_from_prefix(bytes) else { return Err(StackEvent::Short) };
        let header_len = usize::from(header.version_len & 15) * 4;
        let len = usize::from(header.len.get());
        if header.version_len >> 4 != 4 || header_len < IPV4_LEN || len < header_len {
            return Err(StackEvent::BadHeader);
        }
        let Some(packet) = bytes.get(..len) else { return Err(StackEvent::Short) };
        let (with_options, payload) = packet.split_at(header_len);
        if device != Checksum::Good && !Sum::of(with_options).is_intact() {
            return Err(StackEvent::BadChecksum);
        }
        if header.fragment.get() & FRAGMENT != 0 {
            return Err(StackEvent::Fragment);
        }
        let protocol = match header.protocol {
            PROTOCOL_UDP => Protocol::Udp,
            PROTOCOL_ICMP => Protocol::Icmp,
            PROTOCOL_IGMP => Protocol::Igmp,
            _ => return Err(StackEvent::OtherProtocol),
        };
        let [from, to] = [header.from, header.to].map(|address| Ipv4Addr::from_bits(address.get()));
        // Queriers of snooping switches that have no address ask from 0.0.0.0.
        let may_have_none = protocol == Protocol::Igmp;
        if !(is_one_host(from) || (may_have_none && from.is_unspecified())) {
            return Err(StackEvent::BadSource);
        }
        Ok(Self { from, to, protocol, payload })
    }
}

impl<'a> UdpPacket<'a> {
    #[inline]
    pub(super) fn parse(packet: &Packet<'a>, device: Checksum) -> Result<Self, StackEvent> {
        let Ok((header, _)) = Udp::ref_from_prefix(packet.payload) else {
            return Err(StackEvent::Short);
        };
        let len = header.len.get();
        if usize::from(len) < UDP_LEN {
            return Err(StackEvent::BadHeader);
        }
        let Some(datagram) = packet.payload.get(..len.into()) else {
            return Err(StackEvent::Short);
        };
        // Zero: the sender computed none.
        if device != Checksum::Good && header.checksum.get() != 0 {
            let pseudo = udp_pseudo_header(packet.from, packet.to, len);
            if !pseudo.and(Sum::of(datagram)).is_intact() {
                return Err(StackEvent::BadChecksum);
            }
        }
        let (from, to) = (header.from.get(), header.to.get());
        Ok(Self { from, to, bytes: &datagram[UDP_LEN..] })
    }
}

impl ArpPacket {
    /// None: another hardware's, another protocol's, or an operation that is neither request nor reply.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (arp, _) = Arp::ref_from_prefix(bytes).ok()?;
        let is_ours = arp.hardware.get() == 1
            && arp.protocol.get() == TYPE_IPV4
            && arp.hardware_len == 6
            && arp.protocol_len == 4
            && (1..=2).contains(&arp.operation.get());
        let [sender, target] = [arp.sender, arp.target].map(|ip| Ipv4Addr::from_bits(ip.get()));
        let packet =
            Self { is_reply: arp.operation.get() == 2, sender_mac: arp.sender_mac, sender, target };
        (is_ours && arp.sender_mac.is_one_interface()).then_some(packet)
    }
}
