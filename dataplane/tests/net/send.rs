//! Headers in front of payloads.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dataplane::net::{
    Addressing, AddressingEvent, DeviceSays, HEADERS_MAX, MacAddress, Offload, Refused, Stack,
    StackConfig,
};
use etherparse::{Ipv4Header, UdpHeader};

use super::frames::{
    IpFrame, Read, What, arp_reply, config, group, host, ip, mac, polled, read, seconds, settled,
    stack,
};

const NOW: Duration = Duration::from_secs(20);

/// Host 1, which knows host 2 (and the gateway, where there is one).
fn knowing_2(config: StackConfig) -> Stack {
    let gateway = config.gateway;
    let vlan = config.vlan;
    let mut stack = settled(Stack::new(config, Duration::ZERO).unwrap());
    let device = DeviceSays { vlan, ..DeviceSays::default() };
    assert!(stack.take(seconds(10), &IpFrame::udp(2, 1, b"").bytes(), device).is_some());
    if let Some(gateway) = gateway {
        stack.take(seconds(10), &arp_reply((mac(254), gateway), 1), device);
    }
    stack
}

fn written(
    addressing: &mut Addressing,
    to: SocketAddr,
    head: &[u8],
    tail: &[u8],
) -> Result<Vec<u8>, Refused> {
    let payload = addressing.payload(head, tail, 1).unwrap();
    let mut headers = [0xaa; HEADERS_MAX];
    let len = addressing.write(to, payload, &mut headers)?;
    Ok([&headers[..len], head, tail].concat())
}

fn pattern(len: usize) -> Vec<u8> {
    (0..=252).rev().cycle().take(len).collect()
}

#[test]
fn what_is_written_is_read_back_at_every_length_and_cut() {
    let stack = knowing_2(config(1));
    let mut addressing = stack.addressing(Offload::default());
    for len in (0..40).chain([63, 64, 511, 512, 1_399, 1_400, 1_471, 1_472]) {
        let payload = pattern(len);
        for cut in [0, 1, 8, 17, len / 2, len] {
            let (head, tail) = payload.split_at(cut.min(len));
            let frame = written(&mut addressing, host(2).into(), head, tail).unwrap();
            let what = What::Udp { from: host(1), to: host(2), ttl: 64, bytes: payload.clone() };
            assert_eq!(read(&frame), Read { from: mac(1), to: mac(2), vlan: None, what });
        }
    }
}

/// Payloads whose checksum would be zero are sent with all ones: zero says that there is none.
#[test]
fn a_checksum_of_zero_is_sent_as_all_ones() {
    let stack = knowing_2(config(1));
    let mut addressing = stack.addressing(Offload::default());
    let mut met = 0;
    for word in 0..=0xffff_u16 {
        let frame = written(&mut addressing, host(2).into(), &word.to_be_bytes(), b"").unwrap();
        let checksum = u16::from_be_bytes([frame[40], frame[41]]);
        assert_ne!(checksum, 0);
        met += u32::from(checksum == 0xffff);
    }
    // The words 0000 and ffff are one number; one of the 65,535 numbers is it.
    assert!((1..=2).contains(&met), "{met}");
}

#[test]
fn groups_have_their_macs_and_their_ttl() {
    let stack = Stack::new(StackConfig { multicast_ttl: 7, ..config(1) }, NOW).unwrap();
    let mut addressing = stack.addressing(Offload::default());
    for (to, mac) in [
        ("239.129.2.3:7000", MacAddress([1, 0, 0x5e, 1, 2, 3])),
        ("224.1.2.3:7000", MacAddress([1, 0, 0x5e, 1, 2, 3])),
        ("239.255.254.253:7000", MacAddress([1, 0, 0x5e, 0x7f, 0xfe, 0xfd])),
    ] {
        let frame = read(&written(&mut addressing, to.parse().unwrap(), b"x", b"").unwrap());
        assert_eq!(frame.to, mac);
        assert!(matches!(frame.what, What::Udp { ttl: 7, .. }), "{frame:?}");
    }
}

#[test]
fn the_tag_is_in_the_frame_unless_the_device_inserts_it() {
    let stack = knowing_2(StackConfig { vlan: Some(5), ..config(1) });
    let mut pass = stack.addressing(Offload::default());
    let frame = written(&mut pass, host(2).into(), b"head", b"tail").unwrap();
    assert_eq!(read(&frame).vlan, Some(5));
    assert_eq!((frame.len(), pass.ethernet_len()), (46 + 8, 18));
    let mut insert = stack.addressing(Offload { vlan: true, ..Offload::default() });
    let frame = written(&mut insert, host(2).into(), b"head", b"tail").unwrap();
    assert_eq!(read(&frame).vlan, None);
    assert_eq!((frame.len(), insert.ethernet_len()), (42 + 8, 14));
}

/// What a device expects that writes checksums: zero in IPv4's, the pseudo-header's sum in UDP's place. Adding the rest as
/// a device does gives the right one.
#[test]
fn a_device_that_writes_checksums_finds_what_it_needs() {
    let stack = knowing_2(config(1));
    let offload = Offload { ipv4: true, udp: true, vlan: false };
    let mut addressing = stack.addressing(offload);
    for payload in [&b""[..], b"x", b"some payload"] {
        let mut frame = written(&mut addressing, host(2).into(), payload, b"").unwrap();
        let (mut ipv4, rest) = Ipv4Header::from_slice(&frame[14..]).unwrap();
        assert_eq!(ipv4.header_checksum, 0);
        let mut sum = 0_u64;
        for pair in rest.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        let checksum = !u16::try_from(sum).unwrap();
        let (udp, bytes) = UdpHeader::from_slice(rest).unwrap();
        assert_eq!(checksum, udp.calc_checksum_ipv4(&ipv4, bytes).unwrap());
        frame[40..42].copy_from_slice(&checksum.to_be_bytes());
        ipv4.header_checksum = ipv4.calc_header_checksum();
        frame[24..26].copy_from_slice(&ipv4.header_checksum.to_be_bytes());
        let what = What::Udp { from: host(1), to: host(2), ttl: 64, bytes: payload.to_vec() };
        assert_eq!(read(&frame).what, what);
    }
    // One of the two.
    let mut udp_only = stack.addressing(Offload { udp: true, ..Offload::default() });
    let frame = written(&mut udp_only, host(2).into(), b"x", b"").unwrap();
    let (ipv4, _) = Ipv4Header::from_slice(&frame[14..]).unwrap();
    assert_eq!(ipv4.header_checksum, ipv4.calc_header_checksum());
}

/// One leader, several peers: the payload is summed once.
#[test]
fn one_payload_goes_to_many() {
    let mut stack = knowing_2(config(1));
    for n in 3..6 {
        stack.take(NOW, &IpFrame::udp(n, 1, b"").bytes(), DeviceSays::default());
    }
    let mut addressing = stack.addressing(Offload::default());
    let payload = addressing.payload(b"odd", b"payload", 5).unwrap();
    let to = [host(2), host(3), group(), host(4), host(5)];
    for (to, mac) in
        to.into_iter().zip([mac(2), mac(3), MacAddress::of_group(*group().ip()), mac(4), mac(5)])
    {
        let mut headers = [0; HEADERS_MAX];
        let len = addressing.write(to.into(), payload, &mut headers).unwrap();
        let frame = read(&[&headers[..len], &b"oddpayload"[..]].concat());
        assert_eq!(frame.to, mac);
        let What::Udp { to: read_to, bytes, .. } = frame.what else { panic!("{frame:?}") };
        assert_eq!((read_to, bytes), (to, b"oddpayload".to_vec()));
    }
    assert_eq!(addressing.counters().of(AddressingEvent::Addressed), 5);
}

#[test]
fn what_no_packet_can_carry_is_refused_and_counted() {
    let stack = knowing_2(config(1));
    let mut addressing = stack.addressing(Offload::default());
    assert_eq!(addressing.payload_max(), 1_472);
    assert!(addressing.payload(&[0; 1_472], b"", 3).is_some());
    assert!(addressing.payload(&[0; 1_472], b"x", 3).is_none());
    assert_eq!(addressing.counters().of(AddressingEvent::TooLong), 3);
    let jumbo = Stack::new(StackConfig { mtu: 9_000, ..config(1) }, NOW).unwrap();
    assert_eq!(jumbo.addressing(Offload::default()).payload_max(), 8_972);
}

#[test]
fn where_no_way_leads_is_refused_and_counted() {
    let stack = knowing_2(config(1));
    let mut addressing = stack.addressing(Offload::default());
    for (to, event) in [
        ("255.255.255.255:1", AddressingEvent::BadDestination),
        ("10.0.0.255:1", AddressingEvent::BadDestination),
        ("0.0.0.0:1", AddressingEvent::BadDestination),
        ("127.0.0.1:1", AddressingEvent::BadDestination),
        ("240.0.0.1:1", AddressingEvent::BadDestination),
        ("10.0.0.1:8000", AddressingEvent::BadDestination),
        ("10.0.0.2:0", AddressingEvent::BadDestination),
        ("[2001:db8::1]:1", AddressingEvent::BadDestination),
        ("192.0.2.1:1", AddressingEvent::NoRoute),
    ] {
        let before = addressing.counters().of(event);
        let result = written(&mut addressing, to.parse().unwrap(), b"", b"");
        assert_eq!(result, Err(Refused::Unreachable), "{to}");
        assert_eq!(addressing.counters().of(event), before + 1, "{to}");
        assert!(!addressing.hold(NOW, to.parse().unwrap(), b"", b""));
    }
    // A group is known without being looked for.
    assert!(!addressing.hold(NOW, group().into(), b"", b""));
    assert_eq!(addressing.held(), 0);
}

#[test]
fn other_subnets_are_reached_through_the_gateway() {
    let gateway = Some(ip(254));
    let mut stack =
        settled(Stack::new(StackConfig { gateway, ..config(1) }, Duration::ZERO).unwrap());
    let mut addressing = stack.addressing(Offload::default());
    let far: SocketAddr = "192.0.2.1:9".parse().unwrap();
    assert_eq!(written(&mut addressing, far, b"", b""), Err(Refused::Unresolved));
    stack.take(NOW, &arp_reply((mac(254), ip(254)), 1), DeviceSays::default());
    let frame = read(&written(&mut addressing, far, b"", b"").unwrap());
    assert_eq!(frame.to, mac(254));
}

#[test]
fn the_first_packets_to_a_new_neighbour_are_kept_in_order() {
    let mut stack = settled(stack(1));
    let mut addressing = stack.addressing(Offload { ipv4: true, udp: true, vlan: true });
    for n in 0..3_u8 {
        assert_eq!(written(&mut addressing, host(9).into(), &[n], b"+"), Err(Refused::Unresolved));
        assert!(addressing.hold(NOW, host(9).into(), &[n], b"+"));
    }
    let mut released = Vec::new();
    addressing.release(NOW, &mut |frame| released.push(frame.to_vec()));
    assert_eq!(released.len(), 0);
    let asked = polled(&mut stack, NOW);
    assert_eq!(asked.len(), 1, "one question for three packets");
    let target = (MacAddress::NOBODY, ip(9));
    let what = What::Arp { reply: false, sender: (mac(1), ip(1)), target };
    assert_eq!(read(&asked[0]), Read { from: mac(1), to: MacAddress::BROADCAST, vlan: None, what });
    stack.take(NOW, &arp_reply((mac(9), ip(9)), 1), DeviceSays::default());
    addressing.release(NOW, &mut |frame| released.push(frame.to_vec()));
    // Whole, whatever the device could have done.
    let read: Vec<_> = released.iter().map(|frame| read(frame)).collect();
    assert_eq!(read.len(), 3);
    for (n, frame) in (0..).zip(read) {
        let what = What::Udp { from: host(1), to: host(9), ttl: 64, bytes: vec![n, b'+'] };
        assert_eq!(frame, Read { from: mac(1), to: mac(9), vlan: None, what });
    }
    assert_eq!(addressing.counters().of(AddressingEvent::Released), 3);
    assert_eq!(addressing.held(), 0);
}

/// A cluster whose limits give a packet a shorter life.
#[test]
fn kept_packets_are_given_up_when_they_were_told_to_be() {
    let hold_for = Duration::from_millis(7);
    let mut stack =
        settled(Stack::new(StackConfig { hold_for, ..config(1) }, Duration::ZERO).unwrap());
    let mut addressing = stack.addressing(Offload::default());
    assert!(addressing.hold(NOW, host(9).into(), b"", b""));
    assert_eq!(addressing.deadline(), Some(NOW + hold_for));
    stack.take(NOW + hold_for, &arp_reply((mac(9), ip(9)), 1), DeviceSays::default());
    addressing.release(NOW + hold_for, &mut |_| unreachable!("it is too late"));
    assert_eq!(addressing.held(), 0);
}

#[test]
fn kept_packets_are_bounded_and_given_up() {
    let mut stack = settled(stack(1));
    let mut addressing = stack.addressing(Offload::default());
    let kept = |addressing: &mut Addressing, n: u8| {
        (0..20).filter(|_| addressing.hold(NOW, host(n).into(), b"", b"")).count()
    };
    let counts: Vec<_> = (10..16).map(|n| kept(&mut addressing, n)).collect();
    assert_eq!(counts, [8, 8, 8, 8, 0, 0]);
    assert_eq!(addressing.counters().of(AddressingEvent::HeldFull), 120 - 32);
    let ms = Duration::from_millis;
    assert_eq!(addressing.deadline(), Some(NOW + ms(50)));
    // One of them answers in time, one when it is too late for what waits: nothing old leaves.
    assert_eq!(polled(&mut stack, NOW).len(), 4);
    stack.take(NOW + ms(49), &arp_reply((mac(11), ip(11)), 1), DeviceSays::default());
    let mut released = 0;
    addressing.release(NOW + ms(49), &mut |_| released += 1);
    assert_eq!((released, addressing.held()), (8, 24));
    stack.take(NOW + ms(50), &arp_reply((mac(12), ip(12)), 1), DeviceSays::default());
    addressing.release(NOW + ms(50), &mut |_| released += 1);
    assert_eq!((released, addressing.held()), (8, 0));
    assert_eq!(addressing.counters().of(AddressingEvent::HeldExpired), 24);
    // They are looked for on.
    assert_eq!(polled(&mut stack, NOW + seconds(1)).len(), 2);
    assert_eq!(addressing.deadline(), None);
}

/// More neighbours are missed at once than can be asked for between two polls: all are asked in the end.
#[test]
fn a_miss_that_could_not_be_told_is_told_again() {
    let mut stack = settled(Stack::new(config(1), Duration::ZERO).unwrap());
    let mut addressing = stack.addressing(Offload::default());
    for n in 10..42 {
        let to = SocketAddr::new(Ipv4Addr::new(10, 0, 0, n).into(), 1);
        assert!(addressing.hold(NOW, to, b"", b""));
    }
    let mut asked = polled(&mut stack, NOW).len();
    assert_eq!(asked, 16);
    for _ in 0..3 {
        addressing.release(NOW, &mut |_| panic!("nobody is known"));
        asked += polled(&mut stack, NOW).len();
    }
    assert_eq!(asked, 32);
}
