//! A thread's queue on a simulated network: the same driver code runs on it as on the other back ends.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::network::{EndpointId, SimNetwork};
use crate::backend::{Arrival, BackendCounters, Instant, Queue};

/// Packets of one call of [`Queue::receive`].
const BURST: usize = 32;

/// The longest packet that is taken, in bytes, as in [`crate::udp`].
pub(super) const PACKET_MAX: usize = 2_048;

/// One endpoint's queue. Its clock is the network's; it never waits.
#[derive(Debug)]
pub struct SimQueue {
    network: Arc<Mutex<SimNetwork>>,
    endpoint: EndpointId,
    receives: bool,
    /// Taken and not yet flushed: destination and end of its bytes in `bytes`.
    packets: Vec<(SocketAddr, usize)>,
    bytes: Vec<u8>,
    received: u64,
    sent: u64,
    dropped_send: u64,
}

impl SimQueue {
    /// The queue of an endpoint.
    #[must_use]
    pub fn new(network: &Arc<Mutex<SimNetwork>>, endpoint: EndpointId) -> Self {
        Self {
            network: Arc::clone(network),
            endpoint,
            receives: true,
            packets: Vec::new(),
            bytes: Vec::new(),
            received: 0,
            sent: 0,
            dropped_send: 0,
        }
    }

    /// A second queue that sends from the same address, for another thread; it receives nothing.
    #[must_use]
    pub fn transmit_queue(&self) -> Self {
        Self { receives: false, ..Self::new(&self.network, self.endpoint) }
    }

    fn network(&self) -> MutexGuard<'_, SimNetwork> {
        lock(&self.network)
    }
}

impl Queue for SimQueue {
    fn now(&self) -> Instant {
        self.network().now()
    }

    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize {
        if !self.receives {
            return 0;
        }
        for count in 0..BURST {
            // Not locked while `take` runs: it may use the network.
            let Some(delivery) = self.network().pop_waiting(self.endpoint) else { return count };
            take(delivery.arrival());
            self.received += 1;
            self.network().recycle(delivery);
        }
        BURST
    }

    fn send(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        if head.len() + tail.len() > PACKET_MAX {
            self.dropped_send += 1;
            return false;
        }
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(tail);
        self.packets.push((to, self.bytes.len()));
        true
    }

    fn flush(&mut self) {
        let mut network = lock(&self.network);
        let now = network.now();
        let mut begin = 0;
        for &(to, end) in &self.packets {
            network.send(now, self.endpoint, to, &self.bytes[begin..end]);
            begin = end;
        }
        self.sent += self.packets.len() as u64;
        self.packets.clear();
        self.bytes.clear();
    }

    /// Returns at once: here the test moves the time.
    fn wait(&mut self, _for_at_most: Duration) {}

    fn counters(&self) -> BackendCounters {
        let endpoint = self.network().endpoint_counters(self.endpoint);
        BackendCounters {
            received: self.received,
            sent: self.sent,
            dropped_receive: if self.receives { endpoint.dropped_receive } else { 0 },
            dropped_send: self.dropped_send,
        }
    }
}

/// A panic elsewhere leaves the network as it was between two packets: still good.
fn lock(network: &Mutex<SimNetwork>) -> MutexGuard<'_, SimNetwork> {
    network.lock().unwrap_or_else(PoisonError::into_inner)
}
