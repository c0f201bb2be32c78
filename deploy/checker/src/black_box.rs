//! Is there any order of the operations that explains replies and times? (Wing and Gong 1993, Lowe 2017)
//!
//! Linearizability is local: a history is linearizable if its part on each key is (Herlihy and Wing 1990, theorem 1). So
//! the search runs key by key, over get, put, delete, compare-and-swap, append and increment. Indexes are not looked at.
//!
//! Scans touch many keys. Each is taken apart into a read of every key that it speaks of (`scans`), over the same time. All
//! of these reads must fit, each in the order of its key; that they fit at *one* moment is not looked at. So with scans the
//! search proves less than it disproves: "true" is then said per key.

mod model;
mod relevance;
mod scans;
mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kv::{Failure, Request, Response};

use crate::history::{Operation, OperationKind, OperationOutcome};
use crate::verdict::{Findings, Truth, ViolationKind};
use model::Model;
use scans::Scans;
use search::{Found, Search};

/// What the search came to.
pub(crate) struct BlackBox {
    pub(crate) truth: Truth,
    /// Why it is undecided.
    pub(crate) reasons: Vec<String>,
    /// Scans that were taken apart.
    pub(crate) scans: u64,
}

/// Searches all keys of a key-value history, in at most `steps` steps.
pub(crate) fn check(
    history: &[Operation],
    mut steps: u64,
    findings: &mut Findings<'_>,
) -> BlackBox {
    let mut keys: BTreeMap<&[u8], Model> = BTreeMap::new();
    let (mut scans, mut unreadable) = (Scans::new(history), 0_u64);
    for (at, operation) in history.iter().enumerate().filter(|(_, operation)| counts(operation)) {
        let reply = operation.is_answered().then(|| Response::parse(&operation.reply)).transpose();
        match (Request::parse(&operation.request), reply) {
            // It changes nothing: unanswered, it tells nothing either.
            (Ok(Request::Scan { .. }), Ok(None)) => {}
            (Ok(Request::Scan { from, limit }), Ok(Some(reply)))
                if !without_effect(Some(&reply)) =>
            {
                scans.add(at, (from, limit), &reply, findings);
            }
            (Ok(request), Ok(reply)) if !without_effect(reply.as_ref()) => {
                keys.entry(request.key()).or_default().add(at, operation, &request, reply);
            }
            (_, Ok(reply)) if without_effect(reply.as_ref()) => {}
            (Err(_), Ok(None)) => {}
            _ => unreadable += 1,
        }
    }
    let mut broken = scans.broken();
    let taken_apart = scans.take_apart(&mut keys, &mut steps);
    let mut given_up = 0_u64;
    for (key, model) in keys {
        let mut search = Search::new(model, steps);
        match search.run() {
            Found::Order => {}
            Found::GaveUp => given_up += 1,
            Found::NoOrder { operations, value } => {
                broken += 1;
                let value = value.map_or("no value".to_owned(), |v| v.escape_ascii().to_string());
                findings.violation(ViolationKind::NotLinearizable, &operations, || {
                    format!("key \"{}\": none of these can be next at {value}", key.escape_ascii())
                });
            }
        }
        steps = search.steps_left();
    }
    let mut reasons = Vec::new();
    for (count, what) in [
        (given_up, "keys were given up by the black-box search"),
        (
            taken_apart.left,
            "scans were not looked at by the black-box search, for want of steps or memory",
        ),
        (unreadable, "operations are none of the key-value store"),
    ] {
        if count > 0 {
            reasons.push(format!("{count} {what}"));
        }
    }
    let truth = match (broken, reasons.is_empty()) {
        (0, true) => Truth::True,
        (0, false) => Truth::Undecided,
        _ => Truth::False,
    };
    BlackBox { truth, reasons, scans: taken_apart.done }
}

/// Refused operations have no effect, and reads without an answer tell nothing.
fn counts(operation: &Operation) -> bool {
    match operation.outcome {
        OperationOutcome::Answered => true,
        OperationOutcome::Refused => false,
        OperationOutcome::Unknown => operation.kind == OperationKind::Write,
    }
}

/// Failures that depend on more than the key's value, and change nothing.
fn without_effect(reply: Option<&Response<'_>>) -> bool {
    let Some(Response::Failed(failure)) = reply else { return false };
    !matches!(failure, Failure::NotANumber | Failure::Overflow)
}
