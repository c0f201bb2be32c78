//! What is refused, and why.

use super::*;

/// `good` with one byte changed.
fn changed(good: &[u8], at: usize, byte: u8) -> Result<(), WireError> {
    assert!(parse(good, None).is_ok(), "the test's own bytes");
    let mut bytes = good.to_vec();
    bytes[at] = byte;
    parse(&bytes, None).map(|_| ())
}

fn bad(field: Field) -> Result<(), WireError> {
    Err(WireError::Field(field))
}

/// Every way in which an append can be wrong, and the name that it gets.
#[test]
fn what_is_refused_of_an_append() {
    let good = packet(
        "cc0851c0 00000001 01 03 00 02 0003 0021",
        APPEND_FIELDS,
        &format!("{ENTRIES} 00000002 616263"),
    );
    let refused = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        parse(&bytes, None).unwrap_err()
    };
    for at in [0, 1, 3, 4, 5, 6, 7] {
        assert_eq!(refused(at, 0x77), WireError::Header, "byte {at}");
    }
    assert_eq!(refused(2, 0x01), WireError::Header, "a client's request");
    assert_eq!(refused(2, 0x61), WireError::Kind(3), "an append is no reply");
    let none = packet(
        "cc0851c0 00000001 01 03 00 02 0003 0021",
        APPEND_FIELDS,
        &format!("{ENTRIES} 00000000"),
    );
    assert_eq!(parse(&none, None).map(|_| ()), bad(Field::Bodies), "W1: a place for no body");
    assert_eq!(refused(8, 2), WireError::Version(2));
    assert_eq!(refused(9, 0), WireError::Kind(0));
    assert_eq!(refused(9, 14), WireError::Kind(14));
    assert_eq!(refused(9, 1), WireError::Field(Field::Flags), "a request for votes has no bodies");
    assert_eq!(refused(10, 2), WireError::Field(Field::Way));
    assert_eq!(refused(11, 16), WireError::Field(Field::Sender));
    assert_eq!(refused(13, 2), WireError::Field(Field::Bodies), "an entry is no body");
    assert_eq!(refused(13, 4), WireError::Field(Field::Count));
    assert_eq!(refused(13, 22), WireError::Field(Field::Count));
    assert_eq!(refused(12, 0xFF), WireError::Field(Field::Count));
    assert_eq!(refused(15, 0x20 | 0x10), WireError::Field(Field::Configuration));
    assert_eq!(refused(15, 1), WireError::Field(Field::Bodies), "bytes behind the entries");
    for at in [24, 40, 56, 64, 80, 96] {
        assert_eq!(refused(at, 0x40), WireError::Field(Field::Number), "byte {at}");
    }
    let entry = |place: usize, at: usize| HEAD_LEN + 64 * place + at;
    assert_eq!(refused(entry(0, 50), 0x01), WireError::Field(Field::Entry), "a no-op's replier");
    assert_eq!(refused(entry(0, 63), 1), WireError::Field(Field::Entry), "a no-op's stamp");
    assert_eq!(refused(entry(0, 50), 0x80), WireError::Field(Field::Entry), "a plain no-op");
    assert_eq!(refused(entry(0, 50), 0x10), WireError::Field(Field::Configuration), "not the last");
    for kind in [0x60, 0x70, 0xC0, 0xE0] {
        assert_eq!(refused(entry(2, 50), kind), WireError::Field(Field::Entry), "kind {kind:x}");
    }
    assert_eq!(refused(entry(2, 50), 0xA0), WireError::Field(Field::Entry), "plain, in a session");
    assert_eq!(refused(entry(2, 50), 0x40), WireError::Field(Field::Entry), "opened in a session");
    assert_eq!(refused(entry(1, 50), 0x50), WireError::Field(Field::Entry), "closes no session");
    assert_eq!(refused(entry(1, 56), 0x40), WireError::Field(Field::Entry), "stamp");
    assert_eq!(
        refused(entry(1, 53), 4),
        WireError::Field(Field::Bodies),
        "longer than what is here"
    );
    assert_eq!(refused(entry(3, 3), 1), WireError::Field(Field::Bodies), "a no-op's body");
    assert_eq!(refused(entry(3, 3), 10), WireError::Field(Field::Bodies), "a fourth entry's");
    for len in 0..good.len() {
        let refused = parse(&good[..len], None).unwrap_err();
        assert!(len >= HEAD_LEN || refused == WireError::Length(len), "{refused} at {len}");
    }
    assert_eq!(parse(&[0; PACKET_MAX + 1], None), Err(WireError::Length(PACKET_MAX + 1)));
}

#[test]
fn a_sender_is_somebody_but_of_an_aggregate() {
    let question = packet(
        "cc0851c0 00000001 01 0b 00 02 0000 0000",
        &format!("{} 0102030405060709", ZERO.repeat(6)),
        "",
    );
    let mut nobody = question.clone();
    nobody[88..96].fill(0);
    assert_eq!(parse(&nobody, None), Err(WireError::Field(Field::Sender)));

    let fields = ZERO.repeat(7);
    let mut said = packet("cc0871c0 00000001 01 07 00 00 0002 0000", &fields, &ZERO.repeat(2));
    assert_eq!(parse(&said, None), Err(WireError::Field(Field::Sender)));
    said[88..96].fill(0);
    assert_eq!(changed(&said, 11, 1), bad(Field::Sender));
    // Two voters: bits 0 and 1, and an applied index each.
    assert_eq!(changed(&said, 47, 3), Ok(()));
    assert_eq!(changed(&said, 47, 4), bad(Field::Set));
    assert_eq!(changed(&said, 45, 1), bad(Field::Set));
    assert_eq!(changed(&said, 13, 1), bad(Field::Count));
    assert_eq!(changed(&said, HEAD_LEN, 0x40), bad(Field::Number));
}

#[test]
fn chunks_and_forwards_say_nothing_impossible() {
    let name = "2122232425262728 000000000000002b 00000000000000000000ffff0a4d0004 2328";
    let tail = format!("{name} 0000 00000002 3132333435363738 02 08 0005 00000000 6869");
    let forward = packet("cc0871c0 00000001 01 0a 00 02 0000 0000", &no_fields(), &tail);
    let refused =
        |at: usize, byte: u8| assert_eq!(changed(&forward, HEAD_LEN + at, byte), bad(Field::Chunk));
    refused(35, 1); // Chunk 1 of a body of two bytes.
    refused(39, 3); // A length that its bytes do not have.
    refused(48, 4); // No such policy.
    assert_eq!(changed(&forward, 15, 0x40), bad(Field::Chunk), "plain, in a session");
    let session = HEAD_LEN..HEAD_LEN + 8;
    let mut plain = forward.clone();
    plain[session].fill(0);
    assert_eq!(changed(&plain, 15, 0x40), bad(Field::Chunk), "plain, with the extension's flags");

    let chunk = format!("{name} 0000 00000001 3132333435363738 61");
    let chunk = packet("cc0861c0 00000001 01 09 00 02 0000 0000", &no_fields(), &chunk);
    assert_eq!(changed(&chunk, 15, 0x40), bad(Field::Chunk), "plain, in a session");

    // The last chunk of the longest body that an entry can name; and of one a byte longer.
    let last = |len: &str, bytes: usize| {
        let tail = format!("{name} 3333 {len} 3132333435363738 {}", "00".repeat(bytes));
        let chunk = packet("cc0861c0 00000001 01 09 00 02 0000 0000", &no_fields(), &tail);
        parse(&chunk, None).map(|_| ())
    };
    assert_eq!(last("00ffffff", 255), Ok(()));
    assert_eq!(last("01000000", 256), bad(Field::Chunk));
    assert_eq!(chunks_of((1 << 24) - 1), 0x3333 + 1);
}
