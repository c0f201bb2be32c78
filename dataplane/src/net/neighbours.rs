//! Whom the own address is told to, and which Ethernet address the neighbours have (ARP, RFC 826).
//!
//! | state | known from | until |
//! |---|---|---|
//! | looked for | a sender asked | an answer; three requests, one second apart (RFC 1122, 2.3.2.1) |
//! | heard | a datagram, or an ARP packet that moved it | used: asked by broadcast, at once; unused for a minute: forgotten |
//! | told | its own ARP request for us | used: asked as below, at once; unused for a minute: forgotten |
//! | confirmed | its answer | used 30 s later: asked, twice by unicast, then by broadcast; unused for ten minutes: forgotten |
//!
//! A neighbour stays in use while it is asked, and is forgotten when three questions, one second apart, stay unanswered.
//!
//! What is believed: ARP, as everywhere (it has no proof to offer), for neighbours that are known, and for others in
//! requests for us. A received datagram makes its sender known, so that an answer never waits, only where nothing is
//! known or nothing but another datagram told it: a forged one moves no neighbour that spoke ARP, it makes us ask. Whoever
//! was only heard is asked by broadcast, so that the rightful owner hears it.
//!
//! Invariants:
//! - B1. A datagram never changes an entry that ARP told or confirmed.
//! - B2. A full bucket gives up, the oldest first, what was only heard; what ARP told unasked and nobody uses, but not for
//!   what was heard; what is confirmed, old and unused, but only for what a sender needs. It never gives up the gateway.
//! - B3. At most [`QUESTIONS`] neighbours are asked per look, and looks are [`LOOK_INTERVAL`] apart; those that a sender
//!   asked for come at once, [`super::table`]'s sixteen per poll at most.
//! - B4. Who is in `agreed` is a host of the subnet, not ourselves, told or confirmed at that very address: whatever changes
//!   an entry's address, or takes it away, empties it.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::counters::{StackCounters, StackEvent};
use super::mac::MacAddress;
use super::outbox::{ArpOperation, Outbox};
use super::table::{BUCKET, NeighbourReader, SLOTS, TableWriter, bucket};
use crate::backend::Instant;

/// From one question to the next.
const QUESTION_INTERVAL: Duration = Duration::from_secs(1);
/// Unanswered ones, at most.
const TRIES: u8 = 3;
/// How long ARP's word is good without a question.
const REACHABLE: Duration = Duration::from_secs(30);
/// An unused neighbour is forgotten so long after its last confirmation,
const FORGOTTEN: Duration = Duration::from_secs(600);
/// or after it was heard.
const HEARD_FORGOTTEN: Duration = Duration::from_secs(60);
/// A confirmed neighbour that a datagram contradicts is asked, unless it has answered within this time.
const DOUBT: Duration = Duration::from_secs(5);
/// How often an old or heard entry is looked at for use.
const USE_INTERVAL: Duration = Duration::from_millis(250);
/// Shortest time between two looks through the table.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Questions of one look, at most.
const QUESTIONS: usize = 16;
/// Senders whose datagrams are not judged anew: members of a cluster and a client or some.
const AGREED: usize = 16;
/// No datagram comes from there.
const NONE_AGREED: [(Ipv4Addr, MacAddress); AGREED] =
    [(Ipv4Addr::UNSPECIFIED, MacAddress::NOBODY); AGREED];

/// The table's writer, and what only it needs to know.
#[derive(Debug)]
pub(super) struct Neighbours {
    table: TableWriter,
    own: Ipv4Addr,
    /// Never given up.
    gateway: Option<Ipv4Addr>,
    /// Of each slot; unspecified = free.
    ips: Box<[Ipv4Addr]>,
    entries: Box<[Entry]>,
    /// When an entry has something to do, at the soonest; none has before.
    next_due: Option<Instant>,
    last_look: Option<Instant>,
    /// Senders of datagrams that the table agrees with, each at a place by its address (B4).
    agreed: [(Ipv4Addr, MacAddress); AGREED],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    mac: MacAddress,
    state: State,
    /// Unanswered questions.
    tries: u8,
    /// Last confirmation, or when it was heard.
    since: Instant,
    due: Instant,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    LookedFor,
    Heard,
    Told,
    Confirmed,
}

/// What an entry does next.
enum Next {
    Wait(Instant),
    /// By unicast, or by broadcast.
    Ask(MacAddress),
    Forget(Option<StackEvent>),
}

/// Neighbours' addresses mostly follow each other.
#[inline]
fn agreed_at(ip: Ipv4Addr) -> usize {
    usize::from(ip.octets()[3]) % AGREED
}

impl Neighbours {
    pub(super) fn new(own: Ipv4Addr, gateway: Option<Ipv4Addr>) -> Self {
        let nothing = Entry {
            mac: MacAddress::NOBODY,
            state: State::LookedFor,
            tries: 0,
            since: Instant::ZERO,
            due: Instant::ZERO,
        };
        let mut neighbours = Self {
            table: TableWriter::new(),
            own,
            gateway,
            ips: vec![Ipv4Addr::UNSPECIFIED; SLOTS].into_boxed_slice(),
            entries: vec![nothing; SLOTS].into_boxed_slice(),
            next_due: None,
            last_look: None,
            agreed: NONE_AGREED,
        };
        if let Some(gateway) = gateway {
            // Looked for before anybody needs it, by the first poll.
            neighbours.claim(Instant::ZERO, gateway, State::LookedFor);
        }
        neighbours
    }

    pub(super) fn reader(&self) -> NeighbourReader {
        self.table.reader()
    }

    /// A datagram came from a neighbour.
    #[inline]
    pub(super) fn heard(
        &mut self,
        now: Instant,
        from: (Ipv4Addr, MacAddress),
        counters: &mut StackCounters,
    ) {
        if !self.agrees(from) {
            self.heard_another(now, from, counters);
        }
    }

    /// Whether a datagram of this sender was heard and told nothing new: another one need not be judged.
    #[inline]
    pub(super) fn agrees(&self, from: (Ipv4Addr, MacAddress)) -> bool {
        self.agreed[agreed_at(from.0)] == from
    }

    fn heard_another(
        &mut self,
        now: Instant,
        from: (Ipv4Addr, MacAddress),
        counters: &mut StackCounters,
    ) {
        let (ip, mac) = from;
        let Some(place) = self.place_of(ip) else {
            if let Some(place) = self.claim(now, ip, State::Heard) {
                self.publish(now, place, mac, State::Heard);
            } else {
                counters.count(StackEvent::NeighboursFull);
            }
            return;
        };
        let entry = self.entries[place];
        match entry.state {
            State::Told | State::Confirmed if entry.mac == mac => {
                self.agreed[agreed_at(ip)] = from;
            }
            // B1.
            State::Told | State::Confirmed => {
                counters.count(StackEvent::NeighbourDoubted);
                if now.saturating_sub(entry.since) >= DOUBT && entry.tries == 0 {
                    // As if asked once: again by unicast, then by broadcast.
                    self.entries[place].tries = 1;
                    self.wake(place, now);
                }
            }
            State::Heard if entry.mac == mac => self.entries[place].since = now,
            State::Heard => self.publish(now, place, mac, State::Heard),
            // Questions go on: it is confirmed, or forgotten.
            State::LookedFor => {
                counters.count(StackEvent::NeighbourFound);
                let tries = entry.tries;
                self.publish(now, place, mac, State::Heard);
                self.entries[place].tries = tries;
                self.wake(place, entry.due);
            }
        }
    }

    /// ARP says that `ip` is at `mac`, in a packet for us if `for_us`, in an answer to a question if `answer`.
    /// False when it tells us nothing.
    pub(super) fn told(
        &mut self,
        now: Instant,
        (ip, mac): (Ipv4Addr, MacAddress),
        (for_us, answer): (bool, bool),
        counters: &mut StackCounters,
    ) -> bool {
        let Some(place) = self.place_of(ip) else {
            // Others' conversations make nobody known (RFC 826), nor do answers to what was not asked.
            if !for_us || answer {
                return false;
            }
            match self.claim(now, ip, State::Told) {
                Some(place) => self.publish(now, place, mac, State::Told),
                None => counters.count(StackEvent::NeighboursFull),
            }
            return true;
        };
        let entry = self.entries[place];
        match entry.state {
            State::LookedFor => {
                counters.count(StackEvent::NeighbourFound);
                let state = if answer { State::Confirmed } else { State::Told };
                self.publish(now, place, mac, state);
            }
            State::Heard | State::Told if entry.mac == mac && !answer => {
                self.entries[place].state = State::Told;
                self.entries[place].since = now;
            }
            _ if entry.mac == mac => self.confirm(now, place),
            // Our own question answered otherwise: it has moved.
            _ if answer && for_us && entry.tries > 0 => {
                counters.count(StackEvent::NeighbourMoved);
                self.publish(now, place, mac, State::Confirmed);
            }
            _ => {
                counters.count(StackEvent::NeighbourMoved);
                self.publish(now, place, mac, State::Heard);
                self.entries[place].tries = 0;
                self.wake(place, now);
            }
        }
        true
    }

    /// Looks for whom senders miss, and asks whom it is time to ask.
    pub(super) fn poll(&mut self, now: Instant, outbox: &mut Outbox, counters: &mut StackCounters) {
        if self.table.is_asked() {
            for ip in self.table.take_asked().into_iter().flatten() {
                self.look_for(now, ip, outbox, counters);
            }
        }
        if self.deadline().is_some_and(|due| due <= now) {
            self.look(now, outbox, counters);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let earliest = self.last_look.map_or(Instant::ZERO, |look| look + LOOK_INTERVAL);
        Some(self.next_due?.max(earliest))
    }

    fn look_for(
        &mut self,
        now: Instant,
        ip: Ipv4Addr,
        outbox: &mut Outbox,
        counters: &mut StackCounters,
    ) {
        // Known, or being looked for, since the sender asked.
        if self.place_of(ip).is_some() {
            return;
        }
        match self.claim(now, ip, State::LookedFor) {
            Some(place) => self.ask(now, place, MacAddress::BROADCAST, outbox, counters),
            None => counters.count(StackEvent::NeighboursFull),
        }
    }

    /// Once through the table: about a microsecond.
    fn look(&mut self, now: Instant, outbox: &mut Outbox, counters: &mut StackCounters) {
        self.last_look = Some(now);
        self.next_due = None;
        let mut questions = 0;
        for place in 0..SLOTS {
            if self.ips[place].is_unspecified() {
                continue;
            }
            if self.entries[place].due > now || questions == QUESTIONS || outbox.is_full() {
                self.wake(place, self.entries[place].due);
                continue;
            }
            match self.next(now, place) {
                Next::Wait(until) => self.wake(place, until),
                Next::Ask(to) => {
                    questions += 1;
                    self.ask(now, place, to, outbox, counters);
                }
                Next::Forget(why) => {
                    if let Some(why) = why {
                        counters.count(why);
                    }
                    self.forget(now, place);
                }
            }
        }
    }

    fn next(&mut self, now: Instant, place: usize) -> Next {
        let entry = self.entries[place];
        let age = now.saturating_sub(entry.since);
        if entry.tries >= TRIES {
            let missing = entry.state == State::LookedFor;
            let why =
                if missing { StackEvent::NeighbourMissing } else { StackEvent::NeighbourLost };
            return Next::Forget(Some(why));
        }
        // Asked already, without an answer.
        let asking = entry.tries > 0;
        let is_gateway = self.gateway == Some(self.ips[place]);
        match entry.state {
            State::LookedFor => Next::Ask(MacAddress::BROADCAST),
            State::Heard if asking || is_gateway || self.table.take_use(place) => {
                Next::Ask(MacAddress::BROADCAST)
            }
            State::Told | State::Confirmed
                if asking || is_gateway || self.table.take_use(place) =>
            {
                let last = entry.tries + 1 == TRIES;
                Next::Ask(if last { MacAddress::BROADCAST } else { entry.mac })
            }
            State::Heard | State::Told if age >= HEARD_FORGOTTEN => Next::Forget(None),
            State::Confirmed if age >= FORGOTTEN => Next::Forget(None),
            State::Heard | State::Told | State::Confirmed => Next::Wait(now + USE_INTERVAL),
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        place: usize,
        to: MacAddress,
        outbox: &mut Outbox,
        counters: &mut StackCounters,
    ) {
        let target = (MacAddress::NOBODY, self.ips[place]);
        if outbox.arp(ArpOperation::Request, self.own, target, to) {
            counters.count(StackEvent::ArpAsked);
            self.entries[place].tries += 1;
            self.wake(place, now + QUESTION_INTERVAL);
        } else {
            counters.count(StackEvent::OwnDropped);
            self.wake(place, now);
        }
    }

    /// The neighbour is where the entry says.
    fn confirm(&mut self, now: Instant, place: usize) {
        let entry = &mut self.entries[place];
        entry.state = State::Confirmed;
        entry.since = now;
        entry.tries = 0;
        // Use from here on counts for the next question.
        self.table.take_use(place);
        self.wake(place, now + REACHABLE);
    }

    fn publish(&mut self, now: Instant, place: usize, mac: MacAddress, state: State) {
        let used = self.table.is_used(place);
        self.table.set(place, self.ips[place], mac);
        self.agreed = NONE_AGREED;
        self.entries[place].mac = mac;
        if state == State::Confirmed {
            self.confirm(now, place);
        } else {
            let entry = &mut self.entries[place];
            entry.state = state;
            entry.since = now;
            // Whoever sends there goes on doing so: the new address is to be asked about.
            entry.tries = 0;
            if used {
                self.table.mark_used(place);
            }
            self.wake(place, now + USE_INTERVAL);
        }
    }

    /// A gateway is looked for again, for ever; another's slot is free.
    fn forget(&mut self, now: Instant, place: usize) {
        self.table.clear(place);
        self.agreed = NONE_AGREED;
        if self.gateway == Some(self.ips[place]) {
            self.entries[place].state = State::LookedFor;
            self.entries[place].tries = 0;
            self.wake(place, now + QUESTION_INTERVAL);
        } else {
            self.ips[place] = Ipv4Addr::UNSPECIFIED;
        }
    }

    /// A slot for a new neighbour, due now (B2).
    fn claim(&mut self, now: Instant, ip: Ipv4Addr, state: State) -> Option<usize> {
        let first = bucket(ip);
        let places = first..first + BUCKET;
        let free = places.clone().find(|&place| self.ips[place].is_unspecified());
        let oldest = |given_up: State, may_be: &dyn Fn(usize) -> bool| {
            let entries = places.clone().filter(|&place| {
                let is_gateway = self.gateway == Some(self.ips[place]);
                self.entries[place].state == given_up && !is_gateway && may_be(place)
            });
            entries.min_by_key(|&place| self.entries[place].since)
        };
        let is_unused = |place: usize| !self.table.is_used(place);
        let is_old = |place: usize| {
            is_unused(place) && now.saturating_sub(self.entries[place].since) >= REACHABLE
        };
        let place = free
            .or_else(|| oldest(State::Heard, &|_| true))
            .or_else(|| oldest(State::Told, &is_unused).filter(|_| state != State::Heard))
            .or_else(|| oldest(State::Confirmed, &is_old).filter(|_| state == State::LookedFor))?;
        self.table.clear(place);
        self.agreed = NONE_AGREED;
        self.ips[place] = ip;
        self.entries[place] =
            Entry { mac: MacAddress::NOBODY, state, tries: 0, since: now, due: now };
        self.wake(place, now);
        Some(place)
    }

    fn place_of(&self, ip: Ipv4Addr) -> Option<usize> {
        let first = bucket(ip);
        (first..first + BUCKET).find(|&place| self.ips[place] == ip)
    }

    fn wake(&mut self, place: usize, at: Instant) {
        self.entries[place].due = at;
        self.next_due = Some(self.next_due.map_or(at, |due| due.min(at)));
    }
}
