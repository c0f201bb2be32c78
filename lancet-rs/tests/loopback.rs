//! The load generator against a server on loopback: what it sends, what it counts, what it writes down.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use history_checker::history::{Operation, OperationKind, OperationOutcome};
use hovercraft_client::test_server::TestServer;
use hovercraft_config::Mode;
use kv::Kv;
use r2p2::service::{Context, Reply, Service};

use lancet_rs::stop::Stop;
use support::{kv_server, pause, run_on, run_until, run_while, synthetic_server};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Executes the history's answered operations in index order: every reply must come out again.
fn replay(history: &[Operation]) {
    let mut executed: Vec<&Operation> = history.iter().filter(|o| o.index != 0).collect();
    executed.sort_by_key(|operation| operation.index);
    let mut kv = Kv::default();
    for operation in executed {
        let mut reply = Vec::new();
        let context = Context { index: operation.index, log_time_us: 0 };
        let mut into = Reply::new(&mut reply, 1 << 20);
        match operation.kind {
            OperationKind::Write => {
                kv.execute(&context, &operation.request, &mut into);
            }
            OperationKind::Read => {
                kv.query(&context, &operation.request, &mut into).unwrap();
            }
        }
        assert_eq!(reply, operation.reply, "at index {}", operation.index);
    }
}

/// Nobody is in the history twice, and later operations began where earlier indexes had been invoked.
fn assert_sound(history: &[Operation]) {
    let ids: BTreeSet<_> = history.iter().map(|o| (o.session, o.number, o.address)).collect();
    assert_eq!(ids.len(), history.len(), "an id is there twice");
    let mut answered: Vec<&Operation> =
        history.iter().filter(|o| o.outcome == OperationOutcome::Answered).collect();
    assert!(answered.iter().all(|o| o.completed_us.unwrap() > o.invoked_us));
    answered.sort_by_key(|operation| operation.index);
    let mut latest_invoked = 0;
    for operation in answered {
        let completed = operation.completed_us.unwrap();
        assert!(latest_invoked <= completed, "order by index contradicts order in time");
        latest_invoked = latest_invoked.max(operation.invoked_us);
    }
}

#[test]
fn the_rate_is_achieved_the_counts_add_up_and_the_history_is_whole() {
    for mode in [Mode::Raft, Mode::Hovercraft] {
        let server = kv_server(mode);
        let run = run_on(
            &server,
            "--rate 4000 --duration 2s --arrivals fixed --threads 2 --sessions 6 --keys 50 --timeout 10s",
        );
        let counts = run.counts();
        assert_eq!((counts.scheduled, counts.answered), (8_000, 8_000), "{counts:?}");
        assert_eq!(
            (counts.bad_replies, counts.unknown, counts.refused, counts.unsent),
            (0, 0, 0, 0)
        );
        assert_eq!(server.faults().executed.load(Relaxed), 8_000);
        assert_eq!(
            (server.faults().opened.load(Relaxed), server.faults().closed.load(Relaxed)),
            (6, 6)
        );
        let total = run.report().total;
        assert_eq!((total.offered_rps, total.achieved_rps), (4_000.0, 4_000.0));
        let (scheduled, sent) = (total.p50_us.unwrap(), total.from_send_p50_us.unwrap());
        assert!(0.0 < sent && sent <= scheduled, "{sent} from the send, {scheduled} in all");
        assert_eq!(run.history.len(), 8_000);
        let clients: BTreeSet<u64> = run.history.iter().map(|o| o.client).collect();
        assert_eq!(clients, (0..6).collect());
        assert_sound(&run.history);
        replay(&run.history);
    }
}

#[test]
fn requests_are_the_same_in_every_run_with_a_seed() {
    let requests = || {
        let server = kv_server(Mode::Raft);
        let run = run_on(&server, "--rate 2000 --duration 500ms --sessions 1");
        let mut history = run.history;
        history.sort_by_key(|operation| operation.number);
        history.into_iter().map(|operation| operation.request).collect::<Vec<_>>()
    };
    let first = requests();
    assert!(first.len() > 800);
    assert_eq!(first, requests());
}

#[test]
fn losses_and_refusals_are_counted_and_nothing_is_done_twice() {
    let server = kv_server(Mode::Hovercraft);
    server.faults().lose_request_every.store(20, Relaxed);
    server.faults().lose_answer_every.store(30, Relaxed);
    server.faults().refuse_every.store(25, Relaxed);
    server.faults().answer_twice.store(true, Relaxed);
    let run = run_on(&server, "--rate 3000 --duration 1s --timeout 10s --keys 20");
    let counts = run.counts();
    assert_eq!(counts.answered, counts.scheduled, "{counts:?}");
    assert!(counts.nacks > 50 && counts.retries > counts.nacks, "{counts:?}");
    assert_eq!(server.faults().executed.load(Relaxed), counts.answered);
    assert!(run.measures.packets.second_answers > 1_000, "{:?}", run.measures.packets);
    replay(&run.history);
}

#[test]
fn a_silence_is_a_gap_in_its_phase_and_latency_runs_from_the_schedule() {
    let server = kv_server(Mode::Hovercraft);
    let run = run_while(
        &server,
        "--rate 2000 --reads 0.2 --timeout 10s --phases before:500ms,silent:1s,after:500ms",
        || pause(&server, ms(700), ms(400)),
    );
    let report = run.report();
    let [before, silent, after] = report.phases.as_slice() else { panic!("three phases") };
    assert_eq!(silent.name, "silent");
    assert!(silent.longest_write_gap_ms.unwrap() >= 300.0, "{silent:?}");
    assert!(before.longest_write_gap_ms < silent.longest_write_gap_ms);
    assert!(after.longest_write_gap_ms < silent.longest_write_gap_ms);
    assert!(report.longest_write_gap_ms.unwrap() >= silent.longest_write_gap_ms.unwrap());
    // Two fifths of the phase's requests waited for the end of the silence.
    assert!(silent.p99_us.unwrap() > 200_000.0 && silent.retries > 100, "{silent:?}");
    let counts = run.counts();
    assert_eq!(counts.answered, counts.scheduled, "the open loop went on: {counts:?}");
    assert_sound(&run.history);
    replay(&run.history);
}

#[test]
fn s1_a_full_window_delays_requests_and_ends_what_waited_too_long() {
    let server = TestServer::start(Mode::Raft, Box::new(Kv::default()), 8);
    let run = run_while(
        &server,
        "--rate 2000 --duration 1s --sessions 1 --timeout 200ms --arrivals fixed",
        || pause(&server, ms(300), ms(500)),
    );
    let counts = run.counts();
    assert_eq!(counts.scheduled, 2_000);
    assert_eq!(counts.ended(), 2_000);
    // Eight were on their way when the server fell silent; what found no room was never sent.
    assert!(counts.unsent > 100 && (1..=100).contains(&counts.unknown), "{counts:?}");
    let total = run.report().total;
    assert!(total.p99_us.unwrap() > 100_000.0, "{total:?}");
    assert!(total.p99_us > total.from_send_p99_us, "{total:?}");
    let unknown = |o: &&Operation| o.outcome == OperationOutcome::Unknown;
    assert_eq!(run.history.iter().filter(unknown).count() as u64, counts.unknown);
    let sent = counts.scheduled - counts.unsent;
    assert_eq!(run.history.len() as u64, sent, "what was never sent is no operation");
}

/// How many operations were under way at the busiest moment.
fn most_open(history: &[Operation]) -> i64 {
    let began = history.iter().map(|o| (o.invoked_us, 1));
    // Moments are rounded outwards: who ended in the microsecond in which another began made room for it.
    let ended = history.iter().map(|o| (o.completed_us.unwrap() - 2, -1));
    let mut changes: Vec<(u64, i64)> = began.chain(ended).collect();
    changes.sort_unstable();
    let sums = changes.iter().scan(0, |open, (_, change)| {
        *open += change;
        Some(*open)
    });
    sums.max().unwrap()
}

#[test]
fn c1_a_closed_loop_keeps_its_number_open_and_stalls_with_the_service() {
    let server = kv_server(Mode::Hovercraft);
    let run = run_while(
        &server,
        "--open 16 --threads 2 --timeout 10s --phases before:500ms,silent:500ms,after:500ms",
        || pause(&server, ms(500), ms(400)),
    );
    let counts = run.counts();
    assert_eq!(counts.answered, counts.scheduled, "{counts:?}");
    assert!(counts.answered > 1_000, "{counts:?}");
    assert_eq!(most_open(&run.history), 16);
    // Sixteen requests know of the silence (a machine that stalls by itself may add some), of a thousand and more.
    let slow = |o: &&Operation| o.completed_us.unwrap() - o.invoked_us > 300_000;
    assert!((16..64).contains(&run.history.iter().filter(slow).count()));
    let report = run.report();
    assert!(report.total.p99_us.unwrap() < 300_000.0, "{report:?}");
    assert_eq!((report.open, report.total.late_p99_us), (Some(16), None));
    assert!(report.notes[0].starts_with("closed loop: 16 requests kept open"));
    replay(&run.history);
}

#[test]
fn e1_a_run_that_is_asked_to_stop_hands_in_what_it_did() {
    let server = kv_server(Mode::Hovercraft);
    for pace in ["--rate 2000", "--open 8"] {
        let arguments = format!("{pace} --threads 2 --timeout 10s --phases a:300ms,b:20s,c:20s");
        let (stop, begun) = (Stop::new(), Instant::now());
        let run = run_until(&server, &arguments, &stop, || {
            pause(&server, ms(600), ms(1));
            stop.ask(15);
        });
        assert!(begun.elapsed() < Duration::from_secs(20), "it went on");
        let (counts, report) = (run.counts(), run.report());
        assert_eq!((counts.answered, counts.ended()), (counts.scheduled, counts.scheduled));
        assert_eq!(run.history.len() as u64, counts.scheduled);
        let seconds = report.interrupted_at_seconds.unwrap();
        assert!((0.5..15.0).contains(&seconds), "{seconds}");
        assert_eq!(
            report.phases.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert!(report.total.offered_rps > 1_000.0, "{report:?}");
        assert!(report.notes.last().unwrap().starts_with("interrupted after "));
    }
}

#[test]
fn a_dead_service_leaves_unknown_outcomes_and_a_gap_to_the_end() {
    let server = kv_server(Mode::Hovercraft);
    let run = run_while(&server, "--rate 1000 --duration 1s --timeout 300ms --reads 0", || {
        pause(&server, ms(400), ms(1_500));
    });
    let counts = run.counts();
    assert!(counts.unknown > 300, "{counts:?}");
    let report = run.report();
    assert!(report.longest_write_gap_ms.unwrap() > 300.0);
    assert!(run.history.iter().all(|o| match o.outcome {
        OperationOutcome::Answered => o.completed_us.is_some() && o.index > 0,
        OperationOutcome::Unknown => o.completed_us.is_none() && o.index == 0,
        OperationOutcome::Refused => false,
    }));
}

#[test]
fn a_forgotten_session_is_refused_once_and_opened_anew() {
    let server = kv_server(Mode::Hovercraft);
    let run = run_while(&server, "--rate 1000 --duration 1s --sessions 2 --timeout 5s", || {
        pause(&server, ms(300), ms(1));
        server.faults().forget_sessions.store(true, Relaxed);
    });
    let counts = run.counts();
    assert!((1..=2).contains(&counts.refused), "{counts:?}");
    assert!(counts.answered > 600, "{counts:?}");
    assert_eq!(server.faults().opened.load(Relaxed), 4);
    assert_sound(&run.history);
}

#[test]
fn synthetic_requests_of_all_sizes_are_answered_in_full() {
    let server = synthetic_server(Mode::Raft);
    let run =
        run_on(&server, "--rate 1000 --duration 500ms --workload stssr_0_exp:500_uni:0:5000_0.5");
    let counts = run.counts();
    assert_eq!((counts.answered, counts.bad_replies), (counts.scheduled, 0), "{counts:?}");
    assert!(counts.writes > counts.answered / 3 && counts.writes < counts.answered * 2 / 3);
}

#[test]
fn without_sessions_the_address_tells_operations_apart() {
    for (mode, arguments) in [(Mode::Unreplicated, ""), (Mode::Raft, "--plain")] {
        let server = kv_server(mode);
        let run = run_on(&server, &format!("--rate 2000 --duration 500ms {arguments}"));
        let counts = run.counts();
        assert_eq!(counts.answered, counts.scheduled, "{mode:?}: {counts:?}");
        assert!(run.history.iter().all(|o| o.session == 0 && o.address.is_some()));
        assert_eq!(server.faults().opened.load(Relaxed), 0);
    }
}

#[test]
fn a_service_of_another_kind_is_noticed() {
    let server = synthetic_server(Mode::Raft);
    let run = run_on(&server, "--rate 500 --duration 200ms --workload kv --reads 0");
    assert_eq!(run.counts().bad_replies, run.counts().answered);
    assert!(run.report().warnings.iter().any(|w| w.contains("are not what was asked for")));
}
