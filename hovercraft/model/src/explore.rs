//! Breadth first through all states of a scope: what is found is found by a shortest way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hashbrown::HashSet;
use hovercraft::replica::Role;

use crate::checks::Violation;
use crate::machine::{ASK, Event, Machine, NodeIndex, QUORUM, TIMER};
use crate::node::{NODES, Node};
use crate::packets::PacketId;
use crate::scope::Scope;
use crate::state::{Records, SLOTS, State};

/// How far a run goes.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// States, at most.
    pub states: usize,
    /// Bytes of memory, at most, about.
    pub bytes: usize,
    /// Rules that are not checked.
    pub blind: Vec<String>,
    /// Called now and then.
    pub progress: fn(&Figures),
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Different states.
    pub states: usize,
    /// Events tried, those without effect left out.
    pub transitions: u64,
    /// Events on the longest of the shortest ways to a state.
    pub depth: u32,
    /// States reached and not looked at.
    pub frontier: usize,
    /// Different nodes.
    pub nodes: usize,
    /// Events of the real code.
    pub steps: usize,
    /// Different packets.
    pub packets: usize,
    /// Nodes taken for one that was known, and events by which some of them were put to the test.
    pub merged: (u64, u64),
    /// Time.
    pub took: Duration,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum End {
    /// There are no more states.
    Emptied,
    /// There are more states than it was to see.
    States,
    /// There is no more memory.
    Memory,
    /// A rule does not hold.
    Violated {
        /// Which, and what was seen.
        violation: Violation,
        /// The way there.
        path: Vec<Move>,
    },
    /// Two nodes with one protocol state behave differently.
    Unlike(String),
}

/// One event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Move {
    /// To the node in this slot.
    Event(u8, Event),
    /// The node in this slot loses its memory.
    Restart(u8),
}

/// Where a state was first come to from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    parent: u32,
    by: Move,
}

/// A run.
pub struct Explorer {
    scope: Scope,
    bounds: Bounds,
    /// The nodes.
    pub machine: Machine,
    records: Records,
    seen: HashSet<u128, foldhash::fast::FixedState>,
    queue: VecDeque<State>,
    queue_bytes: usize,
    origins: Vec<Origin>,
    /// What becomes of a node in each slot that loses its memory.
    fresh: Vec<(NodeIndex, Vec<PacketId>)>,
    /// Term and round in which it begins.
    begins: (u64, u64),
    figures: Figures,
    /// Bytes of one node, about.
    node_bytes: usize,
}

impl Explorer {
    /// At the beginning of the scope.
    #[must_use]
    pub fn new(scope: Scope, bounds: Bounds) -> Self {
        let mut explorer = Self {
            scope,
            machine: Machine::new(&bounds.blind),
            bounds,
            records: Records::default(),
            seen: HashSet::default(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            origins: Vec::new(),
            fresh: Vec::new(),
            begins: (0, 0),
            figures: Figures::default(),
            node_bytes: 40 << 10,
        };
        explorer.begin();
        explorer
    }

    fn begin(&mut self) {
        let nodes = self.scope.nodes();
        for (id, node) in (1..).zip(&nodes) {
            let (fresh, sent) = Node::restarted(id, self.scope.shape, node.began);
            let machine = &mut self.machine;
            let sent = sent.to_nodes.into_iter();
            let sent = sent.filter_map(|(to, bytes)| machine.packets.of_node(id, to, bytes));
            let mut sent: Vec<_> = sent.collect();
            sent.sort_unstable();
            self.fresh.push((machine.number(id, fresh), sent));
        }
        let mut numbers = [0; SLOTS];
        for ((id, number), node) in (1..).zip(&mut numbers).zip(nodes) {
            *number = self.machine.number(id, node);
        }
        let mut packets = Vec::new();
        for request in self.scope.requests {
            for to in 1..=NODES {
                let incoming = Scope::incoming(*request);
                packets.push(self.machine.packets.of_client(to, incoming));
            }
        }
        packets.sort_unstable();
        for view in numbers.map(|number| self.machine.view(number)) {
            self.begins = (self.begins.0.max(view.term), self.begins.1.max(view.round));
        }
        let state = State::first(&self.machine, numbers, &packets, &mut self.records);
        self.reach(state, Origin { parent: 0, by: Move::Restart(0) });
    }

    /// Looks at states until something ends the run.
    pub fn run(&mut self) -> End {
        let start = Instant::now();
        let mut level_end = self.origins.len();
        let mut at = 0;
        let end = loop {
            let Some(state) = self.queue.pop_front() else { break End::Emptied };
            self.queue_bytes -= state.bytes();
            if at == level_end {
                self.figures.depth += 1;
                level_end = self.origins.len();
            }
            if let Some((violation, by)) = self.expand(at, &state) {
                let mut path = self.path_to(at);
                path.push(by);
                break End::Violated { violation, path };
            }
            at += 1;
            if let Some(what) = self.machine.unlike.take() {
                break End::Unlike(what);
            }
            if self.origins.len() >= self.bounds.states {
                break End::States;
            }
            if at.is_multiple_of(1_024) && self.bytes() > self.bounds.bytes {
                break End::Memory;
            }
            if at.is_multiple_of(1 << 18) {
                (self.bounds.progress)(&self.figures(start));
            }
        };
        self.figures = self.figures(start);
        end
    }

    /// Counts so far.
    #[must_use]
    pub fn counts(&self) -> Figures {
        self.figures
    }

    fn figures(&self, start: Instant) -> Figures {
        let (steps, merged) = self.machine.steps();
        Figures {
            states: self.origins.len(),
            frontier: self.queue.len(),
            nodes: self.machine.len(),
            steps,
            packets: self.machine.packets.len(),
            merged: (merged, self.machine.audited),
            took: start.elapsed(),
            ..self.figures
        }
    }

    /// Memory in use, about.
    fn bytes(&self) -> usize {
        self.queue_bytes
            + self.seen.capacity() * 18
            + self.origins.capacity() * size_of::<Origin>()
            + self.machine.len() * self.node_bytes
            + self.machine.steps().0 * 40
    }

    /// All that can follow; the first that must not.
    fn expand(&mut self, at: usize, state: &State) -> Option<(Violation, Move)> {
        for &packet in state.packets() {
            let to = self.machine.packets.get(packet).to;
            if let Some(wrong) = self.happen(at, state, to - 1, packet) {
                return Some(wrong);
            }
        }
        for slot in 0..NODES {
            for event in [TIMER, QUORUM, ASK] {
                if !self.is_due(state.node(usize::from(slot)), event) {
                    continue;
                }
                if let Some(wrong) = self.happen(at, state, slot, event) {
                    return Some(wrong);
                }
            }
            if self.scope.restart && !state.has_ended() {
                let (fresh, sent) = &self.fresh[usize::from(slot)];
                let next = state.restarted(&self.machine, slot.into(), *fresh, sent);
                let parent = u32::try_from(at).unwrap_or(u32::MAX);
                self.figures.transitions += 1;
                self.reach(next, Origin { parent, by: Move::Restart(slot) });
            }
        }
        None
    }

    fn is_due(&self, node: NodeIndex, event: Event) -> bool {
        let view = self.machine.view(node);
        let stands = matches!(view.role, Role::Follower | Role::Candidate);
        match event {
            TIMER => {
                (stands && view.term < self.begins.0 + self.scope.terms)
                    || (view.leads() && view.round < self.round_max(view.term))
            }
            QUORUM => view.leads() && self.scope.terms > 0,
            _ => stands && view.misses,
        }
    }

    fn round_max(&self, term: u64) -> u64 {
        let (first_term, round) = self.begins;
        self.scope.rounds + if term == first_term { round } else { 1 }
    }

    fn happen(
        &mut self,
        at: usize,
        state: &State,
        slot: u8,
        event: Event,
    ) -> Option<(Violation, Move)> {
        let node = state.node(slot.into());
        let number = self.machine.outcome_of(node, event);
        let outcome = self.machine.outcome(number)?;
        if !state.is_news(slot.into(), outcome) {
            return None;
        }
        // To ask the same node for the same body once more changes nothing but whom to ask next.
        let repeats = |sent: &[PacketId]| {
            sent.iter().all(|packet| state.packets().binary_search(packet).is_ok())
        };
        if event == ASK && repeats(&outcome.sent) {
            return None;
        }
        let after = self.machine.view(outcome.node);
        if after.leads() && after.round > self.round_max(after.term) {
            return None;
        }
        self.figures.transitions += 1;
        let by = Move::Event(slot, event);
        let (next, wrong) = state.after(&self.machine, &mut self.records, slot.into(), outcome);
        if let Some(violation) = wrong {
            return Some((violation, by));
        }
        let parent = u32::try_from(at).unwrap_or(u32::MAX);
        self.reach(next, Origin { parent, by });
        None
    }

    fn reach(&mut self, state: State, origin: Origin) {
        if self.seen.insert(state.fingerprint()) {
            self.queue_bytes += state.bytes();
            self.queue.push_back(state);
            self.origins.push(origin);
        }
    }

    /// A way to one of the states that are furthest away.
    #[must_use]
    pub fn longest_path(&self) -> Vec<Move> {
        self.path_to(self.origins.len() - 1)
    }

    fn path_to(&self, mut at: usize) -> Vec<Move> {
        let mut path = Vec::new();
        while at > 0 {
            let Origin { parent, by } = self.origins[at];
            path.push(by);
            at = parent as usize;
        }
        path.reverse();
        path
    }
}
