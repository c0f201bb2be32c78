//! A warm request path allocates nothing (HC12): client and server, short and long messages, all modes.
#![deny(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unsafe_code, reason = "the trait of allocators demands it")]
#[path = "support/ffi.rs"]
mod ffi;

use std::net::SocketAddr;
use std::time::Duration;

use r2p2::Instant;
use r2p2::answer::AnswerForm;
use r2p2::client::{Client, ClientConfig, Event, Mode};
use r2p2::header::{DATAGRAM_MAX, Policy};
use r2p2::opening::OpeningReply;
use r2p2::server::{Server, ServerConfig};

struct Pair {
    now: Instant,
    client: Client,
    server: Server,
    datagram: [u8; DATAGRAM_MAX],
    /// Every packet with a number that this divides is lost; 0 = none.
    lost: u64,
    packets: u64,
}

fn addresses() -> (SocketAddr, SocketAddr) {
    (SocketAddr::from(([10, 0, 0, 9], 3_000)), SocketAddr::from(([10, 0, 0, 1], 8_000)))
}

impl Pair {
    fn new(mode: Mode, lost: u64) -> Self {
        let config = ClientConfig::new(mode, vec![addresses().1]);
        Self {
            now: Duration::ZERO,
            client: Client::new(config, 1, Duration::ZERO).unwrap(),
            server: Server::new(ServerConfig::default(), 2),
            datagram: [0; DATAGRAM_MAX],
            lost,
            packets: 0,
        }
    }

    /// Sixteen requests of `len` bytes at once, until all are answered with as many.
    fn round(&mut self, body: &[u8]) {
        for tag in 0..16 {
            self.client.submit(self.now, Policy::Replicated, body, tag).unwrap();
        }
        let mut answered = 0;
        while answered < 16 {
            self.now += Duration::from_micros(50);
            self.client.tick(self.now);
            self.server.tick(self.now);
            self.exchange();
            while let Some(event) = self.client.poll_event() {
                match event {
                    Event::Answered { body: answer, .. } => {
                        assert_eq!(*answer, *body);
                        answered += 1;
                    }
                    Event::SessionOpened { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn exchange(&mut self) {
        let (client, server) = addresses();
        while let Some(packet) = self.client.poll_transmit() {
            let len = gather(&mut self.datagram, packet.head, packet.tail);
            self.packets += 1;
            if self.lost != 0 && self.packets.is_multiple_of(self.lost) {
                continue;
            }
            let datagram = &self.datagram[..len];
            let Some(request) = self.server.receive(self.now, self.now, client, datagram) else {
                continue;
            };
            if request.flags.opens {
                let reply = OpeningReply { window: 4_096, expiry_ms: 60_000 };
                self.server.opened(client, request.id.number, 77, 1, reply);
            } else {
                let form = AnswerForm::new(&request.id, request.plain);
                self.server.answer(self.now, client, form, 5, &request.body);
            }
            self.server.give_back(request.body);
        }
        while let Some(packet) = self.server.poll_transmit() {
            let len = gather(&mut self.datagram, packet.head, packet.tail);
            self.packets += 1;
            if self.lost == 0 || !self.packets.is_multiple_of(self.lost) {
                self.client.receive(self.now, server, &self.datagram[..len]);
            }
        }
    }
}

fn gather(datagram: &mut [u8], head: &[u8], tail: &[u8]) -> usize {
    let len = head.len() + tail.len();
    datagram[..head.len()].copy_from_slice(head);
    datagram[head.len()..len].copy_from_slice(tail);
    len
}

#[test]
fn a_warm_request_path_allocates_nothing() {
    let body = vec![7; 65_536];
    for mode in [Mode::Plain, Mode::Sessionless, Mode::Session] {
        let lengths = [24, 1_400, 4_000, 65_536];
        for (len, lost) in lengths.into_iter().flat_map(|len| [(len, 0), (len, 97)]) {
            if lost != 0 && mode == Mode::Plain && len > 1_464 {
                continue; // Packets of a plain message that are lost are not asked for: nothing to measure.
            }
            let mut pair = Pair::new(mode, lost);
            // Kept answers fill their table, and every list reaches its full length, before it counts.
            for _ in 0..200 {
                pair.round(&body[..len]);
            }
            let before = ffi::allocations();
            for _ in 0..200 {
                pair.round(&body[..len]);
            }
            let allocated = ffi::allocations() - before;
            assert_eq!(allocated, 0, "{mode:?}, {len} bytes, one in {lost} lost");
        }
    }
}

#[test]
fn the_counter_counts() {
    let before = ffi::allocations();
    let made = std::hint::black_box(vec![0u8; 10]);
    assert_eq!(ffi::allocations(), before + 1);
    drop(made);
}
