//! A client of the simulation: one request at a time, in a session, repeated with the same id until it is answered.

use core::net::SocketAddr;
use core::time::Duration;

use dataplane::sim::{EndpointId, SimNetwork};
use history_checker::history::{Operation, OperationKind, OperationOutcome};
use kv::Request;
use r2p2::buffer::Pool;
use r2p2::extension::Flags;
use r2p2::fragment::Form;
use r2p2::header::{MessageKind, Policy};
use r2p2::packet::Packet;
use r2p2::reassembly::{Arrived, Progress, Reassembly, Settings};
use r2p2::refusal::{Reason, Refusal};

use crate::cluster::micros;
use crate::random::Random;

/// What a client does all day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
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
}

pub(crate) struct SimClient {
    pub endpoint: EndpointId,
    own: SocketAddr,
    targets: Vec<SocketAddr>,
    target: usize,
    habits: Habits,
    random: Random,
    session: u64,
    nonce: u64,
    number: u64,
    open: Option<Open>,
    next_at: Duration,
    pool: Pool,
    reassembly: Reassembly,
    pub history: Vec<Operation>,
    pub stopping: bool,
    pub second_answers: u64,
    pub nacks: u64,
    name: u64,
}

struct Open {
    body: Vec<u8>,
    kind: OperationKind,
    invoked: Duration,
    repeat_at: Duration,
    wait: Duration,
    tries: u32,
    opening: bool,
}

impl SimClient {
    pub(crate) fn new(
        name: u64,
        seed: u64,
        endpoint: EndpointId,
        own: SocketAddr,
        targets: Vec<SocketAddr>,
        habits: Habits,
    ) -> Self {
        let mut random = Random::new(seed ^ name.wrapping_mul(0x1234_5678_9ABC_DEF1));
        let settings = Settings { body_max: 2 << 20, ..Settings::default() };
        Self {
            endpoint,
            own,
            targets,
            target: 0,
            habits,
            session: 0,
            nonce: random.next(),
            number: 0,
            open: None,
            next_at: Duration::from_micros(random.below(5_000)),
            pool: Pool::new(16 << 20),
            reassembly: Reassembly::new(settings, seed),
            random,
            history: Vec::new(),
            stopping: false,
            second_answers: 0,
            nacks: 0,
            name,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    pub(crate) fn deadline(&self) -> Duration {
        match &self.open {
            Some(open) => open.repeat_at,
            None if self.stopping => Duration::MAX,
            None => self.next_at,
        }
    }

    pub(crate) fn step(&mut self, now: Duration, network: &mut SimNetwork) {
        if let Some(open) = &mut self.open {
            if open.repeat_at > now {
                return;
            }
            if !open.opening && now.checked_sub(open.invoked).unwrap() > self.habits.give_up_after {
                return self.finish(now, OperationOutcome::Unknown, 0, &[]);
            }
            open.tries += 1;
            open.repeat_at = now + open.wait;
            open.wait = (open.wait * 2).min(Duration::from_millis(320));
            self.target += usize::from(open.tries > 1);
            self.send(now, network);
        } else if !self.stopping && self.next_at <= now {
            self.begin(now);
            self.step(now, network);
        }
    }

    pub(crate) fn receive(&mut self, now: Duration, from: SocketAddr, bytes: &[u8]) {
        let Ok(packet) = Packet::parse(bytes) else { return };
        let Some(extension) = packet.extension else { return };
        let Some(open) = &self.open else {
            self.second_answers += u64::from(packet.header.kind == MessageKind::Response);
            return;
        };
        let expected = if open.opening { self.nonce } else { self.number };
        if extension.number != expected {
            self.second_answers += u64::from(packet.header.kind == MessageKind::Response);
            return;
        }
        match packet.header.kind {
            MessageKind::Response => {
                let arrived = Arrived { now, not_before: now, from: from.into() };
                let progress = self.reassembly.response(arrived, &packet, &mut self.pool);
                let Progress::Whole(answer) = progress else { return };
                if open.opening {
                    self.session = extension.session;
                    self.open = None;
                    self.next_at = now;
                } else {
                    let outcome = OperationOutcome::Answered;
                    self.finish(now, outcome, answer.executed, &answer.body);
                }
                self.pool.give_back(answer.body);
            }
            MessageKind::Drop => self.refused(now, &packet),
            _ => {}
        }
    }

    fn refused(&mut self, now: Duration, packet: &Packet<'_>) {
        let Ok(refusal) = Refusal::parse(packet.payload) else { return };
        match refusal.reason {
            Reason::Overload | Reason::NoLeader => self.nacks += 1,
            Reason::NotKept => self.finish(now, OperationOutcome::Unknown, 0, &[]),
            Reason::UnknownSession => {
                self.finish(now, OperationOutcome::Unknown, 0, &[]);
                (self.session, self.number, self.nonce) = (0, 0, self.random.next());
            }
            _ => self.finish(now, OperationOutcome::Refused, 0, &[]),
        }
    }

    fn finish(&mut self, now: Duration, outcome: OperationOutcome, index: u64, reply: &[u8]) {
        let Some(open) = self.open.take() else { return };
        let known = outcome != OperationOutcome::Unknown;
        if !open.opening {
            self.history.push(Operation {
                client: self.name,
                session: self.session,
                number: self.number,
                address: None,
                kind: open.kind,
                invoked_us: micros(open.invoked),
                completed_us: known.then(|| micros(now)),
                outcome,
                index,
                request: open.body,
                reply: reply.to_vec(),
            });
        }
        self.next_at =
            now + Duration::from_micros(self.random.below(1 + micros(self.habits.pause)));
    }

    fn begin(&mut self, now: Duration) {
        let opening = self.session == 0;
        let mut body = Vec::new();
        let mut kind = OperationKind::Write;
        if !opening {
            self.number += 1;
            kind = self.draw(&mut body);
        }
        self.open = Some(Open {
            body,
            kind,
            invoked: now,
            repeat_at: now,
            wait: Duration::from_millis(20),
            tries: 0,
            opening,
        });
    }

    fn draw(&mut self, body: &mut Vec<u8>) -> OperationKind {
        let key = format!("k{}", self.random.below(self.habits.keys));
        let key = key.as_bytes();
        let value = format!("{}.{}", self.name, self.number);
        let mut value = value.into_bytes();
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

    fn send(&mut self, now: Duration, network: &mut SimNetwork) {
        let Some(open) = &self.open else { return };
        let number = if open.opening { self.nonce } else { self.number };
        let form = Form::Request {
            session: self.session,
            number,
            above_floor: 0,
            policy: match open.kind {
                OperationKind::Read => Policy::ReplicatedRead,
                OperationKind::Write => Policy::Replicated,
            },
            flags: Flags { opens: open.opening, repeats: open.tries > 1, ..Flags::NONE },
        };
        let to = self.targets[self.target % self.targets.len()];
        let _ = self.own;
        for fragment in form.fragments(open.body.len()).unwrap() {
            let packet = [&fragment.head[..], &open.body[fragment.range]].concat();
            network.send(now, self.endpoint, to, &packet);
        }
    }
}
