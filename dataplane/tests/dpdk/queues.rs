//! Queues of one port on several threads, and what a node sees of them.

use core::time::Duration;

use dataplane::backend::{ArrivedAt, Queue};
use dataplane::capture::{Capture, CaptureConfig};
use dataplane::clock::Clock;
use dataplane::dpdk::Dpdk;
use dataplane::dpdk::cable::{PlugConfig, Wire};
use dataplane::dpdk::port::{Device, Port, PortConfig};
use dataplane::net::{AddressingEvent, StackEvent};

use super::host::{acquaint, address, group, host};
use super::support::pool;

#[test]
fn neighbours_are_looked_for_and_packets_wait_meanwhile() {
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    let mut a = host(&mut wire, 1, &pool, PlugConfig::default());
    let mut b = host(&mut wire, 2, &pool, PlugConfig::default());
    acquaint(&mut wire, &mut a, &mut b);
    assert_eq!(a.queue.addressing_counters().of(AddressingEvent::Released), 1);
    assert_eq!(b.queue.stack_counters().of(StackEvent::ArpRequest), 1);
    assert_eq!((a.queue.counters().sent, a.queue.counters().dropped_send), (1, 0));
    // Who was asked knows who asked.
    assert!(b.queue.send(a.own, b"back", &[]));
    b.queue.flush();
    wire.settle();
    assert_eq!(a.received(), [b"back"]);
}

/// A packet for nobody is given up when its neighbour has not answered three questions.
#[test]
fn t1_a_packet_for_nobody_is_counted_as_dropped_in_the_end() {
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    let mut a = host(&mut wire, 1, &pool, PlugConfig::default());
    assert!(a.queue.send(address(99), b"anyone?", &[]));
    a.queue.flush();
    assert_eq!(a.queue.counters().dropped_send, 0);
    for _ in 0..60 {
        a.queue.wait(Duration::from_millis(100));
        a.received();
        if a.queue.counters().dropped_send > 0 {
            break;
        }
    }
    assert_eq!((a.queue.counters().sent, a.queue.counters().dropped_send), (0, 1));
}

/// A device with one transmit queue: another thread's frames pass through the network thread.
#[test]
fn frames_of_a_second_thread_pass_through_the_network_thread() {
    let pool = pool(8_192);
    let mut wire = Wire::new(pool.clone());
    let single = PlugConfig { tx_queues: 1, ..PlugConfig::default() };
    let mut a = host(&mut wire, 1, &pool, single);
    let mut b = host(&mut wire, 2, &pool, PlugConfig::default());
    acquaint(&mut wire, &mut a, &mut b);
    let mut application = a.queue.transmit_queue().unwrap();
    assert!(
        a.queue.description().contains("pass through the network thread"),
        "{}",
        a.queue.description()
    );
    let to = b.own;
    let mut application = std::thread::spawn(move || {
        for number in 0..100_u8 {
            assert!(application.send(to, &[number], &[]));
        }
        application.flush();
        application
    })
    .join()
    .unwrap();
    assert_eq!(application.counters().sent, 100);
    wire.settle();
    assert_eq!(b.received(), Vec::<Vec<u8>>::new(), "the network thread has not looked yet");
    a.queue.wait(Duration::ZERO);
    wire.settle();
    let numbers: Vec<_> = (0..100_u8).map(|number| vec![number]).collect();
    assert_eq!(b.received(), numbers);
    // More than fit on the way are dropped, and counted.
    for _ in 0..1_000 {
        application.send(to, b"flood", &[]);
    }
    application.flush();
    let counters = application.counters();
    assert_eq!(counters.sent + counters.dropped_send, 1_100);
    assert!(counters.dropped_send >= 1_000 - 512, "{counters:?}");
    a.queue.receive(&mut |_| ());
    wire.settle();
    assert_eq!(b.received().len() as u64, counters.sent - 100);
    // And a second one on a device that has two is on its own.
    b.queue.transmit_queue().unwrap();
    assert!(b.queue.description().contains("queue of its own"), "{}", b.queue.description());
    drop((a, b, application));
    wire.settle();
    assert_eq!(pool.available(), pool.count());
}

#[test]
fn another_thread_ends_a_wait_and_a_packet_does() {
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    let mut a = host(&mut wire, 1, &pool, PlugConfig::default());
    let mut b = host(&mut wire, 2, &pool, PlugConfig::default());
    acquaint(&mut wire, &mut a, &mut b);
    let mut application = b.queue.transmit_queue().unwrap();
    for sleeper in [&mut application, &mut b.queue] {
        let waker = sleeper.waker();
        let begin = std::time::Instant::now();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            waker.wake();
        });
        sleeper.wait(Duration::from_secs(20));
        other.join().unwrap();
        assert!((30..5_000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    }
    assert!(a.queue.send(b.own, b"wake up", &[]));
    a.queue.flush();
    wire.settle();
    let begin = std::time::Instant::now();
    b.queue.wait(Duration::from_secs(20));
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(b.received(), [b"wake up"]);
}

/// One long payload for many leaves as one buffer behind headers, and arrives whole at each.
#[test]
fn a_long_payload_for_many_is_shared_and_arrives() {
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    let mut hosts: Vec<_> =
        (1..=4).map(|n| host(&mut wire, n, &pool, PlugConfig::default())).collect();
    let (first, others) = hosts.split_first_mut().unwrap();
    for other in &mut *others {
        acquaint(&mut wire, first, other);
    }
    let payload: Vec<u8> = (0..1_400_u32).map(|i| i.to_le_bytes()[0]).collect();
    let to: Vec<_> = others.iter().map(|host| host.own).chain([group()]).collect();
    let before = pool.available();
    assert_eq!(first.queue.send_all(&to, &payload[..100], &payload[100..]), 4);
    assert_eq!(before - pool.available(), 4 + 1, "four headers, one payload");
    first.queue.flush();
    wire.settle();
    for other in others {
        let mut to = Vec::new();
        let count = other.queue.receive(&mut |arrival| {
            assert_eq!(arrival.bytes, payload);
            to.push(arrival.to);
        });
        assert_eq!((count, &to[..]), (2, &[ArrivedAt::Own, ArrivedAt::Group(0)][..]));
    }
    assert_eq!(pool.available(), pool.count(), "nothing waits any more");
}

/// What `--pcap` writes: every frame in and out of both threads' queues.
#[test]
fn a_capture_has_every_frame() {
    let file = std::env::temp_dir().join(format!("hovercraft-dpdk-{}.pcapng", std::process::id()));
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    let mut a = host(&mut wire, 1, &pool, PlugConfig::default());
    let mut b = host(&mut wire, 2, &pool, PlugConfig::default());
    acquaint(&mut wire, &mut a, &mut b);
    let mut application = a.queue.transmit_queue().unwrap();
    let config = CaptureConfig::new(&file, "cable");
    let (capture, mut taps) = Capture::start(config, Clock::start(), 2).unwrap();
    application.capture(taps.pop().unwrap());
    a.queue.capture(taps.pop().unwrap());
    assert_eq!(a.queue.send_all(&[b.own, b.own], &[b'x'; 900], b"from the network thread"), 2);
    assert!(application.send(b.own, b"from the application", &[]));
    assert!(b.queue.send(a.own, b"to the node", &[]));
    for queue in [&mut a.queue, &mut application, &mut b.queue] {
        queue.flush();
    }
    wire.settle();
    assert_eq!((a.received().len(), b.received().len()), (1, 3));
    assert_eq!(capture.stop().unwrap().written, 4);
    let bytes = std::fs::read(&file).unwrap();
    let has = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    assert!(has(b"from the network thread") && has(b"from the application") && has(b"to the node"));
    std::fs::remove_file(&file).unwrap();
}

/// For metrics: buffers that are out of each pool, and that are not.
#[test]
fn a_queue_tells_how_many_buffers_are_out() {
    let pool = pool(1_024);
    let mut wire = Wire::new(pool.clone());
    let mut a = host(&mut wire, 1, &pool, PlugConfig::default());
    let buffers = |queue: &Dpdk| {
        let mut found = Vec::new();
        queue.details(&mut |name, number| {
            if name.contains("_buffers_") {
                found.push((name, number));
            }
        });
        found
    };
    let told = |out: u64| {
        let names = ["receive_buffers_in_use", "receive_buffers_free"];
        let names = names.into_iter().chain(["transmit_buffers_in_use", "transmit_buffers_free"]);
        // One pool is both here.
        names.zip([out, 1_024 - out].repeat(2)).collect::<Vec<_>>()
    };
    assert_eq!(buffers(&a.queue), told(0));
    let taken: Vec<_> = (0..7).map(|_| pool.take().unwrap()).collect();
    assert_eq!(buffers(&a.queue), told(7));
    drop(taken);
    assert_eq!(buffers(&a.queue), told(0));
    assert_eq!(buffers(&a.queue.transmit_queue().unwrap()), [], "one thread tells it");
}

/// One queue is read: a device that spreads what comes over two would lose half of it.
#[test]
fn a_device_that_spreads_packets_over_unread_queues_is_refused() {
    let line = |pairs: u8| format!("net_af_packet7,iface=lo,qpairs={pairs}");
    let open = |pairs| {
        let config =
            PortConfig { patience: Duration::ZERO, ..PortConfig::new(Device::Added(line(pairs))) };
        Port::open(config, vec![pool(1_024)]).map(drop)
    };
    if let Err(error) = open(1) {
        eprintln!("NOT RUN: no packet socket here: {error}");
        return;
    }
    let refused = open(2).unwrap_err().to_string();
    assert!(refused.contains("leave qpairs out"), "{refused}");
}
