//! Load from a port of DPDK instead of the kernel's sockets: feature `dpdk`.

use core::time::Duration;

use hovercraft_client::Options;

use crate::cli::{DpdkPlan, Plan};
use crate::connections::{Connections, ConnectionsError};

/// The only connection of the only thread.
///
/// # Errors
///
/// [`ConnectionsError`]: what DPDK refused, with what to do; or that nobody answers.
#[cfg(feature = "dpdk")]
pub(crate) fn connect(
    plan: &Plan,
    wanted: &DpdkPlan,
    options: &Options,
    tick: Duration,
) -> Result<Connections, ConnectionsError> {
    use dataplane::dpdk::{Dpdk, DpdkConfig, Eal, choose_port};

    let told = |error: &dyn core::fmt::Display| ConnectionsError::Dpdk(error.to_string());
    let eal = Eal::start(&wanted.eal).map_err(|error| told(&error))?;
    let device = choose_port(&eal, &wanted.port).map_err(|error| told(&error))?;
    let group = &plan.cluster.groups[plan.group];
    let network = group.node.dpdk;
    let mut config = DpdkConfig {
        gateway: network.gateway,
        vlan: network.vlan,
        hold_for: group.limits.packet_life / 2,
        clock: options.clock,
        ..DpdkConfig::new(wanted.from, network.prefix, device)
    };
    config.port.mtu = network.mtu;
    config.port.rx_descriptors = network.receive_descriptors;
    config.port.tx_descriptors = network.transmit_descriptors;
    config.port.tx_queues = 1;
    let queue = Dpdk::open(&eal, config).map_err(|error| told(&error))?;
    // After the port, whose keeper is a thread that shall not share the core.
    if let [core] = eal.lcores()[0].cpus[..] {
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(core as usize);
        // A thread that may run anywhere is only less exact.
        let _ = rustix::thread::sched_setaffinity(None, &cores);
    }
    Connections::on(Box::new(queue), wanted.from, &plan.cluster, options, tick)
}

/// The same in a program without DPDK.
///
/// # Errors
///
/// Always: how to get one that has it.
#[cfg(not(feature = "dpdk"))]
pub(crate) fn connect(
    _plan: &Plan,
    _wanted: &DpdkPlan,
    _options: &Options,
    _tick: Duration,
) -> Result<Connections, ConnectionsError> {
    let how = "this program was built without DPDK: build it with `--features dpdk` (on Debian first `apt-get install \
               dpdk libdpdk-dev libclang-dev clang`), or leave --dpdk out";
    Err(ConnectionsError::Dpdk(how.to_owned()))
}
