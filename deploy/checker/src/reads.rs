//! Reads whose answers name no index, and that were executed at several (HC5: a repeated read is a new entry).
//!
//! Such an answer is right if one of the executions gives it, at an index that agrees with real time. The lowest one behind
//! everything that completed before the read began is tried: whatever holds for a higher one holds for it too. Reads are
//! settled in the order in which they began, so that those that completed before count as well.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::placing::{Place, Placement, Role};
use crate::replay::Compared;
use crate::verdict::{Findings, ViolationKind};

/// Gives each such read its place; those that have none are violations, or undecided where evidence is missing.
pub(crate) fn settle(
    placement: &mut Placement,
    compared: &mut Compared,
    findings: &mut Findings<'_>,
) {
    let history = findings.history;
    let candidates = || placement.places.iter().filter(|place| place.role == Role::Candidate);
    let mut reads: Vec<usize> = candidates().map(|place| place.operation).collect();
    reads.sort_unstable_by_key(|&read| (history[read].invoked_us, read));
    reads.dedup();
    let behind_horizon = candidates()
        .filter(|place| placement.horizon.is_some_and(|horizon| place.index >= horizon))
        .map(|place| place.operation);
    let behind_horizon: BTreeSet<usize> = behind_horizon.collect();
    let mut fitting: Vec<_> =
        compared.fitting.iter().map(|place| (place.operation, place.index)).collect();
    fitting.sort_unstable();
    let standing = placement.places.iter().filter(|place| place.role == Role::Stands);
    let mut completed: BinaryHeap<Reverse<(u64, u64)>> = standing
        .filter_map(|place| Some(Reverse((history[place.operation].completed_us?, place.index))))
        .collect();
    let mut unsettled = 0;
    let mut lowest = 0;
    for read in reads {
        let invoked_us = history[read].invoked_us;
        while let Some(&Reverse((at, index))) = completed.peek()
            && at < invoked_us
        {
            lowest = lowest.max(index);
            completed.pop();
        }
        let place = fitting.partition_point(|&fits| fits <= (read, lowest));
        let index = fitting.get(place).filter(|(operation, _)| *operation == read);
        if let Some(&(operation, index)) = index {
            compared.replies += 1;
            placement.places.push(Place { index, operation, role: Role::Stands });
            let done = history[read].completed_us.map(|at| Reverse((at, index)));
            completed.extend(done);
        } else if placement.hole.is_some() || behind_horizon.contains(&read) {
            unsettled += 1;
        } else {
            findings.violation(ViolationKind::WrongReply, &[read], || {
                format!("no execution of it behind index {lowest} gives that answer")
            });
        }
    }
    placement.places.retain(|place| place.role != Role::Candidate);
    placement.places.sort_unstable();
    placement.undecided += unsettled;
    if unsettled > 0 {
        findings.undecided(format!("{unsettled} reads may stand where the content is unknown"));
    }
}
