//! Frames that come.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use dataplane::backend::ArrivedAt;
use dataplane::net::{Checksum, DeviceSays, MacAddress, Stack, StackConfig, StackEvent};
use etherparse::{EtherType, IpFragOffset, IpNumber, Ipv4Options};

use super::frames::{BROADCAST, IpFrame, config, ethernet, event, group, host, ip, mac, stack};

const NOW: Duration = Duration::from_secs(100);

/// Host 2's frames come to host 1.
fn taken(
    stack: &mut Stack,
    frame: &[u8],
    device: DeviceSays,
) -> Option<(SocketAddr, ArrivedAt, Vec<u8>)> {
    let datagram = stack.take(NOW, frame, device)?;
    let range = frame.as_ptr_range();
    assert!(datagram.bytes.is_empty() || range.contains(&datagram.bytes.as_ptr()), "no copy");
    Some((datagram.from, datagram.to, datagram.bytes.to_vec()))
}

fn from_2(payload: &[u8]) -> Option<(SocketAddr, ArrivedAt, Vec<u8>)> {
    Some((SocketAddr::V4(host(2)), ArrivedAt::Own, payload.to_vec()))
}

#[test]
fn datagrams_of_every_length_are_handed_up() {
    let mut stack = stack(1);
    for len in (0..70).chain([511, 512, 1_399, 1_400, 1_471, 1_472]) {
        let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
        let frame = IpFrame::udp(2, 1, &payload).bytes();
        assert_eq!(taken(&mut stack, &frame, DeviceSays::default()), from_2(&payload), "{len}");
    }
}

#[test]
fn padding_behind_a_short_packet_never_reaches_the_application() {
    let mut stack = stack(1);
    for padding in 0..50 {
        let frame = IpFrame { padding, ..IpFrame::udp(2, 1, b"short") }.bytes();
        assert_eq!(taken(&mut stack, &frame, DeviceSays::default()), from_2(b"short"));
    }
    // Also between UDP's end and IP's: UDP's length counts.
    let mut frame = IpFrame::udp(2, 1, b"short");
    frame.payload.extend_from_slice(&[0xee; 9]);
    assert_eq!(taken(&mut stack, &frame.bytes(), DeviceSays::default()), from_2(b"short"));
}

#[test]
fn a_group_is_known_by_its_place_and_its_right_mac() {
    let mut stack = stack(1);
    for (to, place) in [("239.0.0.9:7001", 0), ("239.129.2.3:7000", 1)] {
        let to: SocketAddrV4 = to.parse().unwrap();
        for to_mac in [MacAddress::of_group(*to.ip()), mac(1)] {
            let frame = IpFrame::udp_between((mac(2), host(2)), (to_mac, to), b"all").bytes();
            let (from, arrived, bytes) = taken(&mut stack, &frame, DeviceSays::default()).unwrap();
            assert_eq!((from, arrived), (host(2).into(), ArrivedAt::Group(place)));
            assert_eq!(bytes, b"all");
        }
    }
    // 239.129.2.3 and 239.1.2.3 share a MAC: the address decides.
    let other: SocketAddrV4 = "239.1.2.3:7000".parse().unwrap();
    assert_eq!(MacAddress::of_group(*other.ip()), MacAddress::of_group(*group().ip()));
    let to_mac = MacAddress::of_group(*other.ip());
    let frame = IpFrame::udp_between((mac(2), host(2)), (to_mac, other), b"").bytes();
    assert_eq!(event(&mut stack, NOW, &frame), StackEvent::OtherAddress);
    // The MAC that takes one octet three times.
    let wrong = MacAddress([1, 0, 0x5e, 1, 1, 1]);
    let frame = IpFrame::udp_between((mac(2), host(2)), (wrong, group()), b"").bytes();
    assert_eq!(event(&mut stack, NOW, &frame), StackEvent::WrongMac);
}

#[test]
fn options_are_skipped() {
    let mut stack = stack(1);
    for len in [4, 20, 40] {
        let mut frame = IpFrame::udp(2, 1, b"payload");
        frame.ip.options = Ipv4Options::try_from(&vec![1; len][..]).unwrap();
        assert_eq!(taken(&mut stack, &frame.bytes(), DeviceSays::default()), from_2(b"payload"));
    }
}

#[test]
fn a_datagram_without_checksum_is_taken() {
    let mut stack = stack(1);
    let mut frame = IpFrame::udp(2, 1, b"payload");
    frame.payload[6..8].fill(0);
    assert_eq!(taken(&mut stack, &frame.bytes(), DeviceSays::default()), from_2(b"payload"));
    // A card that calls that bad is not believed.
    let device = DeviceSays { udp: Checksum::Bad, ..DeviceSays::default() };
    assert_eq!(taken(&mut stack, &frame.bytes(), device), from_2(b"payload"));
}

/// Each byte of a frame, but those that nothing protects, is covered by one of the checksums or has to be ours.
#[test]
fn no_changed_byte_goes_unnoticed() {
    let mut stack = stack(1);
    let frame = IpFrame::udp(2, 1, b"some payload").bytes();
    for place in 0..frame.len() {
        for bit in 0..8 {
            let mut changed = frame.clone();
            changed[place] ^= 1 << bit;
            // Sender's MAC; and its low bit makes it a group's.
            if (6..12).contains(&place) {
                let group = place == 6 && bit == 0;
                let expected = if group { StackEvent::BadSource } else { StackEvent::Datagram };
                if changed[6..12] != mac(1).0 {
                    assert_eq!(event(&mut stack, NOW, &changed), expected, "{place}.{bit}");
                }
                continue;
            }
            let became = event(&mut stack, NOW, &changed);
            assert_ne!(became, StackEvent::Datagram, "byte {place} bit {bit}");
        }
    }
}

#[test]
fn the_devices_good_word_is_taken_and_its_bad_word_checked() {
    let mut stack = stack(1);
    let good = IpFrame::udp(2, 1, b"payload").bytes();
    let mut bad_udp = good.clone();
    *bad_udp.last_mut().unwrap() ^= 1;
    let mut bad_ip = good.clone();
    bad_ip[22] ^= 1; // TTL: nothing else depends on it
    let says = |ipv4, udp| DeviceSays { ipv4, udp, vlan: None };
    use Checksum::{Bad, Good, Unknown};
    for (frame, device, passes) in [
        (&good, says(Unknown, Unknown), true),
        (&good, says(Good, Good), true),
        (&good, says(Bad, Bad), true),
        (&bad_udp, says(Unknown, Unknown), false),
        (&bad_udp, says(Good, Bad), false),
        (&bad_udp, says(Unknown, Good), true),
        (&bad_ip, says(Unknown, Good), false),
        (&bad_ip, says(Bad, Good), false),
        (&bad_ip, says(Good, Unknown), true),
    ] {
        let before = stack.counters().of(StackEvent::BadChecksum);
        assert_eq!(taken(&mut stack, frame, device).is_some(), passes, "{device:?}");
        let dropped = stack.counters().of(StackEvent::BadChecksum) - before;
        assert_eq!(dropped == 1, !passes);
    }
}

fn changed(change: impl FnOnce(&mut IpFrame)) -> Vec<u8> {
    let mut frame = IpFrame::udp(2, 1, b"payload");
    change(&mut frame);
    frame.bytes()
}

/// A frame whose UDP checksum is right for what `change` makes of addresses.
fn between(from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
    IpFrame::udp_between((mac(2), from), (mac(1), to), b"payload").bytes()
}

#[test]
fn whatever_is_not_for_us_is_counted_by_its_reason() {
    use StackEvent as E;
    let at = |ip: [u8; 4]| SocketAddrV4::new(ip.into(), 8000);
    let cases: Vec<(E, Vec<u8>)> = vec![
        (E::Short, Vec::new()),
        (E::Short, changed(|_| ())[..13].to_vec()),
        (E::Short, changed(|_| ())[..33].to_vec()),
        (E::Short, changed(|_| ())[..48].to_vec()),
        (E::WrongMac, changed(|f| f.to = mac(3))),
        (E::WrongMac, changed(|f| f.to = BROADCAST)),
        // Our address at a group's MAC (RFC 1122, 3.3.6), also where both have the same 23 bits.
        (E::WrongMac, changed(|f| f.to = MacAddress::of_group(*group().ip()))),
        (E::WrongMac, changed(|f| f.to = MacAddress::of_group(ip(1)))),
        (E::Echoed, changed(|f| f.from = mac(1))),
        (E::BadSource, changed(|f| f.from = BROADCAST)),
        (E::BadSource, changed(|f| f.from = MacAddress::NOBODY)),
        (E::OtherVlan, changed(|f| f.vlan = Some(5))),
        (E::OtherProtocol, ethernet(mac(2), mac(1), None, EtherType::IPV6)),
        (E::OtherProtocol, changed(|f| f.ip.protocol = IpNumber::TCP)),
        (E::Fragment, changed(|f| f.ip.more_fragments = true)),
        (E::Fragment, changed(|f| f.ip.fragment_offset = IpFragOffset::try_new(1).unwrap())),
        (E::Fragment, changed(|f| f.ip.fragment_offset = IpFragOffset::try_new(0x1fff).unwrap())),
        (E::BadHeader, changed(|f| f.payload[4..6].copy_from_slice(&[0, 7]))),
        (E::Short, changed(|f| f.payload[4..6].copy_from_slice(&[0, 16]))),
        (E::BadSource, between(at([0, 0, 0, 0]), host(1))),
        (E::BadSource, between(at([127, 0, 0, 1]), host(1))),
        (E::BadSource, between(at([224, 0, 0, 5]), host(1))),
        (E::BadSource, between(at([255, 255, 255, 255]), host(1))),
        (E::BadSource, between(at([10, 0, 0, 255]), host(1))),
        (E::BadSource, between(host(1), host(1))),
        (E::OtherAddress, between(host(2), host(3))),
        (E::OtherAddress, between(host(2), at([10, 0, 0, 255]))),
        (E::OtherPort, between(host(2), SocketAddrV4::new(ip(1), 8001))),
        // A group's port at our address, and the other way.
        (E::OtherPort, between(host(2), SocketAddrV4::new(ip(1), 7000))),
        (E::OtherPort, between(host(2), SocketAddrV4::new(*group().ip(), 8000))),
        (E::OtherPort, between(host(2), SocketAddrV4::new(*group().ip(), 7001))),
    ];
    for (place, (expected, frame)) in cases.iter().enumerate() {
        let mut stack = stack(1);
        assert_eq!(event(&mut stack, NOW, frame), *expected, "case {place}");
        let counted: u64 = stack.counters().iter().map(|(_, total)| total).sum();
        assert_eq!(counted, 1, "case {place}: {:?}", stack.counters());
    }
}

/// Lengths and versions that `etherparse` does not write.
#[test]
fn headers_that_contradict_themselves_are_refused() {
    let whole = IpFrame::udp(2, 1, b"payload").bytes();
    for (change, expected) in [
        ((14, 0x55), StackEvent::BadHeader), // version 5
        ((14, 0x44), StackEvent::BadHeader), // a header of 16 bytes
        ((14, 0x4f), StackEvent::BadHeader), // of 60, in a packet of 35
        ((17, 19), StackEvent::BadHeader),   // shorter than its header
        ((16, 0xff), StackEvent::Short),     // longer than the frame
    ] {
        let mut frame = whole.clone();
        let (place, value) = change;
        frame[place] = value;
        let mut stack = stack(1);
        let device = DeviceSays { ipv4: Checksum::Good, ..DeviceSays::default() };
        assert!(stack.take(NOW, &frame, device).is_none());
        assert_eq!(stack.counters().of(expected), 1, "{change:?}");
    }
}

#[test]
fn only_the_own_vlan_is_heard_whoever_takes_the_tag_off() {
    let tagged_stack = || Stack::new(StackConfig { vlan: Some(5), ..config(1) }, NOW).unwrap();
    let frame = |vlan| IpFrame { vlan, ..IpFrame::udp(2, 1, b"payload") }.bytes();
    let stripped = |vlan| DeviceSays { vlan, ..DeviceSays::default() };
    for (vlan, tag, on_five, untagged) in [
        (None, None, false, true),
        (Some(5), None, true, false),
        (Some(6), None, false, false),
        // VLAN 0 is a priority and no VLAN.
        (Some(0), None, false, true),
        (None, Some(5), true, false),
        (None, Some(0xe005), true, false), // with priority
        (None, Some(0xe000), false, true),
        (None, Some(6), false, false),
        // A tag within a tag.
        (Some(5), Some(5), false, false),
    ] {
        let bytes = frame(vlan);
        let came = taken(&mut tagged_stack(), &bytes, stripped(tag)).is_some();
        assert_eq!(came, on_five, "{vlan:?} {tag:?} on VLAN 5");
        let came = taken(&mut stack(1), &bytes, stripped(tag)).is_some();
        assert_eq!(came, untagged, "{vlan:?} {tag:?} untagged");
    }
    let mut twice = frame(Some(5));
    let tag = twice[12..16].to_vec();
    twice.splice(12..12, tag);
    assert_eq!(event(&mut tagged_stack(), NOW, &twice), StackEvent::OtherVlan);
}

/// A gateway brings it; it is no neighbour.
#[test]
fn hosts_of_other_subnets_are_heard() {
    let mut stack = stack(1);
    let far = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 9);
    let frame = IpFrame::udp_between((mac(254), far), (mac(1), host(1)), b"far").bytes();
    let came = taken(&mut stack, &frame, DeviceSays::default());
    assert_eq!(came, Some((far.into(), ArrivedAt::Own, b"far".to_vec())));
    assert_eq!(stack.neighbours().find(*far.ip()), None);
}
