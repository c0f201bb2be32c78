//! Watches a port from a thread of its own: the link, and a device or peer that is lost and comes back.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use super::ffi::{self, Events, PortId, Setup};
use super::gate::Gate;
use super::{Abilities, Device, Hearing, Link, PortConfig, PortHistory, PortStats};
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
    /// Held by whoever asks the driver, and while the port is stopped, removed or closed: never by a queue.
    control: Mutex<()>,
    /// How the device was given to EAL, and its bus: what it takes to bring it back.
    pub(super) given: Option<(String, String)>,
    /// Given to DPDK for good.
    pub(super) events: &'static Events,
    /// The port as it was opened: what its queues were made for.
    pub(super) first: Up,
    pub(super) is_up: AtomicBool,
    pub(super) link_changes: AtomicU64,
    /// Totals of the devices that were lost.
    before: Mutex<PortStats>,
    /// The totals that were told last; held for a moment only.
    told: Mutex<PortStats>,
    /// The link as it was told last; as above.
    told_link: Mutex<Link>,
    losses: AtomicU64,
    returns: AtomicU64,
    refusals: AtomicU64,
}

/// A port that was started.
#[derive(Clone, Debug)]
pub(super) struct Up {
    pub(super) port: PortId,
    pub(super) abilities: Abilities,
    pub(super) mac: [u8; 6],
    pub(super) hearing: Hearing,
    pub(super) rx_descriptors: u16,
    pub(super) tx_queues: u16,
}

impl Up {
    /// With the address that the device had at first, where it can be told. `net_virtio_user` that was given none draws another
    /// each time, cannot be told, and takes in all frames whatever it is.
    fn with_mac_of(mut self, first: &Self) -> Self {
        let takes_all = self.abilities.driver == FOLLOWS_PEER;
        if self.mac != first.mac && (ffi::set_mac(self.port, first.mac).is_ok() || takes_all) {
            self.mac = first.mac;
        }
        self
    }

    /// What this device, that came back, has not got of what queues were made for on `first`. Not asked: what each packet
    /// says of itself, as checksums that the device has looked at.
    pub(super) fn lacks(&self, first: &Self) -> Option<&'static str> {
        let (now, then) = (&self.abilities, &first.abilities);
        let has = |now: bool, then: bool| now || !then;
        let is_heard = self.hearing == first.hearing || self.hearing != Hearing::Unasked;
        let all = [
            (now.driver == then.driver, "the same driver"),
            (self.mac == first.mac, "the same address"),
            (self.tx_queues >= first.tx_queues, "as many transmit queues"),
            // Ages count on what can wait at most.
            (self.rx_descriptors <= first.rx_descriptors, "as few receive descriptors"),
            (is_heard, "a way to hear groups"),
            (has(now.transmit_ipv4_checksum, then.transmit_ipv4_checksum), "IPv4 checksums"),
            (has(now.transmit_udp_checksum, then.transmit_udp_checksum), "UDP checksums"),
            (has(now.multi_segments, then.multi_segments), "packets of several segments"),
        ];
        all.into_iter().find(|(is_there, _)| !is_there).map(|(_, what)| what)
    }
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
            first: up,
            is_up: AtomicBool::new(false),
            link_changes: AtomicU64::new(0),
            before: Mutex::default(),
            told: Mutex::default(),
            told_link: Mutex::default(),
            losses: AtomicU64::new(0),
            returns: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
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

    /// The link, without waiting; while the port is stopped or removed, as it was told last.
    pub(super) fn link(&self) -> Link {
        let mut told = self.told_link();
        if let Some(_held) = self.control_now() {
            *told = self.gate.port().and_then(|port| ffi::link(port).ok()).unwrap_or_default();
        }
        *told
    }

    pub(super) fn told_link(&self) -> MutexGuard<'_, Link> {
        self.told_link.lock().unwrap_or_else(PoisonError::into_inner)
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
            refusals: self.refusals.load(Ordering::Relaxed),
        }
    }

    pub(super) fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks once at a port that is there; true when it must be taken away.
    fn look(&self) -> bool {
        let _held = self.control();
        let Some(port) = self.gate.port() else { return true };
        let is_up = ffi::link(port).is_ok_and(|link| link.is_up);
        let was_up = self.is_up.swap(is_up, Ordering::Relaxed);
        self.link_changes.fetch_add(u64::from(was_up != is_up), Ordering::Relaxed);
        let peer_died = was_up && !is_up && self.first.abilities.driver == FOLLOWS_PEER;
        self.events.removed.swap(false, Ordering::AcqRel) || peer_died
    }

    /// The port is away from now on.
    pub(super) fn lose(&self) {
        let _held = self.control();
        self.losses.fetch_add(1, Ordering::Relaxed);
        if let Some(port) = self.shut() {
            // The driver's own handler of the lost peer may be about to run on EAL's interrupt thread.
            std::thread::sleep(GRACE);
            ffi::stop(port);
        }
        self.remove();
    }

    /// Keeps everybody out; gives the port, if it was there. Its totals are kept. With `control` held.
    fn shut(&self) -> Option<PortId> {
        self.is_up.store(false, Ordering::Relaxed);
        *self.told_link() = Link::default();
        let port = self.gate.shut()?;
        let last = ffi::stats(port).unwrap_or_default();
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        *before = before.and(last);
        Some(port)
    }

    /// Closes the port for good, and takes away a device that was added.
    pub(super) fn close(&self) {
        let _held = self.control();
        if let Some(port) = self.shut() {
            ffi::stop(port);
        }
        take_away(&self.config, &self.name);
    }

    /// Tries to bring the device back; true when it is.
    pub(super) fn bring_back(&self) -> bool {
        let _held = self.control();
        let line = match (&self.config.device, &self.given) {
            (Device::Plugged(_), _) | (Device::Named(_), None) => return false,
            (Device::Added(line), _) | (Device::Named(_), Some((line, _))) => line,
        };
        if ffi::attach(line).is_err() {
            return false;
        }
        match bring_up(&self.config, &self.name, &self.pools).map(|up| up.with_mac_of(&self.first))
        {
            // Queues are given out, and rely on what the device could do: one that can do less must not be used.
            Ok(up) if up.lacks(&self.first).is_none() => {
                if up.abilities.removal_interrupt {
                    let _unable = ffi::listen(up.port, self.events);
                }
                self.gate.open(up.port);
                self.returns.fetch_add(1, Ordering::Relaxed);
                true
            }
            brought => {
                self.refusals.fetch_add(u64::from(brought.is_ok()), Ordering::Relaxed);
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
