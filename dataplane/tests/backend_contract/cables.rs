//! DPDK queues on cables in one process.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use dataplane::backend::Queue;
use dataplane::clock::Clock;
use dataplane::dpdk::cable::{Plug, PlugConfig, Wire};
use dataplane::dpdk::packet::Pool;
use dataplane::dpdk::port::{Device, PortConfig};
use dataplane::dpdk::queue::Pools;
use dataplane::dpdk::{Dpdk, DpdkConfig};

use super::dpdk_support::{eal, pool};
use super::labs::{Inbox, Lab, Peer, at};

/// Room for the longest packet of the contract, with the headers of IPv4 and UDP.
const MTU: u16 = 2_048 + 28;

/// Peers that a promise opens at most.
const PEERS_MAX: u8 = 8;

/// Ports of DPDK's ring driver, joined by a wire that copies.
pub(crate) struct Cabled {
    clock: Clock,
    wire: Wire,
    pool: Pool,
    peers: u8,
    groups: u8,
}

impl Cabled {
    pub(crate) fn new() -> Self {
        let pool = pool(30_000);
        let (clock, wire) = (Clock::start(), Wire::new(pool.clone()));
        Self { clock, wire, pool, peers: 0, groups: 0 }
    }
}

fn address(peer: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, peer)
}

/// As the back end makes it where a device has none.
fn mac(peer: u8) -> [u8; 6] {
    [2, 0, 10, 77, 0, peer]
}

/// A peer's question for another: whom one hears asking one knows.
fn question(from: u8, to: u8) -> Vec<u8> {
    let arp = [0, 1, 8, 0, 6, 4, 0, 1];
    let (own, theirs) = (address(from).octets(), address(to).octets());
    [&[0xff; 6][..], &mac(from), &[8, 6], &arp, &mac(from), &own, &[0; 6], &theirs].concat()
}

/// Lets a peer know all others that there can be: promises are about packets, not about the first one to a neighbour.
fn introduce(queue: &mut Dpdk, plug: &Plug, own: u8) {
    for other in (1..=PEERS_MAX).filter(|&other| other != own) {
        assert!(plug.put(&question(other, own)));
    }
    while queue.receive(&mut |_| unreachable!("questions are no packets")) > 0 {}
    queue.receive(&mut |_| ());
    while plug.take().is_some() {}
}

impl Lab for Cabled {
    fn name(&self) -> &'static str {
        "dpdk on cables"
    }

    fn open(&mut self, groups: &[SocketAddr], inbox: Inbox) -> Peer {
        self.peers += 1;
        assert!(self.peers <= PEERS_MAX);
        let inbox = if inbox == Inbox::Small { 63 } else { 2_047 };
        let plug = self.wire.plug_in(PlugConfig { inbox, ..PlugConfig::default() }).unwrap();
        let own = at(address(self.peers), 8_000);
        let device = Device::Plugged(plug.clone());
        let port = PortConfig { mtu: MTU, is_watched: false, ..PortConfig::new(device.clone()) };
        let pools = Pools { receive: self.pool.clone(), transmit: self.pool.clone() };
        let config = DpdkConfig {
            groups: groups.to_vec(),
            port,
            pools: Some(pools),
            clock: self.clock,
            ..DpdkConfig::new(own, 24, device)
        };
        let mut queue = Dpdk::open(eal(), config).unwrap();
        introduce(&mut queue, &plug, self.peers);
        let transmit = queue.transmit_queue().unwrap();
        Peer { own, queue: Box::new(queue), transmit: Box::new(transmit) }
    }

    fn group(&mut self) -> SocketAddr {
        self.groups += 1;
        at(Ipv4Addr::new(239, 77, 0, self.groups), 8_000)
    }

    fn nobody(&self) -> SocketAddr {
        at(Ipv4Addr::new(10, 77, 0, 200), 8_000)
    }

    fn pass_time(&mut self) {
        self.wire.settle();
        std::thread::sleep(Duration::from_micros(10));
    }

    /// All buffers are at home again (T3).
    fn close(&mut self, peers: Vec<Peer>) {
        drop(peers);
        self.peers = 0;
        self.wire.settle();
        assert_eq!(self.pool.available(), self.pool.count());
    }
}
