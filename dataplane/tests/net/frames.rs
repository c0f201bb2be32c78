//! Frames built and read by `etherparse`. Host `n` is 10.0.0.n with port 8000, at 02:00:00:00:00:n.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dataplane::net::{DeviceSays, MacAddress, Stack, StackConfig, StackEvent};
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, ArpPacket, EtherType, Ethernet2Header, Icmpv4Header, IgmpSlice,
    IpNumber, Ipv4Header, LinkSlice, NetSlice, SingleVlanHeader, SlicedPacket, UdpHeader, VlanId,
    igmp::ReportGroupRecordV3Slice,
};

pub(crate) const GROUP: &str = "239.129.2.3:7000";
pub(crate) const BROADCAST: MacAddress = MacAddress::BROADCAST;

pub(crate) fn mac(n: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, n])
}

pub(crate) fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

pub(crate) fn host(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(ip(n), 8000)
}

pub(crate) fn group() -> SocketAddrV4 {
    GROUP.parse().unwrap()
}

/// Member of [`GROUP`] and 239.0.0.9:7001, in 10.0.0.0/24.
pub(crate) fn config(n: u8) -> StackConfig {
    let groups = vec!["239.0.0.9:7001".parse().unwrap(), group()];
    StackConfig { groups, ..StackConfig::new(mac(n), host(n), 24) }
}

pub(crate) fn stack(n: u8) -> Stack {
    Stack::new(config(n), Duration::ZERO).unwrap()
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Takes a frame of which the device says nothing; what became of it is the one total that it raised first.
pub(crate) fn event(stack: &mut Stack, now: Duration, frame: &[u8]) -> StackEvent {
    let before = stack.counters();
    let _datagram = stack.take(now, frame, DeviceSays::default());
    let after = stack.counters();
    let raised = |event: &&StackEvent| after.of(**event) > before.of(**event);
    *StackEvent::ALL.iter().find(raised).unwrap()
}

/// What the stack wants to send.
pub(crate) fn polled(stack: &mut Stack, now: Duration) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    stack.poll(now, &mut |frame| frames.push(frame.to_vec()));
    frames
}

/// Past announcements and joining.
pub(crate) fn settled(mut stack: Stack) -> Stack {
    for second in 0..10 {
        polled(&mut stack, seconds(second));
    }
    stack
}

/// An IPv4 packet in a frame, all of whose parts a test may change before [`Self::bytes`].
#[derive(Clone, Debug)]
pub(crate) struct IpFrame {
    pub(crate) from: MacAddress,
    pub(crate) to: MacAddress,
    pub(crate) vlan: Option<u16>,
    pub(crate) ip: Ipv4Header,
    pub(crate) payload: Vec<u8>,
    /// Bytes behind the packet.
    pub(crate) padding: usize,
}

impl IpFrame {
    pub(crate) fn new(
        (from, from_ip): (MacAddress, Ipv4Addr),
        (to, to_ip): (MacAddress, Ipv4Addr),
        protocol: IpNumber,
        payload: Vec<u8>,
    ) -> Self {
        let ip = Ipv4Header::new(0, 64, protocol, from_ip.octets(), to_ip.octets()).unwrap();
        Self { from, to, vlan: None, ip, payload, padding: 0 }
    }

    /// From host `n` to host `to`.
    pub(crate) fn udp(n: u8, to: u8, payload: &[u8]) -> Self {
        Self::udp_between((mac(n), host(n)), (mac(to), host(to)), payload)
    }

    pub(crate) fn udp_between(
        (from_mac, from): (MacAddress, SocketAddrV4),
        (to_mac, to): (MacAddress, SocketAddrV4),
        payload: &[u8],
    ) -> Self {
        let from_to = ((from_mac, *from.ip()), (to_mac, *to.ip()));
        let mut frame = Self::new(from_to.0, from_to.1, IpNumber::UDP, Vec::new());
        let udp =
            UdpHeader::with_ipv4_checksum(from.port(), to.port(), &frame.ip, payload).unwrap();
        frame.payload = [&udp.to_bytes(), payload].concat();
        frame
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut ip = self.ip.clone();
        ip.set_payload_len(self.payload.len()).unwrap();
        ip.header_checksum = ip.calc_header_checksum();
        let mut bytes = ethernet(self.from, self.to, self.vlan, EtherType::IPV4);
        bytes.extend_from_slice(&ip.to_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes.resize(bytes.len() + self.padding, 0xee);
        bytes
    }
}

pub(crate) fn ethernet(
    from: MacAddress,
    to: MacAddress,
    vlan: Option<u16>,
    kind: EtherType,
) -> Vec<u8> {
    let ether_type = if vlan.is_some() { EtherType::VLAN_TAGGED_FRAME } else { kind };
    let header = Ethernet2Header { source: from.0, destination: to.0, ether_type };
    let mut bytes = header.to_bytes().to_vec();
    if let Some(vlan) = vlan {
        let vlan_id = VlanId::try_new(vlan).unwrap();
        let tag = SingleVlanHeader { vlan_id, ether_type: kind, ..SingleVlanHeader::default() };
        bytes.extend_from_slice(&tag.to_bytes());
    }
    bytes
}

/// An ARP packet in a frame from its sender to `to`.
pub(crate) fn arp(
    operation: ArpOperation,
    sender: (MacAddress, Ipv4Addr),
    target: (MacAddress, Ipv4Addr),
    to: MacAddress,
) -> Vec<u8> {
    let packet = ArpEthIpv4Packet {
        operation,
        sender_mac: sender.0.0,
        sender_ipv4: sender.1.octets(),
        target_mac: target.0.0,
        target_ipv4: target.1.octets(),
    };
    let mut bytes = ethernet(sender.0, to, None, EtherType::ARP);
    bytes.extend_from_slice(&ArpPacket::from(packet).to_bytes());
    bytes
}

/// Host `n` asks for host `target`.
pub(crate) fn arp_request(n: u8, target: u8) -> Vec<u8> {
    let nobody = MacAddress::NOBODY;
    arp(ArpOperation::REQUEST, (mac(n), ip(n)), (nobody, ip(target)), BROADCAST)
}

/// `sender` answers host `to`.
pub(crate) fn arp_reply(sender: (MacAddress, Ipv4Addr), to: u8) -> Vec<u8> {
    arp(ArpOperation::REPLY, sender, (mac(to), ip(to)), mac(to))
}

/// A frame, read; every checksum in it was right, or reading failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Read {
    pub(crate) from: MacAddress,
    pub(crate) to: MacAddress,
    pub(crate) vlan: Option<u16>,
    pub(crate) what: What,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    Arp { reply: bool, sender: (MacAddress, Ipv4Addr), target: (MacAddress, Ipv4Addr) },
    Udp { from: SocketAddrV4, to: SocketAddrV4, ttl: u8, bytes: Vec<u8> },
    Echo { from: Ipv4Addr, to: Ipv4Addr, reply: bool, rest: Vec<u8> },
    Igmp { to: Ipv4Addr, kind: u8, group: Ipv4Addr, records: Vec<(u8, Ipv4Addr)> },
}

pub(crate) fn read(frame: &[u8]) -> Read {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { panic!("no Ethernet") };
    let vlans = sliced.vlan_ids();
    assert!(vlans.len() <= 1);
    let what = match sliced.net.as_ref().unwrap() {
        NetSlice::Arp(arp) => {
            let arp = arp.to_packet().try_eth_ipv4().unwrap();
            What::Arp {
                reply: arp.operation == ArpOperation::REPLY,
                sender: (MacAddress(arp.sender_mac), arp.sender_ipv4.into()),
                target: (MacAddress(arp.target_mac), arp.target_ipv4.into()),
            }
        }
        NetSlice::Ipv4(packet) => {
            let header = packet.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert!(header.dont_fragment && !header.is_fragmenting_payload());
            read_ip(&header, packet.payload().payload)
        }
        NetSlice::Ipv6(_) => panic!("IPv6"),
    };
    Read {
        from: MacAddress(ethernet.source()),
        to: MacAddress(ethernet.destination()),
        vlan: vlans.first().map(|vlan| vlan.value()),
        what,
    }
}

fn read_ip(header: &Ipv4Header, payload: &[u8]) -> What {
    let (from, to) = (Ipv4Addr::from(header.source), Ipv4Addr::from(header.destination));
    match header.protocol {
        IpNumber::UDP => {
            let (udp, bytes) = UdpHeader::from_slice(payload).unwrap();
            assert_eq!(usize::from(udp.length), payload.len());
            assert_eq!(udp.checksum, udp.calc_checksum_ipv4(header, bytes).unwrap());
            assert_ne!(udp.checksum, 0);
            What::Udp {
                from: SocketAddrV4::new(from, udp.source_port),
                to: SocketAddrV4::new(to, udp.destination_port),
                ttl: header.time_to_live,
                bytes: bytes.to_vec(),
            }
        }
        IpNumber::ICMP => {
            let (icmp, bytes) = Icmpv4Header::from_slice(payload).unwrap();
            assert_eq!(icmp.checksum, icmp.icmp_type.calc_checksum(bytes));
            let reply = matches!(icmp.icmp_type, etherparse::Icmpv4Type::EchoReply(_));
            What::Echo { from, to, reply, rest: payload[4..].to_vec() }
        }
        IpNumber::IGMP => read_igmp(header, payload),
        other => panic!("{other:?}"),
    }
}

/// RFC 3376, 4: TTL 1, internetwork control, router alert.
fn read_igmp(header: &Ipv4Header, payload: &[u8]) -> What {
    let igmp = IgmpSlice::from_slice(payload).unwrap();
    assert!(igmp.is_checksum_valid());
    assert_eq!(header.time_to_live, 1);
    assert_eq!(header.dscp.value() << 2, 0xc0);
    assert_eq!(header.options.as_slice(), [0x94, 4, 0, 0]);
    let mut records = Vec::new();
    let mut rest = if igmp.type_u8() == 0x22 { igmp.payload() } else { &[] };
    while !rest.is_empty() {
        let (record, more) = ReportGroupRecordV3Slice::from_slice(rest).unwrap();
        let header = record.header();
        assert_eq!((header.num_of_sources, header.aux_data_len), (0, 0));
        records.push((header.record_type.0, header.multicast_address.into()));
        rest = more;
    }
    let words = igmp.bytes4to7();
    let group = if igmp.type_u8() == 0x22 {
        assert_eq!(usize::from(u16::from_be_bytes([words[2], words[3]])), records.len());
        Ipv4Addr::UNSPECIFIED
    } else {
        words.into()
    };
    What::Igmp { to: header.destination.into(), kind: igmp.type_u8(), group, records }
}
