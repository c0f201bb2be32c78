//! The kernel's network: the node's interface, multicast, sizes.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use dataplane::udp::UdpConfig;

use super::host::{self, Capability};
use super::{Machine, Verdict};

const INTERFACES: &str = "sys/class/net";
const ROUTES: &str = "proc/net/route";
const RECEIVE: &str = "proc/sys/net/core/rmem_max";
const MEMBERSHIPS: &str = "proc/sys/net/ipv4/igmp_max_memberships";

/// Flags of an interface.
const UP: u64 = 1;
const MULTICAST: u64 = 1 << 12;

/// IPv4 and UDP headers before a datagram.
const HEADERS: u64 = 28;

const WHO: &str = "which member this is is not known: give --config and --id";

/// One line of the main table.
struct Route {
    interface: String,
    network: u32,
    mask: u32,
}

/// The node's own IPv4 data address.
fn own(machine: &Machine) -> Option<Ipv4Addr> {
    match machine.subject.member?.data {
        SocketAddr::V4(own) => Some(*own.ip()),
        SocketAddr::V6(_) => None,
    }
}

fn routes(machine: &Machine) -> Option<Vec<Route>> {
    let text = machine.root.text(ROUTES)?;
    // Numbers as the machine has them in memory: the first byte of an address is the lowest.
    let number = |word: &str| Some(u32::from_str_radix(word, 16).ok()?.swap_bytes());
    let route = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (interface, network, mask) = (words.first()?, words.get(1)?, words.get(7)?);
        let (network, mask) = (number(network)?, number(mask)?);
        Some(Route { interface: (*interface).to_owned(), network, mask })
    };
    Some(text.lines().skip(1).filter_map(route).collect())
}

/// The interface that leads to an address, by the longest prefix.
fn towards(machine: &Machine, address: Ipv4Addr) -> Option<String> {
    if address.is_loopback() {
        return Some("lo".to_owned());
    }
    let fits = |route: &Route| u32::from(address) & route.mask == route.network;
    let routes = routes(machine)?.into_iter().filter(fits);
    routes.max_by_key(|route| route.mask).map(|route| route.interface)
}

fn flags(machine: &Machine, interface: &str) -> Option<u64> {
    let text = machine.root.text(&format!("{INTERFACES}/{interface}/flags"))?;
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Whether the node's data address is on an interface that is up.
pub(super) fn interface(machine: &Machine) -> Verdict {
    let Some(own) = own(machine) else { return Verdict::not_applicable(WHO) };
    let Some(name) = towards(machine, own) else {
        return Verdict::fail(
            format!("no interface is in the network of {own}"),
            format!(
                "ip address add {own}/24 dev eth0   (with your prefix and interface), or another --id"
            ),
        );
    };
    match flags(machine, &name) {
        None => Verdict::unreadable(&format!("{INTERFACES}/{name}/flags")),
        Some(flags) if flags & UP == 0 => Verdict::fail(
            format!("{name}, which leads to {own}, is down"),
            format!("ip link set {name} up"),
        ),
        Some(_) => Verdict::ok(format!("{name} leads to {own}")),
    }
}

/// The group's address, where there is one.
fn group(machine: &Machine) -> Option<Ipv4Addr> {
    match machine.subject.group.as_ref()?.multicast?.ip() {
        IpAddr::V4(group) => Some(group),
        IpAddr::V6(_) => None,
    }
}

/// Whether the node's interface takes part in multicast.
pub(super) fn multicast(machine: &Machine) -> Verdict {
    let Some(group) = group(machine) else {
        return Verdict::not_applicable(
            "no group address is known: give --config of a group in mode hovercraft",
        );
    };
    let Some(own) = own(machine) else { return Verdict::not_applicable(WHO) };
    if own.is_loopback() {
        return Verdict::ok(format!("{group} on loopback, which needs no flag"));
    }
    let Some(name) = towards(machine, own) else {
        return Verdict::not_applicable(format!("no interface is in the network of {own}"));
    };
    match flags(machine, &name) {
        None => Verdict::unreadable(&format!("{INTERFACES}/{name}/flags")),
        Some(flags) if flags & MULTICAST == 0 => Verdict::fail(
            format!("{name} has no MULTICAST flag: nothing that is sent to {group} arrives"),
            format!("ip link set {name} multicast on"),
        ),
        Some(_) => Verdict::ok(format!(
            "{name} takes part; the switch must, too (IGMP snooping with a querier, or none)"
        )),
    }
}

/// Whether programs that do not choose an interface reach the group.
pub(super) fn route(machine: &Machine) -> Verdict {
    let Some(group) = group(machine) else {
        return Verdict::not_applicable(
            "no group address is known: give --config of a group in mode hovercraft",
        );
    };
    if routes(machine).is_none() {
        return Verdict::unreadable(ROUTES);
    }
    let wanted = own(machine).and_then(|own| towards(machine, own));
    let device = wanted.clone().unwrap_or_else(|| "eth0".to_owned());
    let add = format!("ip route add {group}/32 dev {device}");
    match (towards(machine, group), wanted) {
        (_, Some(wanted)) if wanted == "lo" => {
            Verdict::ok("loopback: our programs choose the interface themselves")
        }
        (None, _) => Verdict::warn(
            format!("none to {group}: clients that choose no interface cannot send"),
            add,
        ),
        (Some(now), Some(wanted)) if now != wanted => {
            Verdict::warn(format!("{group} leads to {now}, the node is on {wanted}"), add)
        }
        (Some(now), _) => Verdict::ok(format!("{group} by {now}")),
    }
}

/// Whether a node may join its group.
pub(super) fn memberships(machine: &Machine) -> Verdict {
    match machine.root.number(MEMBERSHIPS) {
        None => Verdict::unreadable(MEMBERSHIPS),
        Some(0) => Verdict::fail(
            "0 groups may be joined by a socket",
            "sysctl -w net.ipv4.igmp_max_memberships=20",
        ),
        Some(most) => {
            Verdict::ok(format!("{most} groups may be joined by a socket, a node joins one"))
        }
    }
}

/// Whether the kernel drops what comes by an interface that it would not answer through.
pub(super) fn reverse_path(machine: &Machine) -> Verdict {
    let filter =
        |name: &str| machine.root.number(&format!("proc/sys/net/ipv4/conf/{name}/rp_filter"));
    let Some(all) = filter("all") else {
        return Verdict::unreadable("proc/sys/net/ipv4/conf/all/rp_filter");
    };
    let name = own(machine).and_then(|own| towards(machine, own));
    let own = name.as_deref().and_then(filter).unwrap_or(0);
    // The higher of the two holds.
    match all.max(own) {
        1 => Verdict::warn(
            "strict: packets of clients in other networks are dropped where the way back is another interface",
            format!(
                "sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.{}.rp_filter=2",
                name.as_deref().unwrap_or("default")
            ),
        ),
        2 => Verdict::ok("loose"),
        _ => Verdict::ok("off"),
    }
}

/// Whether the largest packet fits.
pub(super) fn mtu(machine: &Machine) -> Verdict {
    let Some(own) = own(machine) else { return Verdict::not_applicable(WHO) };
    let Some(name) = towards(machine, own) else {
        return Verdict::not_applicable(format!(
            "the kernel has no interface in the network of {own}"
        ));
    };
    let file = format!("{INTERFACES}/{name}/mtu");
    let Some(mtu) = machine.root.number(&file) else { return Verdict::unreadable(&file) };
    let wanted = r2p2::header::DATAGRAM_MAX as u64 + HEADERS;
    if mtu >= wanted {
        return Verdict::ok(format!("{mtu} on {name}"));
    }
    Verdict::warn(
        format!(
            "{mtu} on {name}, packets have up to {wanted} bytes: the kernel cuts them up, DPDK cannot"
        ),
        format!("ip link set {name} mtu {wanted}   (and on switches and other machines)"),
    )
}

/// Whether a node gets the receive buffers that it asks for.
pub(super) fn buffers(machine: &Machine) -> Verdict {
    let Some(most) = machine.root.number(RECEIVE) else { return Verdict::unreadable(RECEIVE) };
    let nobody = SocketAddr::from(([0; 4], 0));
    let usual = || UdpConfig::new(nobody).receive_buffer;
    let group = machine.subject.group.as_ref();
    let wanted = group.map_or_else(usual, |group| group.node.resources.receive_buffer) as u64;
    let found = format!("up to {} KiB, a node asks for {} KiB", most >> 10, wanted >> 10);
    match most >= wanted {
        true => Verdict::ok(found),
        false if host::may(machine, Capability::NetAdmin) == Some(true) => {
            Verdict::ok(format!("{found}: CAP_NET_ADMIN lets it have them"))
        }
        false => Verdict::warn(
            format!("{found}: bursts are lost"),
            format!("sysctl -w net.core.rmem_max={wanted}"),
        ),
    }
}
