//! A switch in software between ports: learning, and copying to groups. What joins nodes that are processes of their own
//! (`net_vhost` here, `net_virtio_user` there), and where an aggregator or a middlebox will stand.
//!
//! ```no_run
//! use dataplane::dpdk::forward::Switch;
//! use dataplane::dpdk::port::{Device, PortConfig};
//! use dataplane::dpdk::queue::pools_for;
//! # fn run(eal: &dataplane::dpdk::Eal) -> Result<(), Box<dyn std::error::Error>> {
//! let mut switch = None;
//! for number in 0..3 {
//!     let device = Device::Added(format!("net_vhost{number},iface=/run/switch/{number},queues=1"));
//!     let config = PortConfig { promiscuous: true, tx_queues: 1, ..PortConfig::new(device) };
//!     let pools = pools_for(eal, &config, None)?;
//!     switch.get_or_insert_with(|| Switch::new(pools.receive.clone())).add(config, pools.receive)?;
//! }
//! let mut switch = switch.ok_or("no port")?;
//! loop {
//!     if switch.step() == 0 {
//!         std::thread::yield_now();
//!     }
//! }
//! # }
//! ```
//!
//! Invariants:
//! - S1. Where a frame goes, `learning.rs` says.
//! - S2. Every frame received is passed on or freed; each copy that a port did not take at once is freed and counted: a dead
//!   or slow node holds up nobody.

use super::learning::{Learned, Way};
use super::packet::{Burst, Mbuf, Pool};
use super::port::{Port, PortConfig, PortError, RxQueue, TxQueue};

/// Ports, and what goes between them. Whoever steps it moves the frames.
#[derive(Debug)]
pub struct Switch {
    /// Where copies come from.
    pool: Pool,
    legs: Vec<Leg>,
    learned: Learned,
    burst: Burst,
    counters: SwitchCounters,
}

#[derive(Debug)]
struct Leg {
    rx: RxQueue,
    tx: TxQueue,
    out: Burst,
    port: Port,
}

/// Totals of a switch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SwitchCounters {
    /// Frames that came.
    pub received: u64,
    /// Frames and copies that went out.
    pub sent: u64,
    /// Copies that a port did not take, or for which there was no buffer.
    pub dropped: u64,
}

impl Switch {
    /// A switch without ports, whose copies come from `pool`.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        let (legs, learned, burst) = (Vec::new(), Learned::default(), Burst::default());
        Self { pool, legs, learned, burst, counters: SwitchCounters::default() }
    }

    /// Opens a port that receives into `pool`, and joins it.
    ///
    /// # Errors
    ///
    /// [`PortError`]: what the device refused.
    pub fn add(&mut self, config: PortConfig, pool: Pool) -> Result<(), PortError> {
        let (port, rx, mut tx) = Port::open(config, vec![pool, self.pool.clone()])?;
        self.legs.push(Leg { rx, tx: tx.remove(0), out: Burst::default(), port });
        self.learned.add_end();
        Ok(())
    }

    /// The ports, in the order in which they were added.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.legs.iter().map(|leg| &leg.port)
    }

    /// Totals.
    #[must_use]
    pub fn counters(&self) -> SwitchCounters {
        self.counters
    }

    /// Reads a burst of each port and passes it on; returns how many frames came.
    pub fn step(&mut self) -> usize {
        let mut received = 0;
        for from in 0..self.legs.len() {
            let count = self.legs[from].rx.receive(&mut self.burst);
            if count == 0 {
                continue;
            }
            received += count;
            while let Some(frame) = self.burst.pop() {
                self.pass_on(from, frame);
            }
            for leg in &mut self.legs {
                leg.flush(&mut self.counters);
            }
        }
        self.counters.received += received as u64;
        received
    }

    fn pass_on(&mut self, from: usize, frame: Mbuf) {
        match self.learned.way(from, frame.first()) {
            Way::Nowhere => {}
            Way::One(to) => self.legs[to].take(frame, &mut self.counters),
            Way::Others => {
                for to in (0..self.legs.len()).filter(|&to| to != from) {
                    match self.pool.copy(&frame) {
                        Some(copy) => self.legs[to].take(copy, &mut self.counters),
                        None => self.counters.dropped += 1,
                    }
                }
            }
        }
    }
}

impl Leg {
    fn take(&mut self, frame: Mbuf, counters: &mut SwitchCounters) {
        if let Err(frame) = self.out.push(frame) {
            self.flush(counters);
            let pushed = self.out.push(frame);
            assert!(pushed.is_ok(), "a flush leaves nothing behind");
        }
    }

    /// Hands over what the port takes now (S2).
    fn flush(&mut self, counters: &mut SwitchCounters) {
        if self.out.is_empty() {
            return;
        }
        let all = self.out.len();
        while self.tx.transmit(&mut self.out) > 0 && !self.out.is_empty() {}
        let left = self.out.clear();
        counters.sent += (all - left) as u64;
        counters.dropped += left as u64;
    }
}
