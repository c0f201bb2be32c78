//! What only kernel UDP promises.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;
use std::time::Instant;

use dataplane::backend::{ArrivedAt, Queue};
use dataplane::udp::{GROUPS_MAX, Udp, UdpConfig};

use super::labs::{Inbox, Lab, Loopback, at, expect, free_port, receive};
use super::namespaces::{Bridged, Namespace};
use super::skipped;

fn loopback(last: u8) -> SocketAddr {
    at(Ipv4Addr::new(127, 79, 0, last), 0)
}

#[test]
fn another_thread_ends_a_wait() {
    let queue = Udp::open(UdpConfig::new(loopback(1))).unwrap();
    let transmit = queue.transmit_queue().unwrap();
    for mut sleeper in [queue, transmit] {
        let waker = sleeper.waker();
        let begin = Instant::now();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            waker.wake();
        });
        sleeper.wait(Duration::from_secs(20));
        other.join().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert!(begin.elapsed() >= Duration::from_millis(30));
    }
}

#[test]
fn a_wake_before_the_wait_is_not_lost_and_counts_once() {
    let mut queue = Udp::open(UdpConfig::new(loopback(2))).unwrap();
    let waker = queue.waker();
    for _ in 0..3 {
        waker.wake();
        waker.clone().wake();
        let begin = Instant::now();
        queue.wait(Duration::from_secs(20));
        assert!(begin.elapsed() < Duration::from_secs(10));
        let begin = Instant::now();
        queue.wait(Duration::from_millis(20));
        assert!(begin.elapsed() >= Duration::from_millis(20), "woken twice for one wake");
    }
}

#[test]
fn no_wake_is_lost_between_threads() {
    let mut queue = Udp::open(UdpConfig::new(loopback(3))).unwrap();
    let waker = queue.waker();
    let (give, take) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        for number in 0..20_000_u32 {
            give.send(number).unwrap();
            waker.wake();
        }
    });
    let begin = Instant::now();
    let mut expected = 0;
    while expected < 20_000 {
        while let Ok(number) = take.try_recv() {
            assert_eq!(number, expected);
            expected += 1;
        }
        if expected < 20_000 {
            queue.wait(Duration::from_secs(30));
        }
    }
    other.join().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30), "slept through a wake");
}

#[test]
fn a_packet_ends_a_wait() {
    let group = at(Ipv4Addr::new(239, 79, 0, 1), free_port());
    let config = UdpConfig { groups: vec![group], ..UdpConfig::new(loopback(4)) };
    let mut queue = Udp::open(config).unwrap();
    let mut sender = Udp::open(UdpConfig::new(loopback(5))).unwrap();
    for to in [queue.own(), group] {
        sender.send(to, b"wake up", &[]);
        sender.flush();
        let begin = Instant::now();
        queue.wait(Duration::from_secs(20));
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert_eq!(receive(&mut queue).len(), 1);
    }
}

/// U1.
#[test]
fn a_flooded_socket_does_not_starve_another() {
    let mut lab = Loopback::new();
    let group = lab.group();
    let mut sender = lab.open(&[], Inbox::Large);
    let mut member = lab.open(&[group], Inbox::Large);
    for (flooded, quiet) in [(member.own, group), (group, member.own)] {
        for _ in 0..500 {
            assert!(sender.queue.send(flooded, b"flood", &[]));
        }
        assert!(sender.queue.send(quiet, b"quiet", &[]));
        sender.queue.flush();
        let first = receive(&mut *member.queue);
        assert!(first.iter().any(|kept| kept.bytes == b"quiet"), "in the first burst");
        expect(&mut lab, &mut member, 501 - first.len());
    }
}

#[test]
fn a_datagram_longer_than_a_buffer_is_dropped_and_counted() {
    let mut queue = Udp::open(UdpConfig::new(loopback(6))).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(&[1; 2_049], queue.own()).unwrap();
    stranger.send_to(&[2; 65_000], queue.own()).unwrap();
    stranger.send_to(&[3; 2_048], queue.own()).unwrap();
    let came = receive(&mut queue);
    assert_eq!((came.len(), came[0].bytes[0], came[0].to), (1, 3, ArrivedAt::Own));
    let counters = queue.counters();
    assert_eq!((counters.received, counters.dropped_receive), (1, 2));
}

#[test]
fn packets_that_cannot_be_sent_are_counted_and_the_others_leave() {
    let mut lab = Loopback::new();
    let mut sender = lab.open(&[], Inbox::Large);
    let mut receiver = lab.open(&[], Inbox::Large);
    // From a loopback address nothing can leave the machine; port 0 and IPv6 are nobody's.
    let outside: SocketAddr = "203.0.113.9:8000".parse().unwrap();
    let nowhere = at(Ipv4Addr::LOCALHOST, 0);
    let six: SocketAddr = "[::1]:8000".parse().unwrap();
    let to = [outside, receiver.own, nowhere, six, receiver.own, outside];
    assert_eq!(sender.queue.send_all(&to, b"some", &[]), 5);
    sender.queue.flush();
    expect(&mut lab, &mut receiver, 2);
    let counters = sender.queue.counters();
    assert_eq!((counters.sent, counters.dropped_send), (2, 4));
}

#[test]
fn an_address_in_use_is_refused_with_its_name_and_a_remedy() {
    let first = Udp::open(UdpConfig::new(loopback(8))).unwrap();
    let error = Udp::open(UdpConfig::new(first.own())).unwrap_err();
    assert_eq!(error.cause.kind(), std::io::ErrorKind::AddrInUse);
    let said = error.to_string();
    assert!(said.starts_with(&format!("{}: cannot bind a socket: ", first.own())), "{said}");
    assert!(said.contains("give a free port"), "{said}");
}

#[test]
fn addresses_that_cannot_be_a_node_or_a_group_are_refused() {
    for own in ["0.0.0.0:1", "[::1]:1", "239.0.0.1:1", "255.255.255.255:1", "192.0.2.1:1"] {
        let own = own.parse().unwrap();
        assert_eq!(Udp::open(UdpConfig::new(own)).unwrap_err().address, own);
    }
    for group in ["10.0.0.1:1", "[ff02::1]:1", "239.79.1.1:0"] {
        let group: SocketAddr = group.parse().unwrap();
        let config = UdpConfig { groups: vec![group], ..UdpConfig::new(loopback(9)) };
        assert_eq!(Udp::open(config).unwrap_err().address, group);
    }
    let group = at(Ipv4Addr::new(239, 79, 1, 1), free_port());
    let groups = vec![group; GROUPS_MAX + 1];
    let error = Udp::open(UdpConfig { groups, ..UdpConfig::new(loopback(9)) }).unwrap_err();
    assert_eq!(error.operation, "join the groups");
}

/// T2, and that what the kernel has no room for is counted: packets for a host that answers no ARP fill the buffer.
#[test]
fn a_full_send_buffer_costs_a_bounded_time_and_is_counted() {
    const TEST: &str = "a_full_send_buffer_costs_a_bounded_time_and_is_counted";
    let lab = match Bridged::new(1) {
        Ok(lab) => lab,
        Err(why) => return skipped(TEST, &why),
    };
    let host: &Namespace = lab.host(0);
    let own = at(Ipv4Addr::new(10, 77, 0, 1), 0);
    let config = UdpConfig { send_buffer: 4_096, ..UdpConfig::new(own) };
    let mut queue = host.inside(|| Udp::open(config).unwrap());
    let silent = at(Ipv4Addr::new(10, 77, 0, 200), 8_000);
    let begin = Instant::now();
    for _ in 0..320 {
        assert!(queue.send(silent, &[0; 1_000], &[]));
    }
    queue.flush();
    assert!(begin.elapsed() < Duration::from_secs(1));
    let counters = queue.counters();
    assert_eq!(counters.sent + counters.dropped_send, 320);
    assert!(counters.dropped_send > 0, "{counters:?}");
}
