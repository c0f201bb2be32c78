//! One request's way through the nodes, put together from what each of them keeps.
//!
//! Clocks of machines are never compared. Each node's times count from its own first step; nodes are lined up by the
//! messages between them: a follower has an entry after its leader ordered it, and knows of a commit after its leader did;
//! a follower that passed a request on did so before the leader had it. Each node is put at the earliest place that keeps
//! this order, so that messages look as if the fastest of them took no time.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::report::{NodeTrace, TraceStep};

/// A request on all nodes that know of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Way {
    /// `session:number` or `ip:port:id`.
    pub(super) request: String,
    /// Its places in the log: several when it was repeated.
    pub(super) indexes: Vec<u64>,
    /// The node whose clock the others are lined up with: the one that ordered it.
    pub(super) reference: Option<u8>,
    pub(super) nodes: Vec<NodeWay>,
}

/// A request on one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct NodeWay {
    pub(super) node: u8,
    /// Whether a message between it and the reference is known, or it is the reference.
    pub(super) lined_up: bool,
    pub(super) steps: Vec<WayStep>,
}

/// One step. Times in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct WayStep {
    /// Since the node's own first step.
    pub(super) own_ns: i64,
    /// Since the reference's first step, lined up.
    pub(super) line_ns: i64,
    /// By the reference's clock, lined up: to put several ways on one line.
    #[serde(skip)]
    pub(super) clock_ns: i64,
    #[serde(flatten)]
    pub(super) step: TraceStep,
}

/// Causes on the reference and their effects elsewhere.
const MESSAGES: [(&str, &str); 3] =
    [("ordered", "appended"), ("ordered", "missed"), ("committed", "committed")];

/// The requests that the nodes name, with their highest log index (0 = none known).
pub(super) fn requests(traces: &[NodeTrace]) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for step in traces.iter().flat_map(|trace| &trace.events) {
        if let Some(request) = &step.request {
            let index: &mut u64 = found.entry(request.clone()).or_default();
            *index = (*index).max(step.index);
        }
    }
    found
}

/// The way of one request.
pub(super) fn way(request: &str, traces: &[NodeTrace]) -> Way {
    let is_named = |step: &&TraceStep| step.request.as_deref() == Some(request);
    let steps = traces.iter().flat_map(|trace| &trace.events);
    let indexes: BTreeSet<u64> =
        steps.filter(is_named).map(|step| step.index).filter(|&index| index > 0).collect();
    let mut nodes: Vec<(u8, Vec<&TraceStep>)> = Vec::new();
    for trace in traces {
        let steps = steps_of(trace, request, &indexes);
        if !steps.is_empty() {
            nodes.push((trace.node, steps));
        }
    }
    let ordered = nodes.iter().position(|(_, steps)| first(steps, "ordered").is_some());
    let reference = ordered.or((nodes.len() == 1).then_some(0));
    let line = |(node, steps): &(u8, Vec<&TraceStep>)| {
        let own = reference.map(|at| &nodes[at]);
        let offset = match own {
            Some((same, _)) if same == node => Some(0),
            Some((_, leader)) => offset(leader, steps),
            None => None,
        };
        let begin = own.map_or(clock(steps[0]), |(_, leader)| clock(leader[0]));
        let lined_up = offset.is_some();
        // Without a message to go by its first step stands where the reference's does.
        let offset = offset.unwrap_or(begin - clock(steps[0]));
        let way_step = |step: &&TraceStep| WayStep {
            own_ns: clock(step) - clock(steps[0]),
            line_ns: clock(step) + offset - begin,
            clock_ns: clock(step) + offset,
            step: (*step).clone(),
        };
        NodeWay { node: *node, lined_up, steps: steps.iter().map(way_step).collect() }
    };
    let reference = reference.map(|at| nodes[at].0);
    let indexes = indexes.into_iter().collect();
    Way { request: request.to_owned(), indexes, reference, nodes: nodes.iter().map(line).collect() }
}

/// What belongs to the request on one node: the steps that name it, or its index, and the news of its commit.
fn steps_of<'a>(
    trace: &'a NodeTrace,
    request: &str,
    indexes: &BTreeSet<u64>,
) -> Vec<&'a TraceStep> {
    let mut uncommitted = indexes.clone();
    let mut belongs = |step: &&TraceStep| match &step.request {
        Some(named) => named == request,
        None if step.phase == "committed" => {
            let rest = uncommitted.split_off(&(step.index + 1));
            !core::mem::replace(&mut uncommitted, rest).is_empty()
        }
        None => indexes.contains(&step.index),
    };
    trace.events.iter().filter(|step| belongs(step)).collect()
}

/// What to add to a node's clock to get the reference's; `None` when no message between the two is known.
fn offset(reference: &[&TraceStep], node: &[&TraceStep]) -> Option<i64> {
    let after = MESSAGES
        .iter()
        .filter_map(|(cause, effect)| Some(first(reference, cause)? - first(node, effect)?));
    let before = || Some(first(reference, "complete")? - first(node, "forwarded")?);
    after.max().or_else(before)
}

/// When a phase was first seen.
fn first(steps: &[&TraceStep], phase: &str) -> Option<i64> {
    steps.iter().find(|step| step.phase == phase).map(|step| clock(step))
}

/// A clock that began with its node: 292 years fit.
fn clock(step: &TraceStep) -> i64 {
    i64::try_from(step.at_ns).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at_ns: u64, phase: &str, index: u64, named: bool) -> TraceStep {
        TraceStep {
            at_ns,
            thread: "network".to_owned(),
            phase: phase.to_owned(),
            index,
            request: named.then(|| "7:1".to_owned()),
            replier: 0,
            detail: 0,
        }
    }

    /// A leader whose clock says thousands, a follower whose clock says millions.
    fn traces() -> Vec<NodeTrace> {
        let leader = vec![
            step(1_000, "complete", 0, true),
            step(1_010, "ordered", 5, true),
            step(1_050, "committed", 4, false),
            step(1_100, "committed", 6, false),
            step(1_200, "committed", 7, false),
            step(1_210, "executed", 5, false),
            step(1_215, "executed", 6, false),
        ];
        let follower = vec![
            step(1_000_000, "complete", 0, true),
            step(1_000_040, "appended", 5, true),
            step(1_000_080, "committed", 5, false),
        ];
        vec![NodeTrace { node: 1, events: leader }, NodeTrace { node: 3, events: follower }]
    }

    #[test]
    fn nodes_are_lined_up_by_the_order_of_messages() {
        let mut traces = traces();
        let way = way("7:1", &traces);
        assert_eq!((way.reference, &way.indexes[..]), (Some(1), &[5][..]));
        let times = |node: &NodeWay| -> Vec<(String, i64, i64)> {
            let steps = node.steps.iter();
            steps.map(|step| (step.step.phase.clone(), step.own_ns, step.line_ns)).collect()
        };
        let named = |(phase, own, at): (&str, i64, i64)| (phase.to_owned(), own, at);
        let leader = [
            ("complete", 0, 0),
            ("ordered", 10, 10),
            ("committed", 100, 100),
            ("executed", 210, 210),
        ];
        assert_eq!(times(&way.nodes[0]), leader.map(named), "its commit and execution, no other's");
        // By the append alone it might be 50 earlier than by the news of the commit.
        let follower = [("complete", 0, 20), ("appended", 40, 60), ("committed", 80, 100)];
        assert_eq!(times(&way.nodes[1]), follower.map(named));
        traces[1].events.truncate(2);
        let earlier = super::way("7:1", &traces);
        let follower = [("complete", 0, -30), ("appended", 40, 10)];
        assert_eq!(times(&earlier.nodes[1]), follower.map(named));
        assert!(way.nodes.iter().all(|node| node.lined_up));
    }

    #[test]
    fn a_node_without_a_message_to_go_by_is_said_to_be_alone() {
        let mut traces = traces();
        traces[1].events.truncate(1);
        let way = way("7:1", &traces);
        assert!(way.nodes[0].lined_up && !way.nodes[1].lined_up);
        assert_eq!(way.nodes[1].steps[0].line_ns, 0);
        traces[1].events.push(step(1_000_100, "forwarded", 0, true));
        let way = super::way("7:1", &traces);
        assert!(way.nodes[1].lined_up);
        assert_eq!(way.nodes[1].steps[1].line_ns, 0, "passed on no later than it came");
    }

    #[test]
    fn requests_are_found_with_their_index() {
        assert_eq!(requests(&traces()).into_iter().collect::<Vec<_>>(), [("7:1".to_owned(), 5)]);
    }
}
