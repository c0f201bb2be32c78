//! Ages on a device whose queue is long or cannot be read: no packet is said to have come later than it did (D1, design HC8).

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;

use dataplane::backend::{Instant, Queue};
use dataplane::clock::Clock;
use dataplane::dpdk::packet::Pool;
use dataplane::dpdk::port::{Device, PortConfig};
use dataplane::dpdk::queue::Pools;
use dataplane::dpdk::{Dpdk, DpdkConfig};

use super::dpdk_support::{eal, pool};
use super::labs::at;
use super::namespaces::Namespace;
use super::skipped;

/// Two queues on the ends of a veth, in one namespace and with one clock.
struct Pair {
    clock: Clock,
    group: SocketAddr,
    sender: Dpdk,
    receiver: Dpdk,
    /// That the receiver receives into.
    pool: Pool,
    _namespace: Namespace,
}

impl Pair {
    /// The receiver's packet socket has room for so many frames; devices are numbered from `number` on.
    fn new(number: u32, frames: u32) -> io::Result<Self> {
        let namespace = Namespace::without_ipv6()?;
        namespace.ip("link add one type veth peer name other")?;
        namespace.ip("link set one up")?;
        namespace.ip("link set other up")?;
        let (clock, group) = (Clock::start(), at(Ipv4Addr::new(239, 77, 9, 9), 8_000));
        let open = |number, line: &str, host, pool: &Pool| {
            let device = Device::Added(format!("net_af_packet{number},{line}"));
            let config = DpdkConfig {
                groups: vec![group],
                port: PortConfig { is_watched: false, ..PortConfig::new(device.clone()) },
                pools: Some(Pools { receive: pool.clone(), transmit: pool.clone() }),
                clock,
                ..DpdkConfig::new(at(Ipv4Addr::new(10, 77, 9, host), 8_000), 24, device)
            };
            namespace.inside(|| Dpdk::open(eal(), config)).map_err(io::Error::other)
        };
        let (theirs, pool) = (pool(2_048), pool(2_048));
        let sender = open(number, "iface=one", 1, &theirs)?;
        let line = format!("iface=other,framecnt={frames}");
        let mut receiver = open(number + 1, &line, 2, &pool)?;
        for _ in 0..100 {
            receiver.receive(&mut |_| unreachable!("nobody has sent a packet"));
        }
        Ok(Self { clock, group, sender, receiver, pool, _namespace: namespace })
    }

    /// Sends to the group; the time after that.
    fn send(&mut self, packets: u32) -> Instant {
        for _ in 0..packets {
            self.sender.send(self.group, b"how old am I?", &[]);
        }
        self.sender.flush();
        std::thread::sleep(Duration::from_millis(5));
        let sent = self.clock.now();
        std::thread::sleep(Duration::from_millis(20));
        sent
    }

    /// Reads so many bursts; the moments after which their packets came.
    fn read(&mut self, bursts: usize) -> Vec<Instant> {
        let mut moments = Vec::new();
        for _ in 0..bursts {
            self.receiver.receive(&mut |arrival| moments.push(arrival.not_before));
        }
        moments
    }
}

/// More wait than a queue holds by default: all count that the device was given room for.
#[test]
fn hc8_ages_count_all_that_can_wait_at_a_device() {
    let mut pair = match Pair::new(900, 16_384) {
        Ok(pair) => pair,
        Err(why) => return skipped("hc8_ages_count_all_that_can_wait_at_a_device", &why),
    };
    let sent = pair.send(8_000);
    // Read as under load: never until it is empty.
    let moments = pair.read(150);
    assert!(moments.len() > 4_500, "only {} came", moments.len());
    let late = moments.iter().filter(|&&moment| moment > sent).count();
    assert_eq!(late, 0, "of {}: said to have come after they were all there", moments.len());
}

/// A driver without a buffer gives nothing, whatever waits: that is no empty queue.
#[test]
fn hc8_a_poll_without_buffers_has_not_seen_the_queue_empty() {
    let mut pair = match Pair::new(910, 512) {
        Ok(pair) => pair,
        Err(why) => {
            return skipped("hc8_a_poll_without_buffers_has_not_seen_the_queue_empty", &why);
        }
    };
    let hoard: Vec<_> = core::iter::from_fn(|| pair.pool.take()).collect();
    let sent = pair.send(1);
    assert_eq!(pair.read(100), [], "there is nothing to receive into");
    drop(hoard);
    let moments = pair.read(100);
    assert!(moments.len() == 1 && moments[0] <= sent, "{moments:?}, sent before {sent:?}");
    // With buffers it is seen again.
    let before = pair.clock.now();
    pair.read(1);
    pair.send(1);
    let moments = pair.read(100);
    assert!(moments.len() == 1 && moments[0] >= before, "{moments:?}, after {before:?}");
}
