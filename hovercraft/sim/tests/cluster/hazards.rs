//! Single dangers, each of which once ended a cluster or left clients without an answer.

use core::time::Duration;

use dataplane::sim::Weather;
use hovercraft::entry::{EntryKind, Request};
use hovercraft::replica::{Arrival, Mode, Role};
use hovercraft::replier::ReplierPolicy;
use hovercraft::wire::{Encoder, Head, PACKET_MAX};
use r2p2::client::Mode as ClientMode;
use r2p2::extension::{Extension, Flags, HEAD_MAX};
use r2p2::header::{Header, MessageKind, Policy};
use r2p2::packet::emit_head;
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::entry::{Entry, Payload};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Term};
use raft_core::message::Append;

use hovercraft_sim::client::Habits;
use hovercraft_sim::cluster::{Cluster, GROUP, address};
use hovercraft_sim::knobs::Knobs;

use crate::calm;

/// A request that opens a session inside a session, or closes none, fits no entry: ordered, it would stand in the leader's log and
/// make every other node refuse every append, for good (HC13).
#[test]
fn hc13_a_request_that_fits_no_entry_is_dropped() {
    for flags in [Flags { opens: true, ..Flags::NONE }, Flags { closes: true, ..Flags::NONE }] {
        let mut cluster = calm(3, Mode::Hovercraft, 3);
        cluster.settle().unwrap();
        cluster.add_client(Habits::USUAL);
        cluster.clients[0].stopping = true;
        cluster.put_one_by_one(1).unwrap();
        let session = if flags.opens { 7 } else { 0 };
        let extension = Extension { session, number: 5, packets: 1, flags, ..Extension::default() };
        let mut head = [0; HEAD_MAX];
        let header = Header::single(MessageKind::Request, Policy::Replicated, 5);
        let len = emit_head(&header, Some(&extension), &mut head);
        let (now, from) = (cluster.now, cluster.clients[0].endpoint);
        cluster.network.send(now, from, GROUP.parse().unwrap(), &head[..len]);
        cluster.run_until(now + Duration::from_millis(20)).unwrap();
        assert!(cluster.nodes.iter().all(|node| node.replica.counters().bad_packets == 1));
        cluster.put_one_by_one(3).unwrap();
    }
}

/// After an idle hour the next leader's log time is far behind what the last one's heartbeats told. Its entries are young all the
/// same: a plain client is answered at once, without asking again (HC3c, HC7e).
#[test]
fn hc3c_after_an_idle_time_and_a_new_leader_plain_clients_are_answered() {
    let mut cluster = calm(4, Mode::Hovercraft, 3);
    cluster.settle().unwrap();
    cluster.add_client(Habits { mode: ClientMode::Plain, ..Habits::USUAL });
    cluster.clients[0].stopping = true;
    cluster.put_one_by_one(1).unwrap();
    cluster.run_until(cluster.now + Duration::from_secs(8)).unwrap();
    let old = cluster.leader().unwrap();
    cluster.crash(old);
    let led = |cluster: &Cluster| cluster.leader().is_some_and(|leader| leader != old);
    assert!(cluster.run_while(Duration::from_secs(5), |cluster| !led(cluster)).unwrap());
    cluster.run_until(cluster.now + Duration::from_millis(200)).unwrap();
    cluster.put_one_by_one(10).unwrap();
    let alive = || cluster.nodes.iter().filter(|node| node.alive);
    let late: u64 = alive().map(|node| node.application.counters.too_late).sum();
    let asked_again: u64 = alive().map(|node| node.replica.counters().repetitions_answered).sum();
    assert_eq!((late, asked_again), (0, 0));
}

/// A leader whose application stands still refuses requests once too many are in the system, long before its log is full: then
/// somebody else has to lead (HC12).
#[test]
fn hc12_a_leader_that_refuses_because_its_application_stands_still_hands_over() {
    let mut cluster = calm(5, Mode::Hovercraft, 3);
    let leader = cluster.settle().unwrap();
    for _ in 0..8 {
        cluster.add_client(Habits {
            open_max: 64,
            pause: Duration::ZERO,
            reads: 0,
            ..Habits::USUAL
        });
    }
    cluster.run_until(cluster.now + Duration::from_millis(50)).unwrap();
    let forever = cluster.now + Duration::from_secs(3_600);
    cluster.nodes[usize::from(leader - 1)].application_paused_until = forever;
    let leads = |cluster: &Cluster| cluster.status(leader).role == Role::Leader;
    assert!(cluster.run_while(Duration::from_secs(20), leads).unwrap(), "it leads, and refuses");
    assert!(cluster.nodes[usize::from(leader - 1)].replica.counters().handed_over_full > 0);
}

/// `SIGTERM` while another node is dead and nothing happens: the dead one holds all of the log, too, and must not be chosen.
#[test]
fn leadership_goes_to_a_node_that_lives() {
    for dead in 0..2 {
        let mut cluster = calm(6, Mode::Hovercraft, 3);
        let leader = cluster.settle().unwrap();
        let others: Vec<u8> = (1..=3).filter(|&id| id != leader).collect();
        cluster.run_until(cluster.now + Duration::from_millis(500)).unwrap();
        cluster.crash(others[dead]);
        cluster.run_until(cluster.now + Duration::from_millis(200)).unwrap();
        let place = usize::from(leader - 1);
        let now = cluster.own_time(leader);
        assert!(cluster.nodes[place].replica.hand_leadership_over(now, None));
        cluster.nodes[place].touched = true;
        let taken = |cluster: &Cluster| cluster.status(others[1 - dead]).role == Role::Leader;
        assert!(cluster.run_while(Duration::from_millis(100), |cluster| !taken(cluster)).unwrap());
    }
}

/// Without a key anybody may pass for a leader, and send a log that no leader has: an entry that differs, then one that has the term
/// of ours and a body that is not here. It must count as missing (HC1a), and nobody may end of it (HC13).
#[test]
fn hc13_a_forged_append_harms_no_node_without_a_key() {
    let mut cluster = forgeable(7);
    cluster.settle().unwrap();
    cluster.run_until(cluster.now + Duration::from_millis(200)).unwrap();
    let victim = cluster.status(3);
    let appends = [
        (20, vec![no_op(20), no_op(20)]),
        (21, vec![]),
        (21, vec![no_op(19), unknown(Term::from_wire(20))]),
    ];
    for (term, entries) in appends {
        forge(&mut cluster, 3, 2, Term::from_wire(term), &entries);
    }
    let status = cluster.status(3);
    assert_eq!((status.last, status.missing_bodies), (victim.commit.plus(1), 1));
}

/// HC1d, HC13: an append in the leader's name and term names a body that nobody has, and all members are there. The leader, which never
/// sent it, does not say that it lacks the body: the node must not stop.
#[test]
fn hc1d_a_forged_append_stops_no_node() {
    let mut cluster = forgeable(8);
    let leader = cluster.settle().unwrap();
    cluster.run_until(cluster.now + Duration::from_millis(200)).unwrap();
    let victim = if leader == 3 { 2 } else { 3 };
    let term = cluster.status(leader).term;
    forge(&mut cluster, victim, leader, term, &[unknown(term)]);
    assert_eq!(cluster.status(victim).missing_bodies, 1);
    cluster.run_until(cluster.now + Duration::from_secs(3)).unwrap();
    let status = cluster.status(victim);
    assert_eq!((status.term, status.lost_body), (term, None));
}

/// Without a key, and with nobody who would see that somebody forges.
fn forgeable(seed: u64) -> Cluster {
    let knobs = Knobs { key: false, ..Knobs::usual(seed, 3, Mode::Hovercraft) };
    let mut cluster = Cluster::new(knobs, Weather::CALM);
    cluster.checks.close_their_eyes();
    cluster
}

fn no_op(term: u64) -> Entry<Request> {
    Entry { term: Term::from_wire(term), payload: Payload::NoOp }
}

/// An entry whose body nobody has.
fn unknown(term: Term) -> Entry<Request> {
    let request = Request {
        id: RequestId::new(ClientAddress::default(), 9, 1),
        client: ClientAddress::default(),
        plain: false,
        kind: EntryKind::Write,
        hash: 1,
        len: 8,
        above_floor: 0,
        stamp_us: 0,
        replier: NodeId::new(1).unwrap(),
        inline: false,
    };
    Entry { term, payload: Payload::Command(request) }
}

/// Node `to` gets an append that passes for one of `leader`, after what it has committed.
fn forge(cluster: &mut Cluster, to: u8, leader: u8, term: Term, entries: &[Entry<Request>]) {
    let (victim, forged) = (cluster.status(to), cluster.status(leader));
    let incarnation = Incarnation::from_wire(forged.incarnation);
    let head = Head {
        sender: Member { id: NodeId::new(leader).unwrap(), incarnation },
        cluster_id: victim.cluster_id,
        ..Head::default()
    };
    let append = Append {
        term,
        previous_index: victim.commit,
        previous_term: victim.term,
        first_of_term: LogIndex::from_wire(1),
        count: u16::try_from(entries.len()).unwrap(),
        ..Append::default()
    };
    let (encoder, mut packet) = (Encoder::new(None), [0; PACKET_MAX]);
    let mut writer = encoder.append(&mut packet, &head, &append);
    entries.iter().for_each(|entry| writer.entry(entry));
    let len = writer.finish();
    let (now, from) = (cluster.own_time(to), address(leader));
    let arrival = Arrival { from, group: false, not_before: now, bytes: &packet[..len] };
    cluster.nodes[usize::from(to - 1)].replica.receive(now, &arrival);
}

/// HC1d: followers keep bodies until all have acknowledged them, and then let them go; they would fill their memory otherwise.
#[test]
fn hc1d_nobody_keeps_what_everybody_has() {
    let mut cluster = calm(3, Mode::Hovercraft, 3);
    let leader = cluster.settle().unwrap();
    cluster.add_client(Habits::USUAL);
    cluster.clients[0].stopping = true;
    let kept = |cluster: &Cluster| -> Vec<u64> {
        cluster.nodes.iter().map(|node| node.replica.gauges().body_bytes).collect()
    };
    cluster.put_one_by_one(50).unwrap();
    cluster.run_until(cluster.now + Duration::from_millis(250)).unwrap();
    assert_eq!(kept(&cluster), [0; 3]);

    let away = usize::from(leader % 3);
    let id = u8::try_from(away + 1).unwrap();
    cluster.pause(id, cluster.now + Duration::from_millis(100));
    cluster.put_one_by_one(50).unwrap();
    let others = kept(&cluster).into_iter().enumerate().filter(|(node, _)| *node != away);
    assert!(others.into_iter().all(|(_, bytes)| bytes >= 50 * 64), "{:?}", kept(&cluster));
    cluster.run_until(cluster.now + Duration::from_secs(1)).unwrap();
    assert_eq!(kept(&cluster), [0; 3]);
}

/// HC3c: what waited while a process stood still came when it came, not when it was read. A node is paused while the others commit what it
/// is to answer, and nobody is left who could tell it how late it is.
#[test]
fn hc3c_what_waited_unread_is_as_old_as_it_is() {
    let replier = ReplierPolicy::Random;
    let knobs = Knobs { replier, ..Knobs::usual(10, 3, Mode::Hovercraft) };
    let mut cluster = Cluster::new(knobs, Weather::CALM);
    let leader = cluster.settle().unwrap();
    cluster.add_client(Habits { mode: ClientMode::Plain, open_max: 32, ..Habits::USUAL });
    cluster.clients[0].stopping = true;
    cluster.put_one_by_one(3).unwrap();
    let away = 1 + leader % 3;
    cluster.pause(away, cluster.now + Duration::from_secs(2));
    for number in 0..24u8 {
        cluster.clients[0].put(cluster.now, &[number], b"value");
        cluster.run_until(cluster.now + Duration::from_millis(2)).unwrap();
    }
    for id in (1..=3).filter(|id| *id != away) {
        cluster.crash(id);
    }
    let totals = |cluster: &Cluster| cluster.nodes[usize::from(away - 1)].application.counters;
    let before = totals(&cluster);
    cluster.run_until(cluster.now + Duration::from_secs(3)).unwrap();
    let after = totals(&cluster);
    assert!(after.executed > before.executed, "it applied what waited");
    assert!(after.too_late > before.too_late, "and it was to answer some of it");
    assert_eq!(after.answers, before.answers, "two seconds late");
}
