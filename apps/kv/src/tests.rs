//! What each request does, by hand and against a plain map; bytes by hand; snapshots; bytes that are no requests.

use std::collections::BTreeMap;

use proptest::prelude::*;
use r2p2::service::{
    ChangesState, Context, Outcome, Reply, Service, SnapshotBytes, SnapshotReader, state_hash,
};

use super::*;

const ROOM: usize = 2 << 20;

fn call(kv: &mut Kv, request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    let mut reply = Vec::new();
    let outcome = kv.execute(&Context::default(), &bytes, &mut Reply::new(&mut reply, ROOM));
    let failed = matches!(Response::parse(&reply).unwrap(), Response::Failed(_));
    assert_eq!(failed, outcome == Outcome::Failed);
    reply
}

#[track_caller]
fn check(kv: &mut Kv, request: &Request<'_>, wanted: &Response<'_>) {
    assert_eq!(Response::parse(&call(kv, request)).unwrap(), *wanted, "{request:?}");
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Request<'a> {
    Request::Put { key, value }
}

fn snapshot_bytes(kv: &Kv) -> Vec<u8> {
    let mut snapshot = kv.snapshot();
    let mut bytes = Vec::new();
    let mut buffer = [0; 7];
    loop {
        let len = snapshot.read(&mut buffer);
        if len == 0 {
            return bytes;
        }
        bytes.extend_from_slice(&buffer[..len]);
    }
}

#[test]
fn put_get_delete() {
    let mut kv = Kv::default();
    check(&mut kv, &Request::Get { key: b"k" }, &Response::Absent);
    check(&mut kv, &Request::Delete { key: b"k" }, &Response::Absent);
    check(&mut kv, &put(b"k", b"one"), &Response::Done);
    check(&mut kv, &Request::Get { key: b"k" }, &Response::Value(b"one"));
    check(&mut kv, &put(b"k", b""), &Response::Done);
    check(&mut kv, &Request::Get { key: b"k" }, &Response::Value(b""));
    check(&mut kv, &Request::Delete { key: b"k" }, &Response::Done);
    assert_eq!(kv, Kv::default());
}

#[test]
fn compare_and_swap_swaps_only_what_it_expected() {
    let mut kv = Kv::default();
    let swap = |expected, value| Request::CompareAndSwap { key: b"k", expected, value };
    check(&mut kv, &swap(Some(b"a"), b"b"), &Response::Conflict(None));
    check(&mut kv, &swap(None, b"a"), &Response::Done);
    check(&mut kv, &swap(None, b"b"), &Response::Conflict(Some(b"a")));
    check(&mut kv, &swap(Some(b""), b"b"), &Response::Conflict(Some(b"a")));
    check(&mut kv, &swap(Some(b"a"), b"b"), &Response::Done);
    assert_eq!(kv.get(b"k"), Some(&b"b"[..]));
}

#[test]
fn append_and_increment_return_the_new_value() {
    let mut kv = Kv::default();
    let append = |suffix| Request::Append { key: b"a", suffix };
    check(&mut kv, &append(b"x"), &Response::Value(b"x"));
    check(&mut kv, &append(b"yz"), &Response::Value(b"xyz"));
    let increment = |by| Request::Increment { key: b"i", by };
    check(&mut kv, &increment(-5), &Response::Integer(-5));
    check(&mut kv, &increment(15), &Response::Integer(10));
    assert_eq!(kv.get(b"i"), Some(&b"10"[..]));
    check(&mut kv, &increment(i64::MAX), &Response::Failed(Failure::Overflow));
    check(&mut kv, &increment(i64::MAX - 10), &Response::Integer(i64::MAX));
    check(&mut kv, &put(b"i", i64::MIN.to_string().as_bytes()), &Response::Done);
    check(&mut kv, &increment(-1), &Response::Failed(Failure::Overflow));
    check(&mut kv, &increment(0), &Response::Integer(i64::MIN));
}

#[test]
fn only_the_one_form_of_a_number_is_a_number() {
    let mut kv = Kv::default();
    for value in ["", "-", "+1", "01", "-0", "1 ", "x", "9223372036854775808"] {
        check(&mut kv, &put(b"i", value.as_bytes()), &Response::Done);
        let increment = Request::Increment { key: b"i", by: 1 };
        check(&mut kv, &increment, &Response::Failed(Failure::NotANumber));
        assert_eq!(kv.get(b"i"), Some(value.as_bytes()));
    }
}

#[test]
fn scans_start_at_a_key_and_end_at_limit_or_room() {
    let mut kv = Kv::default();
    for key in [&b"b"[..], b"d", b"a", b"c"] {
        check(&mut kv, &put(key, &[key, key].concat()), &Response::Done);
    }
    let scan = |from: &[u8], limit, room| {
        let (mut bytes, mut reply) = (Vec::new(), Vec::new());
        Request::Scan { from, limit }.encode(&mut bytes).unwrap();
        kv.query(&Context::default(), &bytes, &mut Reply::new(&mut reply, room)).unwrap();
        match Response::parse(&reply).unwrap() {
            Response::Pairs(pairs) => {
                let keys = pairs.iter().map(|(key, value)| {
                    assert_eq!(value, [key, key].concat());
                    key[0]
                });
                (String::from_utf8(keys.collect()).unwrap(), pairs.more())
            }
            other => (format!("{other:?}"), false),
        }
    };
    assert_eq!(scan(b"", u32::MAX, ROOM), ("abcd".into(), false));
    assert_eq!(scan(b"b", u32::MAX, ROOM), ("bcd".into(), false));
    assert_eq!(scan(b"bb", 1, ROOM), ("c".into(), true));
    assert_eq!(scan(b"d", 1, ROOM), ("d".into(), false));
    assert_eq!(scan(b"e", 1, ROOM), (String::new(), false));
    assert_eq!(scan(b"", 0, ROOM), (String::new(), true));
    // Two pairs of nine bytes behind six bytes of header.
    assert_eq!(scan(b"", u32::MAX, 24), ("ab".into(), true));
    assert_eq!(scan(b"c", u32::MAX, 24), ("cd".into(), false));
    assert_eq!(scan(b"", u32::MAX, 14), ("Failed(ReplyTooLong)".into(), false));
}

#[test]
fn query_refuses_what_changes_state() {
    let kv = Kv::default();
    let mut bytes = Vec::new();
    let writes = [
        put(b"k", b"v"),
        Request::Delete { key: b"k" },
        Request::CompareAndSwap { key: b"k", expected: None, value: b"" },
        Request::Append { key: b"k", suffix: b"" },
        Request::Increment { key: b"k", by: 0 },
    ];
    for request in writes {
        request.encode(&mut bytes).unwrap();
        let mut reply = Vec::new();
        let result = kv.query(&Context::default(), &bytes, &mut Reply::new(&mut reply, ROOM));
        assert_eq!(result, Err(ChangesState), "{request:?}");
    }
    let mut reply = Vec::new();
    let result = kv.query(&Context::default(), b"?", &mut Reply::new(&mut reply, ROOM));
    assert_eq!(result, Ok(Outcome::Failed));
    assert_eq!(Response::parse(&reply), Ok(Response::Failed(Failure::Request)));
}

#[test]
fn k3_a_full_store_refuses_and_takes_again_when_there_is_room() {
    let mut kv = Kv::new(Capacity { keys: 2, bytes: 10 });
    let full = Response::Failed(Failure::Full);
    check(&mut kv, &put(b"a", b"1234"), &Response::Done);
    check(&mut kv, &put(b"b", b"12345"), &full);
    check(&mut kv, &put(b"b", b"1234"), &Response::Done);
    check(&mut kv, &put(b"c", b""), &full);
    check(&mut kv, &Request::Append { key: b"a", suffix: b"5" }, &full);
    check(&mut kv, &Request::Increment { key: b"c", by: 1 }, &full);
    check(&mut kv, &put(b"a", b"432"), &Response::Done);
    check(&mut kv, &Request::Append { key: b"b", suffix: b"5" }, &Response::Value(b"12345"));
    check(&mut kv, &Request::Delete { key: b"b" }, &Response::Done);
    check(&mut kv, &put(b"c", b"12345"), &Response::Done);
}

#[test]
fn k2_what_cannot_be_answered_is_not_done() {
    let mut kv = Kv::default();
    call(&mut kv, &put(b"k", b"12345678"));
    let before = kv.clone();
    let mut bytes = Vec::new();
    for (request, room) in [
        (Request::Append { key: b"k", suffix: b"9" }, 13),
        (Request::Increment { key: b"n", by: 1 }, 8),
        (Request::Get { key: b"k" }, 12),
        (Request::CompareAndSwap { key: b"k", expected: None, value: b"" }, 13),
        (put(b"k", b""), 0),
        (Request::Delete { key: b"k" }, 0),
    ] {
        request.encode(&mut bytes).unwrap();
        let mut reply = Vec::new();
        let outcome = kv.execute(&Context::default(), &bytes, &mut Reply::new(&mut reply, room));
        assert_eq!(outcome, Outcome::Failed, "{request:?}");
        assert_eq!(kv, before, "{request:?}");
    }
}

#[test]
fn too_long_keys_and_values_are_refused_on_both_sides() {
    let mut kv = Kv::default();
    let key = vec![b'k'; KEY_MAX + 1];
    let value = vec![b'v'; VALUE_MAX + 1];
    let mut bytes = vec![1];
    assert_eq!(put(&key, b"").encode(&mut bytes), Err(RequestError::Key(KEY_MAX + 1)));
    assert_eq!(put(b"", &value).encode(&mut bytes), Err(RequestError::Value(VALUE_MAX + 1)));
    assert!(bytes.is_empty());
    let fail = |kv: &mut Kv, request: &[u8]| {
        let mut reply = Vec::new();
        kv.execute(&Context::default(), request, &mut Reply::new(&mut reply, ROOM));
        reply
    };
    assert_eq!(fail(&mut kv, &[&[1, 4, 1][..], &key].concat()), [6, 2]);
    assert_eq!(fail(&mut kv, &[&[2, 0, 0, 0, 16, 0, 1][..], &value].concat()), [6, 3]);
    check(&mut kv, &put(b"k", &value[1..]), &Response::Done);
    let append = Request::Append { key: b"k", suffix: b"1" };
    check(&mut kv, &append, &Response::Failed(Failure::ValueTooLong));
}

/// Bytes written by hand from the figures in `request.rs` and `response.rs`.
#[test]
fn bytes_are_the_documented_ones() {
    let cases: [(Request<'_>, &[u8]); 8] = [
        (Request::Get { key: b"ab" }, b"\x01\x00\x02ab"),
        (put(b"a", b"bc"), b"\x02\x00\x01a\x00\x00\x00\x02bc"),
        (Request::Delete { key: b"" }, b"\x03\x00\x00"),
        (
            Request::CompareAndSwap { key: b"a", expected: None, value: b"n" },
            b"\x04\x00\x01a\x00\x00\x00\x00\x01n",
        ),
        (
            Request::CompareAndSwap { key: b"a", expected: Some(b"o"), value: b"n" },
            b"\x04\x00\x01a\x01\x00\x00\x00\x01o\x00\x00\x00\x01n",
        ),
        (Request::Append { key: b"a", suffix: b"s" }, b"\x05\x00\x01a\x00\x00\x00\x01s"),
        (
            Request::Increment { key: b"a", by: -2 },
            b"\x06\x00\x01a\xff\xff\xff\xff\xff\xff\xff\xfe",
        ),
        (Request::Scan { from: b"a", limit: 258 }, b"\x07\x00\x01a\x00\x00\x01\x02"),
    ];
    let mut bytes = Vec::new();
    for (request, wanted) in cases {
        request.encode(&mut bytes).unwrap();
        assert_eq!(bytes, wanted, "{request:?}");
        assert_eq!(Request::parse(wanted), Ok(request));
        for len in 0..wanted.len() {
            assert_eq!(Request::parse(&wanted[..len]), Err(RequestError::Truncated(len)));
        }
        bytes.push(0);
        assert_eq!(Request::parse(&bytes), Err(RequestError::Trailing(1)));
    }
    let pairs = b"\x05\x01\x00\x00\x00\x01\x00\x01k\x00\x00\x00\x01v";
    let Ok(Response::Pairs(parsed)) = Response::parse(pairs) else { panic!("no pairs") };
    assert!(parsed.more() && parsed.iter().eq([(&b"k"[..], &b"v"[..])]));
    let answers: [(Response<'_>, &[u8]); 8] = [
        (Response::Done, b"\x00"),
        (Response::Value(b"v"), b"\x01\x00\x00\x00\x01v"),
        (Response::Absent, b"\x02"),
        (Response::Conflict(None), b"\x03\x00"),
        (Response::Conflict(Some(b"v")), b"\x03\x01\x00\x00\x00\x01v"),
        (Response::Integer(1), b"\x04\x00\x00\x00\x00\x00\x00\x00\x01"),
        (Response::Pairs(parsed), pairs),
        (Response::Failed(Failure::Full), b"\x06\x04"),
    ];
    for (response, wanted) in answers {
        response.encode(&mut bytes);
        assert_eq!(bytes, wanted, "{response:?}");
        assert_eq!(response.encoded_len(), wanted.len());
        assert_eq!(Response::parse(wanted), Ok(response));
        for len in 0..wanted.len() {
            assert_eq!(Response::parse(&wanted[..len]), Err(ResponseError), "{response:?}");
        }
    }
}

#[test]
fn overwriting_with_a_shorter_value_stays_in_the_buffer() {
    let mut kv = Kv::default();
    call(&mut kv, &put(b"k", &[1; 4_000]));
    let place = kv.get(b"k").unwrap().as_ptr();
    for len in [4_000, 100, 0, 4_000] {
        call(&mut kv, &put(b"k", &vec![2; len]));
        assert_eq!(kv.get(b"k").unwrap().as_ptr(), place);
    }
}

#[test]
fn a_snapshot_keeps_what_the_store_was() {
    let mut kv = Kv::default();
    call(&mut kv, &put(b"k", b"old"));
    call(&mut kv, &put(b"l", b"old"));
    let wanted = snapshot_bytes(&kv);
    let mut snapshot = kv.snapshot();
    call(&mut kv, &put(b"k", b"new"));
    call(&mut kv, &Request::Append { key: b"l", suffix: b"er" });
    call(&mut kv, &put(b"m", b"new"));
    let mut bytes = vec![0; wanted.len()];
    SnapshotReader::new(&mut *snapshot).fill(&mut bytes).unwrap();
    assert_eq!(bytes, wanted);
    assert_eq!(&wanted[30..], b"\x00\x01k\x00\x00\x00\x03old\x00\x01l\x00\x00\x00\x03old");
}

#[test]
fn snapshots_cut_short_or_changed_are_refused() {
    let mut kv = Kv::new(Capacity { keys: 2, bytes: 8 });
    call(&mut kv, &put(b"a", b"xyz"));
    call(&mut kv, &put(b"b", b"xyz"));
    let good = snapshot_bytes(&kv);
    let restore = |bytes: &[u8]| {
        let mut restored = Kv::default();
        restored.restore(&mut SnapshotBytes::new(bytes.to_vec())).map(|()| restored)
    };
    assert_eq!(restore(&good).as_ref(), Ok(&kv));
    for len in 0..good.len() {
        assert!(restore(&good[..len]).is_err(), "cut at {len}");
    }
    assert!(restore(&[&good[..], &[0]].concat()).is_err());
    // Magic, version, capacity of keys and of bytes, count, order of keys.
    for (at, byte) in [(0, b'X'), (5, 2), (13, 1), (21, 7), (29, 3), (32, b'b'), (32, b'c')] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert!(restore(&bad).is_err(), "byte {at} = {byte}");
    }
}

/// A generator that gives the same numbers everywhere (SplitMix64).
fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*random ^ (*random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A request, as it is, with one byte changed, cut short, or nothing but bytes.
fn any_request(random: &mut u64) -> Vec<u8> {
    let [a, b, c, d, e, f, g, h] = next(random).to_be_bytes();
    let (key, one, two) = (&[a % 8, b][..usize::from(b % 3)], &[c; 9][..usize::from(d % 10)], &[c]);
    let request = match e % 7 {
        0 => Request::Get { key },
        1 => put(key, one),
        2 => Request::Delete { key },
        3 => Request::CompareAndSwap { key, expected: (a < 128).then_some(two), value: one },
        4 => Request::Append { key, suffix: one },
        5 => Request::Increment { key, by: i64::from(d) - 100 },
        _ => Request::Scan { from: key, limit: u32::from(d % 8) },
    };
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    let at = usize::from(f) % bytes.len();
    match g % 8 {
        0 => bytes[at] ^= h,
        1 => bytes.truncate(at),
        2 => bytes = [f, h, a, b][..usize::from(c % 5)].to_vec(),
        _ => {}
    }
    bytes
}

#[test]
fn any_bytes_are_answered_and_equal_stores_stay_equal() {
    let capacity = Capacity { keys: 50, bytes: 300 };
    let (mut one, mut two) = (Kv::new(capacity), Kv::new(capacity));
    let mut random = 1;
    let (mut done, mut failed) = (0, 0);
    let (mut reply_one, mut reply_two) = (Vec::new(), Vec::new());
    for index in 0..100_000 {
        let request = any_request(&mut random);
        let room = usize::try_from(next(&mut random) % 64).unwrap();
        let context = Context { index, log_time_us: 0 };
        let outcome = one.execute(&context, &request, &mut Reply::new(&mut reply_one, room));
        let again = two.execute(&context, &request, &mut Reply::new(&mut reply_two, room));
        assert_eq!((outcome, &reply_one), (again, &reply_two));
        *if outcome == Outcome::Done { &mut done } else { &mut failed } += 1;
        if index % 10_000 == 0 {
            assert_eq!(state_hash(&one), state_hash(&two));
            two.restore(&mut *one.snapshot()).unwrap();
        }
    }
    assert_eq!(one, two);
    assert!(done > 1_000 && failed > 1_000, "{done} done, {failed} failed");
}

/// What the store should do, said with a plain map.
fn model(map: &mut BTreeMap<Vec<u8>, Vec<u8>>, request: &Request<'_>) -> Vec<u8> {
    let old = map.get(request.key()).cloned();
    let mut set = |value: Vec<u8>| map.insert(request.key().to_vec(), value);
    let mut bytes = Vec::new();
    let appended;
    let response = match *request {
        Request::Get { .. } => old.as_deref().map_or(Response::Absent, Response::Value),
        Request::Put { value, .. } => {
            set(value.to_vec());
            Response::Done
        }
        Request::Delete { key } => match map.remove(key) {
            Some(_) => Response::Done,
            None => Response::Absent,
        },
        Request::CompareAndSwap { expected, value, .. } if old.as_deref() == expected => {
            set(value.to_vec());
            Response::Done
        }
        Request::CompareAndSwap { .. } => Response::Conflict(old.as_deref()),
        Request::Append { suffix, .. } => {
            appended = [&old.unwrap_or_default(), suffix].concat();
            set(appended.clone());
            Response::Value(&appended)
        }
        Request::Increment { by, .. } => {
            let old = String::from_utf8(old.unwrap_or(b"0".to_vec())).unwrap_or_default();
            match old.parse::<i64>() {
                Ok(number) if number.to_string() == old => {
                    set((number + by).to_string().into_bytes());
                    Response::Integer(number + by)
                }
                _ => Response::Failed(Failure::NotANumber),
            }
        }
        Request::Scan { from, limit } => {
            let pairs = map.range(from.to_vec()..).take(usize::try_from(limit).unwrap());
            bytes.extend([5, u8::from(map.range(from.to_vec()..).count() > pairs.clone().count())]);
            bytes.extend(u32::try_from(pairs.clone().count()).unwrap().to_be_bytes());
            for (key, value) in pairs {
                bytes.extend(u16::try_from(key.len()).unwrap().to_be_bytes());
                bytes.extend(key);
                bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                bytes.extend(value);
            }
            return bytes;
        }
    };
    response.encode(&mut bytes);
    bytes
}

prop_compose! {
    fn words()(operation in 0..7, key in "[a-d]{0,2}", one in "[0-9x]{0,3}", two in "[0-9x]{0,1}",
               present: bool, by in -9i64..9, limit in 0u32..6)
        -> (i32, String, String, String, bool, i64, u32) {
        (operation, key, one, two, present, by, limit)
    }
}

proptest! {
    #[test]
    fn the_store_does_what_a_plain_map_does(script in prop::collection::vec(words(), 0..200)) {
        let (mut kv, mut map) = (Kv::default(), BTreeMap::new());
        for (operation, key, one, two, present, by, limit) in &script {
            let (key, one, two) = (key.as_bytes(), one.as_bytes(), two.as_bytes());
            let request = match operation {
                0 => Request::Get { key },
                1 => put(key, one),
                2 => Request::Delete { key },
                3 => Request::CompareAndSwap { key, expected: present.then_some(two), value: one },
                4 => Request::Append { key, suffix: one },
                5 => Request::Increment { key, by: *by },
                _ => Request::Scan { from: key, limit: *limit },
            };
            let mut bytes = Vec::new();
            request.encode(&mut bytes).unwrap();
            prop_assert_eq!(Request::parse(&bytes), Ok(request));
            prop_assert_eq!(call(&mut kv, &request), model(&mut map, &request));
        }
        let mut restored = Kv::default();
        restored.restore(&mut *kv.snapshot()).unwrap();
        prop_assert_eq!(&restored, &kv);
        prop_assert_eq!(state_hash(&restored), state_hash(&kv));
        prop_assert!(kv.len() == map.len());
    }
}
