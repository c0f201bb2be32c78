//! ICMP.

use std::time::Duration;

use dataplane::net::{MacAddress, StackEvent};
use etherparse::icmpv4::{DestUnreachableHeader, TimeExceededCode};
use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Type, IpNumber};

use super::frames::{IpFrame, What, event, group, ip, mac, polled, read, seconds, settled, stack};

fn icmp(kind: Icmpv4Type, data: &[u8]) -> IpFrame {
    let header = Icmpv4Header::with_checksum(kind, data);
    let payload = [&header.to_bytes()[..], data].concat();
    IpFrame::new((mac(2), ip(2)), (mac(1), ip(1)), IpNumber::ICMP, payload)
}

fn echo(data: &[u8]) -> IpFrame {
    icmp(Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 0x1234, seq: 7 }), data)
}

#[test]
fn an_echo_is_answered_up_to_the_mtu() {
    let mut stack = settled(stack(1));
    for len in [0, 1, 56, 57, 1_471, 1_472] {
        let data: Vec<u8> = (0..=255).cycle().take(len).collect();
        assert_eq!(event(&mut stack, seconds(20), &echo(&data).bytes()), StackEvent::Echo);
        let frames = polled(&mut stack, seconds(20));
        assert_eq!(frames.len(), 1);
        let answer = read(&frames[0]);
        assert_eq!((answer.from, answer.to), (mac(1), mac(2)));
        let rest = [&[0x12, 0x34, 0, 7], &data[..]].concat();
        assert_eq!(answer.what, What::Echo { from: ip(1), to: ip(2), reply: true, rest });
    }
    // Longer than we could answer.
    let too_long = echo(&[0; 1_473]).bytes();
    assert_eq!(event(&mut stack, seconds(20), &too_long), StackEvent::OwnDropped);
    assert!(polled(&mut stack, seconds(20)).is_empty());
}

/// What an earlier frame left in memory never leaves in a later one's padding.
#[test]
fn padding_is_zero() {
    let mut stack = settled(stack(1));
    for round in 0..40 {
        let now = seconds(20 + round);
        event(&mut stack, now, &echo(&[0xee; 100]).bytes());
        polled(&mut stack, now);
    }
    for round in 0..40 {
        event(&mut stack, seconds(60 + round), &echo(b"x").bytes());
        let frames = polled(&mut stack, seconds(60 + round));
        let echo = frames.iter().find(|frame| frame[12..14] == [8, 0]).unwrap();
        assert_eq!((echo.len(), &echo[43..]), (60, &[0; 17][..]));
    }
}

#[test]
fn answers_are_bounded_by_rate() {
    let mut stack = settled(stack(1));
    let frame = echo(b"").bytes();
    let mut answers = 0;
    for millisecond in 0..10_000 {
        let now = seconds(20) + Duration::from_millis(millisecond);
        for _ in 0..3 {
            event(&mut stack, now, &frame);
        }
        answers += polled(&mut stack, now).len();
    }
    // A hundred a second, and the first twenty.
    assert!((990..=1_020).contains(&answers), "{answers} answers in ten seconds");
    assert_eq!(stack.counters().of(StackEvent::Echo), answers as u64);
    assert_eq!(stack.counters().of(StackEvent::EchoRefused), 30_000 - answers as u64);
}

#[test]
fn echoes_to_groups_and_damaged_ones_are_not_answered() {
    let mut stack = settled(stack(1));
    let mut to_group = echo(b"x");
    to_group.to = MacAddress::of_group(*group().ip());
    to_group.ip.destination = group().ip().octets();
    assert_eq!(event(&mut stack, seconds(20), &to_group.bytes()), StackEvent::OtherAddress);
    let mut damaged = echo(b"x");
    damaged.payload[8] ^= 1;
    assert_eq!(event(&mut stack, seconds(20), &damaged.bytes()), StackEvent::BadChecksum);
    let mut short = echo(b"");
    short.payload.truncate(4);
    short.payload.copy_from_slice(&[8, 0, 0xf7, 0xff]);
    assert_eq!(event(&mut stack, seconds(20), &short.bytes()), StackEvent::Short);
    assert!(polled(&mut stack, seconds(20)).is_empty());
}

#[test]
fn what_did_not_arrive_is_counted_by_its_reason() {
    let mut stack = settled(stack(1));
    let unreachable = |header| icmp(Icmpv4Type::DestinationUnreachable(header), &[0; 28]).bytes();
    for (frame, expected) in [
        (unreachable(DestUnreachableHeader::Port), StackEvent::Unreachable),
        (unreachable(DestUnreachableHeader::Host), StackEvent::Unreachable),
        (
            unreachable(DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1_400 }),
            StackEvent::TooLongOnWay,
        ),
        (
            icmp(Icmpv4Type::TimeExceeded(TimeExceededCode::TtlExceededInTransit), &[0; 28])
                .bytes(),
            StackEvent::OtherIcmp,
        ),
        (
            icmp(Icmpv4Type::EchoReply(IcmpEchoHeader { id: 1, seq: 1 }), b"").bytes(),
            StackEvent::OtherIcmp,
        ),
    ] {
        assert_eq!(event(&mut stack, seconds(20), &frame), expected);
    }
    assert!(polled(&mut stack, seconds(20)).is_empty());
}
