//! Depth-first search for an order of one key's operations.
//!
//! A *configuration* is the set of operations ordered so far and the value that they leave. An operation may be next if
//! none that is not yet ordered was answered before it began.
//!
//! Invariants:
//! - B1. A configuration is entered once: those seen are kept, the set as the exclusive or of 128 random bits for each
//!   operation, so that two sets are mixed up with a chance of about 2^-80 in a whole search.
//! - B2. An operation whose answer says that it changed nothing is taken at once where it fits, and without alternatives:
//!   in any order that starts from here it could be moved to the front. (A put of the value that is there already could
//!   not: elsewhere it may be needed for its effect.)
//!   A write of a value that nobody saw is taken so where such a value stands already.
//! - B3. An operation of unknown outcome need not be ordered at all. Of several that would do the same, the one that began
//!   first goes first.
//! - B4. Operations are tried in the order in which they, or the first who needs what they alone make, were answered;
//!   and a value that is still needed is not left (`relevance`).

use std::collections::{HashMap, HashSet};

use super::model::{ABSENT, Action, Model, UNSEEN};
use super::relevance::Relevance;

/// The end of a list.
const END: usize = usize::MAX;

/// Most operations named in a proof.
const SHOWN: usize = 4;

/// What came of a search.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// There is an order.
    Order,
    /// There is none. At the furthest point reached, these were waiting (places in the history), at this value.
    NoOrder { operations: Vec<usize>, value: Option<Vec<u8>> },
    /// Out of steps.
    GaveUp,
}

pub(super) struct Search {
    model: Model,
    relevance: Relevance,
    /// B3: by operation of unknown outcome, the one before it that would do the same.
    twins: Vec<Option<usize>>,
    taken: Vec<bool>,
    steps: u64,
    /// Operations not yet ordered, by call, as a list in two arrays; the last element of `after` is the head.
    after: Vec<usize>,
    before: Vec<usize>,
    /// Answered operations not yet ordered.
    left: usize,
    state: u32,
    set: u128,
    seen: HashSet<(u128, u32)>,
    path: Vec<Choice>,
    candidates: Vec<usize>,
    furthest: Furthest,
}

#[derive(Debug, Default)]
struct Furthest {
    depth: usize,
    operations: Vec<usize>,
    state: u32,
}

/// A step of the path: which operation, out of the candidates in order, and the value before.
struct Choice {
    op: usize,
    rank: usize,
    state: u32,
    /// B2: no alternatives.
    forced: bool,
}

impl Search {
    /// A search of at most `steps` steps.
    pub(super) fn new(mut model: Model, steps: u64) -> Self {
        model.ops.sort_by_key(|op| (op.call, op.end));
        let relevance = Relevance::new(&mut model);
        let len = model.ops.len();
        let mut after: Vec<usize> = (1..=len).chain([0]).collect();
        let mut before: Vec<usize> = (0..len).map(|at| at.checked_sub(1).unwrap_or(len)).collect();
        before.push(len.checked_sub(1).unwrap_or(len));
        if let Some(last) = after.get_mut(len.wrapping_sub(1)) {
            *last = END;
        }
        if len == 0 {
            after[0] = END;
        }
        let left = model.ops.iter().filter(|op| op.answer.is_some()).count();
        Self {
            relevance,
            twins: twins(&model),
            taken: vec![false; len],
            model,
            steps,
            after,
            before,
            left,
            state: ABSENT,
            set: 0,
            seen: HashSet::new(),
            path: Vec::new(),
            candidates: Vec::new(),
            furthest: Furthest::default(),
        }
    }

    pub(super) fn steps_left(&self) -> u64 {
        self.steps
    }

    pub(super) fn run(&mut self) -> Found {
        let mut rank = 0;
        while self.left > 0 {
            self.list_candidates();
            let used = u64::try_from(self.candidates.len()).unwrap_or(u64::MAX);
            let Some(steps) = self.steps.checked_sub(used) else {
                self.steps = 0;
                return Found::GaveUp;
            };
            self.steps = steps;
            if let Some(choice) = self.choose(rank) {
                self.take(choice);
                rank = 0;
                continue;
            }
            self.remember_furthest();
            match self.go_back() {
                Some(next) => rank = next,
                None => return self.no_order(),
            }
        }
        Found::Order
    }

    /// Operations that may be next, in the order of B4.
    fn list_candidates(&mut self) {
        let ops = &self.model.ops;
        self.candidates.clear();
        let mut first_end = u64::MAX;
        let mut at = self.after[ops.len()];
        while at != END && ops[at].call <= first_end {
            first_end = first_end.min(ops[at].end);
            self.candidates.push(at);
            at = self.after[at];
        }
        self.candidates.retain(|&at| ops[at].call <= first_end);
        self.candidates.sort_by_key(|&at| (self.relevance.due(at), ops[at].end, at));
    }

    /// The next step from here, candidates before `rank` having been tried.
    fn choose(&mut self, rank: usize) -> Option<(Choice, u32)> {
        let state = self.state;
        if rank == 0 {
            for at in 0..self.candidates.len() {
                let op = self.candidates[at];
                let operation = self.model.ops[op];
                let unseen = Action::Put { value: UNSEEN };
                let idle = operation.changed_nothing()
                    || operation.answer.is_some() && state == UNSEEN && operation.action == unseen;
                let fits = idle && self.model.step(state, &operation) == Some(state);
                if fits {
                    return Some((Choice { op, rank: at, state, forced: true }, state));
                }
            }
        }
        for at in rank..self.candidates.len() {
            let op = self.candidates[at];
            let operation = self.model.ops[op];
            let Some(next) = self.model.step(state, &operation) else { continue };
            let pointless = operation.answer.is_none()
                && (next == state || self.twins[op].is_some_and(|twin| !self.taken[twin]));
            if pointless || next != state && self.relevance.forbids(op, state) {
                continue;
            }
            if self.seen.insert((self.set ^ bits(op), next)) {
                return Some((Choice { op, rank: at, state, forced: false }, next));
            }
        }
        None
    }

    fn take(&mut self, (choice, next): (Choice, u32)) {
        let op = choice.op;
        let (before, after) = (self.before[op], self.after[op]);
        self.after[before] = after;
        if after != END {
            self.before[after] = before;
        }
        self.taken[op] = true;
        self.relevance.take(op);
        self.left -= usize::from(self.model.ops[op].answer.is_some());
        self.set ^= bits(op);
        self.state = next;
        self.path.push(choice);
    }

    /// Undoes steps up to the last one with alternatives; the rank of the next of them.
    fn go_back(&mut self) -> Option<usize> {
        loop {
            let Choice { op, rank, state, forced } = self.path.pop()?;
            let (before, after) = (self.before[op], self.after[op]);
            self.after[before] = op;
            if after != END {
                self.before[after] = op;
            }
            self.taken[op] = false;
            self.relevance.give_back(op);
            self.left += usize::from(self.model.ops[op].answer.is_some());
            self.set ^= bits(op);
            self.state = state;
            if !forced {
                return Some(rank + 1);
            }
        }
    }

    fn remember_furthest(&mut self) {
        let depth = self.path.len();
        if depth < self.furthest.depth
            || !self.furthest.operations.is_empty() && depth == self.furthest.depth
        {
            return;
        }
        let answered = self.candidates.iter().map(|&at| &self.model.ops[at]);
        let answered = answered.filter(|op| op.answer.is_some()).take(SHOWN);
        let operations = answered.map(|op| op.operation).collect();
        self.furthest = Furthest { depth, operations, state: self.state };
    }

    fn no_order(&mut self) -> Found {
        let Furthest { operations, state, .. } = std::mem::take(&mut self.furthest);
        Found::NoOrder { operations, value: self.model.value(state).map(<[u8]>::to_vec) }
    }
}

/// By operation of unknown outcome, the last one before it with the same action.
fn twins(model: &Model) -> Vec<Option<usize>> {
    let mut last = HashMap::new();
    let unknown = model.ops.iter().enumerate();
    unknown
        .map(|(at, op)| op.answer.is_none().then(|| last.insert(op.action, at)).flatten())
        .collect()
}

/// 128 random bits of an operation (SplitMix64 twice).
fn bits(op: usize) -> u128 {
    let seed = u64::try_from(op).unwrap_or(u64::MAX);
    let mix = |seed: u64| {
        let z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    u128::from(mix(seed.wrapping_mul(2))) << 64 | u128::from(mix(seed.wrapping_mul(2) + 1))
}
