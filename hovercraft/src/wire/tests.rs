//! Packets written by hand from the figure in [`super`], both ways.

use core::net::{Ipv4Addr, SocketAddr};

use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Round, Term};
use raft_core::message::{Append, Message};

use super::*;
use crate::entry::{EntryKind, Request};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn node(number: u8) -> NodeId {
    NodeId::new(number).unwrap()
}

fn index(number: u64) -> LogIndex {
    LogIndex::from_wire(number)
}

fn term(number: u64) -> Term {
    Term::from_wire(number)
}

fn client() -> ClientAddress {
    SocketAddr::from((Ipv4Addr::new(10, 77, 0, 4), 9_000)).into()
}

/// The head that every packet below has.
fn head() -> Head {
    Head {
        way: Way::Direct,
        sender: Member { id: node(2), incarnation: Incarnation::from_wire(0x0102_0304_0506_0708) },
        cluster_id: 0xC1C2_C3C4_C5C6_C7C8,
        log_time_us: 0x0A0B,
        applied: index(9),
        state_hash: 0,
    }
}

/// `what` is bytes 0 to 15, `fields` bytes 24 to 79; the rest is [`head`]'s.
fn packet(what: &str, fields: &str, tail: &str) -> Vec<u8> {
    let bytes = hex(&format!(
        "{what} c1c2c3c4c5c6c7c8 {fields}
         0000000000000a0b 0102030405060708 0000000000000009 0000000000000000 {tail}"
    ));
    assert_eq!(bytes.len(), HEAD_LEN + hex(tail).len(), "the test's own bytes");
    bytes
}

/// Both ways: `bytes` mean `message`, and `message` is written as `bytes`.
fn check(bytes: &[u8], message: NodeMessage<'_>) {
    assert_eq!(parse(bytes, None), Ok((head(), message)));
    let mut packet = [0xAA; PACKET_MAX];
    let len = Encoder::new(None).message(&mut packet, &head(), &message);
    assert_eq!(&packet[..len], bytes);
}

fn raft(what: &str, fields: &str, message: Message) {
    check(&packet(what, fields, ""), NodeMessage::Raft(message));
}

const ZERO: &str = "0000000000000000";

#[test]
fn raft_messages_without_entries() {
    raft(
        "cc0851c0 00000001 01 01 00 02 0000 000a",
        &format!("{ZERO} 0000000000000007 0000000000000005 0000000000000006 {ZERO}{ZERO}{ZERO}"),
        Message::RequestVote {
            term: term(7),
            pre: true,
            transfer: true,
            last_index: index(5),
            last_term: term(6),
        },
    );
    raft(
        "cc0861c0 00000001 01 02 00 02 0000 0004",
        &format!("{ZERO} 0000000000000007 {ZERO}{ZERO}{ZERO}{ZERO}{ZERO}"),
        Message::Vote { term: term(7), pre: false, granted: true },
    );
    raft(
        "cc0861c0 00000001 01 04 00 02 0000 0000",
        &format!(
            "0000000000000003 0000000000000007 0000000000000005 {ZERO}{ZERO}{ZERO} 0000000000000008"
        ),
        Message::Ack {
            epoch: index(3),
            term: term(7),
            index: index(5),
            round: Round::from_wire(8),
        },
    );
    raft(
        "cc0861c0 00000001 01 05 00 02 0000 0000",
        &format!(
            "{ZERO} 0000000000000007 0000000000000005 {ZERO}{ZERO} 0000000000000004 0000000000000008"
        ),
        Message::Reject {
            term: term(7),
            previous_index: index(5),
            hint: index(4),
            round: Round::from_wire(8),
        },
    );
    raft(
        "cc0871c0 00000001 01 06 00 02 0000 0000",
        &format!("{ZERO} 0000000000000007 {ZERO}{ZERO}{ZERO}{ZERO}{ZERO}"),
        Message::TimeoutNow { term: term(7) },
    );
}

/// A no-op; a plain read; a write in a session.
const ENTRIES: &str = "
    0000000000000007 0000000000000000 0000000000000000 00000000000000000000000000000000 0000
    0000000000000000 00 000000 0000 0000000000000000
    0000000000000007 0000000000000000 000000000000002a 00000000000000000000ffff0a4d0004 2328
    1112131415161718 b1 000003 0000 0000000000000100
    0000000000000007 2122232425262728 000000000000002b 00000000000000000000ffff0a4d0004 2328
    3132333435363738 22 010000 0005 0000000000000101";

fn requests() -> [Request; 2] {
    let read = Request {
        id: RequestId { session: 0, number: 42, client: client() },
        client: client(),
        plain: true,
        kind: EntryKind::Read,
        hash: 0x1112_1314_1516_1718,
        len: 3,
        above_floor: 0,
        stamp_us: 0x100,
        replier: node(1),
        inline: false,
    };
    let id =
        RequestId { session: 0x2122_2324_2526_2728, number: 43, client: ClientAddress::default() };
    let write = Request {
        id,
        plain: false,
        kind: EntryKind::Write,
        hash: 0x3132_3334_3536_3738,
        len: 65_536,
        above_floor: 5,
        stamp_us: 0x101,
        replier: node(2),
        ..read
    };
    [read, write]
}

fn append(count: u16) -> Append {
    Append {
        epoch: index(1),
        term: term(7),
        previous_index: index(10),
        previous_term: term(6),
        first_of_term: index(11),
        commit: index(8),
        round: Round::from_wire(99),
        count,
        answer: true,
    }
}

const APPEND_FIELDS: &str = "0000000000000001 0000000000000007 000000000000000a 0000000000000006
    000000000000000b 0000000000000008 0000000000000063";

#[test]
fn an_append_with_entries_and_a_body() {
    let [read, write] = requests();
    let tail = format!("{ENTRIES} 00000002 616263");
    let bytes = packet("cc0851c0 00000001 01 03 00 02 0003 0021", APPEND_FIELDS, &tail);
    let (_, message) = parse(&bytes, None).unwrap();
    let NodeMessage::Append { append: parsed, entries, configuration, bodies } = message else {
        panic!("{message:?}")
    };
    assert_eq!(parsed, append(3));
    let term = term(7);
    let wanted = [
        Entry { term, payload: Payload::NoOp },
        Entry { term, payload: Payload::Command(read) },
        Entry { term, payload: Payload::Command(write) },
    ];
    assert!(entries.iter().eq(wanted));
    assert_eq!(configuration, None);
    assert!(bodies.iter().eq([None, Some(&b"abc"[..]), None]));
    check(&bytes, message);

    let mut packet = [0; PACKET_MAX];
    let encoder = Encoder::new(None);
    let mut writer = encoder.append(&mut packet, &head(), &append(3));
    for entry in wanted {
        writer.entry(&entry);
    }
    assert!(writer.body(1, b"abc"));
    assert!(!writer.body(2, &[0; 65_536]), "does not fit: goes ahead of the append");
    let len = writer.finish();
    assert_eq!(packet[..len], bytes);
}
