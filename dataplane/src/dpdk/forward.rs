//! A switch in software between ports: learning, and copying to groups. What joins nodes that are processes of their own
//! (`net_vhost` here, `net_virtio_user` there), and where an aggregator or a middlebox will stand.
//!
//! ```no_run
//! use dataplane::clock::Clock;
//! use dataplane::dpdk::forward::Switch;
//! use dataplane::dpdk::packet::Pool;
//! use dataplane::dpdk::port::{Device, PortConfig};
//! # fn run(eal: &dataplane::dpdk::Eal) -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::new(eal, Switch::buffers(3, 1_024, 1_024), 2_048, None)?;
//! let mut switch = Switch::new(pool);
//! for number in 0..3 {
//!     let device = Device::Added(format!("net_vhost{number},iface=/run/switch/{number},queues=1"));
//!     switch.add(PortConfig { promiscuous: true, tx_queues: 1, ..PortConfig::new(device) })?;
//! }
//! let clock = Clock::start();
//! loop {
//!     if switch.step(clock.now()) == 0 {
//!         std::thread::yield_now();
//!     }
//! }
//! # }
//! ```
//!
//! Invariants:
//! - S1. Where a frame goes, [`Bridge`] says.
//! - S2. Every frame received is passed on, or freed and counted by the reason; each copy that a port did not take at once is
//!   freed and counted: a dead or slow node holds up nobody.
//! - S3. A frame for several ports is copied for all but the last, which gets the frame itself.

use super::packet::{BURST, Burst, CACHE, Mbuf, Pool};
use super::port::{Port, PortConfig, PortError, RxQueue, TxQueue};
use crate::backend::Instant;
use crate::net::{Bridge, Way, Why};

/// Ports, and what goes between them. Whoever steps it moves the frames.
#[derive(Debug)]
pub struct Switch {
    /// Where all ports receive into, and copies come from.
    pool: Pool,
    legs: Vec<Leg>,
    bridge: Bridge,
    burst: Burst,
}

#[derive(Debug)]
struct Leg {
    rx: RxQueue,
    tx: TxQueue,
    out: Burst,
    port: Port,
    counters: LegCounters,
}

/// Totals of a switch's port.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LegCounters {
    /// Frames that came in.
    pub received: u64,
    /// Frames and copies that went out.
    pub sent: u64,
    /// Frames for it that it did not take: full, or nobody is there.
    pub full: u64,
    /// Copies for it for which there was no buffer.
    pub no_buffer: u64,
    /// Of those that came in, dropped: shorter than an Ethernet header.
    pub short: u64,
    /// The same: a group, or nobody, as the sender.
    pub bad_sender: u64,
    /// The same: for neighbours only.
    pub reserved: u64,
    /// The same: the receiver is where the frame came from.
    pub local: u64,
}

impl LegCounters {
    /// Names of [`Self::values`].
    pub const NAMES: [&'static str; 8] =
        ["received", "sent", "full", "no_buffer", "short", "bad_sender", "reserved", "local"];

    /// All of them, in the order of [`Self::NAMES`].
    #[must_use]
    pub fn values(&self) -> [u64; 8] {
        let Self { received, sent, full, no_buffer, short, bad_sender, reserved, local } = *self;
        [received, sent, full, no_buffer, short, bad_sender, reserved, local]
    }

    fn drops(&mut self, why: Why) {
        let reason = match why {
            Why::Short => &mut self.short,
            Why::Sender => &mut self.bad_sender,
            Why::Reserved => &mut self.reserved,
            Why::Local => &mut self.local,
        };
        *reason += 1;
    }
}

impl Switch {
    /// A switch without ports, whose frames stand in `pool`; [`Self::buffers`] says how many it should have.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        let (legs, bridge, burst) = (Vec::new(), Bridge::default(), Burst::default());
        Self { pool, legs, bridge, burst }
    }

    /// Buffers that a switch with so many ports needs so that no port takes another's: for each descriptor, each place in a
    /// burst, and what its thread keeps for itself.
    #[must_use]
    pub fn buffers(ports: u32, rx_descriptors: u16, tx_descriptors: u16) -> u32 {
        let bursts = 2 * u32::try_from(BURST).unwrap_or(0);
        let each = u32::from(rx_descriptors) + u32::from(tx_descriptors) + bursts;
        ports.saturating_mul(each).saturating_add(2 * CACHE)
    }

    /// Opens a port, and joins it.
    ///
    /// # Errors
    ///
    /// [`PortError`]: what the device refused.
    pub fn add(&mut self, config: PortConfig) -> Result<(), PortError> {
        let (port, rx, mut tx) = Port::open(config, vec![self.pool.clone()])?;
        let (tx, out, counters) = (tx.remove(0), Burst::default(), LegCounters::default());
        self.legs.push(Leg { rx, tx, out, port, counters });
        self.bridge.add_end();
        Ok(())
    }

    /// The ports, in the order in which they were added.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.legs.iter().map(|leg| &leg.port)
    }

    /// Totals of each port, in the same order.
    pub fn counters(&self) -> impl Iterator<Item = LegCounters> {
        self.legs.iter().map(|leg| leg.counters)
    }

    /// Addresses that are remembered.
    #[must_use]
    pub fn learned(&self) -> usize {
        self.bridge.learned()
    }

    /// Reads a burst of each port and passes it on; returns how many frames came. `now` is the moment, for the age of what
    /// was learned.
    pub fn step(&mut self, now: Instant) -> usize {
        let mut received = 0;
        for from in 0..self.legs.len() {
            let count = self.legs[from].rx.receive(&mut self.burst).unwrap_or(0);
            if count == 0 {
                continue;
            }
            received += count;
            self.legs[from].counters.received += count as u64;
            while let Some(frame) = self.burst.pop() {
                self.pass_on(from, frame, now);
            }
            for leg in &mut self.legs {
                leg.flush();
            }
        }
        received
    }

    fn pass_on(&mut self, from: usize, frame: Mbuf, now: Instant) {
        match self.bridge.way(from, frame.first(), now) {
            Way::Nowhere(why) => self.legs[from].counters.drops(why),
            Way::One(to) => self.legs[to].take(frame),
            Way::Others => {
                let end = self.legs.len();
                let last = if from + 1 == end { end.checked_sub(2) } else { end.checked_sub(1) };
                let Some(last) = last else { return };
                for to in (0..last).filter(|&to| to != from) {
                    match self.pool.copy(&frame) {
                        Some(copy) => self.legs[to].take(copy),
                        None => self.legs[to].counters.no_buffer += 1,
                    }
                }
                self.legs[last].take(frame);
            }
        }
    }
}

impl Leg {
    fn take(&mut self, frame: Mbuf) {
        if let Err(frame) = self.out.push(frame) {
            self.flush();
            let pushed = self.out.push(frame);
            assert!(pushed.is_ok(), "a flush leaves nothing behind");
        }
    }

    /// Hands over what the port takes now (S2).
    fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let all = self.out.len();
        while self.tx.transmit(&mut self.out) > 0 && !self.out.is_empty() {}
        let left = self.out.clear();
        self.counters.sent += (all - left) as u64;
        self.counters.full += left as u64;
    }
}
