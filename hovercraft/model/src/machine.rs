//! The nodes as one table: equal ones have one number, and what an event does to each is found out once.
//!
//! Two nodes are equal when their protocol states are. That they then behave alike is the claim on which the merging rests; a
//! sample of them is therefore put to the test (`Machine::audit`).

use std::sync::Arc;

use hovercraft::application::Application;

use crate::Map;
use crate::checks::{self, Step, Violation};
use crate::node::{Input, Node};
use crate::packets::{PacketId, Packets};
use crate::service::{Executed, Recorder};
use crate::view::{self, View};

/// Number of a node.
pub type NodeIndex = u32;

/// What happens to a node, as a number: a packet's, or one of those below.
pub type Event = u32;

/// A timer is due.
pub const TIMER: Event = u32::MAX;
/// A leader waited for a quorum.
pub const QUORUM: Event = u32::MAX - 1;
/// A body that is missed is asked for.
pub const ASK: Event = u32::MAX - 2;

/// What came of an event.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What became of the node.
    pub node: NodeIndex,
    /// What it sent.
    pub sent: Box<[PacketId]>,
    /// What was wrong with it.
    pub violation: Option<Box<Violation>>,
}

/// All nodes that were ever seen, and what becomes of them.
#[derive(Debug, Default)]
pub struct Machine {
    /// Packets by number.
    pub packets: Packets,
    nodes: Vec<(Node, View)>,
    by_fingerprint: Map<u128, NodeIndex>,
    /// By what they executed.
    applications: Map<Executed, Arc<Application<Recorder>>>,
    by_event: Map<u64, u32>,
    outcomes: Vec<Outcome>,
    /// Rules that are not checked.
    blind: Vec<String>,
    merged: u64,
    /// Merged nodes put to the test.
    pub audited: u64,
    /// The first that did not behave like the one that it was merged with.
    pub unlike: Option<String>,
}

/// Number of an outcome that changes nothing.
const NOTHING: u32 = u32::MAX;

/// Every so many merged nodes one is put to the test.
const AUDIT_EVERY: u64 = 16;
/// Events that it is tried with.
const AUDIT_EVENTS: usize = 8;
/// Newest packets among which these are looked for.
const AUDIT_LOOKED_AT: u32 = 2_000;

impl Machine {
    /// Without the checks whose names begin like one of `blind`.
    #[must_use]
    pub fn new(blind: &[String]) -> Self {
        Self { blind: blind.to_vec(), ..Self::default() }
    }

    /// The number of this node.
    pub fn number(&mut self, id: u8, node: Node) -> NodeIndex {
        let fingerprint = view::fingerprint(&node);
        let known = self.by_fingerprint.get(&fingerprint).copied();
        known.unwrap_or_else(|| self.keep(id, node, fingerprint))
    }

    fn keep(&mut self, id: u8, mut node: Node, fingerprint: u128) -> NodeIndex {
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let executed = node.application.service().executed.clone();
        let application = self.applications.entry(executed);
        node.application = application.or_insert_with(|| node.application.clone()).clone();
        let view = View::of(id, &node);
        self.nodes.push((node, view));
        self.by_fingerprint.insert(fingerprint, number);
        number
    }

    /// The node of this number.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index as usize].0
    }

    /// The same, as the checks see it.
    #[must_use]
    pub fn view(&self, index: NodeIndex) -> &View {
        &self.nodes[index as usize].1
    }

    /// How many different nodes there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many events nodes went through, and how often one came to a state that another had.
    #[must_use]
    pub fn steps(&self) -> (usize, u64) {
        (self.by_event.len(), self.merged)
    }

    /// The number of what an event does to a node.
    pub fn outcome_of(&mut self, node: NodeIndex, event: Event) -> u32 {
        let key = key(node, event);
        if let Some(&known) = self.by_event.get(&key) {
            return known;
        }
        let outcome = self.find_out(node, event);
        let nothing =
            outcome.node == node && outcome.sent.is_empty() && outcome.violation.is_none();
        let number = if nothing {
            NOTHING
        } else {
            self.outcomes.push(outcome);
            u32::try_from(self.outcomes.len() - 1).unwrap_or(NOTHING)
        };
        self.by_event.insert(key, number);
        number
    }

    /// What an event did, by its number; `None` when that was nothing.
    #[must_use]
    pub fn outcome(&self, number: u32) -> Option<&Outcome> {
        self.outcomes.get(number as usize)
    }

    /// The rules that are not checked.
    #[must_use]
    pub fn blind(&self) -> &[String] {
        &self.blind
    }

    fn find_out(&mut self, index: NodeIndex, event: Event) -> Outcome {
        let id = self.view(index).id;
        let mut node = self.node(index).clone();
        let sent = match node.step(input(&self.packets, event)) {
            Ok(sent) => sent.to_nodes,
            Err(what) => {
                let violation = Violation { rule: "the node's own assertions", what };
                let violation = Some(Box::new(violation));
                return Outcome { node: index, sent: Box::default(), violation };
            }
        };
        let sent = self.take_up(id, sent);
        let fingerprint = view::fingerprint(&node);
        let after = match self.by_fingerprint.get(&fingerprint) {
            Some(&known) => {
                self.merged += u64::from(known != index);
                if known != index && self.merged.is_multiple_of(AUDIT_EVERY) {
                    self.audit(known, &node);
                }
                known
            }
            None => self.keep(id, node, fingerprint),
        };
        let packets: Vec<_> = sent.iter().map(|&packet| self.packets.get(packet)).collect();
        let step = Step { before: self.view(index), after: self.view(after), sent: &packets };
        let violation = checks::of_step(&step, &self.blind).map(Box::new);
        Outcome { node: after, sent: sent.into(), violation }
    }

    /// The numbers of what a node sent, in order, each once.
    fn take_up(&mut self, from: u8, sent: Vec<(u8, Vec<u8>)>) -> Vec<PacketId> {
        let packets = &mut self.packets;
        let taken = sent.into_iter().filter_map(|(to, bytes)| packets.of_node(from, to, bytes));
        let mut taken: Vec<_> = taken.collect();
        taken.sort_unstable();
        taken.dedup();
        taken
    }

    /// Whether `other`, whose protocol state is that of node `known`, does the same as that did in the events that it went through.
    fn audit(&mut self, known: NodeIndex, other: &Node) {
        let id = self.view(known).id;
        let newest = u32::try_from(self.packets.len()).unwrap_or(u32::MAX);
        let tried = (newest.saturating_sub(AUDIT_LOOKED_AT)..newest).rev().chain([TIMER, QUORUM]);
        let tried = tried.filter(|&event| self.by_event.contains_key(&key(known, event)));
        let tried: Vec<_> = tried.take(AUDIT_EVENTS).collect();
        for event in tried {
            let mut node = other.clone();
            let Ok(sent) = node.step(input(&self.packets, event)) else { continue };
            let sent = self.take_up(id, sent.to_nodes);
            let outcome = self.outcomes.get(self.by_event[&key(known, event)] as usize);
            if outcome.is_some_and(|outcome| outcome.violation.is_some()) {
                continue;
            }
            let (became, then) = outcome.map_or((known, &[][..]), |one| (one.node, &one.sent));
            let same =
                sent == then && self.by_fingerprint.get(&view::fingerprint(&node)) == Some(&became);
            self.audited += 1;
            if !same && self.unlike.is_none() {
                let state = |node: &Node| format!("{:?}", node.replica.protocol_state());
                let difference = difference(&state(self.node(became)), &state(&node));
                self.unlike = Some(format!(
                    "event {event} of n{id}: sent {then:?} and {sent:?}; {difference}"
                ));
            }
        }
    }
}

/// What is told of an event that is no packet.
#[must_use]
pub fn name(event: Event) -> Option<&'static str> {
    match event {
        TIMER => Some("its timer is due"),
        QUORUM => Some("it has waited for answers long enough"),
        ASK => Some("it asks for a body"),
        _ => None,
    }
}

/// An event as the node is told of it.
#[must_use]
pub fn input(packets: &Packets, event: Event) -> Input<'_> {
    match event {
        TIMER => Input::Timer,
        QUORUM => Input::Quorum,
        ASK => Input::Ask,
        packet => Input::Packet(&packets.get(packet).incoming),
    }
}

fn key(node: NodeIndex, event: Event) -> u64 {
    u64::from(node) << 32 | u64::from(event)
}

/// Where two descriptions begin to differ.
fn difference(one: &str, other: &str) -> String {
    let at = one.bytes().zip(other.bytes()).position(|(a, b)| a != b);
    let at = at.unwrap_or(one.len().min(other.len()));
    let part = |text: &str| {
        let bytes = text.as_bytes();
        let part = &bytes[at.saturating_sub(200)..bytes.len().min(at + 200)];
        String::from_utf8_lossy(part).into_owned()
    };
    format!("…{}…\n…{}…", part(one), part(other))
}
