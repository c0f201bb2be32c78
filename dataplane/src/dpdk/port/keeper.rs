//! Watches a port from a thread of its own: the link, and a device or peer that is lost and comes back.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use super::ffi::{self, Events, PortId, Setup};
use super::gate::Gate;
use super::{Abilities, Device, Hearing, PortConfig, PortHistory, PortStats};
use crate::dpdk::packet::Pool;

/// How often the link is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// From the loss of a device to its removal.
const GRACE: Duration = Duration::from_millis(50);

/// How often a device that is away is tried.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// The driver whose link goes down for good when its peer ends: the device is removed, and added again.
const FOLLOWS_PEER: &str = "net_virtio_user";

/// The driver that spreads what comes over all queues that it was given, whoever reads how many of them.
const SPREADS_FLOWS: &str = "net_af_packet";

/// What a port, its keeper and its watchers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: PortConfig,
    pub(super) name: String,
    pools: Vec<Pool>,
    pub(super) gate: Arc<Gate>,
    /// Held by whoever asks the driver, and while the port is stopped or removed: never by a queue.
    control: Mutex<()>,
    /// How the device was given to EAL, and its bus: what it takes to bring it back.
    given: Option<(String, String)>,
    /// Given to DPDK for good.
    pub(super) events: &'static Events,
    driver: String,
    pub(super) is_up: AtomicBool,
    pub(super) link_changes: AtomicU64,
    /// Totals of the devices that were lost.
    before: Mutex<PortStats>,
    /// The totals that were told last; held for a moment only.
    told: Mutex<PortStats>,
    /// Transmit queues that were given out.
    tx_queues: u16,
    losses: AtomicU64,
    returns: AtomicU64,
}

/// A port that was started.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) port: PortId,
    pub(super) abilities: Abilities,
    pub(super) mac: [u8; 6],
    pub(super) hearing: Hearing,
    pub(super) rx_descriptors: u16,
    pub(super) tx_queues: u16,
}

/// Sets a device's port up as configured, and starts it; or says which step failed.
pub(super) fn bring_up(
    config: &PortConfig,
    name: &str,
    pools: &[Pool],
) -> Result<Up, (&'static str, io::Error)> {
    let at = |operation| move |cause| (operation, cause);
    let port = ffi::find(name).map_err(at("find its port"))?;
    let abilities = ffi::abilities(port).map_err(at("ask what it can do"))?;
    if config.mtu > abilities.mtu_max {
        let what = format!("it takes an MTU of {} at most, not {}", abilities.mtu_max, config.mtu);
        return Err(("set its MTU", io::Error::other(what)));
    }
    if abilities.driver == SPREADS_FLOWS && abilities.tx_queues_max > 1 {
        let what = "with qpairs above 1 it spreads packets over queues that nobody reads; leave qpairs out";
        return Err(("use it", io::Error::other(what)));
    }
    let pool = pools.first().ok_or(("receive", io::Error::other("no pool was given")))?;
    let tx_queues = config.tx_queues.min(abilities.tx_queues_max).max(1);
    let setup = Setup {
        tx_queues,
        rx_descriptors: config.rx_descriptors,
        tx_descriptors: config.tx_descriptors,
        mtu: config.mtu,
        strip_vlan: config.strip_vlan && abilities.strip_vlan,
        checksums: config.checksums,
    };
    let started = ffi::start(port, &abilities, &setup, pool);
    let (rx_descriptors, _) = started.map_err(at("set it up and start it"))?;
    let mac = ffi::mac(port).map_err(at("learn its address"))?;
    let hearing = hear(port, config);
    Ok(Up { port, abilities, mac, hearing, rx_descriptors, tx_queues })
}

/// Has the groups' frames let in, by the narrowest filter that the device has.
fn hear(port: PortId, config: &PortConfig) -> Hearing {
    if config.promiscuous {
        return if ffi::hear_all(port).is_ok() { Hearing::All } else { Hearing::Unasked };
    }
    if ffi::hear_groups(port, &config.groups).is_ok() {
        Hearing::Groups
    } else if ffi::hear_all_groups(port).is_ok() {
        Hearing::AllGroups
    } else if ffi::hear_all(port).is_ok() {
        Hearing::All
    } else {
        Hearing::Unasked
    }
}

/// Removes the socket that a `net_vhost` device's last life left at its path, at which it could not listen again. One at
/// which somebody listens stays.
pub(super) fn clear_path(line: &str) {
    let Some(path) = line.split(',').find_map(|argument| argument.strip_prefix("iface=")) else {
        return;
    };
    let is_dead = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if line.starts_with("net_vhost") && UnixStream::connect(path).is_err_and(is_dead) {
        let _gone_already = std::fs::remove_file(path);
    }
}

/// Removes a device that was added. One that is gone already is no error.
pub(super) fn take_away(config: &PortConfig, name: &str) {
    if matches!(config.device, Device::Added(_)) {
        let _gone_already = ffi::detach("vdev", name);
    }
}

impl Shared {
    pub(super) fn new(config: PortConfig, name: String, pools: Vec<Pool>, up: Up) -> Self {
        let events: &'static Events = Box::leak(Box::default());
        if up.abilities.removal_interrupt {
            let _unable = ffi::listen(up.port, events);
        }
        Self {
            config,
            name,
            pools,
            gate: Gate::new(up.port),
            control: Mutex::new(()),
            given: ffi::given(up.port).ok(),
            events,
            driver: up.abilities.driver,
            is_up: AtomicBool::new(false),
            link_changes: AtomicU64::new(0),
            before: Mutex::default(),
            told: Mutex::default(),
            tx_queues: up.tx_queues,
            losses: AtomicU64::new(0),
            returns: AtomicU64::new(0),
        }
    }

    /// The driver's totals; while the port is stopped or removed, which may take long, those that were told last.
    pub(super) fn stats(&self) -> PortStats {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(_held) = self.control_now() {
            let now = self.gate.port().and_then(|port| ffi::stats(port).ok()).unwrap_or_default();
            *told = now.and(*self.before.lock().unwrap_or_else(PoisonError::into_inner));
        }
        *told
    }

    fn control_now(&self) -> Option<MutexGuard<'_, ()>> {
        match self.control.try_lock() {
            Ok(held) => Some(held),
            Err(TryLockError::Poisoned(held)) => Some(held.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn history(&self) -> PortHistory {
        PortHistory {
            link_changes: self.link_changes.load(Ordering::Relaxed),
            losses: self.losses.load(Ordering::Relaxed),
            returns: self.returns.load(Ordering::Relaxed),
        }
    }

    fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks once at a port that is there; true when it must be taken away.
    fn look(&self) -> bool {
        let _held = self.control();
        let Some(port) = self.gate.port() else { return true };
        let is_up = ffi::link(port).is_ok_and(|link| link.is_up);
        let was_up = self.is_up.swap(is_up, Ordering::Relaxed);
        self.link_changes.fetch_add(u64::from(was_up != is_up), Ordering::Relaxed);
        let peer_died = was_up && !is_up && self.driver == FOLLOWS_PEER;
        self.events.removed.swap(false, Ordering::AcqRel) || peer_died
    }

    /// The port is away from now on.
    fn lose(&self) {
        let _held = self.control();
        self.losses.fetch_add(1, Ordering::Relaxed);
        self.is_up.store(false, Ordering::Relaxed);
        if let Some(port) = self.gate.shut() {
            let last = ffi::stats(port).unwrap_or_default();
            let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            *before = before.and(last);
            drop(before);
            // The driver's own handler of the lost peer may be about to run on EAL's interrupt thread.
            std::thread::sleep(GRACE);
            ffi::stop(port);
        }
        self.remove();
    }

    /// Tries to bring the device back; true when it is.
    fn bring_back(&self) -> bool {
        let _held = self.control();
        let line = match (&self.config.device, &self.given) {
            (Device::Plugged(_), _) | (Device::Named(_), None) => return false,
            (Device::Added(line), _) | (Device::Named(_), Some((line, _))) => line,
        };
        if ffi::attach(line).is_err() {
            return false;
        }
        match bring_up(&self.config, &self.name, &self.pools) {
            // Queues are given out: one that the device has not got any more must not be used.
            Ok(up) if up.tx_queues >= self.tx_queues => {
                if up.abilities.removal_interrupt {
                    let _unable = ffi::listen(up.port, self.events);
                }
                self.gate.open(up.port);
                self.returns.fetch_add(1, Ordering::Relaxed);
                true
            }
            _ => {
                self.remove();
                false
            }
        }
    }

    /// Removes the device, whoever added it: it is lost.
    fn remove(&self) {
        if let Some((_, bus)) = &self.given {
            let _gone_already = ffi::detach(bus, &self.name);
        }
    }
}

/// The thread. Ended and joined when dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (told, shared) = (Arc::clone(&ends), Arc::clone(shared));
        let keep = move || {
            let mut is_away = false;
            while !told.load(Ordering::Acquire) {
                if is_away {
                    is_away = !shared.bring_back();
                } else if shared.look() {
                    shared.lose();
                    is_away = true;
                }
                std::thread::park_timeout(if is_away { RETRY } else { LOOK });
            }
        };
        let thread = std::thread::Builder::new().name("dpdk-keeper".to_owned()).spawn(keep);
        Self { ends, thread: thread.ok() }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _panicked = thread.join();
        }
    }
}
