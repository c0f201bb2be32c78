//! A node's back end on DPDK: the EAL started, the port opened, each thread's core and queue.
//!
//! The first core of the EAL's `-l` or `--lcores` is the network thread's, the second the application thread's; both have a
//! transmit queue, as in the paper (section 6), where the device has two.

use dataplane::capture::{Capture, CaptureConfig};
use dataplane::clock::Clock;
use dataplane::dpdk::{Dpdk, DpdkConfig, DpdkError, Eal, EalError, Lcore, choose_port};
use dataplane::net::MacAddress;
use hovercraft_config::{Idle, Mode};
use thiserror::Error;

use crate::node::Ends;
use crate::plan::{DpdkOptions, Plan};

/// A back end that is open, and what keeps it so.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) ends: Ends<Dpdk>,
    /// Of the threads, network first.
    pub(crate) cores: Vec<Option<usize>>,
    /// What the operator should hear: release, device, queues.
    pub(crate) description: String,
    /// Writes what the queues copy.
    pub(crate) capture: Option<Capture>,
}

/// Why a node cannot be on DPDK.
#[derive(Debug, Error)]
pub enum DpdkStartError {
    /// The EAL's arguments, or what this machine has for them.
    #[error("--dpdk: {0}")]
    Eal(#[from] EalError),
    /// The port.
    #[error("--dpdk: {0}")]
    Queue(#[from] DpdkError),
    /// The application thread's queue.
    #[error("--dpdk: cannot make the application thread's queue: {0}")]
    Second(std::io::Error),
    /// The capture.
    #[error("--pcap: {0}")]
    Capture(#[from] dataplane::capture::CaptureError),
    /// Two threads and one core.
    #[error(
        "--dpdk: threads: split runs two threads, and the EAL was given one core; give it two, such as `-l {0},{next}`, \
         or write `threads: inline` in cluster.ron",
        next = .0 + 1
    )]
    OneCore(u32),
}

/// Starts the EAL and opens the port for the member of the plan.
pub(crate) fn open(plan: &Plan, options: &DpdkOptions) -> Result<Opened, DpdkStartError> {
    // Before EAL, whose devices may gather frames from its start on: none of them came before the clock's zero.
    let clock = Clock::start();
    let eal = Eal::start(&options.eal)?;
    if let [Lcore { id, .. }] = eal.lcores()
        && !plan.is_inline()
    {
        return Err(DpdkStartError::OneCore(*id));
    }
    let mut network = Dpdk::open(&eal, config(plan, choose_port(&eal, &options.port)?, clock))?;
    let mut application = network.transmit_queue().map_err(DpdkStartError::Second)?;
    let mut capture = None;
    if let Some((file, bytes_max)) = &options.pcap {
        let told = CaptureConfig::new(file, &options.port);
        let told = CaptureConfig { bytes_max: *bytes_max, ..told };
        let (started, taps) = Capture::start(told, clock, 2)?;
        for (queue, tap) in [&mut network, &mut application].into_iter().zip(taps) {
            queue.capture(tap);
        }
        capture = Some(started);
    }
    let description = format!("{}; {}", eal.version(), network.description());
    // Whoever may be asleep is woken by the other half; a thread that polls needs no waking.
    let sleeps = plan.group.node.idle == Idle::Sleep;
    let wakers = [&network, &application].map(|queue| sleeps.then(|| queue.waker()));
    let [wake_network, wake_application] = wakers;
    let cores = eal.lcores().iter().take(2).map(core).collect();
    Ok(Opened {
        ends: Ends { network, application, wake_network, wake_application },
        cores,
        description,
        capture,
    })
}

/// The one processor that a logical core runs on; none where it may run on several.
pub(crate) fn core(lcore: &Lcore) -> Option<usize> {
    match lcore.cpus.as_slice() {
        &[one] => usize::try_from(one).ok(),
        _ => None,
    }
}

/// What the port of the plan's member is opened with.
pub(crate) fn config(
    plan: &Plan,
    device: dataplane::dpdk::port::Device,
    clock: Clock,
) -> DpdkConfig {
    let network = plan.group.node.dpdk;
    let multicast = plan.group.multicast.filter(|_| plan.group.mode == Mode::Hovercraft);
    let mut config = DpdkConfig {
        gateway: network.gateway,
        vlan: network.vlan,
        groups: multicast.into_iter().collect(),
        mac: None::<MacAddress>,
        // The other half is for the way (HC3c, HC8).
        hold_for: plan.group.limits.packet_life / 2,
        clock,
        ..DpdkConfig::new(plan.member.data, network.prefix, device)
    };
    config.port.mtu = network.mtu;
    config.port.rx_descriptors = network.receive_descriptors;
    config.port.tx_descriptors = network.transmit_descriptors;
    config
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use dataplane::dpdk::port::Device;

    use super::*;
    use crate::testing::cluster;

    /// HC3c, HC8: what waited for longer at its sender would be older than its receiver can know.
    #[test]
    fn packets_wait_for_a_neighbour_no_longer_than_the_limits_allow() {
        for (limits, hold_for) in [("", 50), ("limits: (packet_life: \"30ms\"),", 15)] {
            let plan = Plan::new(cluster(3, limits), None, Some(1)).unwrap();
            let device = Device::Named("net_null0".to_owned());
            let config = config(&plan, device, Clock::start());
            assert_eq!(config.hold_for, Duration::from_millis(hold_for));
        }
    }
}
