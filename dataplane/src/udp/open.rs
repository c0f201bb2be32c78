//! Sockets made, bound, joined and sized.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::io;
use std::os::fd::AsFd;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::Udp;
use super::ffi::{self, Forced};
use super::receive::{Inbox, Receiver, moments};
use super::transmit::Outbox;
use super::waker::Waker;
use crate::backend::ArrivedAt;
use crate::clock::Clock;
use crate::error::BackendError;

/// Groups of one node, at most.
pub const GROUPS_MAX: usize = 32;

/// What to open.
#[derive(Clone, Debug)]
pub struct UdpConfig {
    /// The node's address: one IPv4 address of this machine; port 0 lets the system choose.
    pub own: SocketAddr,
    /// Multicast groups to join on the own address' interface; [`ArrivedAt::Group`] is the place in this list. At most
    /// [`GROUPS_MAX`].
    pub groups: Vec<SocketAddr>,
    /// Wanted receive buffer of each socket, in bytes of kernel memory (a small packet takes some 750).
    pub receive_buffer: usize,
    /// Wanted send buffer, in bytes of kernel memory.
    pub send_buffer: usize,
    /// Routers that a multicast packet may cross (its TTL): 1 keeps it on the network segment.
    pub multicast_ttl: u8,
    /// The process' clock.
    pub clock: Clock,
}

/// Sizes of the socket buffers, in bytes of kernel memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BufferSizes {
    /// Of the smallest receive buffer.
    pub receive: usize,
    /// Of the send buffer.
    pub send: usize,
}

impl UdpConfig {
    /// No groups, buffers of 4 MiB, a clock of its own.
    #[must_use]
    pub fn new(own: SocketAddr) -> Self {
        Self {
            own,
            groups: Vec::new(),
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            multicast_ttl: 1,
            clock: Clock::start(),
        }
    }
}

pub(super) fn open(config: UdpConfig) -> Result<Udp, BackendError> {
    let own = own_address(config.own)?;
    if config.groups.len() > GROUPS_MAX {
        let cause = invalid("more groups than a node can join");
        return Err(refuse(config.own, "join the groups", "name at most 32")(cause));
    }
    // Before any socket is bound: nothing waits there yet (`not_before`, N1).
    let born = config.clock.now();
    let (socket, own_receives) = bind_own(own, &config)?;
    let interface = *own.ip();
    let own = local_address(&socket, config.own)?;
    let send = sized(&socket, Forced::Send, config.send_buffer, own)?;
    let second = socket.try_clone().map_err(refuse(own, "copy the socket", FILES))?;
    let mut smallest = own_receives;
    let mut receivers =
        vec![Receiver::new(second, ArrivedAt::Own, moments(born, 2 * own_receives))];
    for (place, &group) in (0_u8..).zip(&config.groups) {
        let (socket, receives) = join_group(group, interface, config.receive_buffer)?;
        smallest = smallest.min(receives);
        let moments = moments(born, 2 * receives);
        receivers.push(Receiver::new(socket, ArrivedAt::Group(place), moments));
    }
    Ok(Udp {
        own,
        clock: config.clock,
        socket,
        receivers,
        inbox: Inbox::new(),
        outbox: Outbox::new(),
        waker: Waker::new().map_err(refuse(own, "make an event counter", FILES))?,
        buffers: BufferSizes { receive: smallest, send },
    })
}

pub(super) fn transmit_queue(udp: &Udp) -> Result<Udp, BackendError> {
    Ok(Udp {
        own: udp.own,
        clock: udp.clock,
        socket: udp.socket.try_clone().map_err(refuse(udp.own, "copy the socket", FILES))?,
        receivers: Vec::new(),
        inbox: Inbox::new(),
        outbox: Outbox::new(),
        waker: Waker::new().map_err(refuse(udp.own, "make an event counter", FILES))?,
        buffers: udp.buffers,
    })
}

/// A socket on the node's own address that sends multicast through the same interface; with its receive buffer.
fn bind_own(own: SocketAddrV4, config: &UdpConfig) -> Result<(Socket, usize), BackendError> {
    let socket = new_socket(config.own)?;
    let receives = sized(&socket, Forced::Receive, config.receive_buffer, config.own)?;
    socket.bind(&own.into()).map_err(refuse(
        config.own,
        "bind a socket",
        "give a free port and an address that this machine has (see `ip address`)",
    ))?;
    let through = |operation| refuse(config.own, operation, INTERFACE);
    socket.set_multicast_if_v4(own.ip()).map_err(through("send multicast through it"))?;
    socket.set_multicast_loop_v4(true).map_err(through("loop multicast back"))?;
    let ttl = u32::from(config.multicast_ttl);
    socket.set_multicast_ttl_v4(ttl).map_err(through("set the multicast TTL"))?;
    Ok((socket, receives))
}

/// A socket that hears one group, and nothing else, on the interface that has an address; with its receive buffer.
fn join_group(
    group: SocketAddr,
    interface: Ipv4Addr,
    receive_buffer: usize,
) -> Result<(Socket, usize), BackendError> {
    const ADDRESS: &str = "give an IPv4 multicast address (224.0.0.0/4) and a port above 0";
    let group_v4 = match group {
        SocketAddr::V4(v4) if v4.ip().is_multicast() && v4.port() != 0 => v4,
        _ => return Err(refuse(group, "join the group", ADDRESS)(invalid("no multicast address"))),
    };
    let socket = new_socket(group)?;
    // Other members on this machine bind the same address; each gets its copy of every packet.
    let share = refuse(group, "share the group's address", "report this");
    socket.set_reuse_address(true).map_err(share)?;
    let receives = sized(&socket, Forced::Receive, receive_buffer, group)?;
    let free = "end the process that holds this port alone (see `ss -ulnp`)";
    socket.bind(&group.into()).map_err(refuse(group, "bind a socket", free))?;
    let only = refuse(group, "hear this group only", "a Linux kernel from 2.6.31 on is needed");
    socket.set_multicast_all_v4(false).map_err(only)?;
    let interface = InterfaceIndexOrAddress::Address(interface);
    let joined = socket.join_multicast_v4_n(group_v4.ip(), &interface);
    joined.map_err(refuse(group, "join the group", INTERFACE))?;
    Ok((socket, receives))
}

fn new_socket(address: SocketAddr) -> Result<Socket, BackendError> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP));
    let socket = socket.map_err(refuse(address, "make a socket", FILES))?;
    socket.set_nonblocking(true).map_err(refuse(address, "make a socket", FILES))?;
    Ok(socket)
}

/// Sizes a buffer, above the system's limit where we may; returns what it is now.
fn sized(
    socket: &Socket,
    which: Forced,
    bytes: usize,
    address: SocketAddr,
) -> Result<usize, BackendError> {
    let failed = || refuse(address, "size a socket buffer", "lower the configured size");
    if ffi::force_buffer(socket.as_fd(), which, bytes).is_err() {
        let plain = match which {
            Forced::Receive => socket.set_recv_buffer_size(bytes),
            Forced::Send => socket.set_send_buffer_size(bytes),
        };
        plain.map_err(failed())?;
    }
    let reported = match which {
        Forced::Receive => socket.recv_buffer_size(),
        Forced::Send => socket.send_buffer_size(),
    };
    // The kernel doubles what it is asked for, and reports the double (socket(7)).
    Ok(reported.map_err(failed())? / 2)
}

fn own_address(own: SocketAddr) -> Result<SocketAddrV4, BackendError> {
    match own {
        SocketAddr::V4(v4) if is_one_machine(*v4.ip()) => Ok(v4),
        _ => Err(refuse(own, "use this address", "give one IPv4 address of this machine")(
            invalid("not the address of one machine"),
        )),
    }
}

fn is_one_machine(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
}

fn local_address(socket: &Socket, wanted: SocketAddr) -> Result<SocketAddr, BackendError> {
    let failed = || refuse(wanted, "learn the socket's port", "report this");
    let local = socket.local_addr().map_err(failed())?;
    local.as_socket().ok_or_else(|| failed()(invalid("no IP address")))
}

const FILES: &str = "raise the limit of open files (`ulimit -n`)";
const INTERFACE: &str = "give an address that an interface which is up has (see `ip address`)";

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Turns the system's answer to `operation` on `address` into an error.
fn refuse(
    address: SocketAddr,
    operation: &'static str,
    remedy: &'static str,
) -> impl FnOnce(io::Error) -> BackendError {
    move |cause| BackendError { address, operation, cause, remedy }
}
