//! Ports of DPDK: found, set up, started, stopped, asked; their queues.
//!
//! Rules of this file:
//! - A queue touches its port between [`Gate::enter`] and the drop of what it gives, and nowhere else; whoever stops,
//!   closes or removes the port shuts the gate first, which waits until nobody is inside.
//! - Each queue of a port exists once, as a value that is borrowed mutably by each call: no queue has two threads.

use core::ffi::{CStr, c_int, c_void};
use core::ptr::null;
use std::ffi::CString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dpdk_sys as sys;

use super::gate::{Gate, Visitor};
use super::{Abilities, Link, PortStats};
use crate::dpdk::eal::error_of;
use crate::dpdk::packet::{BURST, Burst, Mbuf, Pool};

/// A port's number. It is valid while the port exists; every function here answers with an error for one that does not.
pub(super) type PortId = u16;

fn done(status: c_int) -> io::Result<()> {
    if status < 0 { Err(error_of(status)) } else { Ok(()) }
}

fn text(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(io::Error::other)
}

/// Adds a device: `net_virtio_user0,path=/run/x`, `0000:01:00.0`.
pub(super) fn attach(device: &str) -> io::Result<()> {
    let device = text(device)?;
    // SAFETY: a string that DPDK copies.
    done(unsafe { sys::rte_dev_probe(device.as_ptr()) })
}

/// Removes a device from its bus; its port is closed.
pub(super) fn detach(bus: &str, name: &str) -> io::Result<()> {
    let (bus, name) = (text(bus)?, text(name)?);
    // SAFETY: strings that live until the return.
    done(unsafe { sys::rte_eal_hotplug_remove(bus.as_ptr(), name.as_ptr()) })
}

/// How a port's device was given to EAL (`name,arguments`), and its bus.
pub(super) fn given(port: PortId) -> io::Result<(String, String)> {
    let (mut device, mut bus) = ([0; 1_024], [0; 64]);
    // SAFETY: places of these sizes, each filled with a string and its zero.
    unsafe {
        done(sys::shim_port_device(
            port,
            device.as_mut_ptr(),
            device.len(),
            bus.as_mut_ptr(),
            bus.len(),
        ))?;
        let text = |at| CStr::from_ptr(at).to_string_lossy().into_owned();
        Ok((text(device.as_ptr()), text(bus.as_ptr())))
    }
}

/// The port of a device.
pub(super) fn find(name: &str) -> io::Result<PortId> {
    let name = text(name)?;
    let mut port = 0;
    // SAFETY: a string and a place that live until the return.
    done(unsafe { sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut port) })?;
    Ok(port)
}

/// All ports' names, in DPDK's order.
pub(super) fn names() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: only numbers go in; `name` has room for what DPDK's longest name takes (64 bytes, `RTE_ETH_NAME_MAX_LEN`).
    unsafe {
        let mut port = sys::rte_eth_find_next(0);
        while port < sys::SHIM_PORTS_MAX {
            let mut name = [0; 256];
            if sys::rte_eth_dev_get_name_by_port(port, name.as_mut_ptr()) == 0 {
                names.push(CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned());
            }
            port = sys::rte_eth_find_next(port + 1);
        }
    }
    names
}

/// What the device can do.
pub(super) fn abilities(port: PortId) -> io::Result<Abilities> {
    let mut info = sys::shim_port_info {
        driver: null(),
        socket: -1,
        min_mtu: 0,
        max_mtu: 0,
        max_rx_queues: 0,
        max_tx_queues: 0,
        rx_descriptors_max: 0,
        tx_descriptors_max: 0,
        max_rx_segments: 0,
        max_tx_segments: 0,
        rx_offloads: 0,
        tx_offloads: 0,
        link_interrupt: false,
        removal_interrupt: false,
    };
    // SAFETY: a place that lives until the return; the driver's name is a constant of the driver's, or null.
    let driver = unsafe {
        done(sys::shim_port_info(port, &raw mut info))?;
        let is_named = !info.driver.is_null();
        if is_named {
            CStr::from_ptr(info.driver).to_string_lossy().into_owned()
        } else {
            String::new()
        }
    };
    let has = |offloads: u64, flag: u64| offloads & flag == flag;
    Ok(Abilities {
        driver,
        socket: u32::try_from(info.socket).ok(),
        mtu_max: info.max_mtu,
        tx_queues_max: info.max_tx_queues,
        receive_ipv4_checksum: has(info.rx_offloads, sys::SHIM_RX_CHECKSUM_IPV4),
        receive_udp_checksum: has(info.rx_offloads, sys::SHIM_RX_CHECKSUM_UDP),
        strip_vlan: has(info.rx_offloads, sys::SHIM_RX_VLAN_STRIP),
        transmit_ipv4_checksum: has(info.tx_offloads, sys::SHIM_TX_CHECKSUM_IPV4),
        transmit_udp_checksum: has(info.tx_offloads, sys::SHIM_TX_CHECKSUM_UDP),
        multi_segments: has(info.tx_offloads, sys::SHIM_TX_MULTI_SEGMENTS),
        link_interrupt: info.link_interrupt,
        removal_interrupt: info.removal_interrupt,
    })
}

/// What a port is set up with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) tx_queues: u16,
    pub(super) rx_descriptors: u16,
    pub(super) tx_descriptors: u16,
    pub(super) mtu: u16,
    pub(super) strip_vlan: bool,
    pub(super) checksums: bool,
}

/// Sets a port up, with queues, and starts it. Gives the descriptors that the queues have.
pub(super) fn start(
    port: PortId,
    abilities: &Abilities,
    setup: &Setup,
    pool: &Pool,
) -> io::Result<(u16, u16)> {
    let only = |wanted: bool, flag: u64| if wanted { flag } else { 0 };
    let checks = setup.checksums;
    let rx_offloads = only(checks && abilities.receive_ipv4_checksum, sys::SHIM_RX_CHECKSUM_IPV4)
        | only(checks && abilities.receive_udp_checksum, sys::SHIM_RX_CHECKSUM_UDP)
        | only(setup.strip_vlan, sys::SHIM_RX_VLAN_STRIP);
    let tx_offloads = only(checks && abilities.transmit_ipv4_checksum, sys::SHIM_TX_CHECKSUM_IPV4)
        | only(checks && abilities.transmit_udp_checksum, sys::SHIM_TX_CHECKSUM_UDP)
        | only(abilities.multi_segments, sys::SHIM_TX_MULTI_SEGMENTS);
    let (mut rx, mut tx) = (setup.rx_descriptors, setup.tx_descriptors);
    let theirs = sys::shim_port_setup {
        rx_queues: 1,
        tx_queues: setup.tx_queues,
        rx_descriptors: rx,
        tx_descriptors: tx,
        mtu: setup.mtu.into(),
        rx_offloads,
        tx_offloads,
        link_interrupt: false,
        removal_interrupt: abilities.removal_interrupt,
    };
    // SAFETY: places and values that live until the return; the pool lives as long as the port's owner (`super::Port`).
    unsafe {
        done(sys::shim_port_configure(port, &raw const theirs))?;
        done(sys::rte_eth_dev_adjust_nb_rx_tx_desc(port, &raw mut rx, &raw mut tx))?;
        done(sys::shim_rx_queue(port, 0, rx, rx_offloads, pool.raw()))?;
        for queue in 0..setup.tx_queues {
            done(sys::shim_tx_queue(port, queue, tx, tx_offloads))?;
        }
        done(sys::rte_eth_dev_start(port))?;
    }
    Ok((rx, tx))
}

/// Stops and closes a port. Its packets go home.
pub(super) fn stop(port: PortId) {
    // SAFETY: the gate is shut: no queue of it is in use. Both refuse a port that does not exist.
    unsafe {
        sys::rte_eth_dev_stop(port);
        sys::rte_eth_dev_close(port);
    }
}

/// The device's address.
pub(super) fn mac(port: PortId) -> io::Result<[u8; 6]> {
    let mut mac = [0; 6];
    // SAFETY: six bytes, as it writes.
    done(unsafe { sys::shim_port_mac(port, mac.as_mut_ptr()) })?;
    Ok(mac)
}

/// Gives the device another address.
pub(super) fn set_mac(port: PortId, mut mac: [u8; 6]) -> io::Result<()> {
    // SAFETY: an address of six bytes, which it copies.
    done(unsafe { sys::rte_eth_dev_default_mac_addr_set(port, mac.as_mut_ptr().cast()) })
}

/// Lets frames to these addresses in.
pub(super) fn hear_groups(port: PortId, groups: &[[u8; 6]]) -> io::Result<()> {
    let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
    // SAFETY: `count` addresses of six bytes each, one behind the other.
    done(unsafe { sys::shim_port_groups(port, groups.as_ptr().cast(), count) })
}

/// Lets frames to all groups in.
pub(super) fn hear_all_groups(port: PortId) -> io::Result<()> {
    // SAFETY: a number.
    done(unsafe { sys::rte_eth_allmulticast_enable(port) })
}

/// Lets all frames in.
pub(super) fn hear_all(port: PortId) -> io::Result<()> {
    // SAFETY: a number.
    done(unsafe { sys::rte_eth_promiscuous_enable(port) })
}

/// The link, without waiting.
pub(super) fn link(port: PortId) -> io::Result<Link> {
    let mut link = sys::shim_link { megabits: 0, is_up: false, full_duplex: false };
    // SAFETY: a place that lives until the return.
    done(unsafe { sys::shim_link_nowait(port, &raw mut link) })?;
    Ok(Link { is_up: link.is_up, megabits: link.megabits })
}

/// The driver's own totals.
pub(super) fn stats(port: PortId) -> io::Result<PortStats> {
    let mut stats = sys::shim_port_stats {
        received: 0,
        sent: 0,
        missed: 0,
        errors_in: 0,
        errors_out: 0,
        no_buffer: 0,
    };
    // SAFETY: a place that lives until the return.
    done(unsafe { sys::shim_port_stats(port, &raw mut stats) })?;
    Ok(PortStats {
        received: stats.received,
        sent: stats.sent,
        missed: stats.missed,
        errors_in: stats.errors_in,
        errors_out: stats.errors_out,
        no_buffer: stats.no_buffer,
    })
}

/// What a device has told by itself, from EAL's interrupt thread.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// It is gone.
    pub(super) removed: AtomicBool,
    /// How often one was.
    pub(super) removals: AtomicU64,
}

extern "C" fn was_removed(
    _port: u16,
    _event: sys::rte_eth_event_type,
    events: *mut c_void,
    _unused: *mut c_void,
) -> c_int {
    // SAFETY: what `listen` gave: lives for good.
    let events = unsafe { &*events.cast::<Events>() };
    events.removed.store(true, Ordering::Release);
    events.removals.fetch_add(1, Ordering::Relaxed);
    0
}

/// Has the removal of a port's device noted.
pub(super) fn listen(port: PortId, events: &'static Events) -> io::Result<()> {
    let events = core::ptr::from_ref(events).cast_mut().cast();
    // SAFETY: a function of the right type, and what it reads, which lives for good.
    done(unsafe {
        sys::rte_eth_dev_callback_register(
            port,
            sys::RTE_ETH_EVENT_INTR_RMV,
            Some(was_removed),
            events,
        )
    })
}

/// The receive queue of a port.
#[derive(Debug)]
pub struct RxQueue {
    visitor: Visitor,
}

/// A transmit queue of a port.
#[derive(Debug)]
pub struct TxQueue {
    visitor: Visitor,
    queue: u16,
}

/// The queues of a port that is set up so, each once.
pub(super) fn queues(gate: &Arc<Gate>, tx_queues: u16) -> (RxQueue, Vec<TxQueue>) {
    let transmit = (0..tx_queues).map(|queue| TxQueue { visitor: Gate::visitor(gate), queue });
    (RxQueue { visitor: Gate::visitor(gate) }, transmit.collect())
}

impl RxQueue {
    /// Receives up to [`BURST`] frames into an empty burst; returns how many. `None` while the port is away: whether
    /// frames wait there is not known.
    #[inline]
    pub fn receive(&mut self, burst: &mut Burst) -> Option<usize> {
        let inside = self.visitor.enter()?;
        let port = inside.port();
        // SAFETY: inside the gate the port is started with this queue, which only `self` receives from; DPDK gives up what
        // it writes.
        Some(unsafe { burst.fill(|packets, count| sys::rx_burst(port, 0, packets, count)) })
    }
}

impl TxQueue {
    /// Hands frames from the front of a burst to the device; returns how many it took. None while the port is away.
    #[inline]
    pub fn transmit(&mut self, burst: &mut Burst) -> usize {
        let Some(inside) = self.visitor.enter() else { return 0 };
        let (port, queue) = (inside.port(), self.queue);
        // SAFETY: inside the gate the port is started with this queue, which only `self` transmits on; what DPDK says that it
        // took belongs to it.
        unsafe { burst.hand_over(|packets, count| sys::tx_burst(port, queue, packets, count)) }
    }

    /// Hands one frame to the device; gives it back where it was not taken.
    ///
    /// # Errors
    ///
    /// The frame: the queue is full, or the port away.
    pub fn transmit_one(&mut self, frame: Mbuf) -> Result<(), Mbuf> {
        let mut burst = Burst::default();
        burst.push(frame)?;
        self.transmit(&mut burst);
        burst.pop().map_or(Ok(()), Err)
    }
}

const _: () = assert!(BURST <= 64, "drivers take bursts of this size");
