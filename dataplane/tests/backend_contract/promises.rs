//! What every back end promises, one function each. Order of arrival is not among them.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use dataplane::backend::{ArrivedAt, BackendCounters};

use super::labs::{Inbox, Lab, Peer, expect, expect_nothing, receive};

type Promise = fn(&mut dyn Lab);

/// Every promise, with its name.
pub(crate) const ALL: &[(&str, Promise)] = &[
    ("a packet tells who sent it and which address it came to", tells_both_addresses),
    ("who is no member of a group does not hear it", only_members_hear_a_group),
    ("a transmit queue sends from the same address and port", transmits_from_the_own_address),
    ("head and tail are one packet, of any length up to the longest", gathers_head_and_tail),
    ("a longer packet is refused and counted", refuses_what_is_too_long),
    ("nothing leaves before the flush", waits_for_the_flush),
    ("a thousand packets in one go arrive", carries_a_thousand),
    ("one payload goes to many", sends_one_payload_to_many),
    ("a packet for nobody harms no other", survives_unknown_destinations),
    ("each packet sent is received or counted as dropped", counts_what_a_full_inbox_drops),
    ("not_before lies between the last empty read and the arrival", stamps_arrivals),
    ("a wait ends when its time is over", waits_no_longer_than_told),
];

fn send(peer: &mut Peer, to: SocketAddr, bytes: &[u8]) {
    assert!(peer.queue.send(to, bytes, &[]));
    peer.queue.flush();
}

fn tells_both_addresses(lab: &mut dyn Lab) {
    let groups = [lab.group(), lab.group()];
    let mut sender = lab.open(&[], Inbox::Large);
    let mut member = lab.open(&groups, Inbox::Large);
    let places = [ArrivedAt::Own, ArrivedAt::Group(0), ArrivedAt::Group(1)];
    for (to, at) in [member.own, groups[0], groups[1]].into_iter().zip(places) {
        send(&mut sender, to, b"here");
        let [came] = &expect(lab, &mut member, 1)[..] else { unreachable!("one was expected") };
        assert_eq!((came.from, came.to, &came.bytes[..]), (sender.own, at, &b"here"[..]));
    }
    expect_nothing(lab, &mut member);
    lab.close(vec![sender, member]);
}

fn only_members_hear_a_group(lab: &mut dyn Lab) {
    let (ours, theirs) = (lab.group(), lab.group());
    let mut sender = lab.open(&[], Inbox::Large);
    let mut members: Vec<_> = (0..3).map(|_| lab.open(&[ours], Inbox::Large)).collect();
    let mut other = lab.open(&[theirs], Inbox::Large);
    send(&mut sender, ours, b"ours");
    for member in &mut members {
        assert_eq!(expect(lab, member, 1)[0].to, ArrivedAt::Group(0));
    }
    expect_nothing(lab, &mut other);
    expect_nothing(lab, &mut sender);
    members.extend([sender, other]);
    lab.close(members);
}

fn transmits_from_the_own_address(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    let (to, from) = (receiver.own, sender.own);
    let mut transmit = sender.transmit;
    sender.transmit = std::thread::spawn(move || {
        assert!(transmit.send(to, b"an", b"swer"));
        transmit.flush();
        transmit
    })
    .join()
    .unwrap();
    let came = expect(lab, &mut receiver, 1);
    assert_eq!((came[0].from, &came[0].bytes[..]), (from, &b"answer"[..]));

    // The transmit queue leaves to the other one what comes to their common address.
    send(&mut receiver, from, b"question");
    lab.pass_time();
    assert_eq!(receive(&mut *sender.transmit), []);
    assert_eq!(expect(lab, &mut sender, 1)[0].bytes, b"question");
    lab.close(vec![sender, receiver]);
}

fn gathers_head_and_tail(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    let max = lab.packet_max();
    let bytes: Vec<u8> = (0..max).map(|i| i.to_le_bytes()[0]).collect();
    for (head, tail) in
        [(0, 0), (0, 1), (1, 0), (8, 1_440), (1_000, max - 1_000), (max, 0), (0, max)]
    {
        assert!(sender.queue.send(receiver.own, &bytes[..head], &bytes[head..head + tail]));
        sender.queue.flush();
        assert_eq!(expect(lab, &mut receiver, 1)[0].bytes, bytes[..head + tail]);
    }
    lab.close(vec![sender, receiver]);
}

fn refuses_what_is_too_long(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    let too_long = vec![0; lab.packet_max() + 1];
    let (head, tail) = too_long.split_at(1_000);
    assert!(!sender.queue.send(receiver.own, head, tail));
    assert_eq!(sender.queue.send_all(&[receiver.own; 3], &too_long, &[]), 0);
    sender.queue.flush();
    expect_nothing(lab, &mut receiver);
    let counted = BackendCounters { dropped_send: 4, ..BackendCounters::default() };
    assert_eq!(sender.queue.counters(), counted);
    lab.close(vec![sender, receiver]);
}

fn waits_for_the_flush(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    assert!(sender.queue.send(receiver.own, b"later", &[]));
    expect_nothing(lab, &mut receiver);
    assert_eq!(sender.queue.counters().sent, 0);
    sender.queue.flush();
    expect(lab, &mut receiver, 1);
    assert_eq!(sender.queue.counters().sent, 1);
    sender.queue.flush();
    expect_nothing(lab, &mut receiver);
    lab.close(vec![sender, receiver]);
}

fn carries_a_thousand(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    for number in 0..1_000_u32 {
        assert!(sender.queue.send(receiver.own, b"number ", &number.to_be_bytes()));
    }
    sender.queue.flush();
    let came: BTreeSet<_> =
        expect(lab, &mut receiver, 1_000).into_iter().map(|kept| kept.bytes).collect();
    let sent: BTreeSet<_> =
        (0..1_000_u32).map(|number| [&b"number "[..], &number.to_be_bytes()].concat()).collect();
    assert_eq!(came, sent);
    assert_eq!(sender.queue.counters().sent, 1_000);
    assert_eq!(receiver.queue.counters().received, 1_000);
    lab.close(vec![sender, receiver]);
}

fn sends_one_payload_to_many(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receivers: Vec<_> = (0..3).map(|_| lab.open(&[], Inbox::Large)).collect();
    // More destinations than fit in one burst, each receiver twenty times.
    let to: Vec<_> = receivers.iter().map(|peer| peer.own).cycle().take(60).collect();
    assert_eq!(sender.queue.send_all(&to, b"to ", b"all"), 60);
    assert_eq!(sender.queue.send_all(&[], b"to ", b"none"), 0);
    assert!(sender.queue.send(receivers[0].own, b"to one", &[]));
    sender.queue.flush();
    let first = expect(lab, &mut receivers[0], 21);
    assert_eq!(first.iter().filter(|kept| kept.bytes == b"to one").count(), 1);
    for receiver in &mut receivers[1..] {
        assert!(expect(lab, receiver, 20).iter().all(|kept| kept.bytes == b"to all"));
    }
    receivers.push(sender);
    lab.close(receivers);
}

fn survives_unknown_destinations(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    let nobody = lab.nobody();
    for _ in 0..10 {
        sender.queue.send(nobody, b"anyone?", &[]);
        sender.queue.send(receiver.own, b"you", &[]);
        sender.queue.flush();
        expect_nothing(lab, &mut sender);
    }
    expect(lab, &mut receiver, 10);
    lab.close(vec![sender, receiver]);
}

fn counts_what_a_full_inbox_drops(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Small);
    for _ in 0..1_000 {
        assert!(sender.queue.send(receiver.own, &[7; 100], &[]));
    }
    sender.queue.flush();
    let mut came = 0;
    for _ in 0..100 {
        lab.pass_time();
        came += receive(&mut *receiver.queue).len() as u64;
    }
    let counters = receiver.queue.counters();
    assert!((1..1_000).contains(&came), "{came}");
    assert_eq!(counters.received, came);
    match lab.drops_in_silence() {
        None => assert_eq!(counters.received + counters.dropped_receive, 1_000),
        Some(why) => super::not_checked("that each packet is received or counted", why),
    }
    // Asked again, the same; and a queue that has overflowed still works.
    assert_eq!(receiver.queue.counters(), counters);
    send(&mut sender, receiver.own, b"after");
    assert_eq!(expect(lab, &mut receiver, 1)[0].bytes, b"after");
    lab.close(vec![sender, receiver]);
}

fn stamps_arrivals(lab: &mut dyn Lab) {
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    for packets in [1, 2, 40, 100] {
        lab.pass_time();
        let before_empty = receiver.queue.now();
        assert_eq!(receive(&mut *receiver.queue), []);
        for _ in 0..packets {
            assert!(sender.queue.send(receiver.own, b"stamp me", &[]));
        }
        sender.queue.flush();
        lab.pass_time();
        // The flush of a back end may return before the packet is there; long after, it is.
        std::thread::sleep(Duration::from_millis(1));
        let arrived = receiver.queue.now();
        lab.pass_time();
        std::thread::sleep(Duration::from_millis(1));
        for kept in expect(lab, &mut receiver, packets) {
            assert!(kept.not_before >= before_empty, "nothing was there");
            assert!(kept.not_before <= arrived, "it was there");
        }
    }
    lab.close(vec![sender, receiver]);
}

fn waits_no_longer_than_told(lab: &mut dyn Lab) {
    let mut peer = lab.open(&[], Inbox::Large);
    let begin = std::time::Instant::now();
    peer.queue.wait(Duration::ZERO);
    peer.queue.wait(Duration::from_millis(5));
    peer.transmit.wait(Duration::from_millis(5));
    assert!(begin.elapsed() < Duration::from_secs(2));
    lab.close(vec![peer]);
}
