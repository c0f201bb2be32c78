//! A client and a server with a channel between them, in virtual time and under a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use r2p2::Instant;
use r2p2::answer::AnswerForm;
use r2p2::client::{Client, Event};
use r2p2::opening::OpeningReply;
use r2p2::reassembly::Request;
use r2p2::refusal::{Reason, Refusal};
use r2p2::server::{Server, ServerConfig};

/// What the channel does to packets, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    /// Packets are this much late at most, beyond the 50 µs that all need.
    pub(crate) late_us: u64,
}

/// One client, one server that counts what it executes, and the packets between them.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) client: Client,
    pub(crate) server: Server,
    pub(crate) weather: Weather,
    /// What the service answers: bytes, or a refusal.
    pub(crate) serve: fn(&[u8]) -> Result<Vec<u8>, Refusal>,
    /// Requests executed, by session and number, and how often.
    pub(crate) executed: BTreeMap<(u64, u64), u32>,
    /// Replies kept for repetitions, as a session table does.
    replies: BTreeMap<(u64, u64), Result<Vec<u8>, Refusal>>,
    pub(crate) sessions: BTreeSet<u64>,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) packets: u64,
    /// Every packet sent.
    pub(crate) trace: Vec<Vec<u8>>,
    flying: BTreeMap<(Instant, u64), (bool, Vec<u8>)>,
    random: u64,
}

pub(crate) fn client_address() -> SocketAddr {
    "10.0.0.9:3000".parse().unwrap()
}

pub(crate) fn server_address() -> SocketAddr {
    "10.0.0.1:8000".parse().unwrap()
}

impl World {
    pub(crate) fn new(client: Client, config: ServerConfig, weather: Weather, seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            client,
            server: Server::new(config, seed),
            weather,
            serve: |body| Ok(body.to_vec()),
            executed: BTreeMap::new(),
            replies: BTreeMap::new(),
            sessions: BTreeSet::new(),
            events: Vec::new(),
            packets: 0,
            trace: Vec::new(),
            flying: BTreeMap::new(),
            random: seed | 1,
        }
    }

    /// Lets time pass until `end`, or until `enough` says so; false when it never did.
    pub(crate) fn run(&mut self, end: Instant, enough: impl Fn(&Self) -> bool) -> bool {
        loop {
            self.drain();
            if enough(self) {
                return true;
            }
            let arrival = self.flying.keys().next().map(|&(at, _)| at);
            let timers = [self.client.deadline(), self.server.deadline(), arrival];
            let Some(next) = timers.into_iter().flatten().min() else { return false };
            // A deadline in the past is one that a tick at this very moment did not settle.
            self.now = next.max(self.now + Duration::from_micros(1));
            if self.now > end {
                return false;
            }
            self.arrive();
            self.client.tick(self.now);
            self.server.tick(self.now);
        }
    }

    fn arrive(&mut self) {
        while let Some(entry) = self.flying.first_entry().filter(|e| e.key().0 <= self.now) {
            let (to_server, datagram) = entry.remove();
            if to_server {
                let from = client_address();
                if let Some(request) = self.server.receive(self.now, self.now, from, &datagram) {
                    self.execute(request);
                }
            } else {
                self.client.receive(self.now, server_address(), &datagram);
            }
        }
    }

    fn execute(&mut self, request: Request) {
        let to = request.client.socket();
        let form = AnswerForm::new(&request.id, request.plain);
        let (session, number) = (request.id.session, request.id.number);
        if request.flags.opens {
            let session = number ^ 0x5E55_1013;
            self.sessions.insert(session);
            let reply = OpeningReply { window: 4_096, expiry_ms: 60_000 };
            self.server.opened(to, number, session, 1, reply);
        } else if session != 0 && !self.sessions.contains(&session) {
            self.server.refuse(to, form, Refusal::new(Reason::UnknownSession));
        } else if request.flags.closes {
            self.sessions.remove(&session);
            self.server.answer(self.now, to, form, 2, &[]);
        } else {
            let (executed, serve) = (&mut self.executed, self.serve);
            let reply = self.replies.entry((session, number)).or_insert_with(|| {
                *executed.entry((session, number)).or_default() += 1;
                serve(&request.body)
            });
            match reply {
                Ok(reply) => self.server.answer(self.now, to, form, number + 100, reply),
                Err(refusal) => self.server.refuse(to, form, *refusal),
            }
        }
        self.server.give_back(request.body);
    }

    fn drain(&mut self) {
        let mut sent = Vec::new();
        while let Some(packet) = self.client.poll_transmit() {
            sent.push((true, [packet.head, packet.tail].concat()));
        }
        while let Some(packet) = self.server.poll_transmit() {
            sent.push((false, [packet.head, packet.tail].concat()));
        }
        for (to_server, datagram) in sent {
            self.transmit(to_server, &datagram);
        }
        while let Some(event) = self.client.poll_event() {
            self.events.push((self.now, event));
        }
    }

    fn transmit(&mut self, to_server: bool, datagram: &[u8]) {
        assert!(datagram.len() <= 1_472, "{} bytes do not fit a frame", datagram.len());
        self.trace.push(datagram.to_vec());
        let lost = self.one_in_thousand(self.weather.loss);
        let copies = if self.one_in_thousand(self.weather.duplication) { 2 } else { 1 };
        for _ in 0..if lost { 0 } else { copies } {
            let late = self.below(self.weather.late_us + 1);
            let at = self.now + Duration::from_micros(50 + late);
            self.packets += 1;
            self.flying.insert((at, self.packets), (to_server, datagram.to_vec()));
        }
    }

    fn one_in_thousand(&mut self, chance: u64) -> bool {
        self.below(1_000) < chance
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % bound
    }
}
