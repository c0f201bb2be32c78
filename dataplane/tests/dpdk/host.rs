//! Hosts on a wire: a queue each, with its plug.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use dataplane::backend::Queue;
use dataplane::clock::Clock;
use dataplane::dpdk::cable::{Plug, PlugConfig, Wire};
use dataplane::dpdk::packet::Pool;
use dataplane::dpdk::port::{Device, PortConfig};
use dataplane::dpdk::queue::Pools;
use dataplane::dpdk::{Dpdk, DpdkConfig};

use super::support::eal;

/// A host.
pub(crate) struct Host {
    pub(crate) queue: Dpdk,
    pub(crate) plug: Plug,
    pub(crate) own: SocketAddr,
}

/// The group that all hosts are in.
pub(crate) fn group() -> SocketAddr {
    SocketAddr::from(([239, 9, 9, 9], 8_000))
}

pub(crate) fn address(number: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 9, 0, number), 8_000))
}

/// Host `number`, 10.9.0.number.
pub(crate) fn host(wire: &mut Wire, number: u8, pool: &Pool, config: PlugConfig) -> Host {
    let plug = wire.plug_in(config).unwrap();
    let device = Device::Plugged(plug.clone());
    let config = DpdkConfig {
        groups: vec![group()],
        port: PortConfig { is_watched: false, ..PortConfig::new(device.clone()) },
        pools: Some(Pools { receive: pool.clone(), transmit: pool.clone() }),
        clock: Clock::start(),
        ..DpdkConfig::new(address(number), 24, device)
    };
    Host { queue: Dpdk::open(eal(), config).unwrap(), plug, own: address(number) }
}

impl Host {
    /// What has come, payload by payload.
    pub(crate) fn received(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for _ in 0..200 {
            self.queue.receive(&mut |arrival| all.push(arrival.bytes.to_vec()));
        }
        all
    }
}

/// Has two hosts know each other, by ARP: the first packet waits for the answer.
pub(crate) fn acquaint(wire: &mut Wire, one: &mut Host, other: &mut Host) {
    assert!(one.queue.send(other.own, b"hello", &[]));
    one.queue.flush();
    let mut came = Vec::new();
    for _ in 0..50 {
        one.queue.wait(Duration::from_micros(100));
        wire.settle();
        came.extend(other.received());
        wire.settle();
        assert_eq!(one.received(), Vec::<Vec<u8>>::new());
        wire.settle();
    }
    assert_eq!(came, [b"hello"]);
}
