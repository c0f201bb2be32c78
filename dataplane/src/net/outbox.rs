//! Frames that the stack sends of its own accord, until they are polled; checksums in software, tags in the frame.

use core::net::Ipv4Addr;

use zerocopy::IntoBytes;
use zerocopy::byteorder::network_endian::{U16, U32};

use super::checksum::Sum;
use super::config::StackConfig;
use super::mac::MacAddress;
use super::wire::{
    Arp, DO_NOT_FRAGMENT, ETHERNET_LEN, Ethernet, FRAME_MIN, IPV4_LEN, Ipv4, TYPE_ARP, TYPE_IPV4,
    TYPE_VLAN, VLAN_LEN, Vlan,
};

/// Frames that wait, at most.
const FRAMES: usize = 32;

/// A ring of frames, in memory taken once.
#[derive(Debug)]
pub(super) struct Outbox {
    mac: MacAddress,
    mtu: u16,
    vlan: Option<u16>,
    memory: Box<[u8]>,
    /// Bytes from one frame to the next.
    stride: usize,
    lens: [usize; FRAMES],
    first: usize,
    count: usize,
}

/// The two operations of ARP (RFC 826).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub(super) enum ArpOperation {
    Request = 1,
    Reply = 2,
}

/// Fields of an IPv4 packet that differ from message to message.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpMessage<'a> {
    pub(super) to_mac: MacAddress,
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) protocol: u8,
    pub(super) service: u8,
    pub(super) ttl: u8,
    /// Whole words of 32 bits, at most ten.
    pub(super) options: &'a [u8],
}

impl Outbox {
    pub(super) fn new(config: &StackConfig) -> Self {
        let stride = (usize::from(config.mtu) + ETHERNET_LEN + VLAN_LEN).max(FRAME_MIN);
        Self {
            mac: config.mac,
            mtu: config.mtu,
            vlan: config.vlan,
            memory: vec![0; FRAMES * stride].into_boxed_slice(),
            stride,
            lens: [0; FRAMES],
            first: 0,
            count: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.count == FRAMES
    }

    /// Hands all of them over, oldest first.
    pub(super) fn drain(&mut self, emit: &mut dyn FnMut(&[u8])) {
        while self.count > 0 {
            let start = self.first * self.stride;
            emit(&self.memory[start..start + self.lens[self.first]]);
            self.first = (self.first + 1) % FRAMES;
            self.count -= 1;
        }
    }

    /// An ARP packet from this interface; its sender's address is `sender`. False when there is no room.
    pub(super) fn arp(
        &mut self,
        operation: ArpOperation,
        sender: Ipv4Addr,
        (target_mac, target): (MacAddress, Ipv4Addr),
        to: MacAddress,
    ) -> bool {
        let arp = Arp {
            hardware: U16::new(1),
            protocol: U16::new(TYPE_IPV4),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(operation as u16),
            sender_mac: self.mac,
            sender: U32::new(sender.to_bits()),
            target_mac,
            target: U32::new(target.to_bits()),
        };
        self.push(to, TYPE_ARP, &[arp.as_bytes()])
    }

    /// An IPv4 packet. False when there is no room, or it is longer than the MTU.
    pub(super) fn ip(&mut self, message: IpMessage<'_>, [head, tail]: [&[u8]; 2]) -> bool {
        let header_len = IPV4_LEN + message.options.len();
        let len = header_len + head.len() + tail.len();
        let (Ok(len), Ok(words)) = (u16::try_from(len), u8::try_from(header_len / 4)) else {
            return false;
        };
        if len > self.mtu {
            return false;
        }
        let mut header = Ipv4 {
            version_len: 0x40 | words,
            service: message.service,
            len: U16::new(len),
            identification: U16::ZERO,
            fragment: U16::new(DO_NOT_FRAGMENT),
            ttl: message.ttl,
            protocol: message.protocol,
            checksum: U16::ZERO,
            from: U32::new(message.from.to_bits()),
            to: U32::new(message.to.to_bits()),
        };
        let sum = Sum::of_both(header.as_bytes(), message.options);
        header.checksum = U16::new(sum.checksum());
        self.push(message.to_mac, TYPE_IPV4, &[header.as_bytes(), message.options, head, tail])
    }

    /// Zeroes fill a short frame: not every device does.
    fn push(&mut self, to: MacAddress, kind: u16, parts: &[&[u8]]) -> bool {
        if self.is_full() {
            return false;
        }
        let outer = if self.vlan.is_some() { TYPE_VLAN } else { kind };
        let ethernet = Ethernet { to, from: self.mac, kind: U16::new(outer) };
        let tag = self.vlan.map(|vlan| Vlan { tag: U16::new(vlan), kind: U16::new(kind) });
        let tag = tag.as_ref().map_or(&[][..], IntoBytes::as_bytes);
        let place = (self.first + self.count) % FRAMES;
        let frame = &mut self.memory[place * self.stride..][..self.stride];
        let mut len = 0;
        for part in [ethernet.as_bytes(), tag].iter().chain(parts) {
            let Some(room) = frame.get_mut(len..len + part.len()) else { return false };
            room.copy_from_slice(part);
            len += part.len();
        }
        let padded = len.max(FRAME_MIN);
        frame[len..padded].fill(0);
        self.lens[place] = padded;
        self.count += 1;
        true
    }
}
