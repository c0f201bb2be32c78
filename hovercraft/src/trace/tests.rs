use core::time::Duration;
use std::thread;

use super::*;

fn id(number: u64) -> RequestId {
    let ip = 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10_u128.to_be_bytes();
    let client = ClientAddress { ip, port: 0xabcd };
    RequestId { session: 0, number, client }
}

fn index(index: u64) -> LogIndex {
    LogIndex::from_wire(index)
}

#[test]
fn the_last_events_are_read_as_they_were_written_oldest_first() {
    let node = NodeId::new(3).unwrap();
    let mut trace = Trace::new(3, node, 1);
    let reader = trace.reader().unwrap();
    assert_eq!(reader.read(), []);
    for number in 1..=6_u8 {
        trace.at(Duration::new(2, 500 + u32::from(number)));
        let phase = Phase::ALL[usize::from(number)];
        let replier = NodeId::new(number).unwrap();
        trace.record_more(phase, index(10 * u64::from(number)), &id(7), replier, 40_000);
    }
    let events = reader.read();
    assert_eq!(events.len(), 4, "a power of two");
    for (event, number) in events.iter().zip(3_u8..) {
        let expected = TraceEvent {
            sequence: number.into(),
            at_ns: 2_000_000_500 + u64::from(number),
            index: 10 * u64::from(number),
            id: id(7),
            phase: Phase::ALL[usize::from(number)],
            node: 3,
            thread: 1,
            replier: number,
            detail: 40_000,
        };
        assert_eq!(*event, expected);
    }
}

#[test]
fn phases_are_numbered_as_they_are_listed() {
    for (at, phase) in Phase::ALL.into_iter().enumerate() {
        assert_eq!(phase as usize, at);
    }
}

#[test]
fn a_trace_that_is_off_keeps_nothing_and_a_copy_is_off() {
    let mut trace = Trace::new(0, NodeId::default(), 0);
    trace.record(Phase::Complete, index(1), &id(1));
    assert!(trace.reader().is_none());
    let mut trace = Trace::new(4, NodeId::default(), 0);
    trace.clone().record(Phase::Complete, index(1), &id(1));
    assert_eq!(trace.reader().unwrap().read(), []);
    trace.record(Phase::Complete, index(1), &id(1));
    assert_eq!(trace.reader().unwrap().read().len(), 1);
}

/// T1: while one thread writes without a pause, every event that another reads is whole.
#[test]
fn no_event_is_half_read() {
    let mut trace = Trace::new(8, NodeId::default(), 0);
    let reader = trace.reader().unwrap();
    let writer = thread::spawn(move || {
        for number in 1..=2_000_000_u64 {
            trace.at(Duration::from_nanos(number));
            trace.record(Phase::Complete, index(number), &id(number));
        }
    });
    let mut seen = 0;
    while !writer.is_finished() {
        for event in reader.read() {
            let TraceEvent { sequence, at_ns, index, id: found, .. } = event;
            assert_eq!((at_ns, index, found), (sequence, sequence, id(sequence)));
            seen += 1;
        }
    }
    writer.join().unwrap();
    assert!(seen > 0, "nothing was read meanwhile");
}
