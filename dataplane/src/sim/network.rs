//! The network itself: who is there, what is under way, what goes wrong.

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::capture::{Capture, Event, Fate};
use super::inbox::{Endpoint, Packet};
use super::queue::PACKET_MAX;
use super::random::Random;
use super::weather::Weather;
use crate::backend::{Arrival, ArrivedAt, BackendCounters, Instant};

/// Endpoints that share a network in memory; see [`super`].
#[derive(Clone, Debug)]
pub struct SimNetwork {
    random: Random,
    weather: Weather,
    now: Instant,
    endpoints: Vec<Endpoint>,
    by_address: BTreeMap<SocketAddr, EndpointId>,
    /// Directed pairs between which nothing passes.
    blocked: BTreeSet<(EndpointId, EndpointId)>,
    under_way: BinaryHeap<Packet>,
    next_number: u64,
    spare: Vec<Vec<u8>>,
    capture: Capture,
    counters: SimCounters,
}

/// Names an endpoint of one [`SimNetwork`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EndpointId(usize);

/// A packet that is an endpoint's now. Give it to [`SimNetwork::recycle`] when done.
#[derive(Debug)]
pub struct Delivery {
    /// Whose it is.
    pub to: EndpointId,
    packet: Packet,
}

/// Copies of packets, by what became of them. `sent + duplicated = delivered + overflowed + under way`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SimCounters {
    /// Put under way: one for each member of a group.
    pub sent: u64,
    /// Put under way a second time.
    pub duplicated: u64,
    /// Lost by the weather.
    pub lost: u64,
    /// Stopped by a partition or a deaf member.
    pub blocked: u64,
    /// Without a destination.
    pub unroutable: u64,
    /// Dropped at a full inbox.
    pub overflowed: u64,
    /// Handed to endpoints.
    pub delivered: u64,
}

impl EndpointId {
    /// Its place, in the order of [`SimNetwork::add_endpoint`].
    #[must_use]
    pub fn place(self) -> usize {
        self.0
    }
}

impl Delivery {
    /// The packet, as a back end hands it up. `not_before` is when it arrived, exactly.
    #[must_use]
    pub fn arrival(&self) -> Arrival<'_> {
        self.packet.arrival()
    }
}

impl SimNetwork {
    /// An empty network at time zero.
    ///
    /// # Panics
    ///
    /// If the weather is not possible: a probability above a million parts, or the least delay above the most.
    #[must_use]
    pub fn new(seed: u64, weather: Weather) -> Self {
        weather.assert_possible();
        Self {
            random: Random::new(seed),
            weather,
            now: Instant::ZERO,
            endpoints: Vec::new(),
            by_address: BTreeMap::new(),
            blocked: BTreeSet::new(),
            under_way: BinaryHeap::new(),
            next_number: 0,
            spare: Vec::new(),
            capture: Capture::new(),
            counters: SimCounters::default(),
        }
    }

    /// A new endpoint with an address of its own, a member of `groups` (at most 256).
    ///
    /// # Panics
    ///
    /// If the address is taken.
    pub fn add_endpoint(&mut self, own: SocketAddr, groups: &[SocketAddr]) -> EndpointId {
        let id = EndpointId(self.endpoints.len());
        assert!(self.by_address.insert(own, id).is_none(), "{own} is taken");
        self.endpoints.push(Endpoint::new(own, groups));
        id
    }

    /// A packet leaves `from` at `now`, for an endpoint's own address or for every member of a group. A sender that is a
    /// member hears itself.
    ///
    /// # Panics
    ///
    /// If `now` lies before a time told earlier.
    pub fn send(&mut self, now: Instant, from: EndpointId, to: SocketAddr, bytes: &[u8]) {
        self.tell(now);
        self.endpoints[from.0].counters.sent += 1;
        if let Some(&member) = self.by_address.get(&to) {
            self.send_copy(from, (member, ArrivedAt::Own), bytes);
            return;
        }
        let mut members = 0;
        for place in 0..self.endpoints.len() {
            if let Some(at) = self.endpoints[place].membership(to) {
                members += 1;
                self.send_copy(from, (EndpointId(place), at), bytes);
            }
        }
        if members == 0 {
            self.counters.unroutable += 1;
            self.capture.note(self.now, (from, None), Fate::Unroutable, bytes);
        }
    }

    /// The next packet that an endpoint gets, in the order of due times, if it is due by `now`.
    ///
    /// # Panics
    ///
    /// If `now` lies before a time told earlier.
    pub fn pop_due(&mut self, now: Instant) -> Option<Delivery> {
        self.advance_to(now);
        let waiting = |endpoint: &Endpoint| endpoint.waiting();
        let first = self.endpoints.iter().filter_map(waiting).min()?;
        let to = self.endpoints.iter().position(|endpoint| endpoint.waiting() == Some(first))?;
        self.pop_waiting(EndpointId(to))
    }

    /// The oldest packet that waits at one endpoint, due by the time last told.
    pub fn pop_waiting(&mut self, to: EndpointId) -> Option<Delivery> {
        let endpoint = &mut self.endpoints[to.0];
        endpoint.waiting()?;
        let packet = endpoint.inbox.pop_front()?;
        endpoint.counters.received += 1;
        self.counters.delivered += 1;
        self.capture.note(self.now, (packet.sender, Some(to)), Fate::Delivered, &packet.bytes);
        Some(Delivery { to, packet })
    }

    /// When [`Self::pop_due`] next has something; none when nothing waits and nothing is under way. A packet for a
    /// paused endpoint counts while it is under way.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let waiting = self.endpoints.iter().filter_map(|e| e.waiting()).map(|(due, _)| due).min();
        let under_way = self.under_way.peek().map(|packet| packet.due);
        waiting.into_iter().chain(under_way).min()
    }

    /// Time passes: what is due by `now` goes to the inboxes.
    ///
    /// # Panics
    ///
    /// If `now` lies before a time told earlier.
    pub fn advance_to(&mut self, now: Instant) {
        self.tell(now);
        while self.under_way.peek().is_some_and(|packet| packet.due <= now) {
            let Some(packet) = self.under_way.pop() else { return };
            let endpoint = &mut self.endpoints[packet.to.0];
            if endpoint.inbox.len() < endpoint.inbox_max {
                endpoint.inbox.push_back(packet);
                continue;
            }
            endpoint.counters.dropped_receive += 1;
            self.counters.overflowed += 1;
            let pair = (packet.sender, Some(packet.to));
            self.capture.note(packet.due, pair, Fate::Overflowed, &packet.bytes);
            self.spare.push(packet.bytes);
        }
    }

    /// Takes a packet's buffer back.
    pub fn recycle(&mut self, delivery: Delivery) {
        self.spare.push(delivery.packet.bytes);
    }

    /// The time last told.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// From now on; packets under way keep their delays.
    ///
    /// # Panics
    ///
    /// If the weather is not possible, as at [`Self::new`].
    pub fn set_weather(&mut self, weather: Weather) {
        weather.assert_possible();
        self.weather = weather;
    }

    /// Nothing sent from now on passes between two endpoints, in either direction; multicast neither.
    pub fn partition(&mut self, a: EndpointId, b: EndpointId) {
        self.block(a, b);
        self.block(b, a);
    }

    /// Nothing sent from now on passes from one endpoint to the other; multicast neither.
    pub fn block(&mut self, from: EndpointId, to: EndpointId) {
        self.blocked.insert((from, to));
    }

    /// Cuts an endpoint off from all others.
    pub fn isolate(&mut self, endpoint: EndpointId) {
        for place in (0..self.endpoints.len()).filter(|&place| place != endpoint.0) {
            self.partition(endpoint, EndpointId(place));
        }
    }

    /// A member that hears no multicast sent from now on, or hears it again.
    pub fn set_deaf(&mut self, member: EndpointId, deaf: bool) {
        self.endpoints[member.0].deaf = deaf;
    }

    /// Ends every partition and deafness. Pauses last until they are ended.
    pub fn heal(&mut self) {
        self.blocked.clear();
        for endpoint in &mut self.endpoints {
            endpoint.deaf = false;
        }
    }

    /// An endpoint stops reading, or reads again: what came meanwhile waited in its inbox, with its true arrival times.
    pub fn set_paused(&mut self, endpoint: EndpointId, paused: bool) {
        self.endpoints[endpoint.0].paused = paused;
    }

    /// How many packets wait at an endpoint before further ones are dropped (4,096 at first).
    pub fn set_inbox_max(&mut self, endpoint: EndpointId, packets: usize) {
        self.endpoints[endpoint.0].inbox_max = packets;
    }

    /// What waited at an endpoint is gone: its process died, and another life begins at the same address.
    pub fn clear_inbox(&mut self, endpoint: EndpointId) {
        let dropped = core::mem::take(&mut self.endpoints[endpoint.0].inbox);
        self.counters.overflowed += dropped.len() as u64;
        self.spare.extend(dropped.into_iter().map(|packet| packet.bytes));
    }

    /// An endpoint's own address.
    #[must_use]
    pub fn address(&self, endpoint: EndpointId) -> SocketAddr {
        self.endpoints[endpoint.0].own
    }

    /// An endpoint's totals.
    #[must_use]
    pub fn endpoint_counters(&self, endpoint: EndpointId) -> BackendCounters {
        self.endpoints[endpoint.0].counters
    }

    /// The network's totals.
    #[must_use]
    pub fn counters(&self) -> SimCounters {
        self.counters
    }

    /// Packets sent and neither delivered nor dropped: under way, or in an inbox.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.under_way.len() + self.endpoints.iter().map(|e| e.inbox.len()).sum::<usize>()
    }

    /// Hash of everything that happened: equal for equal runs (S1).
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.capture.hash()
    }

    /// From now on the last `events` are kept for [`Self::captured`].
    pub fn capture(&mut self, events: usize) {
        self.capture.keep(events);
    }

    /// The events kept, oldest first.
    pub fn captured(&self) -> impl Iterator<Item = &Event> {
        self.capture.last()
    }

    fn tell(&mut self, now: Instant) {
        assert!(now >= self.now, "time runs backwards: {now:?} after {:?}", self.now);
        self.now = now;
    }

    /// One destination's copy; the same numbers are drawn whether it is blocked or not.
    fn send_copy(&mut self, from: EndpointId, (to, at): (EndpointId, ArrivedAt), bytes: &[u8]) {
        let copies = self.weather.copies(&mut self.random);
        let deaf = at != ArrivedAt::Own && self.endpoints[to.0].deaf;
        let pair = (from, Some(to));
        if deaf || self.blocked.contains(&(from, to)) {
            self.counters.blocked += 1;
            self.capture.note(self.now, pair, Fate::Blocked, bytes);
            return;
        }
        if copies[0].is_none() {
            self.counters.lost += 1;
            self.capture.note(self.now, pair, Fate::Lost, bytes);
            return;
        }
        for (fate, delay) in [Fate::Sent, Fate::Duplicated].into_iter().zip(copies) {
            let Some(delay) = delay else { continue };
            self.counters.sent += u64::from(fate == Fate::Sent);
            self.counters.duplicated += u64::from(fate == Fate::Duplicated);
            self.capture.note(self.now, pair, fate, bytes);
            // Of one size, so that none grows later, when it holds a longer packet.
            let spare = self.spare.pop();
            let mut buffer = spare.unwrap_or_else(|| Vec::with_capacity(PACKET_MAX));
            buffer.clear();
            buffer.extend_from_slice(bytes);
            let number = self.next_number;
            self.next_number += 1;
            self.under_way.push(Packet {
                sender: from,
                from: self.endpoints[from.0].own,
                at,
                to,
                due: self.now + delay,
                number,
                bytes: buffer,
            });
        }
    }
}
