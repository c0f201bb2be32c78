//! The client's queue: whoever waits on it, or looks what has come, steps everybody else meanwhile.
//!
//! So the load generator's own loop is the loop of all: it sends, flushes, takes a turn, and in each of its looks at the port
//! the nodes and the wire have had a round.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use dataplane::backend::{Arrival, BackendCounters, Instant, Queue};
use dataplane::dpdk::Dpdk;
use lancet_rs::connections::{Connections, ConnectionsError};
use lancet_rs::run::Opening;

use super::world::{Borrowed, Shelf};

/// UDP port of the client.
const PORT: u16 = 4_000;

/// A port of the wire, and all that is on it.
struct Stepping {
    port: Dpdk,
    world: Borrowed,
}

/// The connection of a load, which has the world until it ends.
///
/// # Errors
///
/// When the client has no port, or nobody answers.
pub(super) fn connect(
    shelf: &Shelf,
    opening: Opening<'_>,
) -> Result<Connections, ConnectionsError> {
    let Opening { plan, options, tick, .. } = opening;
    let open = || {
        let from = plan.from.context("the load has no address to send from")?;
        let own = SocketAddr::new(from, PORT);
        let mut world = shelf.borrow()?;
        let port = world.client(own, options.clock)?;
        anyhow::Ok((own, Stepping { port, world }))
    };
    let (own, queue) = open().map_err(|error| ConnectionsError::Dpdk(format!("{error:#}")))?;
    Connections::on(Box::new(queue), own, &plan.cluster, &options, tick)
}

impl Queue for Stepping {
    fn now(&self) -> Instant {
        self.port.now()
    }

    fn receive(&mut self, take: &mut dyn FnMut(Arrival<'_>)) -> usize {
        self.world.step();
        self.port.receive(take)
    }

    fn send(&mut self, to: SocketAddr, head: &[u8], tail: &[u8]) -> bool {
        self.port.send(to, head, tail)
    }

    fn send_all(&mut self, to: &[SocketAddr], head: &[u8], tail: &[u8]) -> usize {
        self.port.send_all(to, head, tail)
    }

    fn flush(&mut self) {
        self.port.flush();
    }

    /// Until somebody found something to do, which may be for us, or the time is over.
    fn wait(&mut self, for_at_most: Duration) {
        let end = self.now() + for_at_most;
        while !self.world.step() && self.now() < end {
            self.world.pause();
        }
    }

    fn counters(&self) -> BackendCounters {
        self.port.counters()
    }

    fn details(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.port.details(tell);
    }
}
