//! One thread's connections to the cluster: a socket and a session each, waited for together; or one on another queue.
//!
//! Invariants:
//! - X1. Every connection takes a turn at least once per `Connections::tick`, and at once when a packet is there.
//! - X2. Requests are spread over the connections in turn; one whose window is full is passed over.

use core::net::SocketAddr;
use core::time::Duration;
use std::thread;

use dataplane::backend::{Instant, Queue};
use hovercraft_client::{Client, Completion, ConnectError, Options, SubmitError};
use hovercraft_config::Cluster;
use r2p2::drops::DropReason;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use thiserror::Error;

use crate::measure::PacketCounts;
use crate::random::{Purpose, stream_seed};
use crate::workload::Kind;

/// Sockets that one look finds ready, at most; the rest are found by the next.
const READY_MAX: usize = 64;

/// Why a thread has no connections.
#[derive(Debug, Error)]
pub enum ConnectionsError {
    /// A connection could not be made.
    #[error("connection {place}: {source}")]
    Connect {
        /// Which one of this thread, from 0.
        place: u32,
        /// Why.
        source: ConnectError,
    },
    /// DPDK, or that this program is without it.
    #[error("--dpdk: {0}")]
    Dpdk(String),
    /// The system cannot watch the sockets.
    #[error("cannot wait for the sockets: {0}; raise the limit of open files (`ulimit -n`)")]
    Watch(#[from] Errno),
}

/// A client on whichever back end.
pub type AnyClient = Client<Box<dyn Queue>>;

/// One thread's connections.
pub struct Connections {
    clients: Vec<AnyClient>,
    /// Watches the sockets; none for the only connection, on a queue that has no socket.
    watch: Option<OwnedFd>,
    events: Vec<epoll::Event>,
    /// Places of the clients that have a packet to read.
    ready: Vec<usize>,
    /// Place of the client that the next request goes to.
    next: usize,
    /// Clients that have something to hand to the network.
    unflushed: Vec<usize>,
    tick: Duration,
    ticked_at: Instant,
    /// Of all clients, when last asked.
    seen: Packets,
}

/// What clients did beside sending each request once. Totals.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Packets {
    /// Refusals after which a request is repeated (NACKs).
    pub nacks: u64,
    /// Requests sent again.
    pub retries: u64,
}

impl Connections {
    /// Connects `count` clients for `thread`; `tick` bounds how late a repetition may be.
    ///
    /// # Errors
    ///
    /// [`ConnectionsError`] for the first that cannot be made.
    pub fn open(
        cluster: &Cluster,
        options: &Options,
        (seed, thread): (u64, u32),
        count: u32,
        tick: Duration,
    ) -> Result<Self, ConnectionsError> {
        let watch = epoll::create(CreateFlags::CLOEXEC)?;
        let mut clients = Vec::new();
        for place in 0..count {
            // Connections of a thread differ in what they draw, too.
            let seed = stream_seed(seed ^ u64::from(place) << 32, thread, Purpose::Endpoint);
            let options = Options { seed: Some(seed), ..*options };
            let refused = |source| ConnectionsError::Connect { place, source };
            let socket = Client::socket(cluster, &options).map_err(refused)?;
            epoll::add(&watch, &socket, EventData::new_u64(place.into()), EventFlags::IN)?;
            let address = socket.own();
            let client = Client::on(Box::new(socket) as _, address, cluster, &options);
            clients.push(client.map_err(refused)?);
        }
        Ok(Self::of(clients, Some(watch), tick))
    }

    /// The only connection of the only thread, on a queue that sends from `address`. `tick` as in [`Self::open`].
    ///
    /// # Errors
    ///
    /// [`ConnectionsError`] when nobody answers.
    pub fn on(
        queue: Box<dyn Queue>,
        address: SocketAddr,
        cluster: &Cluster,
        options: &Options,
        tick: Duration,
    ) -> Result<Self, ConnectionsError> {
        let client = Client::on(queue, address, cluster, options);
        let client = client.map_err(|source| ConnectionsError::Connect { place: 0, source })?;
        Ok(Self::of(vec![client], None, tick))
    }

    fn of(clients: Vec<AnyClient>, watch: Option<OwnedFd>, tick: Duration) -> Self {
        let mut connections = Self {
            clients,
            watch,
            events: Vec::with_capacity(READY_MAX),
            ready: Vec::new(),
            next: 0,
            unflushed: Vec::new(),
            tick,
            ticked_at: Instant::ZERO,
            seen: Packets::default(),
        };
        // What opening the sessions took is no part of the load.
        let _opening = connections.new_packets();
        connections
    }

    /// Sends a request over the next connection that has room (X2), to be flushed; which one that was. `None` when all
    /// windows are full.
    ///
    /// # Panics
    ///
    /// When the request is too long: the plan was checked.
    pub fn submit(&mut self, kind: Kind, body: &[u8], tag: u64) -> Option<usize> {
        let kind = match kind {
            Kind::Write => hovercraft_client::Kind::Write,
            Kind::Read => hovercraft_client::Kind::Read,
        };
        for _ in 0..self.clients.len() {
            let place = self.next;
            self.next = (place + 1) % self.clients.len();
            match self.clients[place].submit(kind, body, tag) {
                Ok(_) => {
                    if self.unflushed.last() != Some(&place) {
                        self.unflushed.push(place);
                    }
                    return Some(place);
                }
                Err(SubmitError::Full) => {}
                Err(error @ SubmitError::TooLarge { .. }) => {
                    unreachable!("the plan bounds requests by the cluster's limit: {error}")
                }
            }
        }
        None
    }

    /// Hands what was submitted to the network.
    pub fn flush(&mut self) {
        for place in self.unflushed.drain(..) {
            self.clients[place].flush();
        }
    }

    /// Waits at most `for_at_most` for a packet, then lets every connection that has something to do take a turn (X1)
    /// and gives each completion, with its connection's place, to `take`. Whether this was a tick, at which all did.
    pub fn turn(&mut self, for_at_most: Duration, mut take: impl FnMut(usize, Completion)) -> bool {
        let now = self.clients[0].now();
        let ticks = now >= self.ticked_at + self.tick;
        if ticks {
            self.ticked_at = now;
            self.ready.clear();
            self.ready.extend(0..self.clients.len());
        } else {
            let next_tick = (self.ticked_at + self.tick).saturating_sub(now);
            self.look(for_at_most.min(next_tick));
        }
        for place in self.ready.drain(..) {
            let client = &mut self.clients[place];
            client.turn();
            while let Some(completion) = client.next_completion() {
                take(place, completion);
            }
        }
        ticks
    }

    /// Waits until `moment`, whatever comes; sends nothing.
    pub fn rest_until(&mut self, moment: Instant) {
        loop {
            let left = moment.saturating_sub(self.clients[0].now());
            if left.is_zero() {
                return;
            }
            match self.watch {
                Some(_) => thread::sleep(left),
                // Whoever carries the packets of such a queue may be waiting with us.
                None => self.clients[0].wait(left),
            }
        }
    }

    /// What clients did since this was asked last.
    pub fn new_packets(&mut self) -> Packets {
        let sum = |sum: Packets, client: &AnyClient| {
            let counters = client.counters();
            Packets {
                nacks: sum.nacks + counters.backed_off,
                retries: sum.retries + counters.repeated,
            }
        };
        let now = self.clients.iter().fold(Packets::default(), sum);
        let new = Packets {
            nacks: now.nacks - self.seen.nacks,
            retries: now.retries - self.seen.retries,
        };
        self.seen = now;
        new
    }

    /// What became of packets, all clients together. Asks the kernel: for the end of a run.
    #[must_use]
    pub fn packet_counts(&self) -> PacketCounts {
        let mut sum = PacketCounts::default();
        for client in &self.clients {
            let (packets, drops) = (client.packets(), client.drops());
            let second_answers = drops.get(DropReason::SecondAnswer);
            sum += PacketCounts {
                lost_receiving: packets.dropped_receive,
                lost_sending: packets.dropped_send,
                second_answers,
                ignored: drops.total() - second_answers,
            };
        }
        sum
    }

    /// The client at this place.
    #[must_use]
    pub fn client(&self, place: usize) -> &AnyClient {
        &self.clients[place]
    }

    /// Closes all sessions, waiting at most `timeout` for each. When one cannot be closed nobody answers: the others are
    /// left to expire, too.
    pub fn close(self, timeout: Duration) {
        let _all = self.clients.into_iter().all(|client| client.close(timeout));
    }

    /// Fills `ready` with the clients that have a packet to read.
    fn look(&mut self, for_at_most: Duration) {
        self.ready.clear();
        let Some(watch) = &self.watch else {
            self.ready.push(0);
            if !for_at_most.is_zero() {
                self.clients[0].wait(for_at_most);
            }
            return;
        };
        let timeout = Timespec {
            tv_sec: for_at_most.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: for_at_most.subsec_nanos().into(),
        };
        self.events.clear();
        match epoll::wait(watch, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) => {
                let places = self.events.iter().map(|event| event.data.u64());
                self.ready.extend(places.filter_map(|place| usize::try_from(place).ok()));
            }
            // A signal; or a kernel that cannot: then every turn looks at every socket.
            Err(_) => self.ready.extend(0..self.clients.len()),
        }
    }
}
