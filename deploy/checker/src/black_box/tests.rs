//! The search against one that tries every order, on small histories; and on long ones, time.

use kv::{Kv, Request, Response};
use r2p2::service::{Context, Reply, Service};

use super::check;
use crate::check::KnownService;
use crate::describe;
use crate::history::{Operation, OperationKind, OperationOutcome};
use crate::verdict::{Findings, Truth, ViolationKind};

pub(super) fn next(random: &mut u64) -> u64 {
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *random >> 33
}

pub(super) fn truth(history: &[Operation], steps: u64) -> Truth {
    let mut findings = Findings::new(history, describe::texts(KnownService::Kv));
    let truth = check(history, steps, &mut findings).truth;
    let found = findings.count(ViolationKind::NotLinearizable) > 0;
    assert_eq!(found, truth == Truth::False);
    truth
}

pub(super) fn execute(kv: &mut Kv, operation: &Operation) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reply = Reply::new(&mut bytes, 1 << 20);
    kv.execute(&Context::default(), &operation.request, &mut reply);
    bytes
}

/// Whether any order of the operations not yet `done` fits. Every operation outside `done` begins after all of it.
pub(super) fn any_order(history: &[Operation], done: u32, kv: &Kv) -> bool {
    let open = || (0..history.len()).filter(|at| done & (1 << at) == 0);
    let answered = |at: &usize| history[*at].outcome == OperationOutcome::Answered;
    if !open().any(|at| answered(&at)) {
        return true;
    }
    let end = |at: usize| history[at].completed_us.unwrap_or(u64::MAX);
    let first_end = open().map(end).min().unwrap_or(u64::MAX);
    open().filter(|at| history[*at].invoked_us <= first_end).any(|at| {
        let mut kv = kv.clone();
        let reply = execute(&mut kv, &history[at]);
        (!answered(&at) || reply == history[at].reply) && any_order(history, done | 1 << at, &kv)
    })
}

fn draw_request(random: &mut u64) -> Vec<u8> {
    let values = [&b"1"[..], b"2", b"x"];
    let value = values[usize::try_from(next(random) % 3).unwrap()];
    let other = values[usize::try_from(next(random) % 3).unwrap()];
    let key = b"k";
    let request = match next(random) % 9 {
        0..3 => Request::Get { key },
        3 | 4 => Request::Put { key, value },
        5 => Request::Delete { key },
        6 => {
            let expected = next(random).is_multiple_of(2).then_some(other);
            Request::CompareAndSwap { key, expected, value }
        }
        7 => Request::Append { key, suffix: value },
        _ => Request::Increment { key, by: 1 },
    };
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    bytes
}

/// Up to seven operations on one key; their replies come from executing them in another random order, so that about half
/// of the histories are linearizable.
fn draw_history(random: &mut u64) -> Vec<Operation> {
    let count = 1 + next(random) % 7;
    let drawn = (0..count).map(|number| {
        let invoked_us = next(random) % 12;
        let answered = !next(random).is_multiple_of(6);
        Operation {
            client: 0,
            session: 1,
            number,
            address: None,
            kind: OperationKind::Write,
            invoked_us,
            completed_us: answered.then_some(invoked_us + next(random) % 12),
            outcome: if answered { OperationOutcome::Answered } else { OperationOutcome::Unknown },
            index: 0,
            request: draw_request(random),
            reply: Vec::new(),
        }
    });
    let mut history: Vec<_> = drawn.collect();
    let mut order: Vec<usize> = (0..history.len()).collect();
    order.sort_by_key(|&at| (history[at].invoked_us + next(random) % 12, at));
    let mut kv = Kv::default();
    for at in order {
        let answered = history[at].outcome == OperationOutcome::Answered;
        if answered || next(random).is_multiple_of(2) {
            let reply = execute(&mut kv, &history[at]);
            history[at].reply = if answered { reply } else { Vec::new() };
        }
    }
    history
}

#[test]
fn the_search_agrees_with_trying_every_order() {
    let mut random = 1;
    let mut linearizable = 0;
    for turn in 0..20_000 {
        let history = draw_history(&mut random);
        let wanted = any_order(&history, 0, &Kv::default());
        linearizable += u32::from(wanted);
        let wanted = if wanted { Truth::True } else { Truth::False };
        assert_eq!(truth(&history, u64::MAX), wanted, "turn {turn}: {history:#?}");
    }
    assert!((4_000..19_000).contains(&linearizable), "{linearizable}");
}

pub(super) fn operation(
    number: u64,
    times: (u64, Option<u64>),
    request: &Request<'_>,
) -> Operation {
    let (invoked_us, completed_us) = times;
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    let outcome = completed_us.map_or(OperationOutcome::Unknown, |_| OperationOutcome::Answered);
    Operation {
        client: 0,
        session: 1,
        number,
        address: None,
        kind: if request.is_read() { OperationKind::Read } else { OperationKind::Write },
        invoked_us,
        completed_us,
        outcome,
        index: 0,
        request: bytes,
        reply: Vec::new(),
    }
}

/// One key, forty operations open at any time, two hundred writes that were never answered.
#[test]
fn a_hot_key_is_searched_in_few_steps() {
    let mut random = 7;
    let mut kv = Kv::default();
    let mut history = Vec::new();
    for number in 0..20_000_u64 {
        let at = number * 10;
        let invoked = at - (next(&mut random) % 200).min(at);
        let completed = (number % 100 > 0).then(|| at + next(&mut random) % 200);
        let value = number.to_be_bytes();
        let request = match next(&mut random) % 4 {
            _ if completed.is_none() => Request::Put { key: b"k", value: &value },
            0 => Request::Put { key: b"k", value: &value },
            1 => Request::CompareAndSwap { key: b"k", expected: None, value: &value },
            _ => Request::Get { key: b"k" },
        };
        let mut operation = operation(number, (invoked, completed), &request);
        if completed.is_some() || number.is_multiple_of(200) {
            let reply = execute(&mut kv, &operation);
            operation.reply = if completed.is_some() { reply } else { Vec::new() };
        }
        history.push(operation);
    }
    assert_eq!(truth(&history, 50_000_000), Truth::True);
    assert_eq!(truth(&history, 1_000), Truth::Undecided, "out of steps");
    let last = history.iter().rposition(|operation| operation.kind == OperationKind::Read);
    Response::Value(&5_u64.to_be_bytes()).encode(&mut history[last.unwrap()].reply);
    assert_eq!(truth(&history[..last.unwrap() + 1], 200_000_000), Truth::False);
}

/// Any of three hundred increments without outcomes may have happened: which ones does not matter, only how many.
#[test]
fn increments_without_outcomes_are_alike() {
    let increment = Request::Increment { key: b"k", by: 1 };
    let get = Request::Get { key: b"k" };
    let mut history: Vec<_> =
        (0..300).map(|number| operation(number, (number, None), &increment)).collect();
    for (number, value) in [(400, "7"), (500, "190"), (600, "300")] {
        let mut get = operation(number, (number, Some(number)), &get);
        Response::Value(value.as_bytes()).encode(&mut get.reply);
        history.push(get);
    }
    assert_eq!(truth(&history, 1_000_000), Truth::True);
    Response::Value(b"301").encode(&mut history.last_mut().unwrap().reply);
    assert_eq!(truth(&history, 1_000_000), Truth::False);
}
