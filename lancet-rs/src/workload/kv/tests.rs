//! Requests that the service takes, and replies that the check takes.

use std::collections::BTreeMap;

use kv::Kv;
use r2p2::service::{Context, Reply, Service};

use super::*;
use crate::random::{Purpose, stream};
use crate::workload::Workload;

const SHAPE: KvShape = KvShape { keys: 40, value: 32, reads: 0.5, scans: 0.05 };

/// What was drawn: kind, expectation, bytes.
fn drawn(shape: KvShape, seed: u64, thread: u32, count: usize) -> Vec<(Kind, Expected, Vec<u8>)> {
    let mut random = stream(seed, thread, Purpose::Requests);
    let mut drawing = Drawing::new(shape, thread);
    let mut body = Vec::new();
    let mut draw = || {
        let (kind, expected) = drawing.draw(&mut random, &mut body);
        (kind, expected, body.clone())
    };
    (0..count).map(|_| draw()).collect()
}

#[test]
fn v1_the_service_parses_every_request_and_agrees_on_its_tag() {
    for (kind, _, body) in drawn(SHAPE, 1, 0, 20_000) {
        let request = Request::parse(&body).unwrap();
        assert_eq!(request.is_read(), kind == Kind::Read, "{request:?}");
        assert!(body.len() as u64 <= Workload::Kv(SHAPE).request_max());
    }
}

#[test]
fn the_mix_has_every_operation_and_the_share_of_reads() {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, expected, _) in drawn(SHAPE, 1, 0, 20_000) {
        let name = match expected {
            Expected::Get => "get",
            Expected::Put => "put",
            Expected::Delete => "delete",
            Expected::CompareAndSwap => "swap",
            Expected::Append => "append",
            Expected::Increment => "increment",
            Expected::Scan => "scan",
        };
        *counts.entry(name).or_default() += 1;
    }
    assert_eq!(counts.len(), 7);
    assert!(counts.values().all(|&count| count > 400), "{counts:?}");
    let reads = counts["get"] + counts["scan"];
    assert!((9_700..10_300).contains(&reads), "{counts:?}");
    let writes_only = KvShape { reads: 0.0, ..SHAPE };
    assert!(drawn(writes_only, 1, 0, 1_000).iter().all(|drawn| drawn.0 == Kind::Write));
    let no_scans = KvShape { scans: 0.0, ..SHAPE };
    assert!(drawn(no_scans, 1, 0, 1_000).iter().all(|drawn| drawn.1 != Expected::Scan));
}

#[test]
fn the_service_answers_what_the_check_accepts_and_swaps_succeed_and_fail() {
    let mut kv = Kv::default();
    let (mut swapped, mut conflicts) = (0, 0);
    for (index, (kind, expected, body)) in (1..).zip(drawn(SHAPE, 3, 0, 20_000)) {
        let mut answer = Vec::new();
        let context = Context { index, log_time_us: 0 };
        let mut reply = Reply::new(&mut answer, 1 << 20);
        match kind {
            Kind::Write => {
                kv.execute(&context, &body, &mut reply);
            }
            Kind::Read => {
                kv.query(&context, &body, &mut reply).unwrap();
            }
        }
        assert!(expected.accepts(&answer), "{expected:?}: {:?}", Response::parse(&answer));
        if expected == Expected::CompareAndSwap {
            match Response::parse(&answer) {
                Ok(Response::Done) => swapped += 1,
                _ => conflicts += 1,
            }
        }
    }
    assert!(swapped > 100 && conflicts > 100, "{swapped} swapped, {conflicts} conflicts");
}

#[test]
fn replies_of_another_kind_are_refused() {
    let bytes = |response: Response<'_>| {
        let mut bytes = Vec::new();
        response.encode(&mut bytes);
        bytes
    };
    assert!(!Expected::Put.accepts(b"not a reply"));
    assert!(!Expected::Put.accepts(&bytes(Response::Absent)));
    assert!(!Expected::Get.accepts(&bytes(Response::Integer(1))));
    assert!(!Expected::Increment.accepts(&bytes(Response::Value(b"1"))));
    assert!(!Expected::Get.accepts(&bytes(Response::Failed(Failure::Request))));
    assert!(Expected::Put.accepts(&bytes(Response::Failed(Failure::Full))));
    assert!(Expected::Get.accepts(&bytes(Response::Absent)));
}

#[test]
fn v2_threads_draw_differently_and_a_seed_repeats_itself() {
    assert_eq!(drawn(SHAPE, 1, 0, 100), drawn(SHAPE, 1, 0, 100));
    assert_ne!(drawn(SHAPE, 1, 0, 100), drawn(SHAPE, 1, 1, 100));
    assert_ne!(drawn(SHAPE, 1, 0, 100), drawn(SHAPE, 2, 0, 100));
}
