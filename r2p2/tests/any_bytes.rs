//! Any bytes, from anyone: counted and dropped, never a panic, a loop or unbounded memory (HC13).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use r2p2::ack::Wanted;
use r2p2::buffer::Pool;
use r2p2::client::{Client, ClientConfig, Event, Mode};
use r2p2::extension::HEAD_MAX;
use r2p2::feedback::Feedback;
use r2p2::header::{MessageKind, Policy};
use r2p2::opening::OpeningReply;
use r2p2::packet::{Packet, emit_head};
use r2p2::reassembly::{Arrived, Reassembly, Settings};
use r2p2::refusal::Refusal;
use r2p2::server::{Server, ServerConfig};
use support::{Weather, World, server_address};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound
    }

    /// Mostly noise behind a magic byte, with fields that are likely to be accepted.
    fn noise(&mut self) -> Vec<u8> {
        let len = if self.below(4) == 0 { self.below(1_600) } else { self.below(64) };
        let mut bytes: Vec<u8> = (0..len).map(|_| self.next().to_le_bytes()[0]).collect();
        let likely: [(usize, &[u8]); 5] = [
            (0, &[0xCC]),
            (1, &[8, 32, 40]),
            (2, &[0x01, 0x11, 0x31, 0x41, 0x20]),
            (28, &[1]),
            (30, &[0]),
        ];
        for (at, values) in likely {
            if let Some(byte) = bytes.get_mut(at)
                && self.below(8) > 0
            {
                *byte = values[self.next().to_le_bytes()[0] as usize % values.len()];
            }
        }
        bytes
    }

    /// A packet that was valid once.
    fn mutated(&mut self, valid: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = valid[self.below(valid.len())].clone();
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len().clamp(1, 48));
            match self.next() % 8 {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), self.next().to_le_bytes()[0]),
                2 if !bytes.is_empty() => bytes.extend_from_within(at.min(bytes.len() - 1)..),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << (self.next() % 8);
                    }
                }
            }
        }
        bytes
    }
}

/// Every packet of conversations in all modes, both ways.
fn valid_packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for mode in [Mode::Plain, Mode::Session, Mode::Sessionless] {
        let weather = Weather { loss: 50, duplication: 0, late_us: 300 };
        let config = ClientConfig::new(mode, vec![server_address()]);
        let client = Client::new(config, 5, Duration::ZERO).unwrap();
        let mut world = World::new(client, ServerConfig::default(), weather, 5);
        for (tag, len) in (0..).zip([0, 5, 1_464, 3_000, 20_000]) {
            world.client.submit(world.now, Policy::Replicated, &vec![7; len], tag).unwrap();
        }
        world.run(Duration::from_secs(5), |world| world.client.open() == 0);
        packets.append(&mut world.trace);
    }
    assert!(packets.len() > 60);
    packets
}

/// What parses means what it says: emitted again it is the same, but for bits that plain R2P2 ignores.
fn check_codecs(datagram: &[u8]) {
    let _ = Feedback::parse(datagram);
    let _ = Refusal::parse(datagram).map(|refusal| assert_eq!(refusal.emit()[..], *datagram));
    let _ = OpeningReply::parse(datagram).map(|reply| assert_eq!(reply.emit()[..], *datagram));
    if let Ok(wanted) = Wanted::parse(datagram) {
        assert!(wanted.ranges(1_024).all(|range| range.start < range.end && range.end <= 1_024));
    }
    let Ok(packet) = Packet::parse(datagram) else { return };
    if packet.header.kind == MessageKind::Feedback {
        return;
    }
    let mut head = [0; HEAD_MAX];
    let len = emit_head(&packet.header, packet.extension.as_ref(), &mut head);
    let mut again = [&head[..len], packet.payload].concat();
    again[3] = datagram[3];
    assert_eq!(again, datagram);
}

#[test]
fn no_bytes_harm_the_codecs() {
    let valid = valid_packets();
    let mut random = Random(1);
    for _ in 0..300_000 {
        check_codecs(&random.noise());
        check_codecs(&random.mutated(&valid));
    }
}

#[test]
fn no_bytes_harm_a_reassembly_and_its_bounds_hold() {
    let valid = valid_packets();
    let mut random = Random(2);
    let settings = Settings { messages_max: 16, bytes_max: 200_000, ..Settings::default() };
    let mut reassembly = Reassembly::new(settings, 3);
    let mut pool = Pool::new(1 << 20);
    let mut payload = [0; 1_440];
    let mut accepted = 0;
    for turn in 0..300_000u64 {
        let now = Duration::from_micros(turn * 20);
        let bytes = if turn % 4 == 0 { random.noise() } else { random.mutated(&valid) };
        let from: SocketAddr = format!("10.0.0.{}:7", random.below(20)).parse().unwrap();
        let arrived = Arrived { now, not_before: now, from: from.into() };
        let Ok(packet) = Packet::parse(&bytes) else { continue };
        accepted += 1;
        if let r2p2::reassembly::Progress::Whole(whole) =
            reassembly.request(arrived, &packet, &mut pool)
        {
            pool.give_back(whole.body);
        }
        if let r2p2::reassembly::Progress::Whole(whole) =
            reassembly.response(arrived, &packet, &mut pool)
        {
            pool.give_back(whole.body);
        }
        while reassembly.poll_wanted(now, &mut payload).is_some() {}
        if turn % 64 == 0 {
            reassembly.expire(now, &mut pool);
        }
        assert!(reassembly.len() <= 16);
    }
    assert!(accepted > 50_000, "only {accepted} parsed: the test tries too little");
    reassembly.expire(Duration::from_secs(60), &mut pool);
    assert_eq!((reassembly.len(), pool.used()), (0, 0));
}

/// A client and a server under fire serve each other at the end. A client can be told lies (its session lost, its request
/// refused), but each request ends once.
#[test]
fn no_bytes_harm_the_endpoints() {
    let valid = valid_packets();
    // The seed of the valid packets, so that nonces, sessions and numbers are right.
    let seed = 5;
    for mode in [Mode::Plain, Mode::Sessionless, Mode::Session] {
        let mut random = Random(seed);
        let config = ClientConfig::new(mode, vec![server_address()]);
        let mut client = Client::new(config, seed, Duration::ZERO).unwrap();
        let mut server = Server::new(ServerConfig::default(), seed);
        let from: SocketAddr = "10.9.9.9:1".parse().unwrap();
        let (mut taken, mut ended) = (0u64, 0);
        for bytes in &valid {
            client.receive(Duration::ZERO, server_address(), bytes);
        }
        for turn in 0..150_000u64 {
            let now = Duration::from_micros(turn * 100);
            if turn % 16 == 0
                && client
                    .submit(now, Policy::Replicated, &[1; 3_000][..random.below(3_000)], turn)
                    .is_ok()
            {
                taken += 1;
            }
            let bytes = if turn % 4 == 0 { random.noise() } else { random.mutated(&valid) };
            client.receive(now, server_address(), &bytes);
            if let Some(request) = server.receive(now, now, from, &bytes) {
                server.give_back(request.body);
            }
            client.tick(now);
            server.tick(now);
            while client.poll_transmit().is_some() {}
            while server.poll_transmit().is_some() {}
            while let Some(event) = client.poll_event() {
                ended += u64::from(!matches!(
                    event,
                    Event::SessionOpened { .. } | Event::SessionLost { .. }
                ));
            }
        }
        assert_eq!(taken, ended + client.open() as u64);
        assert!(taken > 1_000 && client.drops().total() > 100_000);
        assert!(client.counters().answered > 0, "{mode:?}: no mutated answer was near enough");
        assert!(mode != Mode::Session || client.counters().sessions > 0);
        let counted: u64 = server.drops().iter().map(|(_, count)| count).sum();
        assert!(counted > 50_000);
    }
}
