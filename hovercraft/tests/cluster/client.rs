//! A client of the simulation: r2p2's endpoint under a random workload, its history kept for the check.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use dataplane::sim::{EndpointId, SimNetwork};
use history_checker::history::{Operation, OperationKind, OperationOutcome};
use kv::Request;
use r2p2::client::{Client, ClientConfig, Event, Mode};
use r2p2::header::Policy;
use r2p2::refusal::Reason;

use crate::cluster::micros;
use crate::random::Random;

/// What a client does all day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// In sessions, or as a plain client.
    pub(crate) mode: Mode,
    /// Requests that it has open at a time.
    pub(crate) open_max: usize,
    /// Keys that it chooses among.
    pub(crate) keys: u64,
    /// Reads among its requests, in percent.
    pub(crate) reads: u64,
    /// Longest pause between two requests.
    pub(crate) pause: Duration,
    /// Bytes of the values that it puts now and then; 0 = never a long one.
    pub(crate) long_value: usize,
    /// After this it gives a request up.
    pub(crate) give_up_after: Duration,
}

pub(crate) struct SimClient {
    pub(crate) endpoint: EndpointId,
    own: SocketAddr,
    pub(crate) client: Client,
    pub(crate) habits: Habits,
    random: Random,
    next_at: Duration,
    open: BTreeMap<u64, Open>,
    next_tag: u64,
    pub(crate) history: Vec<Operation>,
    pub(crate) stopping: bool,
    name: u64,
}

struct Open {
    body: Vec<u8>,
    kind: OperationKind,
    invoked: Duration,
    session: u64,
}

impl SimClient {
    pub(crate) fn new(
        name: u64,
        seed: u64,
        endpoint: EndpointId,
        own: SocketAddr,
        config: ClientConfig,
        habits: Habits,
        now: Duration,
    ) -> Self {
        let mut random = Random::new(seed ^ name.wrapping_mul(0x1234_5678_9ABC_DEF1));
        let config = ClientConfig {
            mode: habits.mode,
            open_max: habits.open_max,
            retry_after: Duration::from_millis(20),
            give_up_after: habits.give_up_after,
            ..config
        };
        Self {
            endpoint,
            own,
            client: Client::new(config, random.next(), now).unwrap(),
            habits,
            next_at: now + Duration::from_micros(random.below(5_000)),
            random,
            open: BTreeMap::new(),
            next_tag: 0,
            history: Vec::new(),
            stopping: false,
            name,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn deadline(&self) -> Duration {
        let own = self.client.deadline().unwrap_or(Duration::MAX);
        let may_ask = !self.stopping && self.open.len() < self.habits.open_max;
        if may_ask { own.min(self.next_at) } else { own }
    }

    pub(crate) fn receive(&mut self, now: Duration, from: SocketAddr, bytes: &[u8]) {
        self.client.receive(now, from, bytes);
        self.take_events(now);
    }

    pub(crate) fn step(&mut self, now: Duration, network: &mut SimNetwork) {
        let due = self.client.deadline().is_some_and(|at| at <= now);
        if due {
            self.client.tick(now);
        }
        self.take_events(now);
        while !self.stopping && self.next_at <= now && self.open.len() < self.habits.open_max {
            self.ask(now);
        }
        while let Some(packet) = self.client.poll_transmit() {
            let bytes = [packet.head, packet.tail].concat();
            network.send(now, self.endpoint, packet.to, &bytes);
        }
    }

    /// Puts one value, beside its habits.
    pub(crate) fn put(&mut self, now: Duration, key: &[u8], value: &[u8]) {
        let mut body = Vec::new();
        Request::Put { key, value }.encode(&mut body).unwrap();
        self.submit(now, body, OperationKind::Write);
    }

    /// Asks for everything.
    pub(crate) fn scan(&mut self, now: Duration) {
        let mut body = Vec::new();
        Request::FULL_SCAN.encode(&mut body).unwrap();
        self.submit(now, body, OperationKind::Read);
    }

    fn ask(&mut self, now: Duration) {
        let mut body = Vec::new();
        let kind = self.draw(&mut body);
        let pause = 1 + micros(self.habits.pause);
        self.next_at = now + Duration::from_micros(1 + self.random.below(pause));
        self.submit(now, body, kind);
    }

    fn submit(&mut self, now: Duration, body: Vec<u8>, kind: OperationKind) {
        let policy = match kind {
            OperationKind::Read => Policy::ReplicatedRead,
            OperationKind::Write => Policy::Replicated,
        };
        let tag = self.next_tag;
        if self.client.submit(now, policy, &body, tag).is_ok() {
            let session = self.client.session().unwrap_or(0);
            self.open.insert(tag, Open { body, kind, invoked: now, session });
            self.next_tag += 1;
        }
    }

    fn draw(&mut self, body: &mut Vec<u8>) -> OperationKind {
        let key = format!("k{}", self.random.below(self.habits.keys));
        let key = key.as_bytes();
        let mut value = format!("{}.{}", self.name, self.next_tag).into_bytes();
        if self.habits.long_value > 0 && self.random.chance(5) {
            value.resize(self.habits.long_value, b'v');
        }
        let read = self.random.chance(self.habits.reads);
        let request = match self.random.below(10) {
            0 if read => Request::Scan { from: b"", limit: 5 },
            _ if read => Request::Get { key },
            0 => Request::Delete { key },
            1..=3 => Request::Append { key, suffix: &value[..value.len().min(16)] },
            4..=6 => Request::Increment { key: b"count", by: 1 },
            _ => Request::Put { key, value: &value },
        };
        request.encode(body).unwrap();
        if read { OperationKind::Read } else { OperationKind::Write }
    }

    fn take_events(&mut self, now: Duration) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::SessionOpened { session, .. } => {
                    // What was submitted before goes out in this session.
                    for open in self.open.values_mut().filter(|open| open.session == 0) {
                        open.session = session;
                    }
                }
                Event::Answered { tag, number, executed, body, .. } => {
                    let outcome = OperationOutcome::Answered;
                    self.finish(tag, number, outcome, Some(now), executed, &body);
                }
                Event::Refused { tag, number, reason } => {
                    let known = matches!(reason, Reason::AboveWindow | Reason::UnknownSession);
                    let outcome =
                        if known { OperationOutcome::Refused } else { OperationOutcome::Unknown };
                    self.finish(tag, number, outcome, known.then_some(now), 0, &[]);
                }
                Event::Unknown { tag, number } => {
                    self.finish(tag, number, OperationOutcome::Unknown, None, 0, &[]);
                }
                Event::NotSent { tag, .. } => {
                    self.open.remove(&tag);
                }
                Event::SessionLost { .. } | Event::Closed => {}
            }
        }
    }

    fn finish(
        &mut self,
        tag: u64,
        number: u64,
        outcome: OperationOutcome,
        completed: Option<Duration>,
        index: u64,
        reply: &[u8],
    ) {
        let open = self.open.remove(&tag).expect("an event of a request that is open");
        let plain = self.habits.mode != Mode::Session;
        self.history.push(Operation {
            client: self.name,
            session: if plain { 0 } else { open.session },
            number,
            address: plain.then_some(self.own),
            kind: open.kind,
            invoked_us: micros(open.invoked),
            completed_us: completed.map(micros),
            outcome,
            index,
            request: open.body,
            reply: reply.to_vec(),
        });
    }
}
