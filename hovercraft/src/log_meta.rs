//! What this node alone knows of each entry in its log: where its body is, when it came, who else asked for it.
//!
//! A ring beside the log, by index. Entries here are those above the applied index: what is applied needs none of it, but the
//! last one's stamp, from which the next is counted.

use std::collections::VecDeque;

use r2p2::Instant;
use raft_core::ids::{LogIndex, Term};

use crate::command::AnswerTo;
use crate::entry::{EntryKind, Request};
use crate::log_time::LastStamp;
use crate::store::BodyRef;

/// Entries that will take room in the tables.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Unapplied {
    /// Writes without a session, openings among them.
    pub plain: u32,
    /// Openings of sessions.
    pub openings: u32,
}

impl Unapplied {
    /// What the entry of `request` adds.
    pub(crate) fn of(request: &Request) -> Self {
        let opens = request.kind == EntryKind::Open;
        let plain = opens || (request.id.session == 0 && request.kind == EntryKind::Write);
        Self { plain: plain.into(), openings: opens.into() }
    }

    /// One more in the log.
    pub(crate) fn add(&mut self, other: Self) {
        self.plain += other.plain;
        self.openings += other.openings;
    }

    /// One decided, or cut off.
    pub(crate) fn subtract(&mut self, other: Self) {
        self.plain -= other.plain;
        self.openings -= other.openings;
    }
}

/// One entry's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EntryMeta {
    /// Its body; none for no-ops and configurations.
    pub body: Option<BodyRef>,
    /// Own time at which the append that brought it came, parked or not (HC3c).
    pub arrived: Instant,
    /// The stamp of this entry, or of the last one before it that has one.
    pub stamp: LastStamp,
    /// The room that it will take in the tables (HC7c).
    pub adds: Unapplied,
    /// Somebody who asked again before it was applied (HC7d); the leader answers.
    pub asked_again: Option<AnswerTo>,
}

/// An entry's, as a model checker sees it.
pub(crate) type MetaState = (Unapplied, Option<AnswerTo>, (u64, Term));

/// Meta of the entries `first ..= last`.
#[derive(Clone, Debug)]
pub(crate) struct LogMeta {
    first: LogIndex,
    entries: VecDeque<EntryMeta>,
    /// The stamp in force before `first`.
    base: LastStamp,
}

impl LogMeta {
    /// For an empty log of at most `capacity` unapplied entries.
    #[must_use]
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            first: LogIndex::ZERO.next(),
            entries: VecDeque::with_capacity(capacity),
            base: LastStamp::default(),
        }
    }

    /// Index of the last entry.
    #[must_use]
    pub(crate) fn last(&self) -> LogIndex {
        self.first.prev().plus(self.entries.len() as u64)
    }

    /// Adds the entry after the last.
    pub(crate) fn push(&mut self, meta: EntryMeta) {
        self.entries.push_back(meta);
    }

    /// The entry's, unless it is applied or not there.
    #[must_use]
    pub(crate) fn get(&self, index: LogIndex) -> Option<&EntryMeta> {
        self.entries.get(self.place(index)?)
    }

    /// The entry's, to change.
    pub(crate) fn get_mut(&mut self, index: LogIndex) -> Option<&mut EntryMeta> {
        let place = self.place(index)?;
        self.entries.get_mut(place)
    }

    /// Cuts off the last entry, if it is at `from` or above.
    pub(crate) fn pop_from(&mut self, from: LogIndex) -> Option<EntryMeta> {
        if self.last() < from { None } else { self.entries.pop_back() }
    }

    /// Forgets the first entry, if it is at `up_to` or below: applied.
    pub(crate) fn pop_applied(&mut self, up_to: LogIndex) -> Option<EntryMeta> {
        if self.first > up_to {
            return None;
        }
        let meta = self.entries.pop_front()?;
        self.base = meta.stamp;
        self.first = self.first.next();
        Some(meta)
    }

    /// The last stamp in the log, and when this node appended it (HC7e).
    #[must_use]
    pub(crate) fn last_stamp(&self) -> LastStamp {
        self.entries.back().map_or(self.base, |meta| meta.stamp)
    }

    /// What decides, of each entry: the room that it takes, who asked again, and the stamp in force, by which term's leader.
    pub(crate) fn protocol_state(&self) -> Vec<MetaState> {
        let stamp = |stamp: &LastStamp| (stamp.stamp_us, stamp.term);
        let base = (Unapplied::default(), None, stamp(&self.base));
        let state = |meta: &EntryMeta| {
            let also = meta.asked_again;
            let also = also.map(|to| AnswerTo { asked: Instant::ZERO, ..to });
            (meta.adds, also, stamp(&meta.stamp))
        };
        core::iter::once(base).chain(self.entries.iter().map(state)).collect()
    }

    fn place(&self, index: LogIndex) -> Option<usize> {
        if index < self.first {
            return None;
        }
        usize::try_from(index.since(self.first)).ok()
    }
}
