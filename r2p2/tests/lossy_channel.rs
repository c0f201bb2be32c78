//! A client and a server over a channel that loses, doubles and reorders packets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use r2p2::client::{Client, ClientConfig, Event, Mode};
use r2p2::header::Policy;
use r2p2::server::ServerConfig;
use support::{Weather, World, server_address};

const MIB: usize = 1 << 20;

fn world(mode: Mode, weather: Weather, seed: u64) -> World {
    let config = ClientConfig::new(mode, vec![server_address()]);
    let client = Client::new(config, seed, Duration::ZERO).unwrap();
    World::new(client, ServerConfig::default(), weather, seed)
}

fn pattern(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251 + salt).to_le_bytes()[0]).collect()
}

fn answers(world: &World) -> BTreeMap<u64, Vec<u8>> {
    let mut answers = BTreeMap::new();
    for (_, event) in &world.events {
        match event {
            Event::Answered { tag, body, .. } => {
                assert!(answers.insert(*tag, body.to_vec()).is_none(), "two answers to {tag}");
            }
            Event::SessionOpened { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    answers
}

/// wire.md 6: "so a megabyte arrives over a network that loses 2 %", and without repeating the request as a whole.
#[test]
fn a_mebibyte_and_64_kib_arrive_at_2_percent_loss() {
    let weather = Weather { loss: 20, duplication: 10, late_us: 100 };
    for mode in [Mode::Session, Mode::Sessionless] {
        for seed in 0..20 {
            let mut world = world(mode, weather, seed);
            world.serve = |body| Ok(pattern(MIB, body.len()));
            let request = pattern(65_536, 1);
            world.client.submit(Duration::ZERO, Policy::Replicated, &request, 7).unwrap();
            let done = world.run(Duration::from_secs(5), |world| world.client.open() == 0);
            assert!(done, "{mode:?} seed {seed}");
            assert_eq!(answers(&world).remove(&7), Some(pattern(MIB, 65_536)), "seed {seed}");
            assert!(world.executed.values().all(|&times| times == 1));
            // 46 + 733 packets, some of them again: not twice as many.
            assert!(world.packets < 1_200, "{} packets, seed {seed}", world.packets);
        }
    }
}

#[test]
fn the_server_reads_what_the_client_wrote_whatever_the_length() {
    for mode in [Mode::Session, Mode::Sessionless, Mode::Plain] {
        let mut world = world(mode, Weather::default(), 3);
        let lengths = [0, 1, 14, 1_431, 1_432, 1_433, 1_440, 1_441, 1_464, 1_465, 4_000, 60_000];
        for (tag, len) in (0..).zip(lengths) {
            world.client.submit(world.now, Policy::Replicated, &pattern(len, 2), tag).unwrap();
        }
        assert!(world.run(Duration::from_secs(1), |world| world.client.open() == 0), "{mode:?}");
        let answers = answers(&world);
        for (tag, len) in (0..).zip(lengths) {
            assert_eq!(answers[&tag], pattern(len, 2), "{mode:?}, {len} bytes");
        }
        assert_eq!(world.client.counters().repeated, 0);
    }
}

/// Thousands open at once, in bad weather: each executed once and answered once.
#[test]
fn thousands_of_open_requests_end_once_each() {
    let weather = Weather { loss: 100, duplication: 100, late_us: 20_000 };
    for seed in 0..3 {
        let config = ClientConfig {
            open_max: 4_000,
            ..ClientConfig::new(Mode::Session, vec![server_address()])
        };
        let client = Client::new(config, seed, Duration::ZERO).unwrap();
        let mut world = World::new(client, ServerConfig::default(), weather, seed);
        for tag in 0..4_000u64 {
            let body = tag.to_be_bytes();
            world.client.submit(world.now, Policy::Replicated, &body, tag).unwrap();
        }
        assert!(world.run(Duration::from_secs(9), |world| world.client.open() == 0));
        let answers = answers(&world);
        assert_eq!(answers.len(), 4_000);
        assert!(answers.iter().all(|(tag, body)| body[..] == tag.to_be_bytes()));
        assert!(world.executed.len() == 4_000 && world.executed.values().all(|&times| times == 1));
        assert!(world.client.counters().repeated > 0);
    }
}

/// A plain client, too, where packets keep their order (a plain message begins with its first packet, HC6d): hardly
/// anything is lost for good, and mixing would show.
#[test]
fn plain_requests_of_all_lengths_in_bad_weather() {
    let weather = Weather { loss: 50, duplication: 50, late_us: 0 };
    for seed in 0..20 {
        let mut world = world(Mode::Plain, weather, seed);
        for tag in 0..200u64 {
            let len = usize::try_from(world.below(6_000)).unwrap();
            let body = pattern(len, usize::try_from(tag).unwrap());
            world.client.submit(world.now, Policy::Replicated, &body, tag).unwrap();
        }
        world.run(Duration::from_secs(12), |world| world.client.open() == 0);
        let mut answered = 0;
        for (_, event) in &world.events {
            match event {
                Event::Answered { tag, body, .. } => {
                    answered += 1;
                    let salt = usize::try_from(*tag).unwrap();
                    assert_eq!(**body, pattern(body.len(), salt)[..], "mixed, seed {seed}");
                }
                Event::Unknown { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(answered > 190, "{answered} answered, seed {seed}");
    }
}
