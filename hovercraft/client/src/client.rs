//! The client itself: one queue of the data plane, one session.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use dataplane::backend::{BackendCounters, Instant, Queue};
use dataplane::udp::{Udp, UdpConfig};
use hovercraft_config::{Cluster, Group, Mode};
use r2p2::buffer::Body;
use r2p2::client::{Client as Endpoint, ClientConfig, ClientCounters, Event};
use r2p2::client::{Mode as Numbering, SubmitError as EndpointFull};
use r2p2::drops::DropCounters;
use r2p2::header::Policy;

use crate::error::{CallError, ConnectError, SubmitError};
use crate::local::address_towards;
use crate::options::Options;

/// Longest wait in one go, so that a clock that was wrong about a deadline costs little.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Bursts that one turn reads, at most: sending goes on under a flood of answers.
const BURSTS: usize = 4;

/// Whether a request may change state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// It may: executed by every node.
    Write,
    /// It only reads: ordered like a write, executed by the node that answers.
    Read,
}

/// A reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The service's bytes.
    pub body: Body,
    /// Log index at which the request was executed; 0 = outside the log, or not said (plain R2P2).
    pub index: u64,
    /// Who answered.
    pub from: SocketAddr,
}

/// How a request ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Completion {
    /// What [`Client::submit`] was given.
    pub tag: u64,
    /// The session under which it was sent; 0 = none.
    pub session: u64,
    /// The request's number, or a plain client's id.
    pub number: u64,
    /// Its reply, or why there is none.
    pub result: Result<Answer, CallError>,
    /// When that was known: read from the clock after the answer was read from the socket.
    pub at: Instant,
}

/// A client of one group, on kernel UDP unless it is given another queue. See the crate's documentation.
#[derive(Debug)]
pub struct Client<Q = Udp> {
    endpoint: Endpoint,
    queue: Q,
    /// Where requests come from.
    address: SocketAddr,
    /// Longest request that the cluster takes, in bytes.
    request_max: usize,
    /// Of a request.
    timeout: Duration,
    /// The session that events taken next speak of.
    session: u64,
    closed: bool,
    /// Taken from the endpoint and not yet given out.
    ready: VecDeque<Completion>,
}

impl Client {
    /// Binds a socket, and opens a session where there are sessions.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; without sessions it is not known whether anybody is there.
    pub fn connect(cluster: &Cluster, options: &Options) -> Result<Self, ConnectError> {
        let queue = Self::socket(cluster, options)?;
        let address = queue.own();
        Self::on(queue, address, cluster, options)
    }

    /// The socket that [`Self::connect`] would bind.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]
    pub fn socket(cluster: &Cluster, options: &Options) -> Result<Udp, ConnectError> {
        open_socket(group(cluster, options)?, options)
    }
}

impl<Q: Queue> Client<Q> {
    /// On a queue that sends from `address`, and receives what is sent there; opens a session where there are sessions.
    /// Of the options those of the socket, and its clock, are the queue's own matter.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; without sessions it is not known whether anybody is there.
    pub fn on(
        queue: Q,
        address: SocketAddr,
        cluster: &Cluster,
        options: &Options,
    ) -> Result<Self, ConnectError> {
        let group = group(cluster, options)?;
        let config = endpoint_config(group, options);
        let opens = config.mode == Numbering::Session;
        let seed = options.seed.unwrap_or_else(rand::random);
        let endpoint = Endpoint::new(config, seed, queue.now())?;
        let request_max = usize::try_from(group.limits.request_max).unwrap_or(usize::MAX);
        let request_max = request_max.min(endpoint.body_max());
        let timeout = options.request_timeout;
        let (session, closed, ready) = (0, false, VecDeque::with_capacity(options.open_max));
        let mut client =
            Self { endpoint, queue, address, request_max, timeout, session, closed, ready };
        if opens {
            client.open_session(options.connect_timeout)?;
        }
        Ok(client)
    }

    /// Sends a request and waits for its end. Requests that were submitted go on meanwhile, and their completions are
    /// kept for the next [`Self::poll`]. Takes up to two time-outs: one to be sent, one to be answered.
    ///
    /// # Errors
    ///
    /// [`CallError`]; [`CallError::may_have_been_executed`] says what may be concluded from it.
    pub fn call(&mut self, kind: Kind, body: &[u8]) -> Result<Answer, CallError> {
        let number = self.submit_within(self.timeout, kind, body)?;
        self.flush();
        let mut before = self.ready.len();
        loop {
            // Completions are looked at once each: others' stay in their order.
            let found = self.ready.iter().skip(before).position(|ready| ready.number == number);
            if let Some(completion) = found.and_then(|place| self.ready.remove(before + place)) {
                return completion.result;
            }
            before = self.ready.len();
            self.turn_or_wait(WAIT_MAX);
        }
    }

    /// Takes a request, to be sent at the next [`Self::flush`], [`Self::turn`] or [`Self::poll`]; `tag` comes back with
    /// its completion. Returns the request's number.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]: it was not taken.
    pub fn submit(&mut self, kind: Kind, body: &[u8], tag: u64) -> Result<u64, SubmitError> {
        let (len, max) = (body.len(), self.request_max);
        if len > max {
            return Err(SubmitError::TooLarge { len, max });
        }
        if self.endpoint.session().is_none() {
            return Err(SubmitError::Full);
        }
        let policy = match kind {
            Kind::Write => Policy::Replicated,
            Kind::Read => Policy::ReplicatedRead,
        };
        let now = self.queue.now();
        self.endpoint.submit(now, policy, body, tag).map_err(|error| match error {
            EndpointFull::TooLong { len, max } => SubmitError::TooLarge { len, max },
            EndpointFull::Full | EndpointFull::Closed => SubmitError::Full,
        })
    }

    /// Hands what was submitted, and what is due, to the network. Does not wait.
    pub fn flush(&mut self) {
        while let Some(packet) = self.endpoint.poll_transmit() {
            // A packet that could not be sent is like one that was lost: counted, and repeated.
            self.queue.send(packet.to, packet.head, packet.tail);
        }
        self.queue.flush();
    }

    /// Reads what has come, lets time pass, sends what is due. Does not wait.
    pub fn turn(&mut self) {
        let Self { endpoint, queue, .. } = self;
        for _ in 0..BURSTS {
            let now = queue.now();
            let received =
                queue.receive(&mut |packet| endpoint.receive(now, packet.from, packet.bytes));
            if received == 0 {
                break;
            }
        }
        // Read after the packets: no completion is told earlier than it happened.
        let now = queue.now();
        endpoint.tick(now);
        self.flush();
        while let Some(event) = self.endpoint.poll_event() {
            self.on_event(event, now);
        }
    }

    /// The next completion that an earlier [`Self::turn`] found.
    pub fn next_completion(&mut self) -> Option<Completion> {
        self.ready.pop_front()
    }

    /// Waits for a completion, at most for `timeout`; gives all there are.
    pub fn poll(&mut self, timeout: Duration) -> impl Iterator<Item = Completion> + '_ {
        let until = self.queue.now() + timeout;
        self.turn();
        while self.ready.is_empty() {
            let left = until.saturating_sub(self.queue.now());
            if left.is_zero() {
                break;
            }
            self.turn_or_wait(left);
        }
        self.ready.drain(..)
    }

    /// Waits until a packet is there, at most for `for_at_most`; [`Self::turn`] then reads it.
    pub fn wait(&mut self, for_at_most: Duration) {
        self.queue.wait(for_at_most);
    }

    /// When [`Self::turn`] next has something to do without a packet having come; `None` when nothing is under way.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.endpoint.deadline()
    }

    /// The time, by the clock of the options.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.queue.now()
    }

    /// The session; 0 without one.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.session
    }

    /// The address that requests come from.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests without an end.
    #[must_use]
    pub fn open(&self) -> usize {
        self.endpoint.open()
    }

    /// Totals of requests.
    #[must_use]
    pub fn counters(&self) -> &ClientCounters {
        self.endpoint.counters()
    }

    /// Packets that had no effect, by reason.
    #[must_use]
    pub fn drops(&self) -> DropCounters {
        self.endpoint.drops()
    }

    /// Totals of packets. Asks the kernel: not for every turn.
    #[must_use]
    pub fn packets(&self) -> BackendCounters {
        self.queue.counters()
    }

    /// Waits until the open requests have ended, and closes the session; gives up after `timeout`, and the session is
    /// then left to expire. Whether it was closed.
    pub fn close(mut self, timeout: Duration) -> bool {
        let until = self.queue.now() + timeout;
        self.endpoint.close(self.queue.now());
        self.turn();
        while !self.closed && self.queue.now() < until {
            self.turn_or_wait(until.saturating_sub(self.queue.now()));
        }
        self.closed
    }

    fn open_session(&mut self, timeout: Duration) -> Result<(), ConnectError> {
        let until = self.queue.now() + timeout;
        self.turn();
        while self.session == 0 {
            let left = until.saturating_sub(self.queue.now());
            if left.is_zero() {
                return Err(ConnectError::NoAnswer(timeout));
            }
            self.turn_or_wait(left);
        }
        Ok(())
    }

    /// Submits as soon as there is room: it comes with the end of other requests, or with a new session.
    fn submit_within(
        &mut self,
        timeout: Duration,
        kind: Kind,
        body: &[u8],
    ) -> Result<u64, CallError> {
        let until = self.queue.now() + timeout;
        loop {
            match self.submit(kind, body, 0) {
                Err(SubmitError::Full) if self.queue.now() < until => self.turn_or_wait(WAIT_MAX),
                Err(SubmitError::Full) => return Err(CallError::NotSent),
                other => return Ok(other?),
            }
        }
    }

    /// Waits for a packet, the endpoint's next moment or `at_most`; then takes a turn.
    fn turn_or_wait(&mut self, at_most: Duration) {
        let due = self.endpoint.deadline().map(|at| at.saturating_sub(self.queue.now()));
        let wait = due.unwrap_or(at_most).min(at_most).min(WAIT_MAX);
        if !wait.is_zero() {
            self.queue.wait(wait);
        }
        self.turn();
    }

    fn on_event(&mut self, event: Event, at: Instant) {
        let (tag, number, result) = match event {
            Event::SessionOpened { session, .. } => {
                self.session = session;
                return;
            }
            Event::SessionLost { .. } => return,
            Event::Closed => {
                self.closed = true;
                return;
            }
            Event::Answered { tag, number, executed, body, from } => {
                (tag, number, Ok(Answer { body, index: executed, from }))
            }
            Event::Refused { tag, number, reason } => {
                (tag, number, Err(CallError::Refused(reason)))
            }
            Event::Unknown { tag, number } => (tag, number, Err(CallError::Unknown)),
            Event::NotSent { tag, number } => (tag, number, Err(CallError::NotSent)),
        };
        let session = self.session;
        self.ready.push_back(Completion { tag, session, number, result, at });
    }
}

/// For a caller that waits for many clients at once: readable when [`Client::turn`] has a packet to read.
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

fn group<'a>(cluster: &'a Cluster, options: &Options) -> Result<&'a Group, ConnectError> {
    let (place, groups) = (options.group, cluster.groups.len());
    cluster.group(place).ok_or(ConnectError::NoGroup { place, groups })
}

fn open_socket(group: &Group, options: &Options) -> Result<Udp, ConnectError> {
    let members = group.members.iter().map(|member| member.data);
    let to = members.clone().next().or(group.multicast).unwrap_or(SocketAddr::from(([0; 4], 0)));
    let from = match options.from {
        Some(from) => from,
        None => address_towards(to).map_err(|cause| ConnectError::NoRoute { to, cause })?,
    };
    Ok(Udp::open(UdpConfig {
        receive_buffer: options.socket_buffer,
        send_buffer: options.socket_buffer,
        clock: options.clock,
        ..UdpConfig::new(SocketAddr::new(from, 0))
    })?)
}

fn endpoint_config(group: &Group, options: &Options) -> ClientConfig {
    let replicated = group.mode != Mode::Unreplicated;
    let mode = match (options.plain, replicated) {
        (true, _) => Numbering::Plain,
        (false, true) => Numbering::Session,
        (false, false) => Numbering::Sessionless,
    };
    let members = group.members.iter().map(|member| member.data);
    let defaults = ClientConfig::new(mode, members.collect());
    ClientConfig {
        group: group.multicast.filter(|_| group.mode == Mode::Hovercraft),
        open_max: options.open_max,
        retry_after: options.retry_after,
        retry_max: options.retry_max.max(options.retry_after),
        give_up_after: options.request_timeout,
        plain_window: group.limits.plain_window,
        // A repetition may wait on a node until its age reaches the unordered expiry: it has to be ordered within the window.
        packet_life: group.limits.packet_life + group.limits.unordered_expiry,
        ..defaults
    }
}
