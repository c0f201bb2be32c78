//! Nothing is lost and nothing is counted twice, whatever goes wrong.

use core::net::SocketAddr;

use dataplane::backend::Queue;
use dataplane::dpdk::Dpdk;
use dataplane::dpdk::cable::{PlugConfig, Wire};

use super::host::{acquaint, address, group, host};
use super::support::pool;

/// Deterministic, and different each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.below(256).to_le_bytes()[0]).collect()
    }
}

/// Packets that a queue was asked to take, by its own count (D2).
fn asked(queue: &Dpdk) -> u64 {
    let counters = queue.counters();
    counters.sent + counters.dropped_send
}

/// A million packets to hosts, groups and nobody, short and long, to one and to many, over rings that overflow and from a
/// pool that runs dry, with garbage between them: at the end all buffers are at home, and every packet was counted once.
#[test]
fn t3_a_million_packets_with_faults_cost_no_buffer() {
    const PACKETS: u64 = 1_000_000;
    // Fewer than the rings can hold: it runs dry.
    let pool = pool(2_600);
    let mut wire = Wire::new(pool.clone());
    let narrow = PlugConfig { inbox: 255, outbox: 63, tx_queues: 2 };
    let mut hosts: Vec<_> =
        (1..=3).map(|n| host(&mut wire, n, &pool, PlugConfig::default())).collect();
    hosts.push(host(&mut wire, 4, &pool, narrow));
    let [a, b, ..] = &mut hosts[..] else { unreachable!("there are four") };
    acquaint(&mut wire, a, b);
    let mut dice = Dice(7);
    let (payload, mut to) = (dice.bytes(2_000), Vec::<SocketAddr>::new());
    let mut wanted = vec![1_u64, 0, 0, 0];
    let (mut handed_up, mut refused) = (0_u64, 0_u64);
    while wanted.iter().sum::<u64>() < PACKETS {
        let from = usize::try_from(dice.below(4)).unwrap();
        for _ in 0..dice.below(60) {
            to.clear();
            for _ in 0..=dice.below(6) {
                to.push(match dice.below(40) {
                    0 => address(200),
                    1 => "[::1]:8000".parse().unwrap(),
                    2 => "192.0.2.1:8000".parse().unwrap(),
                    3..=6 => group(),
                    n => address(u8::try_from(n % 4).unwrap() + 1),
                });
            }
            let len = usize::try_from(dice.below(1_500)).unwrap();
            let (head, tail) = payload[..len].split_at(len / 3);
            let taken = hosts[from].queue.send_all(&to, head, tail);
            wanted[from] += to.len() as u64;
            refused += to.len() as u64 - taken as u64;
        }
        hosts[from].queue.flush();
        if dice.below(3) == 0 {
            let len = dice.below(200);
            let noise = dice.bytes(len);
            let _full = hosts[from].plug.put(&noise);
        }
        if dice.below(2) == 0 {
            wire.step();
        }
        let reader = usize::try_from(dice.below(4)).unwrap();
        handed_up += hosts[reader].queue.receive(&mut |_| ()) as u64;
    }
    let dropped: u64 = hosts.iter().map(|host| host.queue.counters().dropped_receive).sum();
    assert!(
        handed_up > PACKETS / 10 && refused > 1_000 && dropped > 1_000,
        "{handed_up} {refused} {dropped}"
    );
    for (host, wanted) in hosts.iter().zip(wanted) {
        let held = wanted - asked(&host.queue);
        assert!(held <= 32, "D2: {held} wait for a neighbour, of {wanted}");
    }
    drop(hosts);
    wire.settle();
    assert_eq!(pool.available(), pool.count(), "T3");
}

#[test]
fn an_empty_pool_drops_and_recovers() {
    let pool = pool(1_024);
    let mut wire = Wire::new(pool.clone());
    let mut a = host(&mut wire, 1, &pool, PlugConfig::default());
    let mut b = host(&mut wire, 2, &pool, PlugConfig::default());
    acquaint(&mut wire, &mut a, &mut b);
    let hoard: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
    let before = a.queue.counters();
    assert!(!a.queue.send(b.own, b"no room", &[]));
    assert_eq!(a.queue.send_all(&[b.own; 3], &[0; 1_000], &[]), 0);
    assert_eq!(a.queue.counters().dropped_send, before.dropped_send + 4);
    drop(hoard);
    assert!(a.queue.send(b.own, b"room", &[]));
    a.queue.flush();
    wire.settle();
    assert_eq!(b.received(), [b"room"]);
}
