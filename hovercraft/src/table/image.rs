//! The table as bytes, for snapshots: the same for every node that applied the same entries (T5).
//!
//! Words of eight bytes, big endian:
//!
//! ```text
//! "HCTABLE1" · log time
//! count of plain ids, oldest first, for each: port * 2 + opening · IP (2 words) · number · hash · session · stamp · slot
//! count of sessions, longest silent first, for each: number · floor · stamp · count of kept numbers,
//!     lowest first, for each: distance from the floor * 2^32 + slot
//! count of slots, for each the log index of its entry, 0 = free
//! ```

use r2p2::request_id::ClientAddress;
use raft_core::ids::LogIndex;
use thiserror::Error;

use super::Table;
use super::plain::{PlainKey, PlainWindow};
use super::sessions::Sessions;
use super::slots::{Slot, Slots};
use crate::limits::Limits;

const MAGIC: u64 = u64::from_be_bytes(*b"HCTABLE1");

/// Numbers of a session are kept at most this far above its floor, whatever its window was.
const ABOVE_MAX: u64 = 1 << 16;

/// Bytes that are no image of a table: where they stop making sense.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("table image unreadable at byte {offset}")]
pub struct ImageError {
    /// Bytes read by then.
    pub offset: usize,
}

impl Table {
    /// All of it; [`Self::restore`] reads it.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        walk(self, |stamp_us| stamp_us, &mut |word| bytes.extend(word.to_be_bytes()));
        bytes
    }

    /// The table of an image. `limits` and `seed` as in [`Self::new`].
    ///
    /// # Errors
    ///
    /// [`ImageError`] when the bytes are no image, or one that no sequence of entries leads to.
    pub fn restore(bytes: &[u8], limits: &Limits, seed: u64) -> Result<Self, ImageError> {
        let mut reader = Reader { bytes, offset: 0, used: Vec::new() };
        let table = reader.table(limits, seed);
        table.ok_or(ImageError { offset: reader.offset })
    }
}

/// Hands every word of the image to `put`; `time` turns stamps into what is wanted of them.
pub(super) fn walk(table: &Table, time: impl Fn(u64) -> u64, put: &mut impl FnMut(u64)) {
    put(MAGIC);
    put(time(table.log_time_us));
    put(to_u64(table.plain.len()));
    for id in table.plain.iter() {
        let [high, low] = id.key.ip_words();
        let form = u64::from(id.key.client.port) << 1 | u64::from(id.key.opening);
        let slot = id.slot.to_u32().into();
        let stamp = time(id.stamp_us);
        let words = [form, high, low, id.key.number, id.key.hash, id.session, stamp, slot];
        words.into_iter().for_each(&mut *put);
    }
    put(to_u64(table.sessions.len()));
    for session in table.sessions.iter() {
        put(session.number());
        put(session.floor());
        put(time(session.touched_us()));
        put(to_u64(session.kept()));
        for (above, slot) in session.iter() {
            put(above << 32 | u64::from(slot.to_u32()));
        }
    }
    put(to_u64(table.slots.len()));
    table.slots.indexes().iter().for_each(|index| put(index.to_wire()));
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Slots that an id or a number has.
    used: Vec<Slot>,
}

impl Reader<'_> {
    fn table(&mut self, limits: &Limits, seed: u64) -> Option<Table> {
        if self.word()? != MAGIC {
            return None;
        }
        let log_time_us = self.word()?;
        let plain = self.plain(log_time_us, limits, seed)?;
        let sessions = self.sessions(log_time_us, limits, seed)?;
        let slots = self.slots()?;
        let complete = self.offset == self.bytes.len();
        complete.then_some(Table { log_time_us, plain, sessions, slots })
    }

    fn plain(&mut self, log_time_us: u64, limits: &Limits, seed: u64) -> Option<PlainWindow> {
        let mut plain = PlainWindow::new(limits.plain_ids_max, seed);
        let mut latest = 0;
        for _ in 0..self.count()? {
            let [form, high, low, number, hash, session, stamp_us, slot] = self.words()?;
            let port = u16::try_from(form >> 1).ok()?;
            let ip = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
            let client = ClientAddress { ip, port };
            let opening = form & 1 == 1;
            let key = PlainKey { opening, client, number, hash };
            let bare = client == ClientAddress::default() && hash == 0;
            if opening != (session != 0) || (opening && !bare) {
                return None;
            }
            let ordered = latest <= stamp_us && stamp_us <= log_time_us;
            if !ordered || plain.find(&key, 0, u64::MAX).is_some() {
                return None;
            }
            latest = stamp_us;
            plain.insert(key, stamp_us, self.slot(slot)?, session);
        }
        Some(plain)
    }

    fn sessions(&mut self, log_time_us: u64, limits: &Limits, seed: u64) -> Option<Sessions> {
        let mut sessions = Sessions::new(limits.sessions_max, seed);
        let mut latest = 0;
        for _ in 0..self.count()? {
            let [number, floor, touched_us] = self.words()?;
            let ordered = latest <= touched_us && touched_us <= log_time_us;
            if !ordered || number == 0 || sessions.find(number, 0, u64::MAX).is_some() {
                return None;
            }
            latest = touched_us;
            let place = sessions.open(number, touched_us);
            if floor == 0 {
                return None;
            }
            // Nothing is kept yet: raising the floor gives no slot back.
            sessions.at(place).raise_floor(floor, &mut Slots::default());
            let mut lowest = 0;
            for _ in 0..self.count()? {
                let word = self.word()?;
                let above = word >> 32;
                let slot = self.slot(word & u64::from(u32::MAX))?;
                let number = floor.checked_add(above)?;
                if above < lowest || above >= ABOVE_MAX {
                    return None;
                }
                lowest = above + 1;
                sessions.at(place).keep(number, slot);
            }
        }
        Some(sessions)
    }

    /// The slots, of which those seen so far, once each, are taken (T4).
    fn slots(&mut self) -> Option<Slots> {
        let mut indexes = Vec::new();
        for _ in 0..self.count()? {
            indexes.push(LogIndex::from_wire(self.word()?));
        }
        self.used.sort_unstable();
        let taken = indexes.iter().enumerate().filter(|(_, index)| **index != LogIndex::ZERO);
        let used = self.used.iter().map(|slot| slot.place());
        if !taken.map(|(place, _)| place).eq(used) {
            return None;
        }
        Some(Slots::restore(indexes))
    }

    fn slot(&mut self, number: u64) -> Option<Slot> {
        let slot = self.slot_number(number)?;
        self.used.push(slot);
        Some(slot)
    }

    fn slot_number(&self, number: u64) -> Option<Slot> {
        // An index stands in the image for each slot, so there are fewer than words.
        let slot = Slot::from_u32(u32::try_from(number).ok()?);
        (slot.place() < self.bytes.len() / 8).then_some(slot)
    }

    /// A count of things of at least a word each: never more than there are words left.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.word()?).ok()?;
        (count <= (self.bytes.len() - self.offset) / 8).then_some(count)
    }

    fn words<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.word()?;
        }
        Some(words)
    }

    fn word(&mut self) -> Option<u64> {
        let word = self.bytes.get(self.offset..)?.first_chunk()?;
        self.offset += 8;
        Some(u64::from_be_bytes(*word))
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
