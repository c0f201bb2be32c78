//! Packets written by hand from wire.md 1 and 6, byte for byte, both ways.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;

use r2p2::ack::{ACK_PAYLOAD, Wanted, emit_wanted};
use r2p2::extension::{Extension, Flags, HEAD_MAX};
use r2p2::feedback::Feedback;
use r2p2::header::{Header, MessageKind, Place, Policy};
use r2p2::opening::OpeningReply;
use r2p2::packet::{Packet, ParseError, emit_head};
use r2p2::refusal::{PLAIN_DROP, Reason, Refusal};
use r2p2::request_id::ClientAddress;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// The bytes mean these values, and the values are these bytes.
fn both_ways(hex: &str, header: Header, extension: Option<Extension>, payload: &[u8]) {
    let datagram = bytes(hex);
    assert_eq!(Packet::parse(&datagram), Ok(Packet { header, extension, payload }), "{hex}");
    let mut head = [0; HEAD_MAX];
    let len = emit_head(&header, extension.as_ref(), &mut head);
    assert_eq!([&head[..len], payload].concat(), datagram, "{hex}");
}

#[test]
fn plain_packets() {
    let single = |kind, policy| Header::single(kind, policy, 0x0102);
    let request = |policy| single(MessageKind::Request, policy);
    both_ways("cc0800c0 0102 0001 6869", request(Policy::Unrestricted), None, b"hi");
    both_ways("cc0801c0 0102 0001", request(Policy::Fixed), None, b"");
    both_ways("cc0802c0 0102 0001", request(Policy::Replicated), None, b"");
    both_ways("cc0803c0 0102 0001", request(Policy::ReplicatedRead), None, b"");
    both_ways("cc0811c0 0102 0001 6f6b", single(MessageKind::Response, Policy::Fixed), None, b"ok");
    both_ways(
        "cc0831c0 0102 0001 41434b",
        single(MessageKind::Ack, Policy::Fixed),
        None,
        &ACK_PAYLOAD,
    );
    both_ways(
        "cc0841c0 0102 0001 44524f50",
        single(MessageKind::Drop, Policy::Fixed),
        None,
        &PLAIN_DROP,
    );
    for (kind, hex) in [
        (MessageKind::RaftRequest, "cc0851c0 0102 0001"),
        (MessageKind::RaftReply, "cc0861c0 0102 0001"),
        (MessageKind::RaftMessage, "cc0871c0 0102 0001"),
    ] {
        both_ways(hex, single(kind, Policy::Fixed), None, b"");
    }
}

#[test]
fn the_four_packets_of_a_long_plain_request() {
    for (hex, place) in [
        ("cc080280 0007 0004", Place::First { packets: 4 }),
        ("cc080200 0007 0001", Place::Later { index: 1, last: false }),
        ("cc080200 0007 0002", Place::Later { index: 2, last: false }),
        ("cc080240 0007 0003", Place::Later { index: 3, last: true }),
    ] {
        let (kind, policy) = (MessageKind::Request, Policy::Replicated);
        both_ways(hex, Header { kind, policy, request_id: 7, place }, None, b"");
    }
}

#[test]
fn extended_packets() {
    let session = 0x0102_0304_0506_0708;
    let request = |policy| Header::single(MessageKind::Request, policy, 0x0B0C);
    let extension = Extension {
        session,
        number: 0x0A_0B0C,
        packets: 1,
        above_floor: 0x0203,
        ..Default::default()
    };
    both_ways(
        "cc2002c0 0b0c 0001  0102030405060708 00000000000a0b0c 0001 0203 01 00 0000  7878",
        request(Policy::Replicated),
        Some(extension),
        b"xx",
    );
    both_ways(
        "cc2002c0 0b0c 0001  0000000000000000 00000000000a0b0c 0001 0000 01 01 0000",
        request(Policy::Replicated),
        Some(Extension {
            session: 0,
            above_floor: 0,
            flags: Flags { opens: true, ..Flags::NONE },
            ..extension
        }),
        b"",
    );
    both_ways(
        "cc2003c0 0b0c 0001  0102030405060708 00000000000a0b0c 0001 0203 01 0a 0000",
        request(Policy::ReplicatedRead),
        Some(Extension {
            flags: Flags { closes: true, repeats: true, ..Flags::NONE },
            ..extension
        }),
        b"",
    );
    both_ways(
        "cc2811c0 0b0c 0001  0102030405060708 00000000000a0b0c 0001 0000 01 00 0000  0000000000001234 79",
        Header::single(MessageKind::Response, Policy::Fixed, 0x0B0C),
        Some(Extension { above_floor: 0, executed: 0x1234, ..extension }),
        b"y",
    );
    both_ways(
        "cc281140 0b0c 0002  0102030405060708 00000000000a0b0c 0003 0000 01 00 0000  0000000000001234 79",
        Header {
            place: Place::Later { index: 2, last: true },
            ..Header::single(MessageKind::Response, Policy::Fixed, 0x0B0C)
        },
        Some(Extension { above_floor: 0, packets: 3, executed: 0x1234, ..extension }),
        b"y",
    );
}

#[test]
fn extended_acks_and_refusals() {
    let extension = Extension { session: 9, number: 3, packets: 1, ..Default::default() };
    both_ways(
        "cc2031c0 0003 0001  0000000000000009 0000000000000003 0001 0000 01 04 0000  0001000200070001",
        Header::single(MessageKind::Ack, Policy::Fixed, 3),
        Some(Extension { flags: Flags { wanted: true, ..Flags::NONE }, ..extension }),
        &bytes("0001 0002 0007 0001"),
    );
    both_ways(
        "cc2041c0 0003 0001  0000000000000009 0000000000000003 0001 0000 01 00 0000  01000003e8",
        Header::single(MessageKind::Drop, Policy::Fixed, 3),
        Some(extension),
        &bytes("01 000003e8"),
    );
}

#[test]
fn wanted_ranges() {
    let payload = bytes("0001 0002 0007 0001 0009 ffff 0003 0000");
    let wanted = Wanted::parse(&payload).unwrap();
    assert_eq!(wanted.ranges(12).collect::<Vec<_>>(), [1..3, 7..8, 9..12]);
    assert_eq!(wanted.ranges(8).collect::<Vec<_>>(), [1..3, 7..8]);
    let mut written = [0xEE; 12];
    assert_eq!(emit_wanted([1..3, 7..8].into_iter(), &mut written), 8);
    assert_eq!(written[..8], payload[..8]);
    assert_eq!(emit_wanted([1..2, 3..4, 5..6, 7..8].into_iter(), &mut written), 12, "cut");
    assert_eq!(Wanted::parse(&[]), Err(ParseError::Payload(0)));
    assert_eq!(Wanted::parse(&[0; 6]), Err(ParseError::Payload(6)));
    assert_eq!(Wanted::parse(&[0; 1_444]), Err(ParseError::Payload(1_444)));
}

#[test]
fn refusals() {
    for (reason, byte) in [
        (Reason::Overload, 1),
        (Reason::UnknownSession, 2),
        (Reason::AboveWindow, 3),
        (Reason::ChangesState, 4),
        (Reason::TooLarge, 5),
        (Reason::NoLeader, 6),
        (Reason::NotKept, 7),
        (Reason::Failed, 8),
    ] {
        let refusal = Refusal { reason, retry_after_us: 0x0102_0304 };
        assert_eq!(refusal.emit(), [byte, 1, 2, 3, 4]);
        assert_eq!(Refusal::parse(&[byte, 1, 2, 3, 4]), Ok(refusal));
    }
    for bad in [&[0, 0, 0, 0, 0][..], &[9, 0, 0, 0, 0], &[1, 0, 0, 0], b"DROP"] {
        assert_eq!(Refusal::parse(bad), Err(ParseError::Payload(bad.len())));
    }
}

#[test]
fn opening_replies() {
    let reply = OpeningReply { window: 0x1000, expiry_ms: 60_000 };
    assert_eq!(reply.emit(), *bytes("00001000 0000ea60"));
    assert_eq!(OpeningReply::parse(&reply.emit()), Ok(reply));
    assert_eq!(OpeningReply::parse(b"1234567"), Err(ParseError::Payload(7)));
}

#[test]
fn feedback() {
    let client = ClientAddress::from("10.77.0.4:33001".parse::<std::net::SocketAddr>().unwrap());
    let ours = Feedback::new(0x0001_0203, 0x0405, client);
    let hex = "cc0820c0 00010203 0405 80e9 0a4d0004";
    assert_eq!(ours.emit(), *bytes(hex));
    assert_eq!(Feedback::parse(&bytes(hex)), Ok(ours));
    let theirs = "cc5720aa bbccddee 0405 80e9 0a4d0004";
    let garbage = Feedback::parse(&bytes(theirs)).unwrap();
    assert_eq!((garbage.count, garbage.request_id), (None, 0x0405));
    assert_eq!(garbage.client_ip, Ipv4Addr::new(10, 77, 0, 4));
    assert_eq!(garbage.client_port, 33_001);
    for hex in [hex, theirs] {
        assert_eq!(Packet::parse(&bytes(hex)).unwrap().header.kind, MessageKind::Feedback);
    }
    assert_eq!(
        Feedback::parse(&bytes("cc0800c0 0001 0001 0405 80e9 0a4d0004")),
        Err(ParseError::Kind(0))
    );
    assert_eq!(Feedback::parse(&bytes("cc0820c0 00010203")), Err(ParseError::Truncated(8)));
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    for (hex, error) in [
        ("cc0800c0 0102 00", ParseError::Truncated(7)),
        ("450800c0 0102 0001", ParseError::Magic(0x45)),
        ("cc0880c0 0102 0001", ParseError::Kind(8)),
        ("cc0804c0 0102 0001", ParseError::Policy(4)),
        ("cc0900c0 0102 0001", ParseError::HeaderSize(9)),
        ("cc0000c0 0102 0001", ParseError::HeaderSize(0)),
        // F without a count, with one above 1,024, F and L with two packets, F alone with one.
        ("cc0800c0 0102 0000", ParseError::Order(0)),
        ("cc080080 0102 0401", ParseError::Order(1_025)),
        ("cc0800c0 0102 0002", ParseError::Order(2)),
        ("cc080080 0102 0001", ParseError::Order(1)),
        // Later packets with the index of the first one, and with one above the last possible.
        ("cc080000 0102 0000", ParseError::Order(0)),
        ("cc080000 0102 0400", ParseError::Order(1_024)),
        // An extension cut short; 40 in a request; 32 in a response; 32 on a Raft message.
        ("cc2002c0 0003 0001 0000000000000009", ParseError::Truncated(16)),
        ("cc2802c0 0003 0001 0000000000000009", ParseError::HeaderSize(40)),
        ("cc2011c0 0003 0001 0000000000000009", ParseError::HeaderSize(32)),
        ("cc2051c0 0003 0001 0000000000000009", ParseError::HeaderSize(32)),
        (
            "cc2811c0 0003 0001  0000000000000009 0000000000000003 0001 0000 01 00 0000  00000000",
            ParseError::Truncated(36),
        ),
    ] {
        assert_eq!(Packet::parse(&bytes(hex)).unwrap_err(), error, "{hex}");
    }
}

#[test]
fn an_extension_that_contradicts_its_header_is_refused_by_name() {
    for (front, rest, error) in [
        // Version 2; an unknown flag; reserved bytes.
        (
            "cc2002c0 0003 0001  0000000000000009 0000000000000003 0001 0000",
            "02 00 0000",
            ParseError::Version(2),
        ),
        (
            "cc2002c0 0003 0001  0000000000000009 0000000000000003 0001 0000",
            "01 10 0000",
            ParseError::Reserved,
        ),
        (
            "cc2002c0 0003 0001  0000000000000009 0000000000000003 0001 0000",
            "01 00 0001",
            ParseError::Reserved,
        ),
        // Another id than the number's low bits; number 0; a floor of 0.
        (
            "cc2002c0 0004 0001  0000000000000009 0000000000000003 0001 0000",
            "01 00 0000",
            ParseError::Number(3),
        ),
        (
            "cc2002c0 0000 0001  0000000000000009 0000000000000000 0001 0000",
            "01 00 0000",
            ParseError::Number(0),
        ),
        (
            "cc2002c0 0003 0001  0000000000000009 0000000000000003 0001 0003",
            "01 00 0000",
            ParseError::Number(3),
        ),
        // Two counts; an index at the count; the last packet without its flag; a count above 1,024.
        (
            "cc2002c0 0003 0001  0000000000000009 0000000000000003 0002 0000",
            "01 00 0000",
            ParseError::Order(1),
        ),
        (
            "cc200200 0003 0002  0000000000000009 0000000000000003 0002 0000",
            "01 00 0000",
            ParseError::Order(2),
        ),
        (
            "cc200200 0003 0001  0000000000000009 0000000000000003 0002 0000",
            "01 00 0000",
            ParseError::Order(1),
        ),
        (
            "cc200200 0003 0001  0000000000000009 0000000000000003 0401 0000",
            "01 00 0000",
            ParseError::Order(1),
        ),
    ] {
        let datagram = bytes(&[front, rest].concat());
        assert_eq!(datagram.len(), 32);
        assert_eq!(Packet::parse(&datagram).unwrap_err(), error, "{front} {rest}");
    }
}
