//! Packets written by hand from the figure in [`super`], both ways.

use core::net::{Ipv4Addr, SocketAddr};

use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Round, Term};
use raft_core::message::{Append, Message};

use super::*;
use crate::entry::{EntryKind, Request};

mod refusals;

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

/// Fields of a message that uses none of the head's own.
fn no_fields() -> String {
    ZERO.repeat(7)
}

const NAME: &str = "0000000000000000 000000000000002a 00000000000000000000ffff0a4d0004 2328";

#[test]
fn a_heartbeat_and_news_of_a_commit() {
    let empty = |append| NodeMessage::Append {
        append,
        entries: Entries::default(),
        configuration: None,
        bodies: Bodies::default(),
    };
    let bytes = packet("cc0851c0 00000001 01 03 00 02 0000 0001", APPEND_FIELDS, "");
    check(&bytes, empty(append(0)));
    let bytes = packet("cc0851c0 00000001 01 03 00 02 0000 0000", APPEND_FIELDS, "");
    check(&bytes, empty(Append { answer: false, ..append(0) }));
    let mut packet = [0; PACKET_MAX];
    let news = Message::Append(Append { answer: false, ..append(0) });
    let len = Encoder::new(None).raft(&mut packet, &head(), &news);
    assert_eq!(packet[..len], bytes);
}

#[test]
fn an_append_with_a_configuration() {
    let entry = format!(
        "0000000000000007 {} {ZERO}{ZERO} 0000 10 00000000000000000000000000",
        ZERO.repeat(3)
    );
    let tail = format!("{entry} 0003 aabbcc");
    let bytes = packet("cc0851c0 00000001 01 03 00 02 0001 0011", APPEND_FIELDS, &tail);
    let (_, message) = parse(&bytes, None).unwrap();
    let NodeMessage::Append { entries, configuration, bodies, .. } = message else { panic!() };
    assert!(entries.iter().eq([Entry { term: term(7), payload: Payload::Configuration }]));
    assert_eq!(configuration, Some(&[0xAA, 0xBB, 0xCC][..]));
    assert!(bodies.is_empty());
    check(&bytes, message);
}

#[test]
fn an_aggregate() {
    let fields = format!(
        "0000000000000003 0000000000000007 0000000000000005 {ZERO} 000000000000000b 000000000000000f {ZERO}"
    );
    let tail = "0000000000000001 0000000000000002 0000000000000003";
    let mut bytes = packet("cc0871c0 00000001 01 07 00 00 0003 0000", &fields, tail);
    bytes[88..96].fill(0); // An aggregator is no member.
    let mut buffer = [0; 128];
    let said = Aggregate {
        epoch: index(3),
        term: term(7),
        first_of_term: index(11),
        index: index(15),
        voters: 0b101,
        applied: AppliedList::write(&mut buffer, [1, 2, 3].map(index)),
    };
    let nobody = Head { sender: Member::default(), ..head() };
    assert_eq!(parse(&bytes, None), Ok((nobody, NodeMessage::Aggregate(said))));
    let mut packet = [0; PACKET_MAX];
    let len = Encoder::new(None).aggregate(&mut packet, &nobody, &said);
    assert_eq!(packet[..len], bytes);
    let voter = |id| Member { id: node(id), incarnation: Incarnation::from_wire(1) };
    let set = said.set_among(&[voter(4), voter(7), voter(9)]).unwrap();
    assert!(set.iter().eq([node(4), node(9)]), "the n-th voter, not node n");
    assert_eq!(said.set_among(&[voter(4), voter(7)]), None);
}

#[test]
fn a_request_for_bodies() {
    let session = format!("2122232425262728 000000000000002b {ZERO}{ZERO} 0000");
    let tail = format!(
        "{NAME} 0000 00000003 1112131415161718 0000000000000001
         {session} 0002 00010000 3132333435363738 8000000000000000"
    );
    let fields =
        format!("{ZERO} 0000000000000007 0000000000000009 {ZERO}{ZERO}{ZERO} 8102030405060708");
    let bytes = packet("cc0851c0 00000001 01 08 00 02 0002 0000", &fields, &tail);
    // 65,536 bytes are 52 chunks: number 2 + 63 is beyond the end.
    assert_eq!(parse(&bytes, None), Err(WireError::Field(Field::Chunk)));
    let bytes = [&bytes[..bytes.len() - 8], &hex("0002000000000001")].concat();
    let [read, write] = requests();
    let first = Wanted { id: read.id, hash: read.hash, len: 3, first: 0, chunks: 1 };
    let chunks = 1 << 49 | 1;
    let second = Wanted { id: write.id, hash: write.hash, len: 65_536, first: 2, chunks };
    let (_, message) = parse(&bytes, None).unwrap();
    let NodeMessage::BodyRequest { question, list } = message else { panic!("{message:?}") };
    let number = 0x8102_0304_0506_0708;
    let asked = BodyQuestion { term: Term::from_wire(7), index: LogIndex::from_wire(9), number };
    assert_eq!(question, asked);
    assert!(list.iter().eq([first, second]));
    assert!(second.iter().eq([2, 51]));
    check(&bytes, message);

    let tail = format!("{NAME} 0000 00000003 1112131415161718 0000000000000001");
    let bytes = packet("cc0861c0 00000001 01 0e 00 02 0000 0000", &fields, &tail);
    check(&bytes, NodeMessage::NoBody { question, wanted: first });
    assert_eq!(parse(&[&bytes[..], &[0; 56]].concat(), None), Err(WireError::Field(Field::Chunk)));
}

#[test]
fn chunks_of_bodies() {
    let [read, write] = requests();
    let tail = format!("{NAME} 0000 00000003 1112131415161718 616263");
    let bytes = packet("cc0861c0 00000001 01 09 00 02 0000 0040", &no_fields(), &tail);
    let chunk = Chunk::of(read.id, client(), true, read.hash, b"abc", 0).unwrap();
    check(&bytes, NodeMessage::BodyChunk(chunk));

    let name = "2122232425262728 000000000000002b 00000000000000000000ffff0a4d0004 2328";
    let body = [7; CHUNK_LEN + 2];
    let tail = format!("{name} 0001 00000502 3132333435363738 0707");
    let bytes = packet("cc0861c0 00000001 01 09 00 02 0000 0000", &no_fields(), &tail);
    let chunk = Chunk::of(write.id, client(), false, write.hash, &body, 1).unwrap();
    check(&bytes, NodeMessage::BodyChunk(chunk));
    assert_eq!(Chunk::of(write.id, client(), false, write.hash, &body, 2), None);

    let tail = format!("{NAME} 0000 00000000 1112131415161718");
    let bytes = packet("cc0861c0 00000001 01 09 00 02 0000 0040", &no_fields(), &tail);
    let nothing = Chunk::of(read.id, client(), true, read.hash, b"", 0).unwrap();
    check(&bytes, NodeMessage::BodyChunk(nothing));
    assert_eq!((chunks_of(0), chunks_of(1_280), chunks_of(1_281)), (1, 1, 2));
}

#[test]
fn the_longest_chunk_and_forward_fit_with_a_mac() {
    let encoder = Encoder::new(Some(MacKey::derive(&[3; 32])));
    let body = [9; CHUNK_LEN];
    let chunk = Chunk::of(requests()[1].id, client(), false, 1, &body, 0).unwrap();
    let mut packet = [0; PACKET_MAX];
    assert_eq!(encoder.body_chunk(&mut packet, &head(), &chunk), 1_456);
    let forward = Forward { body: chunk, policy: 2, flags: 8, above_floor: 4, age_us: 1 };
    let len = encoder.forward(&mut packet, &head(), &forward);
    assert_eq!(len, 1_464);
    assert_eq!(parse(&packet[..len], encoder.key()), Ok((head(), NodeMessage::Forward(forward))));
}

#[test]
fn a_forward() {
    let name = "2122232425262728 000000000000002b 00000000000000000000ffff0a4d0004 2328";
    let tail = format!("{name} 0000 00000002 3132333435363738 02 08 0005 00010203 6869");
    let bytes = packet("cc0871c0 00000001 01 0a 00 02 0000 0000", &no_fields(), &tail);
    let write = requests()[1];
    let body = Chunk::of(write.id, client(), false, write.hash, b"hi", 0).unwrap();
    let forward = Forward { body, policy: 2, flags: 8, above_floor: 5, age_us: 0x0001_0203 };
    check(&bytes, NodeMessage::Forward(forward));
}

#[test]
fn questions_reports_and_applied() {
    let nonce = format!("{} 0102030405060709", ZERO.repeat(6));
    let bytes = packet("cc0851c0 00000001 01 0b 00 02 0000 0000", &nonce, "");
    check(&bytes, NodeMessage::Question { nonce: 0x0102_0304_0506_0709 });

    let tail = "00 0000000000000005 02 0102030405060708 03 0000000000000000 0002 beef";
    let bytes = packet("cc0861c0 00000001 01 0c 00 02 0003 0090", &nonce, tail);
    let (_, message) = parse(&bytes, None).unwrap();
    let NodeMessage::Report(report) = message else { panic!("{message:?}") };
    let life = |id, number| Member { id: node(id), incarnation: Incarnation::from_wire(number) };
    assert!(report.lives.iter().eq([life(0, 5), head().sender, life(3, 0)]));
    assert_eq!((report.nonce, report.memory), (0x0102_0304_0506_0709, true));
    assert_eq!(report.configuration, Some(&[0xBE, 0xEF][..]));
    check(&bytes, message);

    let fields = format!("{ZERO} 0000000000000007 {}", ZERO.repeat(5));
    let bytes = packet("cc0871c0 00000001 01 0d 00 02 0000 0000", &fields, "");
    check(&bytes, NodeMessage::Applied { term: term(7) });

    let fields = format!("{ZERO} 0000000000000007 0000000000000009 {}", ZERO.repeat(4));
    let bytes = packet("cc0871c0 00000001 01 0f 00 02 0000 0000", &fields, "");
    check(&bytes, NodeMessage::HeldByAll { term: term(7), index: index(9) });
}

#[test]
fn hc13_without_a_valid_mac_nothing_has_an_effect() {
    let key = MacKey::derive(&[3; 32]);
    let encoder = Encoder::new(Some(key.clone()));
    let mut packet = [0; PACKET_MAX];
    let len = encoder.question(&mut packet, &head(), 7);
    assert_eq!(len, HEAD_LEN + MAC_LEN);
    let wanted = Ok((head(), NodeMessage::Question { nonce: 7 }));
    assert_eq!(parse(&packet[..len], Some(&key)), wanted);
    assert_eq!(packet[HEAD_LEN..len], key.mac(&packet[..HEAD_LEN]));
    let other = MacKey::derive(&[4; 32]);
    assert_eq!(parse(&packet[..len], Some(&other)), Err(WireError::Mac));
    assert_eq!(parse(&packet[..HEAD_LEN], Some(&key)), Err(WireError::Mac));
    // One with a MAC is no message where there is no key.
    assert_eq!(parse(&packet[..len], None), Err(WireError::Length(len)));
    for bit in 0..len * 8 {
        let mut broken = packet;
        broken[bit / 8] ^= 1 << (bit % 8);
        let refused = parse(&broken[..len], Some(&key)).unwrap_err();
        let before_the_mac = matches!(refused, WireError::Header | WireError::Version(_));
        assert!(refused == WireError::Mac || (bit < 72 && before_the_mac), "bit {bit}: {refused}");
    }
}
