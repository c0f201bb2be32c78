//! Scans, taken apart into a read of each key that they speak of.
//!
//! Invariants:
//! - N1. A scan speaks of the keys from its first one on: to the end of the store, or, when its answer says that there is
//!   more, to the last key that it names. One of these that it does not name was absent, of the others it says nothing.
//! - N2. Only keys that the history knows are asked about: those of other operations, and those that scans name. A key that
//!   no write could yet have made was surely absent, and is passed over.
//! - N3. Each key looked at costs a step of the search, and no more than [`READS_MAX`] reads are made; scans that are left
//!   over then are counted, not forgotten.

use std::collections::BTreeMap;
use std::ops::Bound;

use kv::{Pairs, Request, Response};

use super::model::Model;
use crate::history::Operation;
use crate::verdict::{Findings, ViolationKind};

/// Reads that scans are taken apart into, at most: some 60 bytes each.
const READS_MAX: u64 = 4_000_000;

/// The answered scans of a history.
pub(super) struct Scans<'a> {
    history: &'a [Operation],
    scans: Vec<Scan<'a>>,
    broken: u64,
}

struct Scan<'a> {
    /// Place in the history.
    at: usize,
    from: &'a [u8],
    pairs: Pairs<'a>,
}

/// How many scans.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct TakenApart {
    /// Whose reads are in the models.
    pub(super) done: u64,
    /// For which there were no steps or no memory (N3).
    pub(super) left: u64,
}

impl<'a> Scans<'a> {
    pub(super) fn new(history: &'a [Operation]) -> Self {
        Self { history, scans: Vec::new(), broken: 0 }
    }

    /// Scans whose answers no store gives.
    pub(super) fn broken(&self) -> u64 {
        self.broken
    }

    /// Adds the scan at this place of the history, answered by `reply`.
    pub(super) fn add(
        &mut self,
        at: usize,
        (from, limit): (&'a [u8], u32),
        reply: &Response<'a>,
        findings: &mut Findings<'_>,
    ) {
        if let Response::Pairs(pairs) = *reply
            && is_sound(from, limit, &pairs)
        {
            self.scans.push(Scan { at, from, pairs });
            return;
        }
        self.broken += 1;
        findings.violation(ViolationKind::NotLinearizable, &[at], || {
            "a scan's answer that no store gives: not pairs, or more than asked for, or keys out of order or range"
                .to_owned()
        });
    }

    /// Puts the scans' reads into the models of their keys, and keys that only scans name beside them.
    pub(super) fn take_apart(
        self,
        keys: &mut BTreeMap<&'a [u8], Model>,
        steps: &mut u64,
    ) -> TakenApart {
        for (key, _) in self.scans.iter().flat_map(|scan| scan.pairs.iter()) {
            keys.entry(key).or_default();
        }
        let (mut taken_apart, mut reads_left) = (TakenApart::default(), READS_MAX);
        for scan in &self.scans {
            // Where steps or memory end within a scan, its first reads are evidence all the same.
            let operation = &self.history[scan.at];
            let whole = scan.read(operation, keys, steps, &mut reads_left);
            let count = if whole { &mut taken_apart.done } else { &mut taken_apart.left };
            *count += 1;
        }
        taken_apart
    }
}

impl<'a> Scan<'a> {
    /// Adds a read of each key that the scan speaks of (N1); false when steps or memory were used up before the end.
    fn read(
        &self,
        operation: &Operation,
        keys: &mut BTreeMap<&'a [u8], Model>,
        steps: &mut u64,
        reads_left: &mut u64,
    ) -> bool {
        let named = self.pairs.iter().last().map(|(key, _)| key);
        let end = match (self.pairs.more(), named) {
            (false, _) => Bound::Unbounded,
            (true, Some(last)) => Bound::Included(last),
            (true, None) => return true,
        };
        let completed = operation.completed_us.unwrap_or(u64::MAX);
        let mut pairs = self.pairs.iter().peekable();
        for (&key, model) in keys.range_mut::<[u8], _>((Bound::Included(self.from), end)) {
            let Some(left) = steps.checked_sub(1) else { return false };
            *steps = left;
            let found = pairs.next_if(|&(named, _)| named == key);
            if found.is_none() && !model.may_have_value(completed) {
                continue;
            }
            let Some(left) = reads_left.checked_sub(1) else { return false };
            *reads_left = left;
            let reply = found.map_or(Response::Absent, |(_, value)| Response::Value(value));
            model.add(self.at, operation, &Request::Get { key }, Some(reply));
        }
        true
    }
}

/// Whether a store can have answered so: keys in order, from the first one asked for, no more than asked for.
fn is_sound(from: &[u8], limit: u32, pairs: &Pairs<'_>) -> bool {
    let keys = || pairs.iter().map(|(key, _)| key);
    pairs.len() <= limit
        && keys().next().is_none_or(|first| first >= from)
        && keys().zip(keys().skip(1)).all(|(low, high)| low < high)
}

#[cfg(test)]
mod tests;
