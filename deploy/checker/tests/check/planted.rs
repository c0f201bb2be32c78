//! Each kind of violation, planted in a run that does nothing wrong, is found and named; missing evidence is never "true".

use history_checker::audit::{AuditKind, AuditRecord, Decision};
use history_checker::history::{Operation, OperationKind, OperationOutcome};
use history_checker::state::NodeState;
use history_checker::{Options, Truth, Verdict, ViolationKind};
use kv::{Request, Response};

use crate::run::{Run, Shape, address, answered_write, run};

fn good() -> Run {
    let run = run(Shape::default());
    assert_eq!(run.check(&Options::kv()).linearizable, Truth::True);
    run
}

#[track_caller]
fn disproven(run: &Run, kind: ViolationKind) -> Verdict {
    let verdict = run.check(&Options::kv());
    assert_eq!(verdict.linearizable, Truth::False, "{verdict:#?}");
    assert!(verdict.violations_found.contains_key(&kind), "{verdict:#?}");
    assert!(verdict.violations.iter().any(|violation| violation.kind == kind));
    verdict
}

#[track_caller]
fn undecided(run: &Run, reason: &str) -> Verdict {
    let verdict = run.check(&Options::kv());
    assert_eq!(verdict.linearizable, Truth::Undecided, "{verdict:#?}");
    assert_eq!(verdict.violations_found.len(), 0, "{verdict:#?}");
    let told = verdict.undecided_because.iter().any(|because| because.contains(reason));
    assert!(told, "{:?}", verdict.undecided_because);
    verdict
}

fn operation(kind: OperationKind, session: u64, times: (u64, u64), index: u64) -> Operation {
    Operation {
        client: session,
        session,
        number: index,
        address: None,
        kind,
        invoked_us: times.0,
        completed_us: Some(times.1),
        outcome: OperationOutcome::Answered,
        index,
        request: Vec::new(),
        reply: Vec::new(),
    }
}

fn put(value: &[u8], times: (u64, u64), index: u64) -> Operation {
    let mut put = operation(OperationKind::Write, 1, times, index);
    Request::Put { key: b"k", value }.encode(&mut put.request).unwrap();
    Response::Done.encode(&mut put.reply);
    put
}

fn get(value: &[u8], times: (u64, u64), index: u64) -> Operation {
    let mut get = operation(OperationKind::Read, 2, times, index);
    Request::Get { key: b"k" }.encode(&mut get.request).unwrap();
    Response::Value(value).encode(&mut get.reply);
    get
}

/// These operations, as one node's audit would have them; index 1 is the leader's no-op.
fn audited(history: Vec<Operation>) -> Run {
    let last = history.iter().map(|operation| operation.index).max().unwrap();
    let records = (1..=last).map(|index| {
        let internal = AuditRecord::internal(index, index);
        let Some(operation) = history.iter().find(|operation| operation.index == index) else {
            return internal;
        };
        AuditRecord {
            session: operation.session,
            number: operation.number,
            client: operation.address.unwrap_or(internal.client),
            kind: match operation.kind {
                OperationKind::Write => AuditKind::Write,
                OperationKind::Read => AuditKind::Read,
            },
            hash: index,
            ..internal
        }
    });
    Run { audits: vec![records.collect()], history, states: Vec::new() }
}

#[test]
fn a_good_run_tells_what_it_compared() {
    let run = good();
    let verdict = run.check(&Options::kv());
    assert_eq!(verdict.operations, 300);
    assert_eq!(verdict.answered + verdict.refused + verdict.unknown, 300);
    assert!(verdict.unknown_executed > 0 && verdict.unknown_not_executed > 0, "{verdict:#?}");
    assert_eq!((verdict.undecided, verdict.acknowledged_lost, verdict.executed_twice), (0, 0, 0));
    assert_eq!(verdict.replies_compared, verdict.answered);
    assert_eq!(verdict.exact, Some(Truth::True));
    assert!(verdict.undecided_because.is_empty());
}

#[test]
fn an_acknowledged_write_that_no_audit_has_is_lost() {
    let mut run = good();
    let at = run.places(answered_write)[20];
    let index = run.history[at].index;
    run.change(index, |record| *record = AuditRecord::internal(index, index * 10));
    let verdict = disproven(&run, ViolationKind::AcknowledgedLost);
    assert_eq!(verdict.acknowledged_lost, 1);
    let violations = verdict.violations.iter();
    let mut lost = violations.filter(|found| found.kind == ViolationKind::AcknowledgedLost);
    let evidence = &lost.next().unwrap().operations[0];
    assert_eq!(evidence.number, run.history[at].number);
    assert_eq!((evidence.session, evidence.index), (run.history[at].session, index));
}

#[test]
fn an_acknowledged_write_that_no_node_has_applied_is_lost() {
    let mut run = good();
    run.states.retain(|state| state.node == 3);
    let applied = run.states[0].applied;
    let beyond = run.places(|operation| answered_write(operation) && operation.index > applied);
    let verdict = disproven(&run, ViolationKind::AcknowledgedLost);
    assert_eq!(verdict.acknowledged_lost, u64::try_from(beyond.len()).unwrap());
}

#[test]
fn hc7_a_write_executed_twice_is_found() {
    let mut run = good();
    let repetition = |record: &&AuditRecord| record.decision == Decision::Repetition;
    let index = run.audits[0].iter().find(repetition).unwrap().index;
    run.change(index, |record| record.decision = Decision::Executed);
    assert_eq!(disproven(&run, ViolationKind::ExecutedTwice).executed_twice, 1);
}

#[test]
fn hc7_a_repetition_of_nothing_is_found() {
    let mut run = good();
    let (record, rest) = run.audits[0].split_last().unwrap();
    let executed: Vec<_> = rest.iter().map(|record| (record.session, record.number)).collect();
    assert!(!executed.contains(&(7, 7)));
    let index = record.index + 1;
    for audit in &mut run.audits {
        let kind = AuditKind::Write;
        let record = AuditRecord { session: 7, number: 7, kind, ..*audit.last().unwrap() };
        audit.push(AuditRecord { index, decision: Decision::Repetition, ..record });
    }
    disproven(&run, ViolationKind::RepetitionOfNothing);
}

#[test]
fn without_audits_two_answers_for_one_write_are_found() {
    let mut again = put(b"1", (30, 40), 3);
    again.number = 2;
    let mut run = audited(vec![put(b"1", (10, 20), 2), again]);
    run.audits.clear();
    assert_eq!(disproven(&run, ViolationKind::ExecutedTwice).executed_twice, 1);
}

#[test]
fn a_refused_write_that_was_executed_is_found() {
    let mut run = good();
    let at = run.places(answered_write)[20];
    run.history[at].outcome = OperationOutcome::Refused;
    run.history[at].index = 0;
    disproven(&run, ViolationKind::RefusedExecuted);
}

#[test]
fn a_stale_read_is_found_by_both_checks() {
    let history = vec![put(b"1", (10, 20), 2), put(b"2", (30, 40), 4), get(b"1", (50, 60), 3)];
    let verdict = disproven(&audited(history), ViolationKind::RealTime);
    assert!(verdict.violations_found.contains_key(&ViolationKind::NotLinearizable));
    // Placed where time allows it, its reply is wrong.
    let history = vec![put(b"1", (10, 20), 2), put(b"2", (30, 40), 4), get(b"1", (50, 60), 5)];
    let verdict = disproven(&audited(history), ViolationKind::WrongReply);
    assert!(verdict.violations_found.contains_key(&ViolationKind::NotLinearizable));
    // Begun in time, it is not stale.
    let history = vec![put(b"1", (10, 20), 2), put(b"2", (30, 40), 4), get(b"1", (35, 60), 3)];
    let verdict = audited(history).check(&Options::kv());
    assert_eq!((verdict.linearizable, verdict.black_box), (Truth::True, Some(Truth::True)));
}

#[test]
fn an_order_against_real_time_is_found_and_is_no_error_of_the_service() {
    let mut other = put(b"2", (30, 40), 2);
    Request::Put { key: b"other", value: b"" }.encode(&mut other.request).unwrap();
    let verdict = disproven(&audited(vec![put(b"1", (10, 20), 3), other]), ViolationKind::RealTime);
    assert_eq!(verdict.black_box, Some(Truth::True), "a wrong index, not a wrong service");
}

#[test]
fn answers_that_name_a_wrong_index_are_found() {
    let mut run = good();
    let writes = run.places(answered_write);
    let (one, other) = (writes[10], writes[11]);
    run.history[one].index = run.history[other].index;
    let verdict = disproven(&run, ViolationKind::WrongIndex);
    assert!(verdict.violations_found.contains_key(&ViolationKind::SameIndex));
    assert_eq!(verdict.acknowledged_lost, 0, "it is executed, though elsewhere");
}

#[test]
fn hc7a_nodes_that_decide_differently_are_found() {
    for change in [
        (|record| record.decision = Decision::Dropped) as fn(&mut AuditRecord),
        |record| record.log_time_us += 1,
        |record| record.number += 1,
        |record| record.session += 1,
        |record| record.client.set_port(1),
        |record| record.kind = AuditKind::Read,
        |record| record.hash ^= 1,
    ] {
        let mut run = good();
        let index = run.history[run.places(answered_write)[20]].index;
        let places = 0..run.audits[2].len();
        let at = places.into_iter().find(|at| run.audits[2][*at].index == index).unwrap();
        change(&mut run.audits[2][at]);
        let verdict = disproven(&run, ViolationKind::AuditsDiverge);
        assert_eq!(verdict.violations_found[&ViolationKind::AuditsDiverge], 1);
    }
}

#[test]
fn hc7e_log_time_that_goes_back_is_found() {
    let mut run = good();
    run.change(50, |record| record.log_time_us = 1);
    disproven(&run, ViolationKind::LogTimeBack);
}

#[test]
fn hc6b_one_hash_for_two_bodies_is_found() {
    let mut run = good();
    run.change(run.history[run.places(answered_write)[20]].index, |record| record.hash = 1);
    assert_eq!(run.check(&Options::kv()).linearizable, Truth::True);
    let other = run.history.iter().rposition(answered_write).unwrap();
    run.history[other].request = vec![0xff];
    run.change(run.history[other].index, |record| record.hash = 1);
    disproven(&run, ViolationKind::HashOfTwoBodies);
}

#[test]
fn states_and_scans_that_the_replay_does_not_give_are_found() {
    let mut run = good();
    run.states[0].state_hash ^= 1;
    let verdict = disproven(&run, ViolationKind::WrongState);
    assert!(!verdict.violations_found.contains_key(&ViolationKind::StatesDiverge));
    run.states[1].state_hash ^= 1;
    disproven(&run, ViolationKind::StatesDiverge);
    let mut run = good();
    run.states[2].scan.as_mut().unwrap().reply.pop();
    disproven(&run, ViolationKind::WrongScan);
}

#[test]
fn nodes_whose_states_differ_are_found_without_audits() {
    let mut run = good();
    run.audits.clear();
    run.states.retain(|state| state.node < 3);
    run.states[0].state_hash ^= 1;
    disproven(&run, ViolationKind::StatesDiverge);
}

#[test]
fn without_audits_nothing_is_proven() {
    let mut run = good();
    run.audits.clear();
    let verdict = undecided(&run, "no audit has index 1");
    assert!(verdict.undecided > 0);
    run.history.retain(|operation| operation.outcome == OperationOutcome::Answered);
    run.states.clear();
    let verdict = run.check(&Options::kv());
    assert_ne!(verdict.linearizable, Truth::True);
}

#[test]
fn a_hole_in_all_audits_is_undecided_and_one_node_fills_it() {
    let mut run = good();
    run.states.clear();
    for audit in &mut run.audits {
        audit.retain(|record| record.index != 100);
    }
    undecided(&run, "no audit has index 100");
    let whole = good().audits[0].clone();
    run.audits[0] = whole[..150].to_vec();
    run.audits[1] = whole[120..].to_vec();
    assert_eq!(run.check(&Options::kv()).linearizable, Truth::True);
}

#[test]
fn a_state_beyond_the_audits_is_undecided() {
    let mut run = good();
    let last = run.states.iter().map(|state| state.applied).max().unwrap();
    run.states.push(NodeState { node: 4, applied: last + 1, state_hash: 0, scan: None });
    let verdict = run.check(&Options::kv());
    assert_ne!(verdict.linearizable, Truth::True);
}

#[test]
fn writes_of_somebody_else_are_undecided_unless_allowed() {
    let mut run = good();
    let record = *run.audits[0].last().unwrap();
    for audit in &mut run.audits {
        let (kind, decision) = (AuditKind::Write, Decision::Executed);
        let index = record.index + 1;
        audit.push(AuditRecord { index, session: 7, number: 7, kind, decision, ..record });
    }
    let verdict = undecided(&run, "sent by nobody in the history");
    assert_eq!((verdict.foreign, verdict.black_box), (1, None));
    let options = Options { allowed_sessions: vec![7], ..Options::kv() };
    assert_eq!(run.check(&options).linearizable, Truth::True);
    // Reads change nothing, whoever sent them.
    run.change(record.index + 1, |record| record.kind = AuditKind::Read);
    assert_eq!(run.check(&Options::kv()).linearizable, Truth::True);
}

#[test]
fn an_operation_left_out_of_the_history_is_foreign() {
    let mut run = good();
    let at = run.places(answered_write)[5];
    run.history.remove(at);
    undecided(&run, "sent by nobody in the history");
}

#[test]
fn nothing_compared_is_undecided() {
    let mut run = audited(vec![put(b"1", (10, 20), 2)]);
    run.history.clear();
    run.audits[0].truncate(1);
    undecided(&run, "no reply could be compared");
}

#[test]
fn plain_clients_are_placed_by_address_and_number() {
    let history = (2..6_u64).map(|index| {
        let mut put = put(&index.to_be_bytes(), (index * 10, index * 10 + 5), index);
        (put.session, put.number) = (0, 9);
        put.address = Some(address(index));
        put
    });
    let mut run = audited(history.collect());
    for operation in &mut run.history {
        operation.index = 0;
    }
    run.history[1].outcome = OperationOutcome::Unknown;
    let verdict = run.check(&Options::kv());
    assert_eq!(verdict.linearizable, Truth::True, "{verdict:#?}");
    assert_eq!(verdict.unknown_executed, 1);
    run.change(4, |record| *record = AuditRecord::internal(4, 4));
    assert_eq!(disproven(&run, ViolationKind::AcknowledgedLost).acknowledged_lost, 1);
}

/// A plain client's read, answered after its second entry was made, with what stood at the first or at the second.
#[test]
fn hc5_a_repeated_read_without_an_index_stands_at_any_of_its_places() {
    let run = |reply: &[u8], invoked_us| {
        let mut read = get(reply, (invoked_us, 70), 3);
        (read.session, read.address) = (0, Some(address(1)));
        let history =
            vec![put(b"1", (10, 20), 2), read, put(b"2", (30, 40), 4), put(b"3", (80, 90), 6)];
        let mut run = audited(history);
        run.history[1].index = 0;
        let first = run.audits[0][2];
        run.audits[0][4] = AuditRecord { index: 5, log_time_us: 5, ..first };
        run
    };
    for reply in [b"1", b"2"] {
        let verdict = run(reply, 25).check(&Options::kv());
        assert_eq!(verdict.linearizable, Truth::True, "{verdict:#?}");
        assert_eq!(verdict.replies_compared, 4);
    }
    disproven(&run(b"3", 25), ViolationKind::WrongReply);
    // Begun after the second write was answered, it must not see the first any more.
    disproven(&run(b"1", 50), ViolationKind::WrongReply);
    assert_eq!(run(b"2", 50).check(&Options::kv()).linearizable, Truth::True);
    let mut nowhere = run(b"1", 25);
    nowhere.change(3, |record| *record = AuditRecord::internal(3, 3));
    nowhere.change(5, |record| *record = AuditRecord::internal(5, 5));
    disproven(&nowhere, ViolationKind::WrongIndex);
    nowhere.audits[0].retain(|record| record.index != 3);
    nowhere.history.retain(|operation| operation.index > 0 || operation.session == 0);
    undecided(&nowhere, "no audit has index 3");
}

#[test]
fn one_id_for_two_bodies_without_outcomes_is_undecided() {
    let history = (2..5_u64).map(|index| {
        let mut put = put(&index.to_be_bytes(), (index * 10, index * 10 + 5), index);
        (put.session, put.number) = (0, 9);
        put.address = Some(address(1));
        put
    });
    let mut run = audited(history.collect());
    assert_eq!(run.check(&Options::kv()).linearizable, Truth::True);
    for operation in &mut run.history[1..] {
        operation.outcome = OperationOutcome::Unknown;
        (operation.index, operation.completed_us) = (0, None);
    }
    undecided(&run, "one of several operations");
}

#[test]
fn without_a_log_the_black_box_decides() {
    let options = Options { log: false, ..Options::kv() };
    let zero = |mut history: Vec<Operation>| {
        for operation in &mut history {
            operation.index = 0;
        }
        Run { history, audits: Vec::new(), states: Vec::new() }
    };
    let fine = zero(vec![put(b"1", (10, 20), 2), get(b"1", (50, 60), 3)]);
    let verdict = fine.check(&options);
    assert_eq!((verdict.linearizable, verdict.exact), (Truth::True, None));
    let stale = zero(vec![put(b"1", (1, 2), 2), put(b"2", (3, 4), 3), get(b"1", (5, 6), 4)]);
    assert_eq!(stale.check(&options).linearizable, Truth::False);
    let verdict = Run { history: run(Shape::default()).history, ..fine }.check(&options);
    // Nothing disproves the scans, key by key, and nothing proves them.
    assert_eq!((verdict.linearizable, verdict.black_box), (Truth::Undecided, Some(Truth::True)));
    let told = verdict.to_string();
    assert!(told.contains("undecided because 1") && told.contains("key by key only"), "{told}");
}

#[test]
fn the_black_box_decides_on_scans_per_key() {
    let mut run = good();
    let verdict = run.check(&Options::kv());
    assert_eq!(verdict.black_box, Some(Truth::True));
    let told = format!("as a black box true, per key: {} scans", verdict.black_box_scans);
    assert!(verdict.black_box_scans > 5 && verdict.to_string().contains(&told), "{verdict}");
    // A scan that names a value which no key ever had.
    let pairs = |operation: &Operation| match Response::parse(&operation.reply) {
        Ok(Response::Pairs(pairs)) => pairs.len(),
        _ => 0,
    };
    let at = run.places(|operation| pairs(operation) > 0)[0];
    *run.history[at].reply.last_mut().unwrap() = b'?';
    let verdict = run.check(&Options::kv());
    assert_eq!((verdict.exact, verdict.black_box), (Some(Truth::False), Some(Truth::False)));
}
