//! A client of the simulation: r2p2's endpoint under a random workload, its history kept for the check.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use dataplane::sim::{EndpointId, SimNetwork};
use history_checker::history::{Operation, OperationKind, OperationOutcome};
use kv::Request;
use r2p2::client::{Client, ClientConfig, ClientCounters, Event, Mode};
use r2p2::header::Policy;
use r2p2::refusal::Reason;

use crate::random::{Random, micros};

/// What a client does all day.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// In sessions, or as a plain client.
    pub mode: Mode,
    /// Requests that it has open at a time.
    pub open_max: usize,
    /// Keys that it chooses among.
    pub keys: u64,
    /// Reads among its requests, in percent.
    pub reads: u64,
    /// Longest pause between two requests.
    pub pause: Duration,
    /// Bytes of the values that it puts now and then; 0 = never a long one.
    pub long_value: usize,
    /// After this it gives a request up.
    pub give_up_after: Duration,
    /// First silence after which it repeats a request.
    pub retry_after: Duration,
    /// Sends to one node after the other instead of the group.
    pub at_nodes: bool,
    /// A plain client that begins with the same id as others.
    pub same_ids: bool,
    /// It gives a request up long before its session can expire, by whatever clock.
    pub gives_up_first: bool,
    /// Some client of the run is plain: values that it may read fit a packet. Two executions of a repeated read at one node give two
    /// answers that the plain wire cannot tell apart (HC3d: no place for the index); of one packet each, either will do.
    pub short_answers: bool,
}

impl Habits {
    /// A session, a few requests open at a time, no long values: for tests.
    pub const USUAL: Self = Self {
        mode: Mode::Session,
        open_max: 4,
        keys: 8,
        reads: 40,
        pause: Duration::from_millis(1),
        long_value: 0,
        give_up_after: Duration::from_secs(3),
        retry_after: Duration::from_millis(20),
        at_nodes: false,
        same_ids: false,
        gives_up_first: true,
        short_answers: false,
    };
}

/// One client process after the other at one address.
pub struct SimClient {
    /// Where it is on the network.
    pub endpoint: EndpointId,
    own: SocketAddr,
    config: ClientConfig,
    client: Client,
    /// What it does.
    pub habits: Habits,
    random: Random,
    seed: u64,
    next_at: Duration,
    open: BTreeMap<u64, Open>,
    next_tag: u64,
    /// What it asked and learned.
    pub history: Vec<Operation>,
    /// Asks nothing more of itself.
    pub stopping: bool,
    name: u64,
    /// Tags whose bodies a checker has not taken yet.
    fresh: Vec<u64>,
    /// Requests answered to earlier processes.
    past: u64,
    /// Since when each process after the first asks.
    lives: Vec<Duration>,
    /// Requests to make at once.
    burst: u16,
    /// It stands still until then.
    pub paused_until: Duration,
}

struct Open {
    body: Vec<u8>,
    kind: OperationKind,
    invoked: Duration,
    session: u64,
    number: u64,
}

impl SimClient {
    /// A client called `name`, which asks in its own time what `seed` says.
    ///
    /// # Errors
    ///
    /// The configuration makes no client.
    pub fn new(
        name: u64,
        seed: u64,
        (endpoint, own): (EndpointId, SocketAddr),
        config: ClientConfig,
        habits: Habits,
        now: Duration,
    ) -> Result<Self, r2p2::client::ConfigError> {
        let mut random = Random::new(seed ^ name.wrapping_mul(0x1234_5678_9ABC_DEF1));
        let config = ClientConfig {
            mode: habits.mode,
            open_max: habits.open_max,
            // A server without a log knows no repetitions.
            tries_max: if habits.mode == Mode::Sessionless { 1 } else { config.tries_max },
            retry_after: habits.retry_after,
            retry_max: habits.retry_after.max(config.retry_max),
            give_up_after: habits.give_up_after,
            ..config
        };
        // Plain clients' ids begin at the same one, or anywhere.
        let drawn = random.draw();
        let seed = if habits.same_ids { seed } else { drawn };
        Ok(Self {
            endpoint,
            own,
            client: Client::new(config.clone(), seed, now)?,
            config,
            habits,
            next_at: now + random.time_below(Duration::from_millis(5)),
            random,
            seed,
            open: BTreeMap::new(),
            next_tag: 0,
            history: Vec::new(),
            stopping: false,
            name,
            fresh: Vec::new(),
            past: 0,
            lives: Vec::new(),
            burst: 0,
            paused_until: Duration::ZERO,
        })
    }

    /// Whether nothing that it asked is open.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// What its present process counts.
    #[must_use]
    pub fn counters(&self) -> &ClientCounters {
        self.client.counters()
    }

    /// Requests answered to all its processes.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.past + self.client.counters().answered
    }

    /// Whether it used the ids of plain clients beyond the last one, and began again at the first.
    #[must_use]
    pub fn wrapped(&self) -> bool {
        let plain = self.habits.mode == Mode::Plain;
        plain && self.history.windows(2).any(|two| two[0].number > two[1].number + 60_000)
    }

    /// When it next has something to do.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        let own = self.client.deadline().unwrap_or(Duration::MAX);
        let may_ask = !self.stopping && self.open.len() < self.habits.open_max;
        let next = if may_ask { own.min(self.next_at) } else { own };
        next.max(self.paused_until)
    }

    /// A packet came.
    pub fn receive(&mut self, now: Duration, from: SocketAddr, bytes: &[u8]) {
        self.client.receive(now, from, bytes);
        self.take_events(now);
    }

    /// Does what is due.
    pub fn step(&mut self, now: Duration, network: &mut SimNetwork) {
        if now < self.paused_until {
            return;
        }
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
    pub fn put(&mut self, now: Duration, key: &[u8], value: &[u8]) {
        self.submit(now, &Request::Put { key, value }, OperationKind::Write);
    }

    /// Asks for everything.
    pub fn scan(&mut self, now: Duration) {
        self.submit(now, &Request::FULL_SCAN, OperationKind::Read);
    }

    /// The next `count` requests follow each other without a pause.
    pub fn hurry(&mut self, now: Duration, count: u16) {
        self.burst = count;
        self.next_at = self.next_at.min(now.max(self.asks_from()));
    }

    /// The process ends, what it had open with it, and another one begins at the same address with the same numbers; a plain one
    /// when the ids of the one before are forgotten (HC7c).
    ///
    /// # Errors
    ///
    /// None: the configuration made a client before.
    pub fn begin_anew(&mut self, now: Duration) -> Result<(), r2p2::client::ConfigError> {
        for (_, open) in core::mem::take(&mut self.open) {
            let unknown = (OperationOutcome::Unknown, None);
            let number = open.number;
            // Without its session nothing was sent.
            if self.habits.mode != Mode::Session || open.session != 0 {
                self.note(open, number, unknown, 0, &[]);
            }
        }
        self.past += self.client.counters().answered;
        // A session's opening is told from others by its nonce.
        if self.habits.mode != Mode::Plain {
            self.seed = self.random.draw();
        }
        self.client = Client::new(self.config.clone(), self.seed, now)?;
        let forgotten = now + 2 * (self.config.plain_window + self.config.packet_life);
        self.next_at = if self.habits.mode == Mode::Session { now } else { forgotten };
        self.lives.push(self.next_at);
        self.name += 100;
        self.next_tag += 1 << 20;
        Ok(())
    }

    /// Since when its present process may ask: a plain one's ids are forgotten by then.
    #[must_use]
    pub fn asks_from(&self) -> Duration {
        self.lives.last().copied().unwrap_or_default()
    }

    /// Bodies submitted since this was asked last.
    pub fn take_submitted(&mut self, mut take: impl FnMut(&[u8])) {
        for tag in self.fresh.drain(..) {
            if let Some(open) = self.open.get(&tag) {
                take(&open.body);
            }
        }
    }

    /// Its address, with a port for each of its processes, whose plain ids are the same: `at` is when a request of it was ordered.
    #[must_use]
    pub fn address_at(&self, at: Duration) -> SocketAddr {
        let life = self.lives.iter().filter(|from| **from <= at).count();
        self.address_of(life)
    }

    /// Where it really is.
    #[must_use]
    pub fn own(&self) -> SocketAddr {
        self.own
    }

    fn address_of(&self, life: usize) -> SocketAddr {
        let life = u16::try_from(life).expect("few lives");
        SocketAddr::new(self.own.ip(), self.own.port() + life)
    }

    fn ask(&mut self, now: Duration) {
        let pause = if self.burst > 0 {
            self.burst -= 1;
            Duration::ZERO
        } else {
            self.random.time_below(self.habits.pause)
        };
        self.next_at = now + pause.max(Duration::from_micros(1));
        let key = format!("k{}", self.random.below(self.habits.keys));
        let key = key.as_bytes();
        let value = format!("{}.{}", self.name, self.next_tag).into_bytes();
        let read = self.random.chance(self.habits.reads);
        let kind = if read { OperationKind::Read } else { OperationKind::Write };
        let by = i64::try_from(self.next_tag).unwrap_or(1);
        let plain = self.habits.mode == Mode::Plain;
        let long = vec![b'v'; self.habits.long_value];
        let request = match self.random.below(10) {
            0 if read && !plain => Request::Scan { from: b"", limit: 5 },
            _ if read => Request::Get { key },
            _ if !long.is_empty() && self.random.chance(5) => {
                Request::Put { key: b"long", value: &[&value[..], &long[..]].concat() }
            }
            // Another life of a plain client may say the same under the same id: then nobody could tell the two apart.
            0 if !plain => Request::Delete { key },
            0..=3 if !self.habits.short_answers => {
                Request::Append { key, suffix: &value[..value.len().min(16)] }
            }
            4..=6 => Request::Increment { key: b"count", by },
            _ => Request::Put { key, value: &value },
        };
        self.submit(now, &request, kind);
    }

    fn submit(&mut self, now: Duration, request: &Request<'_>, kind: OperationKind) {
        let mut body = Vec::new();
        request.encode(&mut body).expect("short keys");
        let policy = match kind {
            OperationKind::Read => Policy::ReplicatedRead,
            OperationKind::Write => Policy::Replicated,
        };
        let tag = self.next_tag;
        if let Ok(number) = self.client.submit(now, policy, &body, tag) {
            let session = self.client.session().unwrap_or(0);
            self.open.insert(tag, Open { body, kind, invoked: now, session, number });
            self.fresh.push(tag);
            self.next_tag += 1;
        }
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
                    let known = (OperationOutcome::Answered, Some(now));
                    self.finish(tag, number, known, executed, &body);
                }
                Event::Refused { tag, number, reason } => {
                    // A session that ended meanwhile had executed it, perhaps.
                    let known = reason == Reason::UnknownSession && self.habits.gives_up_first;
                    let outcome = if known {
                        (OperationOutcome::Refused, Some(now))
                    } else {
                        (OperationOutcome::Unknown, None)
                    };
                    self.finish(tag, number, outcome, 0, &[]);
                }
                Event::Unknown { tag, number } => {
                    self.finish(tag, number, (OperationOutcome::Unknown, None), 0, &[]);
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
        outcome: (OperationOutcome, Option<Duration>),
        index: u64,
        reply: &[u8],
    ) {
        let open = self.open.remove(&tag).expect("HC3d: an event of a request that is open");
        self.note(open, number, outcome, index, reply);
    }

    fn note(
        &mut self,
        open: Open,
        number: u64,
        (outcome, completed): (OperationOutcome, Option<Duration>),
        index: u64,
        reply: &[u8],
    ) {
        let plain = self.habits.mode != Mode::Session;
        self.history.push(Operation {
            client: self.name,
            session: if plain { 0 } else { open.session },
            number,
            address: plain.then(|| self.address_of(self.lives.len())),
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
