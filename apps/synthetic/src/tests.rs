//! Bytes by hand, replies, state, service time, and bytes that are no requests.

use std::time::Duration;

use r2p2::service::state_hash;

use super::*;

fn execute(service: &mut Synthetic, index: u64, request: &[u8], room: usize) -> (Outcome, Vec<u8>) {
    let mut reply = Vec::new();
    let context = Context { index, log_time_us: 0 };
    let outcome = service.execute(&context, request, &mut Reply::new(&mut reply, room));
    (outcome, reply)
}

fn request(service_time_us: u64, reply_size: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Request { service_time_us, reply_size, body }.encode(&mut bytes);
    bytes
}

#[test]
fn bytes_are_the_documented_ones() {
    let bytes = b"\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\
                  \x03\x00\x00\x00\x00\x00\x00\x00ab";
    assert_eq!(request(1, 3, b"ab"), bytes);
    let parsed = Request { service_time_us: 1, reply_size: 3, body: b"ab" };
    assert_eq!(Request::parse(bytes), Ok(parsed));
    let mut service = Synthetic::new(Pace::NONE);
    let wanted = b"\x03\x00\x00\x00\x00\x00\x00\x00xxx".to_vec();
    assert_eq!(execute(&mut service, 1, bytes, 64), (Outcome::Done, wanted.clone()));
    let mut reply = Vec::new();
    let outcome = service.query(&Context::default(), bytes, &mut Reply::new(&mut reply, 64));
    assert_eq!((outcome, reply), (Ok(Outcome::Done), wanted));
    assert_eq!(service.writes(), 1);
}

#[test]
fn a_megabyte_is_answered_and_no_more() {
    let mut service = Synthetic::new(Pace::NONE);
    let (outcome, reply) = execute(&mut service, 1, &request(0, REPLY_MAX, b""), 2 << 20);
    assert_eq!((outcome, reply.len()), (Outcome::Done, 8 + (1 << 20)));
    let too_large = (Outcome::Failed, TOO_LARGE.to_le_bytes().to_vec());
    assert_eq!(execute(&mut service, 2, &request(0, REPLY_MAX + 1, b""), 2 << 20), too_large);
    assert_eq!(execute(&mut service, 3, &request(0, 100, b""), 107), too_large);
}

#[test]
fn what_is_no_request_is_answered_failed() {
    let mut service = Synthetic::new(Pace::NONE);
    let good = request(1, 2, b"body");
    let negative = |at: usize| {
        let mut bytes = good.clone();
        bytes[at + 7] = 0x80;
        bytes
    };
    let long = [&good[..], b"x"].concat();
    let bad = [b"".to_vec(), good[..23].to_vec(), good[..27].to_vec(), long];
    for bytes in bad.into_iter().chain([0, 8, 16].map(negative)) {
        let wanted = (Outcome::Failed, MALFORMED.to_le_bytes().to_vec());
        assert_eq!(execute(&mut service, 1, &bytes, 64), wanted);
    }
}

#[test]
fn the_state_tells_order_index_and_content_of_writes_apart() {
    let run = |script: &[(u64, &[u8])]| {
        let mut service = Synthetic::new(Pace::NONE);
        for (index, body) in script {
            execute(&mut service, *index, &request(0, 0, body), 64);
        }
        state_hash(&service)
    };
    let one = run(&[(1, b"a"), (2, b"b")]);
    assert_eq!(one, run(&[(1, b"a"), (2, b"b")]));
    for other in [
        run(&[(1, b"b"), (2, b"a")]),
        run(&[(1, b"a"), (3, b"b")]),
        run(&[(1, b"a"), (2, b"c")]),
        run(&[(2, b"b")]),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn a_restored_service_goes_on_alike() {
    let mut service = Synthetic::new(Pace::NONE);
    execute(&mut service, 1, &request(0, 0, b"a"), 64);
    let mut restored = Synthetic::new(Pace::NONE);
    restored.restore(&mut *service.snapshot()).unwrap();
    execute(&mut service, 2, b"any", 64);
    execute(&mut restored, 2, b"any", 64);
    assert_eq!(state_hash(&service), state_hash(&restored));
    assert_eq!(restored.writes(), 2);
    let mut bytes = [0; 22];
    assert_eq!(service.snapshot().read(&mut bytes), bytes.len());
    for len in 0..bytes.len() {
        let mut cut = SnapshotBytes::new(bytes[..len].to_vec());
        assert!(restored.restore(&mut cut).is_err(), "cut at {len}");
    }
    bytes[5] = 2;
    assert!(restored.restore(&mut SnapshotBytes::new(bytes.to_vec())).is_err(), "version");
}

#[test]
fn service_time_is_about_what_was_asked_and_capped() {
    let mut service = Synthetic::new(Pace::measure());
    let mut fastest = |us| {
        let spans = (0..5).map(|_| {
            let start = Instant::now();
            execute(&mut service, 1, &request(us, 0, b""), 64);
            start.elapsed()
        });
        spans.min().unwrap()
    };
    // The calibration is the fastest of its runs and so is this; the machine may be busy.
    let span = fastest(2_000);
    assert!(span > Duration::from_micros(1_000), "{span:?}");
    assert!(span < Duration::from_micros(20_000), "{span:?}");
    let capped = fastest(u64::MAX >> 1);
    assert!(capped < Duration::from_secs(2), "{capped:?}");
}

#[test]
fn any_bytes_are_answered() {
    let (mut one, mut two) = (Synthetic::new(Pace::NONE), Synthetic::new(Pace::NONE));
    let mut random = 1_u64;
    let mut done = 0;
    for index in 0..100_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let [length, zeros, size, byte, ..] = random.to_be_bytes();
        let mut bytes = vec![byte; usize::from(length % 40)];
        if zeros % 2 == 0 {
            bytes.resize(24, 0);
            bytes[16] = size;
            bytes[8] = zeros % 8;
        }
        let answer = execute(&mut one, index, &bytes, 128);
        assert_eq!(answer, execute(&mut two, index, &bytes, 128));
        assert!(answer.1.len() >= 8 && answer.1.len() <= 128);
        done += u64::from(answer.0 == Outcome::Done);
    }
    assert_eq!(state_hash(&one), state_hash(&two));
    assert!(done > 1_000, "{done}");
}
