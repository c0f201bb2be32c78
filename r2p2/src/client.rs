//! The client endpoint: requests in, packets out, packets in, outcomes out. No socket, no clock, no thread.
//!
//! Feed it ([`Client::submit`], [`Client::receive`], [`Client::tick`]), then drain it: [`Client::poll_transmit`] until
//! there is nothing to send, [`Client::poll_event`] until nothing has happened; [`Client::deadline`] says when `tick`
//! next has something to do. In mode [`Mode::Session`] the session is opened by itself, and what is submitted meanwhile
//! waits.
//!
//! Invariants:
//! - C1. Every request taken ends in exactly one event of its own; a second answer is dropped and counted (HC3d).
//! - C2. A request keeps its number over all its tries; one whose outcome was reported is never sent again, and only
//!   then does the session's floor pass it (HC7b).
//! - C3. A refusal for overload is no answer: the request backs off and is repeated (HC10).
//! - C4. A request is never sent under another session than the one it was numbered for.
//! - C5. Without a session no request is repeated later than plain window - packet life after its first try, and no
//!   plain id is used again while it is alive or within a window (HC7c).
//! - C6. Requests and events together never exceed `open_max`; nothing is allocated when warm.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::Instant;
use crate::buffer::{Body, Pool};
use crate::drops::DropCounters;
use crate::fragment::{EXTENDED_PAYLOAD, Form, Head, low_16};
use crate::header::{Header, MessageKind, Policy};
use crate::pacing::LongSends;
use crate::random::Random;
use crate::reassembly::Reassembly;
use crate::table::Place;

mod answers;
mod config;
mod link;
mod numbers;
mod requests;
mod transmit;

pub use config::{ClientConfig, ClientCounters, ConfigError, Event, Mode, OPEN_MAX, SubmitError};
pub use transmit::Transmit;

use link::{Link, Opening};
use numbers::Numbers;
use requests::{Open, Requests};

/// Events about sessions that may wait beside those about requests.
const SESSION_EVENTS: usize = 16;

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    config: ClientConfig,
    link: Link,
    numbers: Numbers,
    requests: Requests,
    reassembly: Reassembly,
    long: LongSends,
    pool: Pool,
    events: VecDeque<Event>,
    random: Random,
    now: Instant,
    /// Place of the server that is asked, and since when.
    preferred: usize,
    preferred_since: Instant,
    /// When a server last answered what was sent to one.
    heard_at: Instant,
    closing: bool,
    /// Head of the packet being sent.
    head: Head,
    /// Tail of an ACK that asks for packets.
    asked: Vec<u8>,
    drops: DropCounters,
    counters: ClientCounters,
}

impl Client {
    /// A client that begins at once. `seed` decides nonces, first numbers and jitter.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field and its bound.
    pub fn new(config: ClientConfig, seed: u64, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let mut random = Random::new(seed);
        let link = match config.mode {
            Mode::Session => Link::Opening(Opening::new(random.next_nonzero(), now)),
            Mode::Plain | Mode::Sessionless => Link::Free,
        };
        Ok(Self {
            link,
            numbers: Numbers::new(config.mode, random.next()),
            requests: Requests::new(config.open_max + 1, random.next(), now),
            reassembly: Reassembly::new(config.reassembly, random.next()),
            long: LongSends::new(config.pacing, random.next()),
            pool: Pool::new(config.pool_bytes),
            events: VecDeque::with_capacity(config.open_max + SESSION_EVENTS),
            now,
            preferred: 0,
            preferred_since: now,
            heard_at: Instant::ZERO,
            closing: false,
            head: Head::new(&Header::single(MessageKind::Request, Policy::Fixed, 0), None),
            asked: vec![0; EXTENDED_PAYLOAD],
            drops: DropCounters::default(),
            counters: ClientCounters::default(),
            random,
            config,
        })
    }

    /// Takes a request; `tag` comes back with its outcome. Gives its number.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]: it was not taken.
    pub fn submit(
        &mut self,
        now: Instant,
        policy: Policy,
        body: &[u8],
        tag: u64,
    ) -> Result<u64, SubmitError> {
        self.set_now(now);
        if self.closing {
            return Err(SubmitError::Closed);
        }
        let max = self.body_max();
        if body.len() > max {
            return Err(SubmitError::TooLong { len: body.len(), max });
        }
        if self.requests.len() + self.events.len() >= self.config.open_max {
            return Err(SubmitError::Full); // C6
        }
        if let Link::Open(session) = &self.link
            && self.requests.len() == 0
            && session.is_stale(now)
        {
            self.open_session();
        }
        let number = self.next_number().ok_or(SubmitError::Full)?;
        let body = self.pool.copy(body).ok_or(SubmitError::Full)?;
        self.numbers.take(now);
        let give_up_at = now + self.config.give_up_after;
        let added = self.requests.add(Open::new(number, tag, policy, body, give_up_at));
        assert!(added, "C6: the table has room for open_max requests");
        self.counters.submitted += 1;
        Ok(number)
    }

    /// Time has passed. Harmless when early.
    pub fn tick(&mut self, now: Instant) {
        self.set_now(now);
        let now = self.now;
        self.reassembly.expire(now, &mut self.pool);
        self.long.expire(now);
        while let Some(place) = self.requests.oldest_fresh() {
            if self.requests.get(place).give_up_at > now {
                break;
            }
            self.end(place, |tag, number| Event::NotSent { tag, number });
        }
        while let Some(place) = self.requests.poll_due(now) {
            self.on_due(place);
        }
    }

    /// When [`Self::tick`] next has something to do, at the latest; `None` when nothing is under way.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let opening = match &self.link {
            Link::Opening(opening) => Some(opening.due),
            _ => None,
        };
        let parts = [self.requests.deadline(), self.long.deadline(), opening];
        let answers = [self.reassembly.deadline(), self.reassembly.ask_deadline()];
        parts.into_iter().chain(answers).flatten().min()
    }

    /// What happened next, oldest first.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes no more requests; when the open ones have ended, closes the session and tells [`Event::Closed`].
    pub fn close(&mut self, now: Instant) {
        self.set_now(now);
        self.closing = true;
        self.close_if_done();
    }

    /// The session, once it is open; `Some(0)` for a client without sessions.
    #[must_use]
    pub fn session(&self) -> Option<u64> {
        self.link.session()
    }

    /// Requests without an outcome.
    #[must_use]
    pub fn open(&self) -> usize {
        self.requests.len()
    }

    /// The longest request that this client can send, in bytes.
    #[must_use]
    pub fn body_max(&self) -> usize {
        let (policy, flags) = (Policy::Replicated, crate::extension::Flags::NONE);
        match self.config.mode {
            Mode::Plain => Form::PlainRequest { request_id: 0, policy }.body_max(),
            _ => Form::Request { session: 0, number: 0, above_floor: 0, policy, flags }.body_max(),
        }
    }

    /// Totals.
    #[must_use]
    pub fn counters(&self) -> &ClientCounters {
        &self.counters
    }

    /// Packets that had no effect, by reason.
    #[must_use]
    pub fn drops(&self) -> DropCounters {
        let mut drops = self.drops;
        drops.add(self.reassembly.drops());
        drops
    }

    fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The next request's number. Plain ids that are alive are passed over (C5).
    fn next_number(&mut self) -> Option<u64> {
        loop {
            let window = self.link.window();
            let next = self.numbers.peek(self.now, window, self.config.plain_window)?;
            if self.config.mode != Mode::Plain {
                return Some(next);
            }
            let id = u64::from(low_16(next));
            if self.requests.find(id).is_none() {
                return Some(id);
            }
            self.numbers.take(self.now);
        }
    }

    fn on_due(&mut self, place: Place) {
        let (now, patience) = (self.now, self.patience());
        let form = self.form(place);
        let open = self.requests.get(place);
        if open.give_up_at <= now {
            self.end(place, |tag, number| Event::Unknown { tag, number });
            return;
        }
        let (give_up_at, tries) = (open.give_up_at, open.tries);
        let (sent_to, sent_at, refused) = (open.sent_to, open.sent_at, open.refusals > 0);
        let to = self.destination(open.policy).0;
        let sending = open.is_long(&form) && self.long.is_sending(&form, to);
        let heard = open.heard_at.map(|at| at + patience).filter(|&until| until > now);
        if let Some(until) = heard {
            self.requests.wait_until(place, until);
        } else if sending {
            self.requests.wait_until(place, now + self.config.retry_after);
        } else if tries >= self.config.tries_max || now > open.repeat_until {
            self.requests.wait_until(place, give_up_at);
        } else {
            if !refused {
                self.try_another(sent_to, sent_at);
            }
            self.requests.repeat(place);
        }
    }

    /// Whether a long answer is coming in.
    fn is_heard(&self, place: Place) -> bool {
        let heard_at = self.requests.get(place).heard_at;
        heard_at.is_some_and(|at| at + self.patience() > self.now)
    }

    /// How long packets of an answer are waited and asked for before the request is repeated.
    fn patience(&self) -> Duration {
        self.config.reassembly.ask_after * u32::from(self.config.reassembly.ask_tries)
    }

    /// Time to the next try after `tries` of them.
    fn pause(&mut self, tries: u32) -> Duration {
        let doubled = 1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = self.config.retry_after.saturating_mul(doubled).min(self.config.retry_max);
        self.random.jitter(pause)
    }

    /// A server did not answer what was sent to it at `sent_at`: the next one is asked, unless another try did that.
    fn try_another(&mut self, sent_to: Option<usize>, sent_at: Instant) {
        let silent = self.heard_at <= sent_at && self.preferred_since <= sent_at;
        if sent_to == Some(self.preferred) && silent {
            self.preferred = (self.preferred + 1) % self.config.servers.len();
            self.preferred_since = self.now;
        }
    }

    /// `from` answered a request: it is asked from now on, if the request had gone to one server.
    fn heard_from(&mut self, from: SocketAddr, place: Place) {
        if self.requests.get(place).sent_to.is_none() {
            return;
        }
        self.heard_at = self.now;
        if self.config.servers[self.preferred] != from
            && let Some(server) = self.config.servers.iter().position(|&server| server == from)
        {
            self.preferred = server;
            self.preferred_since = self.now;
        }
    }

    fn open_session(&mut self) {
        self.numbers.restart();
        self.link = Link::Opening(Opening::new(self.random.next_nonzero(), self.now));
    }

    /// Ends a request with this event; the closing one, silently, with the session.
    fn end(&mut self, place: Place, event: impl FnOnce(u64, u64) -> Event) {
        let closes = self.requests.get(place).closes;
        self.end_only(place, event);
        if closes {
            self.closed();
        } else {
            self.close_if_done();
        }
    }

    fn end_only(&mut self, place: Place, event: impl FnOnce(u64, u64) -> Event) {
        self.stop_sending(place);
        let open = self.requests.remove(place);
        self.numbers.end(open.number);
        self.pool.give_back(open.body);
        if open.closes {
            return;
        }
        let event = event(open.tag, open.number);
        match &event {
            Event::Answered { .. } => self.counters.answered += 1,
            Event::Refused { .. } => self.counters.refused += 1,
            Event::Unknown { .. } => self.counters.unknown += 1,
            Event::NotSent { .. } => self.counters.not_sent += 1,
            Event::SessionOpened { .. } | Event::SessionLost { .. } | Event::Closed => {}
        }
        self.events.push_back(event);
    }

    /// Sends no more packets of a long request.
    fn stop_sending(&mut self, place: Place) {
        let form = self.form(place);
        let open = self.requests.get(place);
        if open.is_long(&form) {
            let to = self.destination(open.policy).0;
            self.long.forget(&form, to);
        }
    }

    /// Tells of the session. Whoever takes no events misses some of these, none about requests.
    fn tell(&mut self, event: Event) {
        if self.events.len() + self.requests.len() < self.config.open_max + SESSION_EVENTS {
            self.events.push_back(event);
        }
    }

    fn close_if_done(&mut self) {
        if !self.closing || self.requests.len() > 0 {
            return;
        }
        match &self.link {
            Link::Open(_) => {
                let Some(number) = self.next_number() else { return };
                self.numbers.take(self.now);
                let give_up_at = self.now + self.config.give_up_after;
                let nothing = Body::default();
                let mut closing = Open::new(number, 0, Policy::Replicated, nothing, give_up_at);
                closing.closes = true;
                self.requests.add(closing);
            }
            Link::Free | Link::Opening(_) => self.closed(),
            Link::Closed => {}
        }
    }

    fn closed(&mut self) {
        self.link = Link::Closed;
        self.events.push_back(Event::Closed);
    }
}
