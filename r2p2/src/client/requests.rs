//! The open requests: found by number, and each in one list: to be sent for the first time, to be repeated, or in the
//! bucket (of a millisecond) of a timer wheel whose time is that of its next try or its end.
//!
//! Every operation takes constant time; a tick looks at the buckets that have come due.

use core::time::Duration;

use crate::Instant;
use crate::buffer::Body;
use crate::fragment::Form;
use crate::header::Policy;
use crate::table::{Key, Mix, Place, Table};

/// Not yet sent, in the order of submission.
const FRESH: usize = 0;
/// To be sent again.
const REPEAT: usize = 1;
/// Found due by a tick.
const DUE: usize = 2;
/// First bucket of the wheel.
const WHEEL: usize = 3;

/// Buckets of the wheel; one whose time is more than a turn away is passed over until then.
const BUCKETS: usize = 512;

const LISTS: usize = WHEEL + BUCKETS;

/// Milliseconds of a turn.
const TURN: u64 = BUCKETS as u64;

/// A request's number, for plain ones its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Number(pub(super) u64);

/// A request that has no outcome yet.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) number: u64,
    pub(super) tag: u64,
    pub(super) policy: Policy,
    /// Closes the session: the client's own, not reported.
    pub(super) closes: bool,
    pub(super) body: Body,
    /// How often it was sent.
    pub(super) tries: u32,
    /// Refusals since the last try that was not refused.
    pub(super) refusals: u32,
    /// When it was last sent.
    pub(super) sent_at: Instant,
    /// To which of the servers, by place; `None` = the group.
    pub(super) sent_to: Option<usize>,
    /// A long plain request waits for an ACK, to send the rest to its source.
    pub(super) wants_ack: bool,
    /// When a packet of a long answer last came.
    pub(super) heard_at: Option<Instant>,
    /// No try after this.
    pub(super) repeat_until: Instant,
    pub(super) give_up_at: Instant,
    /// Time in the wheel.
    due: Instant,
}

#[derive(Clone, Debug)]
pub(super) struct Requests {
    table: Table<Number, Open>,
    /// Last bucket looked at, counted from the epoch.
    turned_to: u64,
    /// All buckets after that one and before this one are empty.
    filled_from: u64,
}

impl Key for Number {
    fn mix(&self, mix: &mut Mix) {
        mix.word(self.0);
    }
}

impl Open {
    pub(super) fn new(
        number: u64,
        tag: u64,
        policy: Policy,
        body: Body,
        give_up_at: Instant,
    ) -> Self {
        Self {
            number,
            tag,
            policy,
            closes: false,
            body,
            tries: 0,
            refusals: 0,
            sent_at: Instant::ZERO,
            sent_to: None,
            wants_ack: false,
            heard_at: None,
            repeat_until: give_up_at,
            give_up_at,
            due: Instant::ZERO,
        }
    }

    /// Whether it takes more packets than one.
    pub(super) fn is_long(&self, form: &Form) -> bool {
        self.body.len() > form.payload_max()
    }
}

impl Requests {
    pub(super) fn new(capacity: usize, seed: u64, now: Instant) -> Self {
        let turned_to = ticks(now);
        Self { table: Table::new(capacity, LISTS, seed), turned_to, filled_from: turned_to + 1 }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn find(&self, number: u64) -> Option<Place> {
        self.table.find(&Number(number))
    }

    pub(super) fn get(&self, place: Place) -> &Open {
        self.table.value(place)
    }

    pub(super) fn get_mut(&mut self, place: Place) -> &mut Open {
        self.table.value_mut(place)
    }

    /// Adds a request to be sent. False when there are too many.
    pub(super) fn add(&mut self, open: Open) -> bool {
        self.table.insert(Number(open.number), open, FRESH).is_some()
    }

    pub(super) fn remove(&mut self, place: Place) -> Open {
        self.table.remove(place).1
    }

    /// Any request, for taking all of them out; `list` is 0 at first.
    pub(super) fn any(&self, list: &mut usize) -> Option<Place> {
        while *list < LISTS {
            if let Some(place) = self.table.first(*list) {
                return Some(place);
            }
            *list += 1;
        }
        None
    }

    /// The next to send: again, or if `fresh` allows that one, for the first time.
    pub(super) fn to_send(&self, fresh: impl FnOnce(&Open) -> bool) -> Option<Place> {
        let first = || self.table.first(FRESH).filter(|&place| fresh(self.get(place)));
        self.table.first(REPEAT).or_else(first)
    }

    /// The one that has waited longest to be sent for the first time.
    pub(super) fn oldest_fresh(&self) -> Option<Place> {
        self.table.first(FRESH)
    }

    /// It is to be sent again as soon as may be.
    pub(super) fn repeat(&mut self, place: Place) {
        self.table.move_to_end(place, REPEAT);
    }

    /// It comes due at `at`, or when it is given up, if that is earlier.
    pub(super) fn wait_until(&mut self, place: Place, at: Instant) {
        let turned_to = self.turned_to;
        let open = self.table.value_mut(place);
        open.due = at.min(open.give_up_at);
        let part = u64::from(!open.due.subsec_nanos().is_multiple_of(1_000_000));
        let tick = (ticks(open.due) + part).max(turned_to + 1);
        self.table.move_to_end(place, bucket(tick));
        // One that is more than a turn away is met earlier.
        let met = turned_to + 1 + (tick - turned_to - 1) % TURN;
        while self.filled_from < met && self.table.first(bucket(self.filled_from)).is_none() {
            self.filled_from += 1;
        }
        self.filled_from = self.filled_from.min(met);
    }

    /// A request that has come due; it is to be removed, repeated or to wait again before the next call.
    pub(super) fn poll_due(&mut self, now: Instant) -> Option<Place> {
        let now_tick = ticks(now);
        let turns = now_tick.saturating_sub(self.turned_to).min(TURN);
        for tick in now_tick - turns + 1..=now_tick {
            let mut at = self.table.first(bucket(tick));
            while let Some(place) = at {
                at = self.table.next(place);
                if self.get(place).due <= now {
                    self.table.move_to_end(place, DUE);
                }
            }
        }
        self.turned_to = self.turned_to.max(now_tick);
        self.filled_from = self.filled_from.max(self.turned_to + 1);
        self.table.first(DUE)
    }

    /// When [`Self::poll_due`] next has something to give; sometimes earlier.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.len() == 0 {
            return None;
        }
        let fresh = self.table.first(FRESH).map(|place| self.get(place).give_up_at);
        let wheel = (self.filled_from..=self.turned_to + TURN)
            .find(|&tick| self.table.first(bucket(tick)).is_some())
            .map(Duration::from_millis);
        fresh.into_iter().chain(wheel).min()
    }
}

fn ticks(at: Instant) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

fn bucket(tick: u64) -> usize {
    WHEEL + usize::try_from(tick % TURN).unwrap_or(0)
}
