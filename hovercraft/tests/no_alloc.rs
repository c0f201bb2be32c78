//! HC12: what a request passes through in a warm node allocates nothing: messages written and read, entries decided.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../r2p2/tests/support/ffi.rs"]
mod ffi;

use core::time::Duration;

use hovercraft::entry::{EntryKind, Request};
use hovercraft::limits::Limits;
use hovercraft::table::{Asked, Decision, Known, Table};
use hovercraft::wire::{Encoder, Head, MacKey, NodeMessage, PACKET_MAX, parse};
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Term};
use raft_core::message::{Append, Message};

const CLUSTER: u64 = 0xC000_0000_0000_0000;

fn request(kind: EntryKind, session: u64, number: u64, stamp_us: u64) -> Request {
    let client = ClientAddress { ip: [1; 16], port: 7 };
    Request {
        id: RequestId::new(client, session, number),
        client,
        plain: false,
        kind,
        hash: number,
        len: 8,
        above_floor: 0,
        stamp_us,
        replier: NodeId::default(),
        inline: false,
    }
}

/// Allocations in `work`, the second time; the first time is the warm-up.
fn warm_allocations(mut work: impl FnMut()) -> u64 {
    work();
    let before = ffi::allocations();
    work();
    ffi::allocations() - before
}

#[test]
fn messages_are_written_and_read_in_the_callers_buffer() {
    let encoder = Encoder::new(Some(MacKey::derive(&[1; 32])));
    let incarnation = Incarnation::from_wire(3);
    let head = Head { sender: Member { id: NodeId::default(), incarnation }, ..Head::default() };
    let mut packet = [0; PACKET_MAX];
    let mut entries = 0;
    let allocations = warm_allocations(|| {
        let append = Append { count: 16, ..Append::default() };
        let mut writer = encoder.append(&mut packet, &head, &append);
        for number in 0..16 {
            let request = request(EntryKind::Write, 9, number, number);
            writer.entry(&Entry { term: Term::ZERO, payload: Payload::Command(request) });
        }
        assert!(writer.body(3, b"12345678"));
        let len = writer.finish();
        let Ok((_, NodeMessage::Append { entries: found, bodies, .. })) =
            parse(&packet[..len], encoder.key())
        else {
            panic!("not an append")
        };
        entries += found.iter().zip(bodies.iter()).filter(|(_, body)| body.is_none()).count();
        let len = encoder.raft(&mut packet, &head, &Message::TimeoutNow { term: Term::ZERO });
        assert!(parse(&packet[..len], encoder.key()).is_ok());
    });
    assert_eq!((allocations, entries), (0, 30));
}

/// Sessions with moving floors, plain ids that come and go, repetitions, sessions opened and closed.
#[test]
fn entries_are_decided_without_allocating() {
    let limits = Limits {
        plain_window: Duration::from_micros(1_000),
        session_expiry: Duration::from_micros(100_000),
        ..Limits::default()
    };
    let mut table = Table::new(&limits, 1);
    let (mut index, mut kinds) = (0, [0u32; 4]);
    let mut apply = |table: &mut Table, request: Request| {
        index += 1;
        table.decide(LogIndex::from_wire(index), &request, &limits, CLUSTER)
    };
    let mut time_us = 0;
    let allocations = warm_allocations(|| {
        time_us += 1;
        let opening = request(EntryKind::Open, 0, time_us, time_us);
        let Decision::Opened { session, .. } = apply(&mut table, opening) else { panic!() };
        for number in 1..5_000 {
            time_us += 1;
            let above_floor = u16::try_from(number.min(200) - 1).unwrap();
            let write =
                Request { above_floor, ..request(EntryKind::Write, session, number, time_us) };
            kinds[0] += u32::from(matches!(apply(&mut table, write), Decision::Execute { .. }));
            kinds[1] += u32::from(matches!(apply(&mut table, write), Decision::Repetition(_)));
            let plain = request(EntryKind::Write, 0, time_us, time_us);
            kinds[2] += u32::from(matches!(apply(&mut table, plain), Decision::Execute { .. }));
            let known = table.lookup(&Asked::from(&plain), time_us, &limits);
            kinds[3] += u32::from(matches!(known, Known::Applied(_)));
        }
        let closing = request(EntryKind::Close, session, 5_000, time_us);
        assert_eq!(apply(&mut table, closing), Decision::Closed);
    });
    assert_eq!((allocations, kinds), (0, [9_998; 4]));
    assert!(table.slots() < 1_500, "{} slots for 200 numbers and 1,001 ids", table.slots());
}

/// The counter does count.
#[test]
fn the_counter_counts() {
    assert_eq!(warm_allocations(|| drop(core::hint::black_box(Box::new(1u8)))), 1);
}
