//! A port: one device, set up with a receive queue and a transmit queue for each thread that has one of its own.
//!
//! Invariants:
//! - P1. A queue is used by one thread at a time, by its type; while a port is away, queues receive nothing and take nothing.
//! - P2. A device that is removed, or whose peer died (`net_virtio_user`), is removed and brought back by a thread of its own,
//!   off the hot path, as often as it takes.
//!   What comes back is used only if it can do all that its queues were made for.
//! - P3. Offloads are asked for where the device has the capability, and nowhere else: other drivers send wrong checksums
//!   without a word.

#[allow(unsafe_code, reason = "calls DPDK; see its header")]
mod ffi;
mod gate;
mod keeper;
#[cfg(test)]
mod tests;
mod waiting;

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use thiserror::Error;

pub use ffi::{RxQueue, TxQueue};

use self::keeper::{Keeper, Shared};
use super::cable::Plug;
use super::eal::Eal;
use super::packet::Pool;

/// Which device a port stands on.
#[derive(Clone, Debug)]
pub enum Device {
    /// One that EAL found or was given (`--vdev`, `-a`), by its name (`0000:01:00.0`, `net_af_packet0`).
    Named(String),
    /// One to add after EAL's start, as behind `--vdev`: `net_virtio_user0,path=/run/switch/3,queues=1`. The way for a
    /// device whose peer may be absent at the start: it is tried again.
    Added(String),
    /// One on a cable.
    Plugged(Plug),
}

/// How a port is set up.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// The device.
    pub device: Device,
    /// Longest IPv4 packet, in bytes.
    pub mtu: u16,
    /// Receive descriptors.
    pub rx_descriptors: u16,
    /// Transmit descriptors of each queue.
    pub tx_descriptors: u16,
    /// Transmit queues wanted; a device that has fewer gives fewer.
    pub tx_queues: u16,
    /// Whether checksums are left to the device where it can.
    pub checksums: bool,
    /// Whether the device takes VLAN tags out, where it can.
    pub strip_vlan: bool,
    /// Ethernet addresses of the groups to hear.
    pub groups: Vec<[u8; 6]>,
    /// Whether all frames are let in, as a switch needs.
    pub promiscuous: bool,
    /// How long an added device is tried before it is an error.
    pub patience: Duration,
    /// Whether link and removal are watched by a thread; without it a lost device stays lost.
    pub is_watched: bool,
}

impl PortConfig {
    /// An MTU of 1,500 bytes, 1,024 descriptors each way, two transmit queues, checksums by the device, watched.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self {
            device,
            mtu: 1_500,
            rx_descriptors: 1_024,
            tx_descriptors: 1_024,
            tx_queues: 2,
            checksums: true,
            strip_vlan: false,
            groups: Vec::new(),
            promiscuous: false,
            patience: Duration::from_secs(10),
            is_watched: true,
        }
    }
}

/// What a device can do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "a device's list of abilities")]
pub struct Abilities {
    /// Its driver.
    pub driver: String,
    /// NUMA socket, where it has one.
    pub socket: Option<u32>,
    /// Longest MTU, in bytes.
    pub mtu_max: u16,
    /// Transmit queues.
    pub tx_queues_max: u16,
    /// Checks IPv4 header checksums of what it receives.
    pub receive_ipv4_checksum: bool,
    /// Checks UDP checksums of what it receives.
    pub receive_udp_checksum: bool,
    /// Takes VLAN tags out.
    pub strip_vlan: bool,
    /// Writes IPv4 header checksums.
    pub transmit_ipv4_checksum: bool,
    /// Writes UDP checksums.
    pub transmit_udp_checksum: bool,
    /// Sends a packet of several segments.
    pub multi_segments: bool,
    /// Tells when the link changes.
    pub link_interrupt: bool,
    /// Tells when it is removed.
    pub removal_interrupt: bool,
}

/// State of the link.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Link {
    /// Frames can pass.
    pub is_up: bool,
    /// Speed in megabits per second; `u32::MAX`: unknown.
    pub megabits: u32,
}

/// The driver's totals since the port was opened; virtual devices do not count everything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PortStats {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// Frames lost because the receive queue was full.
    pub missed: u64,
    /// Frames that came damaged.
    pub errors_in: u64,
    /// Frames that could not be sent.
    pub errors_out: u64,
    /// Frames lost because the pool was empty.
    pub no_buffer: u64,
}

impl PortStats {
    /// Sums of both.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            sent: self.sent + other.sent,
            missed: self.missed + other.missed,
            errors_in: self.errors_in + other.errors_in,
            errors_out: self.errors_out + other.errors_out,
            no_buffer: self.no_buffer + other.no_buffer,
        }
    }
}

/// What happened to a port since it was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PortHistory {
    /// Changes of the link that were seen.
    pub link_changes: u64,
    /// Times that the device, or its peer, was lost.
    pub losses: u64,
    /// Times that it was brought back.
    pub returns: u64,
    /// Times that it came back with less than its queues rely on (offloads, queues, its address), and was not taken.
    pub refusals: u64,
}

/// How frames to groups get in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hearing {
    /// The device filters the groups' addresses.
    Groups,
    /// All groups' frames come in, and are filtered in software.
    AllGroups,
    /// All frames come in, and are filtered in software.
    All,
    /// The device can be told none of it; virtual ones let everything in.
    Unasked,
}

/// A port was not opened: which device, what was asked of it, its answer, what to do.
#[derive(Debug, Error)]
#[error("{device}: cannot {operation}: {cause}; {remedy}")]
pub struct PortError {
    /// The device.
    pub device: String,
    /// What was asked.
    pub operation: &'static str,
    /// The answer.
    pub cause: io::Error,
    /// What to do.
    pub remedy: &'static str,
}

/// Names of the devices that are open in this process: a device has one owner (P1).
static OPEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A device that is ours until this is dropped.
#[derive(Debug)]
struct Claim(String);

impl Claim {
    fn lay(name: &str) -> Option<Self> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if open.iter().any(|other| other == name) {
            return None;
        }
        open.push(name.to_owned());
        Some(Self(name.to_owned()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|open| *open != self.0);
    }
}

/// A port that is open. Closed, and its device removed where it was added, when dropped; its queues then give nothing.
#[derive(Debug)]
pub struct Port {
    shared: Arc<Shared>,
    keeper: Option<Keeper>,
    abilities: Abilities,
    rx_descriptors: u16,
    tx_queues: u16,
    mac: [u8; 6],
    hearing: Hearing,
    /// Given up last.
    _claim: Claim,
}

/// The NUMA socket that a device is on, where EAL knows it already.
pub(super) fn socket(device: &Device) -> Option<u32> {
    ffi::find(device_name(device)).and_then(ffi::abilities).ok()?.socket
}

/// Names of the ports that EAL found or was given.
#[must_use]
pub fn names(_eal: &Eal) -> Vec<String> {
    ffi::names()
}

impl Port {
    /// Opens a port that receives into `pools[0]` and may be given packets of all `pools` to send; gives its queues.
    ///
    /// # Errors
    ///
    /// [`PortError`] says which step the device refused, and what to do.
    pub fn open(
        config: PortConfig,
        pools: Vec<Pool>,
    ) -> Result<(Self, RxQueue, Vec<TxQueue>), PortError> {
        let name = device_name(&config.device).to_owned();
        let refuse = |operation, remedy| {
            let device = name.clone();
            move |cause| PortError { device, operation, cause, remedy }
        };
        let in_use = || io::Error::from(io::ErrorKind::ResourceBusy);
        let claim = Claim::lay(&name).ok_or_else(in_use);
        let claim =
            claim.map_err(refuse("open it twice", "give each queue a device of its own"))?;
        if let Device::Added(line) = &config.device {
            let deadline = Instant::now() + config.patience;
            keeper::clear_path(line);
            retry(deadline, || ffi::attach(line)).map_err(refuse(
                "add the device",
                "check its arguments; for net_virtio_user, that the switch listens at its path",
            ))?;
        }
        let opened = keeper::bring_up(&config, &name, &pools).map_err(|(operation, cause)| {
            let remedy =
                "see EAL's log above; name an MTU, descriptors and a pool that the device can have";
            refuse(operation, remedy)(cause)
        });
        if opened.is_err() {
            keeper::take_away(&config, &name);
        }
        let up = opened?;
        let tx_queues = up.tx_queues;
        let is_watched = config.is_watched;
        let (abilities, mac, hearing) = (up.abilities.clone(), up.mac, up.hearing);
        let rx_descriptors = up.rx_descriptors;
        let shared = Arc::new(Shared::new(config, name, pools, up));
        let (receive, transmit) = ffi::queues(&shared.gate, tx_queues);
        let keeper = is_watched.then(|| Keeper::start(&shared));
        let port = Self {
            shared,
            keeper,
            abilities,
            rx_descriptors,
            tx_queues,
            mac,
            hearing,
            _claim: claim,
        };
        Ok((port, receive, transmit))
    }

    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What the device can do.
    #[must_use]
    pub fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// Its Ethernet address; all zero for a virtual device that has none.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Transmit queues that it has.
    #[must_use]
    pub fn tx_queues(&self) -> u16 {
        self.tx_queues
    }

    /// Receive descriptors, as the device has adjusted them.
    #[must_use]
    pub fn rx_descriptors(&self) -> u16 {
        self.rx_descriptors
    }

    /// Frames that can wait at the device, at most.
    #[must_use]
    pub fn waiting_max(&self) -> usize {
        let line = self.shared.given.as_ref().map_or("", |(line, _)| line);
        waiting::waiting_max(&self.abilities.driver, line, self.rx_descriptors)
    }

    /// How frames to groups get in.
    #[must_use]
    pub fn hearing(&self) -> Hearing {
        self.hearing
    }

    /// The link now, without waiting; down while the device is away.
    #[must_use]
    pub fn link(&self) -> Link {
        self.shared.link()
    }

    /// The driver's totals. Asks the driver: not for the hot path.
    #[must_use]
    pub fn stats(&self) -> PortStats {
        self.shared.stats()
    }

    /// What asks for the driver's totals from another thread.
    #[must_use]
    pub fn watch(&self) -> PortWatch {
        PortWatch(Arc::clone(&self.shared))
    }

    /// What happened to it.
    #[must_use]
    pub fn history(&self) -> PortHistory {
        self.shared.history()
    }
}

/// Sees a port from any thread, for metrics.
#[derive(Clone, Debug)]
pub struct PortWatch(Arc<Shared>);

impl PortWatch {
    /// The driver's totals. Asks the driver: not for the hot path.
    #[must_use]
    pub fn stats(&self) -> PortStats {
        self.0.stats()
    }

    /// What happened to the port.
    #[must_use]
    pub fn history(&self) -> PortHistory {
        self.0.history()
    }

    /// Changes of the link that were seen: one load, for the hot path.
    #[must_use]
    pub fn link_changes(&self) -> u64 {
        self.0.link_changes.load(Ordering::Relaxed)
    }

    /// Whether the link was up when last looked at.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.is_up.load(Ordering::Relaxed)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // First: nobody brings the device back while it is taken away.
        drop(self.keeper.take());
        self.shared.close();
    }
}

fn device_name(device: &Device) -> &str {
    match device {
        Device::Named(name) => name,
        Device::Plugged(plug) => plug.name(),
        Device::Added(line) => line.split(',').next().unwrap_or(line),
    }
}

/// Tries until it goes, or the time is over; then the last error.
fn retry<T>(deadline: Instant, mut what: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        let result = what();
        if result.is_ok() || Instant::now() >= deadline {
            return result;
        }
        std::thread::sleep(keeper::RETRY);
    }
}
