//! R2P2 as clients and servers see it: any bytes are counted and dropped; no panic, loop or unbounded memory (HC13).

use core::net::SocketAddr;
use core::time::Duration;

use r2p2::ack::Wanted;
use r2p2::buffer::Pool;
use r2p2::client::{Client, ClientConfig, Event, Mode};
use r2p2::extension::HEAD_MAX;
use r2p2::feedback::Feedback;
use r2p2::header::{MessageKind, Policy};
use r2p2::opening::OpeningReply;
use r2p2::packet::{Packet, emit_head};
use r2p2::reassembly::{Arrived, Progress, Reassembly, Settings};
use r2p2::refusal::Refusal;
use r2p2::server::{Server, ServerConfig};

use crate::draw::Draw;

/// A client and a server in virtual time, as the tests of `r2p2` have them.
#[allow(dead_code, clippy::unwrap_used, reason = "a test's")]
#[path = "../../../r2p2/tests/support/mod.rs"]
mod support;

use support::{Weather, World, server_address};

const MODES: [Mode; 3] = [Mode::Plain, Mode::Session, Mode::Sessionless];
/// The seed of the valid packets and of the client under fire, so that nonces, sessions and numbers are right.
const SEED: u64 = 5;
const DATAGRAM_MAX: usize = 1_600;
/// Packets of one run, at most.
const PACKETS_MAX: usize = 400;

/// The body of fuzz target `codecs`: what parses means what it says. Emitted again it is the same, but for bits that plain R2P2
/// ignores.
///
/// # Panics
///
/// When it is not.
#[must_use]
pub fn codecs(datagram: &[u8]) -> bool {
    let _ = Feedback::parse(datagram);
    let _ = Refusal::parse(datagram).map(|refusal| assert_eq!(refusal.emit()[..], *datagram));
    let _ = OpeningReply::parse(datagram).map(|reply| assert_eq!(reply.emit()[..], *datagram));
    if let Ok(wanted) = Wanted::parse(datagram) {
        for packets in [0, 1, 1_024] {
            let inside =
                |range: core::ops::Range<u16>| range.start < range.end && range.end <= packets;
            assert!(wanted.ranges(packets).all(inside));
        }
    }
    let Ok(packet) = Packet::parse(datagram) else { return false };
    if packet.header.kind == MessageKind::Feedback {
        return true;
    }
    let mut head = [0; HEAD_MAX];
    let len = emit_head(&packet.header, packet.extension.as_ref(), &mut head);
    let mut again = [&head[..len], packet.payload].concat();
    again[3] = datagram[3];
    assert_eq!(again, datagram);
    true
}

/// The body of fuzz target `reassembly`: packets, each after a time and from an address of twenty. True when one parsed.
///
/// # Panics
///
/// When a bound is broken, or memory is not given back.
#[must_use]
pub fn reassembly(bytes: &[u8]) -> bool {
    const MESSAGES_MAX: usize = 16;
    let settings =
        Settings { messages_max: MESSAGES_MAX, bytes_max: 200_000, ..Settings::default() };
    let mut reassembly = Reassembly::new(settings, 3);
    let mut pool = Pool::new(1 << 20);
    let (mut draw, mut now, mut parsed) = (Draw::new(bytes), Duration::ZERO, false);
    let mut payload = [0; 1_440];
    for turn in 0..PACKETS_MAX {
        if draw.is_empty() {
            break;
        }
        now += Duration::from_micros(u64::from(draw.u8()) * 20);
        let from = SocketAddr::from(([10, 0, 0, draw.u8() % 20], 7));
        let arrived = Arrived { now, not_before: now, from: from.into() };
        let Ok(packet) = Packet::parse(draw.framed(DATAGRAM_MAX)) else { continue };
        parsed = true;
        if let Progress::Whole(whole) = reassembly.request(arrived, &packet, &mut pool) {
            pool.give_back(whole.body);
        }
        if let Progress::Whole(whole) = reassembly.response(arrived, &packet, &mut pool) {
            pool.give_back(whole.body);
        }
        while reassembly.poll_wanted(now, &mut payload).is_some() {}
        if turn % 8 == 0 {
            reassembly.expire(now, &mut pool);
        }
        assert!(reassembly.len() <= MESSAGES_MAX);
    }
    reassembly.expire(now + Duration::from_secs(60), &mut pool);
    assert_eq!((reassembly.len(), pool.used()), (0, 0));
    parsed
}

/// The body of fuzz target `endpoints`: a client and a server, each fed with the same packets, requests submitted between. The
/// client can be told lies (its session lost, its request refused), but each request ends once. True when one was answered.
///
/// # Panics
///
/// When a request ends twice or never.
#[must_use]
pub fn endpoints(bytes: &[u8]) -> bool {
    let mut draw = Draw::new(bytes);
    let mode = MODES[usize::from(draw.u8() % 3)];
    let config = ClientConfig::new(mode, vec![server_address()]);
    let Ok(mut client) = Client::new(config, SEED, Duration::ZERO) else { return false };
    let mut server = Server::new(ServerConfig::default(), SEED);
    let from = SocketAddr::from(([10, 9, 9, 9], 1));
    let (mut now, mut taken, mut ended) = (Duration::ZERO, 0_u64, 0);
    for tag in 0..u64::try_from(PACKETS_MAX).unwrap_or_default() {
        if draw.is_empty() {
            break;
        }
        let what = draw.u8();
        now +=
            Duration::from_micros(u64::from(draw.u8()) * if what & 64 != 0 { 10_000 } else { 10 });
        if what.is_multiple_of(8) {
            let body = [1; 3_000];
            let len = usize::from(draw.u16()) % body.len();
            taken += u64::from(client.submit(now, Policy::Replicated, &body[..len], tag).is_ok());
        } else {
            let datagram = draw.framed(DATAGRAM_MAX);
            client.receive(now, server_address(), datagram);
            if let Some(request) = server.receive(now, now, from, datagram) {
                server.give_back(request.body);
            }
        }
        client.tick(now);
        server.tick(now);
        while client.poll_transmit().is_some() {}
        while server.poll_transmit().is_some() {}
        while let Some(event) = client.poll_event() {
            let of_session =
                matches!(event, Event::SessionOpened { .. } | Event::SessionLost { .. });
            ended += u64::from(!of_session);
        }
        assert_eq!(taken, ended + client.open() as u64, "a request ends once");
    }
    client.counters().answered > 0
}

/// Every packet of a conversation in this mode, both ways.
fn conversation(mode: Mode) -> Vec<Vec<u8>> {
    let weather = Weather { loss: 50, duplication: 0, late_us: 300 };
    let config = ClientConfig::new(mode, vec![server_address()]);
    let Ok(client) = Client::new(config, SEED, Duration::ZERO) else { return Vec::new() };
    let mut world = World::new(client, ServerConfig::default(), weather, SEED);
    for (tag, len) in (0..).zip([0, 5, 1_464, 3_000, 20_000]) {
        let _ = world.client.submit(world.now, Policy::Replicated, &vec![7; len], tag);
    }
    world.run(Duration::from_secs(5), |world| world.client.open() == 0);
    world.trace
}

/// The packets of conversations in all modes.
#[must_use]
pub fn packets() -> Vec<Vec<u8>> {
    MODES.into_iter().flat_map(conversation).collect()
}

/// Conversations as [`reassembly`] reads them.
#[must_use]
pub fn received() -> Vec<Vec<u8>> {
    MODES.map(|mode| framed(&conversation(mode), [1, 1])).into()
}

/// Conversations as [`endpoints`] reads them, with requests at the start.
#[must_use]
pub fn conversations() -> Vec<Vec<u8>> {
    let begun = |(place, mode): (u8, Mode)| {
        let mut bytes = vec![place];
        for len in [0_u16, 5, 1_464, 2_999] {
            bytes.extend([0, 1]);
            bytes.extend(len.to_le_bytes());
        }
        bytes.extend(framed(&conversation(mode), [1, 1]));
        bytes
    };
    (0..).zip(MODES).map(begun).collect()
}

/// Packets one after the other, two bytes and a length before each.
fn framed(packets: &[Vec<u8>], before: [u8; 2]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        bytes.extend(before);
        bytes.extend(u16::try_from(packet.len()).unwrap_or_default().to_le_bytes());
        bytes.extend(packet);
    }
    bytes
}
