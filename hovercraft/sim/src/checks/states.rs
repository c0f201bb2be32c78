//! State machine safety: nodes commit the same entry at an index, decide it alike (HC7a), and have the same tables and the same service
//! state where they have applied equally much.

use std::collections::BTreeMap;

use hovercraft::audit::Decided;
use hovercraft::entry::Request;
use r2p2::service::state_hash;

use super::book::place_of;
use super::{Found, Property, Seen, View, holds};

/// Tables and states are compared at every so manieth index: hashing them takes time.
const EVERY: u64 = 8;

#[derive(Default)]
pub(super) struct States {
    /// Decisions by index from 1, of whoever was first.
    decided: Vec<(Option<Request>, Decided, u64)>,
    /// Audited entries looked at, by node.
    looked: BTreeMap<usize, usize>,
    tables: BTreeMap<u64, u64>,
    /// The index at which a node's tables were compared last.
    compared: BTreeMap<usize, u64>,
    services: BTreeMap<u64, u64>,
}

impl Property for States {
    fn look(&mut self, view: &View<'_>) -> Found {
        let mirror = view.mirror();
        let node = view.place + 1;
        for index in view.news.commit_before + 1..=mirror.commit {
            let own = mirror.term_at(index);
            let first = view.book.committed.get(place_of(index)).copied();
            holds("state machine safety", first == Some(own), || {
                format!(
                    "n{node} committed an entry of term {own} at {index}, another node of {first:?}"
                )
            })?;
        }
        self.compare_decisions(view)?;
        let handed = view.replica.gauges().applied;
        let compared = self.compared.entry(view.place).or_default();
        if handed == *compared || !handed.is_multiple_of(EVERY) {
            return Ok(());
        }
        let (at, hash) = view.replica.tables();
        let at = at.to_wire();
        *compared = handed;
        let first = *self.tables.entry(at).or_insert(hash);
        holds("HC7a", first == hash, || format!("the tables of n{node} differ at index {at}"))
    }

    fn serves(&mut self, seen: &Seen<'_>) -> Found {
        let index = seen.served.index;
        if !seen.served.write || !index.is_multiple_of(EVERY) {
            return Ok(());
        }
        let hash = state_hash(seen.service);
        let first = *self.services.entry(index).or_insert(hash);
        holds("state machine safety", first == hash, || {
            format!("the state of n{} differs at index {index}", seen.place + 1)
        })
    }

    fn begins_anew(&mut self, place: usize) {
        self.looked.remove(&place);
        self.compared.remove(&place);
    }
}

impl States {
    fn compare_decisions(&mut self, view: &View<'_>) -> Found {
        let looked = self.looked.entry(view.place).or_default();
        for entry in view.replica.audit().iter().skip(*looked) {
            *looked += 1;
            let index = entry.index.to_wire();
            let own = (entry.request, entry.decided, entry.log_time_us);
            if place_of(index) == self.decided.len() {
                self.decided.push(own);
            }
            let first = self.decided.get(place_of(index));
            holds("HC7a", first == Some(&own), || {
                format!(
                    "n{} decided {own:?} at index {index}, another node {first:?}",
                    view.place + 1
                )
            })?;
        }
        Ok(())
    }
}
