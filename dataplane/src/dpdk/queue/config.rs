//! What a network on DPDK is opened with, and why it is not.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;

use thiserror::Error;

use crate::clock::Clock;
use crate::dpdk::packet::{Pool, PoolError};
use crate::dpdk::port::{Device, PortConfig, PortError};
use crate::net::{ConfigError, HOLD_FOR, MacAddress};

/// A node's network on DPDK: addresses, device, memory.
#[derive(Debug)]
pub struct DpdkConfig {
    /// The node's address and port, which no kernel has.
    pub own: SocketAddr,
    /// Bits of the subnet's prefix: who shares them is asked for directly, by ARP.
    pub prefix: u8,
    /// Router for all others; none: they cannot be reached.
    pub gateway: Option<Ipv4Addr>,
    /// The VLAN whose tag all frames carry; none: untagged.
    pub vlan: Option<u16>,
    /// Multicast groups; [`ArrivedAt::Group`](crate::backend::ArrivedAt::Group) is the place in this list.
    pub groups: Vec<SocketAddr>,
    /// Routers that a multicast packet may cross (its TTL).
    pub multicast_ttl: u8,
    /// How long a packet may wait for its neighbour, see [`StackConfig::hold_for`](crate::net::StackConfig::hold_for).
    pub hold_for: Duration,
    /// The Ethernet address; none: the device's, and where it has none, one made from the own address.
    pub mac: Option<MacAddress>,
    /// The device, its queues and its MTU. The groups' addresses are filled in.
    pub port: PortConfig,
    /// Packets that can wait at the device, at most, which [`not_before`](crate::backend::Arrival::not_before) counts on:
    /// more is safe. Never taken as less than the device can have, see [`Port::waiting_max`](crate::dpdk::port::Port::waiting_max).
    pub receive_queue: usize,
    /// Where packets come from; none: pools of its own, as large as it takes.
    pub pools: Option<Pools>,
    /// The process' clock, started before EAL: what waits at first may have come since EAL's start.
    pub clock: Clock,
}

/// Where packets come from.
#[derive(Clone, Debug)]
pub struct Pools {
    /// What is received.
    pub receive: Pool,
    /// What is sent.
    pub transmit: Pool,
}

impl DpdkConfig {
    /// An untagged network without gateway and groups, with an MTU of 1,500 bytes, pools and a clock of its own.
    #[must_use]
    pub fn new(own: SocketAddr, prefix: u8, device: Device) -> Self {
        Self {
            own,
            prefix,
            gateway: None,
            vlan: None,
            groups: Vec::new(),
            multicast_ttl: 1,
            hold_for: HOLD_FOR,
            mac: None,
            port: PortConfig::new(device),
            receive_queue: 4_096,
            pools: None,
            clock: Clock::start(),
        }
    }
}

/// A network on DPDK was not opened.
#[derive(Debug, Error)]
pub enum DpdkError {
    /// The device.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The memory.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The addresses.
    #[error(transparent)]
    Address(#[from] ConfigError),
    /// IPv6.
    #[error("{0}: the DPDK back end speaks IPv4 only; give an IPv4 address")]
    NotIpv4(SocketAddr),
    /// No device at all.
    #[error(
        "EAL found no Ethernet port; give it one before `--`: -a 0000:01:00.0 (a card bound to vfio-pci), or \
         --vdev net_af_packet0,iface=eth1"
    )]
    NoPort,
    /// A port that is not there.
    #[error(
        "there is no Ethernet port {asked}; give one of these, or its number from 0 on: {present}"
    )]
    UnknownPort {
        /// What was asked for.
        asked: String,
        /// Those that there are.
        present: String,
    },
    /// No event counter for the waker.
    #[error("cannot make an event counter: {0}; raise the limit of open files (`ulimit -n`)")]
    Waker(#[from] io::Error),
}
