//! What must hold, one file for each property, named by its rule (design, section 4; Raft, figure 3).
//!
//! Each step is checked where it happens, from the node before and after it; each state, from all nodes together.

mod agreement;
mod commits;
mod leaders;
mod once;
mod promises;

pub use agreement::Record;
pub use leaders::Leaders;

use crate::packets::Packet;
use crate::view::View;

/// A rule that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Its name.
    pub rule: &'static str,
    /// What was seen.
    pub what: String,
}

/// One step of one node.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Before it.
    pub before: &'a View,
    /// After it.
    pub after: &'a View,
    /// What it sent to nodes.
    pub sent: &'a [&'a Packet],
}

/// All nodes after a step of one of them.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// By id, without gaps.
    pub nodes: [&'a View; 3],
    /// A life that has ended, as it was then; its log counts for what it once acknowledged.
    pub ended: Option<&'a View>,
    /// What was committed before the step.
    pub record: &'a Record,
    /// Who led.
    pub leaders: Leaders,
    /// The node that stepped, as it was before.
    pub before: &'a View,
    /// And after.
    pub after: &'a View,
}

type StepCheck = fn(&Step<'_>) -> Result<(), String>;
type WorldCheck = fn(&World<'_>) -> Result<(), String>;

const STEPS: &[(&str, StepCheck)] = &[
    ("HC1a body before acknowledgement", promises::hc1a_acknowledged_is_held),
    ("HC2a commit only from the term's first index on", commits::hc2a_first_of_term),
    ("HC2b commit bounded by verified", commits::hc2b_verified),
    ("HC2b commit never falls", commits::hc2b_never_falls),
    ("HC6c a body has the hash of its entry", promises::hc6c_bodies),
    ("HC7 never executed twice", once::hc7_never_twice),
    ("HC11a a fresh life neither votes nor counts", promises::hc11a_fresh_lives),
];

const WORLDS: &[(&str, WorldCheck)] = &[
    ("election safety", leaders::election_safety),
    ("leader completeness", leaders::leader_completeness),
    ("log matching", agreement::log_matching),
    ("state machine safety", agreement::state_machine_safety),
    ("HC2 what is committed is on a majority", commits::on_a_majority),
];

/// Names of all checks.
pub fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|check| check.0).chain(WORLDS.iter().map(|check| check.0))
}

/// The first check of a step that fails, but for those whose names begin like one of `blind`.
pub fn of_step(step: &Step<'_>, blind: &[String]) -> Option<Violation> {
    first(STEPS, blind, |check| check(step))
}

/// The same of a state.
pub fn of_world(world: &World<'_>, blind: &[String]) -> Option<Violation> {
    first(WORLDS, blind, |check| check(world))
}

fn first<C: Copy>(
    checks: &[(&'static str, C)],
    blind: &[String],
    mut ask: impl FnMut(C) -> Result<(), String>,
) -> Option<Violation> {
    let seeing = checks.iter().filter(|(rule, _)| !blind.iter().any(|name| rule.starts_with(name)));
    seeing.filter_map(|&(rule, check)| ask(check).err().map(|what| Violation { rule, what })).next()
}
