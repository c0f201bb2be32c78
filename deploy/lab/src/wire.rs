//! What the nodes' packets go over: chosen by hand, or the best that this machine has; and what a node is told of it.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hovercraft_config::Idle;

use crate::cluster::Plan;
use crate::ffi;
use crate::inproc::STEP_NODES;
use crate::network::{self, Network, UPLINK};

/// Wires that can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wire {
    /// The kernel's UDP.
    Udp,
    /// DPDK on a veth for each node (`net_af_packet`), beside clients on the kernel's UDP.
    AfPacket,
    /// DPDK at a switch that is a process, with an uplink to clients on the kernel's UDP.
    Vhost,
    /// DPDK in one process that steps nodes and client in turn.
    Inproc,
}

/// Memory of a node on DPDK, in MiB: its packets. No hugepages: a killed node would leave them behind.
const MEMORY: &str = "256";

/// The same, of the switch.
const SWITCH_MEMORY: &str = "256";

/// The same, of the process of all nodes.
#[cfg(feature = "dpdk")]
const MEMORY_OF_ALL: &str = "512";

/// Longest path of a socket, in bytes (`sockaddr_un`, with its zero).
const SOCKET_MAX: usize = 107;

/// The network for a lab, and what should be said about why it is not a better one.
///
/// # Errors
///
/// When a wire was asked for that this machine has not got.
pub fn choose(plan: &Plan) -> anyhow::Result<(Network, Vec<String>)> {
    // Any number serves; labs of other names and users should rarely have the same.
    let bytes = plan.name.bytes().chain(ffi::user().to_le_bytes());
    let number = bytes.fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)).max(1);
    let loopback = Network::Loopback { number };
    if plan.loopback {
        let is_kernel = matches!(plan.wire, None | Some(Wire::Udp));
        ensure!(is_kernel, "DPDK has no way to loopback addresses");
        return Ok((loopback, Vec::new()));
    }
    if plan.wire == Some(Wire::Inproc) {
        inproc_possible(&plan.lab_program)?;
        return Ok((Network::Inproc { number }, Vec::new()));
    }
    let namespaces = network::namespaces_possible();
    let wire = match (plan.wire, namespaces) {
        (Some(Wire::AfPacket), namespaces) => {
            namespaces?;
            dpdk_possible(&plan.node_program)?;
            return Ok((Network::AfPacket, Vec::new()));
        }
        (Some(Wire::Vhost), namespaces) => {
            namespaces?;
            dpdk_possible(&plan.node_program)?;
            dpdk_possible(&plan.switch_program)?;
            return Ok((Network::Vhost, Vec::new()));
        }
        (_, Err(why)) => {
            let fallback = "the nodes are processes on loopback addresses instead";
            return Ok((loopback, vec![format!("{why:#}: {fallback}")]));
        }
        (wire, Ok(())) => wire,
    };
    if wire == Some(Wire::Udp) {
        return Ok((Network::Namespaces, Vec::new()));
    }
    Ok(match dpdk_possible(&plan.node_program) {
        Ok(()) => (Network::AfPacket, Vec::new()),
        Err(why) => (Network::Namespaces, vec![format!("kernel UDP, not DPDK: {why:#}")]),
    })
}

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time between two looks at a process that starts or ends.
pub(crate) const LOOK: Duration = Duration::from_millis(1);

/// Whether this program of ours can step nodes on DPDK.
fn inproc_possible(program: &Path) -> anyhow::Result<()> {
    ask(program, &[STEP_NODES])
}

/// Whether this program, a node's or the switch's, can be on DPDK beside clients in the kernel.
fn dpdk_possible(program: &Path) -> anyhow::Result<()> {
    ask(program, &["--dpdk", "--", "--version"])?;
    let version = Command::new("ethtool").arg("--version").stdin(Stdio::null()).output();
    version.map(drop).context("the program `ethtool` is missing (Debian package ethtool)")
}

/// Runs a program that says whether it can do something; the reason if it cannot.
fn ask(program: &Path, words: &[&str]) -> anyhow::Result<()> {
    let mut asked = Command::new(program);
    asked.args(words).stdin(Stdio::null());
    let asked = asked.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut asked = asked.with_context(|| format!("cannot run {}", program.display()))?;
    let deadline = Instant::now() + PATIENCE;
    while asked.try_wait()?.is_none() {
        if Instant::now() > deadline {
            let _ = asked.kill();
            let _ = asked.wait();
            bail!("{} {} does not end", program.display(), words.join(" "));
        }
        thread::sleep(LOOK);
    }
    let asked = asked.wait_with_output()?;
    if !asked.status.success() {
        let said = String::from_utf8_lossy(&asked.stderr);
        let first = said.lines().next();
        bail!("{}", first.unwrap_or("the program says nothing of DPDK"));
    }
    Ok(())
}

impl Network {
    /// What stands before `--` on a node's command line.
    #[must_use]
    pub fn back_end(self, threads: &str) -> Vec<String> {
        if !self.is_dpdk() {
            return vec!["--udp".to_owned()];
        }
        let lcores = if threads == "inline" { 1 } else { 2 };
        let mut words = dpdk(lcores, MEMORY);
        if self == Self::AfPacket {
            words.extend(["--vdev", "net_af_packet0,iface=eth0"].map(str::to_owned));
        }
        words
    }

    /// What stands behind `--` on a node's command line, beside configuration and number; sockets are in `directory`.
    ///
    /// # Errors
    ///
    /// When the path of a socket is too long.
    pub fn node_arguments(self, directory: &Path, node: u8) -> anyhow::Result<Vec<String>> {
        if self != Self::Vhost {
            return Ok(Vec::new());
        }
        let (socket, IpAddr::V4(address)) = (socket(directory, node)?, self.data(node).ip()) else {
            bail!("nodes on vhost have IPv4 addresses");
        };
        let [a, b, c, d] = address.octets();
        let mac = format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}");
        let device = format!("net_virtio_user0,path={socket},queues=1,mac={mac}");
        Ok(vec!["--port".to_owned(), device])
    }

    /// The command line of the switch: a port for each node, and the clients' uplink.
    ///
    /// # Errors
    ///
    /// When the path of a socket is too long.
    pub fn switch_arguments(
        self,
        directory: &Path,
        nodes: impl Iterator<Item = u8>,
        idle: Idle,
    ) -> anyhow::Result<Vec<String>> {
        let mut words = dpdk(1, SWITCH_MEMORY);
        let uplink = format!("net_af_packet0,iface={UPLINK}");
        let admin = self.switch_admin().to_string();
        let idle = match idle {
            Idle::Spin => "spin",
            Idle::Yield => "yield",
            Idle::Sleep => "sleep",
            Idle::Auto => "auto",
        };
        let own = ["--vdev", &uplink, "--", "--admin", &admin, "--idle", idle];
        words.extend(own.map(str::to_owned));
        words.extend(["--port", "net_af_packet0"].map(str::to_owned));
        for node in nodes {
            let device = format!("net_vhost{node},iface={},queues=1", socket(directory, node)?);
            words.extend(["--port".to_owned(), device]);
        }
        Ok(words)
    }
}

/// The EAL's arguments of the process of all nodes.
#[cfg(feature = "dpdk")]
pub(crate) fn eal_of_inproc() -> Vec<String> {
    eal(1, MEMORY_OF_ALL)
}

/// The choice of DPDK on a command line, with its own arguments.
fn dpdk(lcores: u8, memory: &str) -> Vec<String> {
    let choice = ["--dpdk".to_owned()];
    choice.into_iter().chain(eal(lcores, memory)).collect()
}

/// DPDK's own arguments, for threads that may run on any core: several processes share them here, which is no worse than a
/// core for each.
fn eal(lcores: u8, memory: &str) -> Vec<String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let each = (0..lcores).map(|lcore| format!("{lcore}@(0-{})", cores - 1));
    let lcores = each.collect::<Vec<_>>().join(",");
    let words = ["--lcores", &lcores, "--no-huge", "-m", memory, "--no-pci"];
    words.into_iter().chain(["--no-shconf", "--no-telemetry"]).map(str::to_owned).collect()
}

/// Where a node and the switch meet.
fn socket(directory: &Path, node: u8) -> anyhow::Result<String> {
    check_socket(&directory.join(format!("switch-{node}.sock")))
}

/// The path of a socket, if it can be one.
///
/// # Errors
///
/// When it is too long.
pub(crate) fn check_socket(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().filter(|path| path.len() <= SOCKET_MAX && !path.contains(','));
    text.map(str::to_owned).with_context(|| {
        let path = path.display();
        format!("{path}: a socket's path takes {SOCKET_MAX} bytes and no comma; set XDG_RUNTIME_DIR, or choose a shorter --name")
    })
}
