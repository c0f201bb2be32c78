//! A state of all nodes and of the network, as a row of numbers.
//!
//! ```text
//!   0..3  the nodes, by their numbers       3  a life that ended, 0 = none, else its number plus 1
//!   4     who led which term                5  what was committed, by the number of the record
//!   6..   packets that may arrive, ascending
//! ```

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

use crate::Map;
use crate::checks::{Leaders, Record, Violation, World, of_world};
use crate::machine::{Machine, NodeIndex, Outcome};
use crate::packets::PacketId;

/// Nodes of a state.
pub const SLOTS: usize = crate::node::NODES as usize;
const ENDED: usize = SLOTS;
const LEADERS: usize = SLOTS + 1;
const RECORD: usize = SLOTS + 2;
const PACKETS: usize = SLOTS + 3;

/// A state; see the module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State(Box<[u32]>);

/// What was committed, by number.
#[derive(Debug, Default)]
pub struct Records {
    all: Vec<Record>,
    numbers: Map<Record, u32>,
}

impl Records {
    /// The number of this record.
    pub fn number(&mut self, record: Record) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(record).or_insert_with_key(|record| {
            self.all.push(record.clone());
            next
        })
    }

    fn get(&self, number: u32) -> &Record {
        &self.all[number as usize]
    }
}

impl State {
    /// Where a scope begins.
    #[must_use]
    pub fn first(
        machine: &Machine,
        nodes: [NodeIndex; SLOTS],
        packets: &[PacketId],
        records: &mut Records,
    ) -> Self {
        let (mut leaders, mut record) = (Leaders::default(), Record::default());
        for view in nodes.map(|node| machine.view(node)) {
            if view.leads() {
                leaders = leaders.with(view.term, view.id);
            }
            record = record.with(view).unwrap_or(record);
        }
        let record = records.number(record);
        let words = nodes.into_iter().chain([0, leaders.to_word(), record]);
        Self(words.chain(packets.iter().copied()).collect())
    }

    /// The node in this slot, its id less one.
    #[must_use]
    pub fn node(&self, slot: usize) -> NodeIndex {
        self.0[slot]
    }

    /// Whether a life has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0[ENDED] != 0
    }

    /// Packets that may arrive.
    #[must_use]
    pub fn packets(&self) -> &[PacketId] {
        &self.0[PACKETS..]
    }

    /// Whether an outcome for the node in `slot` is news here.
    #[must_use]
    pub fn is_news(&self, slot: usize, outcome: &Outcome) -> bool {
        outcome.node != self.node(slot)
            || outcome.violation.is_some()
            || outcome.sent.iter().any(|packet| self.packets().binary_search(packet).is_err())
    }

    /// What follows when the node in `slot` becomes what it is after `outcome`.
    pub fn after(
        &self,
        machine: &Machine,
        records: &mut Records,
        slot: usize,
        outcome: &Outcome,
    ) -> (Self, Option<Violation>) {
        let before = machine.view(self.node(slot));
        let mut next = self.with_sent(machine, slot, outcome.node, &outcome.sent);
        let (after, leaders) = (machine.view(outcome.node), Leaders::from_word(self.0[LEADERS]));
        let record = records.get(self.0[RECORD]);
        let world = World {
            nodes: core::array::from_fn(|slot| machine.view(next.node(slot))),
            ended: self.0[ENDED].checked_sub(1).map(|node| machine.view(node)),
            record,
            leaders,
            before,
            after,
        };
        let wrong = outcome.violation.as_deref().cloned();
        let wrong = wrong.or_else(|| of_world(&world, machine.blind()));
        if after.leads() {
            next.0[LEADERS] = leaders.with(after.term, after.id).to_word();
        }
        if let Some(record) = record.with(after) {
            next.0[RECORD] = records.number(record);
        }
        (next, wrong)
    }

    /// What follows when the node in `slot` loses its memory and begins a fresh life.
    #[must_use]
    pub fn restarted(
        &self,
        machine: &Machine,
        slot: usize,
        fresh: NodeIndex,
        sent: &[PacketId],
    ) -> Self {
        let mut next = self.with_sent(machine, slot, fresh, sent);
        next.0[ENDED] = self.node(slot) + 1;
        next
    }

    /// With another node in `slot`, and what it sent; without what has become void.
    fn with_sent(
        &self,
        machine: &Machine,
        slot: usize,
        node: NodeIndex,
        sent: &[PacketId],
    ) -> Self {
        let mut words = Vec::with_capacity(self.0.len() + sent.len());
        words.extend_from_slice(&self.0[..PACKETS]);
        words[slot] = node;
        let standing: [_; SLOTS] = core::array::from_fn(|slot| {
            let view = machine.view(words[slot]);
            (view.term, view.is_outside())
        });
        let lives = |id: &PacketId| {
            let packet = machine.packets.get(*id);
            let (term, outside) = standing[usize::from(packet.to) - 1];
            !packet.is_void(term, outside)
        };
        let (mut old, mut new) = (self.packets().iter().peekable(), sent.iter().peekable());
        loop {
            let next = match (old.peek(), new.peek()) {
                (Some(a), Some(b)) if a == b => {
                    new.next();
                    old.next()
                }
                (Some(a), Some(b)) if a > b => new.next(),
                (Some(_), _) => old.next(),
                (None, _) => new.next(),
            };
            let Some(packet) = next else { break };
            words.extend(Some(*packet).filter(lives));
        }
        Self(words.into())
    }

    /// By which it is known again.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        let mut hasher = SipHasher13::new();
        for word in &self.0 {
            hasher.write_u32(*word);
        }
        hasher.finish128().as_u128()
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.0) + 16
    }
}
