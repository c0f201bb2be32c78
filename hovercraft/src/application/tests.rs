use r2p2::buffer::Body;
use r2p2::service::{Outcome, RestoreError, Snapshot, SnapshotBytes};

use super::*;

/// Panics when told to.
#[derive(Debug)]
struct Frail;

impl Service for Frail {
    fn execute(&mut self, _: &Context, request: &[u8], reply: &mut Reply<'_>) -> Outcome {
        assert!(request != b"panic", "asked to");
        reply.write(request);
        Outcome::Done
    }

    fn query(
        &self,
        _: &Context,
        request: &[u8],
        reply: &mut Reply<'_>,
    ) -> Result<Outcome, ChangesState> {
        assert!(request != b"panic", "asked to");
        reply.write(request);
        Ok(Outcome::Done)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(SnapshotBytes::new(Vec::new()))
    }

    fn restore(&mut self, _: &mut dyn Snapshot) -> Result<(), RestoreError> {
        Ok(())
    }
}

fn application() -> Application<Frail> {
    let settings = ApplicationSettings {
        answer_ttl: Duration::from_millis(400),
        long_answer_bytes: 1 << 20,
        reply_max: 1 << 10,
        seed: 1,
    };
    Application::new(Frail, settings)
}

fn entry(index: u64, read: bool, request: &[u8]) -> Command {
    let to = AnswerTo { session: 1, number: index, ..AnswerTo::default() };
    Command::Execute(Execute {
        index: LogIndex::from_wire(index),
        replicated: true,
        stamp_us: 0,
        read,
        body: Body::copy_from(request),
        keep: None,
        reply_keep_max: 1 << 10,
        reply_max: 1 << 10,
        answer: Some(to),
    })
}

/// HC3c: some hundred packets in bursts of 32 every 200 us; time is up after the second.
#[test]
fn hc3c_a_long_plain_answer_stops_leaving_when_it_is_too_late() {
    for (by_log_time, plain) in [(false, true), (true, true), (false, false)] {
        let ms = Duration::from_millis;
        let mut application = application();
        let body = vec![1; 100 * 1_400];
        let to = AnswerTo { plain, session: u64::from(!plain), number: 5, ..AnswerTo::default() };
        let Command::Execute(execute) = entry(1, false, &body) else { unreachable!() };
        let execute = Execute { reply_max: 1 << 20, answer: Some(to), ..execute };
        let (mut sent, us) = (0, Duration::from_micros);
        let mut transmit = |_: SocketAddr, _: &[u8], _: &[u8]| sent += 1;
        let start = if by_log_time { ms(1) } else { us(399_700) };
        application.handle(start, 0, Command::Execute(execute), &mut transmit);
        application.tick(start + us(200), 0, &mut transmit);
        // The leader's word comes, and no command.
        let heard_us = if by_log_time { 400_001 } else { 0 };
        application.tick(start + us(400), heard_us, &mut transmit);
        application.tick(start + us(600), heard_us, &mut transmit);
        let late = application.counters.too_late;
        assert_eq!((sent, late), if plain { (64, 1) } else { (98, 0) }, "{by_log_time}");
    }
}

/// How many packets left.
fn answers(application: &mut Application<Frail>, command: Command) -> usize {
    let mut sent = 0;
    application.handle(Duration::ZERO, 0, command, &mut |_, _, _| sent += 1);
    sent
}

#[test]
fn hc13_a_read_that_panics_ends_its_own_answer_and_nothing_else() {
    let mut application = application();
    assert_eq!(answers(&mut application, entry(1, true, b"panic")), 1, "it failed");
    let to = AnswerTo { session: 1, number: 9, ..AnswerTo::default() };
    let query = Command::Query { body: Body::copy_from(b"panic"), to, refuse: true };
    assert_eq!(answers(&mut application, query), 1);
    assert_eq!((application.counters.panics, application.is_stopped()), (2, false));
    assert_eq!(answers(&mut application, entry(2, false, b"write")), 1);
    assert_eq!(application.applied(), LogIndex::from_wire(2));
}

#[test]
fn hc7d_a_service_that_ended_answers_no_entry() {
    let mut application = application();
    assert_eq!(
        answers(&mut application, entry(1, false, b"panic")),
        1,
        "the entry is answered failed"
    );
    assert!(application.is_stopped());
    assert_eq!(answers(&mut application, entry(2, false, b"write")), 0, "it was not applied here");
    let completion = application.take_completion();
    assert_eq!((completion.commands, completion.applied), (2, LogIndex::from_wire(1)));
}

#[test]
fn hc7d_who_asked_again_meanwhile_is_answered_from_the_entry_before() {
    let mut application = application();
    let to = AnswerTo { session: 1, number: 7, ..AnswerTo::default() };
    assert_eq!(answers(&mut application, Command::Also(to)), 0, "nothing was done yet");
    for read in [false, true] {
        let Command::Execute(execute) = entry(1, read, b"bytes") else { unreachable!() };
        let unanswered = Command::Execute(Execute { answer: None, ..execute });
        assert_eq!(answers(&mut application, unanswered), 0);
        let mut bytes = Vec::new();
        application.handle(Duration::ZERO, 0, Command::Also(to), &mut |_, _, payload| {
            bytes.extend_from_slice(payload);
        });
        assert_eq!(bytes, b"bytes");
    }
    let refused = Told::Refused(Reason::UnknownSession);
    let tell = Tell { index: LogIndex::from_wire(2), stamp_us: 0, what: refused, answer: None };
    assert_eq!(answers(&mut application, Command::Tell(tell)), 0);
    assert_eq!(answers(&mut application, Command::Also(to)), 1);
    assert_eq!(application.refusals.iter().map(|(_, count)| count).sum::<u64>(), 1);
    assert_eq!(answers(&mut application, entry(3, false, b"panic")), 1);
    assert_eq!(answers(&mut application, Command::Also(to)), 1, "it failed, for all who asked");
    assert_eq!(answers(&mut application, entry(4, false, b"write")), 0, "A3");
    assert_eq!(answers(&mut application, Command::Also(to)), 0, "A3");
}
