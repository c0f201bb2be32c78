//! What services read: requests, replies and snapshots of the key-value store and of the synthetic service.

use kv::{Kv, Request, Response};
use r2p2::service::{Context, Reply, Service, SnapshotBytes, state_hash};
use synthetic::{Pace, Synthetic};

use crate::draw::Draw;

const REPLY_MAX: usize = 4_096;
const REQUESTS_MAX: usize = 100;

/// The body of fuzz target `requests`: requests one after the other to a store and to the synthetic service, then the rest as a
/// snapshot. True when a request was one.
///
/// # Panics
///
/// When what was read is not written again as it was, a query changes the state, or a snapshot does not restore what it was taken of.
#[must_use]
pub fn requests(bytes: &[u8]) -> bool {
    let mut draw = Draw::new(bytes);
    let (mut store, mut synthetic) = (Kv::default(), Synthetic::new(Pace::NONE));
    let mut useful = false;
    for index in 1..REQUESTS_MAX {
        if draw.is_empty() {
            break;
        }
        let context = Context { index: index as u64, log_time_us: index as u64 };
        let request = draw.framed(2_000);
        useful |= parsed(request);
        served(&mut store, &context, request);
        served(&mut synthetic, &context, request);
    }
    restored(&store, Kv::default());
    restored(&synthetic, Synthetic::new(Pace::NONE));
    let _ = Kv::default().restore(&mut SnapshotBytes::new(bytes.to_vec()));
    let _ = Synthetic::new(Pace::NONE).restore(&mut SnapshotBytes::new(bytes.to_vec()));
    useful
}

fn parsed(bytes: &[u8]) -> bool {
    let mut again = Vec::new();
    let request = Request::parse(bytes);
    if let Ok(request) = &request {
        assert_eq!(request.encode(&mut again), Ok(()));
        assert_eq!(again, bytes);
    }
    if let Ok(response) = Response::parse(bytes) {
        response.encode(&mut again);
        assert_eq!(again, bytes, "{response:?}");
    }
    let synthetic = synthetic::Request::parse(bytes);
    if let Ok(request) = &synthetic {
        request.encode(&mut again);
        assert_eq!(again, bytes);
    }
    request.is_ok() || synthetic.is_ok()
}

fn served(service: &mut impl Service, context: &Context, request: &[u8]) {
    let before = state_hash(service);
    let mut reply = Vec::new();
    let _ = service.query(context, request, &mut Reply::new(&mut reply, REPLY_MAX));
    assert!(reply.len() <= REPLY_MAX, "a reply of {} bytes", reply.len());
    assert_eq!(state_hash(service), before, "a query changed the state");
    reply.clear();
    let _ = service.execute(context, request, &mut Reply::new(&mut reply, REPLY_MAX));
    assert!(reply.len() <= REPLY_MAX, "a reply of {} bytes", reply.len());
}

fn restored<S: Service>(service: &S, mut fresh: S) {
    let mut snapshot = service.snapshot();
    assert_eq!(fresh.restore(&mut *snapshot), Ok(()));
    assert_eq!(state_hash(&fresh), state_hash(service));
}

/// Requests of every kind.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let key = b"key";
    let requests = [
        Request::Put { key, value: b"7" },
        Request::Get { key },
        Request::Increment { key, by: -3 },
        Request::Append { key, suffix: b"0" },
        Request::CompareAndSwap { key, expected: Some(b"40"), value: b"8" },
        Request::CompareAndSwap { key: b"", expected: None, value: b"" },
        Request::Scan { from: b"", limit: 10 },
        Request::FULL_SCAN,
        Request::Delete { key },
    ];
    let mut all = Vec::new();
    let mut bytes = Vec::new();
    for request in requests {
        if request.encode(&mut bytes).is_ok() {
            all.push(bytes.clone());
        }
    }
    synthetic::Request { service_time_us: 3, reply_size: 9, body: b"body" }.encode(&mut bytes);
    all.push(bytes);
    let framed = |requests: &[Vec<u8>]| {
        let mut bytes = Vec::new();
        for request in requests {
            bytes.extend(u16::try_from(request.len()).unwrap_or_default().to_le_bytes());
            bytes.extend(request);
        }
        bytes
    };
    all.chunks(1).map(framed).chain([framed(&all)]).collect()
}
