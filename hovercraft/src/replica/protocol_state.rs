//! A replica as a model checker sees it: what decides its answers, free of absolute times, counters, caches and chance (design,
//! section 5).
//!
//! Own times enter as an order (which body is older, who agreed first) or not at all. Log times are data: they stand in the entries of
//! the log. Outputs are to be drained before two states are compared.

use core::hash::Hasher;

use raft_core::entry::Entry;
use raft_core::ids::{LogIndex, Member};
use raft_core::message::Append;

use super::Replica;
use crate::birth::BirthState;
use crate::entry::Request;
use crate::limits::Limits;
use crate::log_meta::{MetaState, Unapplied};
use crate::recovery::{LostBody, WantState};
use crate::store::{BodyKey, BodyState};
use crate::wire::{GroupConfig, body_hash};

/// A view that can be compared and hashed; by [`Replica::protocol_state`].
#[derive(Debug, Eq, Hash, PartialEq)]
pub struct ProtocolState<'a> {
    core: Option<raft_core::ProtocolState<'a, Request, GroupConfig>>,
    birth: BirthState,
    cluster_id: u64,
    /// Of a body without bytes: keys that agree in it are equal.
    hash_key: u64,
    limits: Limits,
    /// Tables, and partial messages, as they feed a hasher.
    table: Vec<u64>,
    partial: Vec<u64>,
    bodies: Vec<BodyState>,
    forwards: Vec<(BodyKey, (u32, Vec<u64>))>,
    wants: Vec<WantState>,
    parked: Vec<(Member, Append, Vec<Entry<Request>>, bool)>,
    repliers: (Vec<u64>, Vec<Option<LogIndex>>, u8),
    meta: Vec<MetaState>,
    heard: (u64, raft_core::ids::Term, u64),
    place: Place,
}

/// How far the log is applied, and who knows.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Place {
    handed: LogIndex,
    applied: LogIndex,
    told: LogIndex,
    held: (LogIndex, LogIndex),
    pending: Vec<LogIndex>,
    outstanding: u32,
    unapplied: Unapplied,
    caught_up: bool,
    stopped: bool,
    lost_body: Option<LostBody>,
    unpark_due: bool,
    wants_configuration: bool,
}

/// Keeps what it is fed, so that it can be compared.
#[derive(Default)]
struct Words(Vec<u64>);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.iter().map(|&byte| u64::from(byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0.push(word);
    }

    fn finish(&self) -> u64 {
        unreachable!("it is fed, and read by its words")
    }
}

impl Replica {
    /// What decides this node's answers.
    #[must_use]
    pub fn protocol_state(&self) -> ProtocolState<'_> {
        let (mut table, mut partial) = (Words::default(), Words::default());
        self.table.hash_protocol_state(&mut table);
        self.reassembly.hash_protocol_state(&mut partial);
        ProtocolState {
            core: self.core.as_ref().map(super::Core::protocol_state),
            birth: self.birth.protocol_state(),
            cluster_id: self.cluster_id,
            hash_key: body_hash(&self.hash_key, &[]),
            limits: self.limits,
            table: table.0,
            partial: partial.0,
            bodies: self.store.protocol_state(),
            forwards: self.forwards.protocol_state(),
            wants: self.recovery.protocol_state(),
            parked: self.parked.protocol_state(),
            repliers: self.repliers.protocol_state(),
            meta: self.meta.protocol_state(),
            heard: self.heard.protocol_state(),
            place: Place {
                handed: self.handed,
                applied: self.applied,
                told: self.told.0,
                held: (self.held_by_all, self.told_held.0),
                pending: self.pending.iter().copied().collect(),
                outstanding: self.outstanding,
                unapplied: self.unapplied,
                caught_up: self.caught_up,
                stopped: self.stopped,
                lost_body: self.lost_body,
                unpark_due: self.unpark_due,
                wants_configuration: self.wants_configuration,
            },
        }
    }
}

#[cfg(test)]
mod tests;
