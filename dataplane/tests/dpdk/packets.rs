//! Pools and packets: nothing is lost, whatever happens to a packet.

use dataplane::dpdk::packet::{BURST, Burst, Mbuf, Pool};

use super::support::{ROOM, pool};

fn packet(pool: &Pool, bytes: &[u8]) -> Mbuf {
    let mut packet = pool.take().unwrap();
    assert!(packet.append(bytes));
    packet
}

#[test]
fn a_packet_grows_at_both_ends_within_its_room() {
    let pool = pool(64);
    let mut packet = packet(&pool, b"body");
    assert!(packet.prepend(b"head"));
    assert!(packet.append(b"tail"));
    assert_eq!((packet.first(), packet.len(), packet.segments()), (&b"headbodytail"[..], 12, 1));
    assert!(!packet.append(&[0; ROOM as usize]));
    assert!(!packet.prepend(&[0; 125]), "headroom is 128");
    assert_eq!(packet.first(), b"headbodytail", "refused as a whole");
    assert!(packet.append(&[7; ROOM as usize - 8]));
}

#[test]
fn b2_many_packets_share_a_payload_and_the_last_one_frees_it() {
    let pool = pool(64);
    let payload = packet(&pool, b"payload").share();
    let mut packets: Vec<_> = (0..5_u8)
        .map(|number| {
            let mut header = packet(&pool, &[number]);
            header.attach(&payload);
            header
        })
        .collect();
    assert_eq!((payload.holders(), pool.available()), (6, 64 - 6));
    drop(payload);
    let mut room = [0; 64];
    for (number, packet) in (0..).zip(&packets) {
        assert_eq!((packet.len(), packet.segments()), (8, 2));
        assert_eq!(packet.contiguous(&mut room).unwrap(), [&[number], &b"payload"[..]].concat());
        assert_eq!(packet.contiguous(&mut [0; 7]), None);
    }
    let copy = pool.copy(&packets[2]).unwrap();
    assert_eq!((copy.first(), copy.segments()), (&b"\x02payload"[..], 1));
    packets.truncate(1);
    assert_eq!(pool.available(), 64 - 3, "header, payload, copy");
    drop((packets, copy));
    assert_eq!(pool.available(), 64, "B1");
}

#[test]
fn b1_an_exhausted_pool_gives_none_and_recovers() {
    let pool = pool(64);
    let mut all: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
    assert_eq!((all.len(), pool.available()), (64, 0));
    assert!(pool.copy(&all[0]).is_none());
    all.clear();
    assert_eq!(pool.available(), 64);
    assert!(pool.take().is_some());
}

#[test]
fn a_burst_keeps_the_order_and_frees_what_is_left() {
    let pool = pool(64);
    let mut burst = Burst::default();
    for number in 0..BURST {
        burst.push(packet(&pool, &[u8::try_from(number).unwrap()])).unwrap();
    }
    let one_too_many = burst.push(packet(&pool, b"x")).unwrap_err();
    assert_eq!(one_too_many.first(), b"x");
    assert_eq!(burst.pop().unwrap().first(), [0]);
    assert_eq!(burst.pop().unwrap().first(), [1]);
    assert!(burst.is_full(), "what was popped is not refilled before the end");
    assert_eq!((burst.len(), burst.clear(), burst.len()), (BURST - 2, BURST - 2, 0));
    burst.push(one_too_many).unwrap();
    drop(burst);
    assert_eq!(pool.available(), 64);
}

/// B3: a pool that goes before its packet leaves the memory to it.
#[test]
fn b3_a_packet_outlives_its_pool() {
    let pool = pool(64);
    let last = packet(&pool, b"still here");
    drop(pool);
    assert_eq!(last.first(), b"still here");
}
