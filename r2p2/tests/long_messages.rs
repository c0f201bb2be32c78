//! Bounds and looks of reassembly and of long sends, that conversations do not show.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use r2p2::Instant;
use r2p2::ack::Wanted;
use r2p2::buffer::{Body, Pool};
use r2p2::drops::DropReason;
use r2p2::extension::Flags;
use r2p2::fragment::Form;
use r2p2::header::Policy;
use r2p2::pacing::{Full, LongSends, Settings as Pacing};
use r2p2::packet::Packet;
use r2p2::reassembly::{Arrived, MessageKey, Progress, Reassembly, Request, Settings};
use r2p2::request_id::ClientAddress;

const NOW: Instant = Duration::from_secs(1);

fn client() -> SocketAddr {
    SocketAddr::from(([10, 0, 1, 1], 3_000))
}

fn request(number: u64) -> Form {
    let (policy, flags) = (Policy::Replicated, Flags::NONE);
    Form::Request { session: 5, number, above_floor: 0, policy, flags }
}

fn response(number: u64) -> Form {
    Form::Response { session: 5, number, executed: 1 }
}

fn packet(form: Form, index: u16, len: usize) -> Vec<u8> {
    let fragment = form.fragment(index, len).unwrap();
    [&*fragment.head, &vec![7; fragment.range.len()]].concat()
}

fn insert(
    reassembly: &mut Reassembly,
    pool: &mut Pool,
    form: Form,
    index: u16,
    len: usize,
) -> Progress<Request> {
    let datagram = packet(form, index, len);
    let arrived = Arrived { now: NOW, not_before: NOW, from: client().into() };
    reassembly.request(arrived, &Packet::parse(&datagram).unwrap(), pool)
}

#[test]
fn what_is_missing_is_told_once_the_first_packet_is_held() {
    let (mut reassembly, mut pool) = (Reassembly::new(Settings::default(), 1), Pool::new(1 << 20));
    let key = MessageKey::request(ClientAddress::from(client()), 5, 1, false);
    assert_eq!(reassembly.held(&key), None);
    for index in [2, 3, 6] {
        assert_eq!(
            insert(&mut reassembly, &mut pool, request(1), index, 14_000),
            Progress::Partial
        );
    }
    assert_eq!(reassembly.held(&key), Some(false));
    assert_eq!(reassembly.missing(&key).count(), 0);
    insert(&mut reassembly, &mut pool, request(1), 0, 14_000);
    assert_eq!(reassembly.held(&key), Some(true));
    assert_eq!(reassembly.missing(&key).collect::<Vec<_>>(), [1..2, 4..6, 7..10]);
    reassembly.forget(&key, &mut pool);
    assert_eq!((reassembly.held(&key), reassembly.len(), pool.used()), (None, 0, 0));
}

#[test]
fn bytes_held_are_bounded_and_a_spent_pool_drops_the_packet() {
    let settings = Settings { bytes_max: 5_000, ..Settings::default() };
    let (mut reassembly, mut pool) = (Reassembly::new(settings, 1), Pool::new(8_192));
    assert_eq!(insert(&mut reassembly, &mut pool, request(1), 0, 2_880), Progress::Partial);
    let full = Progress::Dropped(DropReason::TableFull);
    assert_eq!(insert(&mut reassembly, &mut pool, request(2), 0, 2_880), full);
    let mut reassembly = Reassembly::new(Settings::default(), 1);
    let spent = Progress::Dropped(DropReason::PoolFull);
    assert_eq!(insert(&mut reassembly, &mut pool, request(2), 0, 2_880), spent);
    assert_eq!(insert(&mut reassembly, &mut pool, request(2), 0, 10), spent);
    assert_eq!(reassembly.drops().get(DropReason::PoolFull), 2);
}

#[test]
fn a_packet_longer_or_shorter_than_its_place_is_dropped() {
    let (mut reassembly, mut pool) = (Reassembly::new(Settings::default(), 1), Pool::new(1 << 20));
    let arrived = Arrived { now: NOW, not_before: NOW, from: client().into() };
    let whole = packet(request(1), 0, 2_880);
    for (len, extra) in [(32 + 1_439, 0), (32, 0), (32 + 1_440, 1)] {
        let datagram = [&whole[..len], &vec![0; extra]].concat();
        let parsed = Packet::parse(&datagram).unwrap();
        let taken = reassembly.request(arrived, &parsed, &mut pool);
        assert_eq!(taken, Progress::Dropped(DropReason::Payload), "{len} + {extra} bytes");
    }
    let answer = packet(response(1), 0, 10);
    let taken = reassembly.request(arrived, &Packet::parse(&answer).unwrap(), &mut pool);
    assert_eq!(taken, Progress::Dropped(DropReason::Unexpected));
}

/// HC6d: what died of age is dead also when nobody came to bury it.
#[test]
fn a_plain_message_past_its_life_takes_no_packet() {
    let (mut reassembly, mut pool) = (Reassembly::new(Settings::default(), 1), Pool::new(1 << 20));
    let form = Form::PlainRequest { request_id: 1, policy: Policy::Replicated };
    let mut insert = |index, after| {
        let datagram = packet(form, index, 1_500);
        let now = NOW + Duration::from_micros(after);
        let arrived = Arrived { now, not_before: now, from: client().into() };
        reassembly.request(arrived, &Packet::parse(&datagram).unwrap(), &mut pool)
    };
    assert_eq!(insert(0, 0), Progress::Partial);
    assert_eq!(insert(0, 4_999), Progress::Duplicate);
    assert_eq!(insert(1, 5_000), Progress::Dropped(DropReason::NoFirst));
}

fn drain(sends: &mut LongSends, now: Instant) -> Vec<SocketAddr> {
    let mut sent = Vec::new();
    while let Some(packet) = sends.poll(now) {
        sent.push(packet.to);
    }
    sent
}

/// L1: whatever is held, no more than a burst per gap; messages take turns.
#[test]
fn bursts_are_shared_and_spaced() {
    let settings = Pacing { burst: 4, ..Pacing::default() };
    let mut sends = LongSends::new(settings, 1);
    let other = SocketAddr::from(([10, 0, 1, 2], 3_000));
    let body = Body::copy_from(&vec![1; 1_432 * 10]);
    sends.push(NOW, client(), response(1), body.clone(), 0).unwrap();
    sends.push(NOW, other, response(2), body, 0).unwrap();
    let mut now = NOW;
    let mut turns = Vec::new();
    while sends.is_sending(&response(1), client()) || sends.is_sending(&response(2), other) {
        let sent = drain(&mut sends, now);
        assert!(sent.len() <= 4);
        turns.push(sent[0]);
        assert!(drain(&mut sends, now + Duration::from_micros(199)).is_empty());
        now += Duration::from_micros(200);
    }
    assert_eq!(turns, [client(), other, client(), other, client()]);
    assert_eq!(
        sends.deadline(),
        Some(NOW + Duration::from_micros(800) + Duration::from_millis(400))
    );
}

/// L2: the one kept longest makes room; those still being sent do not.
#[test]
fn long_sends_are_bounded() {
    let settings = Pacing { messages_max: 2, bytes_max: 10_000, ..Pacing::default() };
    let mut sends = LongSends::new(settings, 1);
    let body = Body::copy_from(&vec![1; 3_000]);
    sends.push(NOW, client(), response(1), body.clone(), 0).unwrap();
    sends.push(NOW, client(), response(2), body.clone(), 0).unwrap();
    assert_eq!(sends.push(NOW, client(), response(3), body.clone(), 0), Err(Full));
    assert_eq!(drain(&mut sends, NOW).len(), 6);
    sends.push(NOW, client(), response(3), body.clone(), 0).unwrap();
    let ask = [0, 0, 0, 1];
    let mut wanted = |number| sends.wanted(NOW, client(), 5, number, Wanted::parse(&ask).unwrap());
    assert_eq!([wanted(1), wanted(2), wanted(3)], [false, true, true]);
    let long = Body::copy_from(&vec![1; 10_001]);
    assert_eq!(sends.push(NOW, client(), response(4), long, 0), Err(Full));
    // The same answer again takes the place of its earlier self.
    sends.push(NOW, client(), response(3), body, 0).unwrap();
    assert!(sends.len() <= 2);
}

/// A request being sent to the group is not turned aside by somebody who asks; once sent, its packets go to the asker.
#[test]
fn packets_wanted_of_a_request_wait_until_it_is_sent() {
    let mut sends = LongSends::new(Pacing { burst: 2, ..Pacing::default() }, 1);
    let group = SocketAddr::from(([239, 0, 0, 1], 8_000));
    let leader = SocketAddr::from(([10, 0, 0, 1], 8_000));
    sends.push(NOW, group, request(1), Body::copy_from(&vec![1; 1_440 * 3]), 0).unwrap();
    assert_eq!(drain(&mut sends, NOW), [group, group]);
    let ask = [0, 0, 0, 3];
    assert!(sends.wanted(NOW, leader, 5, 1, Wanted::parse(&ask).unwrap()));
    let later = NOW + Duration::from_millis(1);
    assert_eq!(drain(&mut sends, later), [group]);
    assert!(sends.wanted(later, leader, 5, 1, Wanted::parse(&ask).unwrap()));
    assert_eq!(drain(&mut sends, later + Duration::from_millis(1)), [leader, leader]);
    sends.forget(&request(1), group);
    assert!(!sends.wanted(later, leader, 5, 1, Wanted::parse(&ask).unwrap()));
}

/// HC13: a list that names a packet again and again ends where an honest one would.
#[test]
fn a_forged_list_costs_no_more_than_an_honest_one() {
    let mut sends = LongSends::new(Pacing::default(), 1);
    let body = Body::copy_from(&vec![1; 1_432 * 4]);
    sends.push(NOW, client(), response(1), body, 0).unwrap();
    assert_eq!(drain(&mut sends, NOW).len(), 4);
    let ask = [[0, 0, 0, 2], [0, 0, 0, 2], [0, 3, 0, 1]].concat();
    assert!(sends.wanted(NOW, client(), 5, 1, Wanted::parse(&ask).unwrap()));
    assert_eq!(drain(&mut sends, NOW).len(), 2);
}
