//! The client against a server on loopback, with everything that a network and a cluster may do to it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hovercraft_client::test_server::TestServer;
use hovercraft_client::{CallError, Client, Completion, ConnectError, Kind, Options, SubmitError};
use hovercraft_config::Mode;
use kv::{Kv, Request, Response};
use r2p2::refusal::Reason;
use synthetic::{Pace, Synthetic};

const MODES: [Mode; 3] = [Mode::Unreplicated, Mode::Raft, Mode::Hovercraft];
const WINDOW: u32 = 4_096;
const SOON: Duration = Duration::from_secs(10);

fn kv_server(mode: Mode) -> TestServer {
    TestServer::start(mode, Box::new(Kv::default()), WINDOW)
}

/// Quick to repeat, slow to give up: a loaded machine must not make a test fail.
fn options() -> Options {
    Options {
        retry_after: Duration::from_millis(5),
        retry_max: Duration::from_millis(40),
        request_timeout: SOON,
        connect_timeout: SOON,
        seed: Some(7),
        ..Options::default()
    }
}

fn connect(server: &TestServer) -> Client {
    Client::connect(&server.cluster(&[]), &options()).unwrap()
}

fn bytes(request: Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    bytes
}

fn increment() -> Vec<u8> {
    bytes(Request::Increment { key: b"n", by: 1 })
}

/// Submits `count` increments, as room permits, and collects all completions.
fn increments(client: &mut Client, count: u64) -> Vec<Completion> {
    let (body, mut done, mut next) = (increment(), Vec::new(), 0);
    let until = client.now() + 3 * SOON;
    while done.len() < usize::try_from(count).unwrap() {
        assert!(client.now() < until, "{} of {count} ended", done.len());
        while next < count {
            match client.submit(Kind::Write, &body, next) {
                Ok(_) => next += 1,
                Err(SubmitError::Full) => break,
                Err(error) => panic!("{error}"),
            }
        }
        client.flush();
        done.extend(client.poll(Duration::from_millis(50)));
    }
    done
}

/// The numbers that answered increments show.
fn sums(completions: &[Completion]) -> BTreeSet<i64> {
    let sum = |completion: &Completion| {
        let answer = completion.result.as_ref().unwrap();
        match Response::parse(&answer.body).unwrap() {
            Response::Integer(sum) => sum,
            other => panic!("{other:?}"),
        }
    };
    completions.iter().map(sum).collect()
}

/// Each of `count` writes ended once, and was executed once: no sum is missing, none is there twice.
fn assert_exactly_once(completions: &[Completion], count: i64) {
    let tags: BTreeSet<u64> = completions.iter().map(|completion| completion.tag).collect();
    assert_eq!((completions.len(), tags.len()), (tags.len(), usize::try_from(count).unwrap()));
    assert_eq!(sums(completions), (1..=count).collect());
}

#[test]
fn calls_are_answered_in_every_mode() {
    for mode in MODES {
        let server = kv_server(mode);
        let mut client = connect(&server);
        let put = bytes(Request::Put { key: b"k", value: b"v" });
        let done = client.call(Kind::Write, &put).unwrap();
        assert_eq!(Response::parse(&done.body), Ok(Response::Done), "{mode:?}");
        let read = client.call(Kind::Read, &bytes(Request::Get { key: b"k" })).unwrap();
        assert_eq!(Response::parse(&read.body), Ok(Response::Value(b"v")));
        let has_log = mode != Mode::Unreplicated;
        assert_eq!((read.index > done.index, read.index != 0), (has_log, has_log));
        assert_eq!(read.from, server.address());
        assert_eq!(client.session() != 0, has_log);
    }
}

#[test]
fn u1_thousands_are_open_at_a_time_and_each_ends_once() {
    for mode in MODES {
        let server = kv_server(mode);
        let mut client = connect(&server);
        let done = increments(&mut client, 10_000);
        assert_exactly_once(&done, 10_000);
        assert!(done.iter().all(|completion| completion.session == client.session()));
        assert_eq!(client.open(), 0);
    }
}

#[test]
fn lost_requests_answers_and_refusals_are_repeated_and_nothing_is_done_twice() {
    for mode in MODES {
        let server = kv_server(mode);
        server.faults().lose_request_every.store(7, Relaxed);
        server.faults().lose_answer_every.store(5, Relaxed);
        server.faults().refuse_every.store(11, Relaxed);
        let mut client = connect(&server);
        assert_exactly_once(&increments(&mut client, 2_000), 2_000);
        assert_eq!(server.faults().executed.load(Relaxed), 2_000);
        let counters = client.counters();
        assert!(counters.backed_off > 100 && counters.repeated > 500, "{mode:?}: {counters:?}");
    }
}

#[test]
fn a_second_answer_changes_nothing() {
    let server = kv_server(Mode::Raft);
    server.faults().answer_twice.store(true, Relaxed);
    let mut client = connect(&server);
    assert_exactly_once(&increments(&mut client, 1_000), 1_000);
}

#[test]
fn plain_clients_are_served_too() {
    for mode in MODES {
        let server = kv_server(mode);
        let plain = Options { plain: true, ..options() };
        let mut client = Client::connect(&server.cluster(&[]), &plain).unwrap();
        assert_exactly_once(&increments(&mut client, 3_000), 3_000);
        assert_eq!(client.session(), 0);
    }
}

#[test]
fn u2_silence_makes_the_outcome_unknown() {
    let server = kv_server(Mode::Hovercraft);
    let timeout = Duration::from_millis(200);
    let impatient = Options { request_timeout: timeout, ..options() };
    let mut client = Client::connect(&server.cluster(&[]), &impatient).unwrap();
    server.faults().silent.store(true, Relaxed);
    let began = client.now();
    let error = client.call(Kind::Write, &increment()).unwrap_err();
    assert_eq!(error, CallError::Unknown);
    assert!(error.may_have_been_executed());
    assert!(client.now() >= began + timeout);
    server.faults().silent.store(false, Relaxed);
    client.call(Kind::Write, &increment()).unwrap();
}

#[test]
fn nobody_there_is_said_within_the_time_out() {
    let server = kv_server(Mode::Raft);
    server.faults().silent.store(true, Relaxed);
    let impatient = Options { connect_timeout: Duration::from_millis(100), ..options() };
    let error = Client::connect(&server.cluster(&[]), &impatient).unwrap_err();
    assert!(matches!(error, ConnectError::NoAnswer(_)), "{error}");
    let elsewhere = Options { group: 1, ..options() };
    let error = Client::connect(&server.cluster(&[]), &elsewhere).unwrap_err();
    assert_eq!(error.to_string(), "no group at place 1: the configuration has 1");
}

#[test]
fn in_mode_raft_a_dead_member_is_passed_over() {
    let server = kv_server(Mode::Raft);
    // Bound and never read: as silent as a dead node.
    let dead: Vec<UdpSocket> = (0..2).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let before: Vec<SocketAddr> = dead.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let mut client = Client::connect(&server.cluster(&before), &options()).unwrap();
    assert_exactly_once(&increments(&mut client, 500), 500);
    // Only what went out before the living one was found had to be repeated.
    assert!(client.counters().repeated < 500, "{:?}", client.counters());
}

#[test]
fn a_lost_session_is_opened_anew_and_its_requests_are_not_repeated_in_it() {
    let server = kv_server(Mode::Hovercraft);
    let mut client = connect(&server);
    client.call(Kind::Write, &increment()).unwrap();
    let first = client.session();
    server.faults().forget_sessions.store(true, Relaxed);
    let error = client.call(Kind::Write, &increment()).unwrap_err();
    assert_eq!(error, CallError::Refused(Reason::UnknownSession));
    assert!(!error.may_have_been_executed());
    let answer = client.call(Kind::Write, &increment()).unwrap();
    assert_eq!(Response::parse(&answer.body), Ok(Response::Integer(2)));
    assert_ne!(client.session(), first);
    assert_eq!(server.faults().opened.load(Relaxed), 2);
}

#[test]
fn u3_a_full_window_takes_nothing_more_until_something_ends() {
    let server = TestServer::start(Mode::Hovercraft, Box::new(Kv::default()), 16);
    let mut client = connect(&server);
    server.faults().silent.store(true, Relaxed);
    let taken = (0..100).take_while(|&tag| client.submit(Kind::Write, &increment(), tag).is_ok());
    assert_eq!(taken.count(), 16);
    client.flush();
    server.faults().silent.store(false, Relaxed);
    let mut done = Vec::new();
    while done.len() < 16 {
        let before = done.len();
        done.extend(client.poll(SOON));
        assert!(done.len() > before, "{before} of 16");
    }
    assert_exactly_once(&done, 16);
    assert!(client.submit(Kind::Write, &increment(), 16).is_ok());
}

#[test]
fn a_call_leaves_other_completions_for_the_next_poll() {
    let server = kv_server(Mode::Raft);
    let mut client = connect(&server);
    for tag in 0..100 {
        client.submit(Kind::Write, &increment(), tag).unwrap();
    }
    let answer = client.call(Kind::Write, &increment()).unwrap();
    let Ok(Response::Integer(sum)) = Response::parse(&answer.body) else { panic!("no sum") };
    let mut others = Vec::new();
    while others.len() < 100 {
        let before = others.len();
        others.extend(client.poll(SOON));
        assert!(others.len() > before, "{} of 100", others.len());
    }
    let mut all = sums(&others);
    assert!(all.insert(sum));
    assert_eq!(all, (1..=101).collect());
}

#[test]
fn long_requests_and_replies_arrive_whole() {
    for mode in MODES {
        let service = Synthetic::new(Pace::NONE);
        let server = TestServer::start(mode, Box::new(service), WINDOW);
        let mut client = connect(&server);
        let (filler, reply_size) = (vec![b'x'; 200_000], 900_000);
        let request = synthetic::Request { service_time_us: 0, reply_size, body: &filler };
        let mut body = Vec::new();
        request.encode(&mut body);
        let answer = client.call(Kind::Write, &body).unwrap();
        assert_eq!(answer.body.len(), 900_008);
    }
}

#[test]
fn what_is_too_long_is_not_taken() {
    let server = kv_server(Mode::Raft);
    let mut client = connect(&server);
    let limit = usize::try_from(server.cluster(&[]).groups[0].limits.request_max).unwrap();
    let error = client.call(Kind::Write, &vec![0; limit + 1]).unwrap_err();
    let too_large = SubmitError::TooLarge { len: limit + 1, max: limit };
    assert_eq!(error, CallError::Submit(too_large));
    assert!(!error.may_have_been_executed());
}

#[test]
fn a_write_tagged_as_a_read_is_refused() {
    let server = kv_server(Mode::Hovercraft);
    let mut client = connect(&server);
    let error = client.call(Kind::Read, &increment()).unwrap_err();
    assert_eq!(error, CallError::Refused(Reason::ChangesState));
}

#[test]
fn closing_ends_the_session() {
    let server = kv_server(Mode::Hovercraft);
    let mut client = connect(&server);
    client.call(Kind::Write, &increment()).unwrap();
    assert!(client.close(SOON));
    assert_eq!(server.faults().closed.load(Relaxed), 1);
    // Without a session there is nothing to close, and that is done at once.
    let server = kv_server(Mode::Unreplicated);
    assert!(connect(&server).close(SOON));
}
