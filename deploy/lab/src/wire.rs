//! What the nodes' packets go over: chosen by hand, or the best that this machine has; and what a node is told of it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::cluster::Plan;
use crate::ffi;
use crate::network::{self, Network};

/// Wires that can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wire {
    /// The kernel's UDP.
    Udp,
    /// DPDK on a veth for each node (`net_af_packet`), beside clients on the kernel's UDP.
    AfPacket,
}

/// Memory of a node on DPDK, in MiB: its packets. No hugepages: a killed node would leave them behind.
const MEMORY: &str = "256";

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
        ensure!(plan.wire != Some(Wire::AfPacket), "DPDK has no way to loopback addresses");
        return Ok((loopback, Vec::new()));
    }
    let namespaces = network::namespaces_possible();
    let dpdk = namespaces.and_then(|()| match plan.wire {
        Some(Wire::Udp) => Ok(false),
        Some(Wire::AfPacket) => dpdk_possible(&plan.node_program).map(|()| true),
        None => Ok(true),
    });
    match (dpdk, plan.wire) {
        (Ok(false), _) => Ok((Network::Namespaces, Vec::new())),
        (Ok(true), Some(_)) => Ok((Network::AfPacket, Vec::new())),
        (Ok(true), None) => match dpdk_possible(&plan.node_program) {
            Ok(()) => Ok((Network::AfPacket, Vec::new())),
            Err(why) => Ok((Network::Namespaces, vec![format!("kernel UDP, not DPDK: {why:#}")])),
        },
        (Err(why), Some(Wire::AfPacket)) => Err(why),
        (Err(why), _) => {
            let fallback = "the nodes are processes on loopback addresses instead";
            Ok((loopback, vec![format!("{why:#}: {fallback}")]))
        }
    }
}

/// Whether nodes of this program can be on DPDK beside clients in the kernel.
fn dpdk_possible(program: &Path) -> anyhow::Result<()> {
    let mut asked = Command::new(program);
    let asked = asked.args(["--dpdk", "--", "--version"]).stdin(Stdio::null()).output();
    let asked = asked.with_context(|| format!("cannot run {}", program.display()))?;
    if !asked.status.success() {
        let said = String::from_utf8_lossy(&asked.stderr);
        bail!("{}", said.lines().next().unwrap_or("the node's program knows no --dpdk"));
    }
    let version = Command::new("ethtool").arg("--version").stdin(Stdio::null()).output();
    version.map(drop).context("the program `ethtool` is missing (Debian package ethtool)")
}

impl Network {
    /// What stands before `--` on a node's command line.
    #[must_use]
    pub fn back_end(self, threads: &str) -> Vec<String> {
        if self != Self::AfPacket {
            return vec!["--udp".to_owned()];
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Several nodes share the cores: each thread may run on any, which is no worse here than a core for each.
        let anywhere = format!("@(0-{})", cores - 1);
        let lcores = match threads {
            "inline" => format!("0{anywhere}"),
            _ => format!("0{anywhere},1{anywhere}"),
        };
        let words = ["--dpdk", "--lcores", &lcores, "--no-huge", "-m", MEMORY, "--no-pci"];
        let own = ["--no-shconf", "--no-telemetry", "--vdev", "net_af_packet0,iface=eth0"];
        words.into_iter().chain(own).map(str::to_owned).collect()
    }
}
