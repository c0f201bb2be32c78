use core::hash::{BuildHasher, BuildHasherDefault};
use core::time::Duration;
use std::hash::DefaultHasher;

use r2p2::Instant;
use r2p2::buffer::Body;
use r2p2::fragment::Form;
use r2p2::header::Policy;
use r2p2::request_id::ClientAddress;
use raft_core::ids::{Incarnation, NodeId, NodeSet, Term};

use super::*;
use crate::command::{AnswerTo, Completion};
use crate::outbox::Output;
use crate::replica::{Arrival, Mode, Settings};
use crate::replier::ReplierPolicy;
use crate::store::StoreSettings;
use crate::wire::MemberAddress;

const ELECTION: Duration = Duration::from_millis(25);

fn settings() -> Settings {
    let me = NodeId::new(1).unwrap();
    let address = "10.0.0.1:1".parse().unwrap();
    let timing = raft_core::config::Settings {
        heartbeat_interval: Duration::from_millis(6),
        election_timeout_min: Duration::from_millis(20),
        election_timeout_max: ELECTION,
        log_capacity: 64,
        log_reserve: 4,
        append_bytes: 1_300,
        append_entries_max: 8,
        inflight_max: 16,
    };
    Settings {
        me,
        incarnation: Incarnation::from_wire(10),
        mode: Mode::Hovercraft,
        group: GroupConfig {
            limits: Limits { plain_ids_max: 64, ..Limits::default() },
            addresses: vec![MemberAddress { id: me, data: address, admin: address }],
            name: "one".into(),
            wrapped_hash_key: [0; 16],
        },
        mac: None,
        cluster_key: None,
        replier: ReplierPolicy::Jbsq,
        bound: 3,
        raft: timing.try_into().unwrap(),
        election_timeout_max: ELECTION,
        log_entries: 64,
        store: StoreSettings { bodies_max: 32, unordered_max: 16, unordered_bytes: 1 << 16 },
        body_bytes: 1 << 20,
        in_system_max: 32,
        parked_max: 4,
        wants_max: 4,
        reassembly_max: 4,
        reassembly_bytes: 1 << 16,
        reassembly_ttl: Duration::from_millis(5),
        commands_max: 16,
        audit_max: 8,
        seed: 3,
    }
}

/// Packet `which` of a request.
fn request(replica: &mut Replica, now: Instant, number: u16, body: &[u8], which: usize) {
    let form = Form::PlainRequest { request_id: number, policy: Policy::Replicated };
    let fragment = form.fragments(body.len()).unwrap().nth(which).unwrap();
    let bytes = [&fragment.head, &body[fragment.range]].concat();
    let from = "10.0.9.9:9".parse().unwrap();
    let arrival = Arrival { from, group: false, not_before: now, bytes: &bytes };
    replica.receive(now, &arrival);
}

fn drain(replica: &mut Replica) -> u32 {
    let mut commands = 0;
    while let Some(output) = replica.poll_output() {
        commands += u32::from(matches!(output, Output::Command(_)));
    }
    commands
}

/// A cluster of one: one write applied, three decided and not applied, one that waits for a replier, and a partial message.
fn replica(start: Instant) -> Replica {
    let mut replica = Replica::new(settings(), start);
    let mut now = start;
    for _ in 0..200 {
        now += Duration::from_millis(1);
        replica.tick(now);
        replica.end_burst(now);
        drain(&mut replica);
    }
    request(&mut replica, now, 1, b"one", 0);
    replica.end_burst(now);
    let commands = drain(&mut replica);
    assert_eq!(commands, 1);
    let applied = LogIndex::from_wire(3);
    replica.completed(now, Completion { commands, applied, stopped: false });
    for number in 2..=5 {
        now += Duration::from_millis(1);
        request(&mut replica, now, number, b"more", 0);
        replica.end_burst(now);
    }
    request(&mut replica, now, 9, &[7; 3_000], 0);
    drain(&mut replica);
    assert_eq!((replica.applied, replica.handed), (applied, LogIndex::from_wire(6)));
    assert_eq!((replica.store.unordered(), replica.reassembly.len()), (1, 1));
    replica
}

fn hash(replica: &Replica) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(replica.protocol_state())
}

fn same(one: &Replica, other: &Replica) {
    assert_eq!(one.protocol_state(), other.protocol_state());
    assert_eq!(hash(one), hash(other));
}

#[test]
fn what_a_clock_shows_does_not_enter() {
    let (early, late) = (replica(Duration::from_secs(1)), replica(Duration::from_secs(7_200)));
    same(&early, &late);
    let mut later = early.clone();
    same(&early, &later);
    later.told.1 += Duration::from_secs(1);
    later.told_held.1 += Duration::from_secs(1);
    later.parked_check += Duration::from_secs(1);
    same(&early, &later);
}

#[test]
fn counters_seeds_audits_and_places_do_not_enter() {
    let one = replica(Duration::from_secs(1));
    let mut other = one.clone();
    let from = "10.0.9.9:9".parse().unwrap();
    let now = Duration::from_secs(2);
    other.receive(now, &Arrival { from, group: false, not_before: now, bytes: b"no packet" });
    assert_eq!(other.counters.bad_packets, one.counters.bad_packets + 1);
    other.settings.seed += 1;
    other.audit.clear();
    other.chunks_left = 1;
    // A body that came and went leaves another slot behind.
    let key = BodyKey { id: r2p2::request_id::RequestId::default(), hash: 77 };
    other.take_body(now, key, Body::default());
    assert_ne!(hash(&one), hash(&other), "a body more");
    let at = other.store.find(&key).unwrap();
    other.store.drop_waiting(at, &mut other.pool);
    same(&one, &other);
}

/// A change to one thing that decides.
type Change = fn(&mut Replica);

#[test]
fn whatever_decides_enters() {
    let changes: [(&str, Change); 27] = [
        ("core", |it| it.core = None),
        ("birth", |it| it.birth = Replica::new(settings(), Instant::ZERO).birth),
        ("cluster", |it| it.cluster_id += 1),
        ("hash key", |it| it.hash_key = crate::wire::BodyHashKey::at_birth(&[9; 32], 1)),
        ("limits", |it| it.limits.reply_keep_max += 1),
        ("a body kept", |it| {
            let body = it.meta.get(LogIndex::from_wire(6)).unwrap().body.unwrap();
            it.store.applied(body, LogIndex::from_wire(6));
        }),
        ("waiting", |it| {
            let at = it.store.next_waiting(None).unwrap();
            it.store.drop_waiting(at, &mut it.pool);
        }),
        ("partial", |it| it.reassembly.expire(Duration::from_secs(90), &mut it.pool)),
        ("one packet more", |it| request(it, Duration::ZERO, 9, &[7; 3_000], 1)),
        ("table", |it| {
            let request = *it.core.as_ref().unwrap().entry(LogIndex::from_wire(6)).unwrap();
            let raft_core::entry::Payload::Command(request) = request.payload else { panic!() };
            let other = Request { hash: 1, ..request };
            let _ = it.table.decide(LogIndex::from_wire(7), &other, &it.limits, 1);
        }),
        ("a body missed", |it| {
            let key = BodyKey { id: r2p2::request_id::RequestId::default(), hash: 77 };
            let node = NodeId::new(2).unwrap();
            let index = LogIndex::from_wire(9);
            assert!(it.recovery.want(Duration::ZERO, key, 8, node, index, &mut it.pool));
            let peers = NodeSet::only(node);
            let _ = it.recovery.poll(Duration::from_secs(9), peers, index, Duration::ZERO);
        }),
        ("parked", |it| {
            let append = Append { term: Term::from_wire(1), ..Append::default() };
            it.parked.park(Member::default(), append, Duration::ZERO, [].into_iter(), None);
        }),
        ("repliers", |it| it.repliers.reset()),
        ("somebody asked again", |it| {
            let meta = it.meta.get_mut(LogIndex::from_wire(5)).unwrap();
            let client = ClientAddress { ip: [1; 16], port: 2 };
            meta.asked_again = Some(AnswerTo { client, ..AnswerTo::default() });
        }),
        ("heard", |it| it.heard.hear(u64::MAX / 4)),
        ("a leader heard", |it| it.heard.hear_leader(Term::from_wire(9), 0)),
        ("handed", |it| it.handed = it.handed.next()),
        ("applied", |it| it.applied = it.applied.next()),
        ("told", |it| it.told.0 = it.told.0.next()),
        ("held", |it| it.held_by_all = it.held_by_all.next()),
        ("told held", |it| it.told_held.0 = it.told_held.0.next()),
        ("pending", |it| it.pending.clear()),
        ("outstanding", |it| it.outstanding += 1),
        ("unapplied", |it| it.unapplied.openings += 1),
        ("caught up", |it| it.caught_up = !it.caught_up),
        ("stopped", |it| it.stopped = true),
        ("wants a configuration", |it| it.wants_configuration = true),
    ];
    let one = replica(Duration::from_secs(1));
    for (what, change) in changes {
        let mut other = one.clone();
        change(&mut other);
        assert_ne!(one.protocol_state(), other.protocol_state(), "{what}");
        assert_ne!(hash(&one), hash(&other), "{what}");
    }
}

#[test]
fn ages_enter_as_an_order() {
    let one = replica(Duration::from_secs(1));
    let (mut swapped, mut shifted) = (one.clone(), one.clone());
    for (it, back) in [(&mut swapped, 90), (&mut shifted, 1)] {
        request(it, Duration::from_secs(3).saturating_sub(Duration::from_millis(back)), 7, b"x", 0);
    }
    same(&swapped, &shifted);
}
