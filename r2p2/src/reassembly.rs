//! Packets into messages (HC6d; wire.md 1.4 and 6).
//!
//! A server gives every REQUEST to [`Reassembly::request`], a client every RESPONSE to [`Reassembly::response`]. A
//! message of one packet comes out at once and stands in no table. Of longer ones the packets may come in any order and
//! more than once. [`Reassembly::expire`] is called when [`Reassembly::deadline`] has come; whoever may ask the sender
//! for missing packets (a client; a leader) calls [`Reassembly::poll_wanted`] when [`Reassembly::ask_deadline`] has.
//!
//! Invariants:
//! - M1. Two messages are never mixed: packets are put together only with equal id, source and kind; of a session also
//!   with equal count in each, of an answer also with equal execution index (HC3d). A first packet that differs from
//!   the one held restarts the message.
//! - M2. A plain message begins with its first packet and dies `plain_ttl` after it; one with the extension begins with
//!   any packet and dies `extended_ttl` after the last one that was new, or after the last ask.
//! - M3. Messages and bytes held are bounded. When full, what had neither a new packet nor an ask for `plain_ttl` makes
//!   room; else the new packet is dropped.
//! - M4. The sender is asked for packets at most every `ask_after`, at most `ask_tries` times between two new packets,
//!   and, of a request, only when its first packet is held (HC10).

use core::hash::{Hash, Hasher};
use core::ops::Range;
use core::time::Duration;

use alloc::vec;
use alloc::vec::Vec;

use crate::Instant;
use crate::ack::emit_wanted;
use crate::buffer::{Body, Pool};
use crate::drops::{DropCounters, DropReason};
use crate::extension::Flags;
use crate::header::{MessageKind, Place as PacketPlace};
use crate::packet::Packet;
use crate::request_id::RequestId;
use crate::table::{Place, Table};

mod message;
pub(crate) mod partial;

pub use message::{Arrived, Ask, MessageKey, Progress, Request, Response, Settings};
use partial::Partial;

/// Plain messages, oldest first.
const PLAIN: usize = 0;
/// Messages with the extension whose sender may not be asked (any more); least active first.
const WAITING: usize = 1;
/// Messages whose sender may be asked; least active first.
const ASKING: usize = 2;

/// Whole messages remembered, so that copies of their packets that come late start nothing new.
const FINISHED: usize = 256;

/// Partial messages.
#[derive(Clone, Debug)]
pub struct Reassembly {
    settings: Settings,
    table: Table<MessageKey, Partial>,
    bytes: usize,
    finished: Vec<Option<(MessageKey, Instant)>>,
    drops: DropCounters,
}

/// Lists of partial messages, each in the order of their ends.
const LISTS: usize = 3;

impl Reassembly {
    /// Feeds `state` with what is held of which messages, in the order of their ends: no times, no counters.
    pub fn hash_protocol_state(&self, state: &mut impl Hasher) {
        for list in 0..LISTS {
            let mut next = self.table.first(list);
            while let Some(place) = next {
                next = self.table.next(place);
                let partial = self.table.value(place);
                (list, self.table.key(place), partial.packets, partial.set).hash(state);
                (partial.above_floor, partial.tries_left).hash(state);
            }
        }
    }

    /// An empty one. `seed` keeps others from choosing ids that collide.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            table: Table::new(settings.messages_max, LISTS, seed),
            bytes: 0,
            finished: vec![None; FINISHED],
            drops: DropCounters::default(),
        }
    }

    /// Takes a packet of a request.
    #[inline]
    pub fn request(
        &mut self,
        arrived: Arrived,
        packet: &Packet<'_>,
        pool: &mut Pool,
    ) -> Progress<Request> {
        let client = arrived.from;
        let extension = packet.extension.unwrap_or_default();
        self.take(arrived, packet, pool, MessageKind::Request, |whole, key| Request {
            id: RequestId::new(client, key.session, key.number),
            client,
            plain: key.plain,
            policy: packet.header.policy,
            flags: Flags { repeats: extension.flags.repeats, ..whole.flags },
            above_floor: whole.above_floor,
            body: whole.body,
            age_from: whole.age_from,
        })
    }

    /// Takes a packet of an answer.
    pub fn response(
        &mut self,
        arrived: Arrived,
        packet: &Packet<'_>,
        pool: &mut Pool,
    ) -> Progress<Response> {
        self.take(arrived, packet, pool, MessageKind::Response, |whole, key| Response {
            plain: key.plain,
            session: key.session,
            number: key.number,
            executed: key.executed,
            from: key.from,
            body: whole.body,
        })
    }

    /// Lets messages die of age (M2).
    pub fn expire(&mut self, now: Instant, pool: &mut Pool) {
        for list in [PLAIN, WAITING, ASKING] {
            while let Some(place) = self.table.first(list).filter(|&at| self.dies_at(at) <= now) {
                self.drops.count(DropReason::Expired);
                self.remove(place, pool);
            }
        }
    }

    /// When [`Self::expire`] next has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let fronts = [PLAIN, WAITING, ASKING].into_iter().filter_map(|list| self.table.first(list));
        fronts.map(|place| self.dies_at(place)).min()
    }

    /// The next message that stands still and whose sender may be asked (M4): writes the list of packets wanted into
    /// `payload`, that of an ACK to [`Ask::to`] (its head is [`crate::answer::wanted`]). Called until it gives `None`.
    /// A caller that does not want the message (any more) calls [`Self::forget`].
    pub fn poll_wanted(&mut self, now: Instant, payload: &mut [u8]) -> Option<Ask> {
        let place = self.table.first(ASKING)?;
        if self.table.value(place).active_at + self.settings.ask_after > now {
            return None;
        }
        let key = *self.table.key(place);
        let partial = self.table.value_mut(place);
        let len = emit_wanted(partial.holes(), payload);
        partial.active_at = now;
        partial.tries_left -= 1;
        let list = if partial.tries_left > 0 { ASKING } else { WAITING };
        self.table.move_to_end(place, list);
        Some(Ask { key, to: key.from, session: key.session, number: key.number, len })
    }

    /// When [`Self::poll_wanted`] next has something to give.
    #[must_use]
    pub fn ask_deadline(&self) -> Option<Instant> {
        let place = self.table.first(ASKING)?;
        Some(self.table.value(place).active_at + self.settings.ask_after)
    }

    /// Gives a partial message up; harmless when it is not held.
    pub fn forget(&mut self, key: &MessageKey, pool: &mut Pool) {
        if let Some(place) = self.table.find(key) {
            self.remove(place, pool);
        }
    }

    /// Whether packets of this message are held, and if so, whether the first is among them.
    #[must_use]
    pub fn held(&self, key: &MessageKey) -> Option<bool> {
        self.table.find(key).map(|place| self.table.value(place).has_first())
    }

    /// The packets missing of a message whose first packet is held, lowest first; nothing for any other.
    pub fn missing(&self, key: &MessageKey) -> impl Iterator<Item = Range<u16>> + '_ {
        let partial = self.table.find(key).map(|place| self.table.value(place));
        partial.filter(|partial| partial.has_first()).into_iter().flat_map(Partial::holes)
    }

    /// Partial messages held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no partial message is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Packets that had no effect, by reason.
    #[must_use]
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// Changes the length of the longest message: of those that begin from now on.
    pub fn set_body_max(&mut self, body_max: usize) {
        self.settings.body_max = body_max;
    }

    /// Changes the life of partial messages with the extension.
    pub fn set_extended_ttl(&mut self, extended_ttl: Duration) {
        self.settings.extended_ttl = extended_ttl;
    }

    fn take<T>(
        &mut self,
        arrived: Arrived,
        packet: &Packet<'_>,
        pool: &mut Pool,
        kind: MessageKind,
        make: impl FnOnce(Whole, &MessageKey) -> T,
    ) -> Progress<T> {
        let key = MessageKey::of(packet, arrived.from);
        let taken = if packet.header.kind != kind {
            Err(DropReason::Unexpected)
        } else if packet.header.place.is_single() {
            self.single(arrived, packet, &key, pool).map(Taken::Whole)
        } else {
            self.part(arrived, packet, &key, pool)
        };
        match taken {
            Ok(Taken::Whole(whole)) => Progress::Whole(make(whole, &key)),
            Ok(Taken::Part) => Progress::Partial,
            Ok(Taken::Duplicate) => {
                self.drops.count(DropReason::Duplicate);
                Progress::Duplicate
            }
            Err(reason) => {
                self.drops.count(reason);
                Progress::Dropped(reason)
            }
        }
    }

    /// A message of one packet: nothing of it is kept.
    #[inline]
    fn single(
        &mut self,
        arrived: Arrived,
        packet: &Packet<'_>,
        key: &MessageKey,
        pool: &mut Pool,
    ) -> Result<Whole, DropReason> {
        if packet.payload.len() > key.payload_max() {
            return Err(DropReason::Payload);
        }
        if packet.payload.len() > self.settings.body_max {
            return Err(DropReason::TooLong);
        }
        // M1: it differs from a longer one with its id. With an empty table this costs nothing.
        if let Some(place) = self.table.find(key) {
            self.drops.count(DropReason::Restarted);
            self.remove(place, pool);
        }
        let body = pool.copy(packet.payload).ok_or(DropReason::PoolFull)?;
        let extension = packet.extension.unwrap_or_default();
        let (flags, above_floor) = (extension.flags, extension.above_floor);
        Ok(Whole { body, flags, above_floor, age_from: arrived.not_before })
    }

    fn part(
        &mut self,
        arrived: Arrived,
        packet: &Packet<'_>,
        key: &MessageKey,
        pool: &mut Pool,
    ) -> Result<Taken, DropReason> {
        let (place, len) = (packet.header.place, packet.payload.len());
        let may_be_less = place.is_last() || (key.plain && place.index() == 0);
        if len > key.payload_max() || len == 0 || (len < key.payload_max() && !may_be_less) {
            return Err(DropReason::Payload);
        }
        let mut held = self.table.find(key);
        if let Some(old) = held.filter(|&at| self.dies_at(at) <= arrived.now) {
            self.drops.count(DropReason::Expired);
            self.remove(old, pool);
            held = None;
        }
        if let Some(other) = held.filter(|&at| !self.table.value(at).fits(packet)) {
            if place.index() != 0 {
                return Err(DropReason::OtherMessage);
            }
            self.drops.count(DropReason::Restarted);
            self.remove(other, pool);
            held = None;
        }
        let at = match held {
            Some(at) => at,
            None => self.begin(arrived, packet, key, pool)?,
        };
        self.add(arrived.now, packet, at, pool)
    }

    /// Makes room for a message that begins with `packet`, which is not yet added.
    fn begin(
        &mut self,
        arrived: Arrived,
        packet: &Packet<'_>,
        key: &MessageKey,
        pool: &mut Pool,
    ) -> Result<Place, DropReason> {
        let packets = match (packet.extension, packet.header.place) {
            (Some(extension), _) => extension.packets,
            (None, PacketPlace::First { packets }) => packets,
            (None, PacketPlace::Later { .. }) => return Err(DropReason::NoFirst),
        };
        if self.is_finished(arrived.now, key) {
            return Err(DropReason::Duplicate);
        }
        let (most, least) = Partial::sizes(packet, packets, key.payload_max());
        if least > self.settings.body_max {
            return Err(DropReason::TooLong);
        }
        let most = most.min(self.settings.body_max);
        while self.table.is_full() || self.bytes + most > self.settings.bytes_max {
            let still = self.stands_still(arrived.now).ok_or(DropReason::TableFull)?;
            self.drops.count(DropReason::Expired);
            self.remove(still, pool);
        }
        let buffer = pool.take(most).ok_or(DropReason::PoolFull)?;
        let times = (arrived.now, arrived.not_before);
        let partial = Partial::new(packet, packets, key.payload_max(), buffer, times);
        self.bytes += most;
        let list = if key.plain { PLAIN } else { WAITING };
        self.table.insert(*key, partial, list).ok_or(DropReason::TableFull)
    }

    fn add(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        place: Place,
        pool: &mut Pool,
    ) -> Result<Taken, DropReason> {
        let key = *self.table.key(place);
        let partial = self.table.value_mut(place);
        match partial.add(packet) {
            Ok(true) => {}
            Ok(false) => return Ok(Taken::Duplicate),
            Err(reason) => {
                self.remove(place, pool);
                return Err(reason);
            }
        }
        if partial.is_whole() {
            return Ok(Taken::Whole(self.finish(now, place)));
        }
        if !key.plain {
            partial.active_at = now;
            partial.tries_left = self.settings.ask_tries;
            let may_ask = key.kind == MessageKind::Response || partial.has_first();
            let list = if may_ask && partial.tries_left > 0 { ASKING } else { WAITING };
            self.table.move_to_end(place, list);
        }
        Ok(Taken::Part)
    }

    fn finish(&mut self, now: Instant, place: Place) -> Whole {
        let (key, partial) = self.table.remove(place);
        self.bytes -= partial.charge();
        if !key.plain {
            let at = self.table.hash(&key) as usize % FINISHED;
            self.finished[at] = Some((key, now));
        }
        Whole {
            flags: partial.flags,
            above_floor: partial.above_floor,
            age_from: partial.age_from,
            body: partial.into_body(),
        }
    }

    /// Whether this message was whole a moment ago. A client repeats much later, and is heard then.
    fn is_finished(&self, now: Instant, key: &MessageKey) -> bool {
        let at = self.table.hash(key) as usize % FINISHED;
        self.finished[at].is_some_and(|(finished, when)| {
            finished == *key && now < when + self.settings.plain_ttl
        })
    }

    fn dies_at(&self, place: Place) -> Instant {
        let partial = self.table.value(place);
        if self.table.key(place).plain {
            partial.started_at + self.settings.plain_ttl
        } else {
            partial.active_at + self.settings.extended_ttl
        }
    }

    /// The message that has stood still longest, if that is for `plain_ttl` at least (M3).
    fn stands_still(&self, now: Instant) -> Option<Place> {
        let fronts = [PLAIN, WAITING, ASKING].into_iter().filter_map(|list| self.table.first(list));
        fronts
            .min_by_key(|&place| self.table.value(place).active_at)
            .filter(|&place| self.table.value(place).active_at + self.settings.plain_ttl <= now)
    }

    fn remove(&mut self, place: Place, pool: &mut Pool) {
        let (_, partial) = self.table.remove(place);
        self.bytes -= partial.charge();
        pool.give_back_unfinished(partial.into_buffer());
    }
}

/// What [`Reassembly::take`] makes a message of.
struct Whole {
    body: Body,
    flags: Flags,
    above_floor: u16,
    age_from: Instant,
}

enum Taken {
    Whole(Whole),
    Part,
    Duplicate,
}
