//! What the counter answers.

use r2p2::service::state_hash;

use super::*;

fn add(counter: &mut Counter, request: &str) -> (Outcome, String) {
    let mut reply = Vec::new();
    let context = Context::default();
    let outcome = counter.execute(&context, request.as_bytes(), &mut Reply::new(&mut reply, 64));
    (outcome, String::from_utf8(reply).unwrap())
}

fn read(counter: &Counter) -> String {
    let mut reply = Vec::new();
    let outcome = counter.query(&Context::default(), b"read", &mut Reply::new(&mut reply, 64));
    assert_eq!(outcome, Ok(Outcome::Done));
    String::from_utf8(reply).unwrap()
}

#[test]
fn adds_and_reads() {
    let mut counter = Counter::default();
    assert_eq!(read(&counter), "0");
    assert_eq!(add(&mut counter, "add 5"), (Outcome::Done, "5".into()));
    assert_eq!(add(&mut counter, "add -7"), (Outcome::Done, "-2".into()));
    assert_eq!(read(&counter), "-2");
}

#[test]
fn refuses_without_a_change() {
    let mut counter = Counter { value: i64::MAX };
    for request in ["add 1", "add", "add x", "sub 1", "", "add 9223372036854775808"] {
        assert_eq!(add(&mut counter, request).0, Outcome::Failed, "{request}");
        assert_eq!(counter.value, i64::MAX);
    }
    let mut reply = Vec::new();
    let answer = counter.query(&Context::default(), b"add 1", &mut Reply::new(&mut reply, 64));
    assert_eq!(answer, Err(ChangesState));
}

#[test]
fn a_restored_counter_is_equal() {
    let mut counter = Counter::default();
    add(&mut counter, "add 5");
    let mut restored = Counter::default();
    restored.restore(&mut *counter.snapshot()).unwrap();
    assert_eq!((read(&restored), state_hash(&restored)), (read(&counter), state_hash(&counter)));
    for len in [0, 7, 9] {
        let mut snapshot = SnapshotBytes::new(vec![0; len]);
        assert!(restored.restore(&mut snapshot).is_err(), "{len} bytes");
    }
}

#[test]
fn any_bytes_are_answered() {
    let mut counter = Counter::default();
    let mut random = 1_u64;
    for _ in 0..100_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let bytes = random.to_be_bytes();
        let request = [b"add ", &bytes[..usize::from(bytes[0] % 8)]].concat();
        let mut reply = Vec::new();
        counter.execute(&Context::default(), &request, &mut Reply::new(&mut reply, 64));
        assert!(!reply.is_empty());
    }
}
