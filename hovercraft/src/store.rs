//! Bodies: unordered requests, bodies of the log, and bodies kept for laggards, each under id and hash (design HC6c, HC8).
//!
//! A body is in one of these states:
//!
//! ```text
//!   arrives ──► waiting ──ordered / named by an append──► logged ──applied here──► kept ──released──► gone
//!                 │  ▲                                       │
//!       expires ──┘  └────────────── truncated ──────────────┘
//! ```
//!
//! Invariants:
//! - S1. A logged body (pins > 0) is never let go (HC1d): limits refuse new work instead.
//! - S2. What is logged is not waiting (HC8), and a body stands here once, whatever number of entries name it.
//! - S3. A body that came by recovery only is bound by appends, and ordered by nobody until the client's copy comes.
//! - S4. Waiting bodies are bounded in number and bytes; all slots are made at the start.

use core::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use planted::Plant;
use r2p2::Instant;
use r2p2::buffer::{Body, Pool};
use r2p2::request_id::{ClientAddress, RequestId};
use raft_core::ids::LogIndex;
use std::collections::VecDeque;

use crate::entry::EntryKind;
use crate::totals::totals;

mod origin;
mod protocol_state;

pub use origin::{BodyKey, Origin};
pub(crate) use protocol_state::BodyState;

/// Place of a body; valid while it is pinned or was just found.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct BodyRef(u32);

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct StoreSettings {
    /// Bodies of all states.
    pub bodies_max: u32,
    /// Waiting bodies.
    pub unordered_max: u32,
    /// Bytes of waiting bodies.
    pub unordered_bytes: usize,
}

totals! {
    /// What the store could not keep, or let go. Totals.
    pub StoreCounters {
        /// Refused: the waiting set is full, in number or bytes.
        unordered_full,
        /// Waited longer than the expiry.
        unordered_expired,
        /// Kept bodies let go before every member had them.
        kept_evicted,
    }
}

/// The waiting set or the whole store is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreFull;

const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Slot {
    key: BodyKey,
    body: Body,
    origin: Origin,
    /// Entries of the log, not yet applied here, that name it.
    pins: u32,
    /// Index of the last such entry.
    logged_at: LogIndex,
    /// Whether the client's own copy came (S3).
    from_client: bool,
    waiting: bool,
    /// The client asked again while an entry that was decided already named it: it waits once that is applied (HC5).
    again: Option<Origin>,
    /// Index of the last entry applied; with `pins` 0 and not waiting the body is kept under it.
    kept_at: LogIndex,
    older: u32,
    younger: u32,
    used: bool,
    /// Burst in which the client's copy came as the first.
    burst: u64,
}

impl Slot {
    /// Whether it is kept for laggards since the entry at `index`.
    fn is_kept_at(&self, index: LogIndex) -> bool {
        self.used && self.pins == 0 && !self.waiting && self.kept_at == index
    }
}

/// The bodies of one node.
#[derive(Clone, Debug)]
pub struct Store {
    settings: StoreSettings,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_key: HashTable<u32>,
    oldest: u32,
    youngest: u32,
    waiting: u32,
    waiting_bytes: usize,
    kept: VecDeque<(LogIndex, u32)>,
    burst: u64,
    /// Totals.
    pub counters: StoreCounters,
}

impl Store {
    /// An empty store; every slot is made here.
    #[must_use]
    pub fn new(settings: StoreSettings) -> Self {
        let slots = settings.bodies_max as usize;
        let empty = Slot {
            key: BodyKey { id: RequestId::default(), hash: 0 },
            body: Body::default(),
            origin: Origin {
                client: ClientAddress::default(),
                plain: false,
                kind: EntryKind::Write,
                above_floor: 0,
                age_from: Instant::ZERO,
                age_log_us: 0,
            },
            pins: 0,
            logged_at: LogIndex::ZERO,
            from_client: false,
            waiting: false,
            again: None,
            kept_at: LogIndex::ZERO,
            older: NONE,
            younger: NONE,
            used: false,
            burst: 0,
        };
        Self {
            settings,
            slots: vec![empty; slots],
            free: (0..settings.bodies_max).rev().collect(),
            by_key: HashTable::with_capacity(slots * 2),
            oldest: NONE,
            youngest: NONE,
            waiting: 0,
            waiting_bytes: 0,
            kept: VecDeque::with_capacity(2 * slots),
            burst: 1,
            counters: StoreCounters::default(),
        }
    }

    /// Where this body stands, in any state.
    #[must_use]
    pub fn find(&self, key: &BodyKey) -> Option<BodyRef> {
        let slots = &self.slots;
        self.by_key.find(key.bucket(), |&at| slots[at as usize].key == *key).map(|&at| BodyRef(at))
    }

    /// The body that an entry of this name binds (HC6c).
    #[must_use]
    pub fn find_to_bind(&self, key: &BodyKey) -> Option<BodyRef> {
        if planted::is(Plant::H8) {
            let same_id = |slot: &Slot| slot.used && slot.key.id == key.id;
            let at = || self.slots.iter().position(same_id).and_then(|at| u32::try_from(at).ok());
            return self.find(key).or_else(|| at().map(BodyRef));
        }
        self.find(key)
    }

    /// Takes a body in as waiting: from the client, or by recovery (`from_client` false).
    ///
    /// # Errors
    ///
    /// [`StoreFull`], counted: the buffer goes back to `pool`.
    pub fn insert(
        &mut self,
        key: BodyKey,
        origin: Origin,
        body: Body,
        from_client: bool,
        pool: &mut Pool,
    ) -> Result<BodyRef, StoreFull> {
        if from_client && !self.has_room(body.len()) {
            self.counters.unordered_full += 1;
            pool.give_back(body);
            return Err(StoreFull);
        }
        if self.free.is_empty() {
            self.evict_kept(pool);
        }
        let Some(at) = self.free.pop() else {
            self.counters.unordered_full += 1;
            pool.give_back(body);
            return Err(StoreFull);
        };
        let slots = &self.slots;
        let is_it = |&at: &u32| slots[at as usize].key == key;
        let bucket = |&at: &u32| slots[at as usize].key.bucket();
        match self.by_key.entry(key.bucket(), is_it, bucket) {
            Entry::Vacant(place) => _ = place.insert(at),
            Entry::Occupied(_) => panic!("S2: a body stands here once"),
        }
        let slot = &mut self.slots[at as usize];
        slot.key = key;
        slot.body = body;
        slot.origin = origin;
        slot.pins = 0;
        slot.from_client = from_client;
        slot.again = None;
        slot.kept_at = LogIndex::ZERO;
        slot.used = true;
        slot.burst = if from_client { self.burst } else { 0 };
        self.enqueue(at);
        Ok(BodyRef(at))
    }

    /// What came until now is fresh no more.
    pub fn end_burst(&mut self) {
        self.burst += 1;
    }

    /// Whether the client's copy came in this burst.
    #[must_use]
    pub fn is_fresh(&self, at: BodyRef) -> bool {
        self.slots[at.0 as usize].burst == self.burst
    }

    /// Whether one more request of `len` bytes may wait.
    #[must_use]
    pub fn has_room(&self, len: usize) -> bool {
        self.waiting < self.settings.unordered_max
            && self.waiting_bytes + len <= self.settings.unordered_bytes
    }

    /// The client's copy of a body that is here already: a recovered one may now be ordered (S3); when `again`, one that an
    /// entry named and no entry of the log awaits its decision waits anew (a read that was applied, HC5), once it is applied.
    pub fn client_copy(&mut self, at: BodyRef, origin: Origin, again: bool) {
        let slot = &mut self.slots[at.0 as usize];
        let recovered = !slot.from_client;
        slot.from_client = true;
        if slot.waiting {
            if recovered {
                slot.origin = origin;
            }
        } else if again {
            slot.again = Some(origin);
            if slot.pins == 0 {
                self.wait_again(at.0);
            }
        }
    }

    /// Who asked again waits, if there is room; true when it does.
    fn wait_again(&mut self, at: u32) -> bool {
        let again = self.slots[at as usize].again.take();
        let Some(origin) = again.filter(|_| self.has_room(0)) else { return false };
        self.slots[at as usize].origin = origin;
        self.enqueue(at);
        true
    }

    /// The entry at `index` of the log now names this body (S1, S2).
    pub fn pin(&mut self, at: BodyRef, index: LogIndex) {
        if self.slots[at.0 as usize].waiting {
            self.unlink(at.0);
        }
        let slot = &mut self.slots[at.0 as usize];
        assert!(slot.used, "S1: only a body that is here can be pinned");
        slot.pins += 1;
        slot.logged_at = index;
        slot.again = None;
    }

    /// The entry that named this body was cut off, the newest first: back to waiting, with its age (HC8), in its old order and
    /// before all that came since.
    pub fn unpin_truncated(&mut self, at: BodyRef) {
        let slot = &mut self.slots[at.0 as usize];
        assert!(slot.pins > 0, "S1: every entry of the log pins its body");
        slot.pins -= 1;
        if planted::is(Plant::Hc8Age) {
            slot.origin.age_from += Duration::from_secs(3_600);
            slot.origin.age_log_us += 3_600_000_000;
        }
        if slot.pins == 0 {
            self.enqueue_before_all(at.0);
        } else {
            slot.again = Some(slot.origin);
        }
    }

    /// The entry at `index` that named this body is applied: kept from now on, until released.
    pub fn applied(&mut self, at: BodyRef, index: LogIndex) {
        let slot = &mut self.slots[at.0 as usize];
        assert!(slot.pins > 0, "S1: every entry of the log pins its body");
        slot.pins -= 1;
        if slot.pins == 0 {
            slot.kept_at = index;
            if !self.wait_again(at.0) {
                self.keep(index, at.0);
            }
        }
    }

    /// Every member acknowledged `up_to`: kept bodies up to there may go (HC1d).
    pub fn release(&mut self, up_to: LogIndex, pool: &mut Pool) {
        while let Some(&(index, at)) = self.kept.front() {
            if index > up_to {
                return;
            }
            self.kept.pop_front();
            self.let_go_if_kept(index, at, pool);
        }
    }

    /// Lets the longest kept body go, to make room; false when none is kept.
    pub fn evict_kept(&mut self, pool: &mut Pool) -> bool {
        while let Some((index, at)) = self.kept.pop_front() {
            if self.let_go_if_kept(index, at, pool) {
                self.counters.kept_evicted += 1;
                return true;
            }
        }
        false
    }

    /// Drops waiting bodies whose age has reached `expiry`, oldest arrivals first.
    pub fn expire(&mut self, now: Instant, passed_us: u64, expiry: Duration, pool: &mut Pool) {
        while self.oldest != NONE {
            let at = self.oldest;
            if self.slots[at as usize].origin.age(now, passed_us) < expiry {
                return;
            }
            self.counters.unordered_expired += 1;
            self.drop_waiting(BodyRef(at), pool);
        }
    }

    /// It waits no more; a body that an applied entry named is kept on, for laggards (HC1d).
    pub fn drop_waiting(&mut self, at: BodyRef, pool: &mut Pool) {
        self.unlink(at.0);
        let applied_at = self.slots[at.0 as usize].kept_at;
        if applied_at == LogIndex::ZERO {
            self.let_go(at.0, pool);
        } else {
            self.keep(applied_at, at.0);
        }
    }

    /// A body that was named again and again, by repeated reads, stands in the list as often: those places go when it is full.
    fn keep(&mut self, index: LogIndex, at: u32) {
        if self.kept.len() == self.kept.capacity() {
            let slots = &self.slots;
            self.kept.retain(|&(index, at)| slots[at as usize].is_kept_at(index));
        }
        self.kept.push_back((index, at));
    }

    /// The waiting body that came first, or the one after `after`.
    #[must_use]
    pub fn next_waiting(&self, after: Option<BodyRef>) -> Option<BodyRef> {
        let next = after.map_or(self.oldest, |at| self.slots[at.0 as usize].younger);
        (next != NONE).then_some(BodyRef(next))
    }

    /// The bytes.
    #[must_use]
    pub fn body(&self, at: BodyRef) -> &Body {
        &self.slots[at.0 as usize].body
    }

    /// Its name.
    #[must_use]
    pub fn key(&self, at: BodyRef) -> BodyKey {
        self.slots[at.0 as usize].key
    }

    /// What came with it.
    #[must_use]
    pub fn origin(&self, at: BodyRef) -> Origin {
        self.slots[at.0 as usize].origin
    }

    /// Index of the last entry, not yet applied here, that names it.
    #[must_use]
    pub fn logged_at(&self, at: BodyRef) -> Option<LogIndex> {
        let slot = &self.slots[at.0 as usize];
        (slot.pins > 0).then_some(slot.logged_at)
    }

    /// Whether it waits to be ordered.
    #[must_use]
    pub fn is_waiting(&self, at: BodyRef) -> bool {
        self.slots[at.0 as usize].waiting
    }

    /// Whether the client's own copy came (S3).
    #[must_use]
    pub fn is_orderable(&self, at: BodyRef) -> bool {
        let slot = &self.slots[at.0 as usize];
        slot.waiting && slot.from_client
    }

    /// Bodies waiting.
    #[must_use]
    pub fn unordered(&self) -> u32 {
        self.waiting
    }

    /// When the oldest waiting body expires by own time; `None` when none waits.
    #[must_use]
    pub fn expires_at(&self, expiry: Duration) -> Option<Instant> {
        (self.oldest != NONE).then(|| self.slots[self.oldest as usize].origin.age_from + expiry)
    }

    fn enqueue(&mut self, at: u32) {
        self.link(at, self.youngest, NONE);
    }

    fn enqueue_before_all(&mut self, at: u32) {
        self.link(at, NONE, self.oldest);
    }

    /// Waiting from now on, between these two.
    fn link(&mut self, at: u32, older: u32, younger: u32) {
        let slot = &mut self.slots[at as usize];
        (slot.waiting, slot.older, slot.younger) = (true, older, younger);
        self.waiting += 1;
        self.waiting_bytes += slot.body.len();
        match older {
            NONE => self.oldest = at,
            older => self.slots[older as usize].younger = at,
        }
        match younger {
            NONE => self.youngest = at,
            younger => self.slots[younger as usize].older = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        let (older, younger) = (slot.older, slot.younger);
        slot.waiting = false;
        self.waiting -= 1;
        self.waiting_bytes -= slot.body.len();
        if older == NONE {
            self.oldest = younger;
        } else {
            self.slots[older as usize].younger = younger;
        }
        if younger == NONE {
            self.youngest = older;
        } else {
            self.slots[younger as usize].older = older;
        }
    }

    /// The slot may have been used again since it was kept under `index`: then it stays.
    fn let_go_if_kept(&mut self, index: LogIndex, at: u32, pool: &mut Pool) -> bool {
        let kept = self.slots[at as usize].is_kept_at(index);
        if kept {
            self.let_go(at, pool);
        }
        kept
    }

    fn let_go(&mut self, at: u32, pool: &mut Pool) {
        let slot = &mut self.slots[at as usize];
        assert!(slot.pins == 0, "S1: a logged body is never let go");
        let key = slot.key;
        slot.used = false;
        pool.give_back(core::mem::take(&mut slot.body));
        if let Ok(found) = self.by_key.find_entry(key.bucket(), |&other| other == at) {
            found.remove();
        }
        self.free.push(at);
    }
}

#[cfg(test)]
mod tests;
