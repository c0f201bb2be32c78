//! Appends that wait for a missing body (design HC1a).
//!
//! An append is cut at its first missing body; what follows stays here until recovery brings it and is then handled as if it
//! came at that moment. An append that continues a parked one is parked behind it: it would not fit the log yet, and a missing
//! body is no mismatch.
//!
//! Invariants:
//! - P1. Bounded in number; a full list drops the newcomer (the leader repeats it).
//! - P2. Only appends of one term stand here; a higher term empties the list.

use planted::Plant;
use r2p2::Instant;
use raft_core::entry::{Configuration, Entry};
use raft_core::ids::{LogIndex, Member, Round, Term};
use raft_core::message::Append;

use crate::entry::Request;

/// An append, or the rest of one, with what came beside it.
#[derive(Clone, Debug)]
pub(crate) struct ParkedAppend<C> {
    /// The leader that sent it.
    pub from: Member,
    /// Its head: `previous_index` is just before the first entry kept here.
    pub append: Append,
    /// Own time at which it came (HC3c counts from there).
    pub arrived: Instant,
    /// Its entries.
    pub entries: Vec<Entry<Request>>,
    /// The configuration of its last entry, if that is one.
    pub configuration: Option<Configuration<C>>,
}

/// The parked appends of one node.
#[derive(Clone, Debug)]
pub(crate) struct Parked<C> {
    appends: Vec<ParkedAppend<C>>,
    spare: Vec<Vec<Entry<Request>>>,
    /// Appends dropped because the list was full. Total.
    pub dropped: u64,
}

impl<C: Clone> Parked<C> {
    /// At most `max` appends of `entries_max` entries.
    #[must_use]
    pub(crate) fn new(max: u32, entries_max: usize) -> Self {
        let max = max as usize;
        let spare = (0..max).map(|_| Vec::with_capacity(entries_max)).collect();
        Self { appends: Vec::with_capacity(max), spare, dropped: 0 }
    }

    /// Parks entries `append.previous_index + 1 ..`; one that stands here already is replaced.
    pub(crate) fn park(
        &mut self,
        from: Member,
        append: Append,
        arrived: Instant,
        entries: impl Iterator<Item = Entry<Request>>,
        configuration: Option<Configuration<C>>,
    ) {
        self.enter(append.term);
        let same = |parked: &ParkedAppend<C>| {
            parked.append.previous_index == append.previous_index
                && parked.append.count >= append.count
        };
        if self.appends.iter().any(same) {
            return;
        }
        let more = planted::is(Plant::Hc12Parked).then(Vec::new);
        let Some(mut kept) = self.spare.pop().or(more) else {
            self.dropped += 1;
            return;
        };
        kept.clear();
        kept.extend(entries);
        self.appends.push(ParkedAppend { from, append, arrived, entries: kept, configuration });
    }

    /// Whether an append of `term` after `previous` continues what is parked behind `last`, the end of the log, without a gap:
    /// a gap is a lost append, and the leader has to hear of it.
    pub(crate) fn covers(&self, term: Term, last: LogIndex, previous: LogIndex) -> bool {
        let mut reach = last;
        loop {
            let further = self.appends.iter().filter(|parked| {
                parked.append.term == term && parked.append.previous_index <= reach
            });
            let end = further.map(|parked| parked.append.last_index()).max().unwrap_or(reach);
            if end <= reach {
                return !self.appends.is_empty() && previous <= reach;
            }
            reach = end;
        }
    }

    /// Takes out the first append that follows directly on `last` or earlier; its list of entries comes back by [`Self::done`].
    pub(crate) fn take_ready(&mut self, last: LogIndex) -> Option<ParkedAppend<C>> {
        let ready = (0..self.appends.len())
            .filter(|&at| self.appends[at].append.previous_index <= last)
            .min_by_key(|&at| order(&self.appends[at].append))?;
        Some(self.appends.swap_remove(ready))
    }

    /// Puts an append back as it was taken.
    pub(crate) fn put_back(&mut self, parked: ParkedAppend<C>) {
        self.appends.push(parked);
    }

    /// The append was handled; its list is used again.
    pub(crate) fn done(&mut self, entries: Vec<Entry<Request>>) {
        self.spare.push(entries);
    }

    /// Forgets everything (P2).
    pub(crate) fn clear(&mut self) {
        while let Some(parked) = self.appends.pop() {
            self.done(parked.entries);
        }
    }

    /// Forgets appends of terms before `term` (P2); true when there were some.
    pub(crate) fn enter(&mut self, term: Term) -> bool {
        let old = self.term().is_some_and(|parked| parked < term);
        if old {
            self.clear();
        }
        old
    }

    /// What decides: who sent what, the lowest first. When it came does not.
    pub(crate) fn protocol_state(&self) -> Vec<(Member, Append, Vec<Entry<Request>>, bool)> {
        let state = |parked: &ParkedAppend<C>| {
            let ParkedAppend { from, append, entries, configuration, .. } = parked;
            (*from, *append, entries.clone(), configuration.is_some())
        };
        let mut appends: Vec<_> = self.appends.iter().map(state).collect();
        appends.sort_by_key(|(_, append, ..)| order(append));
        appends
    }

    /// Whether none is parked.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.appends.is_empty()
    }

    /// Appends parked.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.appends.len()
    }

    fn term(&self) -> Option<Term> {
        self.appends.first().map(|parked| parked.append.term)
    }
}

/// In which order they go on: by what they say, never by the places that they happen to have.
fn order(append: &Append) -> (LogIndex, u16, Round, LogIndex, bool) {
    (append.previous_index, append.count, append.round, append.commit, append.answer)
}
