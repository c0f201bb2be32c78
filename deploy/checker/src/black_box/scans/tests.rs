//! What scans prove, and what they do not: planted faults, and random histories against one that tries every order.

use kv::{Kv, Request, Response};

use crate::black_box::tests::{any_order, execute, next, operation, truth};
use crate::black_box::{BlackBox, check};
use crate::check::KnownService;
use crate::describe;
use crate::history::Operation;
use crate::verdict::{Findings, Truth};

const STEPS: u64 = 1_000_000;

fn put(key: &[u8], value: &[u8], times: (u64, u64)) -> Operation {
    let mut put = operation(times.0, (times.0, Some(times.1)), &Request::Put { key, value });
    Response::Done.encode(&mut put.reply);
    put
}

fn delete(key: &[u8], times: (u64, u64)) -> Operation {
    let mut delete = operation(times.0, (times.0, Some(times.1)), &Request::Delete { key });
    Response::Done.encode(&mut delete.reply);
    delete
}

/// A scan answered with these pairs, as the store's own answer to a scan of exactly these would be.
fn scan(
    from: &[u8],
    limit: u32,
    times: (u64, u64),
    pairs: &[(&[u8], &[u8])],
    more: bool,
) -> Operation {
    let request = Request::Scan { from, limit };
    let mut scan = operation(times.0, (times.0, Some(times.1)), &request);
    let count = u32::try_from(pairs.len()).unwrap();
    scan.reply = [&[5, u8::from(more)][..], &count.to_be_bytes()].concat();
    for (key, value) in pairs {
        let (key_len, value_len) =
            (u16::try_from(key.len()).unwrap(), u32::try_from(value.len()).unwrap());
        scan.reply.extend_from_slice(&key_len.to_be_bytes());
        scan.reply.extend_from_slice(key);
        scan.reply.extend_from_slice(&value_len.to_be_bytes());
        scan.reply.extend_from_slice(value);
    }
    assert!(Response::parse(&scan.reply).is_ok());
    scan
}

/// Three keys; `b` is overwritten.
fn written() -> Vec<Operation> {
    vec![
        put(b"a", b"1", (10, 20)),
        put(b"b", b"2", (30, 40)),
        put(b"c", b"3", (50, 60)),
        put(b"b", b"4", (70, 80)),
    ]
}

fn after(history: Vec<Operation>, scan: Operation) -> Truth {
    truth(&[history, vec![scan]].concat(), STEPS)
}

const NOW: (u64, u64) = (90, 100);

#[test]
fn a_scan_of_what_is_there_is_decided() {
    let whole: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"4"), (b"c", b"3")];
    assert_eq!(after(written(), scan(b"", 10, NOW, &whole, false)), Truth::True);
    assert_eq!(after(written(), scan(b"b", 10, NOW, &whole[1..], false)), Truth::True);
    // Under way with the overwriting: either value will do.
    let old: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")];
    for pairs in [old, whole] {
        assert_eq!(after(written(), scan(b"", 10, (75, 100), &pairs, false)), Truth::True);
    }
}

#[test]
fn a_stale_value_in_a_scan_is_found() {
    let stale: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")];
    assert_eq!(after(written(), scan(b"", 10, NOW, &stale, false)), Truth::False);
    assert_eq!(after(written(), scan(b"", 2, NOW, &stale[..2], true)), Truth::False, "its last");
}

#[test]
fn a_key_missing_within_a_scan_is_found() {
    let missing: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"c", b"3")];
    assert_eq!(after(written(), scan(b"", 10, NOW, &missing, false)), Truth::False);
    assert_eq!(after(written(), scan(b"", 2, NOW, &missing, true)), Truth::False, "though cut");
    // At the end, too, unless the scan says that there is more.
    let first = &missing[..1];
    assert_eq!(after(written(), scan(b"", 10, NOW, first, false)), Truth::False);
    assert_eq!(after(written(), scan(b"", 1, NOW, first, true)), Truth::True);
    assert_eq!(after(written(), scan(b"", 0, NOW, &[], true)), Truth::True);
    assert_eq!(after(written(), scan(b"", 10, NOW, &[], false)), Truth::False);
    // Before its first key it says nothing.
    assert_eq!(after(written(), scan(b"c", 10, NOW, &missing[1..], false)), Truth::True);
}

#[test]
fn what_was_deleted_or_never_written_must_not_be_in_a_scan() {
    let pairs: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"b", b"4")];
    let history = [written(), vec![delete(b"c", (82, 84))]].concat();
    assert_eq!(after(history.clone(), scan(b"", 10, NOW, &pairs, false)), Truth::True);
    let with_c: [(&[u8], &[u8]); 3] = [pairs[0], pairs[1], (b"c", b"3")];
    assert_eq!(after(history, scan(b"", 10, NOW, &with_c, false)), Truth::False);
    let with_d: [(&[u8], &[u8]); 4] = [with_c[0], with_c[1], with_c[2], (b"d", b"5")];
    assert_eq!(after(written(), scan(b"", 10, NOW, &with_d, false)), Truth::False);
}

#[test]
fn answers_that_no_store_gives_are_found() {
    let whole: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"4"), (b"c", b"3")];
    let backwards: [(&[u8], &[u8]); 3] = [whole[1], whole[0], whole[2]];
    assert_eq!(after(written(), scan(b"", 10, NOW, &backwards, false)), Truth::False);
    assert_eq!(after(written(), scan(b"b", 10, NOW, &whole, false)), Truth::False, "out of range");
    assert_eq!(after(written(), scan(b"d", 10, NOW, &whole[..1], false)), Truth::False, "likewise");
    assert_eq!(after(written(), scan(b"", 2, NOW, &whole, false)), Truth::False, "too many");
    let mut other = scan(b"", 10, NOW, &whole, false);
    Response::Value(b"1").encode(&mut other.reply);
    assert_eq!(after(written(), other), Truth::False, "no pairs");
}

#[test]
fn a_scan_before_all_writes_finds_nothing_and_costs_nothing() {
    let (history, early) = (written(), scan(b"", 10, (1, 5), &[], false));
    let whole = [vec![early], history.clone()].concat();
    // Four keys' worth of steps for the scan and the puts themselves: absent keys are passed over (N2).
    assert_eq!(truth(&whole, 20), Truth::True);
    assert_eq!(
        after(history, scan(b"", 10, (1, 15), &[], false)),
        Truth::True,
        "a was not there yet"
    );
}

#[test]
fn n3_scans_without_steps_are_counted_as_undecided() {
    let whole: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"b", b"4"), (b"c", b"3")];
    let scans = (0..10).map(|at| scan(b"", 10, (90 + at, 100 + at), &whole, false));
    let history: Vec<Operation> = written().into_iter().chain(scans).collect();
    let look = |steps| {
        let mut findings = Findings::new(&history, describe::texts(KnownService::Kv));
        check(&history, steps, &mut findings)
    };
    let BlackBox { truth, reasons, scans } = look(15);
    assert_eq!((truth, scans), (Truth::Undecided, 5));
    assert!(reasons[0].starts_with("3 keys were given up"), "{reasons:?}");
    assert!(reasons[1].starts_with("5 scans were not looked at"), "{reasons:?}");
    let BlackBox { truth, reasons, scans } = look(STEPS);
    assert_eq!((truth, scans, reasons.len()), (Truth::True, 10, 0));
}

fn draw_request(random: &mut u64) -> Vec<u8> {
    let of = |random: &mut u64, from: [&'static [u8]; 3]| {
        from[usize::try_from(next(random) % 3).unwrap()]
    };
    let (key, value) = (of(random, [b"a", b"b", b"c"]), of(random, [b"1", b"2", b"3"]));
    let limit = u32::try_from(next(random) % 4).unwrap();
    let request = match next(random) % 8 {
        0..3 => Request::Scan { from: key, limit },
        3 => Request::Get { key },
        4..6 => Request::Put { key, value },
        6 => Request::Delete { key },
        _ => Request::Append { key, suffix: value },
    };
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    bytes
}

/// Up to seven operations on three keys, answered in the order of a moment that lies within each or, where `spoilt`, close
/// to it.
fn draw_history(random: &mut u64, spoilt: bool) -> Vec<Operation> {
    let get = Request::Get { key: b"a" };
    let mut drawn: Vec<(u64, Operation)> = Vec::new();
    for number in 0..1 + next(random) % 7 {
        let (invoked, length) = (next(random) % 20, next(random) % 10);
        let late = if spoilt { next(random) % 20 } else { 0 };
        let moment = invoked + next(random) % (length + 1) + late;
        let mut operation = operation(number, (invoked, Some(invoked + length)), &get);
        operation.request = draw_request(random);
        drawn.push((moment, operation));
    }
    drawn.sort_by_key(|(moment, operation)| (*moment, operation.number));
    let mut kv = Kv::default();
    for (_, operation) in &mut drawn {
        operation.reply = execute(&mut kv, operation);
    }
    drawn.into_iter().map(|(_, operation)| operation).collect()
}

#[test]
fn good_histories_are_never_disproven_and_what_is_disproven_has_no_order() {
    let mut random = 3;
    let (mut found, mut missed) = (0, 0);
    for turn in 0..10_000 {
        let good = draw_history(&mut random, false);
        assert_eq!(truth(&good, STEPS), Truth::True, "turn {turn}: {good:#?}");
        let spoilt = draw_history(&mut random, true);
        let has_order = any_order(&spoilt, 0, &Kv::default());
        match truth(&spoilt, STEPS) {
            Truth::False => {
                assert!(!has_order, "turn {turn}: {spoilt:#?}");
                found += 1;
            }
            // Per key there is an order: that is less than one for all.
            _ => missed += u32::from(!has_order),
        }
    }
    assert!(found > 500 && missed * 4 < found, "{found} found, {missed} missed");
}
