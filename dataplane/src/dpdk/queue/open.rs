//! A network on DPDK, opened: pools, port, stack, the network thread's queue.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::config::{DpdkConfig, DpdkError, Pools};
use super::receive::Receiver;
use super::transmit::{Outlet, Sender, SenderParts};
use super::{Dpdk, HANDED_MAX, Network};
use crate::dpdk::eal::Eal;
use crate::dpdk::packet::{BURST, CACHE, Pool, PoolError};
use crate::dpdk::port::{self, Device, Port, PortConfig};
use crate::net::{MacAddress, Offload, Stack, StackConfig, macs_of_groups};
use crate::not_before::{NotBefore, Short};
use crate::udp::Waker;

/// Bytes of a frame beside its IPv4 packet: Ethernet, two tags, check sequence, and what drivers round up.
const FRAME_BESIDE: u16 = 64;

/// Drivers want buffers of this size at least.
const ROOM_MIN: u16 = 2_048;

/// Threads that keep buffers of a pool for themselves: network, application, whoever opens and closes.
const THREADS: u32 = 3;

/// The pools that a port set up so takes, on a NUMA socket: a buffer for each descriptor, each place in a ring or a burst,
/// and what threads keep for themselves (1.5 caches each).
///
/// # Errors
///
/// [`PoolError`]: EAL has too little memory.
pub fn pools_for(eal: &Eal, port: &PortConfig, socket: Option<u32>) -> Result<Pools, PoolError> {
    let room = port.mtu.saturating_add(FRAME_BESIDE).max(ROOM_MIN);
    let bursts = 4 * u32::try_from(BURST).unwrap_or(0);
    let kept = THREADS * (CACHE + CACHE / 2) + bursts;
    let queues = u32::from(port.tx_queues.max(1));
    let handed = u32::try_from(HANDED_MAX).unwrap_or(0);
    let receive = u32::from(port.rx_descriptors) + kept;
    let transmit = u32::from(port.tx_descriptors) * queues + handed + kept;
    Ok(Pools {
        receive: Pool::new(eal, receive, room, socket)?,
        transmit: Pool::new(eal, transmit, room, socket)?,
    })
}

/// The device that an operator means: the number of a port from 0 on, a port's name, or the arguments of a device to add
/// (`net_virtio_user0,path=/run/switch/3`).
///
/// # Errors
///
/// [`DpdkError::NoPort`] or [`DpdkError::UnknownPort`], with those that there are.
pub fn choose_port(eal: &Eal, asked: &str) -> Result<Device, DpdkError> {
    if asked.contains(',') {
        return Ok(Device::Added(asked.to_owned()));
    }
    let names = port::names(eal);
    let by_number = asked.parse().ok().and_then(|number: usize| names.get(number));
    if let Some(name) = by_number.or_else(|| names.iter().find(|name| *name == asked)) {
        return Ok(Device::Named(name.clone()));
    }
    if names.is_empty() {
        return Err(DpdkError::NoPort);
    }
    let numbered = names.iter().enumerate().map(|(number, name)| format!("{number} {name}"));
    let present: Vec<_> = numbered.collect();
    Err(DpdkError::UnknownPort { asked: asked.to_owned(), present: present.join(", ") })
}

/// What the stack is to leave to the device.
pub(super) fn offload_of((ipv4, udp): (bool, bool)) -> Offload {
    Offload { ipv4, udp, vlan: false }
}

pub(super) fn open(eal: &Eal, mut config: DpdkConfig) -> Result<Dpdk, DpdkError> {
    let own = v4(config.own)?;
    let groups: Result<Vec<_>, _> = config.groups.iter().map(|&group| v4(group)).collect();
    let groups = groups?;
    let mtu = config.port.mtu;
    config.port.groups = macs_of_groups(&groups).into_iter().map(|mac| mac.0).collect();
    let pools = match config.pools.take() {
        Some(pools) => pools,
        None => pools_for(eal, &config.port, port::socket(&config.port.device))?,
    };
    let born = config.clock.now();
    let both = vec![pools.receive.clone(), pools.transmit.clone()];
    let (port, rx, mut tx) = Port::open(config.port.clone(), both)?;
    let stack = Stack::new(
        StackConfig {
            gateway: config.gateway,
            vlan: config.vlan,
            groups,
            mtu,
            multicast_ttl: config.multicast_ttl,
            hold_for: config.hold_for,
            ..StackConfig::new(mac_of(&config, &port, *own.ip()), own, config.prefix)
        },
        born,
    )?;
    let offload = offload(&port, config.port.checksums);
    let waiting = config.receive_queue.max(port.waiting_max());
    // Drivers of virtual devices gather frames from EAL's start on: the clock was started before.
    let moments = NotBefore::new(core::time::Duration::ZERO, waiting, Short::Unknown);
    // The first is this thread's; the last ones are given out first.
    let first = tx.remove(0);
    let sender = Sender::new(SenderParts {
        outlet: Outlet::Device(first),
        pool: pools.transmit.clone(),
        addressing: stack.addressing(offload_of(offload)),
        offload,
        shares: port.abilities().multi_segments,
        clock: config.clock,
    });
    let description = describe(&port, &stack, offload);
    let frame_max = usize::from(mtu) + usize::from(FRAME_BESIDE);
    let receiver = Receiver::new((port, rx), pools.receive.clone(), stack, moments, frame_max);
    let plug = match config.port.device {
        Device::Plugged(plug) => Some(plug),
        Device::Named(_) | Device::Added(_) => None,
    };
    let network = Network { pools, spare: tx, receiver, plug, description };
    Ok(Dpdk {
        own: config.own,
        eal: eal.clone(),
        clock: config.clock,
        sender,
        waker: Waker::new()?,
        network: Some(Box::new(network)),
    })
}

/// Checksums left to the device. Not to a virtual machine's: there "by the device" means that the frame leaves without one,
/// and whoever passes it on to a wire has to know.
fn offload(port: &Port, wanted: bool) -> (bool, bool) {
    let abilities = port.abilities();
    let is_card =
        wanted && !abilities.driver.contains("vhost") && !abilities.driver.contains("virtio");
    (is_card && abilities.transmit_ipv4_checksum, is_card && abilities.transmit_udp_checksum)
}

/// Configured, the device's, or made from the own address: `02:00` (locally administered), then its four bytes.
fn mac_of(config: &DpdkConfig, port: &Port, own: Ipv4Addr) -> MacAddress {
    let device = MacAddress(port.mac());
    let [a, b, c, d] = own.octets();
    let made = MacAddress([2, 0, a, b, c, d]);
    config.mac.unwrap_or(if device.is_one_interface() { device } else { made })
}

fn v4(address: SocketAddr) -> Result<SocketAddrV4, DpdkError> {
    match address {
        SocketAddr::V4(v4) => Ok(v4),
        SocketAddr::V6(_) => Err(DpdkError::NotIpv4(address)),
    }
}

fn describe(port: &Port, stack: &Stack, offload: (bool, bool)) -> String {
    let by = |device: bool| if device { "device" } else { "software" };
    let abilities = port.abilities();
    let link = port.link();
    format!(
        "{} ({}), {:?}, MTU {}, link {}, 1 receive queue of {}, {} transmit queues, checksums sent: IPv4 by {}, UDP by {}, \
         groups heard: {:?}, one payload for many: {}",
        port.name(),
        abilities.driver,
        stack.config().mac,
        stack.config().mtu,
        if link.is_up { "up" } else { "down" },
        port.rx_descriptors(),
        port.tx_queues(),
        by(offload.0),
        by(offload.1),
        port.hearing(),
        if abilities.multi_segments { "by reference" } else { "by copy" },
    )
}
