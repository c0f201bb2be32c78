//! [`Queue`] on a DPDK port: the network thread's, and others' that only send.
//!
//! Invariants:
//! - Q1. `not_before` is never later than a packet's arrival: only a poll that gave nothing counts as one that saw the queue
//!   empty, for a driver may look at a part of its queue; and none while the pool is all but empty, for a driver that has
//!   no buffer leaves frames where they wait.
//! - Q2. After [`Dpdk::open`] and [`Dpdk::transmit_queue`] nothing is allocated but packets, from their pools.
//! - Q3. No path keeps a packet: a queue that rests holds none but those whose neighbour is being looked for, which are not
//!   of the pools.

mod config;
#[allow(unsafe_code, reason = "one call to libc; see its header")]
mod ffi;
mod open;
mod receive;
mod transmit;

use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use rtrb::RingBuffer;

pub use config::{DpdkConfig, DpdkError, Pools};
pub use open::{choose_port, pools_for};

use self::receive::Receiver;
use self::transmit::{Outlet, Sender};
use super::cable::Plug;
use super::eal::Eal;
use super::port::{PortHistory, PortStats, PortWatch, TxQueue};
use crate::backend::{Arrival, BackendCounters, Instant, Queue};
use crate::capture::Tap;
use crate::clock::Clock;
use crate::net::{AddressingCounters, MacAddress, StackCounters};
use crate::udp::Waker;

/// How long a thread that waits sleeps between two looks at its device, at most: what a packet that comes meanwhile can be
/// late, and the time that the kernel takes to wake it.
const NAP: Duration = Duration::from_micros(20);

/// The same for a thread that only sends, while a packet of it waits for its neighbour.
const NAP_HELD: Duration = Duration::from_millis(1);

/// Frames on their way from one thread to the network thread, at most.
const HANDED_MAX: usize = 512;

/// Names of a pool's two numbers: buffers that are out of it, and that are not.
const RECEIVE_BUFFERS: [&str; 2] = ["receive_buffers_in_use", "receive_buffers_free"];
const TRANSMIT_BUFFERS: [&str; 2] = ["transmit_buffers_in_use", "transmit_buffers_free"];

/// One thread's queue on a DPDK port.
#[derive(Debug)]
pub struct Dpdk {
    own: SocketAddr,
    eal: Eal,
    clock: Clock,
    sender: Sender,
    waker: Waker,
    /// None in a queue that only sends.
    network: Option<Box<Network>>,
}

/// What only the network thread's queue has.
#[derive(Debug)]
struct Network {
    pools: Pools,
    /// Transmit queues that nobody has yet.
    spare: Vec<TxQueue>,
    receiver: Receiver,
    /// Counts what the wire lost on the way here.
    plug: Option<Plug>,
    description: String,
}

impl Dpdk {
    /// Opens the port, takes the memory, and begins to speak: the first [`Queue::receive`] announces the address and joins
    /// the groups.
    ///
    /// # Errors
    ///
    /// [`DpdkError`]: what the device refused, or what the addresses contradict, with what to do.
    pub fn open(eal: &Eal, config: DpdkConfig) -> Result<Self, DpdkError> {
        open::open(eal, config)
    }

    /// A second queue that sends from the same address and port, for another thread; it receives nothing.
    ///
    /// It has a transmit queue of the device's for itself, as long as the device has one left; else its frames pass through
    /// the thread of `self`, which [`Self::description`] says.
    ///
    /// # Errors
    ///
    /// The process may open no more files; or `self` is itself a queue that only sends.
    pub fn transmit_queue(&mut self) -> io::Result<Self> {
        let only_sends = || io::Error::other("this queue only sends itself");
        let network = self.network.as_mut().ok_or_else(only_sends)?;
        let waker = Waker::new()?;
        let outlet = if let Some(queue) = network.spare.pop() {
            network.description.push_str("; another thread has a transmit queue of its own");
            Outlet::Device(queue)
        } else {
            let (give, take) = RingBuffer::new(HANDED_MAX);
            network.receiver.take_from(take);
            network.description.push_str(
                "; the device has no transmit queue left: another thread's frames pass through the network thread",
            );
            Outlet::Handed(give)
        };
        let addressing = network.receiver.stack.addressing(open::offload_of(self.sender.offload()));
        Ok(Self {
            own: self.own,
            eal: self.eal.clone(),
            clock: self.clock,
            sender: self.sender.sibling(outlet, addressing),
            waker,
            network: None,
        })
    }

    /// What ends [`Queue::wait`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The address that packets leave from.
    #[must_use]
    pub fn own(&self) -> SocketAddr {
        self.own
    }

    /// Has each frame in and out of this queue copied from now on.
    pub fn capture(&mut self, tap: Tap) {
        *self.sender.tap() = Some(tap);
    }

    /// For the operator: device, driver, address, queues, what the device does of the work; empty for a queue that only
    /// sends.
    #[must_use]
    pub fn description(&self) -> &str {
        self.network.as_ref().map_or("", |network| &network.description)
    }

    /// What happened to frames that came; zero for a queue that only sends.
    #[must_use]
    pub fn stack_counters(&self) -> StackCounters {
        let network = self.network.as_ref();
        network.map(|network| network.receiver.stack.counters()).unwrap_or_default()
    }

    /// The host last heard that says our address is its own: to be told to the operator.
    #[must_use]
    pub fn duplicate(&self) -> Option<MacAddress> {
        self.network.as_ref()?.receiver.stack.duplicate()
    }

    /// What happened to packets that were to be sent.
    #[must_use]
    pub fn addressing_counters(&self) -> AddressingCounters {
        self.sender.addressing().counters()
    }

    /// The device's own totals; zero for a queue that only sends. Asks the driver.
    #[must_use]
    pub fn port_stats(&self) -> PortStats {
        let network = self.network.as_ref();
        network.map(|network| network.receiver.port.stats()).unwrap_or_default()
    }

    /// What sees the port from any thread, for metrics; none for a queue that only sends.
    #[must_use]
    pub fn watch(&self) -> Option<PortWatch> {
        self.network.as_ref().map(|network| network.receiver.port.watch())
    }

    /// What happened to the port: changes of the link, losses and returns of the device.
    #[must_use]
    pub fn port_history(&self) -> PortHistory {
        let network = self.network.as_ref();
        network.map(|network| network.receiver.port.history()).unwrap_or_default()
    }

    /// Until something is there to do: a packet, a wake, the end of the time. True when the counter was raised.
    fn sleep(&mut self, for_at_most: Duration) -> bool {
        ffi::wake_on_time();
        let end = self.clock.now().saturating_add(for_at_most);
        loop {
            let now = self.clock.now();
            let mut nap = end.saturating_sub(now);
            if let Some(network) = &mut self.network {
                network.receiver.serve(now, &mut self.sender);
                if network.receiver.poll(now) {
                    return false;
                }
                nap = nap.min(NAP);
            } else {
                self.sender.release(now);
                if self.sender.held() > 0 {
                    nap = nap.min(NAP_HELD);
                }
            }
            if self.waker.sleep(nap) {
                return true;
            }
            if now >= end {
                return false;
            }
        }
    }
}

impl Queue for Dpdk {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize {
        let Some(network) = &mut self.network else { return 0 };
        self.eal.knows_this_thread();
        let now = self.clock.now();
        network.receiver.poll(now);
        let handed_up = network.receiver.hand_up(now, &mut self.sender, take);
        network.receiver.serve(now, &mut self.sender);
        handed_up
    }

    fn send(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        self.sender.take(&[to], head, tail) == 1
    }

    fn send_all(&mut self, to: &[SocketAddr], head: &[u8], tail: &[u8]) -> usize {
        self.sender.take(to, head, tail)
    }

    fn flush(&mut self) {
        self.eal.knows_this_thread();
        self.sender.flush();
        if self.sender.held() > 0 {
            self.sender.release(self.clock.now());
        }
    }

    /// Looks at the device every 20 microseconds; a waker ends it at once.
    fn wait(&mut self, for_at_most: Duration) {
        if !self.waker.sleeps() {
            return;
        }
        self.eal.knows_this_thread();
        let raised = self.sleep(for_at_most);
        self.waker.is_awake(raised);
    }

    /// Totals. Asks the driver: not for every turn of a loop.
    fn counters(&self) -> BackendCounters {
        let (sent, dropped_send) = self.sender.totals();
        let mut counters = BackendCounters { sent, dropped_send, ..BackendCounters::default() };
        if let Some(network) = &self.network {
            let stats = network.receiver.port.stats();
            let on_the_wire = network.plug.as_ref().map_or(0, Plug::lost);
            counters.received = network.receiver.received;
            counters.dropped_receive = stats.missed
                + stats.no_buffer
                + stats.errors_in
                + network.receiver.too_long
                + on_the_wire;
        }
        counters
    }

    /// What the network stack saw, the device, its port and the pools; of a queue that only sends, what became of its packets.
    fn details(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        for (name, total) in self.addressing_counters().iter() {
            tell(name, total);
        }
        let Some(network) = self.network.as_deref() else { return };
        for (name, total) in self.stack_counters().iter() {
            tell(name, total);
        }
        let PortStats { missed, no_buffer, errors_in, errors_out, .. } = self.port_stats();
        let PortHistory { link_changes, losses, returns, refusals } = self.port_history();
        tell("device_missed", missed);
        tell("device_no_buffer", no_buffer);
        tell("device_errors_in", errors_in);
        tell("device_errors_out", errors_out);
        tell("device_losses", losses);
        tell("device_returns", returns);
        tell("device_refusals", refusals);
        tell("link_changes", link_changes);
        let Pools { receive, transmit } = &network.pools;
        for (pool, [in_use, free]) in [(receive, RECEIVE_BUFFERS), (transmit, TRANSMIT_BUFFERS)] {
            let available = pool.available();
            tell(in_use, pool.count().saturating_sub(available).into());
            tell(free, available.into());
        }
    }
}

impl Drop for Dpdk {
    fn drop(&mut self) {
        if let Some(network) = &mut self.network {
            network.receiver.leave(self.clock.now(), &mut self.sender);
        }
    }
}
