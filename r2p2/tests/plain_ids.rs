//! A plain client's 16-bit ids: none is used again while it is alive, and not too many within a window (HC7c).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use r2p2::answer::AnswerForm;
use r2p2::client::{Client, ClientConfig, Event, Mode, SubmitError};
use r2p2::header::Policy;

#[test]
fn ids_go_round_and_pass_over_those_that_are_alive() {
    let server = SocketAddr::from(([10, 0, 0, 1], 8_000));
    let config = ClientConfig {
        tries_max: 1,
        give_up_after: Duration::from_secs(60),
        ..ClientConfig::new(Mode::Plain, vec![server])
    };
    let mut now = Duration::ZERO;
    let mut client = Client::new(config, 9, now).unwrap();
    let mut alive = BTreeSet::new();
    let mut given = 0u32;
    let mut waits = 0;
    while given < 200_000 {
        let id = match client.submit(now, Policy::Unrestricted, b"x", 0) {
            Ok(id) => id,
            Err(SubmitError::Full) => {
                waits += 1;
                now += Duration::from_millis(10);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        given += 1;
        while client.poll_transmit().is_some() {}
        assert!(alive.insert(id), "id {id} is alive");
        // One in a thousand is never answered.
        if !given.is_multiple_of(1_000) {
            let form = AnswerForm::Plain { request_id: u16::try_from(id).unwrap() };
            let head = form.response(0).fragment(0, 0).unwrap().head;
            client.receive(now, server, &head);
            assert!(
                matches!(client.poll_event(), Some(Event::Answered { number, .. }) if number == id)
            );
            alive.remove(&id);
        }
    }
    assert_eq!(alive.len(), 200);
    // 200,000 ids take six windows of a second and a part.
    assert!(waits > 0 && now >= Duration::from_secs(6), "{now:?}");
}
