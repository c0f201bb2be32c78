//! Headers in front of payloads: Ethernet, a VLAN tag, IPv4, UDP.
//!
//! What does not depend on destination and payload is written and summed once, in [`Template`]s. A payload is measured
//! and summed once for all its destinations ([`Addressing::payload`]); each of them then costs a look for its next hop,
//! 42 or 46 bytes, and two sums of a few words.
//!
//! A packet whose next hop is not known can be kept until it is ([`Addressing::hold`]), as kernels do: the first packet
//! to a neighbour is not lost. Each sending thread keeps its own, in memory taken once, and asks the stack's thread to
//! look for the neighbour.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::checksum::{Sum, udp_pseudo_header};
use super::config::{StackConfig, Subnet, is_one_host};
use super::counters::{AddressingCounters, AddressingEvent};
use super::held::Held;
use super::mac::MacAddress;
use super::table::NeighbourReader;
use super::wire::{
    DO_NOT_FRAGMENT, ETHERNET_LEN, Ethernet, IPV4_LEN, Ipv4, PROTOCOL_UDP, TYPE_IPV4, TYPE_VLAN,
    UDP_LEN, Udp, VLAN_LEN, Vlan,
};
use crate::backend::Instant;

/// Bytes of the longest headers: with a VLAN tag.
pub const HEADERS_MAX: usize = ETHERNET_LEN + VLAN_LEN + IPV4_LEN + UDP_LEN;

/// Bytes of the IPv4 header that is written: for a device that writes checksums.
pub const IPV4_HEADER_LEN: usize = IPV4_LEN;

const IPV4_LEN_U16: u16 = 20;
const _: () = assert!(IPV4_LEN_U16 as usize == IPV4_LEN);

/// Time to live of unicast packets (RFC 1700).
const TTL: u8 = 64;

/// What the device does to frames that are sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Offload {
    /// It writes the checksum of the IPv4 header, in which it finds zero.
    pub ipv4: bool,
    /// It writes UDP's checksum, in whose place it finds the sum of the pseudo-header, not complemented.
    pub udp: bool,
    /// It inserts the VLAN's tag: headers come without.
    pub vlan: bool,
}

/// A payload, measured and summed.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// With UDP's header.
    len: u16,
    /// Of the payload; zero when the device sums.
    sum: Sum,
}

/// Why a packet got no headers. Each is counted where it is returned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The next hop is not known yet: [`Addressing::hold`] may keep the packet.
    Unresolved,
    /// No way leads there: outside the subnet without a gateway, IPv6, a broadcast, ourselves, port 0.
    Unreachable,
}

/// One sending thread's headers.
#[derive(Debug)]
pub struct Addressing {
    neighbours: NeighbourReader,
    subnet: Subnet,
    unicast: Template,
    multicast: Template,
    /// For kept packets: unicast, whatever the device can do.
    in_software: Template,
    offload: Offload,
    payload_max: usize,
    held: Held,
    counters: AddressingCounters,
}

/// All headers as bytes, but for destination, lengths and checksums.
#[derive(Clone, Copy, Debug)]
struct Template {
    bytes: [u8; HEADERS_MAX],
    /// Where the IPv4 header begins.
    ipv4_at: usize,
    /// Of that IPv4 header.
    ipv4_sum: Sum,
    /// Of UDP's pseudo-header without destination and length.
    pseudo_sum: Sum,
    source_port: u16,
}

impl Addressing {
    pub(super) fn new(config: &StackConfig, neighbours: NeighbourReader, offload: Offload) -> Self {
        Self {
            neighbours,
            subnet: config.subnet(),
            unicast: Template::new(config, offload, TTL),
            multicast: Template::new(config, offload, config.multicast_ttl),
            in_software: Template::new(config, Offload::default(), TTL),
            offload,
            payload_max: config.payload_max(),
            held: Held::new(config.payload_max(), config.hold_for),
            counters: AddressingCounters::default(),
        }
    }

    /// Measures a payload, gathered from `head` and `tail`, and sums it unless the device does. None when it is longer
    /// than [`StackConfig::payload_max`]; `packets`, how many were to be sent, are counted then.
    #[must_use]
    pub fn payload(&mut self, head: &[u8], tail: &[u8], packets: usize) -> Option<Payload> {
        let payload = self.measure(head, tail);
        if payload.is_none() {
            for _ in 0..packets {
                self.counters.count(AddressingEvent::TooLong);
            }
        }
        payload
    }

    /// Writes the headers of one packet with this payload to the front of `out`; returns how many bytes.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the packet cannot be sent, or cannot be sent now.
    #[inline]
    pub fn write(
        &mut self,
        to: SocketAddr,
        payload: Payload,
        out: &mut [u8; HEADERS_MAX],
    ) -> Result<usize, Refused> {
        match self.next_hop(to) {
            Ok(Hop::Known(mac, to)) => {
                self.counters.count(AddressingEvent::Addressed);
                let template = if mac.is_group() { &self.multicast } else { &self.unicast };
                Ok(template.write(mac, to, payload, self.offload, out))
            }
            Ok(Hop::Unknown(_)) => {
                self.counters.count(AddressingEvent::Unresolved);
                Err(Refused::Unresolved)
            }
            Err(event) => {
                self.counters.count(event);
                Err(Refused::Unreachable)
            }
        }
    }

    /// Keeps a packet that [`Self::write`] refused as [`Refused::Unresolved`], and has its next hop looked for. False
    /// when there is no room for it: eight per next hop, 32 in all.
    #[must_use]
    pub fn hold(&mut self, now: Instant, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        let hop = match self.next_hop(to) {
            Ok(Hop::Unknown(hop)) => hop,
            // A group's address needs no answer.
            Ok(Hop::Known(mac, _)) if mac.is_group() => return false,
            // Found meanwhile: released at once.
            Ok(Hop::Known(_, to)) => self.subnet.next_hop(*to.ip()).unwrap_or(*to.ip()),
            Err(_) => return false,
        };
        let SocketAddr::V4(to) = to else { return false };
        let Some(packet) = self.held.keep(now, hop, to, head, tail) else {
            self.counters.count(AddressingEvent::HeldFull);
            return false;
        };
        packet.is_asked = self.neighbours.ask(hop);
        true
    }

    /// Hands over the frames of kept packets whose next hop is known now, checksums written, tag in the frame; drops those
    /// that have waited for longer than a neighbour is looked for. Free when nothing is kept.
    pub fn release(&mut self, now: Instant, emit: &mut dyn FnMut(&[u8])) {
        if self.held.is_empty() {
            return;
        }
        let Self { neighbours, in_software, held, counters, .. } = self;
        held.retain(|packet| {
            if now >= packet.until {
                counters.count(AddressingEvent::HeldExpired);
                return false;
            }
            if let Some(mac) = neighbours.find(packet.hop) {
                let payload = Payload::of(packet.payload());
                let mut headers = [0; HEADERS_MAX];
                let plain = Offload::default();
                let len = in_software.write(mac, packet.to, payload, plain, &mut headers);
                counters.count(AddressingEvent::Released);
                emit(packet.frame(&headers[..len]));
                return false;
            }
            packet.is_asked = packet.is_asked || neighbours.ask(packet.hop);
            true
        });
    }

    /// When [`Self::release`] has something to drop; it may have something to send at any time before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.held.deadline()
    }

    /// Packets kept now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Bytes in front of the IPv4 header in what [`Self::write`] writes: for a device that writes checksums.
    #[must_use]
    pub fn ethernet_len(&self) -> usize {
        self.unicast.ipv4_at
    }

    /// Longest payload of one packet, in bytes.
    #[must_use]
    pub fn payload_max(&self) -> usize {
        self.payload_max
    }

    /// Totals.
    #[must_use]
    pub fn counters(&self) -> AddressingCounters {
        self.counters
    }

    fn measure(&self, head: &[u8], tail: &[u8]) -> Option<Payload> {
        let len = head.len() + tail.len();
        if len > self.payload_max {
            return None;
        }
        let sum = if self.offload.udp { Sum::ZERO } else { Sum::of_both(head, tail) };
        Some(Payload::new(len, sum))
    }

    fn next_hop(&self, to: SocketAddr) -> Result<Hop, AddressingEvent> {
        let SocketAddr::V4(to) = to else { return Err(AddressingEvent::BadDestination) };
        let ip = *to.ip();
        if to.port() == 0 {
            return Err(AddressingEvent::BadDestination);
        }
        if ip.is_multicast() {
            return Ok(Hop::Known(MacAddress::of_group(ip), to));
        }
        if !is_one_host(ip) || ip == self.subnet.own || self.subnet.is_broadcast(ip) {
            return Err(AddressingEvent::BadDestination);
        }
        let hop = self.subnet.next_hop(ip).ok_or(AddressingEvent::NoRoute)?;
        Ok(self.neighbours.find(hop).map_or(Hop::Unknown(hop), |mac| Hop::Known(mac, to)))
    }
}

impl Payload {
    fn of(bytes: &[u8]) -> Self {
        Self::new(bytes.len(), Sum::of(bytes))
    }

    /// At most as long as the MTU allows, which 16 bits hold.
    fn new(len: usize, sum: Sum) -> Self {
        Self { len: u16::try_from(len + UDP_LEN).unwrap_or(u16::MAX), sum }
    }
}

/// Where a packet goes next.
enum Hop {
    Known(MacAddress, SocketAddrV4),
    Unknown(Ipv4Addr),
}

impl Template {
    fn new(config: &StackConfig, offload: Offload, ttl: u8) -> Self {
        let vlan = config.vlan.filter(|_| !offload.vlan);
        let kind = if vlan.is_some() { TYPE_VLAN } else { TYPE_IPV4 };
        let ethernet = Ethernet { to: MacAddress::NOBODY, from: config.mac, kind: U16::new(kind) };
        let vlan = vlan.map(|vlan| Vlan { tag: U16::new(vlan), kind: U16::new(TYPE_IPV4) });
        let ipv4 = Ipv4 {
            version_len: 0x45,
            service: 0,
            len: U16::ZERO,
            // Nothing that may not be fragmented needs one (RFC 6864).
            identification: U16::ZERO,
            fragment: U16::new(DO_NOT_FRAGMENT),
            ttl,
            protocol: PROTOCOL_UDP,
            checksum: U16::ZERO,
            from: U32::new(config.own.ip().to_bits()),
            to: U32::ZERO,
        };
        let source_port = config.own.port();
        let nothing = U16::ZERO;
        let udp = Udp { from: U16::new(source_port), to: nothing, len: nothing, checksum: nothing };
        let tag = vlan.as_ref().map_or(&[][..], IntoBytes::as_bytes);
        let mut bytes = [0; HEADERS_MAX];
        let mut at = 0;
        for part in [ethernet.as_bytes(), tag, ipv4.as_bytes(), udp.as_bytes()] {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Self {
            bytes,
            ipv4_at: ETHERNET_LEN + tag.len(),
            ipv4_sum: Sum::of(ipv4.as_bytes()),
            pseudo_sum: udp_pseudo_header(*config.own.ip(), Ipv4Addr::UNSPECIFIED, 0),
            source_port,
        }
    }

    /// Copied, then changed where it differs: a header that is put together elsewhere waits for its own bytes.
    #[inline]
    fn write(
        &self,
        mac: MacAddress,
        to: SocketAddrV4,
        payload: Payload,
        offload: Offload,
        out: &mut [u8; HEADERS_MAX],
    ) -> usize {
        *out = self.bytes;
        let (front, rest) = out.split_at_mut(self.ipv4_at);
        front[..6].copy_from_slice(&mac.0);
        let parts = Ipv4::mut_from_prefix(rest).ok().and_then(|(ipv4, rest)| {
            let (udp, _) = Udp::mut_from_prefix(rest).ok()?;
            Some((ipv4, udp))
        });
        let Some((ipv4, udp)) = parts else { unreachable!("HEADERS_MAX has room for all headers") };
        let ip_len = payload.len + IPV4_LEN_U16;
        let destination = Sum::ZERO.and_address(*to.ip());
        ipv4.len = U16::new(ip_len);
        ipv4.to = U32::new(to.ip().to_bits());
        if !offload.ipv4 {
            let sum = self.ipv4_sum.and(destination).and_word(ip_len);
            ipv4.checksum = U16::new(sum.checksum());
        }
        let pseudo = self.pseudo_sum.and(destination).and_word(payload.len);
        let checksum = if offload.udp {
            pseudo.value()
        } else {
            let header = pseudo.and_word(self.source_port).and_word(to.port());
            // The length stands in the header as well.
            header.and_word(payload.len).and(payload.sum).udp_checksum()
        };
        udp.to = U16::new(to.port());
        udp.len = U16::new(payload.len);
        udp.checksum = U16::new(checksum);
        self.ipv4_at + IPV4_LEN + UDP_LEN
    }
}
