//! One test for each sentence of HC7 a to c that this module keeps, named after it.

use core::time::Duration;

use r2p2::refusal::Reason;
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::ids::{LogIndex, NodeId};

use super::*;

const CLUSTER: u64 = 0xC000_0000_0000_0000;
const WINDOW_US: u64 = 1_000_000;
const EXPIRY_US: u64 = 10_000_000;

/// A table, and the log that it is fed with.
#[derive(Clone)]
struct Replica {
    table: Table,
    limits: Limits,
    last: u64,
}

fn client(port: u16) -> ClientAddress {
    ClientAddress { ip: [7; 16], port }
}

fn request(kind: EntryKind, session: u64, number: u64) -> Request {
    Request {
        id: RequestId::new(client(1), session, number),
        client: client(1),
        plain: false,
        kind,
        hash: 99,
        len: 0,
        above_floor: 0,
        stamp_us: 0,
        replier: NodeId::default(),
        inline: false,
    }
}

fn plain(number: u64, stamp_us: u64) -> Request {
    Request { stamp_us, ..request(EntryKind::Write, 0, number) }
}

impl Replica {
    fn new() -> Self {
        let limits = Limits {
            plain_window: Duration::from_micros(WINDOW_US),
            session_expiry: Duration::from_micros(EXPIRY_US),
            plain_ids_max: 4,
            sessions_max: 2,
            session_window: 8,
            ..Limits::default()
        };
        Self { table: Table::new(&limits, 1), limits, last: 0 }
    }

    fn apply(&mut self, request: Request) -> Decision {
        self.last += 1;
        self.table.decide(LogIndex::from_wire(self.last), &request, &self.limits, CLUSTER)
    }

    /// Opens a session at `stamp_us`.
    fn open(&mut self, nonce: u64, stamp_us: u64) -> u64 {
        let opening = Request { stamp_us, ..request(EntryKind::Open, 0, nonce) };
        let Decision::Opened { session, .. } = self.apply(opening) else { panic!("not opened") };
        session
    }

    /// A write with number `number`, `floor` the lowest one still open.
    fn write(&mut self, session: u64, number: u64, floor: u64) -> Decision {
        let above_floor = u16::try_from(number - floor).unwrap();
        self.apply(Request { above_floor, ..request(EntryKind::Write, session, number) })
    }

    fn known(&self, request: &Request, stamp_us: u64) -> Known {
        self.table.lookup(&Asked::from(request), stamp_us, &self.limits)
    }
}

#[track_caller]
fn executed(decision: Decision) -> Slot {
    let Decision::Execute { slot } = decision else { panic!("{decision:?}") };
    slot
}

/// The slot and the log index of what was done before.
#[track_caller]
fn repeated(decision: Decision) -> (Slot, u64) {
    let Decision::Repetition(kept) = decision else { panic!("{decision:?}") };
    (kept.slot, kept.index.to_wire())
}

#[test]
fn hc7a_every_node_decides_alike_from_what_was_applied_alone() {
    let mut one = Replica::new();
    let mut two = one.clone();
    two.table = Table::new(&two.limits, 2);
    let session = one.open(5, 10);
    assert_eq!(session, two.open(5, 10));
    for number in [3, 1, 3, 20, 2] {
        assert_eq!(one.write(session, number, 1), two.write(session, number, 1));
        assert_eq!(one.apply(plain(number, 20)), two.apply(plain(number, 20)));
        assert!(one.table == two.table, "T5: after number {number}");
        // Looking up changes nothing.
        let _ = one.known(&plain(9, 0), u64::MAX);
        let _ = one.table.is_plain_full(u64::MAX, 0, &one.limits);
    }
}

#[test]
fn hc7a_a_repetition_is_not_executed() {
    let mut replica = Replica::new();
    let slot = executed(replica.apply(plain(1, 0)));
    assert_eq!(repeated(replica.apply(plain(1, 0))), (slot, 1));
    let session = replica.open(5, 0);
    let slot = executed(replica.write(session, 1, 1));
    assert_eq!(repeated(replica.write(session, 1, 1)), (slot, 4));
}

#[test]
fn hc7a_the_limits_at_an_entrys_index_decide() {
    let mut replica = Replica::new();
    executed(replica.apply(plain(1, 0)));
    replica.limits.plain_window = Duration::from_micros(5);
    executed(replica.apply(plain(1, 6)));
    replica.limits.plain_window = Duration::from_micros(WINDOW_US);
    repeated(replica.apply(plain(1, 12)));
    // Raised limits have room; lowered ones refuse.
    replica.limits.plain_ids_max = 1_000;
    for number in 2..=1_000 {
        executed(replica.apply(plain(number, 12)));
    }
    replica.limits.plain_ids_max = 10;
    assert_eq!(replica.apply(plain(1_001, 12)), Decision::Refused(Reason::Overload));
    repeated(replica.apply(plain(1_000, 12)));
}

#[test]
fn hc7b_a_session_is_its_openings_index_xor_the_cluster_id() {
    let mut replica = Replica::new();
    replica.apply(plain(1, 0));
    assert_eq!(replica.open(5, 0), 2 ^ CLUSTER);
}

#[test]
fn hc7b_a_session_from_another_life_is_unknown() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    let elsewhere = session ^ CLUSTER ^ 0xD000_0000_0000_0000;
    assert_eq!(replica.write(elsewhere, 1, 1), Decision::Refused(Reason::UnknownSession));
    executed(replica.write(session, 1, 1));
}

/// Session 0 is no session: the index that would open it opens nothing.
#[test]
fn hc7b_no_session_is_zero() {
    let mut replica = Replica::new();
    let opening = request(EntryKind::Open, 0, 5);
    let index = LogIndex::from_wire(77);
    let decision = replica.table.decide(index, &opening, &replica.limits, 77);
    assert_eq!(decision, Decision::Refused(Reason::Overload));
    assert_eq!(replica.table.plain_ids(), 0);
}

#[test]
fn hc7b_sessions_expire_by_log_time_since_their_last_applied_entry() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    let at = |stamp_us| Request { stamp_us, ..request(EntryKind::Write, session, 1) };
    executed(replica.apply(at(EXPIRY_US)));
    // Whatever becomes of an entry, the session was heard of: a repetition, a refusal, a read.
    repeated(replica.apply(at(2 * EXPIRY_US)));
    let above = Request {
        id: RequestId::new(client(1), session, 50),
        above_floor: 49,
        ..at(3 * EXPIRY_US)
    };
    assert_eq!(replica.apply(above), Decision::Refused(Reason::AboveWindow));
    let read = Request { kind: EntryKind::Read, ..at(4 * EXPIRY_US) };
    assert_eq!(replica.apply(read), Decision::ExecuteRead);
    repeated(replica.apply(at(5 * EXPIRY_US)));
    // A plain request's stamp is enough to let it go.
    replica.apply(plain(1, 6 * EXPIRY_US + 1));
    assert_eq!(replica.table.sessions(), 0);
    assert_eq!(replica.apply(at(6 * EXPIRY_US + 1)), Decision::Refused(Reason::UnknownSession));
}

#[test]
fn hc7b_a_request_of_an_unknown_session_is_refused_when_applied() {
    let mut replica = Replica::new();
    for kind in [EntryKind::Write, EntryKind::Read, EntryKind::Close] {
        let decision = replica.apply(request(kind, 77, 1));
        assert_eq!(decision, Decision::Refused(Reason::UnknownSession));
    }
    assert_eq!(
        replica.apply(request(EntryKind::Close, 0, 1)),
        Decision::Refused(Reason::UnknownSession)
    );
    let session = replica.open(5, 0);
    assert_eq!(replica.apply(request(EntryKind::Close, session, 1)), Decision::Closed);
    for kind in [EntryKind::Write, EntryKind::Read, EntryKind::Close] {
        let decision = replica.apply(request(kind, session, 1));
        assert_eq!(decision, Decision::Refused(Reason::UnknownSession));
    }
}

#[test]
fn hc7b_the_floor_is_applied_first() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    // Number 9 is in the window only because its own floor counts before it is judged.
    executed(replica.write(session, 9, 2));
    // Refused, and its floor counts nevertheless.
    assert_eq!(replica.write(session, 20, 4), Decision::Refused(Reason::AboveWindow));
    assert_eq!(replica.write(session, 3, 3), Decision::Dropped);
    executed(replica.write(session, 11, 4));
}

#[test]
fn hc7b_the_floor_only_rises() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    executed(replica.write(session, 5, 5));
    executed(replica.write(session, 6, 1));
    assert_eq!(replica.write(session, 1, 1), Decision::Dropped);
    assert_eq!(replica.write(session, 4, 1), Decision::Dropped);
    executed(replica.write(session, 13, 6));
}

#[test]
fn hc7b_numbers_come_in_any_order() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    let slots = [4, 2, 8, 1].map(|number| executed(replica.write(session, number, 1)));
    for (number, slot) in [4, 2, 8, 1].into_iter().zip(slots) {
        assert_eq!(repeated(replica.write(session, number, 1)).0, slot);
    }
    executed(replica.write(session, 3, 1));
}

#[test]
fn hc7b_above_the_window_is_refused_and_below_the_floor_dropped() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    executed(replica.write(session, 8, 1));
    for kind in [EntryKind::Write, EntryKind::Read, EntryKind::Close] {
        let above = Request { above_floor: 8, ..request(kind, session, 9) };
        assert_eq!(replica.apply(above), Decision::Refused(Reason::AboveWindow));
        assert_eq!(replica.apply(request(kind, session, 0)), Decision::Dropped);
    }
    repeated(replica.write(session, 8, 1));
    executed(replica.write(session, 10, 9));
    assert_eq!(replica.write(session, 8, 8), Decision::Dropped);
}

#[test]
fn hc7b_a_floor_lets_go_of_the_replies_below_it_and_of_no_other() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    let slots = [1, 2, 3].map(|number| executed(replica.write(session, number, 1)));
    assert_eq!(executed(replica.write(session, 4, 3)), slots[0], "the lowest");
    assert_eq!(executed(replica.write(session, 5, 3)), slots[1]);
    assert_eq!(repeated(replica.write(session, 3, 3)).0, slots[2]);
}

#[test]
fn hc7b_executed_at_most_once_across_a_snapshot() {
    let mut replica = Replica::new();
    let session = replica.open(5, 3);
    let slot = executed(replica.write(session, 2, 1));
    executed(replica.apply(plain(1, 7)));
    let image = replica.table.image();
    replica.table = Table::restore(&image, &replica.limits, 3).unwrap();
    assert_eq!(replica.table.image(), image);
    assert_eq!(repeated(replica.write(session, 2, 1)), (slot, 2));
    repeated(replica.apply(plain(1, 7)));
    let Decision::Repetition(kept) = replica.apply(request(EntryKind::Open, 0, 5)) else {
        panic!()
    };
    assert_eq!((kept.opened, kept.index.to_wire()), (Some(session), 1));
}

#[test]
fn hc7c_address_port_id_and_hash_tell_plain_requests_apart() {
    let mut replica = Replica::new();
    replica.limits.plain_ids_max = 10;
    let base = plain(1, 0);
    executed(replica.apply(base));
    let ip = RequestId { client: ClientAddress { ip: [8; 16], port: 1 }, ..base.id };
    executed(replica.apply(Request { id: ip, ..base }));
    executed(replica.apply(Request { id: RequestId { client: client(2), ..base.id }, ..base }));
    executed(replica.apply(plain(2, 0)));
    executed(replica.apply(Request { hash: 100, ..base }));
    // Nothing else does: kept once, whatever form the repetition has.
    repeated(replica.apply(Request {
        plain: true,
        len: 5,
        replier: NodeId::new(3).unwrap(),
        ..base
    }));
}

#[test]
fn hc7c_the_window_counts_from_the_first_entry() {
    let mut replica = Replica::new();
    executed(replica.apply(plain(1, 0)));
    repeated(replica.apply(plain(1, WINDOW_US / 2)));
    repeated(replica.apply(plain(1, WINDOW_US)));
    // The repetitions have not prolonged it; and the stamp expires before its own entry is judged (HC7e).
    executed(replica.apply(plain(1, WINDOW_US + 1)));
}

#[test]
fn hc7c_checks_when_ordering_are_judged_at_the_stamp_that_the_request_would_get() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    let slot = executed(replica.apply(plain(1, 0)));
    let write = request(EntryKind::Write, session, 1);
    let kept = Kept { slot, index: LogIndex::from_wire(2), opened: None };
    assert_eq!(replica.known(&plain(1, 0), WINDOW_US), Known::Applied(kept));
    assert_eq!(replica.known(&plain(1, 0), WINDOW_US + 1), Known::New);
    assert_eq!(replica.known(&write, EXPIRY_US), Known::New);
    assert_eq!(replica.known(&write, EXPIRY_US + 1), Known::UnknownSession);
    assert!(replica.table.is_open(session, EXPIRY_US, &replica.limits));
    assert!(!replica.table.is_open(session, EXPIRY_US + 1, &replica.limits));
    assert_eq!(replica.known(&request(EntryKind::Write, session, 9), 0), Known::New);
    let above = Request { above_floor: 8, ..request(EntryKind::Write, session, 9) };
    assert_eq!(replica.known(&above, 0), Known::AboveWindow);
    executed(replica.write(session, 3, 3));
    assert_eq!(replica.known(&write, 0), Known::BelowFloor);
    let Known::Applied(kept) = replica.known(&request(EntryKind::Write, session, 3), 0) else {
        panic!()
    };
    assert_eq!(kept.index.to_wire(), 3);
}

#[test]
fn hc7c_fullness_counts_applied_and_unapplied_entries() {
    let mut replica = Replica::new();
    executed(replica.apply(plain(1, 0)));
    executed(replica.apply(plain(2, 10)));
    let full = |replica: &Replica, stamp_us, unapplied| {
        replica.table.is_plain_full(stamp_us, unapplied, &replica.limits)
    };
    assert!(!full(&replica, 10, 1));
    assert!(full(&replica, 10, 2));
    // At a later stamp the first id is gone, then both.
    assert!(!full(&replica, WINDOW_US + 1, 2));
    assert!(full(&replica, WINDOW_US + 10, 3));
    assert!(!full(&replica, WINDOW_US + 11, 3));
    assert!(full(&replica, WINDOW_US + 11, 4), "only entries, all of them young");
}

#[test]
fn hc7c_a_full_window_refuses_and_never_forgets_a_young_id() {
    let mut replica = Replica::new();
    for number in 1..=4 {
        executed(replica.apply(plain(number, 0)));
    }
    assert_eq!(replica.apply(plain(5, 0)), Decision::Refused(Reason::Overload));
    assert_eq!(replica.apply(request(EntryKind::Open, 0, 5)), Decision::Refused(Reason::Overload));
    for number in 1..=4 {
        repeated(replica.apply(plain(number, WINDOW_US)));
    }
    assert_eq!(
        replica.apply(Request { kind: EntryKind::Read, ..plain(5, 0) }),
        Decision::ExecuteRead
    );
    executed(replica.apply(plain(5, WINDOW_US + 1)));
}

#[test]
fn a_nonce_seen_again_opens_nothing_new_and_answers_the_same() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    let again = Request {
        id: RequestId::new(client(2), 0, 5),
        client: client(2),
        hash: 7,
        ..request(EntryKind::Open, 0, 5)
    };
    let Decision::Repetition(kept) = replica.apply(again) else { panic!("opened twice") };
    assert_eq!((kept.opened, kept.index.to_wire()), (Some(session), 1));
    assert_eq!(replica.known(&again, 0), Known::Applied(kept));
    assert_eq!(replica.table.sessions(), 1);
    // A write of the same number is another id.
    executed(replica.apply(plain(5, 0)));
}

#[test]
fn a_refused_opening_is_not_kept() {
    let mut replica = Replica::new();
    let (one, _) = (replica.open(1, 0), replica.open(2, 0));
    assert!(replica.table.are_sessions_full(0, 0, &replica.limits));
    assert!(!replica.table.are_sessions_full(EXPIRY_US + 1, 1, &replica.limits));
    assert!(replica.table.are_sessions_full(EXPIRY_US + 1, 2, &replica.limits));
    let third = request(EntryKind::Open, 0, 3);
    assert_eq!(replica.apply(third), Decision::Refused(Reason::Overload));
    assert_eq!(replica.known(&third, 0), Known::New);
    assert_eq!(replica.apply(request(EntryKind::Close, one, 1)), Decision::Closed);
    replica.open(3, 0);
}

#[test]
fn hc5_reads_never_enter_the_table() {
    let mut replica = Replica::new();
    let session = replica.open(5, 0);
    let slots = replica.table.slots();
    for _ in 0..3 {
        let read = Request { above_floor: 1, ..request(EntryKind::Read, session, 3) };
        assert_eq!(replica.apply(read), Decision::ExecuteRead);
        assert_eq!(
            replica.apply(Request { kind: EntryKind::Read, ..plain(1, 0) }),
            Decision::ExecuteRead
        );
    }
    assert_eq!((replica.table.slots(), replica.table.plain_ids()), (slots, 1));
    // They move the floor.
    assert_eq!(replica.write(session, 1, 1), Decision::Dropped);
}

#[test]
fn log_time_never_falls_whatever_a_stamp_says() {
    let mut replica = Replica::new();
    executed(replica.apply(plain(1, 0)));
    executed(replica.apply(plain(2, WINDOW_US + 1)));
    executed(replica.apply(plain(3, 0)));
    assert_eq!(replica.table.log_time_us(), WINDOW_US + 1);
    repeated(replica.apply(plain(3, 2 * WINDOW_US + 1)));
}

#[test]
fn an_image_in_which_two_ids_share_a_slot_is_refused() {
    let mut replica = Replica::new();
    executed(replica.apply(plain(1, 0)));
    executed(replica.apply(plain(2, 0)));
    let mut image = replica.table.image();
    // Magic, log time, count, then eight words for each id, its slot last.
    let slot = 8 * (3 + 2 * 8) - 8..8 * (3 + 2 * 8);
    assert_eq!(image[slot.clone()], 1u64.to_be_bytes());
    image[slot].copy_from_slice(&0u64.to_be_bytes());
    assert!(Table::restore(&image, &replica.limits, 1).is_err(), "T4");
}

/// The largest number is a number like any other, in keeping, closing and expiring.
#[test]
fn hc13_the_last_number_that_there_is_harms_nobody() {
    for closing in [true, false] {
        let mut replica = Replica::new();
        let session = replica.open(5, 0);
        executed(replica.write(session, u64::MAX - 3, u64::MAX - 3));
        executed(replica.write(session, u64::MAX, u64::MAX - 3));
        repeated(replica.write(session, u64::MAX, u64::MAX));
        let image = replica.table.image();
        assert_eq!(Table::restore(&image, &replica.limits, 1).unwrap().image(), image);
        if closing {
            assert_eq!(
                replica.apply(request(EntryKind::Close, session, u64::MAX)),
                Decision::Closed
            );
        } else {
            replica.apply(plain(1, EXPIRY_US + 1));
        }
        assert_eq!(replica.table.sessions(), 0);
    }
}
