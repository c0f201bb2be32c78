//! What an operator may set of an interface, and the checked form that the rest uses.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

use thiserror::Error;

use super::mac::MacAddress;
use super::membership::IgmpVersion;
use super::wire::{IPV4_LEN, UDP_LEN};
use crate::udp::GROUPS_MAX;

/// Smallest MTU: the packet that every IPv4 host takes (RFC 791, 3.1).
const MTU_MIN: u16 = 576;
/// How long packets wait for their neighbour if nothing else is said: half of the life of a packet in a cluster whose limits
/// do not say otherwise.
pub const HOLD_FOR: Duration = Duration::from_millis(50);

/// Largest: a jumbo frame.
const MTU_MAX: u16 = 9_216;

/// One interface, as configured; may be nonsense until [`super::Stack::new`] has taken it.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The device's address.
    pub mac: MacAddress,
    /// Own address and port.
    pub own: SocketAddrV4,
    /// Leading bits of the address that all neighbours share.
    pub prefix: u8,
    /// Next hop for addresses that are no neighbours; none: they cannot be reached.
    pub gateway: Option<Ipv4Addr>,
    /// The VLAN whose tag all frames carry, in their bytes or beside them (a device that strips and inserts); none:
    /// untagged.
    pub vlan: Option<u16>,
    /// Groups to be member of, in the order of [`crate::backend::ArrivedAt::Group`].
    pub groups: Vec<SocketAddrV4>,
    /// Longest IPv4 packet, in bytes.
    pub mtu: u16,
    /// Routers that a multicast packet may cross (its TTL): 1 keeps it on the network segment.
    pub multicast_ttl: u8,
    /// How long a packet may wait for its neighbour: what is late is worth nothing, and an answer or a forwarded request
    /// would be older on its arrival than its receiver can know (design HC3c, HC8): half of the life that the cluster's
    /// limits give a packet, at most. The neighbour is looked for on.
    pub hold_for: Duration,
    /// How memberships are reported; none: as the querier heard last asks for, and v3 where there is none.
    pub igmp: Option<IgmpVersion>,
}

/// Why a configuration makes no interface.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ConfigError {
    /// Not the address of one interface.
    #[error(
        "mac = {0}: must be the address of one interface, neither zero nor a group's; leave it to the device"
    )]
    Mac(MacAddress),
    /// Not an address that a host can have in its subnet.
    #[error(
        "own = {own}/{prefix}: must be one host's address, not a group's, the subnet's own or its broadcast; take \
         another of the subnet"
    )]
    Own {
        /// The address.
        own: Ipv4Addr,
        /// Of its subnet.
        prefix: u8,
    },
    /// No port, or no group's port.
    #[error("{0}: the port must be 1 to 65535; name one, nothing here chooses it")]
    Port(SocketAddrV4),
    /// No length of a prefix.
    #[error("prefix = {0}: must be 1 to 32; see the subnet's mask (255.255.255.0 is 24)")]
    Prefix(u8),
    /// Not a neighbour.
    #[error(
        "gateway = {gateway}: must be another host's address in {own}/{prefix}; correct it or the prefix"
    )]
    Gateway {
        /// What was set.
        gateway: Ipv4Addr,
        /// The own address.
        own: Ipv4Addr,
        /// Of its subnet.
        prefix: u8,
    },
    /// No VLAN's number.
    #[error("vlan = {0}: must be 1 to 4094; leave it out for untagged frames")]
    Vlan(u16),
    /// Not a multicast address.
    #[error("group {0}: must be 224.0.0.2 to 239.255.255.255; 239.0.0.0/8 is for own use")]
    Group(SocketAddrV4),
    /// The same twice.
    #[error("group {0}: named twice; name it once")]
    GroupTwice(SocketAddrV4),
    /// More than fit.
    #[error("{0} groups: must be {GROUPS_MAX} at most; name fewer")]
    Groups(usize),
    /// Too short or too long.
    #[error("mtu = {0}: must be {MTU_MIN} to {MTU_MAX}; 1500 fits every Ethernet")]
    Mtu(u16),
    /// Would leave no host.
    #[error("multicast_ttl = 0: must be 1 to 255; 1 keeps packets on the segment")]
    MulticastTtl,
}

impl StackConfig {
    /// An untagged interface without gateway and groups, an MTU of 1500 and a multicast TTL of 1, that keeps packets for
    /// [`HOLD_FOR`].
    #[must_use]
    pub fn new(mac: MacAddress, own: SocketAddrV4, prefix: u8) -> Self {
        Self {
            mac,
            own,
            prefix,
            gateway: None,
            vlan: None,
            groups: Vec::new(),
            mtu: 1_500,
            multicast_ttl: 1,
            hold_for: HOLD_FOR,
            igmp: None,
        }
    }

    /// Longest UDP payload that one packet carries, in bytes.
    #[must_use]
    pub fn payload_max(&self) -> usize {
        usize::from(self.mtu).saturating_sub(IPV4_LEN + UDP_LEN)
    }

    #[inline]
    pub(super) fn subnet(&self) -> Subnet {
        Subnet::new(*self.own.ip(), self.prefix, self.gateway)
    }

    /// # Errors
    ///
    /// [`ConfigError`] names the first value that is wrong.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let (own, prefix) = (*self.own.ip(), self.prefix);
        if !self.mac.is_one_interface() {
            return Err(ConfigError::Mac(self.mac));
        }
        if !(1..=32).contains(&prefix) {
            return Err(ConfigError::Prefix(prefix));
        }
        let subnet = self.subnet();
        if !is_one_host(own) || !subnet.is_host(own) {
            return Err(ConfigError::Own { own, prefix });
        }
        if let Some(&unnamed) = self.groups.iter().chain([&self.own]).find(|a| a.port() == 0) {
            return Err(ConfigError::Port(unnamed));
        }
        if let Some(gateway) = self.gateway {
            // On a subnet of one address the gateway is the only neighbour.
            let reachable = prefix == 32 || (subnet.contains(gateway) && subnet.is_host(gateway));
            if gateway == own || !is_one_host(gateway) || !reachable {
                return Err(ConfigError::Gateway { gateway, own, prefix });
            }
        }
        if let Some(vlan) = self.vlan.filter(|vlan| !(1..=4_094).contains(vlan)) {
            return Err(ConfigError::Vlan(vlan));
        }
        if self.groups.len() > GROUPS_MAX {
            return Err(ConfigError::Groups(self.groups.len()));
        }
        for (place, &group) in self.groups.iter().enumerate() {
            // 224.0.0.1 is everybody's, and never reported.
            if !group.ip().is_multicast() || group.ip().to_bits() <= 0xe000_0001 {
                return Err(ConfigError::Group(group));
            }
            if self.groups[..place].contains(&group) {
                return Err(ConfigError::GroupTwice(group));
            }
        }
        if !(MTU_MIN..=MTU_MAX).contains(&self.mtu) {
            return Err(ConfigError::Mtu(self.mtu));
        }
        if self.multicast_ttl == 0 {
            return Err(ConfigError::MulticastTtl);
        }
        Ok(())
    }
}

/// Who is a neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subnet {
    pub(super) own: Ipv4Addr,
    mask: u32,
    gateway: Option<Ipv4Addr>,
    /// Its first and its last address, which no host has; subnets of one and two addresses have none (RFC 3021).
    reserved: Option<[Ipv4Addr; 2]>,
}

impl Subnet {
    fn new(own: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> Self {
        let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
        let first = own.to_bits() & mask;
        let reserved = (prefix < 31).then(|| [first, first | !mask].map(Ipv4Addr::from_bits));
        Self { own, mask, gateway, reserved }
    }

    /// The neighbour that brings a packet to `to`, or none: no way leads there.
    #[inline]
    pub(super) fn next_hop(&self, to: Ipv4Addr) -> Option<Ipv4Addr> {
        if self.contains(to) { Some(to) } else { self.gateway }
    }

    /// Whether frames can be exchanged with it directly.
    #[inline]
    pub(super) fn is_neighbour(&self, other: Ipv4Addr) -> bool {
        self.gateway == Some(other) || (self.contains(other) && self.is_host(other))
    }

    /// Whether it is the address of all hosts of the subnet.
    #[inline]
    pub(super) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        self.reserved.is_some_and(|[_, last]| last == address)
    }

    /// Whether a host may have it, as far as the subnet goes.
    #[inline]
    fn is_host(&self, address: Ipv4Addr) -> bool {
        !self.reserved.is_some_and(|[first, last]| address == first || address == last)
    }

    #[inline]
    fn contains(&self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.own.to_bits()) & self.mask == 0
    }
}

/// Whether a packet can be from, or for, one host with this address elsewhere (RFC 1122, 3.2.1.3).
#[inline]
pub(super) fn is_one_host(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first != 127 && first < 224
}
