//! The server endpoint for a single server: whole requests out of packets, packets out of answers.
//!
//! Feed it ([`Server::receive`], [`Server::answer`], [`Server::refuse`], [`Server::tick`]), then drain
//! [`Server::poll_transmit`]. It ACKs long plain requests, asks clients for missing packets of their long requests, paces
//! long answers and keeps them for whoever wants packets again. It knows no repetitions: what a request does twice, it
//! does twice. The replica of HovercRaft uses the same parts one by one.
//!
//! Invariant S1: answers that wait to be sent are bounded; one above that is dropped and counted, and the client repeats
//! its request.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::Instant;
use crate::ack::Wanted;
use crate::answer::{self, AnswerForm, Short};
use crate::buffer::{Body, Pool};
use crate::client::Transmit;
use crate::drops::{DropCounters, DropReason};
use crate::fragment::{EXTENDED_PAYLOAD, Form, Head};
use crate::header::{MessageKind, Place};
use crate::opening::OpeningReply;
use crate::pacing::{self, LongSends};
use crate::packet::Packet;
use crate::random::Random;
use crate::reassembly::{self, Arrived, Progress, Reassembly, Request};
use crate::refusal::Refusal;

/// Bounds of a [`Server`].
#[derive(Clone, Copy, Debug)]
pub struct ServerConfig {
    /// Bounds for long requests.
    pub reassembly: reassembly::Settings,
    /// Bounds for long answers.
    pub pacing: pacing::Settings,
    /// Bytes of buffers for requests and answers.
    pub pool_bytes: usize,
    /// Answers of one packet that may wait to be sent.
    pub queue_max: usize,
}

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    config: ServerConfig,
    reassembly: Reassembly,
    long: LongSends,
    pool: Pool,
    queue: VecDeque<Outgoing>,
    /// The answer being sent.
    sending: Option<Outgoing>,
    head: Head,
    asked: Vec<u8>,
    now: Instant,
    drops: DropCounters,
}

#[derive(Clone, Debug)]
enum Outgoing {
    Short(SocketAddr, Short),
    Answer(SocketAddr, Head, Body),
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            reassembly: reassembly::Settings::default(),
            pacing: pacing::Settings::default(),
            pool_bytes: 256 << 20,
            queue_max: 4_096,
        }
    }
}

impl Server {
    /// A server without work.
    #[must_use]
    pub fn new(config: ServerConfig, seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            config,
            reassembly: Reassembly::new(config.reassembly, random.next()),
            long: LongSends::new(config.pacing, random.next()),
            pool: Pool::new(config.pool_bytes),
            queue: VecDeque::with_capacity(config.queue_max),
            sending: None,
            head: answer::wanted(0, 0),
            asked: vec![0; EXTENDED_PAYLOAD],
            now: Instant::ZERO,
            drops: DropCounters::default(),
        }
    }

    /// Takes a datagram that came from `from` and was surely not waiting before `not_before`; gives a request that is
    /// whole with it. Its body goes back with [`Self::give_back`].
    pub fn receive(
        &mut self,
        now: Instant,
        not_before: Instant,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<Request> {
        self.now = self.now.max(now);
        let packet = match Packet::parse(datagram) {
            Ok(packet) => packet,
            Err(error) => {
                self.drops.count(error);
                return None;
            }
        };
        match packet.header.kind {
            MessageKind::Request => {
                let arrived = Arrived { now, not_before, from: from.into() };
                match self.reassembly.request(arrived, &packet, &mut self.pool) {
                    Progress::Whole(request) => return Some(request),
                    Progress::Partial | Progress::Duplicate => self.acknowledge(from, &packet),
                    Progress::Dropped(_) => {}
                }
            }
            MessageKind::Ack => {
                if let Err(reason) = self.on_wanted(from, &packet) {
                    self.drops.count(reason);
                }
            }
            _ => self.drops.count(DropReason::Unexpected),
        }
        None
    }

    /// Sends the reply to a request that came from `to`, executed at log index `executed` (0 = outside a log).
    pub fn answer(
        &mut self,
        now: Instant,
        to: SocketAddr,
        form: AnswerForm,
        executed: u64,
        reply: &[u8],
    ) {
        self.now = self.now.max(now);
        let Some(body) = self.pool.copy(reply) else {
            self.drops.count(DropReason::PoolFull);
            return;
        };
        let form = form.response(executed);
        match form.packets(reply.len()) {
            Some(1) => self.queue_answer(to, &form, body),
            Some(_) => {
                if self.long.push(now, to, form, body.clone(), 0).is_err() {
                    self.drops.count(DropReason::TableFull);
                }
                self.pool.give_back(body);
            }
            None => {
                self.drops.count(DropReason::TooLong);
                self.pool.give_back(body);
            }
        }
    }

    /// Tells a client its new session.
    pub fn opened(
        &mut self,
        to: SocketAddr,
        nonce: u64,
        session: u64,
        executed: u64,
        reply: OpeningReply,
    ) {
        self.queue_short(to, answer::opened(session, nonce, executed, reply));
    }

    /// Refuses a request that came from `to`.
    pub fn refuse(&mut self, to: SocketAddr, form: AnswerForm, refusal: Refusal) {
        self.queue_short(to, form.refusal(refusal));
    }

    /// Takes a request's body back when it has been served.
    pub fn give_back(&mut self, body: Body) {
        self.pool.give_back(body);
    }

    /// Time has passed. Harmless when early.
    pub fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.reassembly.expire(now, &mut self.pool);
        self.long.expire(now);
    }

    /// When [`Self::tick`] and [`Self::poll_transmit`] next have something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let requests = [self.reassembly.deadline(), self.reassembly.ask_deadline()];
        requests.into_iter().chain([self.long.deadline()]).flatten().min()
    }

    /// The next packet to send; called until there is none.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if let Some(Outgoing::Answer(_, _, body)) = self.sending.take() {
            self.pool.give_back(body);
        }
        if let Some(next) = self.queue.pop_front() {
            return Some(match self.sending.insert(next) {
                Outgoing::Short(to, short) => Transmit { to: *to, head: short, tail: &[] },
                Outgoing::Answer(to, head, body) => Transmit { to: *to, head, tail: body },
            });
        }
        if let Some(ask) = self.reassembly.poll_wanted(self.now, &mut self.asked) {
            self.head = answer::wanted(ask.session, ask.number);
            let tail = &self.asked[..ask.len];
            return Some(Transmit { to: ask.to.socket(), head: &self.head, tail });
        }
        let paced = self.long.poll(self.now)?;
        self.head = paced.head;
        Some(Transmit { to: paced.to, head: &self.head, tail: paced.payload })
    }

    /// Packets and answers that had no effect, by reason.
    #[must_use]
    pub fn drops(&self) -> DropCounters {
        let mut drops = self.drops;
        drops.add(self.reassembly.drops());
        drops
    }

    /// The first packet of a long plain request, new or again, is ACKed (wire.md 1.4).
    fn acknowledge(&mut self, to: SocketAddr, packet: &Packet<'_>) {
        if packet.extension.is_none() && matches!(packet.header.place, Place::First { .. }) {
            self.queue_short(to, answer::ack(packet.header.request_id));
        }
    }

    fn on_wanted(&mut self, from: SocketAddr, packet: &Packet<'_>) -> Result<(), DropReason> {
        let extension = packet.extension.filter(|extension| extension.flags.wanted);
        let extension = extension.ok_or(DropReason::Unexpected)?;
        let wanted = Wanted::parse(packet.payload)?;
        let (session, number) = (extension.session, extension.number);
        let held = self.long.wanted(self.now, from, session, number, wanted);
        if held { Ok(()) } else { Err(DropReason::NotHeld) }
    }

    fn queue_answer(&mut self, to: SocketAddr, form: &Form, body: Body) {
        let fragment = form.fragment(0, body.len());
        match fragment.filter(|_| self.queue.len() < self.config.queue_max) {
            Some(fragment) => self.queue.push_back(Outgoing::Answer(to, fragment.head, body)),
            None => {
                self.drops.count(DropReason::TableFull);
                self.pool.give_back(body);
            }
        }
    }

    fn queue_short(&mut self, to: SocketAddr, short: Short) {
        if self.queue.len() < self.config.queue_max {
            self.queue.push_back(Outgoing::Short(to, short));
        } else {
            self.drops.count(DropReason::TableFull);
        }
    }
}
