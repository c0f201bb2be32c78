//! One interface: frames in, datagrams out; and the frames that it owes to others.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::addressing::{Addressing, Offload};
use super::announce::Announcements;
use super::checksum::Sum;
use super::config::{ConfigError, StackConfig, Subnet};
use super::counters::{StackCounters, StackEvent};
use super::echo::Echoes;
use super::mac::MacAddress;
use super::membership::{ALL_HOSTS, Membership};
use super::neighbours::Neighbours;
use super::outbox::{ArpOperation, Outbox};
use super::receive::{ArpPacket, DeviceSays, Frame, Kind, Packet, Protocol, UdpPacket};
use super::table::NeighbourReader;
use crate::backend::{ArrivedAt, Instant};

/// A UDP packet that came for us; its payload is a slice of the frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// The address it came to.
    pub to: ArrivedAt,
    /// UDP payload.
    pub bytes: &'a [u8],
}

/// The network stack of one interface, without I/O and clock.
#[derive(Debug)]
pub struct Stack {
    config: StackConfig,
    subnet: Subnet,
    neighbours: Neighbours,
    announcements: Announcements,
    membership: Membership,
    echoes: Echoes,
    outbox: Outbox,
    counters: StackCounters,
    duplicate: Option<MacAddress>,
}

impl Stack {
    /// An interface that has said nothing yet: the first [`Self::poll`] announces it and joins its groups.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the value that is wrong.
    pub fn new(config: StackConfig, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let own = *config.own.ip();
        let groups = config.groups.iter().map(|group| *group.ip());
        Ok(Self {
            neighbours: Neighbours::new(own, config.gateway),
            announcements: Announcements::new(own, now),
            membership: Membership::new(own, groups, config.igmp, now),
            echoes: Echoes::new(own, now),
            outbox: Outbox::new(&config),
            counters: StackCounters::default(),
            duplicate: None,
            subnet: config.subnet(),
            config,
        })
    }

    /// The headers of one sending thread, on a device that does what `offload` says. Any number of threads may have one.
    #[must_use]
    pub fn addressing(&self, offload: Offload) -> Addressing {
        Addressing::new(&self.config, self.neighbours.reader(), offload)
    }

    /// The neighbours, for a thread that sends.
    #[must_use]
    pub fn neighbours(&self) -> NeighbourReader {
        self.neighbours.reader()
    }

    /// Takes one received frame, without its check sequence; returns the datagram in it if it is one for us. Everything
    /// else is answered at the next [`Self::poll`], heard, or dropped, and counted.
    #[inline]
    pub fn take<'a>(
        &mut self,
        now: Instant,
        frame: &'a [u8],
        device: DeviceSays,
    ) -> Option<Datagram<'a>> {
        match self.sort(now, frame, device) {
            Ok(datagram) => {
                self.counters.count(StackEvent::Datagram);
                Some(datagram)
            }
            Err(event) => {
                self.counters.count(event);
                None
            }
        }
    }

    /// Hands over the frames that the stack itself has to send now, whole: checksums written, tag in the frame.
    /// One load and two compares when there are none.
    #[inline]
    pub fn poll(&mut self, now: Instant, emit: &mut dyn FnMut(&[u8])) {
        self.neighbours.poll(now, &mut self.outbox, &mut self.counters);
        if self.announcements.deadline().is_some_and(|due| due <= now) {
            self.announcements.poll(now, &mut self.outbox);
        }
        if self.membership.deadline().is_some_and(|due| due <= now) {
            let reports = self.membership.poll(now, &mut self.outbox);
            self.count_reports(reports);
        }
        self.outbox.drain(emit);
    }

    /// When [`Self::poll`] next has something to do, unless a frame or a sender's miss comes before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        if !self.outbox.is_empty() {
            return Instant::ZERO;
        }
        let due =
            [self.neighbours.deadline(), self.announcements.deadline(), self.membership.deadline()];
        due.into_iter().flatten().min().unwrap_or(Instant::MAX)
    }

    /// The link was down: the segment is told anew who is here, and which groups it is member of.
    pub fn link_up(&mut self, now: Instant) {
        self.announcements.again(now);
        self.membership.join_again(now);
    }

    /// Hands over the frames that say that this interface leaves its groups: the last ones.
    pub fn leave(&mut self, now: Instant, emit: &mut dyn FnMut(&[u8])) {
        self.outbox.drain(emit);
        let reports = self.membership.leave(now, &mut self.outbox);
        self.count_reports(reports);
        self.outbox.drain(emit);
    }

    /// The host last heard that says our address is its own: to be told to the operator.
    #[must_use]
    pub fn duplicate(&self) -> Option<MacAddress> {
        self.duplicate
    }

    /// The configuration, which holds together.
    #[must_use]
    pub fn config(&self) -> &StackConfig {
        &self.config
    }

    /// Totals.
    #[must_use]
    pub fn counters(&self) -> StackCounters {
        self.counters
    }

    #[inline]
    fn sort<'a>(
        &mut self,
        now: Instant,
        bytes: &'a [u8],
        device: DeviceSays,
    ) -> Result<Datagram<'a>, StackEvent> {
        let frame = Frame::parse(bytes, device.vlan, self.config.vlan)?;
        if *frame.from == self.config.mac {
            return Err(StackEvent::Echoed);
        }
        if !frame.from.is_one_interface() {
            return Err(StackEvent::BadSource);
        }
        match frame.kind {
            Kind::Ipv4 => self.on_ipv4(now, &frame, device),
            Kind::Arp => Err(self.on_arp(now, &frame)),
        }
    }

    #[inline]
    fn on_ipv4<'a>(
        &mut self,
        now: Instant,
        frame: &Frame<'a>,
        device: DeviceSays,
    ) -> Result<Datagram<'a>, StackEvent> {
        // Before anything is computed: on a hub, or where a switch floods, most frames are others'.
        let is_ours = *frame.to == self.config.mac;
        if !is_ours && (!frame.to.is_group() || *frame.to == MacAddress::BROADCAST) {
            return Err(StackEvent::WrongMac);
        }
        let packet = Packet::parse(frame.payload, device.ipv4)?;
        // B4: has passed this before.
        let agreed = self.neighbours.agrees((packet.from, *frame.from));
        if !agreed && (packet.from == self.subnet.own || self.subnet.is_broadcast(packet.from)) {
            return Err(StackEvent::BadSource);
        }
        // A group's packet may come to our own address (switches that turn multicast into unicast); ours may not come to
        // a group's (RFC 1122, 3.3.6).
        let is_groups = packet.to.is_multicast() && *frame.to == MacAddress::of_group(packet.to);
        if !is_ours && !is_groups {
            return Err(StackEvent::WrongMac);
        }
        match packet.protocol {
            Protocol::Udp => self.on_udp(now, (*frame.from, agreed), &packet, device),
            Protocol::Icmp => Err(self.on_icmp(now, *frame.from, &packet)),
            Protocol::Igmp => Err(self.on_igmp(now, &packet)),
        }
    }

    #[inline]
    fn on_udp<'a>(
        &mut self,
        now: Instant,
        (from_mac, agreed): (MacAddress, bool),
        packet: &Packet<'a>,
        device: DeviceSays,
    ) -> Result<Datagram<'a>, StackEvent> {
        if !self.is_our_address(packet.to) {
            return Err(StackEvent::OtherAddress);
        }
        let udp = UdpPacket::parse(packet, device.udp)?;
        let to = SocketAddrV4::new(packet.to, udp.to);
        let to = self.listener(to).ok_or(StackEvent::OtherPort)?;
        if !agreed && self.subnet.is_neighbour(packet.from) {
            self.neighbours.heard(now, (packet.from, from_mac), &mut self.counters);
        }
        let from = SocketAddr::V4(SocketAddrV4::new(packet.from, udp.from));
        Ok(Datagram { from, to, bytes: udp.bytes })
    }

    fn on_icmp(&mut self, now: Instant, from_mac: MacAddress, packet: &Packet<'_>) -> StackEvent {
        if packet.to != *self.config.own.ip() {
            return StackEvent::OtherAddress;
        }
        if !Sum::of(packet.payload).is_intact() {
            return StackEvent::BadChecksum;
        }
        self.echoes.take(now, (packet.from, from_mac), packet.payload, &mut self.outbox)
    }

    /// Queries go to all hosts, or to the group that they are about (RFC 3376, 4.1.12).
    fn on_igmp(&mut self, now: Instant, packet: &Packet<'_>) -> StackEvent {
        if packet.to != ALL_HOSTS && !self.is_our_address(packet.to) {
            return StackEvent::OtherAddress;
        }
        if !Sum::of(packet.payload).is_intact() {
            return StackEvent::BadChecksum;
        }
        if self.membership.take(now, packet.payload) {
            StackEvent::IgmpQuery
        } else {
            StackEvent::OtherIgmp
        }
    }

    fn on_arp(&mut self, now: Instant, frame: &Frame<'_>) -> StackEvent {
        let is_ours = *frame.to == self.config.mac;
        if !is_ours && *frame.to != MacAddress::BROADCAST {
            return StackEvent::WrongMac;
        }
        let Some(arp) = ArpPacket::parse(frame.payload) else { return StackEvent::ArpIgnored };
        let own = *self.config.own.ip();
        if arp.sender_mac == self.config.mac {
            return StackEvent::Echoed;
        }
        if arp.sender == own {
            self.duplicate = Some(arp.sender_mac);
            self.announcements.defend(now);
            return StackEvent::DuplicateAddress;
        }
        let for_us = arp.target == own;
        let told = self.subnet.is_neighbour(arp.sender)
            && self.neighbours.told(
                now,
                (arp.sender, arp.sender_mac),
                (for_us, arp.is_reply),
                &mut self.counters,
            );
        // Somebody without an address asks whether ours is free (RFC 5227, 2.1.1): it hears that it is not.
        let may_ask = arp.sender.is_unspecified() || told;
        if for_us && !arp.is_reply && may_ask {
            let target = (arp.sender_mac, arp.sender);
            let sent = self.outbox.arp(ArpOperation::Reply, own, target, arp.sender_mac);
            return if sent { StackEvent::ArpRequest } else { StackEvent::OwnDropped };
        }
        if told { StackEvent::ArpHeard } else { StackEvent::ArpIgnored }
    }

    #[inline]
    fn is_our_address(&self, ip: Ipv4Addr) -> bool {
        ip == *self.config.own.ip() || self.config.groups.iter().any(|group| *group.ip() == ip)
    }

    #[inline]
    fn listener(&self, to: SocketAddrV4) -> Option<ArrivedAt> {
        if to == self.config.own {
            return Some(ArrivedAt::Own);
        }
        let place = self.config.groups.iter().position(|&group| group == to)?;
        u8::try_from(place).ok().map(ArrivedAt::Group)
    }

    fn count_reports(&mut self, (sent, lost): (u64, u64)) {
        for _ in 0..sent {
            self.counters.count(StackEvent::IgmpReport);
        }
        for _ in 0..lost {
            self.counters.count(StackEvent::OwnDropped);
        }
    }
}
