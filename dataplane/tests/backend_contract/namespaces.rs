//! Kernel UDP between network namespaces on one bridge, with real IP multicast.
//!
//! Namespaces are entered by threads of this process and held by open files; they have no names, so nothing is left
//! behind when the process ends, however it ends. The bridge stands in an outer namespace, so that the host's network
//! and firewall are neither touched nor in the way.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;

use dataplane::clock::Clock;

use super::ffi;
use super::labs::{Inbox, Lab, Peer, at, open_udp};

/// A network namespace.
pub(crate) struct Namespace(File);

impl Namespace {
    /// A new one, its loopback interface up.
    pub(crate) fn new() -> io::Result<Self> {
        let made = || {
            ffi::leave_network()?;
            run("link set lo up")?;
            File::open("/proc/thread-self/ns/net").map(Self)
        };
        std::thread::spawn(made).join().map_err(|_| io::Error::other("the thread panicked"))?
    }

    /// Does `work` on a thread that is inside.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                ffi::enter_network(self.0.as_fd()).unwrap();
                work()
            });
            entered.join().unwrap()
        })
    }

    /// `ip` with these arguments, inside.
    pub(crate) fn ip(&self, arguments: &str) -> io::Result<()> {
        self.inside(|| run(arguments))
    }

    /// The same, in which the kernel says nothing of its own on new interfaces.
    #[cfg(feature = "dpdk")]
    pub(crate) fn without_ipv6() -> io::Result<Self> {
        let namespace = Self::new()?;
        let quiet = || std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        match namespace.inside(quiet) {
            // A kernel without IPv6 is quiet.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(namespace),
        }
    }

    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

fn run(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip").args(arguments.split_whitespace()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {arguments}: {}", said.trim())))
}

/// Hosts on a bridge; each peer is alone on one.
pub(crate) struct Bridged {
    clock: Clock,
    hosts: Vec<Namespace>,
    /// Kept for its bridge.
    _outer: Namespace,
    next_host: usize,
    groups: u8,
}

impl Bridged {
    /// So many hosts, 10.77.0.1 and on.
    pub(crate) fn new(hosts: u8) -> io::Result<Self> {
        let outer = Namespace::new()?;
        // Without a querier a snooping bridge forgets members (lab notes): flooding is enough here.
        outer.ip("link add bridge type bridge mcast_snooping 0")?;
        outer.ip("link set bridge up")?;
        let hosts =
            (1..=hosts).map(|number| join_bridge(&outer, number)).collect::<io::Result<_>>()?;
        Ok(Self { clock: Clock::start(), hosts, _outer: outer, next_host: 0, groups: 0 })
    }

    pub(crate) fn host(&self, place: usize) -> &Namespace {
        &self.hosts[place]
    }
}

/// A veth pair: `net` in the host, its other end on the bridge.
pub(crate) fn connect(outer: &Namespace, host: &Namespace, number: u8) -> io::Result<()> {
    let path = host.path();
    outer.ip(&format!("link add port{number} type veth peer name net netns {path}"))?;
    outer.ip(&format!("link set port{number} master bridge up"))
}

fn join_bridge(outer: &Namespace, number: u8) -> io::Result<Namespace> {
    let host = Namespace::new()?;
    connect(outer, &host, number)?;
    host.ip(&format!("address add 10.77.0.{number}/24 dev net"))?;
    host.ip("link set net up")?;
    Ok(host)
}

impl Lab for Bridged {
    fn name(&self) -> &'static str {
        "udp between namespaces"
    }

    fn open(&mut self, groups: &[SocketAddr], inbox: Inbox) -> Peer {
        let place = self.next_host;
        self.next_host += 1;
        let number = u8::try_from(place + 1).unwrap();
        let own = Ipv4Addr::new(10, 77, 0, number);
        self.hosts[place].inside(|| open_udp(own, groups, inbox, self.clock))
    }

    fn group(&mut self) -> SocketAddr {
        self.groups += 1;
        at(Ipv4Addr::new(239, 77, 0, self.groups), 8_000)
    }

    fn nobody(&self) -> SocketAddr {
        at(Ipv4Addr::new(10, 77, 0, 200), 8_000)
    }

    /// Packets cross the bridge in another context than the sender's only when it is busy.
    fn pass_time(&mut self) {
        std::thread::sleep(Duration::from_micros(200));
    }

    fn close(&mut self, peers: Vec<Peer>) {
        drop(peers);
        self.next_host = 0;
    }
}
