//! Never twice: whether an entry is executed, decided when it is applied (design HC7).
//!
//! Every node feeds its table with the committed entries in log order, [`Table::decide`]; nothing else changes it, so every
//! node decides alike. [`Table::lookup`] and [`Table::is_plain_full`] answer the checks made when ordering, which only save
//! work: they are judged at the stamp that a request would get now and change nothing.
//!
//! Replies are kept by the application half, in an array by [`Slot`]. A slot that is free again goes to a later entry; commands
//! to the application are in log order, so it may overwrite what stands there.
//!
//! Invariants:
//! - T1. Log time never falls: it is the greatest stamp applied. It expires ids and sessions before their entry is judged.
//! - T2. A session's floor never falls. Every number at or above it that was executed as a write has its slot; nothing below it.
//! - T3. A plain id is forgotten by log time alone, never because the window is full.
//! - T4. A slot belongs to one number or id, or is free.
//! - T5. Two tables fed with the same entries have the same [`Table::image`], whatever their seeds.
//!
//! Cost: an entry costs one look-up, and one step for each number, id or session that it lets go. At most 64 bytes for a plain
//! id, 16 for a number of a session; memory for all of them is taken when first used.

use core::hash::Hasher;
use core::time::Duration;

use planted::Plant;
use r2p2::refusal::Reason;
use r2p2::request_id::RequestId;
use raft_core::ids::LogIndex;

use crate::entry::{EntryKind, Request};
use crate::limits::Limits;

pub mod image;
mod index;
#[cfg(test)]
mod model;
mod plain;
mod sessions;
mod slots;
#[cfg(test)]
mod tests;

pub use slots::Slot;

use plain::{PlainKey, PlainWindow};
use sessions::Sessions;
use slots::Slots;

/// What becomes of an entry, on every node alike.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Decision {
    /// A write: execute it, keep its reply in the slot.
    Execute {
        /// Where the reply goes.
        slot: Slot,
    },
    /// A read: its replier executes it; no reply is kept (HC5).
    ExecuteRead,
    /// A session was opened; the answer (window and expiry) is kept in the slot.
    Opened {
        /// Its number.
        session: u64,
        /// Where the answer goes.
        slot: Slot,
    },
    /// A session was closed.
    Closed,
    /// It was done before: answer from the slot, do not execute.
    Repetition(Kept),
    /// Not executed; the client is told why.
    Refused(Reason),
    /// Below the floor: the client does not ask about it any more. Not executed, not answered.
    Dropped,
}

/// A write that was applied, and where its reply is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Kept {
    /// The reply's place.
    pub slot: Slot,
    /// Log index of the entry that was executed.
    pub index: LogIndex,
    /// The session, when the entry opened one.
    pub opened: Option<u64>,
}

/// What tells whether a request is a repetition: of an entry, or of a message not ordered yet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Asked {
    /// Who asks for what.
    pub id: RequestId,
    /// What is to be done.
    pub kind: EntryKind,
    /// Of the body.
    pub hash: u64,
    /// `id.number` minus the client's floor.
    pub above_floor: u16,
}

/// What the table knows of a request (HC7c, d). Entries not applied may change it: a session not yet open, a floor not yet raised.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Known {
    /// Nothing: it may be ordered.
    New,
    /// It was applied.
    Applied(Kept),
    /// The client does not ask about it any more.
    BelowFloor,
    /// Its session is not open, as far as was applied.
    UnknownSession,
    /// Its number is above the window, as far as was applied.
    AboveWindow,
}

/// The replicated table of sessions, numbers and plain ids.
#[derive(Clone, Debug)]
pub struct Table {
    log_time_us: u64,
    plain: PlainWindow,
    sessions: Sessions,
    slots: Slots,
}

impl Table {
    /// An empty table with room for what `limits` allow. `seed` keeps clients from choosing ids that collide; it never shows.
    #[must_use]
    pub fn new(limits: &Limits, seed: u64) -> Self {
        Self {
            log_time_us: 0,
            plain: PlainWindow::new(limits.plain_ids_max, seed),
            sessions: Sessions::new(limits.sessions_max, seed),
            slots: Slots::default(),
        }
    }

    /// Applies the entry at `index`; `limits` are those of the configuration at that index (HC7a).
    pub fn decide(
        &mut self,
        index: LogIndex,
        request: &Request,
        limits: &Limits,
        cluster_id: u64,
    ) -> Decision {
        self.expire(request.stamp_us, limits);
        let asked = Asked::from(request);
        match (request.kind, request.id.session) {
            (EntryKind::Open, _) => self.open(index, &asked, limits, cluster_id),
            (EntryKind::Write, 0) => self.write_plain(index, &asked, limits),
            (EntryKind::Read, 0) if planted::is(Plant::Hc5Table) => {
                self.write_plain(index, &asked, limits)
            }
            (EntryKind::Read, 0) => Decision::ExecuteRead,
            _ => self.in_session(index, &asked, limits),
        }
    }

    /// What is known of a request now: `stamp_us` is the stamp that it would get, `limits` are the newest committed.
    #[must_use]
    pub fn lookup(&self, asked: &Asked, stamp_us: u64, limits: &Limits) -> Known {
        let now = self.log_time_us.max(stamp_us);
        match (asked.kind, asked.id.session) {
            (EntryKind::Open, _) | (EntryKind::Write, 0) => {
                let window_us = micros(limits.plain_window);
                let found = self.plain.find(&PlainKey::from(asked), now, window_us);
                found.map_or(Known::New, |(slot, opened)| {
                    Known::Applied(Kept { slot, index: self.slots.index(slot), opened })
                })
            }
            (EntryKind::Read, 0) => Known::New,
            _ => self.lookup_in_session(asked, now, limits),
        }
    }

    /// Whether `session` is open at `stamp_us`, as far as was applied.
    #[must_use]
    pub fn is_open(&self, session: u64, stamp_us: u64, limits: &Limits) -> bool {
        let now = self.log_time_us.max(stamp_us);
        self.sessions.find(session, now, micros(limits.session_expiry)).is_some()
    }

    /// Whether the plain window has no room for one more id at `stamp_us`; `unapplied` writes without a session and openings
    /// stand in the log above what was applied (HC7c).
    #[must_use]
    pub fn is_plain_full(&self, stamp_us: u64, unapplied: usize, limits: &Limits) -> bool {
        let now = self.log_time_us.max(stamp_us);
        self.plain.is_full(now, micros(limits.plain_window), unapplied, limits.plain_ids_max)
    }

    /// Whether no more sessions can be opened at `stamp_us`, were the `unapplied` openings in the log applied.
    #[must_use]
    pub fn are_sessions_full(&self, stamp_us: u64, unapplied: usize, limits: &Limits) -> bool {
        let now = self.log_time_us.max(stamp_us);
        self.sessions.is_full(now, micros(limits.session_expiry), unapplied, limits.sessions_max)
    }

    /// The greatest stamp applied, in microseconds.
    #[must_use]
    pub fn log_time_us(&self) -> u64 {
        self.log_time_us
    }

    /// Open sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Ids in the plain window.
    #[must_use]
    pub fn plain_ids(&self) -> usize {
        self.plain.len()
    }

    /// Slots are below this: the places that the application half has to have.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is room for a reply in `slot`: as many are kept as fit the limit with the longest length, the lowest slots'.
    #[must_use]
    pub fn keeps_reply(slot: Slot, limits: &Limits) -> bool {
        let keep_max = u64::from(limits.reply_keep_max.max(1));
        // Without a division: as many as fit, this one among them.
        (u64::from(slot.to_u32()) + 1) * keep_max <= limits.replies_bytes_max
    }

    /// Feeds `state` with all that decides, times as ages: tables that will decide alike under a shifted log time feed alike.
    pub fn hash_protocol_state(&self, state: &mut impl Hasher) {
        let age = |stamp_us| self.log_time_us - stamp_us;
        image::walk(self, age, &mut |word| state.write_u64(word));
    }

    /// T1.
    fn expire(&mut self, stamp_us: u64, limits: &Limits) {
        self.log_time_us = self.log_time_us.max(stamp_us);
        let shorter = if planted::is(Plant::Hc7cWindow) { 1_000 } else { 1 };
        let window_us = micros(limits.plain_window) / shorter;
        self.plain.expire(self.log_time_us, window_us, &mut self.slots);
        self.sessions.expire(self.log_time_us, micros(limits.session_expiry), &mut self.slots);
    }

    fn open(
        &mut self,
        index: LogIndex,
        asked: &Asked,
        limits: &Limits,
        cluster_id: u64,
    ) -> Decision {
        if let Some(kept) = self.kept_plain(asked) {
            return Decision::Repetition(kept);
        }
        let session = index.to_wire() ^ cluster_id;
        let full = self.plain.len() >= places(limits.plain_ids_max)
            || self.sessions.len() >= places(limits.sessions_max);
        // 0 is "no session": the one index in 2^64 that would give it opens nothing.
        if full || session == 0 {
            return Decision::Refused(Reason::Overload);
        }
        let slot = self.slots.take(index);
        self.plain.insert(PlainKey::from(asked), self.log_time_us, slot, session);
        self.sessions.open(session, self.log_time_us);
        Decision::Opened { session, slot }
    }

    fn write_plain(&mut self, index: LogIndex, asked: &Asked, limits: &Limits) -> Decision {
        if let Some(kept) = self.kept_plain(asked) {
            return Decision::Repetition(kept);
        }
        if self.plain.len() >= places(limits.plain_ids_max) {
            return Decision::Refused(Reason::Overload);
        }
        let slot = self.slots.take(index);
        self.plain.insert(PlainKey::from(asked), self.log_time_us, slot, 0);
        Decision::Execute { slot }
    }

    /// What was expired is gone already, so whatever is found counts.
    fn kept_plain(&self, asked: &Asked) -> Option<Kept> {
        let (slot, opened) = self.plain.find(&PlainKey::from(asked), self.log_time_us, u64::MAX)?;
        Some(Kept { slot, index: self.slots.index(slot), opened })
    }

    fn in_session(&mut self, index: LogIndex, asked: &Asked, limits: &Limits) -> Decision {
        let unknown = self.sessions.touch(asked.id.session, self.log_time_us);
        let opened = || self.sessions.open(asked.id.session, self.log_time_us);
        let unknown = unknown.or_else(|| planted::is(Plant::Hc7bUnknown).then(opened));
        let Some(place) = unknown else {
            return Decision::Refused(Reason::UnknownSession);
        };
        let session = self.sessions.at(place);
        session.raise_floor(asked.floor(), &mut self.slots);
        let number = asked.id.number;
        if number < session.floor() {
            return Decision::Dropped;
        }
        let is_write = asked.kind == EntryKind::Write || planted::is(Plant::Hc5Table);
        if is_write && let Some(slot) = session.slot_of(number) {
            let index = self.slots.index(slot);
            return Decision::Repetition(Kept { slot, index, opened: None });
        }
        if number - session.floor() >= limits.session_window.into() {
            return Decision::Refused(Reason::AboveWindow);
        }
        match asked.kind {
            EntryKind::Read if !planted::is(Plant::Hc5Table) => Decision::ExecuteRead,
            EntryKind::Close => {
                self.sessions.close(place, &mut self.slots);
                Decision::Closed
            }
            EntryKind::Write | EntryKind::Open | EntryKind::Read => {
                let slot = self.slots.take(index);
                session.keep(number, slot);
                Decision::Execute { slot }
            }
        }
    }

    fn lookup_in_session(&self, asked: &Asked, now: u64, limits: &Limits) -> Known {
        let expiry_us = micros(limits.session_expiry);
        let Some(session) = self.sessions.find(asked.id.session, now, expiry_us) else {
            return Known::UnknownSession;
        };
        let number = asked.id.number;
        let floor = session.floor().max(asked.floor());
        if number < floor {
            return Known::BelowFloor;
        }
        if asked.kind == EntryKind::Write
            && let Some(slot) = session.slot_of(number)
        {
            let index = self.slots.index(slot);
            return Known::Applied(Kept { slot, index, opened: None });
        }
        let above = number - floor >= limits.session_window.into();
        if above { Known::AboveWindow } else { Known::New }
    }
}

/// Equal in all that decides, log time included.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.image() == other.image()
    }
}

impl Eq for Table {}

impl Asked {
    fn floor(&self) -> u64 {
        self.id.number.saturating_sub(self.above_floor.into())
    }
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Self {
        let Request { id, kind, hash, above_floor, .. } = *request;
        Self { id, kind, hash, above_floor }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn places(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
