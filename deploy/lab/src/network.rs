//! A network of its own for a lab: namespaces inside one outer namespace, or loopback addresses.
//!
//! ```text
//!   outer namespace:   bridge hc0, no addresses, floods multicast
//!                       | v1      | v2      | v3         | v0          one veth pair each
//!   inner namespaces:  eth0      eth0      eth0         eth0
//!                      10.71.0.1 10.71.0.2 10.71.0.3    10.71.0.254
//!                      node 1    node 2    node 3       clients
//! ```
//!
//! Where nodes are on DPDK their `eth0` has no address, so that the kernel answers nothing in their place; they are
//! administered over a second bridge, `hc1`, and interfaces `adm0` with 10.72.0.0/24. Where they are on a switch that is a
//! process (`hovercraft-switch`), that one stands in the outer namespace, with 10.72.0.253 on `hc1`; there is no `hc0`, nodes
//! have no `eth0`, and the clients' ends at the switch.
//!
//! One process, the *holder*, makes all namespaces and keeps them open; `/proc/HOLDER/fd/N` is the way into each. Nothing
//! is mounted or named, so when the holder ends, and the processes inside have ended, the kernel takes everything away.
//!
//! Invariants:
//! 1. Nothing of the host's network is touched: every command runs inside a namespace that the holder made.
//! 2. The bridge does not snoop: where nobody queries, a snooping bridge floods first and stops after seconds.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::ffi;
use crate::process::Identity;

/// Nodes have the host numbers 1 to 15; clients have this one.
const CLIENT_HOST: u8 = 254;

/// The switch has this one, for administration.
const SWITCH_HOST: u8 = 253;

/// The outer namespace's end of the clients' interface.
pub(crate) const UPLINK: &str = "v0";

/// UDP port of the data plane, and of the group.
const DATA_PORT: u16 = 8_000;

/// UDP port for what is measured beside the data plane.
const BESIDE_PORT: u16 = 7_007;

/// TCP port for administration.
const ADMIN_PORT: u16 = 9_000;

/// Subcommand of our own program that becomes the holder.
pub const HOLD: &str = "hold-namespaces";

/// What the nodes of a lab are connected by.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// A namespace each, on one bridge.
    Namespaces,
    /// The same, the nodes on DPDK.
    #[serde(rename = "af_packet")]
    AfPacket,
    /// A namespace each, the nodes on DPDK at a switch that is a process.
    Vhost,
    /// Nodes and client in one process on DPDK ([`crate::inproc`]), administered on loopback addresses `127.71.N.x`.
    Inproc {
        /// Which of the loopback networks.
        number: u8,
    },
    /// Loopback addresses `127.71.N.x` of the host.
    Loopback {
        /// Which of the loopback networks.
        number: u8,
    },
}

/// The namespaces of a lab.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Namespaces {
    /// Who keeps them.
    pub holder: Identity,
    /// The holder's descriptors: the outer one, the clients', then the nodes' by host number.
    descriptors: Vec<i32>,
}

impl Network {
    /// Address of the host with this number: 1 to 15 for nodes.
    #[must_use]
    fn host(self, host: u8) -> IpAddr {
        IpAddr::V4(match self {
            Self::Loopback { number } => Ipv4Addr::new(127, 71, number, host),
            _ => Ipv4Addr::new(10, 71, 0, host),
        })
    }

    /// Address over which the host with this number is administered.
    fn admin_host(self, host: u8) -> IpAddr {
        match self {
            Self::AfPacket | Self::Vhost => IpAddr::V4(Ipv4Addr::new(10, 72, 0, host)),
            Self::Inproc { number } => Self::Loopback { number }.host(host),
            Self::Namespaces | Self::Loopback { .. } => self.host(host),
        }
    }

    /// Whether each node has a namespace.
    #[must_use]
    pub fn has_namespaces(self) -> bool {
        !matches!(self, Self::Loopback { .. } | Self::Inproc { .. })
    }

    /// Whether the nodes are on DPDK.
    #[must_use]
    pub fn is_dpdk(self) -> bool {
        matches!(self, Self::AfPacket | Self::Vhost | Self::Inproc { .. })
    }

    /// Whether all nodes are one process.
    #[must_use]
    pub fn is_one_process(self) -> bool {
        matches!(self, Self::Inproc { .. })
    }

    /// Where a client sends from, where it is no matter of the kernel's.
    #[must_use]
    pub fn client(self) -> IpAddr {
        self.host(CLIENT_HOST)
    }

    /// In a word, for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Namespaces => "udp",
            Self::AfPacket => "af_packet",
            Self::Vhost => "vhost",
            Self::Inproc { .. } => "inproc",
            Self::Loopback { .. } => "loopback",
        }
    }

    /// Where a node has its data plane.
    #[must_use]
    pub fn data(self, node: u8) -> SocketAddr {
        SocketAddr::new(self.host(node), DATA_PORT)
    }

    /// Where something else can be beside a node's data plane.
    #[must_use]
    pub fn beside(self, node: u8) -> SocketAddr {
        SocketAddr::new(self.host(node), BESIDE_PORT)
    }

    /// Where a node is administered.
    #[must_use]
    pub fn admin(self, node: u8) -> SocketAddr {
        SocketAddr::new(self.admin_host(node), ADMIN_PORT)
    }

    /// Where the switch is administered.
    #[must_use]
    pub fn switch_admin(self) -> SocketAddr {
        self.admin(SWITCH_HOST)
    }

    /// The group's address; loopback networks share the host's, so each has its own.
    #[must_use]
    pub fn multicast(self) -> SocketAddr {
        let number = match self {
            Self::Loopback { number } => number,
            _ => 1,
        };
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 71, number)), DATA_PORT)
    }

    /// One line for people.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Namespaces => {
                "kernel UDP, a network namespace for each node on one bridge (10.71.0.0/24), real IP multicast"
                    .to_owned()
            }
            Self::AfPacket => {
                "nodes on DPDK (net_af_packet, no hugepages), each with a veth in a network namespace of its own on one bridge \
                 (10.71.0.0/24), real IP multicast; clients on kernel UDP"
                    .to_owned()
            }
            Self::Vhost => {
                "nodes on DPDK (net_virtio_user, no hugepages) at a switch that is a process (net_vhost), each in a network \
                 namespace of its own (10.71.0.0/24), real IP multicast; clients on kernel UDP, over an uplink of the switch"
                    .to_owned()
            }
            Self::Inproc { .. } => {
                "nodes and client on DPDK (net_ring, no hugepages) in one process, stepped in turn by one thread, on a wire that \
                 copies; a killed node is one that is no longer stepped, its memory dropped"
                    .to_owned()
            }
            Self::Loopback { number } => format!(
                "kernel UDP, loopback addresses 127.71.{number}.x of this host, with IP multicast over the loopback interface"
            ),
        }
    }
}

/// Whether this machine lets us make namespaces.
///
/// # Errors
///
/// The reason why not.
pub fn namespaces_possible() -> anyhow::Result<()> {
    ensure!(ffi::is_root(), "network namespaces need root");
    let made = std::thread::spawn(ffi::new_network).join();
    let made = made.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
    made.map(drop).context("this machine lets root make no network namespaces")?;
    let version = Command::new("ip").arg("-V").stdin(Stdio::null()).output();
    version.map(drop).context("the program `ip` is missing (Debian package iproute2)")
}

/// What the holder does: makes `count` namespaces, prints its descriptors of them in one line, and waits to be ended.
///
/// # Errors
///
/// When a namespace cannot be made or nobody reads the line.
pub fn hold(count: usize) -> anyhow::Result<()> {
    use std::os::fd::AsRawFd as _;
    let made: io::Result<Vec<File>> = (0..count).map(|_| ffi::new_network()).collect();
    let networks = made.context("cannot make a network namespace")?;
    let line: Vec<String> =
        networks.iter().map(|network| network.as_raw_fd().to_string()).collect();
    let mut out = io::stdout();
    writeln!(out, "{}", line.join(" "))?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}

impl Namespaces {
    /// Starts the holder (`program`, with [`HOLD`]) and connects the namespaces of `nodes` nodes and of clients.
    ///
    /// `mark` is set in the holder's environment, and its complaints go to `log`; with `ends_with_us` it does not outlive
    /// the calling thread.
    ///
    /// # Errors
    ///
    /// When the holder or `ip` fails; the holder has been ended then.
    pub fn create(
        program: &Path,
        nodes: u8,
        network: Network,
        mark: (&str, &OsStr),
        log: File,
        ends_with_us: bool,
    ) -> anyhow::Result<(Self, Child)> {
        let mut command = Command::new(program);
        command.args([HOLD, &(usize::from(nodes) + 2).to_string()]).env(mark.0, mark.1);
        crate::state::detach(&mut command);
        command.stdout(Stdio::piped()).stderr(log);
        ffi::prepare(&mut command, None, ends_with_us);
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let made = Self::ask(&mut child).and_then(|namespaces| {
            namespaces.connect(nodes, network)?;
            Ok(namespaces)
        });
        match made {
            Ok(namespaces) => Ok((namespaces, child)),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    fn ask(child: &mut Child) -> anyhow::Result<Self> {
        let out = child.stdout.take().context("the holder has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let descriptors: Result<Vec<i32>, _> = line.split_whitespace().map(str::parse).collect();
        let descriptors = descriptors.ok().filter(|all| !all.is_empty());
        let descriptors = descriptors.context("the holder of the namespaces did not start")?;
        Ok(Self { holder: Identity::of(child.id())?, descriptors })
    }

    /// Bridges and veth pairs, addresses and routes.
    fn connect(&self, nodes: u8, network: Network) -> anyhow::Result<()> {
        let hosts =
            || std::iter::once((0, CLIENT_HOST)).chain((1..=nodes).map(|node| (node, node)));
        let (apart, has_switch) = (network.is_dpdk(), network == Network::Vhost);
        let bridges = [("hc0", "v", "eth0"), ("hc1", "a", "adm0")];
        let mut outer = String::new();
        for (bridge, ours, theirs) in &bridges[..1 + usize::from(apart)] {
            // Of the data plane's network a switch that is a process has the clients' end only.
            let switched = has_switch && *bridge == "hc0";
            if !switched {
                let _ = writeln!(outer, "link add {bridge} type bridge mcast_snooping 0");
                let _ = writeln!(outer, "link set {bridge} up");
            }
            for (place, _) in hosts().filter(|&(place, _)| !switched || place == 0) {
                let inner = self.path(usize::from(place) + 1)?;
                let pair = format!("link add {ours}{place} type veth peer name {theirs}");
                let end = if switched { "addrgenmode none" } else { &*format!("master {bridge}") };
                let _ = writeln!(outer, "{pair} netns {inner}\nlink set {ours}{place} {end} up");
            }
        }
        if has_switch {
            let admin = network.switch_admin().ip();
            let _ = writeln!(outer, "link set lo up\naddr add {admin}/24 dev hc1");
        }
        self.ip(0, &outer)?;
        for (place, host) in hosts() {
            let (data, admin) = (network.host(host), network.admin_host(host));
            let mut inner = String::from("link set lo up\n");
            if apart {
                let _ = writeln!(inner, "addr add {admin}/24 dev adm0\nlink set adm0 up");
            }
            if apart && host != CLIENT_HOST {
                // Nothing but the node speaks there, IPv6 neither.
                let up = if has_switch { "" } else { "link set eth0 addrgenmode none up\n" };
                inner.push_str(up);
            } else {
                let _ = writeln!(inner, "addr add {data}/24 dev eth0\nlink set eth0 up");
                inner.push_str("route add 224.0.0.0/4 dev eth0\n");
            }
            self.ip(usize::from(place) + 1, &inner)?;
        }
        if apart {
            // A packet with a checksum yet to be made would reach the node so, for there is no card that makes it.
            self.run_in(1, Command::new("ethtool").args(["-K", "eth0", "tx", "off"]), "")?;
        }
        Ok(())
    }

    /// Runs `ip` with these commands in the namespace of this place.
    fn ip(&self, place: usize, commands: &str) -> anyhow::Result<()> {
        self.run_in(place, Command::new("ip").args(["-batch", "-"]), commands)
    }

    fn run_in(&self, place: usize, command: &mut Command, commands: &str) -> anyhow::Result<()> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        ffi::prepare(command, Some(self.open(place)?), true);
        let mut child = command.spawn().with_context(|| format!("cannot run `{name}`"))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(commands.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("{name} refused:\n{commands}{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// A handle to a node's namespace.
    ///
    /// # Errors
    ///
    /// When the holder has ended.
    pub fn node(&self, node: u8) -> anyhow::Result<File> {
        self.open(usize::from(node) + 1)
    }

    /// A handle to the outer namespace.
    ///
    /// # Errors
    ///
    /// When the holder has ended.
    pub fn outer(&self) -> anyhow::Result<File> {
        self.open(0)
    }

    /// A handle to the clients' namespace.
    ///
    /// # Errors
    ///
    /// When the holder has ended.
    pub fn clients(&self) -> anyhow::Result<File> {
        self.open(1)
    }

    fn open(&self, place: usize) -> anyhow::Result<File> {
        ensure!(self.holder.is_alive(), "the lab's network is gone; take it down and up again");
        let path = self.path(place)?;
        File::open(&path).with_context(|| format!("cannot open the namespace {path}"))
    }

    fn path(&self, place: usize) -> anyhow::Result<String> {
        let descriptor = self.descriptors.get(place).context("no such node")?;
        Ok(format!("/proc/{}/fd/{descriptor}", self.holder.pid))
    }
}
