//! Sessions: for each its floor, the slots of numbers above it, and when it was last heard of in the log (HC7b).
//!
//! Sessions stand in a list by the stamp of their last entry, which is the order in which they expire.

use super::index::{Index, hash_words};
use super::places;
use super::slots::{Slot, Slots};
use planted::Plant;

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    number: u64,
    floor: u64,
    /// Stamp of its last applied entry.
    touched_us: u64,
    /// Slot + 1 of number `n` at `n` modulo the length, a power of two, for numbers in `floor .. floor + length`; 0 = none.
    ring: Vec<u32>,
    /// How many numbers have a slot.
    kept: usize,
    /// Neighbours in the list by stamp.
    older: Option<u32>,
    newer: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Sessions {
    all: Vec<Session>,
    free: Vec<u32>,
    index: Index,
    oldest: Option<u32>,
    newest: Option<u32>,
    seed: u64,
}

/// Numbers that a session has room for at first.
const RING_MIN: usize = 16;

/// Sessions for which memory is reserved at the start.
const RESERVED_MAX: usize = 1 << 16;

impl Session {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn touched_us(&self) -> u64 {
        self.touched_us
    }

    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// Lets go of the numbers below `floor`; a lower floor than before changes nothing (T2).
    pub(super) fn raise_floor(&mut self, floor: u64, slots: &mut Slots) {
        if floor <= self.floor {
            if planted::is(Plant::Hc7bFloor) {
                self.floor = floor;
            }
            return;
        }
        self.release(floor - self.floor, slots);
        self.floor = floor;
    }

    /// Gives back the slots of the `count` lowest numbers from the floor on.
    fn release(&mut self, count: u64, slots: &mut Slots) {
        for above in 0..count.min(to_u64(self.ring.len())) {
            if self.kept == 0 {
                return;
            }
            // Beyond the last number that there is nothing is kept, so wrapping meets empty places.
            let place = self.place(self.floor.wrapping_add(above));
            if let Some(slot) = core::mem::take(&mut self.ring[place]).checked_sub(1) {
                slots.give_back(Slot::from_u32(slot));
                self.kept -= 1;
            }
        }
    }

    pub(super) fn slot_of(&self, number: u64) -> Option<Slot> {
        let inside = number.checked_sub(self.floor)? < to_u64(self.ring.len());
        let slot = if inside { self.ring[self.place(number)] } else { 0 };
        slot.checked_sub(1).map(Slot::from_u32)
    }

    /// Keeps `slot` for `number`, at or above the floor and without a slot yet.
    pub(super) fn keep(&mut self, number: u64, slot: Slot) {
        let above = usize::try_from(number - self.floor).unwrap_or(usize::MAX);
        if above >= self.ring.len() {
            self.widen(above + 1);
        }
        let place = self.place(number);
        assert_eq!(self.ring[place], 0, "T2: number {number} has a slot");
        self.ring[place] = slot.to_u32() + 1;
        self.kept += 1;
    }

    /// Numbers with a slot, lowest first, each as its distance from the floor.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Slot)> + '_ {
        let above = (0..self.ring.len()).map(to_u64);
        above.filter_map(|above| Some((above, self.slot_of(self.floor.checked_add(above)?)?)))
    }

    fn widen(&mut self, len: usize) {
        let mut ring = vec![0; len.next_power_of_two().max(RING_MIN)];
        let mask = to_u64(ring.len() - 1);
        for (above, slot) in self.iter() {
            ring[to_place((self.floor + above) & mask)] = slot.to_u32() + 1;
        }
        self.ring = ring;
    }

    fn place(&self, number: u64) -> usize {
        to_place(number & to_u64(self.ring.len() - 1))
    }
}

impl Sessions {
    pub(super) fn new(sessions_max: u32, seed: u64) -> Self {
        let capacity = places(sessions_max);
        Self {
            all: Vec::with_capacity(capacity.min(RESERVED_MAX)),
            free: Vec::with_capacity(capacity.min(RESERVED_MAX)),
            index: Index::new(capacity),
            oldest: None,
            newest: None,
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }

    /// Adds a session that is not there.
    pub(super) fn open(&mut self, number: u64, now_us: u64) -> u32 {
        if self.len() == self.index.capacity() {
            self.grow();
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.all.push(Session {
                number: 0,
                floor: 0,
                touched_us: 0,
                ring: Vec::new(),
                kept: 0,
                older: None,
                newer: None,
            });
            u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
        });
        let session = self.at(place);
        session.number = number;
        session.floor = FIRST_NUMBER;
        session.touched_us = now_us;
        self.index.insert(hash_words(self.seed, [number]), place);
        self.link(place);
        place
    }

    /// Forgets the session at `place` and all its slots.
    pub(super) fn close(&mut self, place: u32, slots: &mut Slots) {
        self.unlink(place);
        let session = self.at(place);
        session.release(u64::MAX, slots);
        assert_eq!(session.kept, 0, "T4: a closed session holds slots");
        let number = session.number;
        let Self { all, index, seed, .. } = self;
        let hash_of = |place: u32| hash_words(*seed, [all[to_place(place.into())].number]);
        index.remove(hash_words(*seed, [number]), place, hash_of);
        self.free.push(place);
    }

    /// Forgets the sessions of which the log said nothing for `expiry_us`.
    pub(super) fn expire(&mut self, now_us: u64, expiry_us: u64, slots: &mut Slots) {
        while let Some(oldest) = self.oldest {
            if now_us.saturating_sub(self.at(oldest).touched_us) <= expiry_us {
                return;
            }
            self.close(oldest, slots);
        }
    }

    /// An entry of this session is applied: where it is, when it is open.
    pub(super) fn touch(&mut self, number: u64, now_us: u64) -> Option<u32> {
        let place = self.place_of(number)?;
        if self.newest != Some(place) {
            self.unlink(place);
            self.link(place);
        }
        self.at(place).touched_us = now_us;
        Some(place)
    }

    /// The session, when it is open at `now_us`.
    pub(super) fn find(&self, number: u64, now_us: u64, expiry_us: u64) -> Option<&Session> {
        let session = &self.all[to_place(self.place_of(number)?.into())];
        (now_us.saturating_sub(session.touched_us) <= expiry_us).then_some(session)
    }

    /// Whether at `now_us` there is no room for one more besides `unapplied` others.
    pub(super) fn is_full(
        &self,
        now_us: u64,
        expiry_us: u64,
        unapplied: usize,
        sessions_max: u32,
    ) -> bool {
        let wanted = self.len().saturating_add(unapplied).saturating_add(1);
        let too_many = wanted.saturating_sub(places(sessions_max));
        let gone = |session: &&Session| now_us.saturating_sub(session.touched_us) > expiry_us;
        too_many > 0 && self.iter().take_while(gone).take(too_many).count() < too_many
    }

    pub(super) fn at(&mut self, place: u32) -> &mut Session {
        &mut self.all[to_place(place.into())]
    }

    /// By the stamp of their last entry, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        let at = |place: Option<u32>| place.map(|place| &self.all[to_place(place.into())]);
        core::iter::successors(at(self.oldest), move |session| at(session.newer))
    }

    fn place_of(&self, number: u64) -> Option<u32> {
        let is_it = |place: u32| self.all[to_place(place.into())].number == number;
        self.index.find(hash_words(self.seed, [number]), is_it)
    }

    /// The limit was raised by a configuration.
    fn grow(&mut self) {
        let mut index = Index::new(self.index.capacity() * 2);
        for session in self.iter() {
            if let Some(place) = self.place_of(session.number) {
                index.insert(hash_words(self.seed, [session.number]), place);
            }
        }
        self.index = index;
    }

    /// Puts `place` at the newest end.
    fn link(&mut self, place: u32) {
        let newest = self.newest.replace(place);
        let session = self.at(place);
        session.older = newest;
        session.newer = None;
        match newest {
            Some(newest) => self.at(newest).newer = Some(place),
            None => self.oldest = Some(place),
        }
    }

    fn unlink(&mut self, place: u32) {
        let Session { older, newer, .. } = *self.at(place);
        match older {
            Some(older) => self.at(older).newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => self.at(newer).older = older,
            None => self.newest = older,
        }
    }
}

/// Numbers in a session count from here (wire.md 6).
const FIRST_NUMBER: u64 = 1;

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn to_place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
